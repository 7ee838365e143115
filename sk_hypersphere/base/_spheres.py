"""Centers, radii and members of spheres."""

import numpy as np
import torch
from sklearn.metrics import pairwise_distances_argmin

from sk_hypersphere._training.checks import has_parameters_to_train
from sk_hypersphere._training.collapse import relative_spread
from sk_hypersphere._training.inference import (
    inference,
    inference_batches,
    map_batches,
    rows_at_once,
)
from sk_hypersphere._training.rows import BatchIterator, labels_of, unwrapped
from sk_hypersphere.base._first_neighbors import sums_and_sizes

# A cluster of this many members gets the mean of its own and the common squared radius.
RADIUS_PRIOR_MEMBERS = 20


def away_from_zero(centers, epsilon):
    """Move coordinates closer to 0 than `epsilon` out to it; 0 counts as positive."""
    sign = np.where(centers < 0, -1.0, 1.0)
    return sign * np.maximum(np.abs(centers), epsilon)


def mean_embedding(encoder, X, device, counted=None):
    """Compute the mean embedding of samples, (p,), without keeping the embeddings.

    `counted` is a mask of the samples that count, (n,); None counts all of them.
    """
    if counted is None:
        counted = np.ones(len(X), dtype=bool)
    encoder.eval()
    with inference(device):
        total = sum(
            encoder(batch)[np.flatnonzero(counted[rows])].sum(
                dim=0, dtype=torch.float64
            )
            for rows, batch in inference_batches(X, device, rows_at_once(X, encoder))
        )
    return total.numpy(force=True) / counted.sum()


def cluster_means(embeddings, groups):
    """Compute the centers of clusters, (k, p), and the cluster of each row in 0..k-1.

    Rows in a group below 0, which are noise, join the cluster of the nearest center.
    """
    names, labels = np.unique(groups, return_inverse=True)
    noise = groups < 0
    labels -= np.sum(names < 0)
    known = ~noise if noise.any() else slice(None)  # slices copy nothing
    sums, sizes = sums_and_sizes(embeddings[known], labels[known])
    centers = sums / sizes[:, None]  # (k, p)
    if noise.any():
        labels[noise] = pairwise_distances_argmin(embeddings[noise], centers)
    return centers, labels


def move_to_means(head, embeddings, labels):
    """Move each center to the mean of its own embeddings that are nearest to it.

    Parameters
    ----------
    head : Centers
        Its centers are changed in place; a center without such embeddings stays.

    embeddings : ndarray of shape (n, p)

    labels : ndarray of shape (n,)
        Number of each embedding's own center; a number below 0 stands for none.
    """
    centers = head.centers.numpy(force=True)
    is_nearest = pairwise_distances_argmin(embeddings, centers) == labels
    if is_nearest.any():
        means, _ = cluster_means(embeddings[is_nearest], labels[is_nearest])
        present = np.unique(labels[is_nearest])
        head.centers[present] = torch.from_numpy(means).to(head.centers)


def nearest_center(module, X, device):
    """Find the sphere with the nearest center for each row, (n,)."""
    module.eval()
    return map_batches(
        lambda x: module.forward(x).argmin(dim=1), X, device, rows_at_once(X, module)
    )


def member_sq_distances(module, rows):
    """Squared distances of rows to their own centers, float64, and the clusters, (n,).

    Parameters
    ----------
    module : Hypersphere
        Encoder and centers.

    rows : Rows or Subset of Rows
        Samples with their clusters as labels.
    """
    module.eval()
    labels = labels_of(rows)
    sq_distances = torch.empty(len(labels), dtype=torch.float64)
    all_rows, _ = unwrapped(rows)
    batch_size = rows_at_once(all_rows.X, module.encoder)
    start = 0
    with inference(all_rows.device):
        for x, y in BatchIterator(rows, batch_size):
            difference = module.embed(x).double() - module.head.centers[y]  # (m, p)
            stop = start + len(y)
            sq_distances[start:stop] = difference.square().sum(dim=1)
            start = stop
    return sq_distances.numpy(), labels


def sq_distances_to_only_center(module, X, device):
    """Squared distances of rows to the only center, (n,), with the bits of scoring.

    The radius of the module is set to 0, and can be set anew from the distances. With
    another radius, the depths of the module would have lost digits.
    """
    set_sq_radii(module, np.zeros(1))
    return 0.0 - map_batches(module.depths, X, device, rows_at_once(X, module))


