"""What several losses are made of.

Rows labelled below 0 are example anomalies, outliers: they belong to no center.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def to_own_center(distances: Tensor, y: Tensor) -> Tensor:
    """Of the distances, squared or not, that to the center of the own cluster or class.

    Parameters
    ----------
    distances : Tensor of shape (n, k)
        Distances to the k centers.

    y : Tensor of shape (n,)
        Cluster of each row, in 0..k-1; below 0, outliers, it is taken for 0.

    Returns
    -------
    Tensor of shape (n,)
    """
    if distances.shape[-1] == 1:
        return distances.squeeze(-1)
    own = y.clamp(min=0).unsqueeze(-1)  # (n, 1)
    return distances.gather(-1, own).squeeze(-1)  # (n, k) -> (n,)


def cross_entropies(logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of every row, (n,), for logits of shape (n, k); 0 for outliers."""
    costs = functional.cross_entropy(
        logits.flatten(0, -2),
        y.flatten().clamp(min=-1),
        ignore_index=-1,
        reduction="none",
    )
    return costs.view(y.shape)


def mean_where(mask: Tensor, values: Tensor) -> Tensor:
    """Mean of the values, (n,), in a mask, (n,); 0, with a gradient, if it is empty.

    The number of rows in the mask never leaves the device.
    """
    return values.where(mask, 0).sum(dim=-1) / mask.sum(dim=-1).clamp(min=1)


class GeneralizedLoss(nn.Module):
    r"""What losses have in common that also learn from example anomalies, outliers.

    .. math::

        \frac{1}{n} \sum_{i:\, y_i \ge 0} \ell(x_i, y_i) + \frac{\gamma}{n'}
        \sum_{i:\, y_i < 0} \sum_k \max\bigl(0, (r_k + m_k)^2 - d_{ik}^2\bigr)

    where :math:`\ell` is what a row of a known class costs, in which a loss weighs two
    terms by :math:`\alpha` and :math:`\beta`, :math:`d_{ik}^2` is the squared distance
    of row :math:`i` to center :math:`k`, :math:`r_k` and :math:`m_k` are radii and
    margins, and :math:`n` and :math:`n'` the numbers of known rows and of outliers.

    Parameters
    ----------
    alpha, beta : float
        Weights, at least 0.

    gamma : float or None
        Weight of the outliers, at least 0; None where there are none.

    radius, margin : float or sequence of float
        Of all spheres, or one for each.
    """

    stacks = True

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
        radius = torch.as_tensor(radius, dtype=torch.float64)
        margin = torch.as_tensor(margin, dtype=torch.float64)
        self.are_points = not radius.any()  # then there is nothing to subtract
        self.register_buffer("sq_radius", radius.square())
        self.register_buffer("sq_reach", (radius + margin).square())

    def excess(self, sq_distances: Tensor, y: Tensor) -> Tensor:
        r"""How far rows are outside their own sphere, (n,).

        .. math:: \max(0, \lVert f(x_i) - c_{y_i} \rVert^2 - r_{y_i}^2)
        """
        if self.are_points:
            return to_own_center(sq_distances, y)
        sq_radius = self.sq_radius.to(sq_distances.dtype)
        return to_own_center((sq_distances - sq_radius).clamp(min=0), y)

    def total(self, costs: Tensor, sq_distances: Tensor, y: Tensor) -> Tensor:
        """The loss, given what known rows cost, (n,)."""
        if self.gamma is None:
            return costs.mean(dim=-1)  # quicker than to look for the known rows
        known = mean_where(y >= 0, costs)
        if not self.gamma:
            return known
        sq_reach = self.sq_reach.to(sq_distances.dtype)
        depths = (sq_reach - sq_distances).clamp(min=0).sum(dim=-1)  # (n, k) -> (n,)
        return known + self.gamma * mean_where(y < 0, depths)
