"""An encoder with a decoder, for pre-training."""

import torch
from torch import Tensor, nn


class AutoEncoder(nn.Module):
    r"""Encode, add noise to the code, decode, and compare with the target.

    .. math::

        r = g(f(x) + \varepsilon) - \frac{t(x) - a}{b - a}, \qquad
        \varepsilon \sim \mathcal{N}(0, \sigma^2 I)

    where :math:`f` is the encoder, :math:`g` the decoder, :math:`t` what is
    reconstructed, :math:`[a, b]` the span of its values over the training data and
    :math:`\varepsilon` the noise, drawn anew for every row in training and absent in
    evaluation. In these units the data span 0 to 1, so that no unit of the input
    changes the training.

    Parameters
    ----------
    encoder : nn.Module
        From samples to codes of shape (n, p).

    decoder : nn.Module
        From codes to reconstructions, of the target's shape.

    target : nn.Module, default=None
        From samples to what is reconstructed; None is the samples themselves.

    noise : float, default=0.0
        Standard deviation :math:`\sigma` of the noise on the code.

    Attributes
    ----------
    low, high : Tensor of shape ()
        The span :math:`[a, b]`, buffers; 0 and 1 at first.

    Examples
    --------
    >>> autoencoder = AutoEncoder(nn.Linear(4, 2), nn.Linear(2, 4))
    >>> residual, code = autoencoder(torch.zeros(3, 4))
    >>> residual.shape, code.shape
    (torch.Size([3, 4]), torch.Size([3, 2]))
    """

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
