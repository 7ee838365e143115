"""Scores and embeddings, and the promises that thresholds and p-values keep."""

import inspect

import numpy as np
import pytest
import torch
from sklearn.base import is_classifier

from sk_hypersphere.base._threshold import rule_of
from sk_hypersphere.exceptions import OWN_PACKAGES, CalibrationWarning
from sk_hypersphere.testing._conditions import (
    has_net,
    has_scores,
    has_threshold,
    keeps_a_promise,
    learns_from_normal_rows,
)
from sk_hypersphere.testing._registry import law
from sk_hypersphere.testing._trial import (
    DATA,
    anomaly_label,
    fresh,
    is_example_anomaly,
    shared_fit,
    shared_responses,
    takes,
)

USER = "<a program that uses the estimator>"


def normal_rows(n, seed):
    """Rows of two classes that lie apart, and these classes."""
    rng = np.random.RandomState(seed)
    classes = rng.randint(2, size=n)
    return (rng.randn(n, 4) + 6 * classes[:, None]).astype(np.float32), classes


def anomalies(n, seed):
    return np.random.RandomState(seed).randn(n, 4).astype(np.float32) + [30, 0, 0, 0]


def trained_for_a_promise(estimator, n, **params):
    """A fit to normal rows of two classes, with some example anomalies."""
    X, classes = normal_rows(n, seed=7)  # not the seed of the estimators
    labels = classes if is_classifier(estimator) else np.ones(n, dtype=int)
    label = anomaly_label(estimator)
    if label is not None:
        X = np.concatenate([X, anomalies(20, seed=0)])
        labels = np.concatenate([labels, np.full(20, label)])
    return fresh(estimator, **params).fit(X, labels)


def called_by_a_user(function, *args):
    """Call a function from a program of no package, where warnings should point."""
    names = {"__name__": "__main__", "function": function, "args": args}
    exec(compile("function(*args)", USER, "exec"), names)


def may_be_warned_of(estimator):
    """The files that a warning of `fit` may point to."""
    fit = inspect.unwrap(type(estimator).fit)
    of_a_stranger = fit.__module__.partition(".")[0] not in OWN_PACKAGES
    return {USER, *[inspect.getfile(fit)] * of_a_stranger}


@law(has_scores)
def scores_are_float64_one_a_row_and_not_all_alike(estimator, X):
    scores = shared_fit(estimator).score_samples(X)
    assert scores.dtype == np.float64 and scores.shape == (len(X),)
    assert len(np.unique(scores)) > len(X) / 2


@law(lambda estimator: has_scores(estimator) and not is_classifier(estimator))
def decisions_are_scores_above_the_offset(estimator, X):
    fitted = shared_fit(estimator)
    decisions = fitted.decision_function(X)
    np.testing.assert_array_equal(decisions, fitted.score_samples(X) - fitted.offset_)
    np.testing.assert_array_equal(fitted.predict(X), np.where(decisions < 0, -1, 1))


@law(has_threshold, sets=("contamination",), contamination=[0.05, 0.1, 0.5])
def contamination_is_the_fraction_called_anomalies(estimator, contamination, X, y):
    fitted = shared_fit(estimator, contamination=contamination)
    detect = fitted.detect if is_classifier(fitted) else fitted.predict
    counted = X[~is_example_anomaly(fitted, y)]
    assert np.mean(detect(counted) == -1) == pytest.approx(contamination, abs=0.01)


@law(keeps_a_promise, sets=("false_alarm_rate",), rate=[0.05, 0.2])
def new_normal_rows_fall_below_as_often_as_promised(estimator, rate):
    fitted = trained_for_a_promise(estimator, 2000, false_alarm_rate=rate)
    new, _ = normal_rows(4000, seed=1)
    n_calibrating = len(fitted.calibration_scores_)
    given = rule_of(estimator).calibration_fraction
    assert n_calibrating == (400 if given == "auto" else int(2000 * given + 1e-9))
    share = np.mean(fitted.score_samples(new) < fitted.offset_)
    deviation = np.sqrt(rate * (1 - rate) * (1 / n_calibrating + 1 / len(new)))
    assert abs(share - rate) < 3.5 * deviation


