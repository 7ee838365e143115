"""Tables of ADBench: training on normal rows, and with a few labelled anomalies."""

from collections.abc import Callable
from functools import partial
from statistics import mean
from typing import NamedTuple

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.svm import OneClassSVM

from benchmarks.datasets import adbench_names, standardize, table_task
from benchmarks.methods import (
    PEER_EPOCHS,
    MeanOfSeeds,
    NearestAndDeep,
    ScoreOfRival,
    absent_peers,
    auroc,
    deepod_detector,
    gradient_boosting,
    logistic_regression,
    pyod_deep_svdd,
    seconds_of,
)
from benchmarks.report import (
    column,
    markdown_table,
    mean_of_complete_seeds,
    select,
    unique,
    without_rows,
)
from sk_hypersphere import HSC, DeepSAD, DeepSVDD
from sk_hypersphere.confidence import NeighborDistance

NAME = "tabular"
DESCRIPTION = "20 ADBench tables: normal rows only, and a few labelled anomalies."

# Splits 0 to 2 served to choose the defaults, and 10 to 12 to confirm them.
FIRST_SEED = 20

# The values of `labelled` in the rows, with the share of anomalies that is labelled.
NORMAL_ROWS = "normal rows only"
SHARES = {NORMAL_ROWS: None, "1 %": 0.01, "5 %": 0.05, "10 %": 0.1}
FEW = [labelled for labelled in SHARES if labelled != NORMAL_ROWS]
SHOWN_BY_TABLE = "5 %"


class Size(NamedTuple):
    """How much of it all is done; None is every table of ADBench that is there."""

    tables: tuple | None
    n_seeds: int
    max_rows: int


FULL_SIZE = Size(tables=None, n_seeds=3, max_rows=6_000)
SMOKE = Size(("Pima", "breastw"), n_seeds=1, max_rows=300)


class Method(NamedTuple):
    """A maker of a detector, and the labels that it gets.

    Parameters
    ----------
    make : callable
        Makes the detector from a device and a seed.

    labels : tuple of two int, default=None
        Values of `y` for labelled anomalies and for the other rows. None is for
        detectors that take no labels: they are fitted without the labelled anomalies.

    epochs : str, default=""
        As it stands in the results.
    """

    make: Callable
    labels: tuple | None = None
    epochs: str = ""


def ours(cls, labels=None, **params):
    """An estimator of ours with its defaults, but for a parameter that names it."""
    return Method(
        lambda device, seed: cls(device=device, random_state=seed, **params),
        labels,
        epochs="default",
    )


def rival(make, labels=None, epochs=""):
    """A classifier of anomalies, or a detector of another package."""
    return Method(lambda device, seed: ScoreOfRival(make, seed), labels, epochs)


def mean_of_seeds(**params):
    """Five fits of `DeepSVDD` that differ by their seed, averaged."""
    return Method(
        lambda device, seed: MeanOfSeeds(
            DeepSVDD(device=device, **params), random_state=seed
        ),
        epochs="default",
    )


SVDD = "`DeepSVDD()`"
SVDD_MEAN = "mean of 5 `DeepSVDD()`"
MANY = "`DeepSVDD(multi_radius=True)`"
MANY_MEAN = "mean of 5 `DeepSVDD(multi_radius=True)`"
SAD = "`DeepSAD()`"
HSC_NAME = "`HSC()`"
HSC_BCE = '`HSC(loss="bce")`'
NEIGHBORS = "5 neighbours"
NEAREST = "nearest row"
NEAREST_AND_DEEP = "nearest row and 5 `DeepSVDD()`"
FOREST = "IsolationForest"
ONE_CLASS_SVM = "OneClassSVM"
LOGISTIC = "LogisticRegression"
BOOSTING = "HistGradientBoosting"
PYOD_SVDD = "PyOD DeepSVDD"
DEEPOD_SVDD = "DeepOD DeepSVDD"
DEEPOD_SAD = "DeepOD DeepSAD"

