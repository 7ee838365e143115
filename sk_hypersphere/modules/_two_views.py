"""Two random views of every sample."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from sk_hypersphere.modules._augment import augmented
from sk_hypersphere.modules._hypersphere import Hypersphere


class TwoViews(Hypersphere):
    """Embed two views of each sample, (n, ...) to (2 n, p): all first, then all second.

    `embed` scales the embedding of the unchanged sample to unit length.

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
    >>> module = TwoViews(nn.Flatten(), nn.Identity(), augment=torch.neg)
    >>> module(torch.ones(1, 2))
    tensor([[-1., -1.],
            [-1., -1.]])
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        augment: Callable[[Tensor], Tensor],
    ):
        super().__init__(encoder, head)
        self.augment = augment

    def embed(self, x: Tensor) -> Tensor:
        return functional.normalize(super().embed(x))

    def forward(self, x: Tensor) -> Tensor:
        views = [augmented(x.clone(), self.augment) for _ in range(2)]
        return super().forward(torch.cat(views))
