"""Encoder for images that overfits less to a few anomalies."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from sk_hypersphere.modules._conv import check_image_shape, halved_shapes


class DropoutConvNet(nn.Sequential):
    """Strided convolutions and a hidden layer, with dropout.

    Batch normalization without learned shift and scale brings each channel to mean 0
    and variance 1. Convolutions and one hidden layer follow, with biases and ReLU.
    Dropout in front of both linear layers reduces overfitting to a few anomalies. The
    biases allow a collapse, in which all images map to one point, so the network needs
    a loss that keeps some images apart.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (channels, height, width); any size.

    n_components : int
        Size of the embedding p.

    channels : sequence of int, default=(16, 32)
        Output channels of the convolutions. Each halves height and width.

    kernel_size : int, default=5
        Side of the square kernels, odd.

    hidden_units : int, default=128
        Size of the hidden layer.

    dropout : float, default=0.3
        Probability of dropout in front of each linear layer, in [0, 1).

    Examples
    --------
    >>> import torch
    >>> DropoutConvNet((1, 28, 28), 2)(torch.zeros(3, 1, 28, 28)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_components: int,
        *,
        channels: Sequence[int] = (16, 32),
        kernel_size: int = 5,
        hidden_units: int = 128,
        dropout: float = 0.3,
    ):
        check_image_shape("DropoutConvNet", input_shape)
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size must be odd and above 0, got {kernel_size}. Try "
                f"{max(kernel_size + 1, 1)}."
            )
        if not 0 <= dropout < 1:
            raise ValueError(
                f"dropout must be in [0, 1), got {dropout}. Start from 0.3."
            )
        shapes = halved_shapes(input_shape, channels)
        layers: list[nn.Module] = [nn.BatchNorm2d(input_shape[0], affine=False)]
        for (n_in, *_), (n_out, *_) in pairwise(shapes):
            layers += [
                nn.Conv2d(n_in, n_out, kernel_size, stride=2, padding=kernel_size // 2),
                nn.ReLU(),
            ]
        super().__init__(
            *layers,
            nn.Flatten(),  # (n, c, h, w) -> (n, c h w)
            nn.Dropout(dropout),
            nn.Linear(math.prod(shapes[-1]), hidden_units),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_units, n_components),
        )
