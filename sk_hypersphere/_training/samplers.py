"""Samplers, which choose the rows of the batches of an epoch as arrays of indices."""

from itertools import pairwise
from math import ceil

import numpy as np
import torch

# Triplets are drawn for this many batches at once, which is faster than one by one.
DRAWN_AT_ONCE = 100


def in_order(y, batch_size, random_state):
    """Return batches with every row once, in order."""
    return (np.arange(a, b) for a, b in pairwise(even_batches(len(y), batch_size)))


def shuffled(y, batch_size, random_state):
    """Return batches with every row once, in random order."""
    order = random_state.permutation(len(y))
    return cut(order, even_batches(len(y), batch_size))


def with_some_anomalies(y, batch_size, random_state, *, ratio):
    """Draw as `with_anomalies`, but refuse labels, (n,), without anomalies."""
    if not np.any(y < 0):
        raise ValueError(
            "train_split must leave example anomalies to train on, got none in "
            f"{len(y)} labels: all are held out for validation. Label more anomalies "
            "and split by ValidSplit(stratified=True), or do without a split."
        )
    return with_anomalies(y, batch_size, random_state, ratio=ratio)


def with_anomalies(y, batch_size, random_state, *, ratio):
    """Draw every known row once, in random order, and append anomalies to each batch.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels; anomalies have labels below 0.

    batch_size : int
        Largest number of known rows in a batch, not counting anomalies.

    random_state : RandomState

    ratio : float
        Number of anomalies in a batch, before it is rounded up, divided by the number
        of known rows. All anomalies are drawn before one is drawn again.

    Returns
    -------
    list of ndarray
        One array of indices for each batch.
    """
    known, anomalies = np.flatnonzero(y >= 0), np.flatnonzero(y < 0)
    if not len(anomalies) or not len(known):
        return shuffled(y, batch_size, random_state)
    order = random_state.permutation(known)
    batches = cut(order, even_batches(len(known), batch_size))
    sizes = [ceil(ratio * len(batch)) for batch in batches]
    n_rounds = ceil(sum(sizes) / len(anomalies))
    keys = random_state.random_sample((n_rounds, len(anomalies)))
    drawn = anomalies[keys.argsort(axis=1).ravel()]  # each round is a permutation
    parts = cut(drawn, np.cumsum([0, *sizes]))
    return [np.concatenate(pair) for pair in zip(batches, parts, strict=True)]


def mix_anomalies(X, y):
    r"""Move each anomaly of a batch toward another one, or itself, by a random share.

    .. math:: x_i + u_i (x_{\pi(i)} - x_i), \qquad u_i \sim U(0, 1)

    where :math:`\pi` is a random permutation of the anomalies. The permutation and the
    shares :math:`u_i` are drawn from torch's stream.

    Parameters
    ----------
    X : Tensor of shape (m, ...)
        Samples, anomalies last; anomalies are changed in place.

    y : ndarray of shape (m,)
        Labels; anomalies have labels below 0.

    Returns
    -------
    Tensor of shape (m, ...)
        The same tensor.
    """
    anomalies = X[np.sum(y >= 0) :]
    partners = anomalies[torch.randperm(len(anomalies), device=X.device)]
    share = torch.rand(len(anomalies), *[1] * (X.ndim - 1), device=X.device)
    anomalies.copy_(torch.lerp(anomalies, partners, share))
    return X


def random_triplets(y, batch_size, random_state, *, n_steps):
    """Draw random triplets for `EIDNLoss`: positives, then as many negatives.

    The positive of a triplet is a normal row or an anomaly with equal probability; the
    negative is of the other kind. Both are drawn with replacement from all rows of
    their kind.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels; anomalies have labels below 0.

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
    """Pair normal rows with anomalies, in order, and use each pair both ways round.

    The rarer kind is repeated, so that every row is used. Nothing is random, so that
    the losses of different epochs can be compared.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels; anomalies have labels below 0.

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


def both_kinds(y):
    """Indices of normal rows and of anomalies, which have labels below 0 in `y`."""
    normal, anomalies = np.flatnonzero(y >= 0), np.flatnonzero(y < 0)
    if not len(normal) or not len(anomalies):
        raise ValueError(
            "train_split must leave normal samples and anomalies on both sides, got "
            f"{len(normal)} normal samples and {len(anomalies)} anomalies on one side. "
            "Split by ValidSplit(5, stratified=True), or do without a split."
        )
    return normal, anomalies


def even_batches(n, batch_size):
    """Bounds of consecutive batches of nearly equal size, at most `batch_size`.

    A batch has a single row, on which batch normalization could not train, only if
    there is no other row or `batch_size` is below 3.

    Examples
    --------
    >>> even_batches(10, 4).tolist()
    [0, 3, 6, 10]
    """
    n_batches = -(-n // batch_size)
    return np.arange(n_batches + 1) * n // n_batches


def cut(values, bounds):
    """Cut an array at bounds into parts, much faster than `np.split`.

    Examples
    --------
    >>> cut(np.array([5, 6, 7]), np.array([0, 2, 3]))
    [array([5, 6]), array([7])]
    """
    return [values[a:b] for a, b in pairwise(bounds.tolist())]
