"""Groups found by a clusterer, and the merging of tiny clusters."""

import numpy as np
import pytest
from sklearn.cluster import DBSCAN, KMeans
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sk_hypersphere.base._clustering import find_groups, merge_tiny

POINTS = np.array([[0.0], [0.1], [5.0], [5.1], [20.0]])


def stream():
    return np.random.RandomState(0)


def test_a_copy_of_the_clusterer_is_fitted():
    given = DBSCAN(eps=1.0, min_samples=2)
    fitted, groups = find_groups(given, POINTS, stream())
    np.testing.assert_array_equal(groups, [0, 0, 1, 1, -1])
    np.testing.assert_array_equal(fitted.labels_, groups)
    with pytest.raises(NotFittedError):
        check_is_fitted(given)


def test_a_clusterer_without_a_seed_is_given_one_from_the_stream():
    first, second = (
        find_groups(KMeans(2, n_init=1), POINTS, stream())[0] for _ in range(2)
    )
    assert first.random_state == second.random_state is not None


def test_a_clusterer_with_a_seed_keeps_it_and_draws_nothing():
    random_state = stream()
    fitted, _ = find_groups(KMeans(2, n_init=1, random_state=7), POINTS, random_state)
    assert fitted.random_state == 7
    assert random_state.randint(1000) == stream().randint(1000)


def test_nothing_but_noise_is_refused():
    clusterer = DBSCAN(eps=1e-9, min_samples=2)
    with pytest.raises(ValueError, match="clusterer must.*only noise.*DBSCAN.*Loosen"):
        find_groups(clusterer, POINTS, stream())


def naive_merge(points, labels, least):
    """Merge tiny clusters by a loop over points and clusters."""
    names, sizes = np.unique(labels, return_counts=True)
    largest = sorted(names, key=lambda k: -sizes[k])[:2]
    kept = [k for k in names if sizes[k] >= least or k in largest]
    means = {k: points[labels == k].mean(axis=0) for k in names}

    def nearest(k):
        return min(kept, key=lambda other: np.linalg.norm(means[k] - means[other]))

    return kept, [kept.index(k if k in kept else nearest(k)) for k in labels]


@pytest.mark.parametrize("least", [1, 5, 10, 20, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tiny_clusters_join_the_kept_one_of_nearest_mean(least, dtype):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(100, 3)).astype(dtype)
    labels = np.r_[np.arange(12), rng.choice(12, p=np.arange(12) / 66, size=88)]
    kept, merged = merge_tiny(points, labels, least)
    expected_kept, expected = naive_merge(points, labels, least)
    np.testing.assert_array_equal(kept, expected_kept)
    np.testing.assert_array_equal(merged, expected)


def test_without_tiny_clusters_labels_stay():
    labels = np.array([1, 0, 1, 0, 1])
    kept, merged = merge_tiny(POINTS, labels, 2)
    np.testing.assert_array_equal(kept, [0, 1])
    np.testing.assert_array_equal(merged, labels)


def test_a_tiny_cluster_never_joins_a_tiny_one():
    labels = np.array([0, 0, 1, 2, 2])  # cluster 1 is nearest to the tiny 3
    points = np.array([[0.0], [0.0], [4.0], [20.0], [20.0], [5.0]])
    kept, merged = merge_tiny(points, np.r_[labels, 3], 2)
    np.testing.assert_array_equal(kept, [0, 2])
    np.testing.assert_array_equal(merged, [0, 0, 0, 1, 1, 0])


def test_the_two_largest_stay_however_small():
    kept, merged = merge_tiny(POINTS, np.array([0, 1, 1, 2, 2]), 1000)
    np.testing.assert_array_equal(kept, [1, 2])
    np.testing.assert_array_equal(merged, [0, 0, 0, 1, 1])


def test_the_first_of_equally_large_clusters_stay():
    kept, _ = merge_tiny(POINTS, np.arange(5), 2)
    np.testing.assert_array_equal(kept, [0, 1])


def test_a_single_cluster_stays():
    kept, merged = merge_tiny(POINTS, np.zeros(5, dtype=int), 1000)
    np.testing.assert_array_equal(kept, [0])
    np.testing.assert_array_equal(merged, np.zeros(5))
