"""Convolutional encoder for images that cannot collapse a hypersphere by a bias.

Convolutions and linear layers have no bias, batch normalization has no learned shift
and scale, and no activation is bounded. So the encoder cannot map all images to the
center (L. Ruff et al. "Deep One-Class Classification". ICML 2018, propositions 2 and
3).
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from sk_hypersphere.modules._autoencoder import AutoEncoder
from sk_hypersphere.modules._contrast import ContrastNorm
from sk_hypersphere.modules._frequencies import LowFrequencies


def check_image_shape(name: str, input_shape: tuple[int, ...]) -> None:
    """Raise an error unless samples have the shape (channels, height, width)."""
    if len(input_shape) != 3:
        raise ValueError(
            f"{name} encodes images of shape (n_samples, channels, height, width), got "
            f"samples of shape {tuple(input_shape)}. Add the missing axis, for example "
            "X[:, None] for grey images, or use MLP for rows."
        )


def normalized(n_channels: int, negative_slope: float) -> list[nn.Module]:
    """Return batch normalization without learned shift and scale, then leaky ReLU."""
    return [
        nn.BatchNorm2d(n_channels, eps=1e-4, affine=False),
        nn.LeakyReLU(negative_slope),
    ]


class ConvNet(nn.Module):
    r"""Strided convolutions and a blurred view: the default encoder for images.

    .. math::

        f(x) = \bigl[\, g(t_1(x)) \,;\; v(t_{1/2}(x)) \,\bigr]

    The learned part :math:`g` consists of convolutions and one linear layer, applied to
    the image :math:`x` after contrast normalization :math:`t_1`. It represents the
    shapes that it was trained on, but other shapes poorly. The fixed part :math:`v`,
    the low frequencies of the image after half a contrast normalization
    :math:`t_{1/2}`, keeps plain distances between images in the embedding. Both
    together separate better than either part alone.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (channels, height, width); any size.

    n_components : int
        Size of the embedding p.

    n_learned : int, default=32
        Number of learned components; the others are fixed. With
        ``n_components <= n_learned`` all are learned.

    view_weight : float, default=1.0
        Variance that the fixed part would have with all frequencies, divided by
        `n_learned`. It sets the share of the fixed part in squared distances.

    channels : sequence of int, default=(16, 32)
        Output channels of the convolutions. Each halves height and width.

    kernel_size : int, default=5
        Side of the square kernels, odd.

    negative_slope : float, default=0.1
        Slope of the leaky ReLU below 0.

    Examples
    --------
    >>> import torch
    >>> ConvNet((1, 28, 28), 64)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 64])
    """

    default_n_components = 32
    # With many centers the fixed part helps to separate neighbouring ones. A single
    # sphere can only shrink the learned part.
    many_centers_n_components = 256
    default_pretrain_epochs = 4

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_components: int,
        *,
        n_learned: int = 32,
        view_weight: float = 1.0,
        channels: Sequence[int] = (16, 32),
        kernel_size: int = 5,
        negative_slope: float = 0.1,
    ):
        super().__init__()
        check_image_shape("ConvNet", input_shape)
        if kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size must be odd, got {kernel_size}. With an even one the "
                f"decoder could not mirror the encoder; try {kernel_size + 1}."
            )
        n_view = min(max(n_components - n_learned, 0), math.prod(input_shape))
        self.n_learned = n_components - n_view
        self.kernel_size = kernel_size
        self.negative_slope = negative_slope
        self.shapes = halved_shapes(input_shape, channels)
        self.contrast = ContrastNorm()
        self.code = nn.Sequential(*self._code_layers())
        self.view = None
        if n_view:
            # Half of the contrast is kept, because some anomalies differ only in it.
            self.view = nn.Sequential(
                ContrastNorm(strength=0.5),
                LowFrequencies(input_shape, n_view, view_weight * self.n_learned),
            )

    def forward(self, x: Tensor) -> Tensor:
        code = self.code(self.contrast(x))  # (n, c, h, w) -> (n, n_learned)
        if self.view is None:
            return code
        return torch.cat([code, self.view(x)], dim=1)  # (n, p)

    def _code_layers(self) -> Iterator[nn.Module]:
        for (n_in, *_), (n_out, *_) in pairwise(self.shapes):
            yield nn.Conv2d(
                n_in,
                n_out,
                self.kernel_size,
                stride=2,
                padding=self.kernel_size // 2,
                bias=False,
            )
            yield from normalized(n_out, self.negative_slope)
        yield nn.Flatten()
        yield nn.Linear(math.prod(self.shapes[-1]), self.n_learned, bias=False)

    def _decoder_layers(self) -> Iterator[nn.Module]:
        yield nn.Linear(self.n_learned, math.prod(self.shapes[-1]), bias=False)
        yield nn.Unflatten(1, self.shapes[-1])
        for (n_in, *_), (n_out, height, width) in pairwise(self.shapes[::-1]):
            yield from normalized(n_in, self.negative_slope)
            yield nn.ConvTranspose2d(
                n_in,
                n_out,
                self.kernel_size,
                stride=2,
                padding=self.kernel_size // 2,
                # The layer maps n to 2 n - 1, so an even size needs one more pixel.
                output_padding=(1 - height % 2, 1 - width % 2),
            )
        yield nn.Sigmoid()

    def make_autoencoder(self, noise: float) -> AutoEncoder:
        """Return the learned part with a mirrored decoder, for normalized images."""
        return AutoEncoder(
            nn.Sequential(self.contrast, self.code),
            nn.Sequential(*self._decoder_layers()),
            target=self.contrast,
            noise=noise,
        )


def halved_shapes(
    input_shape: tuple[int, ...], channels: Sequence[int]
) -> list[tuple[int, int, int]]:
    """List the shapes before and after each halving of height and width, rounded up."""
    n_channels, height, width = input_shape
    shapes = [(n_channels, height, width)]
    for n_channels in channels:
        height, width = (height + 1) // 2, (width + 1) // 2
        shapes.append((n_channels, height, width))
    return shapes
