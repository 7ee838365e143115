"""Loss of multi-class hypersphere anomaly detection."""

from torch import Tensor

from sk_hypersphere.losses._terms import GeneralizedLoss, cross_entropies


class MCHADLoss(GeneralizedLoss):
    r"""Pull rows to the center of their class, and push them from all other centers.

    .. math::

        \mathcal{L} = \frac{1}{n} \sum_{i:\, y_i \ge 0} \bigl[
        \alpha \mathcal{L}_\Lambda(x_i, y_i) + \beta \mathcal{L}_\Delta(x_i, y_i)
        \bigr] + \frac{\gamma}{n'} \sum_{i:\, y_i < 0} \mathcal{L}_\Theta(x_i)

    where, with the squared distance :math:`d_k^2 = \lVert f(x) - c_k \rVert^2` of the
    embedding :math:`f(x)` to the center :math:`c_k` of class :math:`k`,

    .. math::

        \mathcal{L}_\Lambda(x, y) &= \max(0, d_y^2 - r_y^2) \\
        \mathcal{L}_\Delta(x, y) &= \log\Bigl(1 + \sum_{k \ne y}
        e^{d_y^2 - d_k^2}\Bigr) \\
        \mathcal{L}_\Theta(x) &= \sum_k \max\bigl(0, (r_k + m_k)^2 - d_k^2\bigr)

    :math:`n` and :math:`n'` are the numbers of known rows and of anomalies in the
    batch, :math:`r_k` radii and :math:`m_k` margins. :math:`\mathcal{L}_\Theta` pushes
    anomalies from all spheres. :math:`\mathcal{L}_\Delta` is the cross-entropy of a
    softmax of :math:`-d_k^2` and is computed as such, so that distant rows do not
    overflow.

    Parameters
    ----------
    alpha : float, default=1.0
        Weight of the compactness of classes, at least 0.

    beta : float, default=1.0
        Weight of the variation between classes, at least 0.

    gamma : float or None, default=1.0
        Weight of the anomalies, at least 0; None if there are no anomalies.

    radius : float or sequence of float, default=0.0
        Radius :math:`r_k` of all spheres, or one for each class. Rows inside the sphere
        of their class add nothing to the compactness term.

    margin : float or sequence of float, default=2.0
        Margin :math:`m_k`, or one for each class.

    Notes
    -----
    The default weights of :class:`~sk_hypersphere.MCHADClassifier` are the published
    weights for CIFAR-10, converted to means over samples. The code of the experiments
    divides the compactness by the 10 classes, and the cost of known samples by known
    samples and anomalies together, 128 of 384; it sums over the 256 anomalies.

    ================== ============ ============== ========================
    published weights  compactness  variation      anomalies
    ================== ============ ============== ========================
    MCHAD              0.5          1              0
    as means           0.5 / 10     1              0
    G-MCHAD            1            1.5            1e-5
    as means           1 / 10 / 3   1.5 / 3        256e-5
    relative to `beta` 0.0667       1              0.00512
    ================== ============ ============== ========================

    A common factor of the weights does not change Adam, except for its weight decay.
    `alpha` is 0.05 as for MCHAD, in both cases. The published margin of 4 is squared
    and compared with distances squared twice; the margin of 2 here is squared and
    compared with distances squared once. Both end at the same distance, but an anomaly
    at a center costs 16 there and 4 here, which the conversion does not correct.

    Each center starts on an axis of its own, at a distance of 2 from the origin. In the
    experiments this distance is 1 if there are as many components as classes; otherwise
    centers start at normal random points, about 4 from the origin.

    References
    ----------
    .. [1] K. Kirchheim, M. Filax and F. Ortmeier. "Multi Class Hypersphere Anomaly
       Detection". ICPR 2022.

    Examples
    --------
    >>> import torch
    >>> sq_distances = torch.tensor([[1.0, 9.0], [16.0, 1.0]])
    >>> loss = MCHADLoss(alpha=1.0, beta=0.0, gamma=1.0)
    >>> loss(sq_distances, torch.tensor([0, -1])).item()  # 1 + (4 - 1)
    4.0
    """

    def forward(self, sq_distances: Tensor, y: Tensor) -> Tensor:
        compactness = self.excess(sq_distances, y)  # (n,)
        variation = cross_entropies(-sq_distances, y)  # (n,)
        costs = self.alpha * compactness + self.beta * variation
        return self.total(costs, sq_distances, y)
