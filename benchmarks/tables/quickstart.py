"""The digits of scikit-learn: every estimator, in a minute or three."""

import time

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from benchmarks.datasets import (
    small_digits_few_labels,
    small_digits_open_set,
    small_digits_task,
)
from benchmarks.methods import (
    OUTLIER,
    auroc,
    on_rows,
    one_thread,
    pca_and_neighbors,
    seconds_of,
)
from benchmarks.report import (
    column,
    markdown_table,
    mean_and_spread,
    new_figure,
    select,
    unique,
)
from sk_hypersphere import (
    FINCH,
    HSC,
    CACClassifier,
    CenterLossClassifier,
    DeepSAD,
    DeepSVDD,
    EIDNEmbedder,
    IILossClassifier,
    ISIFEmbedder,
    MCHADClassifier,
    SubclusterDetector,
)
from sk_hypersphere.confidence import NeighborDistance
from sk_hypersphere.displays import EmbeddingDisplay
from sk_hypersphere.metrics import known_accuracy, oscr

NAME = "quickstart"
DESCRIPTION = "Digits of 8 x 8 pixels: all estimators and rivals."

NORMAL_DIGITS = (0, 1, 3)
KNOWN_DIGITS = (0, 1, 2, 3, 4, 5)
EXAMPLE_DIGITS = (6, 7)  # anomalies to train on; 8 and 9 are new in the test
N_LABELLED = 8  # anomalies of all kinds that are shown, in the task with few labels
N_SEEDS = 3
N_SHOWN = 12  # images in each strip of the picture
N_SPHERES = 4  # more would hide the samples
SHOWN = "DeepSVDD(multi_radius=True), images"

DETECTION, CLUSTERING = "AUROC", "adjusted Rand index"
FEW_LABELS = "AUROC with few labels"
CLASSIFICATION = ("accuracy", "AUROC of novelties", "OSCR")


@one_thread()  # loses little, and waits for no core that is busy
def run(results, options):
    """Measure everything anew, and draw the picture."""
    results.clear()
    for seed in range(options.seeds or N_SEEDS):
        task = small_digits_task(NORMAL_DIGITS, seed)
        for method, detector in make_detectors(seed, options.device).items():
            if options.only in method:
                measure_detector(results, method, detector, task, seed)
            if method == SHOWN and seed == 0 and options.only in method:
                results.save_picture(draw(detector, task))
        few = small_digits_few_labels(NORMAL_DIGITS, N_LABELLED, seed)
        for method, detector in make_semi_supervised(seed, options.device).items():
            if options.only in method:
                y = np.where(few.is_labelled, OUTLIER, 1)
                measure_detector(results, method, detector, few, seed, y)
    for seed in range(options.seeds or N_SEEDS):
        open_set = small_digits_open_set(KNOWN_DIGITS, EXAMPLE_DIGITS, seed)
        for method, classifier in make_classifiers(seed, options.device).items():
            if options.only in method:
                measure_classifier(results, method, classifier, open_set, seed)
    measure_clusterers(results, options)


def render(rows):
    """A table of detectors, one of classifiers and one of clusterers, in Markdown."""
    n_seeds = len(unique(column(select(rows, measure=DETECTION), "seed")))
    return "\n\n".join(
        [
            "AUROC in percent, mean ± standard deviation over "
            f"{n_seeds} random halves of the normal images:",
            _render_measure(select(rows, measure=DETECTION), "AUROC", 100, 1),
            f"The same with {N_LABELLED} anomalies of all kinds shown in training, and "
            "left out of the test:",
            _render_measure(select(rows, measure=FEW_LABELS), "AUROC", 100, 1),
            f"Classify and detect, in percent over {n_seeds} random halves: 0 to 5 are "
            "known, 8 and 9 are new in the test, 6 and 7 are example anomalies for "
            "`anomaly_label=-1`:",
            _render_classifiers(rows),
            "All 1,797 images, clustered without labels and compared with the digits:",
            _render_measure(select(rows, measure=CLUSTERING), CLUSTERING, 1, 2),
        ]
    )