@law(has_threshold, sets=("false_alarm_rate",))
def the_promise_is_one_in_twenty_by_default(estimator):
    default = inspect.signature(type(estimator)).parameters["false_alarm_rate"].default
    if default is None:  # the estimator that is wrapped has the promise
        default = estimator.estimator.false_alarm_rate
    assert default == 0.05


@law(keeps_a_promise, kind=["rows", "images"])
def samples_that_are_held_out_have_no_part_in_training(estimator, kind):
    names = {"rows": ("X", "y"), "images": ("images", "image_labels")}[kind]
    X, y = (DATA[name]() for name in names)
    fitted = shared_fit(estimator, kind)
    held_out = fitted.calibration_indices_
    assert len(held_out) >= 19
    assert not is_example_anomaly(fitted, y)[held_out].any()
    changed = X.copy()
    changed[held_out] = changed[held_out][::-1] // 2 + 3
    again = fresh(estimator).fit(changed, y)
    np.testing.assert_array_equal(again.calibration_indices_, held_out)
    members = (getattr(e, "estimators_", [e]) for e in (fitted, again))
    for ours, theirs in zip(*members, strict=True):
        for name, value in ours.net_.module_.state_dict().items():
            assert torch.equal(value, theirs.net_.module_.state_dict()[name]), name


@law(keeps_a_promise)
def calibration_scores_are_those_of_the_samples_held_out(estimator, X):
    fitted = shared_fit(estimator)
    scores = np.sort(fitted.score_samples(X[fitted.calibration_indices_]))
    np.testing.assert_array_equal(fitted.calibration_scores_, scores)
    rate = rule_of(estimator).false_alarm_rate
    place = np.quantile(scores, rate, method="weibull")
    assert fitted.offset_ == pytest.approx(place, rel=1e-12)


@law(keeps_a_promise)
def p_values_count_the_calibration_scores_below(estimator):
    calibrating = shared_fit(estimator).calibration_scores_
    said = shared_responses(estimator)
    for score, p in zip(said["score_samples"], said["p_values"], strict=True):
        assert p == (1 + sum(s <= score for s in calibrating)) / (len(calibrating) + 1)


@law(has_threshold, sets=("contamination",))
def p_values_are_refused_without_calibration(estimator, X):
    fitted = shared_fit(estimator, contamination=0.1)
    assert len(fitted.calibration_indices_) == 0
    with pytest.raises(ValueError, match='contamination="auto"'):
        fitted.p_values(X)


@law(keeps_a_promise)
def too_few_samples_for_a_promise_are_warned_of(estimator):
    if takes(estimator, "false_alarm_rate"):
        estimator = fresh(estimator, false_alarm_rate=0.05)
    with pytest.warns(CalibrationWarning, match="needs 19 normal samples") as caught:
        called_by_a_user(trained_for_a_promise, estimator, 30)
    assert {warning.filename for warning in caught} <= may_be_warned_of(estimator)


@law(learns_from_normal_rows, sets=("max_epochs",))
def rows_that_are_far_from_all_training_rows_are_anomalies(estimator, X, y):
    normal = X[y == 1]
    fitted = fresh(estimator).set_params(max_epochs=20).fit(normal)
    far = normal.mean(axis=0) + 1e3 * np.eye(4, dtype=np.float32)
    assert (fitted.predict(far) == -1).all()


@law(has_net, sets=("n_components",))
def the_embedding_has_n_components(estimator, X, y):
    Z = fresh(estimator, n_components=5).fit(X, y).transform(X)
    assert Z.shape == (len(X), 5) and Z.dtype == np.float32