ALL_SEEN = {
    SVDD: ours(DeepSVDD),
    NEIGHBORS: Method(lambda device, seed: NeighborDistance(5, max_candidates=None)),
    FOREST: Method(lambda device, seed: IsolationForest(random_state=seed)),
    ONE_CLASS_SVM: Method(lambda device, seed: OneClassSVM()),
}
PEERS = {
    PYOD_SVDD: pyod_deep_svdd,
    DEEPOD_SVDD: partial(deepod_detector, "DeepSVDD"),
    DEEPOD_SAD: partial(deepod_detector, "DeepSAD"),
}
WITHOUT_LABELS = {
    SVDD: ALL_SEEN[SVDD],
    SVDD_MEAN: mean_of_seeds(),
    MANY: ours(DeepSVDD, multi_radius=True),
    MANY_MEAN: mean_of_seeds(multi_radius=True),
    NEIGHBORS: ALL_SEEN[NEIGHBORS],
    NEAREST: Method(lambda device, seed: NeighborDistance(1, max_candidates=None)),
    NEAREST_AND_DEEP: Method(
        lambda device, seed: NearestAndDeep(device, random_state=seed), epochs="default"
    ),
    FOREST: ALL_SEEN[FOREST],
    ONE_CLASS_SVM: ALL_SEEN[ONE_CLASS_SVM],
    PYOD_SVDD: rival(PEERS[PYOD_SVDD], epochs=str(PEER_EPOCHS)),
    DEEPOD_SVDD: rival(PEERS[DEEPOD_SVDD], epochs=str(PEER_EPOCHS)),
}
WITH_LABELS = {
    SAD: ours(DeepSAD, labels=(-1, 0)),
    HSC_NAME: ours(HSC, labels=(-1, 1)),
    HSC_BCE: ours(HSC, labels=(-1, 1), loss="bce"),
    **ALL_SEEN,
    LOGISTIC: rival(logistic_regression, labels=(1, 0)),
    BOOSTING: rival(gradient_boosting, labels=(1, 0)),
    DEEPOD_SAD: rival(PEERS[DEEPOD_SAD], labels=(1, 0), epochs=str(PEER_EPOCHS)),
}
SHOWN_AT_FEW = (SAD, HSC_NAME, HSC_BCE, SVDD, NEIGHBORS, LOGISTIC, BOOSTING, DEEPOD_SAD)
IN_SUMMARY = (
    *(SVDD, MANY, SAD, HSC_NAME),
    *(NEIGHBORS, NEAREST, LOGISTIC, PYOD_SVDD),
)


def methods_of(labelled):
    """The methods of a protocol, by their names."""
    return WITHOUT_LABELS if labelled == NORMAL_ROWS else WITH_LABELS


def run(results, options):
    """Fit what is not in the results yet, table by table."""
    size = SMOKE if options.smoke else FULL_SIZE
    absent = absent_peers(PEERS)
    n_seeds = options.seeds or size.n_seeds
    for seed in range(FIRST_SEED, FIRST_SEED + n_seeds):
        for table in size.tables or adbench_names():
            for labelled, share in SHARES.items():
                missing = {
                    name: method
                    for name, method in methods_of(labelled).items()
                    if options.only in name
                    and name not in absent
                    and not results.done(**_key(labelled, table, name, method, seed))
                }
                if missing:
                    task = standardize(table_task(table, seed, share, size.max_rows))
                for name, method in missing.items():
                    key = _key(labelled, table, name, method, seed)
                    _measure(results, key, task, method, options.device)


def training_rows(task, labels):
    """The arguments of `fit` for a method: rows, and labels if it takes them."""
    if labels is None:
        return (task.x_train[~task.is_labelled],)
    return task.x_train, np.where(task.is_labelled, *labels)


def _key(labelled, table, name, method, seed):
    return {
        "protocol": "a" if labelled == NORMAL_ROWS else "b",
        "labelled": labelled,
        "table": table,
        "method": name,
        "seed": seed,
        "epochs": method.epochs,
    }


def _measure(results, key, task, method, device):
    detector = method.make(device, key["seed"])
    seconds = seconds_of(detector.fit, *training_rows(task, method.labels))
    value = auroc(task, detector.score_samples(task.x_test))
    results.add(**key, auroc=f"{value:.2f}", seconds=f"{seconds:.2f}")
    print(
        f"{key['seed']}  {key['labelled']:16} {key['table']:12} {key['method']:30} "
        f"{value:6.2f} {seconds:7.2f} s",
        flush=True,
    )


