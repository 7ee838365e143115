"""CIFAR-10, one class normal, with Tiny ImageNet as example anomalies, on a GPU."""

from functools import partial
from itertools import pairwise, product
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
    seconds_trained,
)
from benchmarks.datasets import Split, load_cifar10, load_colored, one_class_task
from benchmarks.methods import ALL_SAMPLES, auroc, check_finished, fit_exposed
from benchmarks.report import (
    column,
    markdown_table,
    mean_of_complete_seeds,
    select,
    unique,
)
from sk_hypersphere import HSC, DeepSAD

NAME = "exposure-cifar10"
DESCRIPTION = (
    "CIFAR-10, one class normal: HSC and Deep SAD beside the slides, on a GPU."
)

METHODS = {
    "HSC": partial(HSC, **ALL_SAMPLES),
    "BCE": partial(HSC, "bce", **ALL_SAMPLES),
    "focal": partial(HSC, "focal", **ALL_SAMPLES),
    "Deep SAD": partial(
        DeepSAD,
        1.0,
        epsilon=1e-9,
        center="origin",
        pretrain_epochs=0,
        **ALL_SAMPLES,
    ),
}

# R. Bartyzal. "Rethinking Assumptions in Deep Anomaly Detection". Slides, 2020. They
# have the numbers of L. Ruff et al., arXiv:2006.00339.
PUBLISHED = {
    "airplane": {"HSC": 96.3, "BCE": 96.4, "focal": 95.9, "Deep SAD": 94.2},
    "automobile": {"HSC": 98.7, "BCE": 98.8, "focal": 98.7, "Deep SAD": 98.1},
    "bird": {"HSC": 92.7, "BCE": 93.0, "focal": 92.3, "Deep SAD": 89.8},
    "cat": {"HSC": 89.8, "BCE": 90.0, "focal": 88.8, "Deep SAD": 87.4},
    "deer": {"HSC": 96.6, "BCE": 97.1, "focal": 96.6, "Deep SAD": 95.0},
    "dog": {"HSC": 94.2, "BCE": 94.2, "focal": 94.1, "Deep SAD": 93.0},
    "frog": {"HSC": 97.9, "BCE": 98.0, "focal": 97.8, "Deep SAD": 96.9},
    "horse": {"HSC": 97.6, "BCE": 97.6, "focal": 97.6, "Deep SAD": 96.8},
    "ship": {"HSC": 98.2, "BCE": 98.1, "focal": 98.0, "Deep SAD": 97.1},
    "truck": {"HSC": 97.4, "BCE": 97.7, "focal": 97.5, "Deep SAD": 96.2},
}
PUBLISHED_MEANS = {"HSC": 95.9, "BCE": 96.1, "focal": 95.8, "Deep SAD": 94.5}
CLASSES = [*PUBLISHED]  # in the order of their labels

LEARNING_RATE = 1e-3
WIDTHS = (32, 64, 128)


class Size(NamedTuple):
    """How much of it all is done; None is everything."""

    epochs: int
    n_classes: int = len(CLASSES)
    n_train: int | None = None  # of normal images, and of example anomalies
    n_test: int | None = None


FULL_SIZE = Size(epochs=200)
SMOKE = Size(epochs=3, n_classes=1, n_train=512, n_test=1000)


def run(results, options):
    """Fit what is not in the results yet; go on where a fit was interrupted."""
    torch.backends.cudnn.benchmark = True  # the fastest convolutions for two shapes
    size = SMOKE if options.smoke else FULL_SIZE
    cifar10, exposure = load_data(size)
    fits = product(range(options.seeds or 1), CLASSES[: size.n_classes], METHODS)
    for seed, name, method in fits:
        key = {"class": name, "method": method, "seed": seed, "epochs": size.epochs}
        if options.only in f"{name} {method}" and not results.done(**key):
            task = one_class_task(cifar10, [CLASSES.index(name)])
            path = checkpoint_of(results, name, method, seed, size.epochs)
            detector = make_detector(method, size, path, options.device, seed)
            fit_exposed(detector, task.x_train[: size.n_train], exposure)
            check_finished(detector, size.epochs)
            value = auroc(task, detector.score_samples(task.x_test))
            seconds = seconds_trained(detector)
            results.add(
                **key,
                device=device_name(detector),
                auroc=f"{value:.2f}",
                seconds=f"{seconds:.1f}",
            )
            path.unlink()
            print(f"{seed}  {name:10} {method:8} {value:6.2f} {seconds:7.1f} s")


