"""CIFAR-10 with a wide residual network: two rows of the MCHAD poster, on a GPU."""

from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from benchmarks.cifar10 import (
    Checkpoint,
    FlipAndCrop,
    LearningRate,
    NormalizeColors,
    checkpoint_of,
    device_name,
    half_cosine,
    seconds_trained,
)
from benchmarks.datasets import (
    Split,
    gaussian_noise,
    load_cifar10,
    load_colored,
    uniform_noise,
)
from benchmarks.methods import POSTER_MODELS, fit_classifier, novelty_rows
from benchmarks.papers.mchad import add_row, auroc_table, figures_table
from benchmarks.report import column, select, unique
from sk_hypersphere.modules import WideResNet

NAME = "mchad-cifar10"
DESCRIPTION = "CIFAR-10, WRN-40-2: MCHAD and G-MCHAD beside the poster, on a GPU."

BY_DEFAULT = ("MCHAD", "G-MCHAD")  # --full takes all models of the poster
OUTLIER_SETS = ("Tiny ImageNet", "uniform noise", "Gaussian noise")
FIGURES = {
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "aupr_in": "AUPR-in",
    "aupr_out": "AUPR-out",
    "fpr95": "FPR95",
}

# K. Kirchheim, M. Filax and F. Ortmeier. "Multi Class Hypersphere Anomaly Detection".
# Poster, ICPR 2022. Its two columns of AUPR are swapped: aupr_in has why.
PUBLISHED = {
    "II": (28.83, 57.88, 60.73, 56.18, 83.19),
    "CAC": (95.14, 93.33, 95.13, 88.63, 18.45),
    "Center": (94.43, 92.14, 92.26, 88.50, 31.48),
    "MCHAD": (94.84, 94.33, 95.95, 89.94, 15.81),
    "G-MCHAD": (94.72, 96.65, 97.54, 94.23, 10.49),
    "G-Center": (94.29, 93.51, 94.85, 89.68, 19.19),
    "G-CAC": (83.83, 85.74, 88.10, 84.13, 31.32),
}

LEARNING_RATE = 1e-3


class Size(NamedTuple):
    """How much of it all is done; None is everything."""

    epochs: int
    depth: int
    widen_factor: int
    n_train: int | None = None  # of known images, and of exposed outliers
    n_outliers: int = 5_000  # in each test set
    n_test: int | None = None


FULL_SIZE = Size(epochs=60, depth=40, widen_factor=2)
SMOKE = Size(2, depth=10, widen_factor=1, n_train=1000, n_outliers=200, n_test=500)


def run(results, options):
    """Fit what is not in the results yet; go on where a fit was interrupted."""
    torch.backends.cudnn.benchmark = True  # the fastest convolutions for two shapes
    size = SMOKE if options.smoke else FULL_SIZE
    cifar10, exposure, outlier_sets = load_data(size)
    wanted = [
        name
        for name in POSTER_MODELS
        if options.only in name and (options.full or options.only or name in BY_DEFAULT)
    ]
    for seed in range(options.seeds or 1):
        for name in wanted:
            key = {"model": name, "seed": seed, "epochs": size.epochs}
            missing = {
                outliers: images
                for outliers, images in outlier_sets.items()
                if not results.done(**key, outliers=outliers)
            }
            if missing:
                path = checkpoint_of(results, name, seed, size.epochs)
                model = make_model(name, size, path, options.device, seed)
                fit_classifier(model, cifar10.x_train, cifar10.y_train, exposure)
                key["device"] = device_name(model)
                rows = novelty_rows(model, cifar10.x_test, cifar10.y_test, missing)
                for row in rows:
                    row.pop("error_auroc")
                    add_row(results, key | row, seconds_trained(model))
                path.unlink()


def load_data(size):
    """Known images, exposed outliers, and outliers to test on by their names."""
    x_train, y_train, x_test, y_test = load_cifar10()
    exposure, _ = load_colored("tinyimagenet_disjoint", "train")
    unseen, _ = load_colored("tinyimagenet_disjoint", "test")
    shape = (size.n_outliers, 3, 32, 32)
    outliers = unseen[: size.n_outliers], uniform_noise(shape), gaussian_noise(shape)
    cifar10 = Split(
        x_train[: size.n_train],
        y_train[: size.n_train],
        x_test[: size.n_test],
        y_test[: size.n_test],
    )
    exposure = exposure[: size.n_train]
    return cifar10, exposure, dict(zip(OUTLIER_SETS, outliers, strict=True))


def make_model(name, size, path, device, seed):
    """A model with the published training setup; it goes on from a checkpoint."""
    params = {} if "CAC" in name else {"n_components": 16}  # CAC: as many as classes
    if name.startswith("G-"):
        params["anomaly_ratio"] = 2.0
    return POSTER_MODELS[name](
        encoder=make_encoder,
        encoder_params={"depth": size.depth, "widen_factor": size.widen_factor},
        max_epochs=size.epochs,
        batch_size=128,
        lr=LEARNING_RATE,
        weight_decay=5e-5,
        callbacks=[
            LearningRate(
                partial(half_cosine, start=LEARNING_RATE, n_epochs=size.epochs)
            ),
            Checkpoint(path, size.epochs),
        ],
        device=device,
        verbose=1,
        random_state=seed,
        **params,
    )


def make_encoder(input_shape, n_components, **params):
    """Augment and normalize, then the wide residual network."""
    return nn.Sequential(
        FlipAndCrop(),
        NormalizeColors(),
        WideResNet(input_shape, n_components, dropout=0.3, **params),
    )


def render(rows):
    """The published figures and ours; AUROC by kind of outlier."""
    models = [name for name in PUBLISHED if select(rows, model=name)]
    epochs, devices = (
        ", ".join(unique(column(rows, name))) for name in ("epochs", "device")
    )
    published = [
        [f"published, {name}", *[f"{value:.2f}" for value in PUBLISHED[name]]]
        for name in models
    ]
    return "\n\n".join(
        [
            f"{epochs} epochs on {devices}, in percent; means over the "
            f"{len(OUTLIER_SETS)} sets of outliers, published ones over seven others:",
            figures_table(rows, models, OUTLIER_SETS, FIGURES, published),
            "AUROC for each of them:",
            auroc_table(rows, models, OUTLIER_SETS),
        ]
    )
