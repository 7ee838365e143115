"""Module that changes samples in training."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from sk_hypersphere.modules._augment import augmented, own_augment
from sk_hypersphere.modules._hypersphere import Hypersphere


class Augmented(Hypersphere):
    """Change samples in training, and leave them as they are in evaluation mode.

    Parameters
    ----------
    encoder : nn.Module
        Maps a batch of samples to embeddings of shape (n, p).

    head : nn.Module
        Maps embeddings to the output.

    augment : callable
        Maps a batch of samples, which it may overwrite, to one of the same shape.

    Examples
    --------
    >>> import torch
    >>> module = Augmented(nn.Flatten(), nn.Identity(), augment=torch.neg)
    >>> module(torch.ones(1, 2)), module.eval()(torch.ones(1, 2))
    (tensor([[-1., -1.]]), tensor([[1., 1.]]))
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        augment: Callable[[Tensor], Tensor],
    ):
        super().__init__(encoder, head)
        self.augment = augment

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x = augmented(x.clone(), self.augment)
        return super().forward(x)


def with_augment(
    augment: Callable[[Tensor], Tensor] | None,
) -> Callable[..., Hypersphere]:
    """Return a factory of modules that change samples in training, unless None."""
    if augment is None:
        return Hypersphere
    return partial(Augmented, augment=own_augment(augment))
