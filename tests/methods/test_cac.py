"""Tests of CACClassifier alone; the contract is in test_classifier.py."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from torch import nn

from helpers import naive_sq_distances
from sk_hypersphere import CACClassifier

LEARNS = {"max_epochs": 30, "lr": 1e-2, "random_state": 0}


def naive_score(distances):
    """Of one sample, with exact sums."""
    total = math.fsum(math.exp(-d) for d in distances)
    others = [total - math.exp(-d) for d in distances]
    return -min(d * o / total for d, o in zip(distances, others, strict=True))


def test_classes_are_brought_to_their_axes(three_classes):
    fitted = CACClassifier(**LEARNS).fit(*three_classes)
    np.testing.assert_allclose(fitted.centers_, 10 * np.eye(3), atol=2)


def test_anchors_are_replaced_by_the_means_of_what_was_right(three_classes):
    X, y = three_classes
    noisy = np.where(np.arange(len(y)) % 9 == 0, (y + 1) % 3, y)
    fitted = CACClassifier(contamination=0.1, **LEARNS).fit(X, noisy)
    embeddings = fitted.transform(X).astype(np.float64)
    nearest = [
        np.argmin([np.sum((z - a) ** 2) for a in 10 * np.eye(3)]) for z in embeddings
    ]
    right = nearest == noisy
    assert 0 < (~right).sum() < len(y) / 4
    for k, center in enumerate(fitted.centers_):
        expected = embeddings[right & (noisy == k)].mean(axis=0)
        np.testing.assert_allclose(center, expected, rtol=1e-4, atol=1e-4)


def test_a_class_of_which_nothing_was_right_keeps_its_anchor(three_classes):
    X, y = three_classes
    hidden = np.where(np.arange(len(y)) == 0, 3, y)  # a single row of a fourth class
    fitted = CACClassifier(random_state=0, max_epochs=5).fit(X, hidden)
    assert (fitted.predict(X) != 3).all()
    np.testing.assert_array_equal(fitted.centers_[3], [0, 0, 0, 10])


def test_the_score_is_the_least_rejection_of_all_classes(three_classes):
    X, y = three_classes
    fitted = CACClassifier(**LEARNS).fit(X, y)
    far = X * 1.5 + 2
    distances = np.sqrt(naive_sq_distances(fitted, far))
    expected = [naive_score(row) for row in distances.tolist()]
    np.testing.assert_allclose(
        fitted.score_samples(far), expected, rtol=1e-3, atol=1e-9
    )


def test_scores_keep_their_digits_at_large_distances(three_classes):
    X, y = three_classes
    fitted = CACClassifier(magnitude=100.0, **LEARNS).fit(X, y)
    scores = fitted.score_samples(X)
    assert len(np.unique(scores)) == len(X) and (scores < 0).all()


def test_with_a_single_class_the_score_is_the_distance(three_classes):
    X, y = three_classes
    fitted = CACClassifier(random_state=0, max_epochs=3).fit(X, np.zeros(len(X)))
    np.testing.assert_allclose(
        fitted.score_samples(X),
        -np.sqrt(naive_sq_distances(fitted, X)[:, 0]),
        rtol=1e-4,
    )


def test_example_anomalies_are_pushed_off_the_anchors(three_classes):
    X, y = three_classes
    between = make_blobs(40, centers=[[3, 0, 0]], random_state=1)[0]
    labels = np.r_[y, np.full(40, -1)]

    def depth(gamma):
        params = {"gamma": gamma, "margin": 9.0, "anomaly_label": -1}
        fitted = CACClassifier(**params, **LEARNS).fit(np.r_[X, between], labels)
        assert fitted.score(X, y) > 0.9
        gaps = fitted.transform(between)[:, None] - 10 * np.eye(3)
        return np.maximum(0, 81 - np.square(gaps).sum(axis=2)).sum(axis=1).mean()

    assert depth(gamma=0.1) < 0.7 * depth(gamma=0.0)


def test_another_fit_under_warm_start_trains_towards_the_anchors_again(three_classes):
    X, y = three_classes
    fitted = CACClassifier(warm_start=True, **LEARNS).fit(X, y)
    first, means = fitted.net_.history[0, "train_loss"], fitted.centers_
    fitted.set_params(max_epochs=0).fit(X, y)
    # Nothing was trained, so that the means are what they were.
    np.testing.assert_allclose(fitted.centers_, means, rtol=1e-5)
    fitted.set_params(max_epochs=1).fit(X, y)
    assert fitted.net_.history[0, "train_loss"] < first


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_an_encoder_without_an_output_for_each_class_is_refused(
    three_classes, n_outputs
):
    with pytest.raises(ValueError, match=f"an output for each class.*got {n_outputs}"):
        CACClassifier(encoder=nn.Linear(3, n_outputs)).fit(*three_classes)


def test_an_encoder_may_have_more_outputs_than_classes(three_classes):
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        encoder = nn.Linear(3, 5)
    fitted = CACClassifier(encoder=encoder, **LEARNS).fit(*three_classes)
    assert fitted.centers_.shape == (3, 5) and fitted.score(*three_classes) > 0.9
