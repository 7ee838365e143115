"""Time and memory of FINCH beside the authors' package, on the same arrays.

Both search first neighbours exactly and, above some number of rows, approximately by
pynndescent. Each measurement runs in a process of its own, so that no peak adds to
another. The peak is Linux's VmHWM, set back right before the call, so this table needs
Linux. Exact `finch-clust` computes all distances: every process is given `MEMORY_LIMIT`
and `CPU_LIMIT`. The authors' early exit is off.
"""

import importlib.util
import resource
import tempfile
import time
import warnings
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors

from benchmarks.memory import in_own_process, peak_mib, reset_peak
from benchmarks.report import markdown_table, new_figure, select
from sk_hypersphere import finch

NAME = "finch"
DESCRIPTION = "Time and peak memory of FINCH beside finch-clust, on the same rows."


METRICS = ("euclidean", "cosine")
# The search is the same for both, but for the lengths of the rows.
N_ROWS = {
    "euclidean": (5_000, 20_000, 100_000, 1_000_000),
    "cosine": (5_000, 20_000),
}
N_FEATURES = 32
N_BLOBS = 50
SEED = 0
N_JUDGED = 1000  # rows whose first neighbour is compared with the exact one
MOST_ROWS_JUDGED = 100_000  # as neighbours have to be searched once more for that

# Approximate search has begun here in both packages, and is compiled on as many rows.
N_ROWS_APPROXIMATE = 60_000

MEMORY_LIMIT = 16 * 2**30  # bytes of address space for each process
CPU_LIMIT = 2 * 3600  # seconds of all threads of a process
EXPECTED_LIMIT = 25 * 60  # seconds; a search that will take more needs --full

OURS, THEIRS, SEARCH = "sk_hypersphere", "finch-clust", "pynndescent"
EXACT, APPROXIMATE = "exact", "approximate"

MODULES = {OURS: "sk_hypersphere", THEIRS: "finch", SEARCH: "pynndescent"}

# Colors of Okabe and Ito, which color-blind people can distinguish, one a package.
COLORS = {OURS: "#0072B2", THEIRS: "#D55E00"}
STYLES = {EXACT: "-o", APPROXIMATE: "--s"}


def run(results, options):
    """Measure what is not in the results yet, and draw the picture."""
    packages = _installed(OURS, THEIRS)
    searches = [EXACT, APPROXIMATE] if _installed(SEARCH) else [EXACT]
    for metric in METRICS:
        for n_rows in N_ROWS[metric]:
            keys = [
                {"rows": n_rows, "metric": metric, "package": p, "neighbors": n}
                for n in searches
                if n == EXACT or n_rows > N_ROWS_APPROXIMATE
                for p in packages
            ]
            if not all(results.done(**key) for key in keys):
                limit = np.inf if options.full else EXPECTED_LIMIT
                _measure_side_by_side(results, keys, limit)
    results.save_picture(draw(results.rows))


def render(rows):
    """Table of all measurements, in Markdown."""
    header = {
        "metric": "metric",
        "rows": "rows",
        "package": "package",
        "neighbors": "neighbours",
        "seconds": "seconds",
        "warm_up": "warm-up, s",
        "peak_mib": "peak above input, MiB",
        "clusters": "clusters",
        "found": "neighbours found",
        "rand": "adjusted Rand index",
    }
    ordered = sorted(rows, key=lambda row: (row["metric"], int(row["rows"])))
    return markdown_table(
        list(header.values()), [[row[name] for name in header] for row in ordered]
    )


def draw(rows):
    """Draw seconds by rows, a panel for each metric."""
    measured = [row for row in rows if _is_number(row["seconds"])]
    figure = new_figure(9, 4)
    axes = figure.subplots(ncols=len(METRICS), sharey=True, squeeze=False)
    for ax, metric in zip(axes[0], METRICS, strict=True):
        ax.set(xscale="log", yscale="log", title=metric, xlabel="rows")
        ax.grid(alpha=0.3)
        for package, color in COLORS.items():
            for neighbors, style in STYLES.items():
                key = {"metric": metric, "package": package, "neighbors": neighbors}
                line = select(measured, **key)
                ax.plot(
                    [int(row["rows"]) for row in line],
                    [float(row["seconds"]) for row in line],
                    style,
                    color=color,
                    label=f"{package}, {neighbors}",
                )
    axes[0, 0].set_ylabel("seconds")
    axes[0, 0].legend(frameon=False)
    return figure


def _is_number(text):
    return text.replace(".", "", 1).isdigit()


def _installed(*packages):
    """Those that are installed; of the others it is said that they are left out."""
    found = [name for name in packages if importlib.util.find_spec(MODULES[name])]
    for name in {*packages} - {*found}:
        print(f"{name} is not installed, so it is left out.")
    return found