def make_detectors(seed, device):
    """Detectors of images, by their names in the table."""
    params = {"device": device, "random_state": seed}
    return {
        "DeepSVDD(), rows": on_rows(DeepSVDD(**params)),
        'DeepSVDD("soft-boundary"), rows': on_rows(DeepSVDD("soft-boundary", **params)),
        "DeepSVDD(multi_radius=True), rows": on_rows(
            DeepSVDD(multi_radius=True, **params)
        ),
        "DeepSVDD(), images": DeepSVDD(**params),
        SHOWN: DeepSVDD(multi_radius=True, **params),
        "SubclusterDetector(), rows": on_rows(SubclusterDetector(**params)),
        "SubclusterDetector(), images": SubclusterDetector(**params),
        "ISIFEmbedder() and 5 nearest neighbours, rows": on_rows(
            ISIFEmbedder(**params), NeighborDistance(5)
        ),
        "IsolationForest": on_rows(IsolationForest(random_state=seed)),
        "OneClassSVM": on_rows(OneClassSVM()),
        "PCA and 5 nearest neighbours": pca_and_neighbors(32),
    }


class LinearDetector(LogisticRegression):
    """Logistic regression of normal samples, +1, against anomalies, -1."""

    def score_samples(self, X):
        return self.decision_function(X)


def make_semi_supervised(seed, device):
    """Detectors of images that learn from a few anomalies, by their names."""
    params = {"device": device, "random_state": seed}
    return {
        "HSC(), rows": on_rows(HSC(**params)),
        "DeepSAD(), rows": on_rows(DeepSAD(**params)),
        "EIDNEmbedder(), rows": on_rows(StandardScaler(), EIDNEmbedder(**params)),
        "HSC(), images": HSC(**params),
        "DeepSAD(), images": DeepSAD(**params),
        "EIDNEmbedder(), images": EIDNEmbedder(**params),
        "LogisticRegression": on_rows(
            LinearDetector(max_iter=1000, class_weight="balanced")
        ),
    }


class LinearClassifier(LogisticRegression):
    """Logistic regression whose score is the largest probability."""

    def score_samples(self, X):
        return self.predict_proba(X).max(axis=1)


class NeighborClassifier(KNeighborsClassifier):
    """Vote of the nearest training samples, whose mean distance is the score."""

    def score_samples(self, X):
        return -self.kneighbors(X)[0].mean(axis=1)


def make_classifiers(seed, device):
    """Classifiers of images, taken as rows, by their names in the table."""
    params = {"device": device, "random_state": seed}
    classifiers = {
        "MCHADClassifier()": MCHADClassifier(**params),
        "MCHADClassifier(anomaly_label=-1)": MCHADClassifier(
            anomaly_label=OUTLIER, **params
        ),
        "CACClassifier()": CACClassifier(**params),
        "CenterLossClassifier()": CenterLossClassifier(**params),
        "IILossClassifier()": IILossClassifier(**params),
        "LogisticRegression and largest probability": LinearClassifier(max_iter=1000),
        "5 nearest neighbours and their distance": NeighborClassifier(5),
    }
    return {method: on_rows(model) for method, model in classifiers.items()}


def measure_detector(results, method, detector, task, seed, y=None):
    """One row; `y` are labels for a detector that learns from a few."""
    seconds = seconds_of(detector.fit, task.x_train, y)
    results.add(
        measure=DETECTION if y is None else FEW_LABELS,
        method=method,
        seed=seed,
        epochs=_epochs(detector),
        value=f"{auroc(task, detector.score_samples(task.x_test)) / 100:.4f}",
        clusters=_n_clusters(detector) if y is None else "",
        seconds=f"{seconds:.2f}",
    )


def measure_classifier(results, method, classifier, task, seed):
    """One row for each figure; the seconds are the same in all."""
    X, y = training_samples(classifier, task)
    seconds = seconds_of(classifier.fit, X, y)
    y_true = np.where(task.is_known, task.y_test, OUTLIER)
    y_pred = classifier.predict(task.x_test)
    scores = classifier.score_samples(task.x_test)
    values = (
        known_accuracy(y_true, y_pred, anomaly_label=OUTLIER),
        roc_auc_score(task.is_known, scores),
        oscr(y_true, y_pred, scores, anomaly_label=OUTLIER),
    )
    for measure, value in zip(CLASSIFICATION, values, strict=True):
        results.add(
            measure=measure,
            method=method,
            seed=seed,
            epochs=_epochs(classifier),
            value=f"{value:.4f}",
            clusters="",
            seconds=f"{seconds:.2f}",
        )


