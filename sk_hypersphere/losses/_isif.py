"""Instance embedding: every sample is a class of its own."""

import torch
from torch import Tensor, nn

# Larger probabilities count as this value: log(1 - p) stays above -14, and 1 - p does
# not round to 0 in float32.
LARGEST_PROBABILITY = 1 - 1e-6


class ISIFLoss(nn.Module):
    r"""Bring two views of a sample together, and spread views of different samples.

    .. math::

        \mathcal{L} = -\frac{1}{2 n} \sum_i \Bigl[ \log P(i' \mid i) + m
        \sum_{j \notin \{i, i'\}} \log \bigl(1 - P(j \mid i)\bigr) \Bigr], \qquad
        P(j \mid i) = \frac{e^{z_i^\top z_j / \tau}}{\sum_{l \ne i}
        e^{z_i^\top z_l / \tau}}

    over the embeddings :math:`z_i`, of length one, of two views of :math:`n` samples.
    :math:`i'` is the other view of the sample that :math:`i` shows, :math:`\tau` the
    temperature and :math:`m` the weight of the spreading. The loss stays finite even if
    rows coincide: in the second term :math:`P(j \mid i)` is at most
    :math:`1 - 10^{-6}`, and has no gradient beyond that.

    It is called as ``loss(z, y)`` with embeddings, (2 n, p), the first views before
    the second ones in the same order; `y` is not used.

    Parameters
    ----------
    temperature : float, default=0.1
        Temperature, above 0. The lower it is, the more the nearest other samples count.

    negative_weight : float, default=1.0
        Weight of the spreading, at least 0.

    References
    ----------
    .. [1] M. Ye, X. Zhang, P. Yuen and S.-F. Chang. "Unsupervised Embedding Learning
       via Invariant and Spreading Instance Feature". CVPR 2019.

    Examples
    --------
    >>> z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    >>> ISIFLoss(temperature=1.0)(z, None).item()
    1.027...
    """

    def __init__(self, temperature: float = 0.1, negative_weight: float = 1.0):
        super().__init__()
        self.temperature = temperature
        self.negative_weight = negative_weight

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        n = len(z) // 2
        itself = torch.eye(2 * n, dtype=torch.bool, device=z.device)
        similarities = (z @ z.T / self.temperature).masked_fill(itself, -torch.inf)
        log_p = similarities.log_softmax(dim=1)  # (2 n, 2 n)
        near = log_p.diagonal(n).sum() + log_p.diagonal(-n).sum()
        others = log_p.masked_fill(itself.roll(n, dims=1), -torch.inf).exp()
        far = (-others.clamp(max=LARGEST_PROBABILITY)).log1p().sum()
        return -(near + self.negative_weight * far) / (2 * n)
