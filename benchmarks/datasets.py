"""Real images, and noise that looks like none, as arrays."""

import io
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from sklearn.datasets import fetch_openml, load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

DATA_VARIABLE = "SK_HYPERSPHERE_DATA"


# Letters of which examples are shown in training; the other half is only tested on.
EXPOSED_LETTERS = range(13)
LUMA = (0.299, 0.587, 0.114)  # the shares of red, green and blue in gray


class Split(NamedTuple):
    """Training and test images, uint8 (n, c, h, w), and their classes, (n,)."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


class OneClassTask(NamedTuple):
    """Normal samples to train on; samples of all kinds to test on.

    `y_train` are classes, which no detector sees unless its row in a table says so.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    is_normal: np.ndarray


class OpenSetTask(NamedTuple):
    """Samples of known classes to train on; these and novelties to test on.

    `examples` are anomalies of further classes, for models that train on some.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    examples: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    is_known: np.ndarray


class FewLabelsTask(NamedTuple):
    """Samples to train on, a few of them known anomalies; others to test on.

    `is_labelled` are the training samples that are known to be anomalies; whatever else
    is abnormal there is hidden among the normal ones.
    """

    x_train: np.ndarray
    is_labelled: np.ndarray
    x_test: np.ndarray
    is_normal: np.ndarray


def load_mnist():
    """The 60,000 + 10,000 digits of 28 x 28 pixels, in the original order.

    They are read from ``mnist.npz`` in the folder that the environment variable
    SK_HYPERSPHERE_DATA names, or else fetched from openml.org.
    """
    folder = os.environ.get(DATA_VARIABLE)
    if folder:
        with np.load(Path(folder, "mnist.npz")) as arrays:
            x_train, y_train, x_test, y_test = (arrays[name] for name in Split._fields)
    else:
        # This parser needs no pandas.
        images, digits = fetch_openml(
            "mnist_784",
            version=1,
            as_frame=False,
            parser="liac-arff",
            return_X_y=True,
        )
        images = images.astype(np.uint8).reshape(-1, 28, 28)
        digits = digits.astype(np.int64)
        x_train, x_test = images[:60_000], images[60_000:]
        y_train, y_test = digits[:60_000], digits[60_000:]
    return Split(x_train[:, None], y_train, x_test[:, None], y_test)


def data_file(name):
    """A file in the folder that the environment variable names."""
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        raise ValueError(
            f"{name} is read from the folder that the environment variable "
            f"{DATA_VARIABLE} must name, got none. Set it to the folder that holds "
            "the file."
        )
    return Path(folder, name)


def load_letters():
    """The two halves of the EMNIST letters: a to m, which are exposed, and n to z.

    Returns
    -------
    (ndarray of shape (n, 1, 28, 28), ndarray of shape (m, 1, 28, 28)), uint8
    """
    with np.load(data_file("emnist_letters_10k.npz")) as arrays:
        images, letters = arrays["x"][:, None], arrays["y"]
    exposed = np.isin(letters, EXPOSED_LETTERS)
    return images[exposed], images[~exposed]


def load_all_letters():
    """The EMNIST letters, both halves, uint8 (n, 1, 28, 28)."""
    return np.concatenate(load_letters())


def load_colored(name, part):
    """One part of a set of 32 x 32 images in color.

    It is read from ``NAME.npz`` if that is there, else decoded from the JPEG images
    packed in ``NAME.jpeg.npz``.

    Parameters
    ----------
    name : {"cifar10", "concrete_crack", "tinyimagenet_disjoint"}

    part : {"train", "test"}

    Returns
    -------
    (ndarray of shape (n, 3, 32, 32), uint8; ndarray of shape (n,), int64)
        Images and classes.
    """
    plain = data_file(f"{name}.npz")
    if plain.exists():
        with np.load(plain) as arrays:
            images, classes = arrays[f"x_{part}"], arrays[f"y_{part}"]
    else:
        with np.load(data_file(f"{name}.jpeg.npz")) as arrays:
            blob, bounds = arrays[f"{part}_jpeg"], arrays[f"{part}_offsets"]
            classes = arrays[f"y_{part}"]
        images = decode_images(blob, bounds)
    channels_first = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return channels_first, classes.astype(np.int64)


def decode_images(blob, bounds):
    """Images of one size, (n, h, w, c), from their files one after the other."""
    files = (blob[a:b].tobytes() for a, b in zip(bounds, bounds[1:], strict=False))
    return np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files])


def load_cifar10():
    """The 50,000 + 10,000 images of CIFAR-10, in color."""
    return Split(*load_colored("cifar10", "train"), *load_colored("cifar10", "test"))


def load_cracks(seed):
    """The 40,000 images of concrete, 1 with a crack, 0 without; a random 80 % train."""
    parts = [load_colored("concrete_crack", part) for part in ("train", "test")]
    images, classes = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    train, test = train_test_split(
        np.arange(len(images)), test_size=0.2, random_state=seed
    )
    return Split(images[train], classes[train], images[test], classes[test])


def gray_center(images, size=28):
    """The middle of images in color, in gray: (n, 3, h, w) -> (n, 1, size, size)."""
    top, left = ((side - size) // 2 for side in images.shape[2:])
    middle = images[:, :, top : top + size, left : left + size]
    gray = np.tensordot(middle, LUMA, axes=(1, 0))  # (n, size, size)
    return gray.round().astype(np.uint8)[:, None]


def adbench_names():
    """Names of the tables of ADBench in the folder of the data, sorted."""
    return sorted(path.stem for path in data_file("adbench").glob("*.npz"))


def table_task(name, seed, labelled_share=None, max_rows=6000):
    """A table of ADBench: train on a random 60 %, test on the rest.

    Parameters
    ----------
    name : str
        One of `adbench_names`.

    seed : int
        Draws the rows, the split, and which anomalies are labelled.

    labelled_share : float, default=None
        Share of the training anomalies that are known, at least one; the others stay
        among the training rows. None leaves all anomalies out of training.

    max_rows : int, default=6000
        Of larger tables so many rows are drawn.

    Returns
    -------
    FewLabelsTask
        Float64 rows, not scaled.
    """
    with np.load(data_file(f"adbench/{name}.npz")) as arrays:
        X, is_anomaly = arrays["X"].astype(np.float64), arrays["y"] == 1
    random_state = np.random.RandomState(seed)
    chosen = random_state.permutation(len(X))[:max_rows]
    train, test = train_test_split(
        chosen, test_size=0.4, stratify=is_anomaly[chosen], random_state=random_state
    )
    if labelled_share is None:
        train = train[~is_anomaly[train]]
        n_labelled = 0
    else:
        n_labelled = max(1, round(labelled_share * np.sum(is_anomaly[train])))
    labelled = random_state.permutation(np.flatnonzero(is_anomaly[train]))[:n_labelled]
    is_labelled = np.isin(np.arange(len(train)), labelled)
    return FewLabelsTask(X[train], is_labelled, X[test], ~is_anomaly[test])


def standardize(task):
    """Every feature to mean 0 and variance 1 on the training rows not labelled."""
    scaler = StandardScaler().fit(task.x_train[~task.is_labelled])
    return task._replace(
        x_train=scaler.transform(task.x_train), x_test=scaler.transform(task.x_test)
    )


def uniform_noise(shape, seed=0):
    """Pixels drawn evenly from 0 to 255."""
    random_state = np.random.default_rng(seed)
    return random_state.integers(256, size=shape, dtype=np.uint8)


def gaussian_noise(shape, seed=0):
    """Pixels of mean 128 and standard deviation 128, clipped to 0 and 255."""
    random_state = np.random.default_rng(seed)
    noise = 128 + 128 * random_state.standard_normal(shape, dtype=np.float32)
    return noise.round().clip(0, 255).astype(np.uint8)


def one_class_task(split, normal_classes):
    """Train on some classes; everything else in the test set is an anomaly."""
    chosen = np.isin(split.y_train, normal_classes)
    return OneClassTask(
        split.x_train[chosen],
        split.y_train[chosen],
        split.x_test,
        np.isin(split.y_test, normal_classes),
    )


def novelty_task(split, normal_classes, anomalous_classes):
    """Train on some classes; test on them and on some others."""
    task = one_class_task(split, normal_classes)
    tested = np.isin(split.y_test, [*normal_classes, *anomalous_classes])
    return task._replace(x_test=task.x_test[tested], is_normal=task.is_normal[tested])


def few_anomalies_task(
    split, normal_classes, shown_classes, tested_classes, share, seed
):
    """Train on some classes and a few images of others; test on these or yet others.

    Parameters
    ----------
    split : Split

    normal_classes, shown_classes, tested_classes : sequence of int
        Classes of normal images, of the anomalies shown, and of those tested on.

    share : float
        Anomalies in training over normal images, as far as there are so many.

    seed : int
        Draws the anomalies.

    Returns
    -------
    FewLabelsTask
        No anomaly is hidden among the normal images.
    """
    normal = np.flatnonzero(np.isin(split.y_train, normal_classes))
    shown = np.flatnonzero(np.isin(split.y_train, shown_classes))
    shown = np.random.RandomState(seed).permutation(shown)[: round(share * len(normal))]
    train = np.concatenate([normal, shown])
    tested = np.isin(split.y_test, [*normal_classes, *tested_classes])
    return FewLabelsTask(
        split.x_train[train],
        np.arange(len(train)) >= len(normal),
        split.x_test[tested],
        np.isin(split.y_test[tested], normal_classes),
    )


def evenly_spaced(n, n_chosen):
    """At most so many indices, spread evenly over 0..n-1."""
    return np.linspace(0, n - 1, min(n, n_chosen)).astype(int)


def small_digits_task(normal_classes, seed):
    """scikit-learn's 8 x 8 digits: train on a random half of the normal ones."""
    digits = load_digits()
    images = digits.images[:, None].astype(np.float32)  # (1797, 1, 8, 8)
    is_normal = np.isin(digits.target, normal_classes)
    train, held_out = train_test_split(
        np.flatnonzero(is_normal), test_size=0.5, random_state=seed
    )
    test = np.sort(np.concatenate([held_out, np.flatnonzero(~is_normal)]))
    return OneClassTask(
        images[train], digits.target[train], images[test], is_normal[test]
    )