def training_samples(classifier, task):
    """Known samples, and example anomalies for a model that takes them."""
    if getattr(_last_step(classifier), "anomaly_label", None) is None:
        return task.x_train, task.y_train
    X = np.concatenate([task.x_train, task.examples])
    y = np.concatenate([task.y_train, np.full(len(task.examples), OUTLIER)])
    return X, y


def _last_step(model):
    return model[-1] if hasattr(model, "steps") else model


def _n_clusters(detector):
    detector = _last_step(detector)
    clusters = getattr(detector, "centers_", getattr(detector, "clusters_", []))
    return len(clusters) or ""


def _epochs(model):
    """Epochs of training; iterations of rivals are no epochs."""
    model = _last_step(model)
    return model.n_iter_ if hasattr(model, "max_epochs") else ""


def measure_clusterers(results, options):
    X, y = load_digits(return_X_y=True)
    clusterers = {
        "FINCH()": FINCH(),
        "KMeans(10), told the number": KMeans(10, random_state=0),
    }
    for method, clusterer in clusterers.items():
        if options.only not in method:
            continue
        start = time.perf_counter()
        labels = clusterer.fit_predict(X)
        results.add(
            measure=CLUSTERING,
            method=method,
            seed=0,
            epochs="",
            value=f"{adjusted_rand_score(y, labels):.4f}",
            clusters=len(np.unique(labels)),
            seconds=f"{time.perf_counter() - start:.2f}",
        )


def _render_measure(rows, title, factor, digits):
    counts_clusters = any(column(rows, "clusters"))
    lines = []
    for method in unique(column(rows, "method")):
        chosen = select(rows, method=method)
        values = [factor * float(value) for value in column(chosen, "value")]
        line = [_as_code(method), mean_and_spread(values, digits)]
        if counts_clusters:
            clusters = column(chosen, "clusters")
            mean = f"{np.mean([int(k) for k in clusters]):.0f}" if clusters[0] else ""
            line.append(mean)
        seconds = np.mean([float(s) for s in column(chosen, "seconds")])
        lines.append([*line, f"{seconds:.2f}"])
    header = ["method", title, *["clusters"] * counts_clusters, "seconds to fit"]
    return markdown_table(header, lines)


def _render_classifiers(rows):
    lines = []
    rows = [row for row in rows if row["measure"] in CLASSIFICATION]
    for method in unique(column(rows, "method")):
        chosen = select(rows, method=method)
        figures = [
            [100 * float(row["value"]) for row in select(chosen, measure=measure)]
            for measure in CLASSIFICATION
        ]
        seconds = np.mean([float(s) for s in column(chosen, "seconds")])
        lines.append(
            [_as_code(method), *map(mean_and_spread, figures), f"{seconds:.2f}"]
        )
    return markdown_table(["method", *CLASSIFICATION, "seconds to fit"], lines)


def _as_code(method):
    """Show the names of methods that are calls in code font."""
    return f"`{method}`" if "(" in method else method


def draw(detector, task):
    """Embedding of the test images, and the images at both ends of the scores."""
    figure = new_figure(12, 6)
    axes = figure.subplot_mosaic("AAB\nAAC")
    y = np.where(task.is_normal, 1, -1)
    EmbeddingDisplay.from_estimator(
        detector, task.x_test, y, ax=axes["A"], max_spheres=N_SPHERES
    )
    axes["A"].set_title(
        f"Digits {', '.join(map(str, NORMAL_DIGITS))} are normal, others anomalies"
    )
    order = np.argsort(detector.score_samples(task.x_test), kind="stable")
    images = task.x_test[order, 0]  # (n, 8, 8), most anomalous first
    for ax, title, shown in (
        (axes["B"], "Most anomalous test images", images[:N_SHOWN]),
        (axes["C"], "Most normal test images", images[::-1][:N_SHOWN]),
    ):
        ax.imshow(mosaic(shown), cmap="gray_r")
        ax.set_title(title)
        ax.set_axis_off()
    return figure


def mosaic(images, n_columns=4):
    """Images side by side with a margin, (n, h, w) -> (rows h', columns w')."""
    images = np.pad(images, [(0, 0), (1, 1), (1, 1)])
    n, height, width = images.shape
    grid = images.reshape(n // n_columns, n_columns, height, width)
    return grid.swapaxes(1, 2).reshape(-1, n_columns * width)
