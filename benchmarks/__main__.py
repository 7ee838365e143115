"""The command line: ``python -m benchmarks [TABLE ...]``."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.report import (
    FRONT_PAGE,
    README,
    render_all,
    render_table,
    rewrite_blocks,
)
from benchmarks.results import Results
from benchmarks.tables import TABLES


def main(arguments=None):
    options = parse(arguments)
    if options.smoke:
        for name in options.tables:
            smoke(TABLES[name], options)
        return
    if not options.render:
        for name in options.tables or ["quickstart"]:
            measure(TABLES[name], options)
    write_readme()


def measure(table, options):
    print(f"{table.NAME}: {table.DESCRIPTION}", flush=True)
    results = Results.of_table(table.NAME)
    table.run(results, options)
    print(f"\n{render_table(table, results.rows)}\n")
    print(f"All rows: {results.path}")
    if hasattr(table, "PICTURE"):
        print(f"Picture: {table.PICTURE}")
    print(f"The same tables: {README}", flush=True)


def smoke(table, options):
    """Run a small copy of a table, and keep nothing of it."""
    print(f"{table.NAME}, small: {table.DESCRIPTION}", flush=True)
    with TemporaryDirectory() as folder:
        results = Results(Path(folder, f"{table.NAME}.csv"))
        table.run(results, options)
        print(f"\n{render_table(table, results.rows)}")


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure, and write the tables of benchmarks/README.md.",
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
    parser.add_argument(
        "--smoke", action="store_true", help="a small run that writes nothing"
    )
    parser.add_argument("--render", action="store_true", help="only rewrite README.md")
    options = parser.parse_args(arguments)
    for name in options.tables:
        if name not in TABLES:
            parser.error(f"there is no table {name!r}; there are {', '.join(TABLES)}.")
    small = [name for name, table in TABLES.items() if hasattr(table, "SMOKE")]
    if options.smoke and (not options.tables or {*options.tables} - {*small}):
        parser.error(f"--smoke needs names of tables, out of {', '.join(small)}.")
    return options


def write_readme():
    rendered = render_all(TABLES.values(), lambda name: Results.of_table(name).rows)
    for page in (README, FRONT_PAGE):
        text = page.read_text(encoding="utf-8")
        page.write_text(rewrite_blocks(text, rendered), encoding="utf-8")


if __name__ == "__main__":  # tables start processes, which import this file again
    main()
