"""New normal samples below a threshold: are they as many as it promised?"""

import time
from collections.abc import Callable
from functools import partial
from statistics import mean
from typing import NamedTuple

import numpy as np
from scipy.stats import false_discovery_control
from sklearn.base import clone, is_classifier
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM

from benchmarks.datasets import (
    FewLabelsTask,
    adbench_names,
    load_mnist,
    one_class_task,
    small_digits_open_set,
    small_digits_task,
    standardize,
    table_task,
)
from benchmarks.methods import (
    OUTLIER,
    CrossFitted,
    ScoreOfRival,
    absent_peers,
    all_streams_seeded,
    as_rows,
    auroc,
    on_rows,
    one_thread,
    percent,
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
from sk_hypersphere import (
    HSC,
    CACClassifier,
    CenterLossClassifier,
    DeepSAD,
    DeepSVDD,
    EIDNEmbedder,
    HypersphereEnsemble,
    IILossClassifier,
    MCHADClassifier,
    SubclusterDetector,
)

NAME = "false-alarms"
DESCRIPTION = "Promised and actual shares of false alarms; discoveries by p-values."

# Every model is fitted with the first promise, its own; thresholds of the others follow
# from the same fit, as far as a method allows.
PROMISE = 0.05
PROMISES = {"far01": 0.01, "far05": PROMISE, "far10": 0.1}
TOO_MANY = 2 * 100 * PROMISE  # percent of false alarms, above which tables are counted

# Benjamini and Hochberg's procedure, on a test set with so many anomalies.
DISCOVERY_RATE = 0.1
TESTED_ANOMALIES = 0.05

# The least p-value, 1 / (m + 1), is too large for the procedure with fewer calibration
# samples, even if all anomalies and no more normal samples than by chance have it.
ENOUGH_TO_DISCOVER = (
    round((1 / DISCOVERY_RATE - (1 - TESTED_ANOMALIES)) / TESTED_ANOMALIES) - 1
)

FIRST_SEED = 30  # splits that no other table has

LABELLED_SHARE = 0.05
NORMAL_DIGITS = ((0, 1, 3), (2, 5, 8), (4, 6, 7, 9))
KNOWN_DIGITS, EXAMPLE_DIGITS = (0, 1, 2, 3, 4, 5), (6, 7)
MNIST_GROUPS = ((0, 1), (2, 5, 8), (0, 1, 3, 7))
N_FEW = 60  # normal rows, where there are few

NORMAL_ROWS = "normal rows only"
FEW_LABELS = "5 % of the anomalies labelled"
DIGITS = "digits of 8 x 8 pixels"
CLASSES = "classifiers"
MNIST = "MNIST"
FEW_ROWS = f"{N_FEW} normal rows"


class Size(NamedTuple):
    """How much of it all is done; None is as much as there is, or as a setting says."""

    tables: tuple | None
    n_groups: int | None
    n_seeds: int | None
    max_rows: int
    max_images: int
    params: dict


FULL_SIZE = Size(None, None, None, max_rows=6_000, max_images=6_000, params={})
SMOKE = Size(
    ("Pima",),
    n_groups=1,
    n_seeds=1,
    max_rows=300,
    max_images=300,
    params={"max_epochs": 1},
)


class Task(NamedTuple):
    """Training samples of a model, and samples to test it; `y_train` may be None."""

    x_train: np.ndarray
    y_train: np.ndarray | None
    x_test: np.ndarray
    is_normal: np.ndarray


class Method(NamedTuple):
    """How a model is made, and how it would decide with another promise.

    Parameters
    ----------
    make : callable
        Makes the model from a device, a seed and parameters of our estimators.

    alarms : callable
        ``alarms(model, x_train, X, promise)`` says which of the samples `X` the fitted
        model would call abnormal if it had promised another share of false alarms.
    """

    make: Callable
    alarms: Callable


def below_calibration(model, x_train, X, promise):
    """Samples below the threshold that the calibration samples give."""
    scores = model.calibration_scores_
    return model.score_samples(X) < np.quantile(scores, promise, method="weibull")


def below_training(training_scores, model, x_train, X, promise):
    """Samples below the share of the training samples that scikit-learn and PyOD take.

    `training_scores` is called with the model and its training samples.
    """
    threshold = np.percentile(training_scores(model, x_train), 100 * promise)
    return model.score_samples(X) < threshold


def fitted_anew(name, model, x_train, X, promise):
    """Alarms of another fit, where the promise is a parameter of the training."""
    other = clone(model).set_params(**{name: promise})
    return other.fit(x_train).predict(X) < 0


def own_alarms(model, X):
    """Decisions of a model by its own promise."""
    decide = model.detect if is_classifier(model) else model.predict
    return decide(X) < 0


def ours(cls, **params):
    """An estimator of ours with its defaults, but for a parameter that names it."""

    def make(device, seed, **size_params):
        return cls(device=device, random_state=seed, **params, **size_params)

    return Method(make, below_calibration)


def ensemble(cls):
    """Five members of an estimator of ours with its defaults."""

    def make(device, seed, **size_params):
        member = cls(device=device, **size_params)
        return HypersphereEnsemble(member, n_members=5, random_state=seed)

    return Method(make, below_calibration)


def cross_fitted(cls, **params):
    """An estimator of ours that holds nothing out, calibrated by five other fits."""

    def make(device, seed, **size_params):
        estimator = cls(device=device, **params, **size_params)
        return CrossFitted(
            estimator, false_alarm_rate=PROMISE, n_folds=5, random_state=seed
        )

    return Method(make, below_calibration)


class DetectorOfPyOD(ScoreOfRival):
    """A detector of PyOD with its own threshold, as scikit-learn has it."""

    def predict(self, X):
        with all_streams_seeded(self.random_state):
            return np.where(self.rival_.predict(X) == 1, -1, 1)


def rival(make, training_scores):
    """A method whose threshold is a percentile of its training scores."""
    return Method(
        lambda device, seed, **size_params: make(seed),
        partial(below_training, training_scores),
    )


def principal_rows(detector):
    """Images as rows of 50 principal components, which a rival gets."""
    return on_rows(PCA(50, svd_solver="covariance_eigh"), detector)


def make_forest(seed):
    return IsolationForest(contamination=PROMISE, random_state=seed)


def make_factor(seed):
    return LocalOutlierFactor(novelty=True, contamination=PROMISE)


def make_pyod(seed):
    make = partial(pyod_deep_svdd, contamination=PROMISE)
    return DetectorOfPyOD(make, random_state=seed)


def scores_of_forest(forest, x_train):
    return forest.score_samples(x_train)


def scores_of_factor(factor, x_train):
    """Scores by neighbours among the other training rows, of a pipeline too."""
    return getattr(factor, "steps", [(None, factor)])[-1][1].negative_outlier_factor_


def scores_of_pyod(detector, x_train):
    return -detector.rival_.decision_scores_


SVDD = "`DeepSVDD()`"
MANY = "`DeepSVDD(multi_radius=True)`"
TENTH, CROSS = "a tenth held out", "cross-fitted in 5 folds"
FOREST = "IsolationForest"
FACTOR = "LocalOutlierFactor"
ONE_CLASS_SVM = "OneClassSVM"
PYOD_SVDD = "PyOD DeepSVDD"

PEERS = {PYOD_SVDD: pyod_deep_svdd}
RIVALS = {
    FOREST: rival(make_forest, scores_of_forest),
    FACTOR: rival(make_factor, scores_of_factor),
    ONE_CLASS_SVM: Method(
        lambda device, seed, **size_params: OneClassSVM(nu=PROMISE),
        partial(fitted_anew, "nu"),
    ),
    PYOD_SVDD: rival(make_pyod, scores_of_pyod),
}
WITHOUT_LABELS = {
    SVDD: ours(DeepSVDD),
    MANY: ours(DeepSVDD, multi_radius=True),
    "`DeepSAD()`": ours(DeepSAD),
    "`HSC()`": ours(HSC),
    "`SubclusterDetector()`": ours(SubclusterDetector),
    "`HypersphereEnsemble(DeepSVDD(), 5)`": ensemble(DeepSVDD),
    **RIVALS,
}
IN_SUMMARY = (SVDD, MANY, FOREST, ONE_CLASS_SVM, PYOD_SVDD)
WITH_LABELS = {
    "`HSC()`": ours(HSC),
    "`DeepSAD()`": ours(DeepSAD),
    "`EIDNEmbedder()`": ours(EIDNEmbedder),
    "`HypersphereEnsemble(HSC(), 5)`": ensemble(HSC),
}
CLASSIFIERS = {
    f"`{cls.__name__}()`": ours(cls)
    for cls in (MCHADClassifier, CACClassifier, CenterLossClassifier, IILossClassifier)
}
OF_IMAGES = {
    SVDD: WITHOUT_LABELS[SVDD],
    MANY: WITHOUT_LABELS[MANY],
    "`SubclusterDetector()`": WITHOUT_LABELS["`SubclusterDetector()`"],
    f"PCA(50) + {FOREST}": rival(
        lambda seed: principal_rows(make_forest(seed)), scores_of_forest
    ),
    f"PCA(50) + {FACTOR}": rival(
        lambda seed: principal_rows(make_factor(seed)), scores_of_factor
    ),
}
# The default chooses calibration samples as it sees fit; these do it otherwise.
CALIBRATED = {
    f"{SVDD}, {TENTH}": ours(DeepSVDD, calibration_fraction=0.1),
    f"{SVDD}, {CROSS}": cross_fitted(DeepSVDD),
    f"{MANY}, {TENTH}": ours(DeepSVDD, multi_radius=True, calibration_fraction=0.1),
    f"{MANY}, {CROSS}": cross_fitted(DeepSVDD, multi_radius=True),
}


def table_of_rows(name, seed, size, labelled_share=None, n_rows=None):
    """A table of ADBench, standardized; of the training rows, so many are drawn."""
    task = table_task(name, seed, labelled_share, size.max_rows)
    drawn = np.random.RandomState(seed).permutation(len(task.x_train))[:n_rows]
    task = task._replace(
        x_train=task.x_train[drawn], is_labelled=task.is_labelled[drawn]
    )
    task = standardize(task)
    y = None if labelled_share is None else np.where(task.is_labelled, OUTLIER, 0)
    return Task(task.x_train, y, task.x_test, task.is_normal)


def group_of_digits(group, seed, size):
    """scikit-learn's digits as standardized rows, some of them normal."""
    task = small_digits_task(group, seed)
    nothing = np.zeros(len(task.x_train), dtype=bool)
    rows = as_rows(task.x_train), nothing, as_rows(task.x_test), task.is_normal
    task = standardize(FewLabelsTask(*rows))
    return Task(task.x_train, None, task.x_test, task.is_normal)


def known_digits(known, seed, size):
    """scikit-learn's digits as rows, some of them known classes."""
    task = small_digits_open_set(known, EXAMPLE_DIGITS, seed)
    x_train, x_test = as_rows(task.x_train), as_rows(task.x_test)
    return Task(x_train, task.y_train, x_test, task.is_known)


def group_of_images(group, seed, size):
    """Images of MNIST, of which a part is trained on."""
    task = one_class_task(load_mnist(), group)
    drawn = np.random.RandomState(seed).permutation(len(task.x_train))
    x_train = task.x_train[drawn[: size.max_images]]
    return Task(x_train, None, task.x_test, task.is_normal)


class Setting(NamedTuple):
    """Tasks of one kind, and the methods that are fitted on them.

    Parameters
    ----------
    names : callable
        Names of the tables, or groups of digits, of a size.

    make_task : callable
        Makes a task from a name, a seed and a size.

    methods : dict of str to Method

    n_seeds : int

    explanation : str
        A sentence or two for the report.
    """

    names: Callable
    make_task: Callable
    methods: dict
    n_seeds: int
    explanation: str


def names_of_tables(size):
    return size.tables or adbench_names()


def names_of_some_tables(size):
    """Five tables of ADBench, evenly spaced."""
    return size.tables or adbench_names()[2::4]


SETTINGS = {
    NORMAL_ROWS: Setting(
        names_of_tables,
        table_of_rows,
        WITHOUT_LABELS | CALIBRATED,
        n_seeds=3,
        explanation="Tables of ADBench; all anomalies are taken out of the training "
        "rows. No labels.",
    ),
    FEW_LABELS: Setting(
        names_of_tables,
        partial(table_of_rows, labelled_share=LABELLED_SHARE),
        WITH_LABELS,
        n_seeds=3,
        explanation="The same tables with all training rows. The other anomalies are "
        "hidden among the rows without a label, and so among those that place the "
        "threshold. They tend to score lower than normal rows, which draws it down: it "
        "errs to the safe side, to fewer false alarms than promised.",
    ),
    DIGITS: Setting(
        lambda size: NORMAL_DIGITS[: size.n_groups],
        group_of_digits,
        WITHOUT_LABELS,
        n_seeds=3,
        explanation="scikit-learn's digits as standardized rows. A group of digits is "
        "normal, and half of its images are trained on.",
    ),
    CLASSES: Setting(
        lambda size: (KNOWN_DIGITS,),
        known_digits,
        CLASSIFIERS,
        n_seeds=3,
        explanation="scikit-learn's digits as rows of raw pixels. 0 to 5 are known, "
        "and half of their images are trained on; 8 and 9 are new in the test. False "
        "alarms are images of known classes that `detect` calls new.",
    ),
    MNIST: Setting(
        lambda size: MNIST_GROUPS[: size.n_groups],
        group_of_images,
        OF_IMAGES,
        n_seeds=1,
        explanation="A group of digits is normal. At most "
        f"{FULL_SIZE.max_images:,} of its training images, drawn by the seed, are "
        "trained on. Rivals get rows of 50 principal components.",
    ),
    FEW_ROWS: Setting(
        names_of_some_tables,
        partial(table_of_rows, n_rows=N_FEW),
        WITHOUT_LABELS,
        n_seeds=5,
        explanation=f"Tables of ADBench, of which {N_FEW} normal rows, drawn by the "
        "seed, are all there is to train on.",
    ),
}


@one_thread()
def run(results, options):
    """Fit what is not in the results yet, setting by setting."""
    size = SMOKE if options.smoke else FULL_SIZE
    absent = absent_peers(PEERS)
    for data, setting in SETTINGS.items():
        n_seeds = options.seeds or size.n_seeds or setting.n_seeds
        for seed in range(FIRST_SEED, FIRST_SEED + n_seeds):
            for name in setting.names(size):
                missing = {
                    method: key
                    for method in setting.methods
                    if method not in absent
                    and options.only in f"{data} {text_of(name)} {method}"
                    and not results.done(**(key := _key(data, name, method, seed)))
                }
                if missing:
                    task = setting.make_task(name, seed, size)
                for method, key in missing.items():
                    how = setting.methods[method]
                    model = how.make(options.device, seed, **size.params)
                    _add(results, key, figures(model, how.alarms, task, seed))


def text_of(name):
    """A table's name, or the digits of a group."""
    return name if isinstance(name, str) else " ".join(map(str, name))


def _key(data, name, method, seed):
    return {"data": data, "table": text_of(name), "method": method, "seed": seed}


def figures(model, alarms, task, seed):
    """Fit a model; return the figures of its row, in percent and seconds."""
    fit_seconds = seconds_of(model.fit, task.x_train, task.y_train)
    start = time.perf_counter()
    scores = model.score_samples(task.x_test)
    score_seconds = time.perf_counter() - start
    normal = task.x_test[task.is_normal]
    shares = {
        name: own_alarms(model, normal).mean()
        if promise == PROMISE
        else alarms(model, task.x_train, normal, promise).mean()
        for name, promise in PROMISES.items()
    }
    calibrates = hasattr(model, "p_values")
    found = discoveries(task, model.p_values(task.x_test), seed) if calibrates else {}
    return {
        **{name: percent(share) for name, share in shares.items()},
        "auroc": f"{auroc(task, scores):.2f}",
        "bh_power": percent(found["power"]) if found else "",
        "bh_fdp": percent(found["fdp"]) if found else "",
        "n_calibration": len(model.calibration_scores_) if calibrates else "",
        "fit_seconds": f"{fit_seconds:.3f}",
        "score_seconds": f"{score_seconds:.4f}",
    }


def discoveries(task, p_values, seed):
    """Share of the anomalies found, and of false ones among all that is found.

    Of the anomalies in the test, so many are drawn that they are 5 % of it, as far as
    there are so many, but at least one.
    """
    anomalies = np.flatnonzero(~task.is_normal)
    n_drawn = TESTED_ANOMALIES / (1 - TESTED_ANOMALIES) * np.sum(task.is_normal)
    drawn = np.random.RandomState(seed).permutation(anomalies)
    drawn = drawn[: max(1, round(n_drawn))]
    tested = np.concatenate([np.flatnonzero(task.is_normal), drawn])
    found = tested[false_discovery_control(p_values[tested]) <= DISCOVERY_RATE]
    n_false = np.sum(task.is_normal[found])
    return {
        "power": (len(found) - n_false) / len(drawn),
        "fdp": n_false / max(1, len(found)),
    }


def _add(results, key, row):
    results.add(**key, **row)
    print(
        f"{key['seed']}  {key['data']:30} {key['table']:12} {key['method']:50} "
        f"{row['far05']:>6} % {row['auroc']:>6} {row['fit_seconds']:>8} s",
        flush=True,
    )


HEADER = [
    *("false alarms, promised 1 %", "5 %", "10 %", "worst task"),
    *(f"tasks above {TOO_MANY:.0f} %", "AUROC", "discovered", "false"),
    *("seconds to fit", "seconds to score"),
]


def render(rows):
    """A table for each setting; one also for other ways to choose calibration rows."""
    parts = [
        "All but seconds are in percent. False alarms are new normal samples of the "
        "test below a threshold: means over tasks, which are tables or groups of "
        "digits, ± standard deviation over seeds. The worst task has most of them at a "
        "promise of 5 %, of means over seeds; those above "
        f"{TOO_MANY:.0f} % have more than twice as many as promised. Of the "
        "anomalies, so many are drawn that they are 5 % of the test; a share of them "
        "is discovered by Benjamini and Hochberg's procedure, where a tenth of the "
        "discoveries may be false, and a share of these is. Methods without p-values "
        f"have no such figures. Seeds start at {FIRST_SEED}."
    ]
    for data, setting in SETTINGS.items():
        chosen = select(rows, data=data)
        shown = [method for method in setting.methods if method not in CALIBRATED]
        main = [row for row in chosen if row["method"] in shown]
        if main:
            tasks, seeds = (unique(column(main, name)) for name in ("table", "seed"))
            size = f"{count(len(tasks), 'task')}, {count(len(seeds), 'seed')}"
            parts += [
                f"**{data}**, {size}. {setting.explanation}",
                setting_table(main, shown),
                promises_in_words(main),
            ]
        if any(row["method"] in CALIBRATED for row in chosen):
            parts += other_calibrations(chosen)
    return "\n\n".join([*parts, *without_rows(rows, PEERS)])


def render_summary(rows):
    """A sentence on false alarms on tables where 5 % were promised."""
    chosen = select(rows, data=NORMAL_ROWS)
    parts = []
    for method in IN_SUMMARY:
        of_method = select(chosen, method=method)
        if of_method:
            worst, _ = worst_cells(of_method)
            parts.append(
                f"{method} {mean_of(of_method, 'far05'):.1f} %, at worst {worst}"
            )
    n_tables = len(unique(column(chosen, "table")))
    return (
        f"New normal rows called anomalies where 5 % were promised, {n_tables} tables "
        f"of ADBench: {'; '.join(parts)}."
    )


def setting_table(rows, methods):
    """Methods down; all figures of a setting across."""
    lines = []
    for method in methods:
        chosen = select(rows, method=method)
        if chosen:
            lines.append(
                [
                    method,
                    *[mean_cell(rows, method, name) for name in PROMISES],
                    *worst_cells(chosen),
                    mean_cell(rows, method, "auroc"),
                    *[mean_cell(rows, method, name) for name in ("bh_power", "bh_fdp")],
                    f"{mean_of(chosen, 'fit_seconds'):.2f}",
                    f"{mean_of(chosen, 'score_seconds'):.3f}",
                ]
            )
    return markdown_table(["", *HEADER], lines)


def mean_cell(rows, method, name):
    """Mean over tasks and its spread over seeds, of seeds that have them all."""
    n_tasks = len(unique(column(rows, "table")))
    measured = [row for row in select(rows, method=method) if row[name]]
    return mean_of_complete_seeds(measured, name, n_tasks)


def worst_cells(rows):
    """The task with most false alarms, and how many tasks have too many."""
    shares = {
        table: mean_of(select(rows, table=table), "far05")
        for table in unique(column(rows, "table"))
    }
    worst = max(shares, key=shares.get)
    n_above = sum(share > TOO_MANY for share in shares.values())
    return f"{shares[worst]:.1f} ({worst})", n_above


def mean_of(rows, name):
    """Mean of a column."""
    return mean(float(row[name]) for row in rows)


def count(number, noun):
    """A number with its noun, in the plural unless it is 1."""
    return f"{number} {noun}{'s' * (number != 1)}"


def promises_in_words(rows):
    """Actual shares for a promise of 5 %, of our detectors and of rivals."""
    calibrated = [row for row in rows if row["n_calibration"]]
    others = [row for row in rows if not row["n_calibration"]]
    parts = [
        f"{span([mean_of(select(group, method=m), 'far05') for m in methods])} % with "
        f"{whose}"
        for group, whose in ((calibrated, "ours"), (others, "rivals"))
        if (methods := unique(column(group, "method")))
    ]
    sentence = f"A promise of 5 % became {' and '.join(parts)}, on average over tasks."
    if not calibrated:
        return sentence
    sizes = {row["table"]: int(row["n_calibration"]) for row in calibrated}
    sentence += (
        f" Thresholds of ours are placed by {span(sizes.values(), digits=0)} samples"
    )
    n_small = sum(size < ENOUGH_TO_DISCOVER for size in sizes.values())
    if not n_small:
        return f"{sentence}."
    return (
        f"{sentence}; on {count(n_small, 'task')} by fewer than {ENOUGH_TO_DISCOVER}, "
        "with which hardly anything can be discovered."
    )


def span(values, digits=1):
    """The smallest and the largest value, or both in one."""
    ends = unique(f"{end:,.{digits}f}" for end in (min(values), max(values)))
    return " to ".join(ends)


def other_calibrations(rows):
    """The default beside other calibration samples, in a table and in words."""
    methods = [
        method for method in (SVDD, MANY) for method in (method, *variants_of(method))
    ]
    sentences = []
    for default in (SVDD, MANY):
        before = select(rows, method=default)
        for method in variants_of(default):
            after = select(rows, method=method)
            fits = [{(row["table"], row["seed"]) for row in g} for g in (before, after)]
            if after and fits[0] == fits[1]:
                sentences.append(_compare(method, after, before))
    return [
        f"How calibration samples are chosen, **{NORMAL_ROWS}**. Beside the default, a "
        "tenth of the training rows is held out; or none is, and five further fits, "
        "each without a fifth of the rows, score the rows they have not seen. These "
        "scores are brought to the median and the interquartile range of the training "
        "scores of the fit on all rows, and place its threshold.",
        setting_table(rows, methods),
        *(["\n".join(sentences)] if sentences else []),
    ]


def variants_of(default):
    """A detector's names where its calibration samples are chosen otherwise."""
    return [method for method in CALIBRATED if method.startswith(f"{default},")]


def _compare(method, after, before):
    gain, power = (
        mean_of(after, n) - mean_of(before, n) for n in ("auroc", "bh_power")
    )
    times = mean_of(after, "fit_seconds") / mean_of(before, "fit_seconds")
    (_, n_after), (_, n_before) = worst_cells(after), worst_cells(before)
    return (
        f"- {method}: AUROC {gain:+.2f} and discoveries {power:+.1f} beside the "
        f"default, {times:.1f} times its seconds to fit, "
        f"{count(n_after, 'task')} above {TOO_MANY:.0f} % rather than {n_before}."
    )
