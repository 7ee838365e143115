"""Contrast normalisation as a layer."""

from torch import Tensor, nn


class ContrastNorm(nn.Module):
    r"""Global contrast normalisation: every sample to mean 0 and mean magnitude 1.

    .. math::

        t(x) = \frac{x - \bar{x}}{s}, \qquad
        s = \frac{1}{m} \sum_{j=1}^{m} |x_j - \bar{x}|

    where :math:`\bar{x}` is the mean of the :math:`m` values :math:`x_j` of one sample.
    A constant sample becomes 0.

    Examples
    --------
    >>> import torch
    >>> ContrastNorm()(torch.tensor([[1.0, 3.0], [5.0, 5.0]]))
    tensor([[-1.,  1.],
            [ 0.,  0.]])
    """

    def forward(self, x: Tensor) -> Tensor:
        dims = tuple(range(1, x.ndim))
        x = x - x.mean(dim=dims, keepdim=True)
        scale = x.abs().mean(dim=dims, keepdim=True)  # (n, ...) -> (n, 1, ...)
        return x / scale.where(scale > 0, 1.0)
