"""What is checked before training, and undone if it fails."""

from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from sk_hypersphere._batches import Rows


@contextmanager
def unchanged_on_error(estimator):
    """Give an estimator its former attributes back if the block raises."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def resolve_device(device, fall_back=False):
    """The torch device that a `device` parameter means on this machine.

    Parameters
    ----------
    device : str or torch.device
        "auto" is CUDA where there is one, else the CPU.

    fall_back : bool, default=False
        If True, a missing CUDA device is replaced by the CPU, so that a model trained
        elsewhere can be used; otherwise it is an error.
    """
    has_cuda = torch.cuda.is_available()
    if device == "auto":
        return torch.device("cuda" if has_cuda else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f'device must be "auto" or one that torch knows, got {device!r}. Use '
            'device="auto".'
        ) from error
    if resolved.type != "cuda" or has_cuda:
        return resolved
    if fall_back:
        return torch.device("cpu")
    raise ValueError(
        f"device must be available on this machine, got {device!r} without a CUDA "
        'device. Use device="auto" or device="cpu".'
    )


def check_embedding(encoder, X, device, batch_size):
    """Size of the embedding, from a trial on the first row.

    Raises
    ------
    ValueError
        If the encoder has nothing to train, cannot take the samples, writes into its
        input, does not return rows of numbers, or normalizes batches of one row.
    """
    name = type(encoder).__name__
    if not any(parameter.requires_grad for parameter in encoder.parameters()):
        raise ValueError(
            "encoder must have parameters that can be trained, got "
            f"{name} without any. Add a layer, or set requires_grad."
        )
    n_rows = min(len(X), batch_size)
    if n_rows == 1 and any(isinstance(m, nn.BatchNorm1d) for m in encoder.modules()):
        raise ValueError(
            "encoder must not have BatchNorm1d for batches of a single sample, got "
            f"{name} with it, n_samples={len(X)} and batch_size={batch_size}. Give "
            "more samples, a larger batch_size, or an encoder without it."
        )
    x, _ = Rows(X[:1]).take(np.array([0]))
    x = x.to(device)
    version = x._version  # counts the writes
    try:
        with torch.no_grad():
            z = encoder.eval()(x)
    except RuntimeError as error:
        raise ValueError(
            f"encoder must take batches of shape (n_samples, {shape_of(X)}), but "
            f"{name} failed: {error}. Fit its first layer to the samples, or give a "
            "class instead, which is built for them."
        ) from error
    if x._version != version:
        raise ValueError(
            f"encoder must leave its input as it is, but {name} writes into it. "
            "Replace functions that end in _ at the start of its forward method."
        )
    if not isinstance(z, torch.Tensor) or z.shape[:-1] != (1,):
        got = tuple(z.shape) if isinstance(z, torch.Tensor) else type(z).__name__
        raise ValueError(
            "encoder must map a batch to embeddings of shape (n_samples, "
            f"n_components), got {got} from {name} for one sample. End it with "
            "nn.Flatten() and a linear layer."
        )
    return z.shape[1]


def check_decoder(decoder, n_components, X):
    """Refuse a decoder that does not map embeddings to samples."""
    name = type(decoder).__name__
    wanted = f"(n_samples, {n_components}) to (n_samples, {shape_of(X)})"
    try:
        with torch.no_grad():
            got = tuple(decoder(torch.zeros(2, n_components)).shape)
    except RuntimeError as error:
        raise ValueError(
            f"decoder must map {wanted}, but {name} failed: {error}. Fit its first "
            "layer to n_components."
        ) from error
    if got != (2, *X.shape[1:]):
        raise ValueError(
            f"decoder must map {wanted}, got {got} from {name} for two. Fit its last "
            "layer to the samples."
        )


def shape_of(X):
    """Shape of one sample, as text."""
    return ", ".join(map(str, X.shape[1:]))
