"""The table "subclusters" on small data, and its page."""

import numpy as np
from small import options, tiny_mnist

from benchmarks.papers import subclusters


def measured_subclusters(**key):
    scores = dict(zip(subclusters.SCORES, "96 95 94 93 99".split(), strict=True))
    return key | scores | {"seed": "0", "seconds": "1"}


def test_sub_clusters_are_measured_once_by_every_method(results, monkeypatch):
    monkeypatch.setattr(subclusters, "load_mnist", tiny_mnist)
    monkeypatch.setattr(subclusters, "load_cifar10", tiny_mnist)
    given = options("subclusters", "--smoke")
    subclusters.run(results, given)
    size, methods = subclusters.SMOKE, subclusters.METHODS
    n_tasks = len(size.ks) + len(size.digits)
    n_splits, n_candidates = 2 * len(size.n_clusters), len(subclusters.N_CANDIDATES)
    assert len(results.rows) == (
        n_tasks * len(methods) + n_splits + n_candidates * len(size.digits)
    )
    assert results.picture.exists()
    before = [*results.rows]
    subclusters.run(results, given)
    assert results.rows == before
    page = subclusters.render(before)
    assert all(f"| {method}, " in page for method in methods)


def test_published_sub_clusters_stand_beside_ours_on_mnist():
    rows = [
        measured_subclusters(test="2", case=f"{k}", method="labelled sub-clusters")
        for k in subclusters.KS
    ]
    page = subclusters.render(rows)
    assert "| published, MSP | 97 | 95 | 93 | 94 | 94.8 |" in page
    assert "| labelled sub-clusters, knn | 99.0 | 99.0 | 99.0 | 99.0 | 99.0 |" in page
    assert "Test 3" not in page


def test_finer_sub_clusters_are_parts_of_the_coarser():
    task = tiny_mnist(600)
    normal = task.y_train < 8
    X, y = task.x_train[normal], task.y_train[normal]
    labels = [subclusters.clusters_of(n, X, y) for n in subclusters.N_CLUSTERS]
    assert [len(np.unique(column)) for column in labels] == [2, 4, 8, 16]
    for coarse, fine in zip(labels, labels[1:], strict=False):
        assert all(len(np.unique(coarse[fine == k])) == 1 for k in np.unique(fine))
