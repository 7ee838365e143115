"""MNIST, several digits normal: sub-clusters that are known, found, or not used."""

from functools import cached_property, partial
from itertools import product
from statistics import mean, stdev
from typing import NamedTuple

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator

from benchmarks.datasets import load_cifar10, load_mnist, novelty_task
from benchmarks.methods import (
    ALL_SAMPLES,
    auroc,
    check_finished,
    mnist_detectors,
    on_rows,
    seconds_of,
)
from benchmarks.report import (
    column,
    markdown_table,
    mean_and_spread,
    mean_of_complete_seeds,
    new_figure,
    select,
    unique,
)
from sk_hypersphere import ISIFEmbedder, SubclusterDetector
from sk_hypersphere.confidence import (
    MahalanobisDistance,
    NeighborDistance,
    energy,
    logits_of,
    msp,
    odin,
)
from sk_hypersphere.modules import AugmentImages

NAME = "subclusters"
DESCRIPTION = "MNIST, several digits normal: sub-clusters known, found, or not used."


SCORES = ("msp", "odin", "energy", "mahalanobis", "knn")
EPSILON = 0.0014 * 255  # of ODIN, on pixels from 0 to 255

# A digit in a mirror is another one, or none.
VIEWS = AugmentImages(flip=False)

ROTNET_EPOCHS = 2

KS = (2, 3, 4, 5)
DIGITS = tuple(range(10))

# "knn" compares with all training images, and in a table of its own with some.
N_CANDIDATES = {"1,000": 1_000, "10,000 (default)": 10_000, "all": None}

# Digits that are split into more and more sub-clusters.
N_CLUSTERS = (2, 4, 8, 16)
NORMAL_OF_EIGHT, NOVEL_OF_EIGHT = DIGITS[:8], DIGITS[8:]

# G. Lee and S. Lee. "Sub-clusters of Normal Data for Anomaly Detection". 2020.
PUBLISHED_BY_K = {
    "MSP": (97, 95, 93, 94),
    "ODIN": (97, 94, 94, 93),
    "RotNet, MSP": (89, 87, 87, 84),
}
PUBLISHED_BY_DIGIT = {
    "MSP": (97, 98, 97, 96, 94, 97, 98, 96, 99, 97),
    "ODIN": (97, 100, 96, 95, 94, 93, 97, 96, 99, 96),
}


class Size(NamedTuple):
    """How much of it all is done; None is everything, and the defaults."""

    ks: tuple[int, ...]
    digits: tuple[int, ...]
    n_clusters: tuple[int, ...]
    n_seeds: int
    n_train: int | None = None
    epochs: int | None = None


FULL_SIZE = Size(KS, DIGITS, N_CLUSTERS, n_seeds=3)
SMOKE = Size((2,), (0,), (2, 4), n_seeds=1, n_train=500, epochs=2)


class Fit(NamedTuple):
    """The columns of a row that come before the result."""

    test: str
    case: str
    method: str
    seed: int


class Case(NamedTuple):
    """A task: which classes are normal, and which are not."""

    test: str
    name: str
    normal: tuple[int, ...]
    anomalies: tuple[int, ...]


def cases(size):
    """All tasks on MNIST, with their number of seeds."""
    for k in size.ks:
        yield Case("2", f"{k}", DIGITS[:k], DIGITS[5:]), size.n_seeds
    for digit in size.digits:
        others = tuple(other for other in DIGITS if other != digit)
        yield Case("3", f"{digit}", others, (digit,)), 1


