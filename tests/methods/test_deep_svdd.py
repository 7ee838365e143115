"""Tests of DeepSVDD alone; the contract is in test_common.py."""

import pickle
import warnings

import numpy as np
import pytest
import sklearn
import torch
from sklearn.cluster import DBSCAN, KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from helpers import naive_sq_distances
from sk_hypersphere import DeepSVDD
from sk_hypersphere.base._spheres import away_from_zero
from sk_hypersphere.exceptions import CollapseWarning, NonFiniteLossError
from sk_hypersphere.modules import ConvNet, MNISTLeNet

# All samples are trained on, unless a test is about those that are held out.
SMALL = {"max_epochs": 3, "random_state": 0, "contamination": "boundary"}
HOLDS_OUT = {**SMALL, "contamination": "auto"}


@pytest.fixture(scope="module")
def three_blobs():
    X, groups = make_blobs(
        300, centers=[[0, 0, 0], [6, 0, 0], [0, 6, 6]], random_state=0
    )
    return X.astype(np.float32), groups


@pytest.fixture(scope="module")
def images():
    return np.random.RandomState(0).rand(60, 1, 12, 12).astype(np.float32)


# Centers


def test_the_center_is_the_mean_embedding_before_training(three_blobs):
    X, _ = three_blobs
    untrained = DeepSVDD(**{**SMALL, "max_epochs": 0}).fit(X)
    mean = untrained.transform(X).mean(axis=0, dtype=np.float64)
    expected = away_from_zero(mean, 0.1)
    np.testing.assert_allclose(untrained.centers_[0], expected, rtol=1e-5)


def test_training_leaves_the_centers_where_they_are(three_blobs):
    X, groups = three_blobs
    kinds = [{}, {"multi_radius": True}, {"objective": "soft-boundary"}]
    for kind in kinds:
        before = DeepSVDD(**kind, **{**SMALL, "max_epochs": 0}).fit(X)
        after = DeepSVDD(**kind, **SMALL).fit(X)
        np.testing.assert_array_equal(before.centers_, after.centers_)
        assert np.abs(before.transform(X) - after.transform(X)).max() > 0


# Radii and scores


@pytest.mark.parametrize("objective", ["one-class", "soft-boundary"])
@pytest.mark.parametrize("nu", [0.05, 0.3])
def test_nu_is_the_fraction_left_outside(three_blobs, objective, nu):
    X, _ = three_blobs
    detector = DeepSVDD(objective, nu=nu, warm_up_epochs=1, **SMALL).fit(X)
    assert np.mean(detector.predict(X) == -1) == pytest.approx(nu, abs=1 / len(X))


def test_contamination_moves_the_threshold_and_not_the_scores(three_blobs):
    X, _ = three_blobs
    own = DeepSVDD(**SMALL).fit(X)
    strict = DeepSVDD(**{**SMALL, "contamination": 0.25}).fit(X)
    np.testing.assert_array_equal(own.score_samples(X), strict.score_samples(X))
    assert own.offset_ == 0
    assert np.mean(strict.predict(X) == -1) == pytest.approx(0.25, abs=1 / len(X))


@pytest.mark.parametrize("multi_radius", [False, True])
@pytest.mark.parametrize("objective", ["one-class", "soft-boundary"])
def test_the_threshold_is_a_quantile_of_what_samples_score_to_the_last_bit(
    three_blobs, objective, multi_radius
):
    X, _ = three_blobs
    params = {"objective": objective, "multi_radius": multi_radius, **SMALL}
    fitted = DeepSVDD(**{**params, "contamination": 0.25}).fit(X)
    scores = fitted.score_samples(X)
    assert fitted.offset_ == np.percentile(scores, 25)
    assert fitted.diagnostics_["n_distinct_scores"] == len(np.unique(scores))


def test_one_class_spheres_share_the_quantile_of_all_distances(three_blobs):
    X, groups = three_blobs
    detector = DeepSVDD(multi_radius=True, nu=0.2, **SMALL).fit(
        X, cluster_labels=groups
    )
    own = naive_sq_distances(detector, X)[np.arange(len(X)), detector.labels_]
    expected = np.quantile(np.sqrt(own), 0.8)
    np.testing.assert_allclose(detector.radii_, np.full(3, expected), rtol=1e-5)


