"""Anomalies among the digits of scikit-learn: every estimator, in under a minute."""

import time

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.ensemble import IsolationForest
from sklearn.metrics import adjusted_rand_score
from sklearn.svm import OneClassSVM

from benchmarks.datasets import small_digits_task
from benchmarks.methods import auroc, on_rows, pca_and_neighbors, seconds_of
from benchmarks.report import column, markdown_table, mean_and_spread, select, unique
from benchmarks.results import FOLDER
from sk_hypersphere import FINCH, DeepSVDD
from sk_hypersphere.displays import EmbeddingDisplay

NAME = "quickstart"
DESCRIPTION = "Digits of 8 x 8 pixels, 0, 1 and 3 normal: all estimators and rivals."

NORMAL_DIGITS = (0, 1, 3)
N_SEEDS = 5
PICTURE = FOLDER / f"{NAME}.png"
N_SHOWN = 12  # images in each strip of the picture
N_SPHERES = 4  # more would hide the samples
SHOWN = "DeepSVDD(multi_radius=True), images"

DETECTION, CLUSTERING = "AUROC", "adjusted Rand index"


def run(results, options):
    """Measure everything anew, and draw the picture."""
    results.clear()
    for seed in range(options.seeds or N_SEEDS):
        task = small_digits_task(NORMAL_DIGITS, seed)
        for method, detector in make_detectors(seed, options.device).items():
            if options.only in method:
                measure_detector(results, method, detector, task, seed)
            if method == SHOWN and seed == 0 and options.only in method:
                draw(detector, task)
    measure_clusterers(results, options)


def render(rows):
    """A table of detectors and one of clusterers, in Markdown."""
    n_seeds = len(unique(column(rows, "seed")))
    return "\n\n".join(
        [
            "AUROC in percent, mean ± standard deviation over "
            f"{n_seeds} random halves of the normal images:",
            _render_measure(select(rows, measure=DETECTION), "AUROC", 100, 1),
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
        "IsolationForest": on_rows(IsolationForest(random_state=seed)),
        "OneClassSVM": on_rows(OneClassSVM()),
        "PCA and 5 nearest neighbours": pca_and_neighbors(32),
    }


def measure_detector(results, method, detector, task, seed):
    seconds = seconds_of(detector.fit, task.x_train)
    results.add(
        measure=DETECTION,
        method=method,
        seed=seed,
        epochs=getattr(_last_step(detector), "n_iter_", ""),
        value=f"{auroc(task, detector.score_samples(task.x_test)) / 100:.4f}",
        clusters=len(getattr(_last_step(detector), "centers_", [])) or "",
        seconds=f"{seconds:.2f}",
    )


def _last_step(detector):
    return detector[-1] if hasattr(detector, "steps") else detector


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
    lines = []
    for method in unique(column(rows, "method")):
        chosen = select(rows, method=method)
        values = [factor * float(value) for value in column(chosen, "value")]
        clusters = column(chosen, "clusters")
        lines.append(
            [
                f"`{method}`" if "(" in method else method,
                mean_and_spread(values, digits),
                f"{np.mean([int(k) for k in clusters]):.0f}" if clusters[0] else "",
                f"{np.mean([float(s) for s in column(chosen, 'seconds')]):.2f}",
            ]
        )
    return markdown_table(["method", title, "clusters", "seconds to fit"], lines)


def draw(detector, task):
    """Embedding of the test images, and the images at both ends of the scores."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplot_mosaic(
        "AAB\nAAC", figsize=(12, 6), layout="constrained"
    )
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
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=100)
    pyplot.close(figure)


def mosaic(images, n_columns=4):
    """Images side by side with a margin, (n, h, w) -> (rows h', columns w')."""
    images = np.pad(images, [(0, 0), (1, 1), (1, 1)])
    n, height, width = images.shape
    grid = images.reshape(n // n_columns, n_columns, height, width)
    return grid.swapaxes(1, 2).reshape(-1, n_columns * width)
