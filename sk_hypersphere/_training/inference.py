"""Applying a network to all rows, so that no result depends on the batches."""

from contextlib import contextmanager
from itertools import chain
from math import isfinite, prod

import numpy as np
import torch
from sklearn import get_config
from sklearn.utils import assert_all_finite

# A matrix product takes another path through the BLAS for a few rows, and for the few
# that are left over behind full blocks, and differs in the last bits. In whole blocks
# of this many rows, a row's result does not depend on its neighbours.
BLOCK_ROWS = 32


# So many numbers in the widest layer of a network, 1 MiB, stay in the cache, and layers
# so small are made in memory that the process keeps: larger ones it may give back after
# each batch, and fetch page by page for the next. Fewer calls pay up to so many rows.
CACHED_NUMBERS = 2**18


MOST_ROWS = 8192


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
