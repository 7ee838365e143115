"""Batches of tensors from the rows of an array, without a torch loader."""

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch.utils.data import Dataset, Subset

from sk_hypersphere._training.samplers import in_order

# `moved_to_front` copies this many rows at a time.
PART_ROWS = 8192


class Rows(Dataset):
    """A torch data set of an array and its labels that can also give whole batches.

    Parameters
    ----------
    X : array of shape (n, ...)
        Float32 or uint8. It may be a read-only memory map: only the rows of a batch
        are read.

    y : array of shape (n,), default=None
        Integer labels; None is 0 for every row.

    device : torch.device, default="cpu"
        Device of the batches. Data that fits on a CUDA device is moved there once.
    """

    def __init__(self, X, y=None, device="cpu"):
        self.device = torch.device(device)
        self.X = X
        self.y = np.zeros(len(X), dtype=np.int64) if y is None else y
        self.resident = None
        if self.device.type == "cuda" and fits(X, self.device):
            self.resident = tuple(
                torch.from_numpy(np.array(values)).to(self.device)
                for values in (self.X, self.y)
            )

    def __len__(self):
        return len(self.X)

    def __getitem__(self, index):
        X, y = self.take(np.array([index]))
        return X[0], y[0]

    def without(self, held_out):
        """Leave out the rows with the indices `held_out`."""
        if not len(held_out):
            return self
        return Subset(self, np.setdiff1d(np.arange(len(self)), held_out))

    def take(self, indices):
        """Return the rows and labels of one batch.

        Parameters
        ----------
        indices : ndarray of shape (m,)

        Returns
        -------
        (Tensor of shape (m, ...), float32; Tensor of shape (m,))
        """
        if self.resident:
            return self._take_resident(torch.from_numpy(indices).to(self.device))
        # numpy gathers short batches faster than torch. It makes copies, which can be
        # written to even if X is a read-only memory map.
        X = torch.from_numpy(self.X.take(indices, axis=0))
        y = torch.from_numpy(self.y.take(indices))
        return X.to(self.device, torch.float32), y.to(self.device)

    def _take_resident(self, chosen):
        X, y = (values.index_select(0, chosen) for values in self.resident)
        return X.to(torch.float32), y

    def take_each(self, batches):
        """Yield the rows and labels of one batch after the other.

        Parameters
        ----------
        batches : iterable of ndarray of shape (m,)
            Indices of each batch.

        Yields
        ------
        (Tensor of shape (m, ...), float32; Tensor of shape (m,))
        """
        if not self.resident:
            yield from map(self.take, batches)
            return
        batches = list(batches)
        # All indices are moved at once: the host waits for the device at each transfer.
        indices = torch.from_numpy(np.concatenate(batches)).to(self.device)
        yield from map(self._take_resident, indices.split([*map(len, batches)]))


class BatchIterator:
    """Batches of a `Rows` data set, or of a `Subset` of one.

    Parameters
    ----------
    dataset : Rows or Subset of Rows
        Data set to iterate over.

    batch_size : int
        Largest number of rows in a batch.

    sampler : callable, default=None
        ``sampler(y, batch_size, random_state)`` yields the index arrays of one epoch
        from the labels, (n,). None goes through the rows in order.

    random_state : RandomState, default=None
        Passed to `sampler`.

    transform : callable, default=None
        ``transform(X, y)`` returns the new samples of a batch, given its samples, a
        tensor of shape (m, ...) that it may write to, and their labels, an array of
        shape (m,). None keeps the samples.
    """

    def __init__(
        self, dataset, batch_size, sampler=None, random_state=None, transform=None
    ):
        self.rows, self.indices = unwrapped(dataset)
        self.is_whole = self.rows is dataset
        self.batch_size = batch_size
        self.sampler = in_order if sampler is None else sampler
        self.random_state = random_state
        self.transform = transform
        self.y = self.rows.y[self.indices]

    def __iter__(self):
        if self.transform is None:
            yield from self.rows.take_each(self.draw())
            return
        batches = list(self.draw())
        taken = self.rows.take_each(batches)
        for indices, (X, y) in zip(batches, taken, strict=True):
            yield self.transform(X, self.rows.y[indices]), y

    def draw(self):
        """Draw the batches of one epoch, as arrays of indices in `rows`."""
        batches = self.sampler(self.y, self.batch_size, self.random_state)
        if self.is_whole:
            return batches
        return (self.indices[chosen] for chosen in batches)


def labels_of(dataset):
    """Labels of a `Rows` data set, or of a `Subset` of one, (n,)."""
    rows, indices = unwrapped(dataset)
    return rows.y[indices]


def unwrapped(dataset):
    """Return the `Rows` in nested subsets, and the indices that the subsets keep."""
    indices = np.arange(len(dataset))
    while isinstance(dataset, Subset):
        indices = np.asarray(dataset.indices)[indices]
        dataset = dataset.dataset
    return dataset, indices


def fits(X, device):
    """Whether an array takes less than half of the free memory of a CUDA device.

    The rest is left for weights, gradients and activations.
    """
    free, _ = torch.cuda.mem_get_info(device)
    return X.nbytes < free / 2


def evenly_spaced(n, n_chosen):
    """At most `n_chosen` indices spread evenly over 0..n-1."""
    return np.linspace(0, n - 1, min(n, n_chosen)).astype(int)


def moved_to_front(array, rows):
    """Move some rows to the front of an array in place, over its other rows.

    Parameters
    ----------
    array : ndarray of shape (n, ...)
        Its rows are overwritten.

    rows : ndarray of shape (m,)
        Indices in ascending order.

    Returns
    -------
    ndarray of shape (m, ...)
        A view of the first part of the array.

    Examples
    --------
    >>> moved_to_front(np.array([5, 6, 7, 8]), np.array([1, 3]))
    array([6, 8])
    """
    if len(rows) < len(array):
        for part in gen_batches(len(rows), PART_ROWS):
            array[part] = array[rows[part]]  # rows[i] >= i: no row is lost
    return array[: len(rows)]
