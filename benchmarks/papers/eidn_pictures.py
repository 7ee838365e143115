"""EIDN in two dimensions: over the epochs, and beside PCA and t-SNE.

The table measures how far anomalies of kinds that were not shown in training are from
the normal images.
"""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import roc_auc_score
from skorch.callbacks import Callback

from benchmarks.datasets import evenly_spaced, few_anomalies_task, load_mnist
from benchmarks.methods import (
    ALL_SAMPLES,
    OUTLIER,
    as_rows,
    auroc,
    check_finished,
    on_rows,
    percent,
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
from sk_hypersphere import EIDNEmbedder

NAME = "eidn-pictures"
DESCRIPTION = "MNIST in two dimensions: EIDN over the epochs, beside PCA and t-SNE."

N_SEEDS = 3

SHARE = 0.05  # of anomalies in training, over normal images
DIGITS = range(10)
GROWING = 1  # the normal digit over the epochs; all others are anomalies
EPOCHS = (0, 1, 2, 5)  # and the last
NORMAL, SHOWN, UNSEEN = (0,), range(1, 6), range(6, 10)  # beside PCA and t-SNE

# Colors of Okabe and Ito, which color-blind people can distinguish.
COLORS = {"normal": "#0072B2", "shown kinds": "#E69F00", "new kinds": "#D55E00"}
MARK = {
    "color": "black",
    "marker": "+",
    "markersize": 12,
    "markeredgewidth": 1.5,
    "linestyle": "none",
}


class Size(NamedTuple):
    """How much of it all is done; None is everything, and the defaults."""

    n_shown: int  # test images of either kind
    n_train: int | None = None
    params: dict = {}


FULL_SIZE = Size(n_shown=1000)
SMOKE = Size(n_shown=20, n_train=2000, params={"max_epochs": 2, "steps_per_epoch": 3})


class Cloud(NamedTuple):
    """Points of a panel, (n, 2), and which of them are normal, (n,)."""

    title: str
    points: np.ndarray
    is_normal: np.ndarray
    anomalies: str = "new kinds"
    is_eidn: bool = True


class Snapshots(Callback):
    """The embedding of some images before training and after each epoch."""

    def __init__(self, images):
        self.images = images

    def on_train_begin(self, net, **kwargs):
        self.points = []
        self.take(net)

    def on_epoch_end(self, net, **kwargs):
        self.take(net)

    def take(self, net):
        encoder = net.module_.eval().encoder  # the next epoch sets it to training
        with torch.inference_mode():
            points = encoder(torch.from_numpy(self.images).float().to(net.device))
        self.points.append(points.cpu().numpy())


def run(results, options):
    """Fit what is not in the results yet, and draw the first seed anew."""
    size = SMOKE if options.smoke else FULL_SIZE
    mnist = load_mnist()
    clouds = []
    for seed in range(options.seeds or N_SEEDS):
        task = task_of(mnist, NORMAL, SHOWN, UNSEEN, size, seed)
        for name, embed in EMBEDDINGS.items():
            key = {"embedding": name, "seed": seed}
            is_drawn = seed == 0 and not options.only
            if options.only not in name or (results.done(**key) and not is_drawn):
                continue
            embedded = embed(task, size, options, seed)
            if not results.done(**key):
                results.add(**key, **figures(task, embedded))
            if is_drawn:
                clouds += embedded.clouds
    if clouds:
        results.save_picture(draw(snapshots(mnist, size, options), clouds))


def task_of(mnist, normal, shown, tested, size, seed):
    """A task with as many test images of either kind as are drawn."""
    train = slice(size.n_train)
    small = mnist._replace(x_train=mnist.x_train[train], y_train=mnist.y_train[train])
    task = few_anomalies_task(small, normal, shown, tested, SHARE, seed)
    kinds = np.flatnonzero(task.is_normal), np.flatnonzero(~task.is_normal)
    chosen = np.concatenate(
        [kind[evenly_spaced(len(kind), size.n_shown)] for kind in kinds]
    )
    return task._replace(x_test=task.x_test[chosen], is_normal=task.is_normal[chosen])


def make_embedder(size, options, seed, **params):
    return EIDNEmbedder(
        **ALL_SAMPLES, **size.params, **params, device=options.device, random_state=seed
    )


def fit(embedder, task):
    embedder.fit(task.x_train, np.where(task.is_labelled, OUTLIER, 1))
    check_finished(embedder, embedder.net_.max_epochs)


class Embedded(NamedTuple):
    """Test images in the plane, their clouds, scores if there are any, and seconds."""

    points: np.ndarray
    clouds: list[Cloud]
    scores: np.ndarray | None
    seconds: float


def by_eidn(task, size, options, seed):
    embedder = make_embedder(size, options, seed)
    seconds = seconds_of(fit, embedder, task)
    points = embedder.transform(task.x_test)
    trained = evenly_spaced(len(task.x_train), 2 * size.n_shown)
    clouds = [
        Cloud(
            "EIDN, training images",
            embedder.transform(task.x_train[trained]),
            ~task.is_labelled[trained],
            "shown kinds",
        ),
        Cloud("EIDN, test images", points, task.is_normal),
    ]
    return Embedded(points, clouds, embedder.score_samples(task.x_test), seconds)


def by_pca(task, size, options, seed):
    pca = on_rows(PCA(2, svd_solver="covariance_eigh"))  # draws no random number
    seconds = seconds_of(pca.fit, task.x_train[~task.is_labelled])
    points = pca.transform(task.x_test)
    cloud = Cloud("PCA, test images", points, task.is_normal, is_eidn=False)
    return Embedded(points, [cloud], None, seconds)


def by_tsne(task, size, options, seed):
    """It has no `transform`, and so sees nothing but the test images."""
    tsne = TSNE(2, random_state=seed)
    seconds = seconds_of(tsne.fit, as_rows(task.x_test))
    points = tsne.embedding_
    cloud = Cloud("t-SNE, test images", points, task.is_normal, is_eidn=False)
    return Embedded(points, [cloud], None, seconds)


EMBEDDINGS = {"EIDN": by_eidn, "PCA": by_pca, "t-SNE": by_tsne}


def figures(task, embedded):
    """Figures of a row about test images in the plane."""
    distances = distances_from_normal(embedded.points, task.is_normal)
    far, near = distances[~task.is_normal].mean(), distances[task.is_normal].mean()
    scores = embedded.scores
    return {
        "auroc": percent(roc_auc_score(task.is_normal, -distances)),
        "score_auroc": "" if scores is None else f"{auroc(task, scores):.2f}",
        "distance": f"{far / near:.3f}",
        "seconds": f"{embedded.seconds:.1f}",
    }


def distances_from_normal(points, is_normal):
    """Distances from the mean of the normal points, (n, 2) -> (n,)."""
    return np.linalg.norm(points - points[is_normal].mean(axis=0), axis=1)


def snapshots(mnist, size, options):
    """One digit and all others, over the epochs of a fit."""
    others = [digit for digit in DIGITS if digit != GROWING]
    task = task_of(mnist, (GROWING,), others, others, size, seed=0)
    embedder = make_embedder(size, options, 0, callbacks=[Snapshots(task.x_test)])
    fit(embedder, task)
    points = points_by_epoch(embedder)
    return [
        Cloud(title, points[epoch], task.is_normal, "shown kinds")
        for epoch, title in shown_epochs(embedder.n_iter_).items()
    ]


def points_by_epoch(embedder):
    """The records of the callback of a fit."""
    (taken,) = (
        callback
        for _, callback in embedder.net_.callbacks_
        if isinstance(callback, Snapshots)
    )
    return taken.points


def shown_epochs(last):
    """Epochs with a panel, and their titles."""
    epochs = [*[epoch for epoch in EPOCHS if epoch < last], last]
    named = {0: "before training", 1: "after 1 epoch"}
    return {epoch: named.get(epoch, f"after {epoch} epochs") for epoch in epochs}


def render(rows):
    """How far new kinds of anomalies are from the normal images."""
    lines = []
    for name in unique(column(rows, "embedding")):
        chosen = select(rows, embedding=name)
        scored = [value for value in column(chosen, "score_auroc") if value]
        lines.append(
            [
                name,
                mean_and_spread(column(chosen, "auroc"), 2),
                mean_and_spread(scored, 2),
                mean_and_spread(column(chosen, "distance"), 2),
                mean_and_spread(column(chosen, "seconds"), 0),
            ]
        )
    header = [
        "",
        "AUROC of the distance",
        "AUROC of `score_samples`",
        "distance of anomalies",
        "seconds",
    ]
    return (
        "Test images of 0 against 6 to 9 by their distance from the mean of the normal "
        "ones, which takes their labels and is no detector; AUROC in percent, and the "
        "mean distance of anomalies where that of normal images is 1:\n\n"
        f"{markdown_table(header, lines)}"
    )


def draw(epochs, clouds):
    """Epochs above, embeddings below."""
    figure = new_figure(12, 6.8)
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.2])
    rows = {
        f"Digit {GROWING} is normal, all others are shown": (above, epochs),
        "Digit 0 is normal, 1 to 5 are shown, 6 to 9 are new": (below, clouds),
    }
    for title, (row, panels) in rows.items():
        row.suptitle(f"{title}\n", x=0.01, ha="left", weight="bold")
        planes = np.concatenate([cloud.points for cloud in panels if cloud.is_eidn])
        axes = row.subplots(1, len(panels), squeeze=False)
        for ax, cloud in zip(axes.flat, panels, strict=True):
            draw_cloud(ax, cloud)
            ax.set(**square_around(planes if cloud.is_eidn else cloud.points))
    for kind, color in COLORS.items():
        below.axes[0].scatter([], [], c=color, s=25, label=kind)
    below.axes[0].plot([], [], label="origin and one-vector", **MARK)
    figure.legend(frameon=False, loc="outside lower center", ncols=4)
    return figure


def draw_cloud(ax, cloud):
    """Points in random order, so that no kind covers the other."""
    order = np.random.default_rng(0).permutation(len(cloud.points))
    colors = np.where(cloud.is_normal, COLORS["normal"], COLORS[cloud.anomalies])
    ax.scatter(*cloud.points[order].T, c=colors[order], s=6, alpha=0.6, linewidths=0)
    if cloud.is_eidn:
        ax.plot([0, 1], [0, 1], **MARK)
        ax.set(xticks=[0, 1], yticks=[0, 1])
    else:
        ax.set(xticks=[], yticks=[])  # units mean nothing there
    ax.set_title(cloud.title, loc="left", fontsize="medium")
    ax.set_box_aspect(1)
    ax.spines[["top", "right"]].set_visible(False)


def square_around(points):
    """Limits of a square with all points, (n, 2), and some margin."""
    low, high = points.min(axis=0), points.max(axis=0)
    center, reach = (low + high) / 2, 0.55 * (high - low).max()
    (left, bottom), (right, top) = center - reach, center + reach
    return {"xlim": (left, right), "ylim": (bottom, top)}
