"""The table "subclusters-cifar10" on small data, and its page."""

import numpy as np
import pytest
import torch
from small import interrupt_in_epoch, options, tiny_cifar

from benchmarks.cifar10 import NormalizeColors
from benchmarks.datasets import (
    DATA_VARIABLE,
    Split,
)
from benchmarks.methods import check_finished
from benchmarks.papers import subclusters_cifar10
from benchmarks.results import Results


def subcluster_rows(names):
    row = {"test": "3", "seed": "0", "epochs": "200", "device": "GPU", "odin": "84.0"}
    row |= {"msp": "78.0", "energy": "79.0", "knn": "80.0", "accuracy": "95.0"}
    return [row | {"task": name} for name in names]


def test_the_published_sub_clusters_stand_beside_ours():
    rows = subcluster_rows(subclusters_cifar10.CLASSES)
    page = subclusters_cifar10.render(rows)
    assert "| cat | 79 | 78.0 | 80 | 84.0 | 79.0 | 80.0 | 95.0 |" in page
    assert "| mean | 77 | 78.0 | 83 | 84.0 | 79.0 | 80.0 | 95.0 |" in page
    assert "Test 2" not in page
    assert "| mean | 77 |  | 83 |  |  |  |  |" in subclusters_cifar10.render(rows[:9])


@pytest.mark.parametrize("test", ["2", "3"])
def test_published_means_of_sub_clusters_are_those_of_the_tasks(test):
    values = [*subclusters_cifar10.PUBLISHED[test].values()]
    published = subclusters_cifar10.PUBLISHED_MEANS[test]
    assert np.mean(values, axis=0) == pytest.approx(published, abs=1)


def test_published_tasks_are_those_that_are_measured():
    tasks = subclusters_cifar10.plan(subclusters_cifar10.FULL_SIZE)
    measured = [(task.test, task.name) for task in tasks]
    published = subclusters_cifar10.PUBLISHED
    assert measured == [(test, name) for test in published for name in published[test]]


def test_no_class_is_both_normal_and_an_anomaly():
    first, *_, last = subclusters_cifar10.plan(subclusters_cifar10.FULL_SIZE)
    assert (first.normal, first.anomalies) == ([0, 1], [5, 6, 7, 8, 9])
    assert (last.normal, last.anomalies) == ([*range(9)], [9])


def test_only_normal_classes_are_trained_on():
    size = subclusters_cifar10.FULL_SIZE
    task = subclusters_cifar10.plan(size)[0]
    split = subclusters_cifar10.images_of(task, tiny_cifar(), size)
    assert {*split.y_train} == {0, 1}
    assert {*split.y_test} == {0, 1, 5, 6, 7, 8, 9}


def test_the_classifier_of_sub_clusters_is_the_published_network():
    with torch.device("meta"):  # counts weights without drawing them
        encoder = subclusters_cifar10.make_encoder(
            (3, 32, 32), 32, depth=28, widen_factor=10
        )
        head = torch.nn.Linear(640, 10)
    modules = encoder, head
    n_weights = sum(p.numel() for module in modules for p in module.parameters())
    assert n_weights == 36_479_194


def test_odin_steps_as_far_as_its_published_code():
    normalize = NormalizeColors()
    images = torch.zeros(1, 3, 1, 1)
    step = normalize(images + subclusters_cifar10.EPSILON) - normalize(images)
    published = 0.0014 / (torch.tensor([63.0, 62.1, 66.7]) / 255)
    torch.testing.assert_close(step.flatten(), published)


def test_an_interrupted_classifier_of_sub_clusters_goes_on_as_before(tmp_path):
    size = subclusters_cifar10.SMOKE._replace(epochs=3)
    images, labels, *_ = tiny_cifar()

    def fit(path, *callbacks):
        detector = subclusters_cifar10.make_detector(size, path, "cpu", seed=0)
        detector.set_params(callbacks=[*detector.callbacks, *callbacks], verbose=0)
        detector.fit(images, cluster_labels=labels)
        check_finished(detector, size.epochs)
        return detector

    straight = fit(tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "interrupted", interrupt_in_epoch(3))
    resumed = fit(tmp_path / "interrupted")
    assert resumed.net_.max_epochs == 1  # two were done before
    np.testing.assert_array_equal(
        resumed.score_samples(images), straight.score_samples(images)
    )


def test_a_fit_is_a_row_with_all_scores_and_is_not_repeated(tmp_path, monkeypatch):
    images, labels, *_ = tiny_cifar()
    images = images.transpose(0, 2, 3, 1)  # as they lie in the file
    np.savez(
        tmp_path / "cifar10.npz",
        **Split(images, labels, images, labels)._asdict(),
    )
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    given = options("subclusters-cifar10", "--smoke", "--only", "airplane")
    results = Results(tmp_path / "results" / "table.csv")
    for _ in range(2):
        subclusters_cifar10.run(results, given)
    (row,) = results.rows
    assert (row["test"], row["task"]) == ("3", "airplane")
    for name in ("msp", "odin", "energy", "knn", "accuracy"):
        assert 0 <= float(row[name]) <= 100
    assert [*results.path.parent.iterdir()] == [results.path]
