"""What several losses are made of: the own distance, spheres, means over known rows.

Rows labelled below 0 are example anomalies, outliers: they belong to no center.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def own_sq_distances(sq_distances: Tensor, y: Tensor) -> Tensor:
    """Squared distance of every row to the center of its own cluster or class.

    Parameters
    ----------
    sq_distances : Tensor of shape (n, k)
        Squared distances to the k centers.

    y : Tensor of shape (n,)
        Cluster of each row, in 0..k-1; below 0, outliers, it is taken for 0.

    Returns
    -------
    Tensor of shape (n,)
    """
    if sq_distances.shape[1] == 1:
        return sq_distances.squeeze(1)
    return sq_distances.gather(1, y.clamp(min=0)[:, None]).squeeze(1)  # (n, k) -> (n,)


def cross_entropies(logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of every row, (n,), for logits of shape (n, k); 0 for outliers."""
    return functional.cross_entropy(
        logits, y.clamp(min=-1), ignore_index=-1, reduction="none"
    )


def mean_where(mask: Tensor, values: Tensor) -> Tensor:
    """Mean of the values, (n,), in a mask, (n,); 0, with a gradient, if it is empty.

    The number of rows in the mask never leaves the device.
    """
    return values.where(mask, 0).sum() / mask.sum().clamp(min=1)


class Spheres(nn.Module):
    r"""Radii of spheres, and the margin that outliers have to keep from each.

    Parameters
    ----------
    radius : float or sequence of float
        Radius :math:`r_k \ge 0` of every sphere, or of each.

    margin : float or sequence of float
        Width :math:`m_k \ge 0` of the empty shell around every sphere, or around each.
    """

    def __init__(
        self, radius: float | Sequence[float], margin: float | Sequence[float]
    ):
        super().__init__()
        radius = torch.as_tensor(radius, dtype=torch.float64)
        margin = torch.as_tensor(margin, dtype=torch.float64)
        self.register_buffer("sq_radius", radius.square())
        self.register_buffer("sq_reach", (radius + margin).square())

    def outside(self, sq_distances: Tensor, y: Tensor) -> Tensor:
        r"""How far rows are outside their own sphere, (n,).

        .. math:: \max(0, \lVert f(x_i) - c_{y_i} \rVert^2 - r_{y_i}^2)
        """
        sq_radius = self.sq_radius.to(sq_distances.dtype)
        return own_sq_distances((sq_distances - sq_radius).clamp(min=0), y)

    def inside(self, sq_distances: Tensor) -> Tensor:
        r"""How far rows are inside the spheres with their margins, (n,).

        .. math:: \sum_k \max(0, (r_k + m_k)^2 - \lVert f(x_i) - c_k \rVert^2)
        """
        sq_reach = self.sq_reach.to(sq_distances.dtype)
        return (sq_reach - sq_distances).clamp(min=0).sum(dim=1)  # (n, k) -> (n,)
