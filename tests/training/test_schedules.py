"""Numbers of epochs and learning rates that "auto" stands for, by hand."""

import numpy as np
import pytest

from sk_hypersphere._training.schedules import (
    Schedule,
    auto_epochs,
    centers_schedule,
    classifier_schedule,
    few_anomalies_schedule,
    many_spheres_schedule,
    one_sphere_schedule,
    triplet_schedule,
    triplet_steps,
)

ROWS, IMAGES = (10,), (1, 2, 2)


def empty(n_samples, shape):
    """Samples without memory of their own."""
    return np.broadcast_to(np.float32(0), (n_samples, *shape))


@pytest.mark.parametrize(
    ("n_samples", "n_epochs"),
    [
        (1, 300),  # 1 batch: 1,000 epochs are too many
        (384, 300),  # 3 batches: 334 epochs are too many
        (512, 250),  # 4 batches
        (1280, 100),  # 10 batches
        (1281, 91),  # 11 batches
        (4224, 31),  # 33 batches
        (4480, 30),  # 35 batches: 29 epochs are too few
        (60_000, 30),  # 469 batches: 3 epochs are too few
    ],
)
def test_an_automatic_number_of_epochs_has_a_thousand_batches(n_samples, n_epochs):
    assert auto_epochs(n_samples, 128) == n_epochs
    assert centers_schedule(n_samples, 128) == Schedule(n_epochs, 1e-3, True)


@pytest.mark.parametrize(
    ("n_samples", "least", "n_epochs"),
    [(60_000, 6, 6), (60_000, 1, 3), (1280, 6, 100), (10, 6, 300)],
)
def test_the_least_number_of_epochs_counts_where_batches_are_many(
    n_samples, least, n_epochs
):
    assert auto_epochs(n_samples, 128, least=least) == n_epochs


@pytest.mark.parametrize(
    ("n_samples", "shape", "n_epochs"),
    [(1280, ROWS, 100), (1280, IMAGES, 100), (60_000, ROWS, 30), (60_000, IMAGES, 6)],
)
def test_classifiers_need_fewer_epochs_of_images(n_samples, shape, n_epochs):
    schedule = classifier_schedule(empty(n_samples, shape), 128)
    assert schedule == Schedule(n_epochs, 1e-3, True)


@pytest.mark.parametrize("n_samples", [10, 1280, 60_000])
def test_one_sphere_without_pretraining_takes_thirty_epochs(n_samples):
    assert one_sphere_schedule(n_samples, 128) == Schedule(30, 1e-3, True)


@pytest.mark.parametrize(("n_samples", "n_epochs"), [(1280, 100), (60_000, 30)])
def test_one_sphere_after_pretraining_takes_a_thousand_small_steps(n_samples, n_epochs):
    schedule = one_sphere_schedule(n_samples, 128, pretrain_epochs=4)
    assert schedule == Schedule(n_epochs, 1e-4, False)


def test_many_spheres_take_a_single_epoch_at_a_low_learning_rate():
    assert many_spheres_schedule() == Schedule(1, 1e-5, False)


@pytest.mark.parametrize(
    ("shape", "n_anomalies", "max_epochs", "expected"),
    [
        pytest.param(ROWS, 10, "auto", Schedule(5, 5e-4), id="rows"),
        pytest.param(IMAGES, 10, "auto", Schedule(15, 1e-3, True), id="images"),
        pytest.param(ROWS, 2560, "auto", Schedule(10, 5e-4), id="each-5-times"),
        pytest.param(ROWS, 99_999, "auto", Schedule(100, 5e-4), id="100-epochs"),
        pytest.param(ROWS, 10, 99, Schedule(99, 5e-4), id="given"),
        pytest.param(IMAGES, 10, 99, Schedule(99, 1e-3, True), id="given-for-images"),
    ],
)
def test_a_few_anomalies_are_trained_on_briefly(
    shape, n_anomalies, max_epochs, expected
):
    y = np.repeat([1, -1], [1280, n_anomalies])
    X = empty(len(y), shape)
    assert few_anomalies_schedule(X, y, 128, 1.0, max_epochs) == expected


@pytest.mark.parametrize(("ratio", "n_epochs"), [(1.0, 10), (0.5, 20), (2.0, 5)])
def test_anomalies_that_are_a_smaller_share_of_a_batch_take_more_epochs(
    ratio, n_epochs
):
    y = np.repeat([0, -1], [1280, 2560])
    schedule = few_anomalies_schedule(empty(len(y), ROWS), y, 128, ratio)
    assert schedule == Schedule(n_epochs, 5e-4)


@pytest.mark.parametrize("n_batches", [1, 7, 49, 50, 51, 400])
def test_whole_epochs_that_are_too_long_make_the_steps_shorter(n_batches):
    y = np.repeat([1, -1], [8 * n_batches, 3])
    schedule = few_anomalies_schedule(np.zeros((len(y), 2)), y, 8, 1.0)
    n_steps = schedule.max_epochs * n_batches
    assert 50 <= n_steps < 50 + n_batches
    assert n_steps * schedule.lr == pytest.approx(50 * 5e-4)


@pytest.mark.parametrize(
    ("shape", "n_trained", "n_steps"),
    [
        (ROWS, 1, 1),
        (ROWS, 128, 1),
        (ROWS, 129, 2),
        (ROWS, 640, 5),
        (ROWS, 641, 5),  # 6 would be more than a tenth of 50
        (IMAGES, 641, 6),
        (IMAGES, 6400, 50),
        (IMAGES, 60_000, 50),  # 469 would be more than a tenth of 500
    ],
)
def test_an_epoch_of_triplets_is_one_pass_and_at_most_a_tenth_of_the_training(
    shape, n_trained, n_steps
):
    assert triplet_steps(empty(1, shape), n_trained, 64) == n_steps


@pytest.mark.parametrize(
    ("shape", "n_anomalies", "n_steps", "expected"),
    [
        pytest.param(ROWS, 10, 5, Schedule(10, 5e-4, True), id="rows"),
        pytest.param(ROWS, 10, 4, Schedule(13, 5e-4, True), id="rounded-up"),
        pytest.param(ROWS, 6400, 5, Schedule(100, 5e-4, True), id="each-5-times"),
        pytest.param(IMAGES, 10, 50, Schedule(10, 2e-3, True), id="images"),
    ],
)
def test_triplets_are_trained_on_until_anomalies_are_seen_five_times_or_more(
    shape, n_anomalies, n_steps, expected
):
    def schedule(augments):
        return triplet_schedule(empty(1, shape), n_anomalies, 64, n_steps, augments)

    assert schedule(augments=False) == expected
    doubled = schedule(augments=True)
    assert 2 * expected.max_epochs - 1 <= doubled.max_epochs <= 2 * expected.max_epochs
    assert doubled[1:] == expected[1:]
