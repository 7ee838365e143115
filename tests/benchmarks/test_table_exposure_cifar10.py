"""The table "exposure-cifar10" on small data, and its page."""

import numpy as np
import pytest
import torch
from small import interrupt_in_epoch

from benchmarks.methods import (
    check_finished,
    fit_exposed,
)
from benchmarks.papers import exposure_cifar10


def test_the_published_numbers_stand_beside_ours():
    row = {"method": "HSC", "seed": "0", "epochs": "200", "device": "GPU"}
    rows = [row | {"class": name, "auroc": "96.5"} for name in exposure_cifar10.CLASSES]
    page = exposure_cifar10.render(rows)
    assert "| cat | 89.8 | 96.5 |" in page
    assert "| mean | 95.9 | 96.5 |" in page and "Deep SAD" not in page
    assert "| mean | 95.9 |  |" in exposure_cifar10.render(rows[:9])


def test_published_means_are_those_of_the_classes():
    for method, published in exposure_cifar10.PUBLISHED_MEANS.items():
        values = [line[method] for line in exposure_cifar10.PUBLISHED.values()]
        assert np.mean(values) == pytest.approx(published, abs=0.1)


def test_the_learning_rate_falls_in_two_steps():
    rates = [exposure_cifar10.two_steps(n_done, 200) for n_done in (0, 99, 100, 150)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5])


def test_the_published_network_takes_images_of_cifar():
    encoder = exposure_cifar10.make_encoder((3, 32, 32), 256).eval()
    images = torch.full((2, 3, 32, 32), 200.0)
    assert encoder(images).shape == (2, 256)
    n_weights = sum(weights.numel() for weights in encoder.parameters())
    assert n_weights == 1_440_512


def test_pixels_are_noisy_in_training_only():
    noise, images = exposure_cifar10.PixelNoise(), torch.zeros(10, 3, 32, 32)
    assert noise.train()(images).std().item() == pytest.approx(0.255, rel=0.05)
    assert torch.equal(noise.eval()(images), images)


@pytest.mark.parametrize("method", ["HSC", "BCE", "Deep SAD"])
def test_an_interrupted_detector_goes_on_as_if_nothing_had_happened(method, tmp_path):
    random_state = np.random.RandomState(0)
    images = random_state.randint(256, size=(32, 3, 8, 8)).astype(np.uint8)

    def fit(path, *callbacks):
        size = exposure_cifar10.SMOKE
        detector = exposure_cifar10.make_detector(method, size, path, "cpu", seed=0)
        detector.set_params(callbacks=[*detector.callbacks, *callbacks], verbose=0)
        fit_exposed(detector, images[:24], images[24:])
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