class Trial:
    """A task with a seed; embeddings that several methods need are made once.

    Parameters
    ----------
    task : OneClassTask

    params : dict
        Parameters of every net.
    """

    def __init__(self, task, params):
        self.task = task
        self.params = params
        self.detector_params = {**ALL_SAMPLES, **params}

    @cached_property
    def embedder(self):
        """An ISIFEmbedder, fitted, and the seconds that it took."""
        embedder = ISIFEmbedder(augment=VIEWS, **self.params)
        seconds = seconds_of(embedder.fit, self.task.x_train)
        check_finished(embedder, embedder.net_.max_epochs)
        return embedder, seconds

    @cached_property
    def labelled_embeddings(self):
        """Training and test images as a detector embeds them, and its seconds."""
        detector, task = SubclusterDetector(**self.detector_params), self.task
        seconds = seconds_of(detector.fit, task.x_train, cluster_labels=task.y_train)
        check_finished(detector, detector.net_.max_epochs)
        return *map(detector.transform, (task.x_train, task.x_test)), seconds

    def fit(self, detector, **params):
        """Scores of test images by each score, from one fit, and its seconds."""
        X, x_test = self.task.x_train, self.task.x_test
        seconds = seconds_of(detector.fit, X, **params)
        check_finished(detector, detector.net_.max_epochs)
        Z, z_test = detector.transform(X), detector.transform(x_test)
        by_class = MahalanobisDistance().fit(Z, detector.labels_)
        of_embeddings = {
            "mahalanobis": by_class.score_samples(z_test),
            "knn": among(None, Z, z_test),
        }
        return scores_of_logits(detector, x_test) | of_embeddings, seconds


def among(max_candidates, Z, z_test):
    """Scores of test embeddings by their neighbours among so many others."""
    neighbors = NeighborDistance(max_candidates=max_candidates).fit(Z)
    return neighbors.score_samples(z_test)


def scores_of_logits(detector, x_test):
    logits = logits_of(detector, x_test)
    return {
        "msp": msp(logits),
        "odin": odin(detector, x_test, epsilon=EPSILON),
        "energy": energy(logits),
    }


def labelled(trial, augment=None):
    detector = SubclusterDetector(augment=augment, **trial.detector_params)
    return trial.fit(detector, cluster_labels=trial.task.y_train)


def found(trial):
    return trial.fit(SubclusterDetector(**trial.detector_params))


def found_in_isif(trial):
    embedder, seconds = trial.embedder
    frozen = FrozenEstimator(embedder)
    detector = SubclusterDetector(embedder=frozen, **trial.detector_params)
    scores, more_seconds = trial.fit(detector)
    return scores, seconds + more_seconds


def isif_and_neighbors(trial):
    embedder, seconds = trial.embedder
    task = trial.task
    Z, z_test = map(embedder.transform, (task.x_train, task.x_test))
    return {"knn": among(None, Z, z_test)}, seconds


def rotations(trial):
    """Which way is up (RotNet), in place of sub-clusters."""
    X = trial.task.x_train
    turned = np.concatenate([np.rot90(X, turns, axes=(2, 3)) for turns in range(4)])
    labels = np.repeat(range(4), len(X))
    detector = SubclusterDetector(
        **{"max_epochs": ROTNET_EPOCHS, **trial.detector_params}, score_rule="msp"
    )
    seconds = seconds_of(detector.fit, turned, cluster_labels=labels)
    check_finished(detector, detector.net_.max_epochs)
    return scores_of_logits(detector, trial.task.x_test), seconds


def first_idea(method, trial):
    device, seed = trial.params["device"], trial.params["random_state"]
    detector, _ = mnist_detectors(device, seed)[method]
    seconds = seconds_of(detector.fit, trial.task.x_train)
    return {"knn": detector.score_samples(trial.task.x_test)}, seconds


# The table has these names.
METHODS = {
    "labelled sub-clusters": labelled,
    "labelled, augmented": partial(labelled, augment=VIEWS),
    "FINCH": found,
    "ISIF + FINCH": found_in_isif,
    "ISIF + 5 neighbours": isif_and_neighbors,
    "RotNet": rotations,
    **{
        name: partial(first_idea, name)
        for name in ("PCA(50) + 5 neighbours", "contrast + PCA(50) + 5 neighbours")
    },
}

