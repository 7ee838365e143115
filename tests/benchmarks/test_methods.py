"""Rivals and figures of the benchmarks."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.neighbors import LocalOutlierFactor
from small import interrupt_in_epoch

from benchmarks.methods import (
    CrossFitted,
    MaximumProbability,
    MeanOfSeeds,
    ScoreOfRival,
    can_run,
    fit_classifier,
    gradient_boosting,
    logistic_regression,
    novelty_figures,
)
from sk_hypersphere import MCHADClassifier


def test_figures_are_in_percent_and_found_outliers_count():
    figures = novelty_figures(np.array([3.0, 2.0, 1.0, 0.0]), np.array([0.5, -1.0]))
    assert figures["auroc"] == "87.50"
    assert figures["fpr95"] == "25.00"


def images_of_bars(n=64):
    """Images of a vertical and of a horizontal bar, and which it is."""
    random_state = np.random.RandomState(0)
    images = random_state.randint(50, size=(n, 1, 8, 8)).astype(np.uint8)
    labels = np.arange(n) % 2
    images[labels == 0, :, :, 3:5] += 150
    images[labels == 1, :, 3:5] += 150
    return images, np.array(["vertical", "horizontal"])[labels]


def test_the_softmax_baseline_learns_two_shapes():
    images, names = images_of_bars()
    model = MaximumProbability(max_epochs=10, device="cpu").fit(images, names)
    assert (model.predict(images) == names).all()
    scores = model.score_samples(images)
    assert scores.shape == (64,) and (scores <= 0).all()


def test_example_anomalies_go_to_models_that_take_them():
    images, names = images_of_bars()
    given = {"max_epochs": 1, "device": "cpu", "random_state": 0}
    models = {"without": MCHADClassifier(**given), "exposed": MCHADClassifier(**given)}
    models["exposed"].set_params(anomaly_label="other")
    for model in models.values():
        fit_classifier(model, images, names, exposure=images[:8])
    losses = [model.net_.history[0, "train_loss"] for model in models.values()]
    assert losses[0] != losses[1]
    assert models["exposed"].classes_.tolist() == ["horizontal", "vertical"]


def test_an_interrupted_training_is_no_result():
    images, names = images_of_bars()
    model = MCHADClassifier(
        max_epochs=2, device="cpu", callbacks=[interrupt_in_epoch(2)]
    )
    with pytest.raises(KeyboardInterrupt):
        fit_classifier(model, images, names, exposure=images)


def test_scores_of_seeds_count_alike_whatever_their_unit():
    class InUnitOfSeed(LocalOutlierFactor):
        def __init__(self, novelty=True, random_state=0):
            super().__init__(novelty=novelty)
            self.random_state = random_state

        def score_samples(self, X):
            return super().score_samples(X) * 10.0**self.random_state

    X = np.random.RandomState(0).standard_normal((30, 2))
    many = MeanOfSeeds(InUnitOfSeed(), random_state=1).fit(X)
    assert [member.random_state for member in many.members_] == [5, 6, 7, 8, 9]
    scores = InUnitOfSeed(random_state=5).fit(X).score_samples(X)
    expected = (scores - scores.mean()) / scores.std()
    np.testing.assert_allclose(many.score_samples(X), expected)


@pytest.mark.parametrize("make", [logistic_regression, gradient_boosting])
def test_a_classifier_of_anomalies_scores_them_lower(make):
    X = np.arange(100.0)[:, None]
    rival = ScoreOfRival(make).fit(X, X[:, 0] > 80)
    normal, abnormal = rival.score_samples([[10.0], [95.0]])
    assert normal > abnormal


def test_rivals_draw_the_same_and_leave_the_global_streams_alone():
    class Drawing:
        def __init__(self, n_features, seed):
            torch.manual_seed(99)

        def fit(self, X, y):
            self.drawn = np.random.rand(), torch.rand(1).item()

        def decision_function(self, X):
            return -np.array([*self.drawn])

    def streams():
        return np.random.get_state()[1].copy(), torch.get_rng_state().numpy()

    X, before = np.zeros((2, 1)), streams()
    first, again = (ScoreOfRival(Drawing, 1).fit(X).score_samples(X) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    for state, expected in zip(streams(), before, strict=True):
        np.testing.assert_array_equal(state, expected)


def test_a_peer_without_its_package_cannot_run():
    def make(n_features, seed):
        raise ModuleNotFoundError

    assert not can_run(make)
    assert can_run(logistic_regression)


class InOwnUnits(OutlierMixin, BaseEstimator):
    """Minus the distance to the mean, times the number of rows, plus that number."""

    def __init__(self, contamination="auto", random_state=None):
        self.contamination = contamination
        self.random_state = random_state

    def fit(self, X, y=None):
        assert self.contamination != "auto" and self.random_state is not None
        self.mean_, self.unit_ = X.mean(axis=0), len(X)
        return self

    def score_samples(self, X):
        return self.unit_ * (1 - np.linalg.norm(X - self.mean_, axis=1))


def test_scores_of_folds_are_brought_to_the_units_of_the_detector_of_all_rows():
    rows = np.random.RandomState(0).standard_normal((2000, 2))
    X, new = rows[:1000], rows[1000:]
    model = CrossFitted(InOwnUnits(), random_state=0).fit(X)
    scores = model.model_.score_samples(X)
    assert model.calibration_scores_.shape == (1000,)
    for share in (0.02, 0.05, 0.5, 0.75):
        calibrated = np.quantile(model.calibration_scores_, share)
        assert calibrated == pytest.approx(np.quantile(scores, share), abs=30)
    assert np.mean(model.predict(new) < 0) == pytest.approx(0.05, abs=0.02)
    np.testing.assert_array_equal(model.predict(new) < 0, model.p_values(new) < 0.05)


def test_calibration_scores_are_of_detectors_that_have_not_seen_the_rows():
    class KnowsRows(InOwnUnits):
        def fit(self, X, y=None):
            self.known_ = X[:, 0]
            return super().fit(X)

        def score_samples(self, X):
            is_known = np.isin(X[:, 0], self.known_)
            return super().score_samples(X) + 100 * self.unit_ * is_known

    X = np.random.RandomState(0).standard_normal((50, 2))
    model = CrossFitted(KnowsRows(), random_state=0).fit(X)
    assert model.calibration_scores_.max() < model.score_samples(X).min()
