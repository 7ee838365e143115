"""Low frequencies of images, as a fixed linear view."""

import math

import torch
from torch import Tensor, nn


class LowFrequencies(nn.Module):
    r"""The lowest frequencies of images: a blurred view that keeps distances.

    .. math::

        v(x) = \sqrt{\tfrac{s}{m}} \; B^\top \frac{x - \mu}{\sigma}

    where :math:`\mu` and :math:`\sigma` are the mean and standard deviation of each
    channel, from batch normalization, :math:`m` is the number of values of an image
    :math:`x`, :math:`s` the variance that all :math:`m` frequencies would have together
    and :math:`B` the first columns of the orthonormal cosine transform, lowest
    frequency first. Distances between views are distances between blurred images.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (channels, height, width).

    n_components : int
        Number of frequencies, at most :math:`m`.

    variance : float, default=1.0
        The variance :math:`s`.

    Examples
    --------
    >>> import torch
    >>> view = LowFrequencies((1, 8, 8), 64, variance=64.0).eval()
    >>> x, y = torch.rand(2, 1, 1, 8, 8)
    >>> torch.dist(view(x), view(y)).allclose(torch.dist(x, y), atol=1e-4)
    True
    """

    basis: Tensor

    def __init__(
        self, input_shape: tuple[int, ...], n_components: int, variance: float = 1.0
    ):
        super().__init__()
        n_channels, height, width = input_shape
        self.n_components = n_components
        self.scale = math.sqrt(variance / math.prod(input_shape))
        self.normalize = nn.BatchNorm2d(n_channels, eps=1e-12, affine=False)
        basis = cosine_basis(height, width, -(-n_components // n_channels))
        self.register_buffer("basis", self.scale * basis, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        view = self.normalize(x).flatten(2) @ self.basis  # (n, c, h w) -> (n, c, q)
        return view.transpose(1, 2).flatten(1)[:, : self.n_components]


def cosine_basis(height: int, width: int, n_frequencies: int) -> Tensor:
    """Return the lowest frequencies of the orthonormal cosine transform of images.

    Returns
    -------
    Tensor of shape (height * width, n_frequencies)
        Columns of length 1, sorted by the squared frequency, lowest first.
    """
    u, v = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    sq_frequencies = (u / height).square() + (v / width).square()
    lowest = sq_frequencies.flatten().argsort(stable=True)[:n_frequencies]
    rows = cosines(height)[:, u.flatten()[lowest]]  # (height, n_frequencies)
    columns = cosines(width)[:, v.flatten()[lowest]]  # (width, n_frequencies)
    return (rows[:, None] * columns).flatten(0, 1)


def cosines(n: int) -> Tensor:
    """Return orthonormal cosines over n points, (n, frequencies)."""
    frequencies = torch.arange(n)
    angles = math.pi / n * (torch.arange(n)[:, None] + 0.5) * frequencies
    norms = torch.where(frequencies == 0, math.sqrt(1 / n), math.sqrt(2 / n))
    return norms * torch.cos(angles)
