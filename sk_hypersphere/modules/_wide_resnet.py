"""Wide residual network, for classifiers of small images."""

from itertools import pairwise

from torch import Tensor, nn

from sk_hypersphere.modules._conv import check_image_shape


def convolution(n_in: int, n_out: int, kernel_size: int, stride: int = 1) -> nn.Conv2d:
    """Return a convolution without bias; weight variance 2 / (kernel area * n_out)."""
    layer = nn.Conv2d(
        n_in, n_out, kernel_size, stride, padding=kernel_size // 2, bias=False
    )
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def activation(n_channels: int) -> list[nn.Module]:
    """Return batch normalization with learned shift and scale, then ReLU."""
    # Batch normalization does not need its output again, so ReLU may overwrite it.
    return [nn.BatchNorm2d(n_channels), nn.ReLU(inplace=True)]


class WideBlock(nn.Module):
    """One residual block; the equation is in :class:`WideResNet`."""

    def __init__(self, n_in: int, n_out: int, stride: int, dropout: float):
        super().__init__()
        self.activation = nn.Sequential(*activation(n_in))
        self.residual = nn.Sequential(
            convolution(n_in, n_out, 3, stride),
            *activation(n_out),
            nn.Dropout(dropout),
            convolution(n_out, n_out, 3),
        )
        self.shortcut = None
        if n_in != n_out:
            self.shortcut = convolution(n_in, n_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        a = self.activation(x)
        shortcut = x if self.shortcut is None else self.shortcut(a)
        return shortcut + self.residual(a)  # (n, c, h, w) -> (n, c', h / s, w / s)


def check_size(depth: int, widen_factor: int, dropout: float) -> None:
    """Raise an error if a number is out of range for a wide residual network."""
    if depth < 10 or depth % 6 != 4:
        nearest = max(10, 6 * round((depth - 4) / 6) + 4)
        raise ValueError(
            "depth must be 6 n + 4 for groups of n >= 1 blocks (10, 16, 22, ...), got "
            f"{depth}. Try {nearest}."
        )
    if widen_factor < 1:
        raise ValueError(
            f"widen_factor must be at least 1, got {widen_factor}. The thinnest "
            "network has 1; for a smaller one, lower depth."
        )
    if not 0 <= dropout < 1:
        raise ValueError(
            "dropout must be the share of activations to drop, in [0, 1), got "
            f"{dropout}. Use 0 for none."
        )


class WideResNet(nn.Sequential):
    r"""Wide residual network, WRN-`depth`-`widen_factor`.

    It consists of a convolution to 16 channels, three groups of
    :math:`(\text{depth} - 4) / 6` blocks, another :math:`\sigma`, the mean over all
    pixels, and one linear layer. A block maps :math:`x` to

    .. math::

        S + W_2 * D(\sigma_2(W_1 * a)), \qquad a = \sigma_1(x), \qquad
        S = \begin{cases} x & \text{if channels stay} \\ V * a & \text{else}
        \end{cases}

    where :math:`*` is convolution, with 3 x 3 kernels :math:`W_l` and 1 x 1 kernels
    :math:`V`, :math:`\sigma_l` is batch normalization and then ReLU, and :math:`D` is
    dropout. The groups have 16, 32 and 64 times `widen_factor` channels; the second and
    third halve height and width.

    It is meant for classifiers with several centers, where the variation between
    classes prevents a collapse. A single hypersphere can collapse by the biases of
    batch normalization and of the last layer, so use ConvNet there.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (channels, height, width); 32 x 32 pixels in the paper, any
        size from 4 x 4.

    n_components : int
        Size of the embedding p.

    depth : int, default=40
        Number of layers, 6 n + 4 for groups of n >= 1 blocks: 10, 16, 22, ...

    widen_factor : int, default=2
        Factor by which all channels but the first 16 are widened, at least 1. Weights
        and time grow with its square.

    dropout : float, default=0.3
        Share of the activations within a block that are dropped in training, in [0, 1).

    Raises
    ------
    ValueError
        If samples are not images, or a parameter is out of its range.

    References
    ----------
    .. [1] S. Zagoruyko and N. Komodakis. "Wide Residual Networks". BMVC 2016.

    Examples
    --------
    >>> import torch
    >>> WideResNet((3, 32, 32), 16, depth=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 16])
    """

    default_n_components = 16

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_components: int,
        *,
        depth: int = 40,
        widen_factor: int = 2,
        dropout: float = 0.3,
    ):
        check_image_shape("WideResNet", input_shape)
        check_size(depth, widen_factor, dropout)
        widths = [16, 16 * widen_factor, 32 * widen_factor, 64 * widen_factor]
        layers: list[nn.Module] = [convolution(input_shape[0], widths[0], 3)]
        for (n_in, n_out), stride in zip(pairwise(widths), (1, 2, 2), strict=True):
            layers.append(WideBlock(n_in, n_out, stride, dropout))
            for _ in range((depth - 4) // 6 - 1):
                layers.append(WideBlock(n_out, n_out, 1, dropout))
        linear = nn.Linear(widths[-1], n_components)
        nn.init.zeros_(linear.bias)
        super().__init__(
            *layers,
            *activation(widths[-1]),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            linear,
        )
