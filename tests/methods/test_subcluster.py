"""Tests of SubclusterDetector alone; the contract is in test_common.py."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from joblib import parallel_config
from scipy.special import log_softmax, logsumexp
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin, clone
from sklearn.cluster import DBSCAN, HDBSCAN, KMeans
from sklearn.covariance import LedoitWolf
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import pairwise_distances
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import check_is_fitted
from torch.utils.data import DataLoader

from sk_hypersphere import (
    FINCH,
    ISIFEmbedder,
    MCHADClassifier,
    SubclusterDetector,
)
from sk_hypersphere._methods import subcluster
from sk_hypersphere._training.rows import evenly_spaced
from sk_hypersphere.confidence import (
    MahalanobisDistance,
    NeighborDistance,
    energy,
    logits_of,
    msp,
    odin,
)
from sk_hypersphere.modules import AugmentRows

SMALL = {
    "score_rule": "msp",
    "n_components": 8,
    "max_epochs": 10,
    "lr": 1e-2,
    "min_cluster_size": 2,
    "contamination": 0.1,  # so that all samples are trained on
    "random_state": 0,
}
# Some samples are held out.
CALIBRATED = {"contamination": "auto", "calibration_fraction": 0.3}
CENTERS = np.array([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0], [0.0, 9.0, 0.0]])


@pytest.fixture(scope="module")
def data():
    X, y = make_blobs(90, centers=CENTERS, random_state=0)
    return X.astype(np.float32), y


@pytest.fixture(scope="module")
def X(data):
    return data[0]


@pytest.fixture(scope="module")
def labels(data):
    return data[1]


@pytest.fixture(scope="module")
def new():
    return np.random.default_rng(1).normal(3, 5, (30, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def images():
    """Dark ones, and bright ones."""
    rng = np.random.default_rng(0)
    dark = rng.integers(0, 60, size=(15, 1, 16, 16), dtype=np.uint8)
    return np.concatenate([dark, dark + np.uint8(180)])


def make(clusterer=None, embedder=None, **params):
    return SubclusterDetector(clusterer, embedder=embedder, **{**SMALL, **params})


def weights(detector):
    return {k: v.numpy() for k, v in detector.net_.module_.state_dict().items()}


def same_groups(ours, theirs):
    """Whether two labelings are one up to names."""
    return (
        len(np.unique(np.c_[ours, theirs], axis=0))
        == len(set(ours))
        == len(set(theirs))
    )


def is_fitted(estimator):
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


# Scorers


@pytest.mark.parametrize("temperature", [1.0, 7.0])
def test_msp_is_the_log_of_the_largest_probability(X, labels, new, temperature):
    fitted = make(temperature=temperature).fit(X, cluster_labels=labels)
    expected = log_softmax(logits_of(fitted, new) / temperature, axis=1).max(axis=1)
    np.testing.assert_allclose(fitted.score_samples(new), expected, atol=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 7.0])
def test_energy_is_the_scaled_log_of_the_sum_of_exponentials(
    X, labels, new, temperature
):
    fitted = make(score_rule="energy", temperature=temperature)
    fitted.fit(X, cluster_labels=labels)
    logits = logits_of(fitted, new)
    expected = temperature * logsumexp(logits / temperature, axis=1)
    np.testing.assert_allclose(fitted.score_samples(new), expected, rtol=1e-12)


def test_mahalanobis_is_the_squared_distance_to_the_nearest_mean(X, labels, new):
    fitted = make(score_rule="mahalanobis").fit(X, cluster_labels=labels)
    Z, Z_new = (fitted.transform(samples).astype(np.float64) for samples in (X, new))
    means = np.array([Z[labels == k].mean(axis=0) for k in range(3)])
    within = LedoitWolf(assume_centered=True).fit(Z - means[labels]).covariance_
    gaps = Z_new[:, None] - means  # (n, k, p)
    sq_distances = np.einsum("nkp,pq,nkq->nk", gaps, np.linalg.pinv(within), gaps)
    expected = -sq_distances.min(axis=1)
    np.testing.assert_allclose(fitted.score_samples(new), expected, rtol=1e-5)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("n_neighbors", [1, 4])
def test_knn_is_the_mean_distance_in_the_embedding(X, labels, new, metric, n_neighbors):
    fitted = make(score_rule="knn", metric=metric, n_neighbors=n_neighbors)
    fitted.fit(X, cluster_labels=labels)
    Z, Z_new = (fitted.transform(samples).astype(np.float64) for samples in (X, new))
    distances = np.sort(pairwise_distances(Z_new, Z, metric=metric), axis=1)
    expected = -distances[:, :n_neighbors].mean(axis=1)
    np.testing.assert_allclose(fitted.score_samples(new), expected, atol=1e-5)


@pytest.mark.parametrize("score_rule", ["knn", "mahalanobis"])
def test_scores_of_many_samples_do_not_take_all_of_their_embeddings(
    X, labels, score_rule
):
    fitted = make(score_rule=score_rule, n_components=64).fit(X, cluster_labels=labels)
    many = np.tile(X, (100_000 // len(X), 1)).astype(np.float32)
    scores = fitted.score_samples(many[:20_000])  # libraries are loaded
    tracemalloc.start()
    try:
        fitted.score_samples(many)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * 4 * len(many)
    np.testing.assert_array_equal(scores[: len(X)], scores[len(X) : 2 * len(X)])


def test_knn_compares_with_as_many_samples_as_it_is_told(X, labels, new):
    few = make(score_rule="knn", max_candidates=20).fit(X, cluster_labels=labels)
    assert len(few.distance_.embeddings_) == 20
    expected = NeighborDistance(max_candidates=20).fit(few.transform(X))
    np.testing.assert_array_equal(
        few.score_samples(new), expected.score_samples(few.transform(new))
    )
    everything = make(score_rule="knn", max_candidates=None).fit(
        X, cluster_labels=labels
    )
    assert len(everything.distance_.embeddings_) == len(X)


SCORE_RULES = {
    "msp": lambda d, X, new: msp(logits_of(d, new)),
    "energy": lambda d, X, new: energy(logits_of(d, new)),
    "odin": lambda d, X, new: odin(d, new),
    "mahalanobis": lambda d, X, new: (
        MahalanobisDistance()
        .fit(d.transform(X), d.labels_)
        .score_samples(d.transform(new))
    ),
    "knn": lambda d, X, new: (
        NeighborDistance().fit(d.transform(X)).score_samples(d.transform(new))
    ),
}


@pytest.mark.parametrize("score_rule", [*SCORE_RULES])
def test_a_score_rule_is_the_function_of_that_name(X, labels, new, score_rule):
    fitted = make(score_rule=score_rule).fit(X, cluster_labels=labels)
    expected = SCORE_RULES[score_rule](fitted, X, new)
    np.testing.assert_array_equal(fitted.score_samples(new), expected)


@pytest.mark.parametrize("epsilon", [0.0, 0.5, [0.0, 0.1, 2.0]])
@pytest.mark.parametrize("temperature", [1.0, 1000.0])
def test_temperature_and_epsilon_reach_odin(X, labels, new, temperature, epsilon):
    params = {"temperature": temperature, "epsilon": epsilon}
    fitted = make(score_rule="odin", **params).fit(X, cluster_labels=labels)
    scores = fitted.score_samples(new)
    np.testing.assert_array_equal(scores, odin(fitted, new, **params))
    if epsilon == 0:
        np.testing.assert_array_equal(
            scores, msp(logits_of(fitted, new), temperature=temperature)
        )


@pytest.mark.parametrize("epsilon", [-1.0, [1.0, 2.0], [1.0, np.nan, 1.0]])
def test_a_wrong_epsilon_is_refused_at_fit(X, labels, epsilon):
    detector = make(score_rule="odin", epsilon=epsilon)
    with pytest.raises(ValueError, match="epsilon"):
        detector.fit(X, cluster_labels=labels)
    assert not is_fitted(detector)


@pytest.mark.parametrize("score_rule", [*SCORE_RULES])
def test_what_is_far_from_all_sub_clusters_or_between_scores_below(
    X, labels, score_rule
):
    params = {"score_rule": score_rule, "max_epochs": 40, "epsilon": 0.0}
    fitted = make(**params).fit(X, cluster_labels=labels)
    between = np.array([[4.5, 4.5, 0.0], [4.5, 0.0, 0.0], [0.0, 4.5, 0.0]])
    assert fitted.score_samples(between).max() < np.median(fitted.score_samples(X))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_training_samples_are_not_their_own_neighbors(X, labels, metric):
    detector = make(score_rule="knn", n_neighbors=3, metric=metric, contamination=0.2)
    predicted = detector.fit_predict(X, cluster_labels=labels)
    Z = detector.transform(X).astype(np.float64)
    distances = np.sort(pairwise_distances(Z, metric=metric), axis=1)
    expected = -distances[:, 1:4].mean(axis=1)
    np.testing.assert_allclose(detector.score_samples(X), expected, atol=1e-5)
    np.testing.assert_array_equal(predicted, detector.predict(X))
    assert np.mean(predicted == -1) == pytest.approx(0.2)


# Sub-clusters that are given


NAMES = np.array(["ape", "bee", "cat"])
SAME_LABELS = {
    "texts": lambda codes: NAMES[codes],
    "objects": lambda codes: NAMES[codes].astype(object),
    "list of texts": lambda codes: NAMES[codes].tolist(),
    "list of ints": lambda codes: codes.tolist(),
    "objects that are ints": lambda codes: codes.astype(object),
    "other ints": lambda codes: codes * 7 - 1,
    "whole floats": lambda codes: codes + 1.0,
    "series": lambda codes: pd.Series(NAMES[codes], index=range(1000, 1090)),
    "categories": lambda codes: pd.Series(NAMES[codes], dtype="category"),
}


@pytest.mark.parametrize("kind", [*SAME_LABELS])
def test_labels_of_any_type_are_as_good_as_their_codes(X, labels, kind):
    given = SAME_LABELS[kind](labels)
    ours, theirs = (make().fit(X, cluster_labels=y) for y in (given, labels))
    np.testing.assert_array_equal(ours.score_samples(X), theirs.score_samples(X))
    np.testing.assert_array_equal(ours.labels_, labels)
    np.testing.assert_array_equal(ours.clusters_, np.unique(given))


def test_given_sub_clusters_are_counted_in_the_order_of_their_names(X):
    given = np.repeat(["b", "c", "a"], [20, 30, 40])
    fitted = make().fit(X, cluster_labels=given)
    assert fitted.clusters_.tolist() == ["a", "b", "c"]
    assert fitted.cluster_sizes_.tolist() == [40, 20, 30]
    np.testing.assert_array_equal(fitted.clusters_[fitted.labels_], given)


WRONG_LABELS = {
    "NaN": lambda y: np.where(y == 0, np.nan, y),
    "None": lambda y: [None, *y[1:].tolist()],
    "continuous": lambda y: y + 0.5,
    "too short": lambda y: y[1:],
    "too long": lambda y: np.r_[y, 0],
    "two columns": lambda y: np.c_[y, y],
    "texts and numbers": lambda y: ["a", *y[1:].tolist()],
}


@pytest.mark.parametrize("kind", [*WRONG_LABELS])
def test_labels_that_do_not_fit_are_refused_by_their_name(X, labels, kind):
    detector = make()
    with pytest.raises(ValueError, match="cluster_labels"):
        detector.fit(X, cluster_labels=WRONG_LABELS[kind](labels))
    assert not is_fitted(detector)


def test_tiny_sub_clusters_join_the_nearest(X, labels):
    given = NAMES.astype("<U4")[labels]
    given[np.flatnonzero(labels == 1)[:4]] = "tiny"  # within the blob of bees
    fitted = make(min_cluster_size=5).fit(X, cluster_labels=given)
    assert fitted.clusters_.tolist() == ["ape", "bee", "cat"]
    assert fitted.cluster_sizes_.tolist() == [30, 30, 30]
    np.testing.assert_array_equal(fitted.labels_, labels)
    fitted.set_params(min_cluster_size=4).fit(X, cluster_labels=given)
    assert fitted.cluster_sizes_.tolist() == [30, 26, 30, 4]


def test_the_two_largest_sub_clusters_stay_however_small(X):
    given = np.repeat(["a", "b", "c"], [20, 30, 40])
    fitted = make(min_cluster_size=1000).fit(X, cluster_labels=given)
    assert fitted.clusters_.tolist() == ["b", "c"]
    assert fitted.cluster_sizes_.sum() == len(X)
    np.testing.assert_array_equal(np.bincount(fitted.labels_), fitted.cluster_sizes_)


def test_labels_are_routed_by_a_pipeline(X, labels):
    with sklearn.config_context(enable_metadata_routing=True):
        detector = make().set_fit_request(cluster_labels=True)
        pipeline = make_pipeline(StandardScaler(), detector)
        pipeline.fit(X, cluster_labels=NAMES[labels])
        predicted = clone(pipeline).fit_predict(X, cluster_labels=NAMES[labels])
    assert pipeline[-1].clusters_.tolist() == NAMES.tolist()
    np.testing.assert_array_equal(predicted, pipeline.predict(X))


def test_labels_are_routed_by_a_grid_search(X, labels):
    def accuracy(detector, X):
        return detector.diagnostics_["accuracy"]

    with sklearn.config_context(enable_metadata_routing=True):
        detector = make().set_fit_request(cluster_labels=True)
        grid = {"encoder__hidden_units": [(4,), (16, 8)]}
        search = GridSearchCV(detector, grid, scoring=accuracy, cv=3)
        search.fit(X, cluster_labels=NAMES[labels])
    assert search.best_estimator_.clusters_.tolist() == NAMES.tolist()
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# Sub-clusters that are found


CLUSTERERS = {
    "KMeans": KMeans(3, n_init=1),
    "FINCH": FINCH(n_clusters=3),
    "HDBSCAN": HDBSCAN(min_cluster_size=10, copy=True),
    "DBSCAN": DBSCAN(eps=3.0),
    "GaussianMixture": GaussianMixture(3),
}


@pytest.mark.parametrize("clusterer", [*CLUSTERERS.values()], ids=[*CLUSTERERS])
def test_a_copy_of_any_clusterer_finds_the_blobs(X, labels, clusterer):
    detector = make(clusterer, min_cluster_size=15).fit(X)
    assert same_groups(detector.labels_, labels)
    assert detector.cluster_sizes_.tolist() == [30, 30, 30]
    assert len(detector.clusters_) == 3
    assert type(detector.clusterer_) is type(clusterer) and not is_fitted(clusterer)


def test_without_a_clusterer_sub_clusters_are_parts_of_the_blobs(X, labels):
    detector = make(None).fit(X)
    assert 3 <= len(detector.clusters_) <= 20
    for name in range(len(detector.clusters_)):
        assert len(np.unique(labels[detector.labels_ == name])) == 1


EMBEDDERS = {
    "PCA": PCA(2),
    "pipeline": make_pipeline(StandardScaler(), PCA(2)),
    "ISIF": ISIFEmbedder(None, n_components=4, max_epochs=30, lr=1e-2),
    "supervised": LinearDiscriminantAnalysis(),
    "supervised net": MCHADClassifier(max_epochs=10, lr=1e-2),
    "data frame": PCA(2).set_output(transform="pandas"),
}


@pytest.mark.parametrize("embedder", [*EMBEDDERS.values()], ids=[*EMBEDDERS])
def test_a_copy_of_any_embedder_makes_the_rows_that_are_clustered(X, labels, embedder):
    detector = make(KMeans(3, n_init=1), embedder).fit(X, labels)
    assert is_fitted(detector.embedder_) and not is_fitted(embedder)
    rows = np.asarray(detector.embedder_.transform(X), dtype=np.float32)
    np.testing.assert_array_equal(detector.clusterer_.predict(rows), detector.labels_)


def test_a_supervised_embedder_needs_y_of_fit(X):
    with pytest.raises((TypeError, ValueError), match="y"):
        make(embedder=LinearDiscriminantAnalysis()).fit(X)


def test_a_frozen_embedder_is_used_as_it_is(X, labels, new):
    pca = PCA(1).fit(new)
    detector = make(KMeans(2, n_init=1), FrozenEstimator(pca)).fit(X)
    assert detector.embedder_.estimator is pca
    np.testing.assert_array_equal(
        detector.clusterer_.predict(pca.transform(X)), detector.labels_
    )


def test_without_an_embedder_samples_are_clustered_in_50_components():
    X, labels = make_blobs(80, n_features=60, random_state=0)
    detector = make(KMeans(3, n_init=3)).fit(X.astype(np.float32))
    assert detector.embedder_.transform(X).shape == (80, 50)
    assert same_groups(detector.labels_, labels)


def test_images_of_bytes_are_clustered_by_what_they_show(images):
    is_odd = np.arange(len(images)) % 2 == 1
    images = images // 4
    images[is_odd, :, :3] += 150
    images[~is_odd, :, 3:] += 150
    images[::3] //= 4  # contrast and brightness say nothing
    detector = make(KMeans(2, n_init=1)).fit(images)
    assert same_groups(detector.labels_, is_odd)
    rows = detector.embedder_.transform(images)
    assert rows.shape == (30, 30)
    np.testing.assert_array_equal(detector.clusterer_.predict(rows), detector.labels_)


def test_images_are_embedded_by_a_net(images):
    embedder = ISIFEmbedder(n_components=4, max_epochs=2)
    detector = make(KMeans(2, n_init=1), embedder).fit(images)
    assert detector.embedder_.transform(images).shape == (30, 4)


def test_noise_joins_the_nearest_sub_cluster(X, labels):
    noise = np.array([[15, 0, 0], [-6, -6, 0], [0, 15, 0]], dtype=np.float32)
    detector = make(DBSCAN(eps=3.0), PCA(3)).fit(np.r_[X, noise])
    assert detector.clusterer_.labels_[-3:].tolist() == [-1, -1, -1]
    assert same_groups(detector.labels_, np.r_[labels, 1, 0, 2])
    assert detector.clusters_.tolist() == [0, 1, 2]
    assert detector.cluster_sizes_.sum() == len(X) + 3


def test_only_noise_is_refused(X):
    detector = make(DBSCAN(eps=1e-6))
    with pytest.raises(ValueError, match="clusterer must.*only noise"):
        detector.fit(X)
    assert not is_fitted(detector)


def test_sub_clusters_keep_the_numbers_of_the_clusterer(X):
    detector = make(KMeans(12, n_init=1, random_state=0), min_cluster_size=9).fit(X)
    found = detector.clusterer_.labels_
    kept = np.flatnonzero(np.bincount(found) >= 9)
    assert 2 <= len(kept) < 12
    np.testing.assert_array_equal(detector.clusters_, kept)
    is_kept = np.isin(found, kept)
    np.testing.assert_array_equal(
        detector.clusters_[detector.labels_[is_kept]], found[is_kept]
    )
    np.testing.assert_array_equal(
        np.bincount(detector.labels_), detector.cluster_sizes_
    )
    assert (detector.cluster_sizes_ >= np.bincount(found)[kept]).all()


SINGLES = {
    "given": (None, {"cluster_labels": ["a"] * 90}, "Give labels that differ"),
    "found": (KMeans(1), {}, r"KMeans\(.*n_clusters"),
}


@pytest.mark.parametrize("kind", [*SINGLES])
def test_a_single_sub_cluster_is_refused_with_a_repair(X, kind):
    clusterer, given, repair = SINGLES[kind]
    detector = make(clusterer)
    with pytest.raises(ValueError, match=f"two sub-clusters at least, got .*{repair}"):
        detector.fit(X, **given)
    assert not is_fitted(detector)


def test_samples_that_are_all_the_same_are_refused():
    detector = make()
    with pytest.raises(
        ValueError, match="X must hold samples that differ.*n_samples=20"
    ):
        detector.fit(np.ones((20, 3), dtype=np.float32))
    assert not is_fitted(detector)


def test_a_refused_fit_leaves_the_former(X, labels):
    detector = make(KMeans(3, n_init=1)).fit(X)
    before, state = detector.score_samples(X), sorted(vars(detector))
    with pytest.raises(ValueError, match="two sub-clusters"):
        detector.fit(X, cluster_labels=np.zeros(90, dtype=int))
    with pytest.raises(ValueError, match="two sub-clusters"):
        detector.set_params(clusterer=KMeans(1)).fit(X)
    assert sorted(vars(detector)) == state
    assert same_groups(detector.labels_, labels)
    np.testing.assert_array_equal(detector.score_samples(X), before)


def test_embedder_and_clusterer_vanish_when_labels_are_given(X, labels):
    detector = make(KMeans(3, n_init=1)).fit(X)
    assert is_fitted(detector.embedder_) and is_fitted(detector.clusterer_)
    detector.fit(X, cluster_labels=labels)
    assert not hasattr(detector, "embedder_") and not hasattr(detector, "clusterer_")


def test_seeds_reach_embedder_and_clusterer(X):
    embedder = make_pipeline(StandardScaler(), ISIFEmbedder(max_epochs=1))
    params = {"clusterer": KMeans(5, n_init=1, init="random"), "embedder": embedder}
    first, second, other = (make(**params, random_state=s).fit(X) for s in (0, 0, 1))
    np.testing.assert_array_equal(first.labels_, second.labels_)
    np.testing.assert_array_equal(first.score_samples(X), second.score_samples(X))
    seeds = {
        (d.clusterer_.random_state, d.embedder_[-1].random_state)
        for d in (first, other)
    }
    assert len(seeds) == 2 and None not in {seed for pair in seeds for seed in pair}
    assert params["clusterer"].random_state is embedder[-1].random_state is None


def test_seeds_of_embedder_and_clusterer_are_kept(X):
    parts = [KMeans(3, n_init=1, random_state=7), PCA(2, random_state=8)]
    detector = make(*parts).fit(X)
    assert detector.clusterer_.random_state == 7
    assert detector.embedder_.random_state == 8


def test_parameters_of_the_parts_are_those_of_a_grid_search(X):
    def n_clusters(detector, X):
        return len(detector.clusters_)

    grid = {
        "embedder__n_components": [1, 2],
        "clusterer__n_clusters": [2, 3],
        "encoder__hidden_units": [(4,)],
    }
    detector = make(KMeans(n_init=1), PCA(), min_cluster_size=1)
    search = GridSearchCV(detector, grid, scoring=n_clusters, cv=2).fit(X)
    found = dict(
        zip(
            search.cv_results_["param_clusterer__n_clusters"],
            search.cv_results_["mean_test_score"],
            strict=True,
        )
    )
    assert found == {2: 2.0, 3: 3.0}
    assert search.best_estimator_.clusterer_.n_clusters == 3
    assert search.best_estimator_.embedder_.n_components_ in (1, 2)


# Threshold, warm start, and keeping


def test_samples_held_out_are_not_trained_on_and_place_the_offset(X, labels):
    params = {**CALIBRATED, "false_alarm_rate": 0.25, "score_rule": "knn"}
    fitted = make(**params).fit(X, cluster_labels=labels)
    held_out = fitted.calibration_indices_
    assert len(held_out) == 27 == len(set(held_out))
    assert np.bincount(labels[held_out]).min() >= 7  # spread over the sub-clusters
    trained = np.delete(fitted.transform(X), held_out, axis=0)
    np.testing.assert_array_equal(fitted.distance_.embeddings_, trained)
    scores = fitted.score_samples(X[held_out])
    expected = np.percentile(scores, 25, method="weibull")
    assert fitted.offset_ == pytest.approx(expected)

    moved = X.copy()
    moved[held_out] += 0.5
    other = make(**params).fit(moved, cluster_labels=labels)
    np.testing.assert_array_equal(other.calibration_indices_, held_out)
    assert other.net_.history[:, "train_loss"] == fitted.net_.history[:, "train_loss"]
    assert other.offset_ != fitted.offset_


def test_without_samples_held_out_the_training_samples_place_the_offset(X, labels):
    fitted = make(contamination=0.2).fit(X, cluster_labels=labels)
    assert len(fitted.calibration_indices_) == 0
    assert np.mean(fitted.predict(X) == -1) == pytest.approx(0.2)


@pytest.mark.parametrize("contamination", ["auto", 0.1])
def test_the_accuracy_is_that_of_samples_held_out_or_of_all(X, labels, contamination):
    given = np.where(np.arange(90) % 4 == 0, 0, labels)  # some cannot be recognized
    fitted = make(contamination=contamination).fit(X, cluster_labels=given)
    is_correct = logits_of(fitted, X).argmax(axis=1) == given
    held_out = fitted.calibration_indices_
    chosen = held_out if contamination == "auto" else slice(None)
    assert fitted.diagnostics_["accuracy"] == is_correct[chosen].mean() < 1


def test_warm_start_goes_on_with_the_head_where_sub_clusters_are_the_same(X, labels):
    detector = make(warm_start=True).fit(X, cluster_labels=labels)
    before = weights(detector)
    detector.set_params(max_epochs=0)
    after = weights(detector.fit(X, cluster_labels=NAMES[labels]))
    for name in before:
        np.testing.assert_array_equal(after[name], before[name])
    assert detector.clusters_.tolist() == NAMES.tolist()


@pytest.mark.parametrize("n_clusters", [2, 3])
def test_warm_start_has_a_new_head_for_other_sub_clusters(X, labels, n_clusters):
    detector = make(warm_start=True).fit(X, cluster_labels=labels)
    before = weights(detector)
    detector.set_params(max_epochs=0)
    after = weights(detector.fit(X, cluster_labels=np.arange(90) % n_clusters))
    for name in before:
        is_head = name.startswith("head")
        assert np.array_equal(after[name], before[name]) != is_head
    assert len(after["head.bias"]) == n_clusters


def test_a_copy_in_a_pickle_has_its_parts(images):
    detector = make(KMeans(2, n_init=1), score_rule="knn").fit(images)
    copy = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(
        copy.score_samples(images), detector.score_samples(images)
    )
    np.testing.assert_array_equal(
        copy.embedder_.transform(images), detector.embedder_.transform(images)
    )
    np.testing.assert_array_equal(copy.clusters_, detector.clusters_)


# Augmentation


def test_training_batches_are_augmented_and_nothing_else(X, labels):
    seen = []

    def augment(batch):
        seen.append(batch.clone())
        return batch + 100

    fitted = make(augment=augment).fit(X, cluster_labels=labels)
    n_batches = fitted.n_iter_ * -(-len(X) // fitted.batch_size)
    assert len(seen) == n_batches
    np.testing.assert_array_equal(
        np.sort(torch.cat(seen[: n_batches // fitted.n_iter_]), axis=0),
        np.sort(X, axis=0),
    )
    plain = make().fit(X, cluster_labels=labels)
    assert not np.array_equal(fitted.transform(X), plain.transform(X))


def test_augmentation_that_changes_nothing_changes_no_bit(X, labels):
    ours = make(augment=torch.nn.Identity()).fit(X, cluster_labels=labels)
    plain = make().fit(X, cluster_labels=labels)
    np.testing.assert_array_equal(ours.score_samples(X), plain.score_samples(X))


def test_augmentation_is_a_module_that_is_copied_and_pickled(X, labels):
    augment = AugmentRows()
    fitted = make(augment=augment).fit(X, cluster_labels=labels)
    loaded = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(loaded.score_samples(X), fitted.score_samples(X))
    assert augment.training


@pytest.mark.parametrize("augment", [lambda x: x[:, :1], lambda x: x.numpy()])
def test_augmentation_of_another_kind_is_refused(X, labels, augment):
    detector = make(augment=augment)
    with pytest.raises(ValueError, match="augment must return a tensor of shape"):
        detector.fit(X, cluster_labels=labels)
    assert not is_fitted(detector)


# A fit decides how samples are scored


@pytest.mark.parametrize("other", ["msp", "odin", "energy", "mahalanobis"])
def test_another_score_rule_counts_from_the_next_fit_on(X, labels, other):
    fitted = make(score_rule="knn").fit(X, cluster_labels=labels)
    before = fitted.score_samples(X)
    np.testing.assert_array_equal(
        fitted.set_params(score_rule=other).score_samples(X), before
    )
    fitted.fit(X, cluster_labels=labels)
    anew = make(score_rule=other).fit(X, cluster_labels=labels)
    np.testing.assert_array_equal(fitted.score_samples(X), anew.score_samples(X))
    assert hasattr(fitted, "distance_") == (other == "mahalanobis")


@pytest.mark.parametrize(
    "wrong",
    [
        {"clusterer": KMeans(3, n_init=-1)},
        {"clusterer": FINCH(metric="manhattan")},
        {"embedder": ISIFEmbedder(projection="cubic")},
    ],
)
def test_parameters_of_the_parts_are_validated(X, wrong):
    with pytest.raises(InvalidParameterError):
        make(**{"clusterer": KMeans(3), **wrong}).fit(X)


def test_the_threshold_of_many_samples_is_that_of_some(monkeypatch, X, labels):
    monkeypatch.setattr(subcluster, "MOST_PLACING", 30)
    fitted = make(contamination=0.2).fit(X, cluster_labels=labels)
    some = fitted.score_samples(X)[evenly_spaced(len(X), 30)]
    assert fitted.offset_ == np.percentile(some, 20)


def test_clusters_are_found_without_the_samples_held_out(X, labels):
    seen = []

    class Embedder(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            seen.append(np.array(X))
            return self

        def transform(self, X):
            return np.asarray(X)

    fitted = make(KMeans(3, n_init=2), Embedder(), **CALIBRATED).fit(X)
    held_out = fitted.calibration_indices_
    left = np.delete(np.arange(len(X)), held_out)
    np.testing.assert_array_equal(seen[0], X[left])
    assert fitted.clusterer_.labels_.shape == (len(left),)
    assert same_groups(fitted.labels_, labels)  # those held out join the nearest
    np.testing.assert_array_equal(
        fitted.cluster_sizes_, np.bincount(fitted.labels_[left])
    )


def test_a_sub_cluster_that_is_held_out_as_a_whole_joins_the_nearest(X, labels):
    held_out = make(**CALIBRATED).fit(X, cluster_labels=labels).calibration_indices_
    given = labels.copy()
    given[held_out[:1]] = 7
    fitted = make(**CALIBRATED).fit(X, cluster_labels=given)
    np.testing.assert_array_equal(fitted.calibration_indices_, held_out)
    np.testing.assert_array_equal(fitted.clusters_, [0, 1, 2])
    np.testing.assert_array_equal(fitted.labels_, labels)


# Results of embedders and clusterers


class GivesLabels(ClusterMixin, BaseEstimator):
    """Return what is given, whatever the samples are."""

    def __init__(self, labels):
        self.labels = labels

    def fit_predict(self, X, y=None):
        return self.labels


@pytest.mark.parametrize(
    "groups", [[0, 1] * 3, ["a", "b"] * 45, [[0], [1]] * 45, [0.0, np.nan] * 45]
)
def test_clusterers_that_give_no_number_to_each_sample_are_refused(X, groups):
    with pytest.raises(ValueError, match="clusterer must give each of the 90 samples"):
        make(GivesLabels(groups)).fit(X)


@pytest.mark.parametrize("change", [lambda X: X[:50], lambda X: np.r_[X, X]])
def test_embedders_that_return_another_number_of_rows_are_refused(X, change):
    with pytest.raises(
        ValueError, match="embedder must return a row for each of the 90"
    ):
        make(KMeans(2), FunctionTransformer(change)).fit(X)


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_embedders_may_train_networks_in_threads(X):
    union = FeatureUnion(
        [(name, ISIFEmbedder(max_epochs=1, n_components=4)) for name in "ab"], n_jobs=2
    )
    with parallel_config("threading"):
        fitted = make(KMeans(3), union).fit(X)
    assert fitted.embedder_.transform(X).shape == (90, 8)


# Samples held out


def test_warm_start_holds_out_the_same_samples_though_clusters_change(X, labels):
    detector = make(warm_start=True, **CALIBRATED)
    before = detector.fit(X, cluster_labels=labels).calibration_indices_
    after = detector.fit(X, cluster_labels=labels % 2).calibration_indices_
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("score_rule", ["msp", "odin", "energy", "mahalanobis", "knn"])
@pytest.mark.parametrize("kind", ["rows", "images"])
def test_scores_do_not_depend_on_the_batch(X, images, kind, score_rule):
    X = X if kind == "rows" else images
    calibrated = CALIBRATED if kind == "rows" else {}  # images are too few for it
    fitted = make(score_rule=score_rule, **calibrated).fit(
        X, cluster_labels=np.arange(len(X)) % 2
    )
    scores = fitted.score_samples(X)
    for n in (1, 7):
        np.testing.assert_array_equal(fitted.score_samples(X[:n]), scores[:n])


def test_a_data_loader_augments_too(X, labels):
    calls = []

    def augment(batch):
        calls.append(len(batch))
        return batch

    loader = {"net__iterator_train": DataLoader, "net__iterator_train__shuffle": True}
    make(augment=augment).set_params(**loader).fit(X, cluster_labels=labels)
    assert sum(calls) >= len(X)
