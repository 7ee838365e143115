"""Kinds of normal samples: labels that are given, or clusters that are found.

Samples that are held out have no part in what is found; they join a kind that is there
without them.
"""

import math
from typing import NamedTuple

import numpy as np
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import _safe_indexing, check_array, indexable

from sk_hypersphere._training.random import clone_with_seeds
from sk_hypersphere.base._clustering import find_groups, merge_tiny
from sk_hypersphere.base._labels import classes_and_codes
from sk_hypersphere.base._spheres import cluster_means
from sk_hypersphere.preprocessing import GlobalContrastNormalizer

# Without an embedder, samples are clustered in this many principal components.
N_PRINCIPAL = 50


class Kinds(NamedTuple):
    """Kinds of samples, k of them.

    `labels`, (n,), are the kind of each sample in 0..k-1; `names`, (k,), their former
    names or numbers; `sizes`, (k,), how many samples of each are trained on.
    """

    labels: np.ndarray
    names: np.ndarray
    sizes: np.ndarray


def principal_components(X, n_fitted):
    """An embedder for samples, (n, ...), that is fitted to a number of them."""
    if (X == X[:1]).all():
        raise ValueError(
            "X must hold samples that differ, so that sub-clusters can be found, got "
            f"n_samples={len(X)} that are all alike. Give more of them, or "
            "cluster_labels."
        )
    # Importing these takes longer than importing all of this package.
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline

    n_components = min(N_PRINCIPAL, n_fitted, math.prod(X.shape[1:]))
    flatten = FunctionTransformer(contrasts).set_output(transform="default")
    return make_pipeline(flatten, PCA(n_components))


def as_rows(X):
    """Samples of any shape as float32 rows, (n, p)."""
    return X.reshape(len(X), -1).astype(np.float32, copy=False)


def contrasts(X):
    """Rows to find clusters in, (n, p); images are normalized to equal contrast."""
    if X.ndim == 2:
        return as_rows(X)
    return GlobalContrastNormalizer(scale="l2").fit_transform(as_rows(X))


def embed(embedder, X, y, run):
    """Rows to cluster, (n, p), and the fitted copy of the embedder.

    The copy is fitted without the samples that are held out.
    """
    embedder = clone_with_seeds(embedder, run.random_state)
    if len(run.held_out) and hasattr(embedder, "transform"):
        rest = np.delete(np.arange(len(X)), run.held_out)
        _, y = indexable(X, y)
        own_y = None if y is None else _safe_indexing(y, rest)
        points = embedder.fit(X[rest], own_y).transform(X)
    elif hasattr(embedder, "fit_transform"):
        points = embedder.fit_transform(X, y)
    else:
        points = embedder.fit(X, y).transform(X)
    points = check_array(
        points, dtype=[np.float64, np.float32], input_name="the result of embedder"
    )
    if len(points) != len(X):
        raise ValueError(
            f"embedder must return a row for each of the {len(X)} samples, got "
            f"{len(points)} from {embedder!r}. Leave out or add samples before fit."
        )
    return points, embedder


def find_kinds(clusterer, points, least, run):
    """Kinds that a clusterer finds in rows, and the fitted copy of the clusterer.

    Parameters
    ----------
    clusterer : clusterer
        See `find_groups`; noise joins the nearest cluster.

    points : ndarray of shape (n, p)

    least : int
        Smaller clusters are merged into the nearest.

    run : Run
        Random state of this fit, and the samples that are held out.

    Returns
    -------
    (Kinds, clusterer)
    """
    left = _left(len(points), run)
    clusterer, groups = find_groups(clusterer, points[left], run.random_state)
    names = np.unique(groups[groups >= 0])
    _, codes = cluster_means(points[left], groups)
    kept, labels = merge_tiny(points, _spread(codes, left, len(points)), least)
    if len(kept) < 2:
        raise ValueError(
            "clusterer must find two sub-clusters at least, got a single one from "
            f"{clusterer!r}. Set its number of clusters, for example "
            "clusterer=FINCH(n_clusters=10), give another embedder, or give "
            "cluster_labels."
        )
    return _with_held_out(points, labels, names[kept], left), clusterer


def given_kinds(cluster_labels, X, least, run):
    """Kinds that labels name, in the form of `find_kinds`."""
    left = _left(len(X), run)
    points = X.reshape(len(X), -1)
    names, given = classes_and_codes(cluster_labels, "cluster_labels")
    present, codes = np.unique(given[left], return_inverse=True)
    kept, labels = merge_tiny(points, _spread(codes, left, len(X)), least)
    if len(kept) < 2:
        raise ValueError(
            "cluster_labels must name two sub-clusters at least, got "
            f"{cluster_labels.tolist()[0]!r} for all samples. Give labels that differ, "
            "or none, to have sub-clusters found."
        )
    # Samples that are held out join the samples of the same label.
    cluster_of = np.full(given.max() + 1, -1)
    cluster_of[given[left]] = labels[left]
    return _with_held_out(points, cluster_of[given], names[present][kept], left)


def _left(n_samples, run):
    """Indices of the samples that are not held out; a slice if these are all."""
    if not len(run.held_out):
        return slice(None)
    return np.delete(np.arange(n_samples), run.held_out)


def _spread(codes, left, n_samples):
    """Codes of the samples that are left, and -1 for the others, (n,)."""
    labels = np.full(n_samples, -1)
    labels[left] = codes
    return labels


def _with_held_out(points, labels, names, left):
    """Kinds in which samples without a label, all held out, join the nearest mean."""
    sizes = np.bincount(labels[left])
    if (labels < 0).any():
        _, labels = cluster_means(points, labels)
    return Kinds(labels, names, sizes)
