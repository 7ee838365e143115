"""Groups that a clusterer finds, for spheres or as labels to learn."""

import numpy as np
from sklearn.metrics import pairwise_distances_argmin

from sk_hypersphere._training.random import clone_with_seeds
from sk_hypersphere.base._spheres import cluster_means


def find_groups(clusterer, points, random_state):
    """Fit a copy of a clusterer.

    Parameters
    ----------
    clusterer : clusterer
        With a method `fit_predict`.

    points : ndarray of shape (n, p)

    random_state : RandomState
        Gives seeds to a clusterer that has none.

    Returns
    -------
    (clusterer, ndarray of shape (n,))
        The fitted copy, and the group of each point; below 0 for noise.

    Raises
    ------
    ValueError
        If there is only noise, or no group for every point.
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


def merge_tiny(points, labels, least):
    """Let clusters of fewer than `least` points join the nearest that has as many.

    Nearest are the means. The two largest stay, whatever their size.

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
