"""Application of a network to all rows, with results that no batching changes."""

from contextlib import contextmanager
from itertools import chain
from math import isfinite, prod

import numpy as np
import torch
from sklearn import get_config
from sklearn.utils import assert_all_finite

# Batches are padded to a multiple of this many rows, so that a row's result does not
# depend on other rows. The BLAS multiplies a few rows, or the last rows behind full
# blocks, by another method, whose results differ in the last bits.
BLOCK_ROWS = 32

# The widest layer of a network may have this many numbers in a batch, 1 MiB. They stay
# in the cache, and in memory that the process keeps: memory of larger layers may be
# given back after each batch and fetched page by page for the next.
CACHED_NUMBERS = 2**18

# Longer batches, and so fewer calls, save time up to this many rows.
MOST_ROWS = 8192


def map_batches(function, X, device, batch_size=None):
    """Apply a function of tensors to all rows.

    Parameters
    ----------
    function : nn.Module or callable
        It maps a float32 tensor of shape (m, ...) to a tensor of shape (m, ...).

    X, device
        See `inference_batches`.

    batch_size : int, default=None
        Number of rows in a batch, a multiple of 32. None asks `rows_at_once`, which
        needs a module.

    Returns
    -------
    ndarray of shape (n, ...)
    """
    batch_size = batch_size or rows_at_once(X, function)
    # Each result is copied into one array, and no name keeps it. Results kept apart
    # would lie between the large temporaries of the network, whose memory would then
    # be fetched anew for every batch.
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


def rows_at_once(X, *modules, with_gradient=False):
    """Number of rows in a batch, which falls with the width of samples and layers.

    The width of a layer is the number of its outputs, of a head the number of its
    centers. A layer for images has the number of its channels, which is usually below
    the size of a sample. A gradient needs the outputs of all layers, and so halves the
    number of rows.

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


def check_finite(X):
    """Refuse infinite and missing values with scikit-learn's message."""
    if X.dtype == np.float32:
        for _ in inference_batches(X, torch.device("cpu"), rows_at_once(X)):
            pass


@contextmanager
def inference(device):
    """Compute without gradients, and in float32 even if the caller uses autocast.

    A threshold and the scores compared with it must have the same precision.
    """
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        yield


def inference_batches(X, device, batch_size):
    """Yield all rows in order, in batches for a network.

    No random numbers are drawn, and the result for a row will not depend on the other
    rows, because batches are padded with zeros to whole blocks.

    Parameters
    ----------
    X : array of shape (n, ...)
        Float32 or uint8; see `Rows`.

    device : torch.device
        Device that the batches are moved to.

    batch_size : int
        Number of rows in a batch, a multiple of 32; see `rows_at_once`.

    Yields
    ------
    (slice, Tensor of shape (m, ...), float32)
        The place of the rows in `X`, and the rows with the padding behind them. The
        batch may share memory with `X` and must not be written to.

    Raises
    ------
    ValueError
        If there are infinite or missing values. Each batch is checked when it is made,
        so that a memory map is read once. There is no check under
        ``sklearn.config_context(assume_finite=True)``.
    """
    is_float = X.dtype == np.float32
    is_checked = is_float and not get_config()["assume_finite"]
    is_in_place = is_float and device.type == "cpu"
    starts = range(0, len(X), batch_size)
    slices = [slice(start, min(start + batch_size, len(X))) for start in starts]
    # torch warns about arrays that are read-only, and refuses some strides.
    can_share = X.flags.writeable and all(
        stride >= 0 and stride % X.itemsize == 0 for stride in X.strides
    )
    # All views are made before the first batch, because calls between two batches take
    # longer: the network leaves nothing else in the cache.
    if can_share:
        batches = torch.from_numpy(X).split(batch_size)
    else:
        batches = (torch.from_numpy(X[rows].copy()) for rows in slices)
    for rows, batch in zip(slices, batches, strict=True):
        # A sum is finite only if all values are finite, and takes a fraction of the
        # time of scikit-learn's check, which runs only if the sum is not finite.
        if is_checked and not isfinite(batch.sum()):
            assert_all_finite(X[rows], input_name="X")
        if not is_in_place:
            batch = batch.to(device, torch.float32)
        if rows is slices[-1]:
            batch = in_whole_blocks(batch)
        yield rows, batch


def in_whole_blocks(batch):
    """Pad a batch with rows of zeros to a multiple of 32 rows."""
    n_missing = -len(batch) % BLOCK_ROWS
    if not n_missing:
        return batch
    return torch.cat([batch, batch.new_zeros(n_missing, *batch.shape[1:])])
