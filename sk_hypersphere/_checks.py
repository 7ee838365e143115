"""What is checked before training, and undone if it fails."""

from contextlib import contextmanager

import numpy as np
import torch

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
    resolved = torch.device(device)
    if resolved.type != "cuda" or has_cuda:
        return resolved
    if fall_back:
        return torch.device("cpu")
    raise ValueError(
        f"device must be available on this machine, got {device!r} without a CUDA "
        'device. Use device="auto" or device="cpu".'
    )


def check_embedding(encoder, X, device):
    """Size of the embedding, from a trial on the first row.

    Raises
    ------
    ValueError
        If the encoder has nothing to train, writes into its input, or does not return
        rows of numbers.
    """
    name = type(encoder).__name__
    if not any(parameter.requires_grad for parameter in encoder.parameters()):
        raise ValueError(
            "encoder must have parameters that can be trained, got "
            f"{name} without any. Add a layer, or set requires_grad."
        )
    x, _ = Rows(X[:1]).take(np.array([0]))
    x = x.to(device)
    version = x._version  # counts the writes
    with torch.no_grad():
        z = encoder.eval()(x)
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
