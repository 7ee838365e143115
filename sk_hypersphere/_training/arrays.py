"""Samples of any kind as an array, before scikit-learn looks at them."""

import torch
from torch.utils.data import DataLoader, Dataset


def as_array(X):
    """A torch tensor as an array, also one that requires a gradient; else `X` itself.

    Raises
    ------
    TypeError
        If it is a torch data set or loader, which hold samples and labels in pairs.

    Examples
    --------
    >>> as_array(torch.ones(2, requires_grad=True))
    array([1., 1.], dtype=float32)
    """
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu()
        return (X.float() if X.dtype == torch.bfloat16 else X).numpy()
    if isinstance(X, (Dataset, DataLoader)) and not hasattr(X, "__array__"):
        raise TypeError(
            f"X must be an array, a tensor or a data frame, got {type(X).__name__}. "
            "Wrap a torch data set as skorch.helper.SliceDataset(dataset), and give "
            "labels as y."
        )
    return X


def check_not_empty(X):
    """Refuse samples of more than one axis, (n, ...), that have no values."""
    if 0 in X.shape[1:]:
        raise ValueError(
            "X must hold samples with a value at least along each axis, got samples of "
            f"shape {X.shape[1:]}. Leave out the axis of size 0, or load the samples "
            "anew."
        )
