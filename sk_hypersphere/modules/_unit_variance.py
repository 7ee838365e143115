"""Scaling of a batch of embeddings to unit variance."""

from torch import Tensor, nn

# A smaller variance is the rounding error of a batch without variance, such as one row.
LEAST_VARIANCE = 1e-12


class UnitVariance(nn.Module):
    r"""Scale the embeddings of a batch so that their components vary by 1 on average.

    .. math::

        f(z_i) = \frac{z_i}{\sqrt{v}}, \qquad
        v = \frac{1}{n p} \sum_{i=1}^{n} \lVert z_i - \bar z \rVert^2

    where :math:`z_i` are the :math:`n` embeddings of the batch, of :math:`p` components
    each, and :math:`\bar z` is their mean. Batch normalization would scale every
    component by itself. One common scale keeps spheres round and does not change which
    embeddings are nearest, so it needs no running statistics.

    Examples
    --------
    >>> import torch
    >>> UnitVariance()(torch.tensor([[0.0], [4.0]]))
    tensor([[0.],
            [2.]])
    """

    stacks = True

    def forward(self, z: Tensor) -> Tensor:
        variances = z.var(dim=-2, correction=0, keepdim=True)  # (1, p)
        variance = variances.mean(dim=-1, keepdim=True)  # (1, 1)
        return z * variance.clamp(min=LEAST_VARIANCE).rsqrt()
