"""FINCH: the authors' figures, a naive implementation, and invariants.

The search for neighbours is tested in test_first_neighbors.py.
"""

import sys
import tracemalloc

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed, parallel_config
from sklearn.datasets import load_digits, make_blobs
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_hypersphere import FINCH, DeepSVDD, finch
from sk_hypersphere._methods import finch as estimator
from sk_hypersphere.base import _first_neighbors

METRICS = pytest.mark.parametrize("metric", ["cosine", "euclidean"])
TOY = np.array([[0], [1], [10], [11.5], [30], [32]])


@pytest.fixture(scope="module")
def four_blobs():
    rng = np.random.RandomState(0)
    centers = [(0, 0), (5, 0), (0, 5), (5, 5)]
    return np.vstack([0.3 * rng.randn(40, 2) + center for center in centers])


@pytest.fixture(scope="module")
def X():
    return np.random.RandomState(1).randn(300, 8)


@pytest.fixture(scope="module")
def blobs():
    return make_blobs(2000, 8, centers=20, random_state=0)[0]


@pytest.fixture
def approximate_soon(monkeypatch):
    """The rows of a test are many enough for approximate search."""
    monkeypatch.setattr(_first_neighbors, "APPROXIMATE_ROWS", 100)


def is_same_clustering(a, b):
    n_pairs = len(np.unique(np.column_stack([a, b]), axis=0))
    return len(np.unique(a)) == len(np.unique(b)) == n_pairs


def counts(partitions):
    return (partitions.max(axis=0) + 1).tolist()


def naive_finch(X, metric):
    """FINCH by its definition, with all distances and the authors' three links."""
    X = np.asarray(X, dtype=np.longdouble)
    labels, partitions = np.arange(len(X)), []
    while len(np.unique(labels)) > 1:
        means = np.array([X[labels == k].mean(axis=0) for k in np.unique(labels)])
        if metric == "cosine":
            means /= np.sqrt((means**2).sum(axis=1, keepdims=True))
        distances = np.sqrt(((means[:, None] - means) ** 2).sum(axis=2))
        np.fill_diagonal(distances, np.inf)
        ties = distances <= distances.min(axis=1, keepdims=True) + 1e-15
        first = ties.argmax(axis=1)
        linked = first[:, None] == np.arange(len(means))
        linked |= linked.T | (first[:, None] == first) | np.eye(len(means), dtype=bool)
        while not np.array_equal(linked, linked @ linked):
            linked = linked @ linked
        labels = np.unique(linked.argmax(axis=1), return_inverse=True)[1][labels]
        partitions.append(labels)
    return np.column_stack(partitions[:-1] or partitions)


def test_four_blobs_have_the_counts_of_the_authors_code(four_blobs):
    assert counts(finch(four_blobs, metric="euclidean")) == [48, 10, 4]
    assert counts(finch(four_blobs, metric="cosine")) == [53, 15, 4]


def test_the_silhouette_finds_the_four_blobs(four_blobs):
    labels = FINCH(metric="euclidean").fit_predict(four_blobs)
    assert is_same_clustering(labels, np.repeat(range(4), 40))


def test_pairs_of_the_toy_are_the_only_partition():
    np.testing.assert_array_equal(
        finch(TOY, metric="euclidean"), [[0], [0], [1], [1], [2], [2]]
    )


def test_two_clusters_of_the_toy_join_the_closest_pairs():
    labels = FINCH(n_clusters=2, metric="euclidean").fit_predict(TOY)
    np.testing.assert_array_equal(labels, [0, 0, 0, 0, 1, 1])


@METRICS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0, 100])
def test_partitions_equal_those_of_the_naive_implementation(metric, dtype, offset):
    X = (np.random.RandomState(2).randn(150, 4) + offset).astype(dtype)
    np.testing.assert_array_equal(finch(X, metric=metric), naive_finch(X, metric))


def test_an_offset_common_to_all_rows_costs_no_digits(X):
    X = X.round(6)
    shifted = finch(X + 2.0**24, metric="euclidean")
    np.testing.assert_array_equal(shifted, finch(X, metric="euclidean"))


def test_groups_a_billion_times_narrower_than_their_distance_are_resolved():
    rng = np.random.RandomState(6)
    X = np.repeat(rng.randn(5, 3), 20, axis=0) + 1e-9 * rng.randn(100, 3)
    expected = naive_finch(X, "euclidean")
    np.testing.assert_array_equal(finch(X, metric="euclidean"), expected)


