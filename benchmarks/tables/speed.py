"""Training, fitting, scoring and memory beside a bare torch loop and other libraries.

The bare loop is the fastest that does the same sums: the same network, loss, optimizer
and batches, indexed from one tensor, with the loss read once an epoch. One round runs
all contestants of a case in random order; ratios are taken within rounds. Time is that
of this process on one thread, so that others on the machine disturb little; a grid
search in several processes and a CUDA device are timed by the clock.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.methods import absent_peers, one_thread
from benchmarks.races import deep_svdd, eidn, ensemble, mchad, odin
from benchmarks.races.common import OURS, PEERS, SEED, installed_peers
from benchmarks.report import column, markdown_table, select, unique

NAME = "speed"
DESCRIPTION = "Training and scoring, as ratios to a bare torch loop."


class Race(NamedTuple):
    """A function that makes contestants, and the number of their rounds."""

    make: Callable
    n_rounds: int = 15


RACES = {
    "training an MLP, 20,000 x 32": Race(deep_svdd.train_mlp),
    "training LeNet, 6,000 x 28 x 28": Race(deep_svdd.train_lenet),
    "training MCHAD with an MLP, 20,000 x 32": Race(mchad.on_rows),
    "training EIDN, 20,000 x 32": Race(eidn.on_rows),
    "training EIDN, random triplets, 20,000 x 32": Race(
        partial(eidn.on_rows, "random")
    ),
    "training EIDN, 6,000 x 28 x 28": Race(eidn.on_images),
    "fitting 1,000 x 20 end to end": Race(deep_svdd.fit_rows),
    # Our loop is so close to the bare one that fewer rounds do not separate them.
    "scoring 200,000 x 32": Race(deep_svdd.score_rows, n_rounds=45),
    "scoring 200,000 x 32, default network": Race(
        partial(deep_svdd.score_by_default, 512, 200_000, 32)
    ),
    "scoring 10,000 x 28 x 28, default network": Race(
        partial(deep_svdd.score_by_default, 320, 10_000, 1, 28, 28)
    ),
    "ODIN, 100,000 x 32, beside a forward pass": Race(odin.on_rows),
    "ODIN, 10,000 x 28 x 28, beside a forward pass": Race(odin.on_images),
    "fitting 10 members of 64-32-16 units, 10,000 x 32": Race(
        partial(ensemble.fit, "64-32-16"), n_rounds=9
    ),
    "fitting 10 members of 512-64 units, 10,000 x 32": Race(
        partial(ensemble.fit, "512-64"), n_rounds=5
    ),
    "grid search, 16 fits of 20,000 x 32": Race(deep_svdd.search_grid, n_rounds=7),
}

# The method that is called, and whether its 1,000,000 x 32 rows are a memory map.
MEMORY_CASES = {
    "fitting an array": ("fit", False),
    "fitting a memory map": ("fit", True),
    "scoring an array": ("score", False),
    "scoring a memory map": ("score", True),
}


class DeviceSize(NamedTuple):
    """How much is trained on a device; epochs after the first are timed."""

    n_images: int  # for LeNet
    n_colored: int  # for WRN-40-2
    epochs: int
    n_rounds: int
    net_params: dict  # of further contestants of ours, by their names


ON_CUDA = DeviceSize(
    60_000,
    25_600,
    epochs=3,
    n_rounds=9,
    net_params={
        "bfloat16": {"autocast": torch.bfloat16},
        "compiled": {"compile": True},
        "bfloat16, compiled": {"autocast": torch.bfloat16, "compile": True},
    },
)
# Convolutions in bfloat16 take a processor 15 times as long, their compilation minutes.
ON_CPU = DeviceSize(400, 64, epochs=2, n_rounds=3, net_params={})


def run(results, options):
    """Run the rounds of each case that are not in the results yet."""
    with one_thread():
        if options.device in ("auto", "cpu"):
            absent_peers(PEERS)
            races = RACES
        else:
            races = races_on_device(options.device)
        for case, race in races.items():
            if options.only in case:
                run_race(results, case, race, 3 if options.full else 1)
        if races is RACES:
            for case in MEMORY_CASES:
                if options.only in case:
                    run_memory(results, case)


def races_on_device(name):
    """Races of networks for images on a device; a few small ones where it is absent."""
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("There is no CUDA device: small networks race on the CPU.", flush=True)
        device = torch.device("cpu")
    size = ON_CUDA if device.type == "cuda" else ON_CPU
    shared = {
        "epochs": size.epochs,
        "device": device,
        "n_skipped": 1,
        "net_params": size.net_params,
    }
    lenet = partial(deep_svdd.train_lenet, size.n_images, **shared)
    colored = partial(mchad.on_images, size.n_colored, **shared)
    return {
        f"training LeNet, {size.n_images:,} x 28 x 28, on {device.type}": Race(
            lenet, size.n_rounds
        ),
        f"training MCHAD with WRN-40-2, {size.n_colored:,} x 3 x 32 x 32, "
        f"on {device.type}": Race(colored, size.n_rounds),
    }


def run_race(results, case, race, times):
    random_state = np.random.default_rng(SEED)
    contestants, epochs = race.make()
    for contestant in contestants.values():
        contestant()  # libraries are loaded, memory is claimed
    for number in range(times * race.n_rounds):
        names = random_state.permutation(list(contestants))
        run_round(results, case, contestants, names, number, epochs)


def run_round(results, case, contestants, names, number, epochs):
    """Time all contestants one after the other, unless the round is complete."""
    *_, last = contestants
    if results.done(case=case, contestant=last, round=number):
        return
    seconds = {name: contestants[name]() for name in names}
    for name in contestants:
        add(results, case, name, number, epochs, seconds[name])


def run_memory(results, case):
    """Measure the peak of each contestant once, which hardly varies."""
    call, is_map = MEMORY_CASES[case]
    for name in (OURS, *installed_peers()):
        if not results.done(case=case, contestant=name):
            seconds, peak_mib = deep_svdd.measure_memory(name, call, is_map)
            epochs = 1 if call == "fit" else ""
            add(results, case, name, 0, epochs, seconds, f"{peak_mib:.0f}")


def add(results, case, contestant, number, epochs, seconds, peak_mib=""):
    results.add(
        case=case,
        contestant=contestant,
        round=number,
        seed=SEED,
        epochs=epochs,
        seconds=f"{seconds:.5f}",
        peak_mib=peak_mib,
    )


def render(rows):
    """Table of times and ratios, and table of memory, in Markdown."""
    races = [row for row in rows if not row["peak_mib"]]
    memory = [row for row in rows if row["peak_mib"]]
    return "\n\n".join(
        render_part(part)
        for part, render_part in ((races, render_races), (memory, render_memory))
        if part
    )


def render_races(rows):
    """Median seconds, and medians and quartiles of ratios to the first and to ours."""
    lines = []
    for case in unique(column(rows, "case")):
        of_case = select(rows, case=case)
        seconds = {
            name: _seconds_by_round(select(of_case, contestant=name))
            for name in unique(column(of_case, "contestant"))
        }
        first, *_ = seconds.values()
        for name, times in seconds.items():
            lines.append(
                [
                    case,
                    name,
                    f"{1000 * np.median(list(times.values())):.0f}",
                    _ratio(times, first),
                    _ratio(times, seconds[OURS]) if OURS in seconds else "",
                    len(times),
                ]
            )
    header = ["case", "", "ms", "over the first", f"over {OURS}", "rounds"]
    return markdown_table(header, lines)


def render_memory(rows):
    """Peak above the input of each contestant, a line a case."""
    names = unique(column(rows, "contestant"))
    peaks = {(row["case"], row["contestant"]): row["peak_mib"] for row in rows}
    lines = [
        [case, *(peaks.get((case, name), "") for name in names)]
        for case in unique(column(rows, "case"))
    ]
    return markdown_table(["peak above the input, MiB", *names], lines)


def _ratio(times, others):
    """Median and quartiles of ratios within rounds."""
    rounds = sorted(times.keys() & others.keys(), key=int)
    ratios = [times[number] / others[number] for number in rounds]
    low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def _seconds_by_round(rows):
    """Of a round that was interrupted and repeated, the repetition counts."""
    return {row["round"]: float(row["seconds"]) for row in rows}
