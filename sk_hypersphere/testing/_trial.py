"""Data and fits for the laws, which share the fits that they only read.

The data are a blob of normal rows, or of images, and a few anomalies far away; labels
are 1 and -1.
"""

import inspect
from copy import deepcopy
from functools import cache

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.datasets import make_blobs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sk_hypersphere._training.random import TorchStream

RESPONSES = (
    "score_samples",
    "p_values",
    "decision_function",
    "predict_proba",
    "predict",
    "detect",
    "transform",
)


@cache
def rows():
    X, _ = make_blobs(120, n_features=4, centers=3, random_state=0)
    X[-10:] += 30
    return X.astype(np.float32)


@cache
def row_labels():
    return np.r_[np.ones(110, dtype=int), -np.ones(10, dtype=int)]


@cache
def images():
    rng = np.random.RandomState(0)
    return rng.randint(0, 256, (48, 1, 8, 8)).astype(np.uint8)


@cache
def image_labels():
    return np.r_[np.ones(40, dtype=int), -np.ones(8, dtype=int)]


def named_rows():
    import pandas as pd

    return pd.DataFrame(rows(), columns=[*"abcd"])


# Arguments of laws that are data. Each law gets its own copy, which it may change.
DATA = {
    "X": lambda: rows().copy(),
    "y": lambda: row_labels().copy(),
    "images": lambda: images().copy(),
    "image_labels": lambda: image_labels().copy(),
}
# Samples and labels that fits are shared for.
KINDS = {
    "rows": (rows, row_labels),
    "rounded rows": (lambda: rows().round(), row_labels),
    "named rows": (named_rows, row_labels),
    "images": (images, image_labels),
}


def seeded(estimator):
    """A clone whose seed is 0, or the seed of what it wraps if it takes none."""
    params = estimator.get_params()
    for name in ("random_state", "estimator__random_state"):
        if name in params:
            return clone(estimator).set_params(**{name: 0})
    return clone(estimator)


def takes(estimator, *names):
    """Whether an estimator, or what it wraps, has parameters of these names."""
    known = estimator.get_params()
    return all(name in known or f"estimator__{name}" in known for name in names)


def fresh(estimator, **params):
    """A clone with other parameters, of what it wraps if it has none of that name."""
    known = inspect.signature(type(estimator)).parameters
    wraps = "encoder" not in known
    return clone(estimator).set_params(
        **{
            f"estimator__{name}" if wraps and name not in known else name: value
            for name, value in params.items()
        }
    )


@cache
def shared_fit(estimator, kind="rows", **params):
    """A model that several laws read, and none may change."""
    X, y = (make().copy() for make in KINDS[kind])
    return fresh(estimator, **params).fit(X, y)


@cache
def shared_responses(estimator, kind="rows", **params):
    """All that the shared model says about the samples that it is fitted to."""
    fitted = shared_fit(estimator, kind, **params)
    return responses(fitted, KINDS[kind][0]().copy())


def own_fit(estimator, kind="rows", **params):
    """A copy of the shared model, which a law may change."""
    return deepcopy(shared_fit(estimator, kind, **params))


@cache
def in_pipeline(estimator):
    """A pipeline of a scaler and an estimator, always the same for the same."""
    return make_pipeline(StandardScaler(), estimator)


def responses(estimator, X):
    """All that a fitted estimator says about samples, by method."""
    names = [name for name in RESPONSES if hasattr(estimator, name)]
    if not len(getattr(estimator, "calibration_scores_", [0])):
        names.remove("p_values")  # it needs some
    return {name: getattr(estimator, name)(X) for name in names}


def assert_same(ours, theirs):
    """Equal to the last bit."""
    assert ours.keys() == theirs.keys() and ours
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def differ(ours, theirs):
    return any(not np.array_equal(ours[name], theirs[name]) for name in ours)


def shuffled_rows(a):
    return a[np.random.RandomState(0).permutation(len(a))]


def anomaly_label(estimator):
    """The label by which an estimator knows example anomalies, or None."""
    params = getattr(estimator, "estimator", estimator).get_params()
    label = params.get("anomaly_label")
    if label is None and "anomaly_label" in params and not is_classifier(estimator):
        return -1
    return label


def is_example_anomaly(estimator, y):
    """Which labels, +1 or -1, mark example anomalies to an estimator."""
    label = anomaly_label(estimator)
    return np.zeros(len(y), dtype=bool) if label is None else y == label


def rows_encoder(*layers):
    """A module for rows of 4 features."""
    with TorchStream(0, torch.device("cpu")).active():
        return nn.Sequential(*layers, nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def label(estimator, estimators):
    """The name of an estimator in test ids, and how it differs from its own kind."""
    kind = type(estimator)
    alike = [e.get_params(deep=False) for e in estimators if type(e) is kind]
    defaults = inspect.signature(kind).parameters
    words = [kind.__name__]
    for name, value in estimator.get_params(deep=False).items():
        differs = any(repr(params[name]) != repr(value) for params in alike)
        if differs and repr(value) != repr(defaults[name].default):
            words.append(setting(name, value))
    return "-".join(words)


def setting(name, value):
    """A parameter and its value, where a few letters say it.

    Examples
    --------
    >>> setting("nu", 0.2), setting("weights", [1, 2])
    ('nu=0.2', 'weights')
    """
    if isinstance(value, BaseEstimator):
        value = type(value).__name__
    return f"{name}={value}" if isinstance(value, (str, int, float)) else name
