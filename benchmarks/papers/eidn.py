"""One class against a few anomalies of the others, and embeddings for detectors."""

from functools import partial
from typing import NamedTuple

import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM

from benchmarks.datasets import (
    few_anomalies_task,
    load_cifar10,
    load_cracks,
    load_mnist,
)
from benchmarks.methods import (
    ALL_SAMPLES,
    OUTLIER,
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
    select,
    unique,
)
from sk_hypersphere import HSC, EIDNEmbedder, FitOnNormal
from sk_hypersphere.modules import AugmentImages

NAME = "eidn"
DESCRIPTION = "MNIST, CIFAR-10 and cracks with few anomalies shown: EIDN, and rivals."

CLASSES = {
    "MNIST": {str(digit): digit for digit in range(10)},
    # The classes have the order of the paper, and the labels of the data.
    "CIFAR-10": {
        "plane": 0,
        "car": 1,
        "bird": 2,
        "cat": 3,
        "deer": 4,
        "frog": 6,
        "horse": 7,
        "ship": 8,
        "truck": 9,
        "dog": 5,
    },
}
SHARES = (100, 50, 10, 5, 1)  # anomalies, in percent of the normal images
PUBLISHED_SHARE = {"MNIST": 1, "CIFAR-10": 10}  # of anomalies, that the paper prints
SHARE_OF_CRACKS = 50
SHARE_OF_UNSEEN = 5
SHOWN, UNSEEN = [*range(1, 6)], [*range(6, 10)]  # anomalies beside the digit 0
N_SEEDS = {("MNIST", 1): 3, ("unseen", 5): 3, ("cracks", 50): 3}  # 1 elsewhere

# Changes after which a digit is the same digit, and concrete has the same cracks.
AUGMENT = {
    "MNIST": AugmentImages(flip=False),
    "CIFAR-10": AugmentImages(),
    "cracks": AugmentImages(),
}

PLAIN, AUGMENTED = "`EIDNEmbedder()`", "`EIDNEmbedder(augment=...)`"
WIDE = "`EIDNEmbedder(n_components=16)`"
PAPER = '`EIDNEmbedder(margin=0.2, triplets="random")`'
LONG = "`EIDNEmbedder(max_epochs=50)`"  # on concrete, which has most anomalies
EMBEDDERS = (PLAIN, AUGMENTED, LONG, WIDE, PAPER)
RIVALS = ("`HSC()`", "contrast + PCA(50) + 5 neighbours")

# D. Lappas, V. Argyriou and D. Makris. "Enforced Isolation Deep Network For Anomaly
# Detection In Images". The supervised network had as many anomalies as normal images.
PUBLISHED = {
    "MNIST": {
        "published, EIDN": (
            "98.3 98.3 95.2 97.3 97.3 92.3 94.3 98.5 96.3 94.5".split(),
            "96.2",
        ),
        "published, DenseNet-169 with 100 %": (
            "99.8 99.4 98.4 98.1 98.4 99.2 98.4 99.7 99.2 99.9".split(),
            "99.1",
        ),
    },
    "CIFAR-10": {
        "published, EIDN": (
            "78.7 85.5 69.9 72.4 74.9 84.9 81.2 85.4 83.4 75.0".split(),
            "79.1",
        ),
    },
}
PUBLISHED_OTHERS = {"cracks": "99.96", "unseen": "99.45"}

REDUCERS = ("EIDN", "PCA", "LDA")
DETECTORS = {
    "IsolationForest": partial(IsolationForest, random_state=0),
    "LOF": partial(LocalOutlierFactor, novelty=True),
    "OneClassSVM": OneClassSVM,
    "GaussianMixture": partial(GaussianMixture, random_state=0),
}
SHARE_OF_DETECTORS = 5


class Size(NamedTuple):
    """How much of it all is done; None is everything, and the defaults."""

    n_classes: int | None = None
    n_train: int | None = None
    params: dict = {}  # of every net
    eidn_params: dict = {}


FULL_SIZE = Size()
SMOKE = Size(
    n_classes=1,
    n_train=2000,
    params={"max_epochs": 1},
    eidn_params={"steps_per_epoch": 3},
)


class Case(NamedTuple):
    """A task: the first three are columns of a row, the others choose the images."""

    test: str
    name: str
    share: int
    data: str
    normal: list[int]
    shown: list[int]
    tested: list[int]

    def key(self, method, seed):
        """The columns of a row that come before the result."""
        return {
            "test": self.test,
            "case": self.name,
            "share": self.share,
            "method": method,
            "seed": seed,
        }


