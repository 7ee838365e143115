"""Checks before training, and the undoing of a fit that fails."""

from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from sk_hypersphere._training.rows import Rows


@contextmanager
def unchanged_on_error(estimator):
    """Restore the former attributes of an estimator if the block raises an error."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def resolve_device(device, fall_back=False):
    """Return the torch device that a `device` parameter stands for on this machine.

    Parameters
    ----------
    device : str or torch.device
        "auto" is the CUDA device if there is one, else the CPU.

    fall_back : bool, default=False
        If True, the CPU replaces a missing CUDA device, so that a model trained
        elsewhere can be used. If False, a missing device is an error.
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


def has_parameters_to_train(module):
    """Whether any parameter of a module requires a gradient."""
    return any(parameter.requires_grad for parameter in module.parameters())


def check_something_to_train(encoder, name):
    """Refuse an encoder without parameters to train, for the estimator `name`."""
    if not has_parameters_to_train(encoder):
        raise ValueError(
            f"encoder must have parameters that can be trained for {name}, whose "
            f"centers do not follow the samples, got {type(encoder).__name__} without "
            "any. Add a layer, set requires_grad, or take DeepSVDD, which places "
            "spheres without training."
        )


def has_channels_last(X):
    """Whether samples look like images with channels behind height and width.

    A last axis of size 3 or 4 behind larger axes holds colors. A last axis of size 1
    holds gray values only if height and width are similar: other samples may just be
    long and narrow.
    """
    if X.ndim != 4:
        return False
    height, width, n_channels = X.shape[1:]
    if min(height, width) <= 4:
        return False
    is_squarish = max(height, width) <= 4 * min(height, width)
    return n_channels in (3, 4) or (n_channels == 1 and is_squarish)


def moveaxis_hint(X):
    """Return the end of a message that says how to put channels first."""
    if not has_channels_last(X):
        return ""
    return (
        f" Samples of shape ({shape_of(X)}) look like images with channels last: "
        "np.moveaxis(X, -1, 1) puts them first."
    )


def check_image_axes(X, make):
    """Refuse images with channels last for an encoder that this package makes.

    Other encoders may expect any order of axes.
    """
    is_own = (
        not isinstance(make, nn.Module)
        and getattr(make, "__module__", "").partition(".")[0] == "sk_hypersphere"
    )
    if is_own and has_channels_last(X):
        raise ValueError(
            "X must hold images of shape (n_samples, channels, height, width), got "
            f"{X.shape}, which would be images of {X.shape[1]} channels and "
            f"{X.shape[2]} x {X.shape[3]} pixels. Put channels first: "
            "np.moveaxis(X, -1, 1)."
        )


def check_embedding(encoder, X, device, batch_size):
    """Return the size of the embedding, after a trial on the first row.

    Raises
    ------
    ValueError
        If the encoder cannot take the samples, writes into its input, does not return
        rows of numbers, or normalizes batches of one row.
    """
    name = type(encoder).__name__
    n_rows = min(len(X), batch_size)
    if n_rows == 1 and any(isinstance(m, nn.BatchNorm1d) for m in encoder.modules()):
        raise ValueError(
            "encoder must not have BatchNorm1d for batches of a single sample, got "
            f"{name} with it, n_samples={len(X)} and batch_size={batch_size}. Give "
            "more samples, a larger batch_size, or an encoder without it."
        )
    x, _ = Rows(X[:1]).take(np.array([0]))
    x = x.to(device)
    version = x._version  # grows with each write
    try:
        with torch.no_grad():
            z = encoder.eval()(x)
    except RuntimeError as error:
        raise ValueError(
            f"encoder must take batches of shape (n_samples, {shape_of(X)}), but "
            f"{name} failed: {error}. Fit its first layer to the samples, or give a "
            f"class instead, which is built for them.{moveaxis_hint(X)}"
        ) from error
    if x._version != version:
        raise ValueError(
            f"encoder must leave its input as it is, but {name} writes into it. "
            "Replace in-place functions, whose names end in _, at the start of its "
            "forward method."
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
            f"decoder must map {wanted}, got {got} from {name} for two embeddings. "
            "Fit its last layer to the samples."
        )


def shape_of(X):
    """Shape of one sample, as text."""
    return ", ".join(map(str, X.shape[1:]))
