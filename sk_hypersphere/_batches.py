"""Rows of an array as batches of tensors, without a loader in between."""

from contextlib import contextmanager
from itertools import chain, pairwise
from math import ceil, isfinite, prod

import numpy as np
import torch
from sklearn import get_config
from sklearn.utils import assert_all_finite, gen_batches
from torch.utils.data import Dataset, Subset

# A matrix product takes another path through the BLAS for a few rows, and for the few
# that are left over behind full blocks, and differs in the last bits. In whole blocks
# of this many rows, a row's result does not depend on its neighbours.
BLOCK_ROWS = 32

# So many numbers in the widest layer of a network, 1 MiB, stay in the cache, and layers
# so small are made in memory that the process keeps: larger ones it may give back after
# each batch, and fetch page by page for the next. Fewer calls pay up to so many rows.
CACHED_NUMBERS = 2**18
MOST_ROWS = 8192

# Triplets are drawn for so many batches at once: one by one would take longer.
DRAWN_AT_ONCE = 100


class Rows(Dataset):
    """An array and its labels, as a torch data set that can also give whole batches.

    Parameters
    ----------
    X : array of shape (n, ...)
        Float32 or uint8; may be a read-only memory map, of which only the rows of a
        batch are read.

    y : array of shape (n,), default=None
        Integer labels; None is 0 for every row.

    device : torch.device, default="cpu"
        Where batches are made. Data that fits is moved there once.
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
        """All rows but some, given their indices."""
        if not len(held_out):
            return self
        return Subset(self, np.setdiff1d(np.arange(len(self)), held_out))

    def take(self, indices):
        """Rows and labels of one batch.

        Parameters
        ----------
        indices : ndarray of shape (m,)

        Returns
        -------
        (Tensor of shape (m, ...), float32; Tensor of shape (m,))
        """
        if self.resident:
            return self._take_resident(torch.from_numpy(indices).to(self.device))
        # numpy gathers faster than torch for short batches, and copies: the batch can
        # be written to, also where X is a read-only memory map.
        X = torch.from_numpy(self.X.take(indices, axis=0))
        y = torch.from_numpy(self.y.take(indices))
        return X.to(self.device, torch.float32), y.to(self.device)

    def _take_resident(self, chosen):
        X, y = (values.index_select(0, chosen) for values in self.resident)
        return X.to(torch.float32), y

    def take_each(self, batches):
        """Rows and labels of one batch after the other.

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
        # One transfer for all: the host would wait for the device at each.
        indices = torch.from_numpy(np.concatenate(batches)).to(self.device)
        yield from map(self._take_resident, indices.split([*map(len, batches)]))


def fits(X, device):
    """Whether an array takes less than half of the free memory of a CUDA device.

    The rest is for weights, gradients and activations.
    """
    free, _ = torch.cuda.mem_get_info(device)
    return X.nbytes < free / 2