def test_soft_boundary_radii_are_quantiles_over_all_members(three_blobs):
    X, groups = three_blobs
    detector = DeepSVDD("soft-boundary", multi_radius=True, nu=0.2, **SMALL)
    detector.fit(X, cluster_labels=groups)
    own = naive_sq_distances(detector, X)[np.arange(len(X)), detector.labels_]
    common = np.quantile(np.sqrt(own), 0.8) ** 2
    for k in range(3):
        members = own[detector.labels_ == k]
        quantile = np.quantile(np.sqrt(members), 0.8) ** 2
        expected = (len(members) * quantile + 20 * common) / (len(members) + 20)
        assert detector.radii_[k] ** 2 == pytest.approx(expected, rel=1e-5)


def test_radii_stay_zero_while_warming_up_and_are_estimated_after(three_blobs):
    X, _ = three_blobs
    cold = DeepSVDD("soft-boundary", warm_up_epochs=4, **SMALL).fit(X)
    warm = DeepSVDD("soft-boundary", warm_up_epochs=3, **SMALL).fit(X)
    assert cold.net_.criterion_.sq_radii.item() == 0
    assert warm.net_.criterion_.sq_radii.item() == pytest.approx(
        warm.radii_[0] ** 2, rel=1e-5
    )


@pytest.mark.parametrize("objective", ["one-class", "soft-boundary"])
def test_the_score_is_the_margin_of_the_best_sphere(three_blobs, objective):
    X, groups = three_blobs
    detector = DeepSVDD(objective, multi_radius=True, **SMALL)
    detector.fit(X, cluster_labels=groups)
    margins = detector.radii_**2 - naive_sq_distances(detector, X)
    np.testing.assert_allclose(
        detector.score_samples(X), margins.max(axis=1), rtol=1e-4, atol=1e-6
    )


def test_the_nearest_rule_takes_the_radius_of_the_nearest_center(three_blobs):
    X, groups = three_blobs
    detector = DeepSVDD(
        "soft-boundary", multi_radius=True, score_rule="nearest", **SMALL
    ).fit(X, cluster_labels=groups)
    sq_distances = naive_sq_distances(detector, X)
    nearest = sq_distances.argmin(axis=1)
    expected = detector.radii_[nearest] ** 2 - sq_distances.min(axis=1)
    np.testing.assert_allclose(
        detector.score_samples(X), expected, rtol=1e-4, atol=1e-6
    )


def test_the_sphere_rule_never_scores_below_the_nearest_rule(three_blobs):
    X, _ = three_blobs
    scores = {
        rule: DeepSVDD("soft-boundary", multi_radius=True, score_rule=rule, **SMALL)
        .fit(X)
        .score_samples(X)
        for rule in ("sphere", "nearest")
    }
    assert (scores["sphere"] >= scores["nearest"]).all()


def test_with_one_class_the_rules_agree(three_blobs):
    X, _ = three_blobs
    sphere, nearest = (
        DeepSVDD(multi_radius=True, score_rule=rule, **SMALL).fit(X).score_samples(X)
        for rule in ("sphere", "nearest")
    )
    np.testing.assert_allclose(sphere, nearest, rtol=1e-12, atol=1e-12)


def test_anomalies_between_clusters_need_more_than_one_sphere(three_blobs):
    X, _ = three_blobs
    between = np.random.RandomState(0).normal([3, 3, 3], 0.3, (50, 3))
    y = np.r_[np.ones(len(X)), np.zeros(len(between))]
    one, many = (
        roc_auc_score(
            y,
            DeepSVDD(multi_radius=multi, random_state=0)
            .fit(X)
            .score_samples(np.vstack([X, between])),
        )
        for multi in (False, True)
    )
    assert many > 0.95
    assert many > one


def test_many_spheres_on_rows_are_trained_for_a_single_epoch(three_blobs):
    X, _ = three_blobs
    assert DeepSVDD().fit(X).n_iter_ == 30
    assert DeepSVDD(multi_radius=True).fit(X).n_iter_ == 1


