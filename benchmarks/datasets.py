"""Real images, as arrays."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.datasets import fetch_openml, load_digits
from sklearn.model_selection import train_test_split

DATA_VARIABLE = "SK_HYPERSPHERE_DATA"


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


def one_class_task(split, normal_classes):
    """Train on some classes; everything else in the test set is an anomaly."""
    chosen = np.isin(split.y_train, normal_classes)
    return OneClassTask(
        split.x_train[chosen],
        split.y_train[chosen],
        split.x_test,
        np.isin(split.y_test, normal_classes),
    )


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