def one_vs_rest(test, data, share, size):
    """Each class against all others."""
    classes = CLASSES[data]
    for name, label in [*classes.items()][: size.n_classes]:
        others = [other for other in classes.values() if other != label]
        yield Case(test, name, share, data, [label], others, others)


def cases(size):
    """The tasks that detectors are measured in, the published ones first."""
    for data, share in PUBLISHED_SHARE.items():
        yield from one_vs_rest(data, data, share, size)
    yield Case("unseen", "0", SHARE_OF_UNSEEN, "MNIST", [0], SHOWN, UNSEEN)
    yield Case("cracks", "no crack", SHARE_OF_CRACKS, "cracks", [0], [1], [1])
    for share in SHARES:
        if share != PUBLISHED_SHARE["MNIST"]:
            yield from one_vs_rest("MNIST", "MNIST", share, size)


def run(results, options):
    """Fit what is not in the results yet."""
    size = SMOKE if options.smoke else FULL_SIZE
    splits = {
        "MNIST": load_mnist(),
        "CIFAR-10": load_cifar10(),
        "cracks": load_cracks(seed=0),
    }
    for case in cases(size):
        n_seeds = N_SEEDS.get((case.test, case.share), 1)
        for seed in range(options.seeds or n_seeds):
            make_task = partial(task_of, splits[case.data], case, seed, size)
            measure(results, options, case, seed, make_task, size)
    for data in CLASSES:
        for case in one_vs_rest(f"{data}, reduced", data, SHARE_OF_DETECTORS, size):
            make_task = partial(task_of, splits[data], case, 0, size)
            measure_reducers(results, options, case, make_task, size)


def task_of(split, case, seed, size):
    """Normal images of a split, a few anomalies, and the test, as `FewLabelsTask`."""
    small = split._replace(
        x_train=split.x_train[: size.n_train], y_train=split.y_train[: size.n_train]
    )
    classes = case.normal, case.shown, case.tested
    return few_anomalies_task(small, *classes, case.share / 100, seed)


def make_detectors(case, seed, device, size):
    """EIDN without and with augmentation; other settings and rivals in some tasks."""
    params = {**ALL_SAMPLES, "device": device, "random_state": seed, **size.params}
    eidn = partial(EIDNEmbedder, **params, **size.eidn_params)
    detectors = {PLAIN: eidn(), AUGMENTED: eidn(augment=AUGMENT[case.data])}
    if case.test == "cracks":
        detectors[LONG] = eidn(max_epochs=50)
    if seed or case.share != PUBLISHED_SHARE.get(case.test, case.share):
        return detectors
    hsc, neighbors = RIVALS
    return detectors | {
        WIDE: eidn(n_components=16),
        PAPER: eidn(margin=0.2, triplets="random"),
        hsc: HSC(**params),
        neighbors: FitOnNormal(mnist_detectors(device, seed)[neighbors][0]),
    }


def measure(results, options, case, seed, make_task, size):
    """A row for each detector that has none."""
    for method, detector in make_detectors(case, seed, options.device, size).items():
        key = case.key(method, seed)
        label = f"{case.test} {case.name}, {case.share} %, {method}"
        if options.only not in label or results.done(**key):
            continue
        task = make_task()
        y = np.where(task.is_labelled, OUTLIER, 1)
        seconds = seconds_of(detector.fit, task.x_train, y)
        figures = {"auroc": auroc(task, detector.score_samples(task.x_test))}
        if method in EMBEDDERS:
            check_finished(detector, detector.net_.max_epochs)
            norms = np.linalg.norm(detector.transform(task.x_test), axis=1)
            figures["norm"] = auroc(task, -norms)  # as by score_rule="norm"
        texts = {name: f"{value:.3f}" for name, value in figures.items()}
        results.add(**key, **{"norm": ""} | texts, seconds=f"{seconds:.1f}")
        print(f"{label}, seed {seed}: {texts}, {seconds:.1f} s", flush=True)


def make_reducer(name, options, size):
    return {
        "EIDN": EIDNEmbedder(
            **ALL_SAMPLES,
            device=options.device,
            random_state=0,
            **size.params,
            **size.eidn_params,
        ),
        "PCA": on_rows(PCA(2, random_state=0)),
        "LDA": on_rows(LinearDiscriminantAnalysis()),
    }[name]


