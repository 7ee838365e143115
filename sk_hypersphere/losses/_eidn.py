"""Enforced isolation: normal samples go to one point, anomalies to another."""

import torch
from torch import Tensor, nn


class EIDNLoss(nn.Module):
    r"""Pull each kind of sample closer to its center than the other, by a margin.

    .. math::

        \mathcal{L} = \frac{1}{m} \sum_{i=1}^{m} \max\bigl(0,
        \lVert f(x_i^p) - t_i \rVert^2 - \lVert f(x_i^n) - t_i \rVert^2 + \alpha\bigr)

    over :math:`m` triplets of an anchor :math:`t_i`, which is one of two centers, a
    positive :math:`x_i^p`, which belongs to this center, and a negative :math:`x_i^n`,
    which belongs to the other center. :math:`f` is the encoder and :math:`\alpha` the
    margin, in squared units of the embedding. Normal samples belong to the first
    center, anomalies to the second.

    It is called as ``loss(sq_distances, y)`` with squared distances to both centers,
    (n, 2), and labels, which are below 0 for anomalies. A batch with only one kind of
    sample has no triplets, and its loss is 0.

    Parameters
    ----------
    margin : float, default=0.2
        Margin :math:`\alpha`, at least 0.

    triplets : {"random", "all"}, default="random"
        Triplets of a batch that count. "random" takes sample i of the first half as the
        positive and sample i of the second half as the negative, if they are of
        different kinds: this is the published loss if such pairs are drawn at random.
        "all" takes any two samples of different kinds, each as the positive of its own
        center [2]_: the loss is the same on average and has less variance, but memory
        grows with the square of the batch size.

    References
    ----------
    .. [1] D. Lappas, V. Argyriou and D. Makris. "Enforced Isolation Deep Network For
       Anomaly Detection In Images".
    .. [2] A. Hermans, L. Beyer and B. Leibe. "In Defense of the Triplet Loss for Person
       Re-Identification". 2017.

    Examples
    --------
    >>> import torch
    >>> positive, negative = [0.5, 1.0], [1.0, 0.75]  # squared distances to the centers
    >>> EIDNLoss(margin=1.0)(torch.tensor([positive, negative]), torch.tensor([0, -1]))
    tensor(0.5000)
    """

    stacks = True

    def __init__(self, margin: float = 0.2, triplets: str = "random"):
        super().__init__()
        if triplets not in ("random", "all"):
            raise ValueError(
                f'triplets must be "random" or "all", got {triplets!r}. Start from '
                '"random".'
            )
        self.margin = margin
        self.triplets = triplets

    def forward(self, sq_distances: Tensor, y: Tensor) -> Tensor:
        is_anomaly = y < 0
        if self.triplets == "all":
            return self._of_all(sq_distances, is_anomaly)
        return self._of_halves(sq_distances, is_anomaly)

    def _of_all(self, sq_distances: Tensor, is_anomaly: Tensor) -> Tensor:
        belongs = torch.stack([~is_anomaly, is_anomaly], dim=-2)  # (2, n)
        to_centers = sq_distances.mT  # (2, n)
        # Infinite distances make the other pairs cost 0, with a gradient of 0.
        positives = torch.where(belongs, to_centers, -torch.inf)
        negatives = torch.where(belongs, torch.inf, to_centers)
        excess = positives[..., :, None] - negatives[..., None, :]  # (2, n, n)
        costs = torch.relu(excess + self.margin)  # faster than clamp
        n_anomalies = is_anomaly.sum(dim=-1)
        n_triplets = 2 * n_anomalies * (is_anomaly.shape[-1] - n_anomalies)
        return costs.sum(dim=(-3, -2, -1)) / n_triplets.clamp(min=1)

    def _of_halves(self, sq_distances: Tensor, is_anomaly: Tensor) -> Tensor:
        m = is_anomaly.shape[-1] // 2
        own, other = is_anomaly[..., : 2 * m].unflatten(-1, (2, m)).unbind(-2)
        positives, negatives = (
            sq_distances[..., : 2 * m, :].unflatten(-2, (2, m)).unbind(-3)
        )
        costs = torch.relu(positives - negatives + self.margin)  # (m, 2)
        # A pair counts if its kinds differ; its first sample is the positive.
        counts = torch.stack([own < other, own > other], dim=-1)  # (m, 2)
        n_triplets = counts.sum(dim=(-2, -1)).clamp(min=1)
        return (costs * counts).sum(dim=(-2, -1)) / n_triplets
