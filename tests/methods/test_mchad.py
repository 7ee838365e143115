"""Tests of MCHADClassifier alone; the contract is in test_classifier.py."""

import inspect

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from helpers import naive_sq_distances
from sk_hypersphere import MCHADClassifier

LEARNS = {"max_epochs": 30, "lr": 1e-2, "random_state": 0}


def test_default_weights_are_the_published_ones_as_means_over_rows():
    default = {
        name: parameter.default
        for name, parameter in inspect.signature(MCHADClassifier).parameters.items()
    }
    assert default["alpha"] == pytest.approx(0.5 / 10)
    assert default["beta"] == 1.0
    assert default["gamma"] == pytest.approx(256 * 1e-5 / (1.5 * 128 / 384))
    assert (default["radius"] + default["margin"]) ** 2 == 4.0
    assert default["n_components"] == 16


@pytest.mark.parametrize("n_components", [3, 5, 16])
def test_centers_start_on_an_axis_each(with_anomalies, n_components):
    params = {"anomaly_label": -1, "n_components": n_components, "max_epochs": 0}
    untrained = MCHADClassifier(**params).fit(*with_anomalies)
    np.testing.assert_array_equal(untrained.centers_, 2 * np.eye(3, n_components))


def test_centers_start_in_random_directions_where_there_are_more_than_axes(
    with_anomalies,
):
    params = {"n_components": 2, "max_epochs": 0, "random_state": 0}
    fitted = MCHADClassifier(**params).fit(*with_anomalies)
    first, second = fitted.centers_, clone(fitted).fit(*with_anomalies).centers_
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 2, rtol=1e-6)
    assert len(np.unique(first, axis=0)) == len(first)
    np.testing.assert_array_equal(first, second)


def test_centers_are_learned(with_anomalies):
    fitted = MCHADClassifier(max_epochs=2, random_state=0).fit(*with_anomalies)
    assert (fitted.centers_ != 2 * np.eye(4, 16)).any(axis=1).all()


def test_centers_are_exempt_from_weight_decay(with_anomalies):
    params = {"weight_decay": 0.1, "max_epochs": 1, "random_state": 0}
    fitted = MCHADClassifier(**params).fit(*with_anomalies)
    decay = {
        id(parameter): group["weight_decay"]
        for group in fitted.net_.optimizer_.param_groups
        for parameter in group["params"]
    }
    module = fitted.net_.module_
    assert decay.pop(id(module.head.centers)) == 0
    assert set(decay.values()) == {0.1} and decay


def test_a_larger_alpha_makes_classes_compact(with_anomalies):
    X, y = with_anomalies

    def spread(alpha):
        fitted = MCHADClassifier(anomaly_label=-1, alpha=alpha, **LEARNS).fit(X, y)
        return naive_sq_distances(fitted, X[y >= 0]).min(axis=1).mean()

    assert spread(1.0) < 0.5 * spread(0.0)


def test_errors_score_lower_than_right_predictions():
    X, y = load_digits(return_X_y=True)
    fitted = MCHADClassifier(random_state=0).fit(X[::2] / 16, y[::2])
    right = fitted.predict(X[1::2] / 16) == y[1::2]
    assert roc_auc_score(right, fitted.score_samples(X[1::2] / 16)) > 0.9
