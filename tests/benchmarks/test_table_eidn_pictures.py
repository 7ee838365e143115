"""The table "eidn-pictures" on small data, and its page."""

from argparse import Namespace

import numpy as np
from small import options, tiny_mnist

from benchmarks.papers import eidn_pictures

ARGUMENTS = "eidn-pictures", "--smoke", "--seeds"


def test_each_embedding_is_measured_once_and_drawn(results, monkeypatch):
    monkeypatch.setattr(eidn_pictures, "load_mnist", tiny_mnist)
    eidn_pictures.run(results, options(*ARGUMENTS, "1"))
    names = [row["embedding"] for row in results.rows]
    assert names == list(eidn_pictures.EMBEDDINGS)
    before = [*results.rows]
    assert results.picture.exists()
    eidn_pictures.run(results, options(*ARGUMENTS, "2", "--only", "PCA"))
    assert [*results.rows[: len(before)]] == before
    assert [row["embedding"] for row in results.rows[len(before) :]] == ["PCA"]
    page = eidn_pictures.render(results.rows)
    assert all(f"| {name} |" in page for name in names)


def test_snapshots_are_the_embeddings_of_each_epoch():
    task = eidn_pictures.task_of(
        tiny_mnist(), (0,), (1,), (1,), eidn_pictures.SMOKE, seed=0
    )
    watch = eidn_pictures.Snapshots(task.x_test)
    embedder = eidn_pictures.make_embedder(
        eidn_pictures.SMOKE, options(), 0, callbacks=[watch]
    )
    eidn_pictures.fit(embedder, task)
    points = eidn_pictures.points_by_epoch(embedder)
    assert len(points) == 1 + embedder.n_iter_
    np.testing.assert_allclose(points[-1], embedder.transform(task.x_test), atol=1e-5)
    assert np.abs(points[0] - points[-1]).max() > 0


def test_the_last_epoch_has_a_panel_however_many_there_are():
    assert list(eidn_pictures.shown_epochs(18)) == [0, 1, 2, 5, 18]
    assert list(eidn_pictures.shown_epochs(5)) == [0, 1, 2, 5]
    assert eidn_pictures.shown_epochs(2)[2] == "after 2 epochs"


def test_new_kinds_of_anomalies_are_in_the_test_only():
    mnist, size = tiny_mnist(), eidn_pictures.SMOKE
    task = eidn_pictures.task_of(mnist, (0,), (1,), (9,), size, seed=0)
    shown, tested = (
        {image.tobytes() for image in images}
        for images in (task.x_train[task.is_labelled], task.x_test[~task.is_normal])
    )
    ones = {image.tobytes() for image in mnist.x_train[mnist.y_train == 1]}
    nines = {image.tobytes() for image in mnist.x_test[mnist.y_test == 9]}
    assert shown and shown <= ones
    assert len(tested) == size.n_shown and tested <= nines


def test_distances_of_anomalies_are_in_units_of_those_of_normal_images():
    points = np.array([[-2.0, 0.0], [2.0, 0.0], [0.0, 6.0]])
    task = Namespace(is_normal=np.array([True, True, False]))
    embedded = eidn_pictures.Embedded(points, [], None, seconds=1.0)
    row = eidn_pictures.figures(task, embedded)
    assert float(row["distance"]) == 3 and float(row["auroc"]) == 100