@METRICS
def test_digits_agree_with_the_naive_implementation_though_pixels_tie(metric):
    X = load_digits().data[:200]
    np.testing.assert_array_equal(finch(X, metric=metric), naive_finch(X, metric))


@METRICS
def test_every_cluster_has_two_members_and_counts_at_least_halve(X, metric):
    partitions = finch(X, metric=metric)
    assert all(np.bincount(column).min() >= 2 for column in partitions.T)
    n_clusters = np.array([len(X), *counts(partitions)])
    assert (n_clusters[1:] <= n_clusters[:-1] / 2).all()
    assert n_clusters[-1] >= 2


@METRICS
def test_each_cluster_lies_in_one_cluster_of_the_next_partition(X, metric):
    partitions = finch(X, metric=metric)
    for fine, coarse in zip(partitions.T, partitions.T[1:], strict=False):
        pairs = np.unique(np.column_stack([fine, coarse]), axis=0)
        assert len(pairs) == fine.max() + 1


@METRICS
def test_labels_run_from_zero_in_order_of_appearance(X, metric):
    for labels in finch(X, metric=metric).T:
        _, where_first = np.unique(labels, return_index=True)
        assert labels[0] == 0 and (np.diff(where_first) > 0).all()


@METRICS
def test_same_input_same_partitions(X, metric):
    np.testing.assert_array_equal(finch(X, metric=metric), finch(X, metric=metric))


@METRICS
def test_the_order_of_the_rows_does_not_matter(X, metric):
    order = np.random.RandomState(3).permutation(len(X))
    partitions, permuted = finch(X, metric=metric), finch(X[order], metric=metric)
    for labels, other in zip(partitions[order].T, permuted.T, strict=True):
        assert is_same_clustering(labels, other)


def test_cosine_ignores_the_length_of_the_rows_in_the_finest_partition(X):
    lengths = np.random.RandomState(4).uniform(0.1, 10, size=(len(X), 1))
    np.testing.assert_array_equal(finch(X * lengths)[:, 0], finch(X)[:, 0])


@METRICS
def test_copies_of_a_row_share_its_cluster(X, metric):
    partitions = finch(np.repeat(X, 5, axis=0), metric=metric)
    np.testing.assert_array_equal(partitions[::5, 0], np.arange(len(X)))
    np.testing.assert_array_equal(partitions, np.repeat(partitions[::5], 5, axis=0))


def test_rows_of_one_direction_share_a_cosine_cluster(X):
    lengths = np.array([1, 3, 5, 7, 11, 13])
    rays = (X[:, None] * lengths[:, None]).reshape(-1, X.shape[1])
    np.testing.assert_array_equal(finch(rays)[:, 0], np.repeat(range(len(X)), 6))


def test_zero_rows_share_a_cosine_cluster_of_their_own(X):
    labels = finch(np.vstack([X, np.zeros((5, X.shape[1]))]))[:, 0]
    assert len(set(labels[-5:])) == 1 and labels[-1] not in labels[:-5]


def test_a_lone_zero_row_joins_a_cluster(X):
    partitions = finch(np.vstack([X, np.zeros((1, X.shape[1]))]))
    assert np.bincount(partitions[:, 0]).min() >= 2


@METRICS
@pytest.mark.parametrize("n_samples", [1, 2, 3, 50])
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_constant_rows_are_one_cluster(metric, n_samples, value):
    model = FINCH(metric=metric).fit(np.full((n_samples, 3), value))
    np.testing.assert_array_equal(model.partitions_, np.zeros((n_samples, 1)))
    assert model.n_clusters_ == 1


@METRICS
@pytest.mark.parametrize("n_samples", [1, 2, 3])
def test_fewer_than_four_rows_are_one_cluster(X, metric, n_samples):
    model = FINCH(metric=metric).fit(X[:n_samples])
    np.testing.assert_array_equal(model.labels_, np.zeros(n_samples))


@METRICS
@pytest.mark.parametrize("n_clusters", [1, 2, 3, 7, 20, 40])
def test_the_number_of_clusters_is_met_exactly(X, metric, n_clusters):
    model = FINCH(n_clusters=n_clusters, metric=metric).fit(X)
    assert model.n_clusters_ == n_clusters
    np.testing.assert_array_equal(np.unique(model.labels_), range(n_clusters))


