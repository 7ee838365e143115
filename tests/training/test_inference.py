"""Application of networks to all rows, in batches that change no result."""

import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from sklearn import config_context

from sk_hypersphere._training.inference import (
    BLOCK_ROWS,
    check_finite,
    inference_batches,
    map_batches,
    rows_at_once,
)
from sk_hypersphere.modules import Centers


@pytest.mark.parametrize("n", [1, 31, 32, 33, 100])
def test_a_function_sees_whole_blocks_and_its_results_do_not(n):
    seen = []

    def double(x):
        seen.append(len(x))
        return 2 * x

    X = np.ones((n, 3), dtype=np.float32)
    result = map_batches(double, X, torch.device("cpu"), batch_size=64)
    assert all(size % BLOCK_ROWS == 0 for size in seen)
    np.testing.assert_array_equal(result, 2 * X)


def test_a_read_only_array_is_not_written_to_and_raises_no_warning():
    X = np.ones((40, 2), dtype=np.float32)
    X.flags.writeable = False
    result = map_batches(torch.Tensor.zero_, X, torch.device("cpu"), 32)
    assert not result.any()
    assert X.all()


def test_an_array_back_to_front_is_taken():
    X = np.arange(40, dtype=np.float32).reshape(20, 2)
    result = map_batches(lambda x: 2 * x, X[::-1, ::-1], torch.device("cpu"), 32)
    np.testing.assert_array_equal(result, 2 * X[::-1, ::-1])


def test_a_column_of_a_record_array_is_taken():
    records = np.zeros(40, dtype=[("kind", "u1"), ("x", "f4", 2)])
    records["x"] = np.arange(80).reshape(40, 2)
    result = map_batches(lambda x: 2 * x, records["x"], torch.device("cpu"), 32)
    np.testing.assert_array_equal(result, 2 * records["x"])


def test_fewer_rows_are_scored_at_once_where_samples_or_layers_are_wide():
    X = np.zeros((5, 3), dtype=np.float32)
    encoder = torch.nn.Linear(3, 700)
    many, learned = (
        Centers(torch.zeros(100_000, 2), learnable=flag) for flag in (False, True)
    )
    assert rows_at_once(X) == 8192
    assert rows_at_once(X, Centers(torch.zeros(1, 2))) == 8192
    assert rows_at_once(X, encoder) == 352  # 11 blocks of 32
    assert rows_at_once(X, encoder, many) == rows_at_once(X, learned) == BLOCK_ROWS
    images = np.zeros((5, 3, 32, 32), np.uint8)
    assert rows_at_once(images, encoder) == 64
    assert rows_at_once(images, encoder, with_gradient=True) == BLOCK_ROWS


def test_a_network_is_applied_to_as_many_rows_as_stay_in_the_cache():
    class Seen(torch.nn.Linear):
        def forward(self, x):
            sizes.append(len(x))
            return super().forward(x)

    sizes, X = [], np.zeros((2000, 3), dtype=np.float32)
    map_batches(Seen(3, 700), X, torch.device("cpu"))
    assert sizes == [352] * 5 + [256]  # 240 and padding


def test_values_of_images_are_looked_at_without_a_copy_of_them_all(tmp_path):
    np.save(tmp_path / "X.npy", np.zeros((2000, 3, 32, 32), dtype=np.float32))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    tracemalloc.start()
    check_finite(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < X.nbytes / 5


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_single_value_that_is_not_finite_is_found(bad, order):
    X = np.ones((50, 7), dtype=np.float32, order=order)
    X[49, 3] = bad
    with pytest.raises(ValueError, match="Input X contains (NaN|infinity)"):
        check_finite(X)


def test_large_values_are_finite_though_their_squares_are_not():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_finite(np.full((50, 7), 1e30, dtype=np.float32))


def test_only_the_values_of_a_view_are_looked_at():
    X = np.ones((50, 8), dtype=np.float32)
    X[:, 1] = np.nan
    check_finite(X[:, ::2])
    with pytest.raises(ValueError, match="NaN"):
        check_finite(X[::2])


def test_values_that_are_not_finite_are_found_in_any_batch():
    X = np.ones((100, 3), dtype=np.float32)
    X[99, 2] = np.nan
    first, *_ = (rows for rows, _ in inference_batches(X[:99], torch.device("cpu"), 32))
    assert first == slice(0, 32)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        list(inference_batches(X, torch.device("cpu"), 32))


def test_values_are_not_looked_at_where_they_are_assumed_to_be_finite():
    X = np.full((3, 2), np.nan, dtype=np.float32)
    with config_context(assume_finite=True):
        ((_, batch),) = inference_batches(X, torch.device("cpu"), 32)
    assert batch[:3].isnan().all()
