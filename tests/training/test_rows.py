"""Rows of an array as batches."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Subset

from sk_hypersphere._training.rows import BatchIterator, Rows, evenly_spaced
from sk_hypersphere._training.samplers import shuffled


@pytest.fixture
def rows():
    X = np.arange(20, dtype=np.float32).reshape(10, 2)
    return Rows(X, np.arange(10))


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


def test_a_subset_of_all_rows_keeps_its_order(rows):
    (batch,) = BatchIterator(Subset(rows, range(9, -1, -1)), 10)
    assert batch[1].tolist() == [*range(9, -1, -1)]


def test_a_torch_loader_gives_the_same_rows(rows):
    X, y = next(iter(DataLoader(rows, batch_size=10)))
    np.testing.assert_array_equal(X, rows.X)
    assert y.tolist() == list(range(10))


def test_the_iterator_changes_batches_and_not_the_data(rows):
    before = rows.X.copy()
    y = np.repeat([1, -1], [6, 4])
    iterator = BatchIterator(Rows(rows.X, y), 10, transform=lambda X, labels: X.zero_())
    [(X, _)] = iterator
    assert not X.any()
    np.testing.assert_array_equal(rows.X, before)


@pytest.mark.parametrize("transform", [None, lambda X, y: X + 1])
def test_an_iterator_draws_its_epoch_at_once_or_batch_by_batch_alike(rows, transform):
    class Resident(Rows):
        """Rows that are stored on their device, as with CUDA."""

        def __init__(self, X, y):
            super().__init__(X, y)
            self.resident = torch.from_numpy(X), torch.from_numpy(y)

    for dataset in (rows, Subset(rows, [7, 1, 4, 2])):
        moved = Resident(rows.X, rows.y)
        other = Subset(moved, dataset.indices) if dataset is not rows else moved
        streams = [np.random.RandomState(0) for _ in range(2)]
        epochs = [
            list(BatchIterator(data, 3, shuffled, stream, transform))
            for data, stream in zip((dataset, other), streams, strict=True)
        ]
        for (X, y), (X_other, y_other) in zip(*epochs, strict=True):
            assert torch.equal(X, X_other)
            assert torch.equal(y, y_other)


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


def test_evenly_spaced_indices_reach_both_ends():
    assert evenly_spaced(10, 4).tolist() == [0, 3, 6, 9]
    assert evenly_spaced(3, 10).tolist() == [0, 1, 2]
