"""Encoders for images, none of which can collapse a hypersphere by a bias.

Every convolution and linear layer is without bias, every batch normalization without
learned shift and scale, and no activation is bounded: with these the constant map onto
the center is out of reach (L. Ruff et al. "Deep One-Class Classification". ICML 2018,
propositions 2 and 3).
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
    """Refuse samples that are not (channels, height, width)."""
    if len(input_shape) != 3:
        raise ValueError(
            f"{name} encodes images of shape (n_samples, channels, height, width), got "
            f"samples of shape {tuple(input_shape)}. Add the missing axis, for example "
            "X[:, None] for grey images, or use MLP for rows."
        )


def normalized(n_channels: int, negative_slope: float) -> list[nn.Module]:
    """Batch normalization without learned shift and scale, then leaky ReLU."""
    return [
        nn.BatchNorm2d(n_channels, eps=1e-4, affine=False),
        nn.LeakyReLU(negative_slope),
    ]


class ConvNet(nn.Module):
    r"""Strided convolutions beside a blurred view: the default encoder for images.

    .. math::

        f(x) = \bigl[\, g(t_1(x)) \,;\; v(t_{1/2}(x)) \,\bigr]

    The learned part :math:`g` are convolutions and one linear layer upon the image
    after contrast normalization :math:`t_1`. It knows the shapes that it was trained
    on, but little of what lies off them. The fixed part :math:`v`, the low frequencies
    of the image with half of its contrast normalized, :math:`t_{1/2}`, keeps plain
    distances between images in the embedding. Together they separate better than
    either.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (channels, height, width); any size.

    n_components : int
        Size of the embedding p.

    n_learned : int, default=32
        How many of the components are learned; the others are fixed. With
        ``n_components <= n_learned`` all are learned.

    view_weight : float, default=1.0
        Variance of the fixed part, had it all frequencies, over `n_learned`: its share
        in squared distances beside that of the learned components.

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
    # Between many centers the fixed part tells neighbours apart. A single sphere can
    # only shrink what it learns.
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
            # Half of the contrast is kept: some anomalies differ in nothing else.
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
        for (n_in, *size_in), (n_out, *size_out) in pairwise(self.shapes[::-1]):
            yield from normalized(n_in, self.negative_slope)
            yield nn.ConvTranspose2d(
                n_in,
                n_out,
                self.kernel_size,
                stride=2,
                padding=self.kernel_size // 2,
                # Halving rounds up, so that doubling may be one too many or just right.
                output_padding=[
                    large - (2 * small - 1)
                    for small, large in zip(size_in, size_out, strict=True)
                ],
            )
        yield nn.Sigmoid()

    def make_autoencoder(self, noise: float) -> AutoEncoder:
        """The learned part with its mirror image, for the image after normalization."""
        return AutoEncoder(
            nn.Sequential(self.contrast, self.code),
            nn.Sequential(*self._decoder_layers()),
            target=self.contrast,
            noise=noise,
        )


def halved_shapes(
    input_shape: tuple[int, ...], channels: Sequence[int]
) -> list[tuple[int, int, int]]:
    """Shapes before and after convolutions that halve height and width, rounding up."""
    _, height, width = input_shape
    shapes = [tuple(input_shape)]
    for n_channels in channels:
        height, width = (height + 1) // 2, (width + 1) // 2
        shapes.append((n_channels, height, width))
    return shapes
