"""Time and memory of FINCH beside the authors' package, on the same arrays.

Each measurement runs in a process of its own, so that the peak of one is not that of
another. The peak is Linux's VmHWM, set back right before the call, so this table needs
Linux. `finch-clust` computes all distances: it is given `MEMORY_LIMIT`, and runs with
its early exit off and its approximate neighbours out of reach.
"""

import importlib.metadata
import resource
import tempfile
import time
import warnings
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from benchmarks.memory import in_own_process, peak_mib, reset_peak
from sk_hypersphere import finch

NAME = "finch"
DESCRIPTION = "Time and peak memory of FINCH beside finch-clust, on the same rows."

METRICS = ("euclidean", "cosine")
N_ROWS = (5_000, 20_000, 60_000)
N_FEATURES = 32
N_BLOBS = 50
SEED = 0
MEMORY_LIMIT = 16 * 2**30  # bytes of address space for each process

OURS, THEIRS = "sk_hypersphere", "finch-clust"


def run(results, options):
    """Measure what is not in the results yet."""
    packages = [OURS, THEIRS]
    if not _is_installed(THEIRS):
        print(f"{THEIRS} is not installed, so {OURS} is measured alone.")
        packages.remove(THEIRS)
    for n_rows in N_ROWS:
        for metric in METRICS:
            keys = [{"rows": n_rows, "metric": metric, "package": p} for p in packages]
            if not all(results.done(**key) for key in keys):
                _measure_side_by_side(results, keys)


def render(rows):
    """Table of all measurements, in Markdown."""
    lines = [
        "| metric | rows | package | seconds | peak above input, MiB | clusters "
        "| same partitions |",
        "|---|---:|---|---:|---:|---|---|",
    ]
    columns = ("metric", "rows", "package", "seconds", "peak_mib", "clusters", "same")
    for row in sorted(rows, key=lambda row: (row["metric"], int(row["rows"]))):
        lines.append("| " + " | ".join(str(row[column]) for column in columns) + " |")
    return "\n".join(lines)


def _is_installed(distribution):
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _measure_side_by_side(results, keys):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "X.npy")
        np.save(path, _make_rows(keys[0]["rows"]))
        partitions = {}
        for key in keys:
            row = _in_own_process(path, key["package"], key["metric"])
            partitions[key["package"]] = row.pop("partitions", None)
            same = _compare(partitions[OURS], partitions.get(THEIRS))
            if not results.done(**key):
                results.add(**key, **row, same=same)


def _make_rows(n_rows):
    X, _ = make_blobs(n_rows, N_FEATURES, centers=N_BLOBS, random_state=SEED)
    return X.astype(np.float32)


def _in_own_process(path, package, metric):
    try:
        return in_own_process(_measure, path, package, metric)
    except (MemoryError, BrokenProcessPool) as error:
        died = isinstance(error, BrokenProcessPool)
        outcome = "process died" if died else "out of memory"
        return {"seconds": outcome, "peak_mib": "", "clusters": ""}


def _measure(path, package, metric):
    """Seconds, peak above the input in MiB, and the partitions."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    cluster = {OURS: finch, THEIRS: _finch_clust}[package]
    X = np.load(path)
    cluster(X[:500], metric=metric)  # libraries are loaded and threads started
    reset_peak()
    before = peak_mib()
    start = time.perf_counter()
    partitions = cluster(X, metric=metric)
    seconds = time.perf_counter() - start
    return {
        "seconds": f"{seconds:.2f}",
        "peak_mib": f"{peak_mib() - before:.0f}",
        "clusters": " ".join(str(k + 1) for k in partitions.max(axis=0)),
        "partitions": partitions,
    }


def _finch_clust(X, metric):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that pynndescent is not there
        from finch import FINCH
    partitions, _, _ = FINCH(
        X,
        distance=metric,
        ensure_early_exit=False,
        ann_threshold=len(X) + 1,
        verbose=False,
    )
    return partitions


def _compare(ours, theirs):
    """Whether two sequences of partitions are the same up to the names of labels."""
    if ours is None or theirs is None:
        return ""
    if ours.shape != theirs.shape:
        return f"no: {ours.shape[1]} and {theirs.shape[1]} partitions"
    agreement = [
        adjusted_rand_score(*pair) for pair in zip(ours.T, theirs.T, strict=True)
    ]
    if min(agreement) == 1:
        return "yes"
    return "no: adjusted Rand " + " ".join(f"{value:.5f}" for value in agreement)
