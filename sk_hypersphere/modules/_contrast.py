"""Contrast normalization as a layer."""

from torch import Tensor, nn


class ContrastNorm(nn.Module):
    r"""Global contrast normalization: give every sample mean 0 and similar contrast.

    .. math::

        t(x) = \frac{x - \bar{x}}{s^\alpha}, \qquad
        s = \frac{1}{m} \sum_{j=1}^{m} |x_j - \bar{x}|

    where :math:`\bar{x}` is the mean of the :math:`m` values :math:`x_j` of one sample,
    :math:`s` its contrast and :math:`\alpha` the strength. A constant sample becomes 0.

    Parameters
    ----------
    strength : float, default=1.0
        The exponent :math:`\alpha`, from 0 to 1: 1 removes differences of contrast
        between samples, 0.5 keeps their square root, 0 keeps them as they are.

    Examples
    --------
    >>> import torch
    >>> ContrastNorm()(torch.tensor([[1.0, 3.0], [5.0, 5.0]]))
    tensor([[-1.,  1.],
            [ 0.,  0.]])
    """

    def __init__(self, strength: float = 1.0):
        super().__init__()
        self.strength = strength

    def forward(self, x: Tensor) -> Tensor:
        dims = tuple(range(1, x.ndim))
        # Subtracting the first value makes a constant sample exactly 0.
        x = x - x.flatten(1)[:, :1].view(-1, *[1] * len(dims))
        x = x - x.mean(dim=dims, keepdim=True)
        contrast = x.abs().mean(dim=dims, keepdim=True)  # (n, ...) -> (n, 1, ...)
        return x / contrast.where(contrast > 0, 1.0) ** self.strength

    def extra_repr(self) -> str:
        return f"strength={self.strength:g}"