# Colors of Okabe and Ito, which color-blind people can distinguish.
CURVES = {
    ("labelled sub-clusters", "knn"): "#D55E00",
    ("labelled sub-clusters", "msp"): "#E69F00",
    ("labelled, augmented", "knn"): "#000000",
    ("FINCH", "knn"): "#0072B2",
    ("ISIF + FINCH", "knn"): "#56B4E9",
    ("ISIF + 5 neighbours", "knn"): "#009E73",
    ("RotNet", "msp"): "#CC79A7",
    ("contrast + PCA(50) + 5 neighbours", "knn"): "#777777",
}
PUBLISHED_CURVES = {"MSP": "#E69F00", "RotNet, MSP": "#CC79A7"}


def run(results, options):
    """Fit what is not in the results yet, and draw the figure."""
    size = SMOKE if options.smoke else FULL_SIZE
    mnist = load_mnist()
    for case, n_seeds in cases(size):
        for seed in range(options.seeds or n_seeds):
            trial = Trial(task_of(mnist, case, size), params_of(size, options, seed))
            for method, measure in METHODS.items():
                fit = Fit(case.test, case.name, method, seed)
                record(results, options, fit, trial, measure)
    for name, split in {"MNIST": mnist, "CIFAR-10": load_cifar10()}.items():
        case = Case("clusters", name, NORMAL_OF_EIGHT, NOVEL_OF_EIGHT)
        for seed, n_clusters in product(range(options.seeds or 1), size.n_clusters):
            trial = Trial(task_of(split, case, size), params_of(size, options, seed))
            fit = Fit(case.test, case.name, f"{n_clusters}", seed)
            record(results, options, fit, trial, partial(split_up, n_clusters))
    for case in (case for case, _ in cases(size) if case.test == "3"):
        trial = Trial(task_of(mnist, case, size), params_of(size, options, seed=0))
        for name, max_candidates in N_CANDIDATES.items():
            fit = Fit("candidates", case.name, name, seed=0)
            record(results, options, fit, trial, partial(some_of, max_candidates))
    if select(results.rows, test="2"):
        results.save_picture(draw(results.rows))


def task_of(split, case, size):
    task = novelty_task(split, case.normal, case.anomalies)
    chosen = slice(size.n_train)
    return task._replace(x_train=task.x_train[chosen], y_train=task.y_train[chosen])


def params_of(size, options, seed):
    epochs = {"max_epochs": size.epochs} if size.epochs else {}
    return {"device": options.device, "random_state": seed, **epochs}


def record(results, options, fit, trial, measure):
    """Measure one row, unless it is there."""
    key = fit._asdict()
    label = f"test {fit.test} {fit.case} {fit.method}"
    if options.only not in label or results.done(**key):
        return
    scores, seconds = measure(trial)
    figures = {name: auroc(trial.task, scores[name]) for name in scores}
    results.add(
        **key,
        **{s: f"{figures[s]:.2f}" if s in figures else "" for s in SCORES},
        seconds=f"{seconds:.1f}",
    )
    listing = "  ".join(f"{name} {value:.2f}" for name, value in figures.items())
    print(f"{label}, seed {fit.seed}: {listing}, {seconds:.1f} s", flush=True)


def clusters_of(n_clusters, X, y):
    """Eight classes as so many sub-clusters: classes together, or each in two."""
    if n_clusters <= len(NORMAL_OF_EIGHT):
        return y * n_clusters // len(NORMAL_OF_EIGHT)
    halve = on_rows(PCA(50, random_state=0), KMeans(2, random_state=0))
    halves = np.empty_like(y)
    for label in np.unique(y):
        halves[y == label] = halve.fit_predict(X[y == label])
    return 2 * y + halves


def split_up(n_clusters, trial):
    labels = clusters_of(n_clusters, trial.task.x_train, trial.task.y_train)
    return trial.fit(SubclusterDetector(**trial.detector_params), cluster_labels=labels)


def some_of(max_candidates, trial):
    Z, z_test, seconds = trial.labelled_embeddings
    return {"knn": among(max_candidates, Z, z_test)}, seconds


