"""Center loss, combined with a linear classifier."""

from torch import Tensor

from sk_hypersphere.losses._terms import GeneralizedLoss, cross_entropies


class CenterLoss(GeneralizedLoss):
    r"""Classify rows by a linear layer, and pull them to the center of their class.

    .. math::

        \mathcal{L} = \frac{1}{n} \sum_{i:\, y_i \ge 0} \bigl[
        \alpha \max(0, d_{i y_i}^2 - r_{y_i}^2) - \beta \log \sigma_{y_i}(W f(x_i) + b)
        \bigr] + \frac{\gamma}{n'} \sum_{i:\, y_i < 0} \sum_k
        \max\bigl(0, (r_k + m_k)^2 - d_{ik}^2\bigr)

    where :math:`d_{ik}^2 = \lVert f(x_i) - c_k \rVert^2` is the squared distance of the
    embedding :math:`f(x_i)` to the center :math:`c_k` of class :math:`k`,
    :math:`\sigma` is the softmax of the logits :math:`W f(x) + b`, and :math:`n` and
    :math:`n'` are the numbers of known rows and of anomalies in the batch.
    :math:`\alpha` is half the lambda of [1]_. The last term, with radii :math:`r_k` and
    margins :math:`m_k`, comes from generalized hypersphere learning [2]_.

    It is called as ``loss(output, y)`` with the output of
    :class:`~sk_hypersphere.modules.CentersAndLogits`, (n, 2 k).

    Parameters
    ----------
    alpha : float, default=1.0
        Weight of the compactness of classes, at least 0.

    beta : float, default=1.0
        Weight of the cross-entropy, at least 0.

    gamma : float or None, default=1.0
        Weight of the anomalies, at least 0; None if there are no anomalies.

    radius : float or sequence of float, default=0.0
        Radius :math:`r_k` of all spheres, or one for each class.

    margin : float or sequence of float, default=2.0
        Margin :math:`m_k`, or one for each class.

    Notes
    -----
    In [1]_ a separate update rule moves centers toward the means of the batches; here,
    as in [2]_, centers are learned like the weights. The default weights of
    :class:`~sk_hypersphere.CenterLossClassifier` are the weights of [2]_ for CIFAR-10,
    converted to means over samples as in :class:`~sk_hypersphere.losses.MCHADLoss`:
    0.5 / 10, 1, and 256 times 8e-6 over 1.5 / 3.

    References
    ----------
    .. [1] Y. Wen, K. Zhang, Z. Li and Y. Qiao. "A Discriminative Feature Learning
       Approach for Deep Face Recognition". ECCV 2016.
    .. [2] K. Kirchheim, M. Filax and F. Ortmeier. "Multi Class Hypersphere Anomaly
       Detection". ICPR 2022.

    Examples
    --------
    >>> import torch
    >>> output = torch.tensor([[1.0, 9.0, 0.0, 0.0]])  # distances, then logits
    >>> CenterLoss(alpha=1.0)(output, torch.tensor([0])).item()  # 1 + log 2
    1.693...
    """

    def forward(self, output: Tensor, y: Tensor) -> Tensor:
        sq_distances, logits = output.chunk(2, dim=-1)  # (n, 2 k) -> (n, k), (n, k)
        compactness = self.excess(sq_distances, y)  # (n,)
        costs = self.alpha * compactness + self.beta * cross_entropies(logits, y)
        return self.total(costs, sq_distances, y)
