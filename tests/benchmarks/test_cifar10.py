"""Augmentation and schedules of the tables on CIFAR-10."""

import numpy as np
import pytest
import torch

from benchmarks.cifar10 import FlipAndCrop, half_cosine


def test_images_are_flipped_and_shifted_in_training_only():
    image = torch.arange(1.0, 33.0).reshape(1, 2, 4, 4)
    images = image.expand(200, 2, 4, 4)
    augment = FlipAndCrop(padding=1)
    assert augment.eval()(images) is images
    padded = torch.nn.functional.pad(image[0], [1] * 4)
    possible = {
        tuple(view[:, top : top + 4, left : left + 4].flatten().tolist())
        for view in (padded, padded.flip(2))
        for top in range(3)
        for left in range(3)
    }
    shown = {tuple(image.flatten().tolist()) for image in augment.train()(images)}
    assert shown == possible


def test_flips_and_shifts_draw_from_the_stream_of_torch_alone():
    images = torch.rand(20, 3, 8, 8)
    augment = FlipAndCrop()
    before = np.random.get_state()[1].copy()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = augment(images)
        torch.manual_seed(0)
        assert torch.equal(augment(images), first)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_the_learning_rate_falls_as_half_a_cosine():
    rates = [half_cosine(n_done, 0.1, 200) for n_done in (0, 100, 200)]
    assert rates == pytest.approx([0.1, 0.05, 0])