# Groups


def test_cluster_labels_of_any_type_are_the_groups(three_blobs):
    X, groups = three_blobs
    names = np.array(["c", "a", "b"])[groups]
    detector = DeepSVDD(multi_radius=True, **SMALL).fit(X, cluster_labels=names)
    np.testing.assert_array_equal(detector.labels_, np.array([2, 0, 1])[groups])
    np.testing.assert_array_equal(detector.cluster_sizes_, [100, 100, 100])


def test_cluster_labels_below_zero_are_groups_like_any_other(three_blobs):
    X, groups = three_blobs
    detector = DeepSVDD(multi_radius=True, **SMALL).fit(X, cluster_labels=groups - 1)
    assert len(detector.centers_) == 3


def test_cluster_labels_travel_through_a_pipeline(three_blobs):
    X, groups = three_blobs
    with sklearn.config_context(enable_metadata_routing=True):
        detector = DeepSVDD(multi_radius=True, **SMALL)
        pipeline = make_pipeline(
            StandardScaler(), detector.set_fit_request(cluster_labels=True)
        )
        pipeline.fit(X, cluster_labels=groups)
    np.testing.assert_array_equal(pipeline[-1].labels_, groups)


def test_cluster_labels_without_multi_radius_are_refused(three_blobs):
    X, groups = three_blobs
    with pytest.raises(ValueError, match="Set multi_radius=True"):
        DeepSVDD().fit(X, cluster_labels=groups)


def test_cluster_labels_of_another_length_are_refused(three_blobs):
    X, groups = three_blobs
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        DeepSVDD(multi_radius=True).fit(X, cluster_labels=groups[:-1])


def test_any_clusterer_can_find_the_groups_and_is_not_fitted_itself(three_blobs):
    X, _ = three_blobs
    clusterer = KMeans(4, n_init=1)
    detector = DeepSVDD(multi_radius=True, clusterer=clusterer, **SMALL).fit(X)
    again = DeepSVDD(multi_radius=True, clusterer=clusterer, **SMALL).fit(X)
    assert len(detector.centers_) == 4
    assert not hasattr(clusterer, "labels_")
    np.testing.assert_array_equal(detector.labels_, again.labels_)


def test_noise_of_a_clusterer_joins_the_nearest_cluster(three_blobs):
    X, _ = three_blobs
    clusterer = DBSCAN(eps=2.0, min_samples=20)
    params = {"clusterer": clusterer, "n_components": 64, **SMALL}
    detector = DeepSVDD(multi_radius=True, **params).fit(X)
    assert detector.labels_.min() == 0
    assert detector.cluster_sizes_.sum() == len(X)


def test_a_clusterer_that_finds_only_noise_is_refused(three_blobs):
    X, _ = three_blobs
    detector = DeepSVDD(multi_radius=True, clusterer=DBSCAN(eps=1e-9))
    with pytest.raises(ValueError, match="only noise"):
        detector.fit(X)


# Samples held out


def kept(fitted):
    """Indices of the samples that were trained on."""
    return np.delete(np.arange(len(fitted.labels_)), fitted.calibration_indices_)


def test_the_center_is_the_mean_embedding_of_the_samples_trained_on(three_blobs):
    X, _ = three_blobs
    fitted = DeepSVDD(**{**HOLDS_OUT, "max_epochs": 0}).fit(X)
    assert len(fitted.calibration_indices_) == 100
    mean = fitted.transform(X[kept(fitted)]).mean(axis=0, dtype=np.float64)
    expected = away_from_zero(mean, 0.1)
    np.testing.assert_allclose(fitted.centers_[0], expected, rtol=1e-5)


@pytest.mark.parametrize("objective", ["one-class", "soft-boundary"])
@pytest.mark.parametrize("nu", [0.05, 0.3])
def test_nu_is_the_fraction_of_the_samples_trained_on_that_is_left_outside(
    three_blobs, objective, nu
):
    X, _ = three_blobs
    fitted = DeepSVDD(objective, nu=nu, warm_up_epochs=1, **HOLDS_OUT).fit(X)
    outside = fitted.score_samples(X[kept(fitted)]) < 0
    assert np.mean(outside) == pytest.approx(nu, abs=1 / len(outside))
    assert fitted.offset_ != 0


