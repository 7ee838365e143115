"""Tests of IILossClassifier alone; the contract is in test_classifier.py."""

import numpy as np
import pytest

from sk_hypersphere import IILossClassifier
from sk_hypersphere.modules import Centers

LEARNS = {"max_epochs": 30, "lr": 1e-2, "random_state": 0}


def test_centers_are_the_class_means_of_all_training_rows(three_classes):
    X, y = three_classes
    fitted = IILossClassifier(**LEARNS).fit(X, y)
    trained = np.setdiff1d(np.arange(len(y)), fitted.calibration_indices_)
    embeddings, y = fitted.transform(X[trained]).astype(np.float64), y[trained]
    expected = [embeddings[y == k].mean(axis=0) for k in range(3)]
    np.testing.assert_allclose(fitted.centers_, expected, rtol=1e-4, atol=1e-5)
    assert isinstance(fitted.net_.module_.head, Centers)


def test_the_score_is_the_squared_distance_to_the_nearest_mean_negated(three_classes):
    X, y = three_classes
    fitted = IILossClassifier(**LEARNS).fit(X, y)
    gaps = fitted.transform(X).astype(np.float64)[:, None] - fitted.centers_
    expected = -np.square(gaps).sum(axis=2).min(axis=1)
    np.testing.assert_allclose(fitted.score_samples(X), expected, rtol=1e-4, atol=1e-6)


def test_training_separates_classes_relative_to_their_spread(three_classes):
    X, y = three_classes

    def separation(max_epochs):
        fitted = IILossClassifier(**{**LEARNS, "max_epochs": max_epochs}).fit(X, y)
        gaps = fitted.centers_[:, None] - fitted.centers_
        gap = np.square(gaps).sum(axis=2)[np.triu_indices(3, 1)].min()
        return gap / -fitted.score_samples(X).mean()

    assert separation(30) > 2 * separation(0)


def test_example_anomalies_are_refused_and_the_sentence_says_why(three_classes):
    X, y = three_classes
    message = (
        r"has no term for example anomalies: it compares means of classes\. Got 60 "
        r"times anomaly_label=2\. Leave these samples out, or take MCHADClassifier"
    )
    with pytest.raises(ValueError, match=message):
        IILossClassifier(anomaly_label=2).fit(X, y)


def test_the_scale_of_the_embedding_stays_where_it_is(three_classes):
    fitted = IILossClassifier(max_epochs=200, random_state=0).fit(*three_classes)
    before, after = (
        fitted.diagnostics_[name]
        for name in ("initial_embedding_variance", "embedding_variance")
    )
    assert before / 30 < after < 30 * before


def test_a_single_class_learns_nothing_but_its_mean(three_classes):
    X, _ = three_classes
    y = np.zeros(len(X))
    fitted = IILossClassifier(**LEARNS).fit(X, y)
    untrained = IILossClassifier(**{**LEARNS, "max_epochs": 0}).fit(X, y)
    np.testing.assert_array_equal(fitted.transform(X), untrained.transform(X))
