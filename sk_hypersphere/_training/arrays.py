"""Conversion of samples of any kind to an array, before scikit-learn's checks."""

import torch
from torch.utils.data import DataLoader, Dataset


def as_array(X):
    """Convert a torch tensor, even one with a gradient, to an array; keep other `X`.

    Raises
    ------
    TypeError
        If `X` is a torch data set or loader, which holds pairs of sample and label.

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
    """Refuse samples, (n, ...), if an axis behind the first has size 0."""
    if 0 in X.shape[1:]:
        raise ValueError(
            "X must hold samples with at least one value along each axis, got samples "
            f"of shape {X.shape[1:]}. Leave out the axis of size 0, or load the "
            "samples anew."
        )