def test_the_radius_of_a_cluster_is_that_of_its_members_trained_on(three_blobs):
    X, groups = three_blobs
    fitted = DeepSVDD("soft-boundary", multi_radius=True, nu=0.2, **HOLDS_OUT)
    fitted.fit(X, cluster_labels=groups)
    members = kept(fitted)
    sizes = np.bincount(groups[members])
    np.testing.assert_array_equal(fitted.cluster_sizes_, sizes)
    own = naive_sq_distances(fitted, X)[np.arange(len(X)), groups]
    common = np.quantile(np.sqrt(own[members]), 0.8) ** 2
    for k in range(3):
        distances = np.sqrt(own[members][groups[members] == k])
        quantile = np.quantile(distances, 0.8) ** 2
        expected = (sizes[k] * quantile + 20 * common) / (sizes[k] + 20)
        assert fitted.radii_[k] ** 2 == pytest.approx(expected, rel=1e-5)


def test_samples_held_out_are_in_the_sphere_whose_center_is_nearest(three_blobs):
    X, groups = three_blobs
    params = {"multi_radius": True, **HOLDS_OUT, "max_epochs": 0}
    fitted = DeepSVDD(**params).fit(X, cluster_labels=np.zeros(300, dtype=int))
    assert (fitted.labels_ == 0).all()  # there is one
    misled = groups.copy()
    misled[::2] = 2  # of all kinds, so that its mean is not near
    fitted.fit(X, cluster_labels=misled)
    held_out, members = fitted.calibration_indices_, kept(fitted)
    nearest = naive_sq_distances(fitted, X).argmin(axis=1)
    np.testing.assert_array_equal(fitted.labels_[held_out], nearest[held_out])
    np.testing.assert_array_equal(fitted.labels_[members], misled[members])
    assert (fitted.labels_[held_out] != misled[held_out]).any()


def test_every_cluster_told_keeps_a_member(three_blobs):
    X, _ = three_blobs
    pairs = np.arange(300) // 2
    fitted = DeepSVDD(multi_radius=True, calibration_fraction=0.9, **HOLDS_OUT)
    fitted.fit(X, cluster_labels=pairs)
    assert (fitted.cluster_sizes_ == 1).all() and len(fitted.cluster_sizes_) == 150
    assert len(fitted.calibration_indices_) == 150


def test_a_clusterer_does_not_see_the_samples_held_out(three_blobs):
    X, _ = three_blobs
    params = {"multi_radius": True, "clusterer": KMeans(4, n_init=1), **HOLDS_OUT}
    fitted = DeepSVDD(**params).fit(X)
    other = X.copy()
    other[fitted.calibration_indices_] += 99
    again = DeepSVDD(**params).fit(other)
    np.testing.assert_array_equal(fitted.centers_, again.centers_)
    np.testing.assert_array_equal(
        fitted.labels_[kept(fitted)], again.labels_[kept(fitted)]
    )


def test_pretraining_leaves_samples_out_that_place_the_threshold(images):
    X = images.reshape(len(images), -1)
    params = {"encoder": nn.Linear(144, 2), "decoder": nn.Linear(2, 144)}
    params |= {"pretrain_epochs": 3, **HOLDS_OUT, "max_epochs": 0}
    first = DeepSVDD(**params).fit(X)
    other = X.copy()
    other[first.calibration_indices_] = 50
    second = DeepSVDD(**params).fit(other)
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    np.testing.assert_array_equal(first.centers_, second.centers_)


def test_the_boundary_holds_nothing_out(three_blobs):
    X, _ = three_blobs
    fitted = DeepSVDD(**SMALL).fit(X)
    assert len(fitted.calibration_indices_) == len(fitted.calibration_scores_) == 0
    assert fitted.offset_ == 0
    with pytest.raises(ValueError, match='contamination="auto"'):
        fitted.p_values(X)


