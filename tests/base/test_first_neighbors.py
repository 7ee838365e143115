"""Search for the nearest other point: exact with ties, by trees, and approximate."""

import sys

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from sk_hypersphere.base import _first_neighbors
from sk_hypersphere.base._first_neighbors import (
    directions,
    first_neighbor_components,
    first_neighbors,
    sums_and_sizes,
)

METRICS = pytest.mark.parametrize("metric", ["cosine", "euclidean"])


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


def grid():
    return np.stack(np.meshgrid(range(12), range(12)), axis=-1).reshape(-1, 2) * 1.0


def narrow_groups():
    rng = np.random.RandomState(6)
    return np.repeat(rng.randn(5, 3), 20, axis=0) + 1e-9 * rng.randn(100, 3)


POINTS = {
    "Gaussian": lambda: np.random.RandomState(8).randn(200, 3),
    "a grid": grid,
    "copies": lambda: np.repeat(np.random.RandomState(9).randn(30, 4), 7, axis=0),
    "constant": lambda: np.full((50, 3), 0.1),
    "narrow groups": narrow_groups,
    "integers far out": lambda: (
        np.random.RandomState(5).randint(6, size=(150, 3)) + 1e6
    ),
}


def test_the_neighbour_of_lowest_index_wins_a_tie():
    first = first_neighbors(grid(), "euclidean")
    np.testing.assert_array_equal(first[[0, 1, 13, 143]], [1, 0, 1, 131])


@pytest.mark.parametrize("algorithm", ["brute", "kd_tree"])
@pytest.mark.parametrize("make", POINTS.values(), ids=POINTS)
def test_trees_and_brute_force_find_what_the_definition_says(make, algorithm):
    Z = _first_neighbors._as_euclidean(make(), "euclidean")
    distances = np.linalg.norm(Z[:, None].astype(np.longdouble) - Z, axis=2)
    np.fill_diagonal(distances, np.inf)
    equal = distances <= distances.min(axis=1, keepdims=True) + 1e-15
    found = _first_neighbors._exact_first_neighbors(Z, algorithm)
    np.testing.assert_array_equal(found, equal.argmax(axis=1))


@pytest.mark.parametrize("n_rows, limit", [(2_000, 4), (20_000, 8), (10**6, 8)])
def test_a_tree_is_for_few_features_and_more_of_many_rows(n_rows, limit):
    assert _first_neighbors._exact_algorithm(n_rows, limit) == "kd_tree"
    assert _first_neighbors._exact_algorithm(n_rows, limit + 1) == "brute"


@pytest.mark.parametrize("algorithm", ["brute", "kd_tree"])
def test_blocks_of_ties_change_nothing(monkeypatch, algorithm):
    Z = grid()
    whole = _first_neighbors._exact_first_neighbors(Z, algorithm)
    monkeypatch.setattr(_first_neighbors, "BLOCK_ENTRIES", 20)
    np.testing.assert_array_equal(
        _first_neighbors._exact_first_neighbors(Z, algorithm), whole
    )


def test_integers_stay_integers_where_euclidean_points_are_shifted():
    points = np.array([[1e6, -3], [1e6 + 1, 5], [1e6 + 4, 6], [1e6 + 5, 7]])
    Z = _first_neighbors._as_euclidean(points, "euclidean")
    np.testing.assert_array_equal(Z, points - [1e6 + 1, 5])


def test_rows_become_directions_and_zero_rows_are_orthogonal_to_them():
    Z = directions(np.array([[3.0, 4], [0, 0], [-30, -40], [0, 0]]))
    expected = [[0.6, 0.8, 0], [0, 0, 1], [-0.6, -0.8, 0], [0, 0, 1]]
    np.testing.assert_allclose(Z, expected)


def test_points_linked_by_first_neighbours_are_one_component():
    points = np.array([[0.0], [1], [10], [11.5], [13.5], [30], [32]])
    labels = first_neighbor_components(points, "euclidean", "exact")
    np.testing.assert_array_equal(labels, [0, 0, 1, 1, 1, 2, 2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_added_up_by_label_and_counted(dtype):
    points = np.random.RandomState(0).randn(60, 37).astype(dtype)  # 37: three parts
    labels = np.arange(60) % 4
    sums, sizes = sums_and_sizes(points, labels)
    expected = [points[labels == k].sum(axis=0, dtype=float) for k in range(4)]
    np.testing.assert_allclose(sums, expected, rtol=1e-12, atol=1e-12)
    assert sums.dtype == np.float64
    assert sizes.tolist() == [15] * 4
    _, sizes = sums_and_sizes(sums, np.array([0, 1, 1, 0]), np.array([1, 2, 3, 4]))
    assert sizes.tolist() == [5, 5]


@METRICS
def test_few_rows_are_searched_exactly_in_any_case(monkeypatch, X, metric):
    monkeypatch.setitem(sys.modules, "pynndescent", None)  # it cannot be imported
    found = first_neighbors(X, metric, "approximate")
    np.testing.assert_array_equal(found, first_neighbors(X, metric))


def test_few_features_are_searched_exactly_in_any_case(monkeypatch, approximate_soon):
    monkeypatch.setitem(sys.modules, "pynndescent", None)
    X = np.random.RandomState(7).randn(500, _first_neighbors.TREE_FEATURES)
    found = first_neighbors(X, "euclidean", "approximate")
    np.testing.assert_array_equal(found, first_neighbors(X, "euclidean"))


def test_a_candidate_that_is_the_point_itself_or_missing_is_no_neighbour():
    Z = np.array([[0.0], [1], [3], [7]])
    candidates = np.array([[0, 2], [-1, 2], [3, 1], [3, -1]], dtype=np.int32)
    nearest = _first_neighbors._nearest_candidates(Z, candidates)
    np.testing.assert_array_equal(nearest, [2, 2, 3, 2])


@pytest.mark.slow  # Numba compiles for a minute
@METRICS
@pytest.mark.parametrize("scale", [1, 1e-30, 1e30])
def test_approximate_search_finds_most_neighbours_at_any_scale(
    blobs, metric, scale, approximate_soon
):
    found = first_neighbors(scale * blobs, metric, "approximate")
    assert np.mean(found == first_neighbors(blobs, metric)) > 0.95