def load_data(size):
    """CIFAR-10, with fewer images to test on if wanted, and example anomalies."""
    x_train, y_train, x_test, y_test = load_cifar10()
    exposure, _ = load_colored("tinyimagenet_disjoint", "train")
    cifar10 = Split(x_train, y_train, x_test[: size.n_test], y_test[: size.n_test])
    return cifar10, exposure[: size.n_train]


def make_detector(method, size, path, device, seed):
    """A detector with the published training setup; it goes on from a checkpoint."""
    return METHODS[method](
        encoder=make_encoder,
        n_components=256,
        anomaly_ratio=1.0,
        max_epochs=size.epochs,
        batch_size=128,
        lr=LEARNING_RATE,
        weight_decay=0.5e-6,
        callbacks=[
            LearningRate(partial(two_steps, n_epochs=size.epochs)),
            Checkpoint(path, size.epochs),
        ],
        device=device,
        verbose=1,
        random_state=seed,
    )


def two_steps(n_done, n_epochs):
    """The learning rate, a tenth after half of the epochs, and after three quarters."""
    n_steps = (n_done >= n_epochs / 2) + (n_done >= 3 * n_epochs / 4)
    return LEARNING_RATE * 0.1**n_steps


def make_encoder(input_shape, n_components):
    """Augment and normalize, then the published network: a LeNet that has biases.

    A hypersphere around the origin may have them where example anomalies hold it open.
    """
    n_channels, height, width = input_shape
    scale = 2 ** len(WIDTHS)
    n_flat = WIDTHS[-1] * (height // scale) * (width // scale)
    layers = []
    for n_in, n_out in pairwise((n_channels, *WIDTHS)):
        layers += [
            linear_map(nn.Conv2d(n_in, n_out, 5, padding=2), "leaky_relu"),
            nn.BatchNorm2d(n_out),
            nn.LeakyReLU(),
            nn.MaxPool2d(2),
        ]
    return nn.Sequential(
        FlipAndCrop(),
        PixelNoise(),
        NormalizeColors(),
        *layers,
        nn.Flatten(),
        linear_map(nn.Linear(n_flat, 512), "leaky_relu"),
        nn.BatchNorm1d(512),
        nn.LeakyReLU(),
        linear_map(nn.Linear(512, n_components), "linear"),
    )


def linear_map(layer, nonlinearity):
    """A layer with Xavier's weights for the function behind it."""
    gain = nn.init.calculate_gain(nonlinearity, 0.01)
    nn.init.xavier_normal_(layer.weight, gain)
    return layer


class PixelNoise(nn.Module):
    """In training, add Gaussian noise, a thousandth of the range of pixels."""

    def forward(self, x):
        return x + 0.255 * torch.randn_like(x) if self.training else x


def render(rows):
    """Classes down, methods across, with the published numbers beside ours."""
    epochs, devices = (
        ", ".join(unique(column(rows, name))) for name in ("epochs", "device")
    )
    methods = [name for name in METHODS if select(rows, method=name)]
    header = ["normal class"]
    for method in methods:
        header += [f"published, {method}", method]
    lines = []
    for name, published in PUBLISHED.items():
        line = [name]
        for method in methods:
            line += [f"{published[method]:.1f}", mean_cell(rows, method, [name])]
        lines.append(line)
    means = ["mean"]
    for method in methods:
        means += [f"{PUBLISHED_MEANS[method]:.1f}", mean_cell(rows, method, CLASSES)]
    return (
        f"{epochs} epochs on {devices}; AUROC in percent:\n\n"
        f"{markdown_table(header, [*lines, means])}"
    )


def mean_cell(rows, method, classes):
    """Mean and spread over seeds of the mean over classes, if all of them are there."""
    chosen = [row for row in select(rows, method=method) if row["class"] in classes]
    return mean_of_complete_seeds(chosen, "auroc", len(classes))
