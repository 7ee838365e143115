"""Guard against the hypersphere's one failure: everything at one point."""

import warnings

import numpy as np
from torch import nn

from sk_hypersphere._batches import map_batches
from sk_hypersphere.exceptions import CollapseWarning

# Training shrinks embeddings on purpose; healthy fits keep at least a thousandth.
COLLAPSED_SHARE = 1e-6

# The variance is an order of magnitude, for which some thousand rows are enough.
MAX_ROWS = 4096

BOUNDED = (nn.Sigmoid, nn.Tanh, nn.Hardsigmoid, nn.Hardtanh, nn.Softsign, nn.ReLU6)


def embedding_variance(encoder, X, device):
    """Total variance of the embeddings, summed over components, in squared units.

    It is estimated on at most 4,096 rows, evenly spaced.
    """
    chosen = np.linspace(0, len(X) - 1, min(len(X), MAX_ROWS)).astype(int)
    z = map_batches(encoder.eval(), X[chosen], device)  # (m, p)
    return float(z.var(axis=0, dtype=np.float64).sum())


def warn_if_collapsed(before, after, encoder):
    """Warn if the variance of the embeddings fell to a millionth in training.

    Parameters
    ----------
    before, after : float
        Variance with the untrained and with the trained encoder.

    encoder : nn.Module
        The trained encoder, whose suspicious layers are named.
    """
    if before == 0 or after > COLLAPSED_SHARE * before:
        return
    suspects = [
        f"{name or 'itself'} ({type(layer).__name__})"
        for name, layer in encoder.named_modules()
        if getattr(layer, "bias", None) is not None or isinstance(layer, BOUNDED)
    ]
    blame = (
        f"These layers of the encoder allow it: {', '.join(suspects)}; remove their "
        "bias or bounded activation."
        if suspects
        else "No layer of it has a bias: weights near 0 are the likely cause."
    )
    warnings.warn(
        "The hypersphere collapsed: the variance of the embeddings fell from "
        f"{before:.3g} to {after:.3g}, and all scores are alike. Train for fewer "
        f"epochs, with a smaller lr, or with less weight_decay. {blame}",
        CollapseWarning,
        stacklevel=2,
    )
