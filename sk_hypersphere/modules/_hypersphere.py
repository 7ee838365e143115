"""Encoder with a head, the network that every estimator trains."""

from typing import cast

import torch
from torch import Tensor, nn

from sk_hypersphere.modules._centers import Centers


class Hypersphere(nn.Module):
    """Map samples to embeddings, and embeddings to the input of the loss.

    Under `torch.autocast` only the encoder runs in lower precision, because the head
    would lose digits in differences of embeddings.

    Parameters
    ----------
    encoder : nn.Module
        Maps a batch of samples to embeddings of shape (n, p).

    head : nn.Module
        Maps embeddings to the output; most often
        :class:`~sk_hypersphere.modules.Centers`, which returns squared distances of
        shape (n, k).

    Examples
    --------
    >>> import torch
    >>> from sk_hypersphere.modules import Centers
    >>> Hypersphere(nn.Identity(), Centers(torch.zeros(1, 2)))(torch.ones(1, 2))
    tensor([[2.]])
    """

    def __init__(self, encoder: nn.Module, head: nn.Module):
        super().__init__()
        self.encoder = encoder
        self.head = head

    def embed(self, x: Tensor) -> Tensor:
        """Return embeddings of samples, (n, p), as `transform` does."""
        return self.encoder(x)

    def depths(self, x: Tensor) -> Tensor:
        """Compute how deep samples are inside the spheres of a `Centers` head, (n,)."""
        return cast(Centers, self.head).depths(self.embed(x))

    def forward(self, x: Tensor) -> Tensor:
        z = self.encoder(x)
        if not torch.is_autocast_enabled(z.device.type):
            return self.head(z)
        with torch.autocast(z.device.type, enabled=False):
            return self.head(z.float())
