"""The table "mchad-cifar10" on small data, and its page."""

import numpy as np
import pytest
from small import interrupt_in_epoch

from benchmarks.methods import fit_classifier
from benchmarks.papers import mchad_cifar10


def test_the_poster_stands_beside_our_rows_on_cifar():
    row = {"model": "MCHAD", "seed": "0", "epochs": "60", "device": "GPU"}
    figures = dict.fromkeys(mchad_cifar10.FIGURES, "90.0")
    rows = [
        row | figures | {"outliers": outliers}
        for outliers in mchad_cifar10.OUTLIER_SETS
    ]
    page = mchad_cifar10.render(rows)
    assert "| published, MCHAD | 94.84 | 94.33 | 95.95 | 89.94 | 15.81 |" in page
    assert "| MCHAD | 90.00 | 90.00 | 90.00 | 90.00 | 90.00 |" in page
    assert "G-MCHAD" not in page


def test_an_interrupted_network_goes_on_as_if_nothing_had_happened(tmp_path):
    size = mchad_cifar10.SMOKE._replace(epochs=3)
    random_state = np.random.RandomState(0)
    images = random_state.randint(256, size=(32, 3, 8, 8)).astype(np.uint8)
    labels = np.arange(32) % 2

    def fit(path, *callbacks):
        model = mchad_cifar10.make_model("G-MCHAD", size, path, "cpu", seed=0)
        model.set_params(callbacks=[*model.callbacks, *callbacks], verbose=0)
        fit_classifier(model, images, labels, exposure=images[:5])
        return model

    straight = fit(tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "interrupted", interrupt_in_epoch(3))
    resumed = fit(tmp_path / "interrupted")
    assert len(resumed.net_.history) == 3
    assert resumed.net_.max_epochs == 1  # two were done before
    np.testing.assert_array_equal(
        resumed.score_samples(images), straight.score_samples(images)
    )
    assert mchad_cifar10.seconds_trained(resumed) > 0
