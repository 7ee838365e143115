"""II loss: the spread within classes and the distance between classes."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class IILoss(nn.Module):
    r"""Pull rows to the mean of their class, and push the two closest means apart.

    .. math::

        \mathcal{L} = \frac{\alpha}{n} \sum_{i=1}^{n} \lVert z_i - \mu_{y_i} \rVert^2
        - \beta \min_{a \ne b} \lVert \mu_a - \mu_b \rVert^2,
        \qquad \mu_k = \frac{1}{n_k} \sum_{i:\, y_i = k} z_i

    where :math:`z_i` is the embedding of row :math:`i`, :math:`n` the number of rows in
    the batch, and :math:`\mu_k` the mean of its :math:`n_k` rows of class :math:`k`,
    through which gradients flow. Classes without rows in the batch are left out; with
    fewer than two classes the second term is 0.

    It is called as ``loss(embeddings, y)``, with labels in 0..k-1 only. It has no lower
    bound, so embeddings have to be scaled, as
    :class:`~sk_hypersphere.modules.UnitVariance` does.

    Parameters
    ----------
    n_classes : int
        Number of classes k.

    alpha : float, default=1.0
        Weight of the spread within classes, at least 0.

    beta : float, default=1.0
        Weight of the separation of the two closest means, at least 0.

    References
    ----------
    .. [1] M. Hassen and P. K. Chan. "Learning a Neural-Network-Based Representation for
       Open Set Recognition". SDM 2020.

    Examples
    --------
    >>> z = torch.tensor([[0.0, 1.0], [0.0, -1.0], [3.0, 0.0]])
    >>> IILoss(2)(z, torch.tensor([0, 0, 1])).item()  # 2 / 3 - 9
    -8.333...
    """

    stacks = True

    def __init__(self, n_classes: int, alpha: float = 1.0, beta: float = 1.0):
        super().__init__()
        self.n_classes = n_classes
        self.alpha = alpha
        self.beta = beta

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        member = functional.one_hot(y, self.n_classes).to(z.dtype)  # (n, k)
        sizes = member.sum(dim=-2)  # (k,)
        means = member.mT @ z / sizes.clamp(min=1)[..., None]  # (k, p)
        own = means.gather(-2, y[..., None].expand(z.shape))  # (n, p)
        intra = (z - own).square().sum(dim=-1).mean(dim=-1)
        n = z.shape[-2]
        if self.n_classes > n:
            # Classes without rows are dropped: they would be in most pairs of means.
            kept = sizes.argsort(dim=-1, descending=True, stable=True)[..., :n]
            sizes = sizes.gather(-1, kept)  # (n,)
            means = means.gather(-2, kept[..., None].expand(z.shape))  # (n, p)
        return self.alpha * intra - self.beta * least_gap(means, sizes > 0)


def least_gap(means: Tensor, present: Tensor) -> Tensor:
    """Return the least squared distance of means, (k, p), that are present, (k,)."""
    differences = means[..., :, None, :] - means[..., None, :, :]  # (k, k, p)
    gaps = differences.square().sum(dim=-1)  # (k, k)
    itself = torch.eye(means.shape[-2], dtype=torch.bool, device=means.device)
    pairs = present[..., :, None] & present[..., None, :] & ~itself
    closest = gaps.masked_fill(~pairs, torch.inf).amin(dim=(-2, -1))
    return closest.where(closest.isfinite(), 0.0)
