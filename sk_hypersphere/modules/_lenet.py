"""LeNets of the papers, without layers that let a hypersphere collapse."""

from itertools import pairwise

from torch import nn

from sk_hypersphere.modules._autoencoder import AutoEncoder
from sk_hypersphere.modules._conv import check_image_shape, normalized


def lenet_stage(n_in: int, n_out: int, negative_slope: float) -> list[nn.Module]:
    """Return convolution, normalization and pooling of a LeNet."""
    return [
        nn.Conv2d(n_in, n_out, 5, padding=2, bias=False),
        *normalized(n_out, negative_slope),
        nn.MaxPool2d(2),
    ]


def upsampling_stage(
    n_in: int, n_out: int, negative_slope: float, padding: int = 2
) -> list[nn.Module]:
    """Return transposed convolution, normalization and doubling of a decoder."""
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
        """Return the number of 4 x 4 maps into which the decoder folds a code."""
        if self.n_components % 16:
            raise ValueError(
                f"The decoder of {type(self).__name__} starts from 4 x 4 maps, so "
                f"n_components must be a multiple of 16, got {self.n_components}. "
                "Change it, or pass decoder=."
            )
        return self.n_components // 16


class MNISTLeNet(LeNet):
    """LeNet of the Deep SVDD paper for MNIST.

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
        """Return this encoder with the decoder of the paper."""
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
    """LeNet of the Deep SVDD paper for CIFAR-10.

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
        """Return this encoder with the decoder of the paper."""
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
