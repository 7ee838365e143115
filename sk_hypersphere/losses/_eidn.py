"""Enforced isolation: normal samples to one point, anomalies to another."""

from torch import Tensor, nn

from sk_hypersphere.losses._terms import mean_where


class EIDNLoss(nn.Module):
    r"""Bring one kind of sample closer to its center than the other kind, by a margin.

    .. math::

        \mathcal{L} = \frac{1}{m} \sum_{i=1}^{m} \max\bigl(0,
        \lVert f(x_i^p) - t_i \rVert^2 - \lVert f(x_i^n) - t_i \rVert^2 + \alpha\bigr)

    over :math:`m` triplets of an anchor :math:`t_i`, one of two centers; a positive
    :math:`x_i^p`, which belongs to it; and a negative :math:`x_i^n`, which belongs to
    the other. :math:`f` is the encoder and :math:`\alpha` the margin, in squared units
    of the embedding. The first center is that of normal samples, the second that of
    anomalies.

    It is called as ``loss(sq_distances, y)`` with squared distances to both centers,
    (2 m, 2), of the positives before those of the negatives, and labels of which those
    of anomalies are below 0; the positive's says which center is the anchor. Two of the
    same kind are no triplet: in a batch of another make, samples i and i + m count if
    they differ.

    Parameters
    ----------
    margin : float, default=0.2
        :math:`\alpha`, at least 0.

    References
    ----------
    .. [1] D. Lappas, V. Argyriou and D. Makris. "Enforced Isolation Deep Network For
       Anomaly Detection In Images".

    Examples
    --------
    >>> positive, negative = [0.5, 1.0], [0.6, 0.5]  # squared distances to both centers
    >>> EIDNLoss()(torch.tensor([positive, negative]), torch.tensor([0, -1])).item()
    0.1
    """

    def __init__(self, margin: float = 0.2):
        super().__init__()
        self.margin = margin

    def forward(self, sq_distances: Tensor, y: Tensor) -> Tensor:
        m = len(y) // 2
        is_anomaly, is_other = y[:m] < 0, y[m : 2 * m] < 0
        anchor = is_anomaly.long()[:, None]  # (m, 1)
        positive = sq_distances[:m].gather(1, anchor)
        negative = sq_distances[m : 2 * m].gather(1, anchor)
        costs = (positive - negative + self.margin).clamp(min=0).squeeze(1)  # (m,)
        return mean_where(is_anomaly != is_other, costs)
