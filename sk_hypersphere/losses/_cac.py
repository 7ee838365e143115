"""Loss of class anchor clustering."""

from torch import Tensor

from sk_hypersphere.losses._terms import (
    GeneralizedLoss,
    cross_entropies,
    to_own_center,
)

# Distances below its root have no gradient: that of a root is infinite at 0.
LEAST_SQ_DISTANCE = 1e-12


class CACLoss(GeneralizedLoss):
    r"""Pull rows to the anchor of their class, relative to all other anchors.

    .. math::

        \mathcal{L} = \frac{1}{n} \sum_{i:\, y_i \ge 0} \Bigl[ \alpha\, d_{i y_i}
        + \beta \log\Bigl(1 + \sum_{k \ne y_i} e^{d_{i y_i} - d_{ik}}\Bigr) \Bigr]
        + \frac{\gamma}{n'} \sum_{i:\, y_i < 0} \sum_k
        \max\bigl(0, (r_k + m_k)^2 - d_{ik}^2\bigr)

    where :math:`d_{ik} = \lVert f(x_i) - a_k \rVert` is the Euclidean distance, not
    squared, of the embedding :math:`f(x_i)` to the anchor :math:`a_k` of class
    :math:`k`, and :math:`n` and :math:`n'` the numbers of known rows and of outliers in
    the batch. The first term is the anchor loss of [1]_, whose weight is called lambda
    there, the second the tuplet loss; the third, with radii :math:`r_k` and margins
    :math:`m_k`, is that of generalized hypersphere learning [2]_.

    Parameters
    ----------
    alpha : float, default=1.0
        Weight of the distance to the own anchor, at least 0.

    beta : float, default=1.0
        Weight of the distances relative to each other, at least 0.

    gamma : float or None, default=1.0
        Weight of the outliers, at least 0; None where there are none.

    radius : float or sequence of float, default=0.0
        Radius :math:`r_k` of all spheres, or one for each class.

    margin : float or sequence of float, default=2.0
        Margin :math:`m_k`, or one for each class.

    References
    ----------
    .. [1] D. Miller, N. Sünderhauf, M. Milford and F. Dayoub. "Class Anchor Clustering:
       A Loss for Distance-based Open Set Recognition". WACV 2021.
    .. [2] K. Kirchheim, M. Filax and F. Ortmeier. "Multi Class Hypersphere Anomaly
       Detection". ICPR 2022.

    Examples
    --------
    >>> import torch
    >>> loss = CACLoss(alpha=1.0, beta=0.0)
    >>> loss(torch.tensor([[9.0, 25.0]]), torch.tensor([0])).item()
    3.0
    """

    def forward(self, sq_distances: Tensor, y: Tensor) -> Tensor:
        distances = sq_distances.clamp(min=LEAST_SQ_DISTANCE).sqrt()  # (n, k)
        anchor = to_own_center(distances, y)  # (n,)
        tuplet = cross_entropies(-distances, y)  # (n,)
        costs = self.alpha * anchor + self.beta * tuplet
        return self.total(costs, sq_distances, y)