def even_batches(n, batch_size):
    """Bounds of consecutive batches of nearly equal size, at most `batch_size`.

    No batch is left with a single row, which batch normalization could not train on,
    unless there is no other.

    Examples
    --------
    >>> even_batches(10, 4).tolist()
    [0, 3, 6, 10]
    """
    n_batches = -(-n // batch_size)
    return np.arange(n_batches + 1) * n // n_batches


def evenly_spaced(n, n_chosen):
    """At most `n_chosen` indices spread evenly over 0..n-1."""
    return np.linspace(0, n - 1, min(n, n_chosen)).astype(int)


def moved_to_front(array, rows):
    """Some rows of an array, without a copy of it: the others are written over.

    Parameters
    ----------
    array : ndarray of shape (n, ...)
        It is changed in place.

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
        for part in gen_batches(len(rows), MOST_ROWS):
            array[part] = array[rows[part]]  # these are not before the part
    return array[: len(rows)]


def hold_out(y, n_drawn, random_state):
    """Draw some of the known rows, spread over the classes.

    Of each class, one row at least is left to train on.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels; those of outliers are below 0.

    n_drawn : int
        Number of rows to draw; fewer are drawn where too few can be spared.

    random_state : RandomState

    Returns
    -------
    ndarray of shape (m,)
        Sorted indices.
    """
    if not n_drawn:
        return np.empty(0, dtype=np.intp)
    classes = [np.flatnonzero(y == k) for k in range(y.max() + 1)]
    spare = np.concatenate([random_state.permutation(rows)[1:] for rows in classes])
    return np.sort(spare[evenly_spaced(len(spare), n_drawn)])


def unwrapped(dataset):
    """The `Rows` in subsets of subsets, and the indices of those that are left."""
    indices = np.arange(len(dataset))
    while isinstance(dataset, Subset):
        indices = np.asarray(dataset.indices)[indices]
        dataset = dataset.dataset
    return dataset, indices


def labels_of(dataset):
    """Labels of a `Rows` data set, or of a `Subset` of one, (n,)."""
    rows, indices = unwrapped(dataset)
    return rows.y[indices]


class BatchIterator:
    """Batches of a `Rows` data set, or of a `Subset` of one.

    Parameters
    ----------
    dataset : Rows or Subset of Rows
        What to iterate over.

    batch_size : int
        Largest number of rows in a batch.

    sampler : callable, default=None
        ``sampler(y, batch_size, random_state)`` yields the index arrays of one epoch
        from the labels, (n,). None goes through the rows in order.

    random_state : RandomState, default=None
        Handed to `sampler`.

    transform : callable, default=None
        ``transform(X, y)`` gives what takes the place of the samples of a batch,
        (m, ...), a tensor that it may write to, given their labels, an array of shape
        (m,). None leaves them as they are.
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
        """Indices in `rows` of the batches of one epoch."""
        batches = self.sampler(self.y, self.batch_size, self.random_state)
        if self.is_whole:
            return batches
        return (self.indices[chosen] for chosen in batches)


def in_order(y, batch_size, random_state):
    """Every row once, in order."""
    return (np.arange(a, b) for a, b in pairwise(even_batches(len(y), batch_size)))


def shuffled(y, batch_size, random_state):
    """Every row once, in random order."""
    order = random_state.permutation(len(y))
    return cut(order, even_batches(len(y), batch_size))


def cut(values, bounds):
    """Consecutive parts of an array between bounds; `np.split` takes far longer.

    Examples
    --------
    >>> cut(np.array([5, 6, 7]), np.array([0, 2, 3]))
    [array([5, 6]), array([7])]
    """
    return [values[a:b] for a, b in pairwise(bounds.tolist())]


def with_outliers(y, batch_size, random_state, *, ratio):
    """Every known row once, in random order, and outliers at the end of each batch.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels; those of outliers are below 0.

    batch_size : int
        Largest number of known rows in a batch; outliers come on top.

    random_state : RandomState

    ratio : float
        Outliers in a batch over known rows, rounded up. All outliers are drawn before
        one is drawn again.

    Returns
    -------
    list of ndarray
        Index arrays, one a batch.
    """
    known, outliers = np.flatnonzero(y >= 0), np.flatnonzero(y < 0)
    if not len(outliers) or not len(known):
        return shuffled(y, batch_size, random_state)
    order = random_state.permutation(known)
    batches = cut(order, even_batches(len(known), batch_size))
    sizes = [ceil(ratio * len(batch)) for batch in batches]
    n_rounds = ceil(sum(sizes) / len(outliers))
    keys = random_state.random_sample((n_rounds, len(outliers)))
    drawn = outliers[keys.argsort(axis=1).ravel()]  # permutations, one after the other
    parts = cut(drawn, np.cumsum([0, *sizes]))
    return [np.concatenate(pair) for pair in zip(batches, parts, strict=True)]


def both_kinds(y):
    """Indices of normal rows and of anomalies, whose labels, (n,), are below 0."""
    normal, anomalies = np.flatnonzero(y >= 0), np.flatnonzero(y < 0)
    if not len(normal) or not len(anomalies):
        raise ValueError(
            "train_split must leave normal samples and anomalies on either side, got "
            f"{len(normal)} normal samples and {len(anomalies)} anomalies on one. "
            "Split by ValidSplit(5, stratified=True), or do without a split."
        )
    return normal, anomalies


def random_triplets(y, batch_size, random_state, *, n_steps):
    """Random triplets for `EIDNLoss`: positives, then as many negatives.

    For each, a fair coin says whether the positive is a normal row or an anomaly; the
    negative is of the other kind. Both are drawn from all of their kind, again and
    again.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels; those of anomalies are below 0.

    batch_size : int
        Number of triplets in a batch.

    random_state : RandomState

    n_steps : int
        Number of batches.

    Yields
    ------
    ndarray of shape (2 * batch_size,)
        Indices of the rows of one batch.

    Raises
    ------
    ValueError
        If there are no anomalies, or no other rows.
    """
    kinds = both_kinds(y)
    for start in range(0, n_steps, DRAWN_AT_ONCE):
        size = min(DRAWN_AT_ONCE, n_steps - start), batch_size
        normal, anomalies = (
            kind[random_state.randint(len(kind), size=size)] for kind in kinds
        )
        is_turned = random_state.random_sample(size) < 0.5
        positives = np.where(is_turned, anomalies, normal)
        negatives = np.where(is_turned, normal, anomalies)
        yield from np.concatenate([positives, negatives], axis=1)


def paired_triplets(y, batch_size, random_state):
    """Normal rows and anomalies in pairs, each pair both ways round, in order.

    The rarer kind is repeated, so that every row is used. Nothing is drawn: losses of
    one epoch can be compared with those of another.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels; those of anomalies are below 0.

    batch_size : int
        Largest number of triplets in a batch, rounded up to even.

    random_state : RandomState
        Not used.

    Yields
    ------
    ndarray of shape (m,)
        Indices of positives, then of as many negatives.

    Raises
    ------
    ValueError
        If there are no anomalies, or no other rows.
    """
    kinds = both_kinds(y)
    n_pairs = max(map(len, kinds))
    normal, anomalies = (np.resize(kind, n_pairs) for kind in kinds)
    for rows in in_order(normal, ceil(batch_size / 2), random_state):
        pair = [normal[rows], anomalies[rows]]
        yield np.concatenate([*pair, *pair[::-1]])


def mix_outliers(X, y):
    r"""Move each outlier of a batch toward another one, or itself, by a random share.

    .. math:: x_i + u_i (x_{\pi(i)} - x_i), \qquad u_i \sim U(0, 1)

    where :math:`\pi` is a random permutation of the outliers. Both are drawn from
    torch's stream.

    Parameters
    ----------
    X : Tensor of shape (m, ...)
        Samples, outliers last; they are changed in place.

    y : ndarray of shape (m,)
        Their labels; those of outliers are below 0.

    Returns
    -------
    Tensor of shape (m, ...)
        The same tensor.
    """
    outliers = X[np.sum(y >= 0) :]
    partners = outliers[torch.randperm(len(outliers), device=X.device)]
    share = torch.rand(len(outliers), *[1] * (X.ndim - 1), device=X.device)
    outliers.copy_(torch.lerp(outliers, partners, share))
    return X


@contextmanager
def inference(device):
    """Without gradients, and in float32 also where the caller has lowered precision.

    A threshold and the scores beside it must not differ by where they were computed.
    """
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        yield


def check_finite(X):
    """Refuse infinite and missing values, in scikit-learn's words."""
    if X.dtype == np.float32:
        for _ in inference_batches(X, torch.device("cpu"), rows_at_once(X)):
            pass


def inference_batches(X, device, batch_size):
    """Batches of rows to apply a network to, in order.

    Nothing random is drawn, and the result for a row will not depend on the other rows:
    batches are padded with zeros to whole blocks.

    Parameters
    ----------
    X : array of shape (n, ...)
        Float32 or uint8; see `Rows`.

    device : torch.device
        Where the batches are wanted.

    batch_size : int
        Rows in a batch, a multiple of 32; see `rows_at_once`.

    Yields
    ------
    (slice, Tensor of shape (m, ...), float32)
        Which rows of `X` these are, and the rows with the padding behind them. The
        batch may share memory with `X`: it must not be written to.

    Raises
    ------
    ValueError
        If there are infinite or missing values. They are looked for batch by batch, so
        that a memory map is read once, and not under
        ``sklearn.config_context(assume_finite=True)``.
    """
    is_float = X.dtype == np.float32
    is_checked = is_float and not get_config()["assume_finite"]
    is_in_place = is_float and device.type == "cpu"
    starts = range(0, len(X), batch_size)
    slices = [slice(start, min(start + batch_size, len(X))) for start in starts]
    # Of other arrays torch would warn, or refuse them.
    can_share = X.flags.writeable and all(
        stride >= 0 and stride % X.itemsize == 0 for stride in X.strides
    )
    # Views are made at once: a network leaves nothing else in the cache, so that calls
    # between two batches take longer.
    if can_share:
        batches = torch.from_numpy(X).split(batch_size)
    else:
        batches = (torch.from_numpy(X[rows].copy()) for rows in slices)
    for rows, batch in zip(slices, batches, strict=True):
        # A sum is finite only if all values are, and is had in a fraction of the time
        # of scikit-learn's check, which decides where it is not.
        if is_checked and not isfinite(batch.sum()):
            assert_all_finite(X[rows], input_name="X")
        if not is_in_place:
            batch = batch.to(device, torch.float32)
        if rows is slices[-1]:
            batch = in_whole_blocks(batch)
        yield rows, batch


def in_whole_blocks(batch):
    """A batch with zeros behind it, to a multiple of 32 rows."""
    n_missing = -len(batch) % BLOCK_ROWS
    if not n_missing:
        return batch
    return torch.cat([batch, batch.new_zeros(n_missing, *batch.shape[1:])])


def rows_at_once(X, *modules, with_gradient=False):
    """Rows to apply networks to in one batch: the fewer, the wider samples or layers.

    The width of a layer is the number of its outputs, for a head that of its centers;
    for images it is that of the channels, where the size of a sample counts for more.
    For a gradient the outputs of all layers are kept, and rows are half as many.

    Examples
    --------
    >>> X = np.zeros((100_000, 20), dtype=np.float32)
    >>> rows_at_once(X), rows_at_once(X, torch.nn.Linear(20, 512))
    (8192, 512)
    """
    weights = chain.from_iterable(
        chain(module.parameters(), module.buffers()) for module in modules
    )
    widths = (len(weight) for weight in weights if weight.ndim > 1)
    widest = max([prod(X.shape[1:]), *widths])
    n_numbers = CACHED_NUMBERS // 2 if with_gradient else CACHED_NUMBERS
    n_rows = n_numbers // widest // BLOCK_ROWS * BLOCK_ROWS
    return min(max(n_rows, BLOCK_ROWS), MOST_ROWS)


def map_batches(function, X, device, batch_size=None):
    """Apply a function of tensors to all rows.

    Parameters
    ----------
    function : nn.Module or callable
        From a float32 tensor of shape (m, ...) to a tensor of shape (m, ...).

    X, device
        See `inference_batches`.

    batch_size : int, default=None
        Rows in a batch, a multiple of 32. None is for a module: see `rows_at_once`.

    Returns
    -------
    ndarray of shape (n, ...)
    """
    batch_size = batch_size or rows_at_once(X, function)
    # Results go into one array at once, and no name keeps them: apart they would lie
    # between the large temporaries of the network, whose memory would be fetched anew
    # for every batch.
    with inference(device):
        batches = inference_batches(X, device, batch_size)
        _, batch = next(batches)
        first = function(batch)
        shape = len(X) + -len(X) % BLOCK_ROWS, *first.shape[1:]
        results = torch.empty(shape, dtype=first.dtype)
        parts = iter(results.split(batch_size))
        next(parts).copy_(first)
        del first
        for part, (_, batch) in zip(parts, batches, strict=True):
            part.copy_(function(batch))
    return results[: len(X)].numpy()
