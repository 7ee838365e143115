"""Tests of CenterLossClassifier alone; see also test_classifier.py."""

import numpy as np
import torch

from helpers import naive_sq_distances
from sk_hypersphere import CenterLossClassifier

LEARNS = {"max_epochs": 30, "lr": 1e-2, "random_state": 0}


def logits(fitted, X):
    with torch.inference_mode():
        return fitted.net_.module_.head.classifier(
            torch.from_numpy(fitted.transform(X))
        )


def test_the_linear_classifier_starts_in_agreement_with_the_centers(with_anomalies):
    X, y = with_anomalies
    untrained = CenterLossClassifier(max_epochs=0, random_state=0).fit(X, y)
    nearest = naive_sq_distances(untrained, X).argmin(axis=1)
    np.testing.assert_array_equal(logits(untrained, X).argmax(dim=1), nearest)


def test_the_linear_classifier_is_trained_and_has_no_part_in_scores(with_anomalies):
    X, y = with_anomalies
    fitted = CenterLossClassifier(**LEARNS).fit(X, y)
    classes = fitted.classes_[logits(fitted, X).argmax(dim=1).numpy()]
    assert np.mean(classes == y) > 0.9
    before = fitted.score_samples(X), fitted.predict_proba(X)
    with torch.no_grad():
        fitted.net_.module_.head.classifier.weight.zero_()
    np.testing.assert_array_equal(before[0], fitted.score_samples(X))
    np.testing.assert_array_equal(before[1], fitted.predict_proba(X))


def test_only_the_centers_are_exempt_from_weight_decay(with_anomalies):
    params = {"weight_decay": 0.1, "max_epochs": 1, "random_state": 0}
    fitted = CenterLossClassifier(**params).fit(*with_anomalies)
    decay = {
        id(parameter): group["weight_decay"]
        for group in fitted.net_.optimizer_.param_groups
        for parameter in group["params"]
    }
    head = fitted.net_.module_.head
    assert decay[id(head.centers)] == 0
    assert decay[id(head.classifier.weight)] == 0.1
