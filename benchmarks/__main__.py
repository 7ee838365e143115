"""The command line: ``python -m benchmarks [TABLE ...]``."""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.registry import GROUPS, TABLES
from benchmarks.report import render_pages, render_table, write_report
from benchmarks.results import COMMITTED, Results


def main(arguments=None):
    options = parse(arguments)
    if options.smoke:
        with TemporaryDirectory() as folder:
            measure(options, Path(folder))
    elif options.commit:
        measure(options, COMMITTED)
    elif not options.render:
        folder = options.output or new_folder()
        print(f"Results go to {folder}. Add --output {folder} to go on with them.\n")
        measure(options, folder)
        print(f"Rows, tables and pictures: {folder.resolve()}")
    if options.commit or options.render:
        for page, text in render_pages(GROUPS).items():
            page.write_text(text, encoding="utf-8")


def new_folder():
    return Path(time.strftime("sk_hypersphere-benchmarks-%Y-%m-%d-%H%M%S"))


def measure(options, folder):
    """Run the tables with results in a folder, and print what they show."""
    for name in options.tables or ["quickstart"]:
        table, results = TABLES[name], Results(folder / f"{name}.csv")
        print(f"{name}: {table.DESCRIPTION}", flush=True)
        table.run(results, options)
        print(f"\n{render_table(table, results.rows)}\n", flush=True)
        if folder != COMMITTED:
            write_report(table, results)


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the estimators beside their rivals.",
        epilog="Tables: "
        + " ".join(f"{name}: {table.DESCRIPTION}" for name, table in TABLES.items()),
    )
    parser.add_argument(
        "tables", nargs="*", metavar="TABLE", help="default: quickstart"
    )
    parser.add_argument("--full", action="store_true", help="the papers' epochs")
    parser.add_argument("--seeds", type=int, help="number of seeds")
    parser.add_argument("--only", default="", help="skip rows without this text")
    parser.add_argument("--device", default="auto", help="for the estimators")
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder of the results, whose finished rows are not measured again; "
        "default: a new one",
    )
    place.add_argument(
        "--smoke", action="store_true", help="a small run that keeps nothing"
    )
    place.add_argument(
        "--commit",
        action="store_true",
        help="for maintainers: add to benchmarks/results, then render the pages",
    )
    place.add_argument(
        "--render",
        action="store_true",
        help="for maintainers: only render the pages anew",
    )
    options = parser.parse_args(arguments)
    for name in options.tables:
        if name not in TABLES:
            parser.error(f"there is no table {name!r}; there are {', '.join(TABLES)}.")
    small = [name for name, table in TABLES.items() if hasattr(table, "SMOKE")]
    if options.smoke and (not options.tables or {*options.tables} - {*small}):
        parser.error(f"--smoke needs names of tables, out of {', '.join(small)}.")
    return options


if __name__ == "__main__":  # tables start processes, which import this file again
    main()
