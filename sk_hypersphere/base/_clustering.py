"""Groups found by a clusterer, for spheres or as labels to learn."""

import numpy as np
import torch
from sklearn.metrics import pairwise_distances_argmin

from sk_hypersphere._training.checks import has_parameters_to_train
from sk_hypersphere._training.inference import map_batches
from sk_hypersphere._training.random import clone_with_seeds
from sk_hypersphere._training.rows import moved_to_front
from sk_hypersphere.base._spheres import away_from_zero, cluster_means


def find_groups(clusterer, points, random_state):
    """Fit a copy of a clusterer.

    Parameters
    ----------
    clusterer : clusterer
        It must have a method `fit_predict`.

    points : ndarray of shape (n, p)

    random_state : RandomState
        Source of seeds for a clusterer without a seed.

    Returns
    -------
    (clusterer, ndarray of shape (n,))
        The fitted copy, and the group of each point; noise has numbers below 0.

    Raises
    ------
    ValueError
        If there is only noise, or if a point has no group.
    """
    clusterer = clone_with_seeds(clusterer, random_state)
    groups = np.asarray(clusterer.fit_predict(points))
    if groups.shape != (len(points),) or groups.dtype.kind not in "iu":
        raise ValueError(
            f"clusterer must give each of the {len(points)} samples a number, got "
            f"labels of shape {groups.shape} and {groups.dtype} from {clusterer!r}. "
            "Use a clusterer of scikit-learn, or leave clusterer=None."
        )
    if np.max(groups) < 0:
        raise ValueError(
            "clusterer must find at least one cluster, got only noise (label -1) "
            f"from {clusterer!r}. Loosen its parameters, or leave clusterer=None."
        )
    return clusterer, groups


def cluster_centers(encoder, X, groups, clusterer, run, epsilon):
    """Return centers at the mean embeddings of clusters, and each sample's cluster.

    Held-out samples do not count in the means and join the nearest center.

    Parameters
    ----------
    encoder : nn.Module

    X : array of shape (n, ...)

    groups : ndarray of shape (n,) of int or None
        The cluster of each sample, if known; None leaves it to the clusterer.

    clusterer : clusterer
        See `find_groups`.

    run : Run
        Random state and device of this fit, and the samples that are held out.

    epsilon : float
        Least magnitude of coordinates, if training could move samples to 0.

    Returns
    -------
    (Tensor of shape (k, p), float32; ndarray of shape (n,))
    """
    left = np.delete(np.arange(len(X)), run.held_out)
    embeddings = map_batches(encoder.eval(), X, run.device)
    of_held_out = embeddings[run.held_out]
    embeddings = moved_to_front(embeddings, left)
    if groups is None:
        _, groups = find_groups(clusterer, embeddings, run.random_state)
    else:
        groups = groups[left]
    labels = np.empty(len(X), dtype=np.int64)
    centers, labels[left] = cluster_means(embeddings, groups)
    if len(of_held_out):
        labels[run.held_out] = pairwise_distances_argmin(of_held_out, centers)
    if has_parameters_to_train(encoder):
        centers = away_from_zero(centers, epsilon)
    return torch.from_numpy(centers.astype(np.float32)), labels


def merge_tiny(points, labels, least):
    """Merge clusters of fewer than `least` points into the nearest that has as many.

    Distances are taken between means. The two largest clusters stay, whatever their
    size.

    Parameters
    ----------
    points : ndarray of shape (n, p)

    labels : ndarray of shape (n,) of int
        The cluster of each point, in 0..k-1, or -1 for points that do not count.

    least : int

    Returns
    -------
    (ndarray of shape (n_kept,), ndarray of shape (n,))
        Which clusters are kept, and the new cluster of each point, in 0..n_kept-1, or
        -1 as before.

    Examples
    --------
    >>> points = np.array([[0.0], [1.0], [5.0], [6.0], [7.0]])
    >>> merge_tiny(points, np.array([0, 0, 1, 2, 2]), least=2)
    (array([0, 2]), array([0, 0, 1, 1, 1]))
    """
    sizes = np.bincount(labels[labels >= 0])
    is_kept = sizes >= least
    is_kept[np.argsort(-sizes, kind="stable")[:2]] = True
    kept, tiny = np.flatnonzero(is_kept), np.flatnonzero(~is_kept)
    if len(tiny):
        means, _ = cluster_means(points, labels)
        joined = np.cumsum(is_kept) - 1
        joined[tiny] = pairwise_distances_argmin(means[tiny], means[kept])
        labels = np.where(labels < 0, -1, joined[labels])
    return kept, labels
