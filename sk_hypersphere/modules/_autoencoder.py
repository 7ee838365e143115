"""Encoder with a decoder, for pre-training."""

import torch
from torch import Tensor, nn


class AutoEncoder(nn.Module):
    r"""Encode, add noise to the code, decode, and compare with the target.

    .. math::

        r = g(f(x) + \varepsilon) - \frac{t(x) - a}{b - a}, \qquad
        \varepsilon \sim \mathcal{N}(0, \sigma^2 I)

    where :math:`r` is the residual of a sample :math:`x`, :math:`f` the encoder,
    :math:`g` the decoder, :math:`t` the target of the reconstruction, :math:`[a, b]`
    the range of its values over the training data and :math:`\varepsilon` the noise,
    which is drawn anew for every row in training and absent in evaluation. Targets are
    scaled to [0, 1], so that the unit of the input does not change the training.

    Parameters
    ----------
    encoder : nn.Module
        Maps samples to codes of shape (n, p).

    decoder : nn.Module
        Maps codes to reconstructions of the target's shape.

    target : nn.Module, default=None
        Maps samples to targets; None reconstructs the samples themselves.

    noise : float, default=0.0
        Standard deviation :math:`\sigma` of the noise on the code.

    Attributes
    ----------
    low, high : Tensor of shape ()
        The range :math:`[a, b]`, buffers that start at 0 and 1.

    Examples
    --------
    >>> autoencoder = AutoEncoder(nn.Linear(4, 2), nn.Linear(2, 4))
    >>> residual, code = autoencoder(torch.zeros(3, 4))
    >>> residual.shape, code.shape
    (torch.Size([3, 4]), torch.Size([3, 2]))
    """

    low: Tensor
    high: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        target: nn.Module | None = None,
        noise: float = 0.0,
    ):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.target = nn.Identity() if target is None else target
        self.noise = noise
        self.register_buffer("low", torch.tensor(0.0))
        self.register_buffer("high", torch.tensor(1.0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        code = self.encoder(x)  # (n, ...) -> (n, p)
        noisy = code
        if self.training and self.noise:
            noisy = code + self.noise * torch.randn_like(code)
        target = (self.target(x) - self.low) / (self.high - self.low)
        return self.decoder(noisy) - target, code
