"""Which rows are in the batches of an epoch, as arrays of indices."""

from itertools import pairwise
from math import ceil

import numpy as np
import torch

# Triplets are drawn for so many batches at once: one by one would take longer.
DRAWN_AT_ONCE = 100


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


def with_anomalies(y, batch_size, random_state, *, ratio):
    """As `with_outliers`, but there have to be some among the labels, (n,)."""
    if not np.any(y < 0):
        raise ValueError(
            "train_split must leave example anomalies to train on, got none in "
            f"{len(y)} labels: all are held out for validation. Label more anomalies "
            "and split by ValidSplit(stratified=True), or do without a split."
        )
    return with_outliers(y, batch_size, random_state, ratio=ratio)