def test_the_automatic_length_counts_the_samples_trained_on():
    X = np.random.RandomState(0).rand(400, 6)
    encoder, decoder = nn.Linear(6, 2), nn.Linear(2, 6)
    params = {"encoder": encoder, "decoder": decoder, "batch_size": 20}
    params |= {"pretrain_epochs": 1, "random_state": 0}
    # 1,000 batches: of 400 rows in 50 epochs, of 400 - 133 in 72.
    assert DeepSVDD(contamination=0.1, **params).fit(X).n_iter_ == 50
    assert DeepSVDD(**params).fit(X).n_iter_ == 72


def test_a_rule_that_is_set_after_fit_counts_from_the_next_fit_on(three_blobs):
    X, groups = three_blobs
    fitted = DeepSVDD("soft-boundary", multi_radius=True, **SMALL)
    fitted.fit(X, cluster_labels=np.minimum(groups, 1))
    far = X * 3
    before = fitted.score_samples(far)
    fitted.set_params(score_rule="nearest")
    np.testing.assert_array_equal(fitted.score_samples(far), before)
    fitted.fit(X, cluster_labels=np.minimum(groups, 1))
    assert not np.array_equal(fitted.score_samples(far), before)


# Corners


@pytest.mark.parametrize("multi_radius", [False, True])
@pytest.mark.parametrize("objective", ["one-class", "soft-boundary"])
@pytest.mark.parametrize(
    "X",
    [
        pytest.param(np.zeros((1, 3)), id="one row"),
        pytest.param(np.arange(6.0).reshape(2, 3), id="two rows"),
        pytest.param(np.ones((20, 3)), id="duplicates"),
        pytest.param(np.c_[np.arange(20.0), np.ones(20)], id="constant column"),
        pytest.param(np.arange(20.0)[:, None], id="one feature"),
        pytest.param(np.eye(129, 2), id="one row more than a batch"),
        pytest.param(np.random.RandomState(0).rand(9, 10_000), id="10,000 features"),
        pytest.param(np.ones((1, 1, 9, 9)), id="one constant image"),
        pytest.param(np.random.RandomState(0).rand(5, 3, 1, 1), id="tiny images"),
    ],
)
def test_odd_data_is_fitted_and_scored(X, objective, multi_radius):
    detector = DeepSVDD(
        objective, multi_radius=multi_radius, warm_up_epochs=1, **SMALL
    ).fit(X)
    assert np.isfinite(detector.score_samples(X)).all()
    assert np.isfinite(detector.radii_).all()
    assert detector.cluster_sizes_.sum() == len(X)


def test_clusters_of_one_row_and_absent_clusters_in_a_batch_are_fitted():
    X = np.random.RandomState(0).rand(40, 3)
    detector = DeepSVDD("soft-boundary", multi_radius=True, batch_size=7, **SMALL)
    detector.fit(X, cluster_labels=np.arange(40))
    assert np.isfinite(detector.net_.history[:, "train_loss"]).all()
    assert (detector.cluster_sizes_ == 1).all()


# Pre-training


def test_images_are_pretrained_and_rows_are_not(images):
    auto, none = (
        DeepSVDD(pretrain_epochs=epochs, max_epochs=0, random_state=0)
        .fit(images)
        .transform(images)
        for epochs in ("auto", 0)
    )
    assert np.abs(auto - none).max() > 0
    X = images.reshape(len(images), -1)
    auto, none = (
        DeepSVDD(pretrain_epochs=epochs, max_epochs=0, random_state=0)
        .fit(X)
        .transform(X)
        for epochs in ("auto", 0)
    )
    np.testing.assert_array_equal(auto, none)


def test_pretraining_does_not_depend_on_the_unit_of_the_images(images):
    small, large = (
        DeepSVDD(pretrain_epochs=2, random_state=0).fit(X).score_samples(X)
        for X in (images, 200 * images + 30)
    )
    assert np.corrcoef(small, large)[0, 1] > 0.999


