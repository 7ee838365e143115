"""The time of importing the package, beside the libraries that it is made of.

Every import runs in a fresh interpreter, whose start counts for both. One round runs
both in random order; ratios are taken within rounds. Modules are those in `sys.modules`
afterwards that are not of this package.
"""

import os
import resource
import subprocess
import sys
import time

import numpy as np

from benchmarks.report import column, markdown_table, select

NAME = "imports"
DESCRIPTION = "Importing the package, as a ratio to importing its libraries."

N_ROUNDS = 15
SEED = 0

OURS = "import sk_hypersphere"
LIBRARIES = "import torch, skorch, sklearn"
COUNT_MODULES = (
    "import sys; names = [name.partition('.')[0] for name in sys.modules]; "
    "print(len(names) - names.count('sk_hypersphere'))"
)


def run(results, options, n_rounds=N_ROUNDS):
    """Run the rounds that are not in the results yet."""
    statements = [LIBRARIES, OURS]
    modules = {name: _python(f"{name}; {COUNT_MODULES}") for name in statements}
    random_state = np.random.default_rng(SEED)
    for number in range(n_rounds):
        order = random_state.permutation(statements)
        if results.done(statement=OURS, round=number):
            continue
        times = {statement: _times(statement) for statement in order}
        for statement in statements:
            wall, cpu = times[statement]
            results.add(
                statement=statement,
                round=number,
                seed=SEED,
                seconds=f"{wall:.4f}",
                cpu_seconds=f"{cpu:.4f}",
                modules=modules[statement],
            )


def render(rows):
    """Medians of seconds and of ratios, in Markdown."""
    lines = []
    for statement in (LIBRARIES, OURS):
        of_it = select(rows, statement=statement)
        line = [f"`{statement}`"]
        for name in ("seconds", "cpu_seconds"):
            values = _by_round(of_it, name)
            baseline = _by_round(select(rows, statement=LIBRARIES), name)
            ratios = [values[i] / baseline[i] for i in values.keys() & baseline.keys()]
            low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
            line += [
                f"{np.median(list(values.values())):.2f}",
                f"{middle:.2f} ({low:.2f} to {high:.2f})",
            ]
        lines.append([*line, of_it[-1]["modules"], len(values)])
    header = ["", "seconds", "ratio", "CPU seconds", "ratio", "modules", "rounds"]
    return markdown_table(header, lines)


def _by_round(rows, name):
    """Of a round that was interrupted and repeated, the repetition counts."""
    return dict(zip(column(rows, "round"), map(float, column(rows, name)), strict=True))


def _times(statement):
    """Wall and CPU seconds of an interpreter that does nothing else."""
    start, cpu = time.perf_counter(), _cpu_of_children()
    _python(statement)
    return time.perf_counter() - start, _cpu_of_children() - cpu


def _python(code):
    """Run code in a fresh interpreter, and return what it prints."""
    # Installed packages are compiled, and so is ours after the first run.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE"
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def _cpu_of_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
