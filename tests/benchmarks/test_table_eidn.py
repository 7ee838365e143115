"""The table "eidn" on small data, and its page."""

import numpy as np
import pytest
from small import options, tiny_mnist

from benchmarks.papers import eidn
from benchmarks.report import column

EIDN_LOADERS = {
    "load_mnist": lambda: tiny_mnist(1000),
    "load_cifar10": lambda: tiny_mnist(1000),
    "load_cracks": lambda seed: tiny_mnist(1000),
}


@pytest.fixture
def tiny_eidn(monkeypatch):
    for name, load in EIDN_LOADERS.items():
        monkeypatch.setattr(eidn, name, load)


def test_anomalies_are_shown_to_every_method_once(results, tiny_eidn):
    given = options("eidn", "--smoke", "--seeds", "1")
    eidn.run(results, given)
    tests = {row["test"] for row in results.rows}
    assert tests == {*eidn.CLASSES, "unseen", "cracks"} | {
        f"{data}, reduced" for data in eidn.CLASSES
    }
    n_in_full, n_in_brief = len(eidn.EMBEDDERS + eidn.RIVALS), 2
    n_reduced = len(eidn.CLASSES) * len(eidn.REDUCERS) * len(eidn.DETECTORS)
    n_brief = (len(eidn.SHARES) - 1) * n_in_brief
    n_on_cracks_only = 1
    n_full = 4 * n_in_full - 3 * n_on_cracks_only
    assert len(results.rows) == n_full + n_brief + n_reduced
    before = [*results.rows]
    eidn.run(results, given)
    assert results.rows == before
    page = eidn.render(before)
    assert all(f"| {method} |" in page for method in eidn.EMBEDDERS + eidn.RIVALS)


def test_detectors_behind_a_reducer_are_not_measured_twice(results, tiny_eidn):
    given = options("eidn", "--smoke", "--seeds", "1", "--only", "LDA")
    eidn.run(results, given)
    finished = [*results.rows]
    results.clear()
    results.add(**{k: v for k, v in finished[0].items() if k != "version"})
    eidn.run(results, given)
    times = {"seconds": "0"}
    assert [row | times for row in results.rows] == [row | times for row in finished]


def test_a_reducer_is_measured_alone(results, tiny_eidn):
    eidn.run(results, options("eidn", "--smoke", "--seeds", "1", "--only", "LDA"))
    methods = [f"LDA + {detector}" for detector in eidn.DETECTORS]
    assert column(results.rows, "method") == methods * len(eidn.CLASSES)


def test_published_means_are_those_of_the_published_classes():
    for published in eidn.PUBLISHED.values():
        for values, mean_of_all in published.values():
            ours = np.mean([float(value) for value in values])
            assert len(values) == 10
            assert ours == pytest.approx(float(mean_of_all), abs=0.1)
