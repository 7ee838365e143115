"""An encoder with a head: what every estimator trains."""

import torch
from torch import Tensor, nn


class Hypersphere(nn.Module):
    """Map samples to embeddings, and embeddings to what the loss is a function of.

    Under `torch.autocast` the encoder alone is in lower precision: differences of
    embeddings would lose their digits.

    Parameters
    ----------
    encoder : nn.Module
        From a batch of samples to embeddings of shape (n, p).

    head : nn.Module
        From embeddings to the output: most often
        :class:`~sk_hypersphere.modules.Centers`, whose output are squared distances of
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
        """Embeddings of samples, (n, p), as `transform` returns them."""
        return self.encoder(x)

    def depths(self, x: Tensor) -> Tensor:
        """How deep samples are inside the spheres of the head, (n,); see `Centers`."""
        return self.head.depths(self.embed(x))

    def forward(self, x: Tensor) -> Tensor:
        z = self.encoder(x)
        if not torch.is_autocast_enabled(z.device.type):
            return self.head(z)
        with torch.autocast(z.device.type, enabled=False):
            return self.head(z.float())
