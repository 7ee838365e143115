"""Data sets and tasks: training samples, test samples and labels."""

import io

import numpy as np
import pytest
from PIL import Image
from small import tiny_mnist

from benchmarks.datasets import (
    DATA_VARIABLE,
    Split,
    adbench_names,
    few_anomalies_task,
    gaussian_noise,
    gray_center,
    load_colored,
    load_cracks,
    load_letters,
    load_mnist,
    novelty_task,
    small_digits_few_labels,
    small_digits_open_set,
    small_digits_task,
    standardize,
    table_task,
    uniform_noise,
)


def test_a_detector_of_small_digits_sees_normal_ones_only():
    task = small_digits_task((0, 1, 3), seed=0)
    assert set(task.y_train) == {0, 1, 3}
    assert len(task.x_train) + len(task.x_test) == 1797


def test_novelties_among_small_digits_are_in_the_test_only():
    task = small_digits_open_set((0, 1, 2), (6, 7), seed=0)
    assert set(task.y_train) == {0, 1, 2}
    assert set(task.y_test[task.is_known]) == {0, 1, 2}
    assert set(task.y_test[~task.is_known]) == {3, 4, 5, 8, 9}
    assert len(task.x_train) + len(task.x_test) + len(task.examples) == 1797


def test_anomalies_that_are_shown_are_not_tested():
    task = small_digits_few_labels((0, 1), n_labelled=5, seed=0)
    without = small_digits_task((0, 1), seed=0)
    trained, tested = (
        {image.tobytes() for image in images} for images in (task.x_train, task.x_test)
    )
    assert task.is_labelled.sum() == 5 and not trained & tested
    np.testing.assert_array_equal(task.x_train[~task.is_labelled], without.x_train)
    assert np.sum(~task.is_normal) == np.sum(~without.is_normal) - 5


def test_half_of_the_known_small_digits_is_trained_on():
    task = small_digits_open_set((0, 1, 2), (6, 7), seed=0)
    assert task.is_known.sum() - len(task.x_train) in (0, 1)
    trained, tested = (
        {image.tobytes() for image in images} for images in (task.x_train, task.x_test)
    )
    assert not trained & tested


def test_mnist_is_read_from_the_folder_that_the_environment_names(
    tmp_path, monkeypatch
):
    images, digits = np.zeros((2, 28, 28), dtype=np.uint8), np.arange(2)
    np.savez(
        tmp_path / "mnist.npz",
        x_train=images,
        y_train=digits,
        x_test=images[:1],
        y_test=digits[:1],
    )
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    mnist = load_mnist()
    assert mnist.x_train.shape == (2, 1, 28, 28)
    assert mnist.y_test.tolist() == [0]


def save_letters(folder):
    letters = np.arange(26).repeat(2)
    images = np.full((52, 28, 28), 200, dtype=np.uint8)
    images[:, 0, 0] = letters  # so that its first pixel identifies an image
    np.savez(folder / "emnist_letters_10k.npz", x=images, y=letters)


def save_colored(folder, name, images):
    """One part, "test", as packed JPEG images, which keeps a single color exactly."""
    files = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, format="JPEG")
        files.append(file.getvalue())
    np.savez(
        folder / f"{name}.jpeg.npz",
        test_jpeg=np.frombuffer(b"".join(files), dtype=np.uint8),
        test_offsets=np.cumsum([0, *map(len, files)]),
        y_test=np.arange(len(images), dtype=np.uint8),
    )


def gray_images():
    """Three images of 32 x 32 pixels: black, gray and white."""
    return np.full((3, 32, 32, 3), 255, dtype=np.uint8) // np.array(
        [255, 2, 1], dtype=np.uint8
    ).reshape(-1, 1, 1, 1)


def test_every_letter_is_either_exposed_or_unseen(tmp_path, monkeypatch):
    save_letters(tmp_path)
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    exposed, unseen = load_letters()
    assert exposed.shape == unseen.shape == (26, 1, 28, 28)
    first, second = ({*images[:, 0, 0, 0].tolist()} for images in (exposed, unseen))
    assert first == {*range(13)} and second == {*range(13, 26)}


def test_packed_images_are_decoded_with_channels_first(tmp_path, monkeypatch):
    images = gray_images()
    save_colored(tmp_path, "cifar10", images)
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    decoded, classes = load_colored("cifar10", "test")
    np.testing.assert_array_equal(decoded, images.transpose(0, 3, 1, 2))
    assert decoded.dtype == np.uint8 and classes.tolist() == [0, 1, 2]


def test_unpacked_images_are_preferred(tmp_path, monkeypatch):
    save_colored(tmp_path, "cifar10", gray_images())
    plain = gray_images()[:1]
    np.savez(tmp_path / "cifar10.npz", x_test=plain, y_test=np.array([7]))
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    images, classes = load_colored("cifar10", "test")
    assert images.shape == (1, 3, 32, 32) and classes.tolist() == [7]


def test_data_that_only_a_folder_has_asks_for_the_folder(monkeypatch):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(ValueError, match=f"{DATA_VARIABLE} must name, got none"):
        load_letters()


