"""Embeddings of a batch, scaled as a whole."""

from torch import Tensor, nn

# Less is the rounding error of a batch without variance, such as a single row.
LEAST_VARIANCE = 1e-12


class UnitVariance(nn.Module):
    r"""Scale the embeddings of a batch so that their components vary by 1 on average.

    .. math::

        f(z_i) = \frac{z_i}{\sqrt{v}}, \qquad
        v = \frac{1}{n p} \sum_{i=1}^{n} \lVert z_i - \bar z \rVert^2

    where :math:`z_i` are the :math:`n` embeddings of the batch, of :math:`p` components
    each, and :math:`\bar z` is their mean. Batch normalization scales every component
    by itself; one scale for all keeps spheres spheres, and needs no running statistics:
    it does not change who is nearest to whom.

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