def test_an_encoder_without_decoder_cannot_be_pretrained(images):
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(144, 4))
    assert DeepSVDD(encoder=encoder, max_epochs=1).fit(images).n_iter_ == 1
    with pytest.raises(ValueError, match="decoder must be given"):
        DeepSVDD(encoder=encoder, pretrain_epochs=1).fit(images)


def test_an_encoder_is_pretrained_with_the_decoder_given(images):
    X = images.reshape(len(images), -1)
    params = {"encoder": nn.Linear(144, 4), "max_epochs": 0, "random_state": 0}
    decoder = nn.Linear(4, 144)
    with_decoder = DeepSVDD(**params, decoder=decoder, pretrain_epochs=2).fit(X)
    without = DeepSVDD(**params).fit(X)
    assert np.abs(with_decoder.transform(X) - without.transform(X)).max() > 0


def test_the_lenet_of_the_paper_trains_on_its_images():
    X = np.random.RandomState(0).rand(20, 1, 28, 28)
    detector = DeepSVDD(encoder=MNISTLeNet, pretrain_epochs=1, **SMALL).fit(X)
    assert detector.transform(X).shape == (20, 32)


@pytest.mark.parametrize("objective", ["one-class", "soft-boundary"])
@pytest.mark.parametrize("multi_radius", [False, True])
def test_an_encoder_without_anything_to_train_has_spheres_among_the_samples(
    three_blobs, objective, multi_radius
):
    X, groups = three_blobs
    params = {**SMALL, "encoder": nn.Identity(), "multi_radius": multi_radius}
    known = {"cluster_labels": groups} if multi_radius else {}
    fitted = DeepSVDD(objective, **params).fit(X, **known)
    kinds = [X[groups == k] for k in range(3)] if multi_radius else [X]
    centers = [kind.mean(axis=0, dtype=np.float64) for kind in kinds]
    np.testing.assert_allclose(fitted.centers_, centers, atol=1e-6)
    sq_distances = [[np.sum((x - c) ** 2.0) for c in centers] for x in X]
    expected = (fitted.radii_**2 - sq_distances).max(axis=1)
    np.testing.assert_allclose(fitted.score_samples(X), expected, atol=1e-4)
    assert fitted.n_iter_ == 0
    assert fitted.diagnostics_["n_trained_parameters"] == 0
    assert np.mean(fitted.score_samples(X) < 0) == pytest.approx(0.1, abs=0.02)


def test_parameters_that_are_frozen_stay_as_they_are(three_blobs):
    X, _ = three_blobs
    encoder = nn.Linear(3, 2).requires_grad_(False)
    fitted = DeepSVDD(encoder=encoder, **SMALL).fit(X)
    assert torch.equal(fitted.net_.module_.encoder.weight, encoder.weight)
    assert (fitted.n_iter_, fitted.diagnostics_["n_trained_parameters"]) == (0, 0)
    fitted.set_params(encoder=nn.Linear(3, 2)).fit(X)
    assert (fitted.n_iter_, fitted.diagnostics_["n_trained_parameters"]) == (3, 8)


def test_encoder_params_reach_the_encoder(images):
    detector = DeepSVDD(encoder_params={"channels": (4,)}, n_components=8, **SMALL)
    encoder = detector.fit(images).net_.module_.encoder
    assert isinstance(encoder, ConvNet)
    assert encoder.shapes[-1] == (4, 6, 6)


@pytest.mark.parametrize("lr, last", [("auto", 1e-4), (0.01, 0.01)])
def test_only_an_automatic_learning_rate_falls(three_blobs, lr, last):
    X, _ = three_blobs
    net = DeepSVDD(lr=lr, **SMALL).fit(X).net_
    assert net.optimizer_.param_groups[0]["lr"] == pytest.approx(last)


# Trouble


def raised_by(**params):
    """The message with which 20 rows of 6 features are refused."""
    X = np.random.RandomState(0).rand(20, 6)
    fit_params = params.pop("fit_params", {})
    with pytest.raises(ValueError) as caught:
        DeepSVDD(**{"contamination": 0.1, **params}).fit(
            X[: params.get("batch_size", 20)], **fit_params
        )
    return str(caught.value)