def render(rows):
    """Both protocols in words; each table, the means, and who wins how often."""
    n_tables = len(unique(column(rows, "table")))
    seeds = sorted(map(int, unique(column(rows, "seed"))))
    return "\n\n".join(
        [
            f"AUROC in percent; {n_tables} tables of ADBench, at most "
            f"{FULL_SIZE.max_rows:,} rows of each; 60 % of the rows to train on, the "
            "rest to test on, both with the table's share of anomalies; splits with a "
            f"random_state of {', '.join(map(str, seeds))}. Features are standardized "
            "by the training rows that are not labelled.",
            "- (a) **Normal rows only**: the anomalies are taken out of the training "
            "rows. No labels.\n"
            "- (b) **A few labelled anomalies**: all training rows are kept. 1 %, 5 % "
            "or 10 % of the anomalies among them, but at least one, are labelled; the "
            "others are hidden among the normal rows. Methods that take no labels are "
            "trained without the labelled rows.",
            "(a), by table, means over splits:",
            tables_table(rows, NORMAL_ROWS, WITHOUT_LABELS),
            *_wins(rows, NORMAL_ROWS, SVDD_MEAN, [NEIGHBORS, NEAREST]),
            *_wins(rows, NORMAL_ROWS, MANY_MEAN, [NEIGHBORS, NEAREST]),
            *_wins(rows, NORMAL_ROWS, NEAREST_AND_DEEP, [NEIGHBORS, NEAREST]),
            "(b), means over the tables ± standard deviation over splits:",
            shares_table(rows),
            f"(b) with {SHOWN_BY_TABLE} labelled, by table, means over splits:",
            tables_table(rows, SHOWN_BY_TABLE, SHOWN_AT_FEW),
            *_wins(rows, SHOWN_BY_TABLE, SAD, [LOGISTIC, BOOSTING]),
            *_wins(rows, SHOWN_BY_TABLE, HSC_NAME, [LOGISTIC, BOOSTING]),
            *without_rows(rows, PEERS),
        ]
    )


def render_summary(rows):
    """The methods that matter most: means over the tables."""
    lines = [
        [method, *[mean_cell(rows, labelled, method) for labelled in SHARES]]
        for method in IN_SUMMARY
        if select(rows, method=method)
    ]
    header = ["AUROC in percent", NORMAL_ROWS, *[f"{few} labelled" for few in FEW]]
    return markdown_table(header, lines)


def tables_table(rows, labelled, methods):
    """Tables down, methods across, and their means in the last row."""
    methods = [
        method for method in methods if select(rows, labelled=labelled, method=method)
    ]
    tables = sorted(unique(column(rows, "table")), key=str.lower)
    values = {method: table_means(rows, labelled, method) for method in methods}
    lines = [
        [
            table,
            *[
                f"{values[method][table]:.1f}" if table in values[method] else ""
                for method in methods
            ],
        ]
        for table in tables
    ]
    means = ["mean", *[mean_cell(rows, labelled, method) for method in methods]]
    return markdown_table(["table", *methods], [*lines, means])


def shares_table(rows):
    """Methods down, shares of labelled anomalies across, and seconds to fit."""
    lines = []
    for method in WITH_LABELS:
        of_method = [
            row for row in select(rows, method=method) if row["labelled"] in FEW
        ]
        if of_method:
            seconds = mean(float(row["seconds"]) for row in of_method)
            cells = [mean_cell(rows, labelled, method) for labelled in FEW]
            lines.append([method, *cells, f"{seconds:.2f}"])
    return markdown_table(["labelled anomalies", *FEW, "seconds to fit"], lines)


def mean_cell(rows, labelled, method):
    """Mean over the tables and its spread over splits, of splits that have them all."""
    tables = unique(column(rows, "table"))
    chosen = select(rows, labelled=labelled, method=method)
    return mean_of_complete_seeds(chosen, "auroc", len(tables))


def table_means(rows, labelled, method):
    """Mean over splits of each table."""
    values = {}
    for row in select(rows, labelled=labelled, method=method):
        values.setdefault(row["table"], []).append(float(row["auroc"]))
    return {table: mean(figures) for table, figures in values.items()}


def _wins(rows, labelled, method, rivals):
    """A sentence on how often a method is above its rivals, once all are there."""
    measured = table_means(rows, labelled, method)
    parts = []
    for name in rivals:
        compared = table_means(rows, labelled, name)
        if not measured or measured.keys() != compared.keys():
            return []
        gains = [measured[table] - compared[table] for table in measured]
        n_won = sum(gain > 0 for gain in gains)
        parts.append(f"above {name} on {n_won} ({mean(gains):+.1f} on average)")
    return [f"Of {len(measured)} tables, {method} is {' and '.join(parts)}."]
