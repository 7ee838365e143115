"""Centers, radii and members of spheres."""

import numpy as np
import pytest
import torch
from torch import nn

from sk_hypersphere._training.net import Run
from sk_hypersphere._training.rows import Rows
from sk_hypersphere.base._spheres import (
    away_from_zero,
    cluster_means,
    cluster_sq_radii,
    mean_center,
    mean_embedding,
    member_sq_distances,
    move_to_means,
    rounded_up,
    sq_radius,
)
from sk_hypersphere.modules import Centers, Hypersphere

CPU = torch.device("cpu")


def test_coordinates_near_zero_move_out_to_epsilon_and_zero_goes_up():
    centers = np.array([-0.5, -0.05, -0.0, 0.0, 0.05, 0.5])
    expected = [-0.5, -0.1, 0.1, 0.1, 0.1, 0.5]
    np.testing.assert_allclose(away_from_zero(centers, 0.1), expected)


@pytest.mark.parametrize("n", [1, 32, 33, 9000])
def test_a_mean_embedding_counts_what_the_mask_says(n):
    X = np.random.RandomState(0).normal(size=(n, 2)).astype(np.float32)
    counted = np.arange(n) % 3 == 0
    encoder = nn.Identity()
    some, every = (
        mean_embedding(encoder, X, CPU, counted),
        mean_embedding(encoder, X, CPU),
    )
    np.testing.assert_allclose(some, X[counted].mean(axis=0, dtype=float), rtol=1e-9)
    np.testing.assert_allclose(every, X.mean(axis=0, dtype=float), rtol=1e-9)


def test_a_mean_center_leaves_held_out_samples_and_the_mask_alone():
    X = np.array([[1.0, 0.0], [3.0, 0.0], [50.0, 9.0], [70.0, 9.0]], dtype=np.float32)
    run = Run(None, CPU, None, held_out=[2])
    is_counted = np.array([True, True, True, False])
    center = mean_center(nn.Identity(), X, run, is_counted, epsilon=0.1)
    assert center.tolist() == [[2.0, 0.0]]  # without weights, 0 may stay
    assert is_counted.tolist() == [True, True, True, False]
    linear = nn.Linear(2, 2, bias=False)
    nn.init.eye_(linear.weight)
    center = mean_center(linear, X, run, is_counted, epsilon=0.5)
    assert center.tolist() == [[2.0, 0.5]]


def test_cluster_means_are_means_and_noise_joins_the_nearest():
    embeddings = np.array([[0.0], [2.0], [10.0], [12.0], [3.0]], dtype=np.float32)
    centers, labels = cluster_means(embeddings, np.array([4, 4, 7, 7, -1]))
    np.testing.assert_allclose(centers, [[1.0], [11.0]])
    np.testing.assert_array_equal(labels, [0, 0, 1, 1, 0])


def test_centers_move_to_the_mean_of_their_own_embeddings_nearest_to_them():
    head = Centers(torch.tensor([[0.0], [10.0], [20.0]]))
    embeddings = np.array([[1.0], [2.0], [9.0], [12.0], [0.5]], dtype=np.float32)
    move_to_means(head, embeddings, np.array([0, 0, 0, 1, -1]))
    # The third embedding is nearer to another center; the last has no center.
    assert head.centers.tolist() == [[1.5], [12.0], [20.0]]


def test_squared_distances_are_to_the_own_center_though_another_is_nearer():
    X = np.array([[0.0, 3.0], [4.0, 0.0], [4.0, 3.0]], dtype=np.float32)
    centers = torch.tensor([[0.0, 0.0], [4.0, 3.0]])
    module = Hypersphere(nn.Identity(), Centers(centers))
    sq_distances, labels = member_sq_distances(module, Rows(X, np.array([0, 1, 0])))
    assert sq_distances.tolist() == [9.0, 9.0, 25.0]
    assert sq_distances.dtype == np.float64
    assert labels.tolist() == [0, 1, 0]


def test_a_squared_radius_is_the_square_of_the_quantile_of_distances():
    sq_distances = np.array([0.0, 1.0, 4.0, 9.0, 16.0])
    assert sq_radius(sq_distances, nu=0.25) == pytest.approx(9.0)
    assert sq_radius(sq_distances, nu=0.125) == pytest.approx(3.5**2)
    assert sq_radius(sq_distances, 0.125, method="higher") == pytest.approx(16.0)


def test_a_small_cluster_has_a_radius_between_its_own_and_the_common_one():
    sq_distances = np.repeat([1.0, 9.0], 20)
    labels = np.repeat([0, 1], 20)
    sq_radii = cluster_sq_radii(sq_distances, labels, 2, nu=0.0)
    np.testing.assert_allclose(sq_radii, [(20 * 1 + 20 * 9) / 40, 9.0])
    alone = cluster_sq_radii(np.array([1.0, 4.0]), np.zeros(2, dtype=int), 1, nu=0.5)
    np.testing.assert_allclose(alone, [1.5**2])


def test_the_radius_of_an_empty_cluster_is_the_common_one():
    sq_radii = cluster_sq_radii(np.array([1.0, 4.0]), np.array([0, 2]), 3, nu=1.0)
    np.testing.assert_allclose(sq_radii[1], 1.0)
    assert np.isfinite(sq_radii).all()


@pytest.mark.parametrize("sq_radius", [0.0, 0.1, 1.0, 1e6])
def test_squared_radii_are_rounded_up_to_the_next_float32(sq_radius):
    rounded = rounded_up(np.array([sq_radius]))
    assert rounded.dtype == np.float32
    assert rounded[0] > sq_radius
    assert rounded[0] <= sq_radius * (1 + 2.0**-22) + 1e-44
