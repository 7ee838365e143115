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


class LowFrequencies(nn.Module):
    r"""The lowest frequencies of images: a blurred view that keeps distances.

    .. math::

        v(x) = \sqrt{\tfrac{s}{m}} \; B^\top \frac{x - \mu}{\sigma}

    where :math:`\mu` and :math:`\sigma` are the mean and standard deviation of each
    channel, as batch normalization keeps them, :math:`m` the number of values of an
    image, :math:`s` the variance that all :math:`m` frequencies would have together and
    :math:`B` the first columns of the orthonormal cosine transform, lowest frequency
    first. Distances between views are distances between blurred images.

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
    """Lowest frequencies of the orthonormal cosine transform of images.

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
    """Orthonormal cosines over n points, (n, frequencies)."""
    frequencies = torch.arange(n)
    angles = math.pi / n * (torch.arange(n)[:, None] + 0.5) * frequencies
    norms = torch.where(frequencies == 0, math.sqrt(1 / n), math.sqrt(2 / n))
    return norms * torch.cos(angles)


def lenet_stage(n_in: int, n_out: int, negative_slope: float) -> list[nn.Module]:
    """Convolution, normalization and pooling of the LeNets."""
    return [
        nn.Conv2d(n_in, n_out, 5, padding=2, bias=False),
        *normalized(n_out, negative_slope),
        nn.MaxPool2d(2),
    ]


def upsampling_stage(
    n_in: int, n_out: int, negative_slope: float, padding: int = 2
) -> list[nn.Module]:
    """Transposed convolution, normalization and doubling of the LeNets' decoders."""
    return [
        nn.ConvTranspose2d(n_in, n_out, 5, padding=padding, bias=False),
        *normalized(n_out, negative_slope),
        nn.Upsample(scale_factor=2),
    ]


class LeNet(nn.Sequential):
    """Convolutions with pooling and one linear layer, for images of one size.

    A subclass sets `channels`, the output channels of its convolutions, and `side`, the
    height and width of its images in pixels.
    """

    default_pretrain_epochs = 4
    channels: tuple[int, ...]
    side: int

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_components: int,
        *,
        negative_slope: float = 0.1,
    ):
        name = type(self).__name__
        check_image_shape(name, input_shape)
        n_channels, *size = input_shape
        if size != [self.side, self.side]:
            raise ValueError(
                f"{name} encodes images of {self.side} x {self.side} pixels, got "
                f"samples of shape {tuple(input_shape)}. Resize them, or use ConvNet, "
                "which takes any size."
            )
        layers = []
        for n_in, n_out in pairwise((n_channels, *self.channels)):
            layers += lenet_stage(n_in, n_out, negative_slope)
        n_flat = self.channels[-1] * (self.side // 2 ** len(self.channels)) ** 2
        super().__init__(
            *layers, nn.Flatten(), nn.Linear(n_flat, n_components, bias=False)
        )
        self.n_channels = n_channels
        self.n_components = n_components
        self.negative_slope = negative_slope

    def _code_maps(self) -> int:
        """Number of the 4 x 4 maps that the decoder folds a code into."""
        if self.n_components % 16:
            raise ValueError(
                f"The decoder of {type(self).__name__} starts from 4 x 4 maps, so "
                f"n_components must be a multiple of 16, got {self.n_components}. "
                "Change it, or give decoder=."
            )
        return self.n_components // 16


class MNISTLeNet(LeNet):
    """The LeNet that Deep SVDD was published with on MNIST.

    Two convolutions of 8 and 4 channels, each with pooling, and one linear layer.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (channels, 28, 28).

    n_components : int
        Size of the embedding p; 32 in the paper.

    negative_slope : float, default=0.1
        Slope of the leaky ReLU below 0: 0.1 in the paper, 0.01 in its released code.

    References
    ----------
    .. [1] L. Ruff et al. "Deep One-Class Classification". ICML 2018.

    Examples
    --------
    >>> import torch
    >>> MNISTLeNet((1, 28, 28), 32)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 32])
    """

    default_n_components = 32
    channels = (8, 4)
    side = 28

    def make_autoencoder(self, noise: float) -> AutoEncoder:
        """This encoder with the decoder of the paper."""
        n_maps = self._code_maps()
        decoder = nn.Sequential(
            nn.Unflatten(1, (n_maps, 4, 4)),
            nn.LeakyReLU(self.negative_slope),
            nn.Upsample(scale_factor=2),  # 4 -> 8
            *upsampling_stage(n_maps, 4, self.negative_slope),  # 8 -> 16
            *upsampling_stage(4, 8, self.negative_slope, padding=3),  # 16 -> 14 -> 28
            nn.ConvTranspose2d(8, self.n_channels, 5, padding=2, bias=False),
            nn.Sigmoid(),
        )
        return AutoEncoder(self, decoder, noise=noise)


class CIFARLeNet(LeNet):
    """The LeNet that Deep SVDD was published with on CIFAR-10.

    Three convolutions of 32, 64 and 128 channels, each with pooling, and one linear
    layer.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (channels, 32, 32).

    n_components : int
        Size of the embedding p; 128 in the paper.

    negative_slope : float, default=0.1
        Slope of the leaky ReLU below 0: 0.1 in the paper, 0.01 in its released code.

    References
    ----------
    .. [1] L. Ruff et al. "Deep One-Class Classification". ICML 2018.

    Examples
    --------
    >>> import torch
    >>> CIFARLeNet((3, 32, 32), 128)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 128])
    """

    default_n_components = 128
    channels = (32, 64, 128)
    side = 32

    def make_autoencoder(self, noise: float) -> AutoEncoder:
        """This encoder with the decoder of the paper."""
        n_maps = self._code_maps()
        decoder = nn.Sequential(
            nn.BatchNorm1d(self.n_components, eps=1e-4, affine=False),
            nn.Unflatten(1, (n_maps, 4, 4)),
            nn.LeakyReLU(self.negative_slope),
            *upsampling_stage(n_maps, 128, self.negative_slope),  # 4 -> 8
            *upsampling_stage(128, 64, self.negative_slope),  # 8 -> 16
            *upsampling_stage(64, 32, self.negative_slope),  # 16 -> 32
            nn.ConvTranspose2d(32, self.n_channels, 5, padding=2, bias=False),
            nn.Sigmoid(),
        )
        return AutoEncoder(self, decoder, noise=noise)
