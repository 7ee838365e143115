"""Batches of rows, without a loader in between."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Subset

from sk_hypersphere._batches import (
    BLOCK_ROWS,
    BatchIterator,
    Rows,
    even_batches,
    evenly_spaced,
    map_batches,
    rows_at_once,
    shuffled,
)
from sk_hypersphere.modules import Centers


@pytest.fixture
def rows():
    X = np.arange(20, dtype=np.float32).reshape(10, 2)
    return Rows(X, np.arange(10))


@pytest.mark.parametrize("n", [1, 2, 127, 128, 129, 1000])
@pytest.mark.parametrize("batch_size", [1, 7, 128])
def test_batches_cover_all_rows_and_differ_by_one_at_most(n, batch_size):
    sizes = np.diff(even_batches(n, batch_size))
    assert sizes.sum() == n
    assert sizes.max() <= batch_size
    assert sizes.max() - sizes.min() <= 1


def test_a_shuffled_epoch_has_every_row_once(rows):
    batches = BatchIterator(rows, 3, shuffled, np.random.RandomState(0))
    first = torch.cat([y for _, y in batches]).tolist()
    second = torch.cat([y for _, y in batches]).tolist()
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_rows_and_labels_stay_together(rows):
    for X, y in BatchIterator(rows, 4, shuffled, np.random.RandomState(0)):
        assert torch.equal(X[:, 0], 2.0 * y)


def test_a_subset_of_a_subset_is_iterated_over(rows):
    subset = Subset(Subset(rows, [9, 7, 5, 3]), [0, 2])
    (batch,) = BatchIterator(subset, 8)
    assert batch[1].tolist() == [9, 5]


def test_a_torch_loader_gives_the_same_rows(rows):
    X, y = next(iter(DataLoader(rows, batch_size=10)))
    np.testing.assert_array_equal(X, rows.X)
    assert y.tolist() == list(range(10))


def test_uint8_becomes_float_in_the_batch_alone():
    rows = Rows(np.full((3, 2), 200, dtype=np.uint8))
    X, _ = rows.take(np.array([0, 2]))
    assert X.dtype == torch.float32
    assert rows.X.dtype == np.uint8


def test_writing_into_a_batch_leaves_the_data_alone(rows):
    before = rows.X.copy()
    X, _ = rows.take(np.arange(10))
    X.zero_()
    np.testing.assert_array_equal(rows.X, before)


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
    result = map_batches(torch.Tensor.zero_, X, torch.device("cpu"))
    assert not result.any()
    assert X.all()


def test_fewer_rows_are_scored_at_once_where_there_are_many_centers():
    few, many = Centers(torch.zeros(1, 2)), Centers(torch.zeros(100_000, 2))
    assert rows_at_once(few) == 8192
    assert rows_at_once(many) % BLOCK_ROWS == 0
    assert rows_at_once(many) * 100_000 <= 2**23


def test_evenly_spaced_indices_reach_both_ends():
    assert evenly_spaced(10, 4).tolist() == [0, 3, 6, 9]
    assert evenly_spaced(3, 10).tolist() == [0, 1, 2]
