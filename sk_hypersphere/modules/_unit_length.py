"""Scaling of embeddings to unit length."""

from torch import Tensor, nn
from torch.nn import functional


class UnitLength(nn.Module):
    r"""Scale rows to length one.

    .. math:: z \mapsto z / \lVert z \rVert

    for each row :math:`z`. A row of zeros stays as it is.

    Examples
    --------
    >>> import torch
    >>> UnitLength()(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """

    def forward(self, z: Tensor) -> Tensor:
        return functional.normalize(z)
