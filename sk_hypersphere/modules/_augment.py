"""Random changes of samples that keep their meaning."""

import math
from collections.abc import Callable
from copy import deepcopy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

Augment = TypeVar("Augment", bound=Callable[[Tensor], Tensor] | None)


def own_augment(augment: Augment) -> Augment:
    """Copy a module and freeze the copy; return anything else as it is."""
    if isinstance(augment, nn.Module):
        return deepcopy(augment).requires_grad_(False)
    return augment


def augmented(x: Tensor, augment: Callable[[Tensor], Tensor]) -> Tensor:
    """Change a batch, and check that its shape and type stay the same.

    Parameters
    ----------
    x : Tensor of shape (n, ...)
        Samples, which `augment` may overwrite.

    augment : callable
        Maps a batch of samples to one of the same shape.
    """
    kind = x.shape, x.dtype
    changed = augment(x)
    if not isinstance(changed, Tensor):
        got = type(changed).__name__
    elif (changed.shape, changed.dtype) != kind:
        got = f"one of shape {tuple(changed.shape)} and {changed.dtype}"
    else:
        return changed
    raise ValueError(
        f"augment must return a tensor of shape {tuple(kind[0])} and {kind[1]}, like "
        f"its input, got {got}. Change the values only."
    )


def uniform(n: int, low: float, high: float, like: Tensor) -> Tensor:
    """Draw n random numbers between two bounds, with the type of a tensor, (n,)."""
    return like.new_empty(n).uniform_(low, high)


class AugmentImages(nn.Module):
    r"""Crop, rotate, mirror and shade each image at random.

    A part of each image, at a random place, is resized to the full image; a rotation
    fills the corners with the pixels at the border. Then contrast and brightness change

    .. math:: x \mapsto \bar{x} + (1 + a) (x - \bar{x}) + b \, \sigma_x,
        \qquad a, b \sim U(-\text{intensity}, \text{intensity})

    by the random numbers :math:`a` and :math:`b`, where :math:`\bar{x}` is the mean and
    :math:`\sigma_x` the standard deviation of the image, so that images may have any
    range.

    Parameters
    ----------
    scale : float, default=0.5
        Smallest share of the area that a crop keeps, in (0, 1]; 1 crops nothing.

    rotation : float, default=15.0
        Largest angle of rotation in degrees, at least 0.

    flip : bool, default=True
        Whether half of the images are mirrored, left to right. Use False for digits and
        text, because mirroring can change their meaning.

    intensity : float, default=0.2
        Largest change of contrast and brightness, at least 0.

    Examples
    --------
    >>> AugmentImages()(torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 3, 32, 32])
    """

    def __init__(
        self,
        *,
        scale: float = 0.5,
        rotation: float = 15.0,
        flip: bool = True,
        intensity: float = 0.2,
    ):
        super().__init__()
        if not 0 < scale <= 1 or rotation < 0 or intensity < 0:
            raise ValueError(
                "scale must be in (0, 1], rotation and intensity must be at least 0, "
                f"got {scale=}, {rotation=} and {intensity=}. Start from the defaults."
            )
        self.scale = scale
        self.rotation = rotation
        self.flip = flip
        self.intensity = intensity

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise ValueError(
                "augment must fit the samples: AugmentImages changes batches of shape "
                f"(n, channels, height, width), got {tuple(x.shape)}. Use AugmentRows."
            )
        size = list(x.shape)
        grid = functional.affine_grid(self._maps(x), size, align_corners=False)
        x = functional.grid_sample(
            x, grid, padding_mode="border", align_corners=False
        )  # (n, c, h, w)
        return self._shaded(x) if self.intensity else x

    def _maps(self, x: Tensor) -> Tensor:
        """Draw affine maps from new to old pixel positions, (n, 2, 3)."""
        n, _, height, width = x.shape
        side = uniform(n, self.scale, 1.0, x).sqrt()
        angle = uniform(n, -self.rotation, self.rotation, x) * (math.pi / 180)
        mirror = torch.ones_like(side)
        if self.flip:
            mirror = torch.where(uniform(n, 0.0, 1.0, x) < 0.5, -1.0, 1.0)
        cos, sin = side * angle.cos(), side * angle.sin()
        # Both axes run from -1 to 1 even if an image is not square.
        oblong = height / width
        shift = (1 - side)[:, None] * uniform(2 * n, -1.0, 1.0, x).view(n, 2)
        rows = [
            torch.stack([mirror * cos, -sin * oblong, shift[:, 0]], dim=1),
            torch.stack([mirror * sin / oblong, cos, shift[:, 1]], dim=1),
        ]
        return torch.stack(rows, dim=1)  # two times (n, 3) -> (n, 2, 3)

    def _shaded(self, x: Tensor) -> Tensor:
        contrast, shift = (
            uniform(len(x), -self.intensity, self.intensity, x).view(-1, 1, 1, 1)
            for _ in range(2)
        )
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        deviation = x.std(dim=(1, 2, 3), correction=0, keepdim=True)
        return mean + (1 + contrast) * (x - mean) + shift * deviation


class AugmentRows(nn.Module):
    r"""Add noise to the features of rows, and replace some by their mean.

    .. math:: x_j \mapsto \begin{cases} \bar{x}_j & \text{with probability dropout} \\
        x_j + \text{noise} \cdot \sigma_j \epsilon, \quad \epsilon \sim N(0, 1) &
        \text{else} \end{cases}

    with the mean :math:`\bar{x}_j` and the standard deviation :math:`\sigma_j` of each
    feature in the batch, so that features may have any scale.

    Parameters
    ----------
    noise : float, default=0.1
        Standard deviation of the noise over that of the feature, at least 0.

    dropout : float, default=0.2
        Share of the features that are replaced, in [0, 1).

    Examples
    --------
    >>> AugmentRows()(torch.rand(5, 3)).shape
    torch.Size([5, 3])
    """

    def __init__(self, *, noise: float = 0.1, dropout: float = 0.2):
        super().__init__()
        if noise < 0 or not 0 <= dropout < 1:
            raise ValueError(
                "noise must be at least 0, and dropout in [0, 1), got "
                f"{noise=} and {dropout=}. Start from the defaults."
            )
        self.noise = noise
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        deviation, mean = torch.std_mean(x, dim=0, correction=0)  # (p,), (p,)
        noisy = x + self.noise * deviation * torch.randn_like(x)
        return torch.where(torch.rand_like(x) < self.dropout, mean, noisy)  # (n, p)