def _measure_side_by_side(results, keys, limit):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "X.npy")
        np.save(path, _make_rows(keys[0]["rows"]))
        exact = None  # our partitions, if they are there
        for key in keys:
            is_reference = (key["package"], key["neighbors"]) == (OURS, EXACT)
            if results.done(**key) and not is_reference:
                continue
            expected_seconds = _expected_seconds(results.rows, key)
            row = _outcome(path, key, expected_seconds, limit)
            partitions = row.pop("partitions", None)
            rand = "" if is_reference else _agreement(exact, partitions)
            exact = partitions if is_reference else exact
            if not results.done(**key):
                results.add(**key, **row, rand=rand)
                print(*key.values(), row["seconds"], flush=True)


def _make_rows(n_rows):
    X, _ = make_blobs(n_rows, N_FEATURES, centers=N_BLOBS, random_state=SEED)
    return X.astype(np.float32)


def _expected_seconds(rows, key):
    """Seconds of exact search, judged by the next smaller size; 0 if unknown."""
    fixed = {name: key[name] for name in ("metric", "package", "neighbors")}
    smaller = [row for row in select(rows, **fixed) if int(row["rows"]) < key["rows"]]
    if key["neighbors"] == APPROXIMATE or not smaller:
        return 0
    last = max(smaller, key=lambda row: int(row["rows"]))
    growth = key["rows"] / int(last["rows"])
    return growth**2 * float(last["seconds"]) if _is_number(last["seconds"]) else 0


def _outcome(path, key, expected_seconds, limit):
    """Measurements of a process of its own, or the reason why there are none."""
    nothing = {"warm_up": "", "peak_mib": "", "clusters": "", "found": ""}
    if expected_seconds > limit:
        about = f"not run: about {expected_seconds / 60:.0f} minutes"
        return {"seconds": about, **nothing}
    contestant = key["package"], key["neighbors"], key["metric"]
    try:
        return in_own_process(_measure, path, *contestant)
    except MemoryError:
        return {"seconds": "out of memory", **nothing}
    except BrokenProcessPool:
        return {"seconds": "stopped", **nothing}


def _measure(path, package, neighbors, metric):
    """Seconds, peak above the input in MiB, and the partitions."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT, CPU_LIMIT))
    cluster = CONTESTANTS[package]
    X = np.load(path)
    # Libraries are loaded, code is compiled and threads are started.
    n_warm_up = 500 if neighbors == EXACT else N_ROWS_APPROXIMATE
    start = time.perf_counter()
    cluster(X[:n_warm_up], metric, neighbors)
    warm_up = time.perf_counter() - start
    reset_peak()
    before = peak_mib()
    start = time.perf_counter()
    partitions = cluster(X, metric, neighbors)
    seconds = time.perf_counter() - start
    peak = peak_mib() - before
    found = ""
    if neighbors == APPROXIMATE and len(X) <= MOST_ROWS_JUDGED:
        found = f"{_share_found(X, metric, partitions[:, 0]):.3f}"
    return {
        "seconds": f"{seconds:.3f}",
        "warm_up": f"{warm_up:.1f}",
        "peak_mib": f"{peak:.0f}",
        "clusters": " ".join(str(k + 1) for k in partitions.max(axis=0)),
        "found": found,
        "partitions": partitions,
    }


def _ours(X, metric, neighbors):
    return finch(X, metric=metric, neighbors=neighbors)


def _finch_clust(X, metric, neighbors):
    is_exact = neighbors == EXACT
    partitions, _, _ = _authors_module().FINCH(
        X,
        distance=metric,
        ensure_early_exit=False,
        verbose=False,
        random_state=SEED,
        **({"ann_threshold": len(X) + 1} if is_exact else {}),
    )
    return partitions


def _authors_module():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where pynndescent is not there
        return importlib.import_module("finch.finch")


CONTESTANTS = {OURS: _ours, THEIRS: _finch_clust}


def _share_found(X, metric, finest):
    """Share of rows, out of some, whose exact first neighbour is in their cluster.

    The finest partition links every row to the first neighbour that was found.
    """
    n_judged = min(N_JUDGED, len(X))
    rows = np.random.default_rng(SEED).choice(len(X), n_judged, replace=False)
    search = NearestNeighbors(n_neighbors=2, metric=metric, algorithm="brute")
    exact = search.fit(X.astype(np.float64)).kneighbors(X[rows], return_distance=False)
    return np.mean(finest[exact[:, 1]] == finest[rows])  # the first is the row itself


def _agreement(exact, partitions):
    """Adjusted Rand index of the finest partitions, and whether all are the same."""
    if exact is None or partitions is None:
        return ""
    if exact.shape == partitions.shape and all(
        adjusted_rand_score(*pair) == 1
        for pair in zip(exact.T, partitions.T, strict=True)
    ):
        return "all the same"
    return f"{adjusted_rand_score(exact[:, 0], partitions[:, 0]):.3f}"