def test_a_number_of_clusters_that_is_there_gives_that_partition(four_blobs):
    model = FINCH(n_clusters=10, metric="euclidean").fit(four_blobs)
    np.testing.assert_array_equal(model.labels_, model.partitions_[:, 1])


@METRICS
def test_merges_equal_merges_by_all_distances_computed_anew(X, metric):
    model = FINCH(n_clusters=12, metric=metric).fit(X)
    enough = [i for i, k in enumerate(counts(model.partitions_)) if k >= 12]
    labels = model.partitions_[:, enough[-1]]
    while len(np.unique(labels)) > 12:
        means = np.array([X[labels == k].mean(axis=0) for k in np.unique(labels)])
        if metric == "cosine":
            means /= np.linalg.norm(means, axis=1, keepdims=True)
        distances = np.linalg.norm(means[:, None] - means, axis=2)
        np.fill_diagonal(distances, np.inf)
        i, j = sorted(np.unravel_index(distances.argmin(), distances.shape))
        merged = np.where(labels == j, i, labels)
        labels = np.unique(merged, return_inverse=True)[1]
    np.testing.assert_array_equal(model.labels_, labels)


def test_too_many_clusters_give_the_finest_partition_and_a_warning(X):
    with pytest.warns(UserWarning, match="`n_clusters` of FINCH must be at most"):
        model = FINCH(n_clusters=200).fit(X)
    np.testing.assert_array_equal(model.labels_, model.partitions_[:, 0])


@pytest.mark.parametrize(
    "cluster",
    [
        lambda finch, X: finch.fit(X),
        lambda finch, X: finch.fit_predict(X),
        lambda finch, X: make_pipeline(StandardScaler(), finch).fit(X),
        lambda finch, X: make_pipeline(StandardScaler(), finch).fit_predict(X),
        lambda finch, X: DeepSVDD(
            multi_radius=True, clusterer=finch, max_epochs=1, random_state=0
        ).fit(X),
    ],
    ids=["fit", "fit_predict", "pipeline", "predicting pipeline", "DeepSVDD"],
)
def test_the_warning_is_about_the_line_that_called(cluster, X):
    with pytest.warns(UserWarning, match="`n_clusters` of FINCH must be") as caught:
        cluster(FINCH(n_clusters=200), X)
    assert [warning.filename for warning in caught] == [__file__]


def test_a_limit_merges_the_closest_clusters_of_the_chosen_partition(X):
    finest = FINCH(partition=0).fit(X)
    limited = FINCH(partition=0, max_clusters=7).fit(X)
    assert finest.n_clusters_ > limited.n_clusters_ == 7
    np.testing.assert_array_equal(limited.labels_, FINCH(7).fit_predict(X))


@pytest.mark.parametrize("params", [{"partition": 0}, {"n_clusters": 5}])
def test_a_limit_that_is_kept_changes_nothing(X, params):
    limited = FINCH(**params, max_clusters=len(X)).fit_predict(X)
    np.testing.assert_array_equal(limited, FINCH(**params).fit_predict(X))


def test_an_int_counts_partitions_from_either_end(X):
    finest = FINCH(partition=0).fit(X)
    coarsest = FINCH(partition="coarsest").fit(X)
    np.testing.assert_array_equal(finest.labels_, finest.partitions_[:, 0])
    np.testing.assert_array_equal(coarsest.labels_, finest.partitions_[:, -1])
    np.testing.assert_array_equal(FINCH(partition=-1).fit_predict(X), coarsest.labels_)


@pytest.mark.parametrize("partition", [9, -10])
def test_a_partition_that_is_not_there_is_refused(X, partition):
    with pytest.raises(ValueError, match=r"number of partitions found in X, \d"):
        FINCH(partition=partition).fit(X)


@METRICS
def test_the_partition_of_largest_silhouette_is_chosen(X, metric):
    model = FINCH(metric=metric).fit(X)
    candidates = model.partitions_.T[1:]
    scores = [silhouette_score(X, labels, metric=metric) for labels in candidates]
    np.testing.assert_array_equal(model.labels_, candidates[np.argmax(scores)])


def test_the_coarser_of_equal_silhouettes_is_chosen(X):
    partitions = np.random.RandomState(5).randint(3, size=(len(X), 2))[:, [0, 1, 1]]
    assert estimator._best_silhouette(X, partitions, "cosine") == 2