def test_an_encoder_for_other_samples_is_refused_with_their_shape():
    message = raised_by(encoder=nn.Linear(5, 3))
    assert "(n_samples, 6)" in message
    assert "Fit its first layer" in message


def test_an_encoder_of_maps_is_refused():
    encoder = nn.Sequential(nn.Linear(6, 4), nn.Unflatten(1, (2, 2)))
    assert "nn.Flatten()" in raised_by(encoder=encoder)


def test_batch_normalisation_of_single_rows_is_refused():
    encoder = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3))
    assert "n_samples=1" in raised_by(encoder=encoder, batch_size=1)


def test_a_decoder_to_other_samples_is_refused_with_both_shapes():
    encoder = nn.Linear(6, 3)
    message = raised_by(encoder=encoder, decoder=nn.Linear(3, 5))
    assert "got (2, 5) from Linear" in message
    assert "Fit its first layer" in raised_by(encoder=encoder, decoder=nn.Linear(4, 6))


def test_a_device_that_does_not_exist_is_refused():
    assert "got 'tpu7'" in raised_by(device="tpu7")


def test_parameters_for_a_ready_encoder_are_refused():
    params = {"encoder": nn.Linear(6, 2), "encoder_params": {"bias": False}}
    assert "leave encoder_params empty" in raised_by(**params)


def test_missing_cluster_labels_are_refused():
    fit_params = {"cluster_labels": np.full(20, np.nan)}
    message = raised_by(multi_radius=True, fit_params=fit_params)
    assert "cluster_labels contains NaN" in message


def test_strong_weight_decay_collapses_the_sphere_and_the_warning_names_layers():
    X = np.random.RandomState(0).normal(size=(200, 2))
    detector = DeepSVDD(weight_decay=10, lr=1e-3, max_epochs=500, random_state=0)
    with pytest.warns(CollapseWarning, match=r"0 \(Linear\), 2 \(Linear\)"):
        detector.fit(X)
    assert detector.diagnostics_["distance_spread"] < 0.02


def test_the_warning_of_a_collapse_names_five_layers_of_many():
    X = np.random.RandomState(0).normal(size=(200, 2))
    params = {"encoder__hidden_units": (16,) * 7, "weight_decay": 10}
    detector = DeepSVDD(lr=1e-3, max_epochs=200, random_state=0).set_params(**params)
    with pytest.warns(CollapseWarning, match=r"8 \(Linear\), and 3 more; remove"):
        detector.fit(X)


def test_a_healthy_fit_does_not_warn_of_collapse():
    X = np.random.RandomState(0).normal(size=(200, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error", CollapseWarning)
        detector = DeepSVDD(random_state=0).fit(X)
    assert detector.diagnostics_["n_distinct_scores"] == len(X)


def test_a_loss_that_is_not_finite_stops_training_and_keeps_the_last_weights():
    X = np.random.RandomState(0).normal(size=(300, 2))
    detector = DeepSVDD(lr=1e38, random_state=0)
    with pytest.raises(NonFiniteLossError, match="epoch 1.*smaller lr") as caught:
        detector.fit(X)
    weights = caught.value.net.module_.state_dict().values()
    assert all(torch.isfinite(tensor).all() for tensor in weights)
    assert not hasattr(detector, "net_")


# Persistence


def test_a_pickle_holds_the_model_and_not_the_training_data():
    X = np.random.RandomState(0).rand(50_000, 16).astype(np.float32)
    detector = DeepSVDD(max_epochs=1, encoder_params={"hidden_units": (8,)}).fit(X)
    assert len(pickle.dumps(detector)) < X.nbytes / 2


def test_warm_start_keeps_the_spheres_and_trains_on(three_blobs):
    X, _ = three_blobs
    detector = DeepSVDD(multi_radius=True, warm_start=True, **SMALL).fit(X)
    centers, first = detector.centers_, detector.transform(X)
    detector.fit(X)
    np.testing.assert_array_equal(centers, detector.centers_)
    assert 0 < np.abs(first - detector.transform(X)).max()