def test_grey_images_are_the_middle_by_their_brightness():
    images = np.zeros((2, 3, 32, 32), dtype=np.uint8)
    images[0, 1, 2, 2] = 100  # green, in the first pixel that is left
    images[1, :, :2] = 255  # in what is cut off
    gray = gray_center(images)
    assert gray.shape == (2, 1, 28, 28) and gray.dtype == np.uint8
    assert gray[0, 0, 0, 0] == 59 and gray[0].sum() == 59
    assert not gray[1].any()


@pytest.mark.parametrize("draw", [uniform_noise, gaussian_noise])
def test_noise_is_the_same_every_time(draw):
    noise = draw((50, 1, 8, 8))
    assert noise.dtype == np.uint8
    np.testing.assert_array_equal(noise, draw((50, 1, 8, 8)))
    assert (noise != draw((50, 1, 8, 8), seed=1)).any()


def test_gaussian_noise_is_clipped_at_both_ends():
    noise = gaussian_noise((100, 1, 10, 10))
    for end in (0, 255):  # what lies beyond one standard deviation
        assert np.mean(noise == end) == pytest.approx(0.16, abs=0.02)


def test_tables_are_found_in_the_folder(tables):
    assert adbench_names() == ["a", "b"]


def test_a_table_is_split_by_the_share_of_anomalies(tables):
    task = table_task("a", seed=0, labelled_share=0.1)
    assert task.x_train.shape == (60, 1) and task.x_test.shape == (40, 1)
    assert (task.x_train < 0).sum() == 12 and (~task.is_normal).sum() == 8
    assert not {*task.x_train[:, 0]} & {*task.x_test[:, 0]}
    np.testing.assert_array_equal(task.is_normal, task.x_test[:, 0] >= 0)


def test_normal_rows_of_a_table_are_trained_on_without_labels(tables):
    task = table_task("a", seed=0)
    assert task.x_train.shape == (48, 1) and (task.x_train >= 0).all()
    assert not task.is_labelled.any()


@pytest.mark.parametrize(("share", "n_labelled"), [(0.01, 1), (0.25, 3), (1.0, 12)])
def test_a_share_of_the_anomalies_is_labelled(tables, share, n_labelled):
    task = table_task("a", seed=0, labelled_share=share)
    assert task.is_labelled.sum() == n_labelled
    assert (task.x_train[task.is_labelled] < 0).all()


def test_the_test_rows_of_a_table_do_not_depend_on_the_labels(tables):
    tests = [table_task("a", 0, share).x_test for share in (None, 0.01, 0.1)]
    for x_test in tests[1:]:
        np.testing.assert_array_equal(x_test, tests[0])


def test_seeds_split_a_table_differently(tables):
    first, other = (table_task("a", seed).x_test for seed in (0, 1))
    assert {*first[:, 0]} != {*other[:, 0]}
    np.testing.assert_array_equal(table_task("a", 0).x_test, first)


def test_of_a_large_table_some_rows_are_drawn(tables):
    task = table_task("a", seed=0, labelled_share=0.1, max_rows=50)
    assert len(task.x_train) + len(task.x_test) == 50


def test_labelled_anomalies_do_not_move_the_scaler(tables):
    task = standardize(table_task("a", seed=0, labelled_share=1.0))
    unlabelled = task.x_train[~task.is_labelled]
    assert unlabelled.mean() == pytest.approx(0, abs=1e-12)
    assert unlabelled.std() == pytest.approx(1)
    assert task.x_train[task.is_labelled].max() < unlabelled.min()


def test_images_of_other_classes_are_not_tested_on():
    task = novelty_task(tiny_mnist(), [0, 1], [5])
    assert {*task.y_train} == {0, 1}
    assert len(task.x_test) == 3 * 40 and task.is_normal.sum() == 2 * 40


def test_shown_anomalies_are_few_and_drawn_by_the_seed():
    split = tiny_mnist()
    first, again, other = (
        few_anomalies_task(split, [0], [1, 2], [3], share=0.1, seed=seed)
        for seed in (0, 0, 1)
    )
    assert first.is_labelled.sum() == 4 and (~first.is_labelled).sum() == 40
    np.testing.assert_array_equal(first.x_train, again.x_train)
    assert not np.array_equal(first.x_train, other.x_train)
    assert first.is_normal.sum() == len(first.x_test) / 2 == 40


def test_cracks_are_split_anew_from_all_images(tmp_path, monkeypatch):
    images = np.arange(20, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    labels = np.arange(20) % 2
    parts = Split(images[:15], labels[:15], images[15:], labels[15:])
    np.savez(tmp_path / "concrete_crack.npz", **parts._asdict())
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    split = load_cracks(seed=0)
    assert split.x_train.shape == (16, 3, 1, 1)
    every = np.concatenate([split.x_train, split.x_test])[:, 0, 0, 0]
    assert sorted(every) == [*range(20)]
    kinds = np.concatenate([split.y_train, split.y_test])
    np.testing.assert_array_equal(kinds, every % 2)
