"""The table "quickstart" on small data, and its page."""

import numpy as np
import pytest

from benchmarks.datasets import small_digits_open_set
from benchmarks.tables import quickstart


def test_example_anomalies_are_given_to_a_model_in_a_pipeline():
    task = small_digits_open_set((0, 1), (6,), seed=0)
    classifiers = quickstart.make_classifiers(seed=0, device="cpu")
    labels = {
        method: set(quickstart.training_samples(classifier, task)[1])
        for method, classifier in classifiers.items()
    }
    assert labels.pop("MCHADClassifier(anomaly_label=-1)") == {0, 1, -1}
    assert all(given == {0, 1} for given in labels.values())


@pytest.mark.parametrize(
    "classifier",
    [quickstart.LinearClassifier(), quickstart.NeighborClassifier(2)],
    ids=lambda classifier: type(classifier).__name__,
)
def test_rivals_score_samples_between_the_classes_lower(classifier):
    X = np.array([[0.0], [1.0], [9.0], [10.0]])
    known, between = classifier.fit(X, [0, 0, 1, 1]).score_samples([[0.0], [5.0]])
    assert known > between


def test_classifiers_stand_in_a_table_of_their_own():
    figures = zip(quickstart.CLASSIFICATION, ("0.99", "0.9", "0.895"), strict=True)
    row = {"method": "Net()", "seed": "0", "clusters": "", "seconds": "2"}
    rows = [row | {"measure": measure, "value": value} for measure, value in figures]
    page = quickstart.render(rows)
    assert page.count("Net()") == 1
    assert "| `Net()` | 99.0 | 90.0 | 89.5 | 2.00 |" in page
