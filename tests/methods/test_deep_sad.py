"""Tests of DeepSAD alone; the contract is in test_semi_supervised.py."""

import numpy as np
import pytest
from torch import nn

from helpers import naive_sq_distances
from sk_hypersphere import DeepSAD, DeepSVDD
from sk_hypersphere.base._spheres import away_from_zero

SMALL = {"max_epochs": 3, "random_state": 0}
UNTRAINED = {"max_epochs": 0, "random_state": 0}
LEARNS = {"max_epochs": 40, "lr": 1e-2, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    """Rows of two normal kinds, and anomalies, labelled -1."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(130, 3)).astype(np.float32)
    X[50:100, 1] += 3
    X[100:, 0] += 5
    return X, np.repeat([0, -1], [100, 30])


@pytest.fixture(scope="module")
def images():
    return np.random.RandomState(0).rand(40, 1, 8, 8).astype(np.float32)


# Without labels


@pytest.mark.parametrize("labels", ["none", "all 0"])
@pytest.mark.parametrize("contamination", ["auto", "boundary", 0.2])
@pytest.mark.parametrize("kind", ["rows", "images", "images, not pre-trained"])
def test_without_labels_it_is_deep_svdd_to_the_last_bit(
    data, images, kind, contamination, labels
):
    X = data[0] if kind == "rows" else images
    params = {**SMALL, "contamination": contamination, "batch_size": 16}
    if contamination == "auto":  # of 40 images, 20
        params["calibration_fraction"] = 0.5
    if kind != "rows":
        params["pretrain_epochs"] = 2 * (kind == "images")
    y = None if labels == "none" else np.zeros(len(X), dtype=int)
    ours, theirs = DeepSAD(eta=5.0, **params).fit(X, y), DeepSVDD(**params).fit(X)
    np.testing.assert_array_equal(ours.score_samples(X), theirs.score_samples(X))
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_array_equal(ours.transform(X), theirs.transform(X))
    np.testing.assert_array_equal(ours.centers_, theirs.centers_)
    np.testing.assert_array_equal(ours.radii_, theirs.radii_)
    assert ours.offset_ == theirs.offset_
    np.testing.assert_array_equal(ours.calibration_scores_, theirs.calibration_scores_)
    assert len(ours.calibration_scores_) == len(X) // 2 * (contamination == "auto")
    assert ours.n_iter_ == theirs.n_iter_


def test_without_labels_it_is_deep_svdd_by_default_too(data):
    X, _ = data
    ours, theirs = (make(random_state=0).fit(X) for make in (DeepSAD, DeepSVDD))
    np.testing.assert_array_equal(ours.score_samples(X), theirs.score_samples(X))


# The center


def test_the_center_is_the_mean_embedding_without_known_anomalies(data):
    X, y = data
    untrained = DeepSAD(contamination=0.1, max_epochs=0, random_state=0).fit(X, y)
    mean = untrained.transform(X[y == 0]).mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(
        untrained.centers_[0], away_from_zero(mean, 0.1), rtol=1e-5
    )


def test_samples_held_out_do_not_count_for_the_center(data):
    X, y = data
    untrained = DeepSAD(max_epochs=0, random_state=0).fit(X, y)
    assert len(untrained.calibration_indices_) == 33
    counted = np.setdiff1d(np.flatnonzero(y == 0), untrained.calibration_indices_)
    mean = untrained.transform(X[counted]).mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(
        untrained.centers_[0], away_from_zero(mean, 0.1), rtol=1e-5
    )


def test_the_center_of_what_is_not_trained_stands_at_the_mean(data):
    X, y = data
    params = {"encoder": nn.Identity(), "contamination": "boundary"}
    fitted = DeepSAD(center_epsilon=0.5, **params).fit(X, y)
    mean = X[y == 0].mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(fitted.centers_[0], mean, atol=1e-6)
    assert (np.abs(mean) < 0.5).any()  # from where others are moved out
    sq_distances = np.array([np.sum((x - mean) ** 2.0) for x in X])
    expected = fitted.radii_**2 - sq_distances
    np.testing.assert_allclose(fitted.score_samples(X), expected, atol=1e-4)
    assert fitted.n_iter_ == 0
    assert fitted.diagnostics_["n_trained_parameters"] == 0


def test_known_normal_rows_count_for_the_center(data):
    X, y = data
    labels = np.where(y == 0, np.arange(len(y)) % 2, -1)
    some, none = (DeepSAD(max_epochs=0, random_state=0).fit(X, k) for k in (labels, y))
    np.testing.assert_array_equal(some.centers_, none.centers_)


@pytest.mark.parametrize("center", ["mean", "origin"])
def test_training_leaves_the_center_where_it_is(data, center):
    before, after = (
        DeepSAD(center=center, **{**SMALL, "max_epochs": n}).fit(*data) for n in (0, 3)
    )
    np.testing.assert_array_equal(before.centers_, after.centers_)
    assert np.abs(before.transform(data[0]) - after.transform(data[0])).max() > 0


def test_the_center_may_be_the_origin(data):
    fitted = DeepSAD(center="origin", n_components=5, **SMALL).fit(*data)
    np.testing.assert_array_equal(fitted.centers_, np.zeros((1, 5)))


# Scores


def test_the_score_is_what_is_left_of_the_radius(data):
    X, y = data
    for contamination in ("boundary", "auto", 0.2):
        fitted = DeepSAD(contamination=contamination, **SMALL).fit(X, y)
        scores = fitted.score_samples(X)
        expected = fitted.radii_**2 - naive_sq_distances(fitted, X)[:, 0]
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
        assert (fitted.offset_ == 0) == (contamination == "boundary")


@pytest.mark.parametrize("nu", [0.05, 0.3])
def test_nu_is_the_fraction_of_rows_not_labelled_anomalies_left_outside(data, nu):
    X, y = data
    fitted = DeepSAD(nu=nu, contamination="boundary", **SMALL).fit(X, y)
    outside = fitted.predict(X[y == 0]) == -1
    assert np.mean(outside) == pytest.approx(nu, abs=1 / len(outside))
    distances = np.sqrt(naive_sq_distances(fitted, X[y == 0])[:, 0])
    expected = np.quantile(distances, 1 - nu)
    np.testing.assert_allclose(fitted.radii_, [expected], rtol=1e-4)


@pytest.mark.parametrize("nu", [0.05, 0.3])
def test_the_radius_is_a_quantile_of_the_samples_trained_on(data, nu):
    X, y = data
    fitted = DeepSAD(nu=nu, **SMALL).fit(X, y)
    trained_on = np.setdiff1d(np.flatnonzero(y == 0), fitted.calibration_indices_)
    assert len(trained_on) == 67
    distances = np.sqrt(naive_sq_distances(fitted, X[trained_on])[:, 0])
    expected = np.quantile(distances, 1 - nu)
    np.testing.assert_allclose(fitted.radii_, [expected], rtol=1e-4)
    outside = fitted.score_samples(X[trained_on]) < 0
    assert np.mean(outside) == pytest.approx(nu, abs=1 / len(outside))


def test_nu_moves_the_radius_and_not_what_is_predicted(data):
    X, y = data
    small, large = (DeepSAD(nu=nu, **SMALL).fit(X, y) for nu in (0.5, 0.01))
    assert small.radii_[0] < large.radii_[0]
    np.testing.assert_allclose(
        small.decision_function(X), large.decision_function(X), atol=1e-4
    )


# Labels


def test_known_anomalies_score_lower_than_without_their_label(data):
    X, y = data
    labelled, hidden = (DeepSAD(**LEARNS).fit(X, labels) for labels in (y, None))
    scores = [fitted.score_samples(X[y == -1]) for fitted in (labelled, hidden)]
    assert scores[0].max() < scores[1].min()
    assert (labelled.predict(X[y == -1]) == -1).all()


def test_known_normal_rows_are_drawn_closer(data):
    X, y = data

    def share(labels):
        """Share of the first kind of rows in all squared distances."""
        fitted = DeepSAD(eta=20.0, **LEARNS).fit(X, labels)
        sq_distances = naive_sq_distances(fitted, X[:100])[:, 0]
        return sq_distances[:50].sum() / sq_distances.sum()

    known = y.copy()
    known[:50] = 1
    assert share(known) < 0.7 * share(y)


def test_labels_of_known_normal_rows_alone_are_labels():
    X = np.random.RandomState(0).normal(size=(60, 3))
    y = np.ones(60, dtype=int)
    first, second = (DeepSAD(eta=eta, **SMALL).fit(X, y) for eta in (1.0, 50.0))
    assert first.net_.history[0, "train_loss"] < second.net_.history[0, "train_loss"]


def test_a_larger_eta_pushes_anomalies_further(data):
    X, y = data
    reach = []
    for eta in (0.01, 100.0):
        fitted = DeepSAD(eta=eta, **LEARNS).fit(X, y)
        reach.append(naive_sq_distances(fitted, X[y == -1]).mean())
    assert reach[0] < reach[1]


# Pre-training


def test_pretraining_leaves_example_anomalies_out(data):
    X, y = data
    other = np.where(y[:, None] == -1, 50, X)
    params = {"encoder": nn.Linear(3, 2), "decoder": nn.Linear(2, 3)}
    params |= {"pretrain_epochs": 3, "max_epochs": 0, "random_state": 0}
    first, second = (DeepSAD(**params).fit(Z, y) for Z in (X, other))
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    np.testing.assert_array_equal(first.centers_, second.centers_)


def test_pretraining_leaves_samples_out_that_place_the_threshold(data):
    X, y = data
    params = {"encoder": nn.Linear(3, 2), "decoder": nn.Linear(2, 3)}
    params |= {"pretrain_epochs": 3, "max_epochs": 0, "random_state": 0}
    first = DeepSAD(**params).fit(X, y)
    other = X.copy()
    other[first.calibration_indices_] = 50
    second = DeepSAD(**params).fit(other, y)
    np.testing.assert_array_equal(first.transform(X), second.transform(X))


def test_without_labels_no_sample_is_left_out_of_pretraining(data):
    """But for those that place a threshold, of which there are none here."""
    X, y = data
    params = {"encoder": nn.Linear(3, 2), "decoder": nn.Linear(2, 3)}
    params |= {"pretrain_epochs": 3, "max_epochs": 0, "random_state": 0}
    params["contamination"] = 0.1
    first = DeepSAD(**params).fit(X, y)
    unlabelled = DeepSAD(**params).fit(X)
    assert np.abs(first.transform(X) - unlabelled.transform(X)).max() > 0


def is_pretrained_by_default(images, y):
    auto, none = (
        DeepSAD(pretrain_epochs=epochs, contamination=0.1, **UNTRAINED)
        .fit(images, y)
        .transform(images)
        for epochs in ("auto", 0)
    )
    return not np.array_equal(auto, none)


def test_images_are_pretrained_where_no_anomalies_are_known(images):
    assert is_pretrained_by_default(images, np.zeros(40))
    assert not is_pretrained_by_default(images, np.repeat([0, -1], [30, 10]))


def test_an_encoder_without_decoder_cannot_be_pretrained(data):
    with pytest.raises(ValueError, match="decoder must be given"):
        DeepSAD(encoder=nn.Linear(3, 2), pretrain_epochs=1).fit(*data)


# Warm start


def test_warm_start_keeps_the_sphere_and_trains_on(data):
    X, y = data
    fitted = DeepSAD(warm_start=True, **SMALL).fit(X, y)
    center, first = fitted.centers_, fitted.transform(X)
    fitted.fit(X + 1, y)
    np.testing.assert_array_equal(center, fitted.centers_)
    assert np.abs(first - fitted.transform(X)).max() > 0