def test_the_silhouette_of_a_sample_chooses_alike_each_time(monkeypatch):
    monkeypatch.setattr(estimator, "SILHOUETTE_ROWS", 100)
    X, y = make_blobs(1000, 8, centers=5, cluster_std=0.5, random_state=0)
    first, second = (FINCH(metric="euclidean").fit_predict(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert adjusted_rand_score(y, first) > 0.9


def test_the_global_random_stream_is_left_as_it_was(monkeypatch, X):
    monkeypatch.setattr(estimator, "SILHOUETTE_ROWS", 100)
    before = np.random.get_state()[1].copy()
    FINCH().fit(X)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_partitions_are_integers_and_the_chosen_one_is_a_copy(X):
    model = FINCH().fit(X)
    assert model.partitions_.dtype == model.labels_.dtype == np.intp
    assert not np.shares_memory(model.labels_, model.partitions_)


@pytest.mark.parametrize("n_features", [3, 12], ids=["tree", "brute force"])
@pytest.mark.parametrize("n_values", [2, 1000], ids=["ties", "no ties"])
def test_memory_is_far_below_the_size_of_all_distances(n_values, n_features):
    X = np.random.RandomState(0).randint(n_values, size=(8000, n_features))
    tracemalloc.start()
    finch(X.astype(np.float32), metric="euclidean")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 120e6  # bytes; all distances in float32 take 256e6


@METRICS
@pytest.mark.parametrize("algorithm", ["brute", "kd_tree"])
def test_partitions_do_not_depend_on_how_neighbours_are_searched(
    monkeypatch, metric, algorithm
):
    X = load_digits().data[:400, 18:24]
    expected = naive_finch(X[X.any(axis=1)], metric)
    monkeypatch.setattr(_first_neighbors, "_exact_algorithm", lambda *shape: algorithm)
    found = finch(X[X.any(axis=1)], metric=metric)
    np.testing.assert_array_equal(found, expected)


def test_without_pynndescent_the_error_says_what_to_install(
    monkeypatch, approximate_soon, X
):
    monkeypatch.setitem(sys.modules, "pynndescent", None)
    with pytest.raises(ImportError, match=r"pip install \"sk-hypersphere\[neighbors\]"):
        FINCH(neighbors="approximate").fit(X)


@pytest.mark.slow  # Numba compiles for a minute
@METRICS
def test_approximate_search_finds_nearly_the_same_clusters(
    blobs, metric, approximate_soon
):
    partitions = finch(blobs, metric=metric, neighbors="approximate")
    finest = finch(blobs, metric=metric)[:, 0]
    assert adjusted_rand_score(partitions[:, 0], finest) > 0.9


@pytest.mark.slow
def test_approximate_search_has_one_result(blobs, approximate_soon):
    first, second = (finch(blobs, neighbors="approximate") for _ in range(2))
    np.testing.assert_array_equal(first, second)
    with parallel_config("threading", n_jobs=2):
        tasks = [delayed(finch)(blobs, neighbors="approximate")] * 2
        for partitions in Parallel()(tasks):
            np.testing.assert_array_equal(partitions, first)


@pytest.mark.slow
def test_approximate_search_leaves_global_state_as_it_was(blobs, approximate_soon):
    import numba

    @numba.njit
    def draw():
        return np.random.random()

    @numba.njit
    def seed():
        np.random.seed(0)

    seed()
    expected = draw()
    n_threads = numba.get_num_threads()
    before = np.random.get_state()[1].copy(), torch.get_rng_state().clone()
    seed()
    finch(blobs, neighbors="approximate")
    assert draw() == expected
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    assert numba.get_num_threads() == n_threads


@pytest.mark.slow
@METRICS
def test_approximate_search_takes_copies_and_zero_rows(blobs, metric, approximate_soon):
    copies = np.repeat(blobs[:20], 50, axis=0)
    zeros = np.zeros((100, blobs.shape[1]))
    X = np.vstack([copies, zeros, blobs[20:]])
    partitions = finch(X, metric=metric, neighbors="approximate")
    assert np.bincount(partitions[:, 0]).min() >= 2
    in_zeros = set(partitions[1000:1100, 0])
    assert in_zeros.isdisjoint(np.delete(partitions[:, 0], np.s_[1000:1100]))


@pytest.mark.slow
def test_approximate_search_takes_rows_that_are_all_alike(approximate_soon):
    labels = finch(np.ones((500, 8)), neighbors="approximate")
    assert np.bincount(labels[:, 0]).min() >= 2
