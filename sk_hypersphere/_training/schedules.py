"""Numbers of epochs and learning rates that "auto" stands for, for all methods."""

from math import ceil
from typing import NamedTuple

import numpy as np

# Learned centers and classes need about this many batches for useful distances.
STEPS_TO_CENTERS = 1000

# Known anomalies are few and soon memorized: this many batches are enough for them, at
# these learning rates.
STEPS_FOR_ANOMALIES = {"rows": 50, "images": 150}
ANOMALY_LEARNING_RATES = {"rows": 5e-4, "images": 1e-3}

# Triplets of EIDN need more batches of images, at a higher learning rate.
STEPS_FOR_TRIPLETS = {"rows": 50, "images": 500}
TRIPLET_LEARNING_RATES = {"rows": 5e-4, "images": 2e-3}

# An epoch of triplets has at most this many batches, a tenth of the training, so that
# the learning rate falls in time.
MOST_TRIPLET_STEPS_PER_EPOCH = {"rows": 5, "images": 50}

# Training is prolonged until every anomaly has been seen PASSES times but, except for
# triplets, not beyond MOST_EPOCHS epochs.
PASSES = 5
MOST_EPOCHS = 100


class Schedule(NamedTuple):
    """The values that "auto" stands for in `max_epochs` and `lr`.

    Parameters
    ----------
    max_epochs : int
        Epochs of training.

    lr : float
        Learning rate.

    lowers : bool, default=False
        Whether a learning rate that is "auto" is divided by ten for the last 30 % of
        the epochs.
    """

    max_epochs: int
    lr: float
    lowers: bool = False


def kind_of(X):
    """Return "rows" for samples with a single axis, else "images"."""
    return "rows" if X.ndim == 2 else "images"


def auto_epochs(n_samples, batch_size, least=30):
    """Number of epochs with 1,000 batches in all, but at least `least` and at most 300.

    Examples
    --------
    >>> auto_epochs(1280, 128), auto_epochs(10, 128), auto_epochs(60_000, 128)
    (100, 300, 30)
    """
    n_batches = ceil(n_samples / batch_size)
    return min(max(least, ceil(STEPS_TO_CENTERS / n_batches)), 300)


def centers_schedule(n_samples, batch_size):
    """Schedule for classes that each have a center."""
    return Schedule(auto_epochs(n_samples, batch_size), lr=1e-3, lowers=True)


def classifier_schedule(X, batch_size):
    """Schedule for classifiers of kinds of samples; images need fewer epochs."""
    n_epochs = auto_epochs(len(X), batch_size, least=30 if X.ndim == 2 else 6)
    return Schedule(n_epochs, lr=1e-3, lowers=True)


def one_sphere_schedule(n_samples, batch_size, pretrain_epochs=0):
    """Schedule for a single sphere, after `pretrain_epochs` of pre-training."""
    if pretrain_epochs:
        return Schedule(auto_epochs(n_samples, batch_size), lr=1e-4)
    return Schedule(30, lr=1e-3, lowers=True)


def many_spheres_schedule():
    """Schedule for many spheres around samples, which training moves only a little."""
    return Schedule(1, lr=1e-5)


def few_anomalies_schedule(X, y, batch_size, anomaly_ratio, max_epochs="auto"):
    """Schedule for samples with a few example anomalies among them.

    Whole epochs may have more batches than are needed. The learning rate is then lower
    in proportion, so that the weights can move equally far.

    Parameters
    ----------
    X : array
        Rows or images.

    y : ndarray of shape (n,)
        Labels of the samples that are trained on; anomalies have labels below 0.

    batch_size : int
        Largest number of other samples in a batch.

    anomaly_ratio : float
        Number of anomalies in a batch divided by the number of other samples.

    max_epochs : int or "auto", default="auto"
        A number is kept, and the learning rate then does not depend on it.

    Returns
    -------
    Schedule

    Examples
    --------
    >>> X, y = np.zeros((1290, 4)), np.repeat([0, -1], [1280, 10])
    >>> few_anomalies_schedule(X, y, batch_size=128, anomaly_ratio=1.0)
    Schedule(max_epochs=5, lr=0.0005, lowers=False)
    >>> few_anomalies_schedule(X, y, batch_size=8, anomaly_ratio=1.0)
    Schedule(max_epochs=1, lr=0.00015625, lowers=False)
    """
    kind = kind_of(X)
    lr, lowers = ANOMALY_LEARNING_RATES[kind], kind == "images"
    if max_epochs != "auto":
        return Schedule(max_epochs, lr, lowers)
    n_anomalies = int(np.sum(y < 0))
    n_normal = len(y) - n_anomalies
    n_batches = ceil(n_normal / batch_size)
    for_all = PASSES * n_anomalies / ceil(anomaly_ratio * n_normal / n_batches)
    n_steps = max(STEPS_FOR_ANOMALIES[kind], min(for_all, MOST_EPOCHS * n_batches))
    n_epochs = ceil(n_steps / n_batches)
    return Schedule(n_epochs, lr * (n_steps / (n_epochs * n_batches)), lowers)


def triplet_steps(X, n_trained, batch_size):
    """Number of batches in an epoch of triplets: about one pass over all or less."""
    n_batches = ceil(n_trained / (2 * batch_size))
    return min(n_batches, MOST_TRIPLET_STEPS_PER_EPOCH[kind_of(X)])


def triplet_schedule(X, n_anomalies, batch_size, n_steps, augments):
    """Schedule for triplets, with `n_steps` batches in an epoch.

    Samples that are augmented take twice as long to memorize.
    """
    kind = kind_of(X)
    total = max(STEPS_FOR_TRIPLETS[kind], PASSES * n_anomalies / batch_size)
    n_epochs = ceil(total * (2 if augments else 1) / n_steps)
    return Schedule(n_epochs, TRIPLET_LEARNING_RATES[kind], lowers=True)