def small_digits_few_labels(normal_classes, n_labelled, seed):
    """The task of `small_digits_task`, with a few of the test's anomalies shown."""
    task = small_digits_task(normal_classes, seed)
    anomalies = np.flatnonzero(~task.is_normal)
    shown = np.random.RandomState(seed).permutation(anomalies)[:n_labelled]
    x_train = np.concatenate([task.x_train, task.x_test[shown]])
    return FewLabelsTask(
        x_train,
        np.arange(len(x_train)) >= len(task.x_train),
        np.delete(task.x_test, shown, axis=0),
        np.delete(task.is_normal, shown),
    )


def small_digits_open_set(known_classes, example_classes, seed):
    """scikit-learn's 8 x 8 digits: train on a random half of the known ones.

    The test has the other half, and all digits that are neither known nor examples.
    """
    digits = load_digits()
    images = digits.images[:, None].astype(np.float32)  # (1797, 1, 8, 8)
    is_known = np.isin(digits.target, known_classes)
    is_example = np.isin(digits.target, example_classes)
    train, held_out = train_test_split(
        np.flatnonzero(is_known), test_size=0.5, random_state=seed
    )
    novel = np.flatnonzero(~is_known & ~is_example)
    test = np.sort(np.concatenate([held_out, novel]))
    return OpenSetTask(
        images[train],
        digits.target[train],
        images[is_example],
        images[test],
        digits.target[test],
        is_known[test],
    )
