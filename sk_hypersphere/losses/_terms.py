"""Terms that several losses share.

Rows with a label below 0 are example anomalies and belong to no center.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def to_own_center(distances: Tensor, y: Tensor) -> Tensor:
    """Select each row's distance to the center of its own cluster or class.

    Parameters
    ----------
    distances : Tensor of shape (n, k)
        Distances to the k centers, squared or not.

    y : Tensor of shape (n,)
        Cluster of each row, in 0..k-1. Anomalies, below 0, count as cluster 0.

    Returns
    -------
    Tensor of shape (n,)
    """
    if distances.shape[-1] == 1:
        return distances.squeeze(-1)
    own = y.clamp(min=0).unsqueeze(-1)  # (n, 1)
    return distances.gather(-1, own).squeeze(-1)  # (n, k) -> (n,)


def cross_entropies(logits: Tensor, y: Tensor) -> Tensor:
    """Compute the cross-entropy of every row, (n, k) -> (n,); 0 for anomalies."""
    costs = functional.cross_entropy(
        logits.flatten(0, -2),
        y.flatten().clamp(min=-1),
        ignore_index=-1,
        reduction="none",
    )
    return costs.view(y.shape)


def mean_where(mask: Tensor, values: Tensor) -> Tensor:
    """Average values, (n,), over a mask, (n,); an empty mask gives 0, with a gradient.

    The number of rows in the mask never leaves the device.
    """
    return values.where(mask, 0).sum(dim=-1) / mask.sum(dim=-1).clamp(min=1)


class GeneralizedLoss(nn.Module):
    r"""Base class of losses that also learn from example anomalies.

    .. math::

        \frac{1}{n} \sum_{i:\, y_i \ge 0} \ell(x_i, y_i) + \frac{\gamma}{n'}
        \sum_{i:\, y_i < 0} \sum_k \max\bigl(0, (r_k + m_k)^2 - d_{ik}^2\bigr)

    where :math:`\ell(x_i, y_i)` is the cost of row :math:`x_i` of the known class
    :math:`y_i`, in which each loss weighs two terms by :math:`\alpha` and
    :math:`\beta`, :math:`d_{ik}^2` is the squared distance of row :math:`i` to center
    :math:`k`, :math:`r_k` and :math:`m_k` are radii and margins, and :math:`n` and
    :math:`n'` are the numbers of known rows and of anomalies.

    Parameters
    ----------
    alpha, beta : float
        Weights of the two terms, at least 0.

    gamma : float or None
        Weight of the anomalies, at least 0; None if there are no anomalies.

    radius, margin : float or sequence of float
        Radius and margin of all spheres, or one for each.
    """

    stacks = True
    sq_radius: Tensor
    sq_reach: Tensor

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 1.0,
        gamma: float | None = 1.0,
        radius: float | Sequence[float] = 0.0,
        margin: float | Sequence[float] = 2.0,
    ):
        super().__init__()
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        radii = torch.as_tensor(radius, dtype=torch.float64)
        margins = torch.as_tensor(margin, dtype=torch.float64)
        self.are_points = not radii.any()  # radii of 0 need no subtraction
        self.register_buffer("sq_radius", radii.square())
        self.register_buffer("sq_reach", (radii + margins).square())

    def excess(self, sq_distances: Tensor, y: Tensor) -> Tensor:
        r"""Compute how far rows are outside their own sphere, (n,).

        .. math:: \max(0, \lVert f(x_i) - c_{y_i} \rVert^2 - r_{y_i}^2)
        """
        if self.are_points:
            return to_own_center(sq_distances, y)
        sq_radius = self.sq_radius.to(sq_distances.dtype)
        return to_own_center((sq_distances - sq_radius).clamp(min=0), y)

    def total(self, costs: Tensor, sq_distances: Tensor, y: Tensor) -> Tensor:
        """Compute the loss from the costs of the known rows, (n,)."""
        if self.gamma is None:
            return costs.mean(dim=-1)  # faster than a search for known rows
        known = mean_where(y >= 0, costs)
        if not self.gamma:
            return known
        sq_reach = self.sq_reach.to(sq_distances.dtype)
        depths = (sq_reach - sq_distances).clamp(min=0).sum(dim=-1)  # (n, k) -> (n,)
        return known + self.gamma * mean_where(y < 0, depths)