def render(rows):
    """Test 2, test 3, how more clusters help, and how little fewer neighbours hurt."""
    parts = []
    by_k, by_digit, splits, candidates = (
        select(rows, test=test) for test in ("2", "3", "clusters", "candidates")
    )
    if by_k:
        parts += [
            "Test 2: digits below k are normal, 5 to 9 are not; AUROC in percent, "
            "mean ± standard deviation over seeds:",
            table(by_k, KS, PUBLISHED_BY_K, "normal digits k"),
        ]
    if by_digit:
        parts += [
            "Test 3: one digit is not normal, the nine others are; AUROC in percent:",
            table(by_digit, DIGITS, PUBLISHED_BY_DIGIT, "digit that is not normal"),
        ]
    if splits:
        parts += [
            "The classes 0 to 7 are normal, 8 and 9 are not. The eight are labelled as "
            "2, 4 or 8 sub-clusters of classes with neighbouring numbers, or as 16, "
            "halves of classes; AUROC in percent:",
            splits_table(splits),
        ]
    if candidates:
        parts += [
            "Neighbours among some of the training images, `max_candidates`, in the "
            "embedding that labelled sub-clusters taught in test 3; AUROC in percent:",
            table(candidates, DIGITS, {}, "digit that is not normal"),
        ]
    return "\n\n".join(parts)


def table(rows, cases, published, title):
    """Methods and scores down, tasks across, their mean at the end."""
    lines = [
        [f"published, {name}", *map(str, values), f"{mean(values):.1f}"]
        for name, values in published.items()
    ]
    for method, score in shown(rows):
        chosen = [row for row in select(rows, method=method) if row[score]]
        cells = [
            mean_and_spread(column(select(chosen, case=str(case)), score))
            for case in cases
        ]
        total = mean_of_complete_seeds(chosen, score, len(cases))
        lines.append([f"{method}, {score}", *cells, total])
    return markdown_table([title, *map(str, cases), "mean"], lines)


def shown(rows):
    """Methods with each score that they have."""
    for method in unique(column(rows, "method")):
        for score in SCORES:
            if any(row[score] for row in select(rows, method=method)):
                yield method, score


def splits_table(rows):
    """Data and scores down, numbers of sub-clusters across."""
    lines = [
        [
            f"{data}, {score}",
            *[
                mean_and_spread(column(select(rows, case=data, method=str(n)), score))
                for n in N_CLUSTERS
            ],
        ]
        for data, score in product(unique(column(rows, "case")), SCORES)
    ]
    return markdown_table(["sub-clusters", *map(str, N_CLUSTERS)], lines)


def draw(rows):
    """AUROC against the number of normal digits, with the published curves."""
    rows = select(rows, test="2")
    figure = new_figure(7.5, 5)
    ax = figure.subplots()
    for (method, score), color in CURVES.items():
        by_k = {
            k: [
                float(v)
                for v in column(select(rows, method=method, case=f"{k}"), score)
            ]
            for k in KS
        }
        by_k = {k: values for k, values in by_k.items() if values}
        means = np.array([mean(values) for values in by_k.values()])
        spread = [stdev(v) if len(v) > 1 else 0.0 for v in by_k.values()]
        label = f"{method}, {score}"
        ax.plot([*by_k], means, "o-", color=color, label=label, clip_on=False)
        ax.fill_between(
            [*by_k], means - spread, means + spread, color=color, alpha=0.15
        )
    for name, color in PUBLISHED_CURVES.items():
        label = f"published, {name}"
        ax.plot(KS, PUBLISHED_BY_K[name], "s--", color=color, label=label, linewidth=1)
    ax.set_xticks(KS)
    ax.set(xlabel="normal digits", ylabel="AUROC in percent", ylim=(None, 100))
    ax.set_title("More kinds of normal digits", loc="left", weight="bold", pad=12)
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    ax.spines[["top", "right"]].set_visible(False)
    return figure