def mean_center(encoder, X, run, is_counted, epsilon):
    """Center at the mean embedding of some samples that are not held out, (1, p).

    If training could move samples to 0, the coordinates of the center are at least
    `epsilon` in magnitude.

    Parameters
    ----------
    encoder : nn.Module

    X : array of shape (n, ...)

    run : Run
        Device of this fit, and the samples that are held out.

    is_counted : ndarray of shape (n,) of bool
        Samples that count in the mean.

    epsilon : float
    """
    is_counted = is_counted.copy()
    is_counted[run.held_out] = False
    center = mean_embedding(encoder, X, run.device, is_counted)[None]
    if has_parameters_to_train(encoder):
        center = away_from_zero(center, epsilon)
    return torch.from_numpy(center.astype(np.float32))


def place_radii(module, rows, held_out, nu, own=False):
    """Set the radii of spheres to the (1 - nu) quantile of distances to their centers.

    Parameters
    ----------
    module : Hypersphere
        Encoder and centers; the radii are written into it.

    rows : Rows
        Samples with their clusters as labels.

    held_out : ndarray of shape (m,)
        Indices of samples whose distances do not count.

    nu : float
        Fraction of the samples that are left outside.

    own : bool, default=False
        If True, every sphere has a radius of its own, see `cluster_sq_radii`; otherwise
        all have the same.

    Returns
    -------
    (ndarray of shape (n,), ndarray of shape (k,))
        Squared distance of each sample to its own center, and the radii.
    """
    n_centers = module.head.n_outputs
    if n_centers == 1:
        sq_distances = sq_distances_to_only_center(module, rows.X, rows.device)
    else:
        sq_distances, _ = member_sq_distances(module, rows)
    counted = np.delete(sq_distances, held_out)
    if own:
        labels = np.delete(rows.y, held_out)
        sq_radii = cluster_sq_radii(counted, labels, n_centers, nu)
    else:
        sq_radii = np.full(n_centers, sq_radius(counted, nu))
    set_sq_radii(module, rounded_up(sq_radii))
    return sq_distances, np.sqrt(sq_radii)


def member_diagnostics(sq_distances):
    """Summarize the squared distances of rows to their own centers, (n,)."""
    return {
        "mean_sq_distance": float(sq_distances.mean()),
        "distance_spread": relative_spread(np.sqrt(sq_distances)),
    }


def sq_radius(sq_distances, nu, method="linear"):
    """Square of the (1 - nu) quantile of distances; `method` is passed to numpy."""
    return np.quantile(np.sqrt(sq_distances), 1 - nu, method=method) ** 2


def rounded_up(sq_radii):
    """Round squared radii up to the next float32: rows on a sphere stay inside it."""
    return np.nextafter(sq_radii.astype(np.float32), np.float32(np.inf))


def cluster_sq_radii(sq_distances, labels, n_clusters, nu):
    r"""Squared radius of each cluster; small clusters are shrunk to the common radius.

    .. math::

        R_k^2 = \frac{n_k q_k^2 + m q^2}{n_k + m}

    where :math:`q_k` is the :math:`(1 - \nu)` quantile of the distances of the
    :math:`n_k` members of cluster :math:`k` to their center, :math:`q` is the quantile
    of all rows, and :math:`m = 20` members give both the same weight.

    Parameters
    ----------
    sq_distances : ndarray of shape (n,)
        Squared distance of each row to its own center.

    labels : ndarray of shape (n,)
        Cluster of each row.

    n_clusters : int
        Number of clusters k; some may have no rows.

    nu : float
        Fraction of rows left outside.

    Returns
    -------
    ndarray of shape (k,)
    """
    sizes = np.bincount(labels, minlength=n_clusters)
    by_cluster = np.split(sq_distances[np.argsort(labels)], np.cumsum(sizes)[:-1])
    own = np.array([sq_radius(d, nu) if len(d) else 0.0 for d in by_cluster])
    common = sq_radius(sq_distances, nu)
    prior = RADIUS_PRIOR_MEMBERS if n_clusters > 1 else 0
    return (sizes * own + prior * common) / (sizes + prior)


def set_sq_radii(module, sq_radii, loss=None):
    """Write squared radii into the module, for scoring, and the loss, for training."""
    for part in (module.head, loss):
        if part is not None:
            part.sq_radii.copy_(torch.from_numpy(sq_radii))


def update_radii(net, dataset_train, nu):
    """Estimate all radii anew from the training rows, between two epochs."""
    module = net.module_
    sq_distances, labels = member_sq_distances(module, dataset_train)
    n_clusters = module.head.n_outputs
    sq_radii = cluster_sq_radii(sq_distances, labels, n_clusters, nu)
    set_sq_radii(module, sq_radii, net.criterion_)