def measure_reducers(results, options, case, make_task, size):
    """Each detector on the plane of each reducer, fitted on normal images."""
    for name in REDUCERS:
        keys = {
            detector: case.key(f"{name} + {detector}", seed=0) for detector in DETECTORS
        }
        label = f"{case.test} {case.name}, {case.share} %, {name}"
        missing = {d: key for d, key in keys.items() if not results.done(**key)}
        if options.only not in label or not missing:
            continue
        task = make_task()
        y = np.where(task.is_labelled, OUTLIER, 1)
        reducer = make_reducer(name, options, size)
        seconds = seconds_of(reducer.fit, task.x_train, y)
        Z, z_test = reducer.transform(task.x_train), reducer.transform(task.x_test)
        for detector, key in missing.items():
            fitted = FitOnNormal(DETECTORS[detector]()).fit(Z, y)
            results.add(
                **key,
                norm="",
                auroc=f"{auroc(task, fitted.score_samples(z_test)):.3f}",
                seconds=f"{seconds:.1f}",
            )
        print(f"{label}: {seconds:.1f} s", flush=True)


def render(rows):
    """The paper's tables with ours beside them, and the detectors upon embeddings."""
    parts = []
    for test, share in PUBLISHED_SHARE.items():
        chosen = select(rows, test=test, share=str(share))
        if chosen:
            parts += [
                f"{test}, one class normal, and as many anomalies as {share} % of its "
                "images, drawn from all others; AUROC in percent:",
                classes_table(test, chosen),
            ]
    if chosen := select(rows, test="MNIST"):
        parts += [
            "MNIST with other shares, mean over digits:",
            shares_table(chosen),
        ]
    if chosen := [row for row in rows if row["test"] in PUBLISHED_OTHERS]:
        parts += [
            "Concrete with cracks as anomalies, half as many as images without; and "
            "the digit 0 with 1 to 5 shown as anomalies, against 6 to 9, which were "
            "not:",
            others_table(chosen),
        ]
    for test in CLASSES:
        if chosen := select(rows, test=f"{test}, reduced"):
            parts += [
                f"Detectors fitted on normal images of {test} in two dimensions (LDA "
                f"has one) after reduction with {SHARE_OF_DETECTORS} % of anomalies; "
                "mean AUROC over classes:",
                reducers_table(test, chosen),
            ]
    return "\n\n".join(parts)


def shown_scores(rows):
    """The name of a row of a table, its method, and the column of its figures."""
    methods = unique(column(rows, "method"))
    for method in methods:
        yield method, method, "auroc"
        if method in EMBEDDERS:
            yield "the same, by the norm", method, "norm"


def classes_table(test, rows):
    """Methods down, classes across, their mean at the end."""
    classes = CLASSES[test]
    lines = [[name, *v, mean] for name, (v, mean) in PUBLISHED[test].items()]
    for title, method, figure in shown_scores(rows):
        chosen = select(rows, method=method)
        cells = [
            mean_and_spread(column(select(chosen, case=name), figure))
            for name in classes
        ]
        total = mean_of_complete_seeds(chosen, figure, len(classes))
        lines.append([title, *cells, total])
    return markdown_table(["normal", *classes, "mean"], lines)


def shares_table(rows):
    """Methods down, shares across, of the mean over digits."""
    lines = [
        [
            title,
            *[
                mean_of_complete_seeds(
                    select(rows, method=method, share=str(share)),
                    figure,
                    len(CLASSES["MNIST"]),
                )
                for share in SHARES
            ],
        ]
        for title, method, figure in shown_scores(select(rows, share=str(SHARES[0])))
    ]
    return markdown_table(["anomalies", *[f"{s} %" for s in SHARES]], lines)


def others_table(rows):
    """Methods down, the two tests across."""
    lines = [["published, EIDN", *PUBLISHED_OTHERS.values()]]
    for title, method, figure in shown_scores(rows):
        cells = [
            mean_and_spread(column(select(rows, test=test, method=method), figure), 2)
            for test in PUBLISHED_OTHERS
        ]
        lines.append([title, *cells])
    return markdown_table(["", *PUBLISHED_OTHERS], lines)


def reducers_table(test, rows):
    """Reducers down, detectors across."""
    n_classes = len(CLASSES[test])
    lines = [
        [
            reducer,
            *[
                mean_of_complete_seeds(
                    select(rows, method=f"{reducer} + {detector}"), "auroc", n_classes
                )
                for detector in DETECTORS
            ],
        ]
        for reducer in REDUCERS
    ]
    return markdown_table(["", *DETECTORS], lines)
