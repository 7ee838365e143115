"""Loss of class anchor clustering."""

from torch import Tensor

from sk_hypersphere.losses._terms import (
    GeneralizedLoss,
    cross_entropies,
    to_own_center,
)

# Smaller squared distances are raised to this value and have no gradient, because the
# gradient of the square root is infinite at 0.
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
    :math:`k`, and :math:`n` and :math:`n'` are the numbers of known rows and of
    anomalies in the batch. The first term is the anchor loss of [1]_, whose weight is
    called lambda there, and the second is the tuplet loss. The third term, with radii
    :math:`r_k` and margins :math:`m_k`, comes from generalized hypersphere learning
    [2]_.

    Parameters
    ----------
    alpha : float, default=1.0
        Weight of the distance to the own anchor, at least 0.

    beta : float, default=1.0
        Weight of the distances relative to each other, at least 0.

    gamma : float or None, default=1.0
        Weight of the anomalies, at least 0; None if there are no anomalies.

    radius : float or sequence of float, default=0.0
        Radius :math:`r_k` of all spheres, or one for each class.

    margin : float or sequence of float, default=2.0
        Margin :math:`m_k`, or one for each class.

    Notes
    -----
    Distances are Euclidean, in decisions and probabilities too, and all other classes
    count, as in [1]_; the experiments of [2]_ square distances and leave classes out.
    :class:`~sk_hypersphere.CACClassifier` takes its magnitude and weights from [1]_,
    and `gamma` and `margin` from [2]_ on CIFAR-10, converted. For the magnitude of 2 in
    [2]_ the margin is 1 and the weight, as a mean over samples relative to `beta`, is
    256 times 5e-4 over 1.5 / 3. Five times the magnitude needs five times the margin
    and, because distances are squared, a 25th of the weight.

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


def anchor_scores(distances: Tensor) -> Tensor:
    r"""Score rows: low if they are far from the nearest center, or between centers.

    .. math:: -\min_k d_k \Bigl(1 - \frac{e^{-d_k}}{\sum_j e^{-d_j}}\Bigr)

    for distances :math:`d_k`, not squared. A single center gives :math:`-d_1`.

    Parameters
    ----------
    distances : Tensor of shape (n, k)

    Returns
    -------
    Tensor of shape (n,)

    Examples
    --------
    >>> import torch
    >>> anchor_scores(torch.tensor([[3.0, 3.0], [0.0, 9.0]]))
    tensor([-1.5000, -0.0000])
    """
    least, nearest = distances.min(dim=1, keepdim=True)  # (n, 1), (n, 1)
    if distances.shape[1] == 1:
        return -least.squeeze(1)
    # The sum over the other centers keeps digits that 1 - softmax would lose.
    others = (-distances).softmax(dim=1).scatter(1, nearest, 0.0).sum(dim=1)
    return -least.squeeze(1) * others  # (n,)
