"""Detection of a collapsed hypersphere, whose embeddings are all at one point."""

import numpy as np
from torch import nn

from sk_hypersphere._training.inference import map_batches
from sk_hypersphere._training.rows import evenly_spaced
from sk_hypersphere.exceptions import CollapseWarning, warn_caller

# A component has collapsed if its variance fell to this share of its former variance.
# Training shrinks embeddings on purpose, but healthy fits keep far more variance.
COLLAPSED_SHARE = 1e-6

# The hypersphere has collapsed if more than this share of its components collapsed.
TOLERATED_COMPONENTS = 0.1

# It has also collapsed if the variance is below SHRUNK_SHARE of the former variance and
# the distances to the centers have a standard deviation below LEAST_SPREAD of their
# mean. Data with p independent components have a spread of about 1 / sqrt(2 p).
SHRUNK_SHARE = 0.01
LEAST_SPREAD = 0.02

# The variance is estimated on this many rows, enough for its order of magnitude.
MAX_ROWS = 4096

# The warning names at most this many layers.
MAX_SUSPECTS = 5

BOUNDED = (nn.Sigmoid, nn.Tanh, nn.Hardsigmoid, nn.Hardtanh, nn.Softsign, nn.ReLU6)


def embedding_variance(encoder, X, device):
    """Variance of each component of the embeddings, (p,).

    The variance is estimated on at most 4,096 rows, evenly spaced.
    """
    chosen = evenly_spaced(len(X), MAX_ROWS)
    z = map_batches(encoder.eval(), X[chosen], device)  # (m, p)
    return z.var(axis=0, dtype=np.float64)


def collapsed_components(before, after):
    """Share of collapsed components, given the variances before and after, (p,)."""
    return float(np.mean((before > 0) & (after <= COLLAPSED_SHARE * before)))


def relative_spread(values):
    """Standard deviation divided by the mean; infinite for one value or a mean of 0."""
    mean = values.mean()
    return float(values.std() / mean) if len(values) > 1 and mean > 0 else np.inf


def warn_if_collapsed(diagnostics, encoder):
    """Warn if training moved all embeddings to one point or made all scores alike.

    Parameters
    ----------
    diagnostics : dict
        Entries of an estimator's `diagnostics_`: "initial_embedding_variance",
        "embedding_variance", "collapsed_components" and, if there are distances,
        "distance_spread".

    encoder : nn.Module
        The trained encoder; the warning names its suspicious layers.
    """
    share = diagnostics["collapsed_components"]
    spread = diagnostics.get("distance_spread", np.inf)
    shrunk = (
        diagnostics["embedding_variance"]
        < SHRUNK_SHARE * diagnostics["initial_embedding_variance"]
    )
    if share > TOLERATED_COMPONENTS:
        symptom = f"{share:.0%} of the components of the embedding no longer vary"
    elif shrunk and spread < LEAST_SPREAD:
        symptom = f"distances to the centers differ by {spread:.2g} of their mean"
    else:
        return
    suspects = [
        f"{name or 'itself'} ({type(layer).__name__})"
        for name, layer in encoder.named_modules()
        if getattr(layer, "bias", None) is not None or isinstance(layer, BOUNDED)
    ]
    if len(suspects) > MAX_SUSPECTS:
        n_more = len(suspects) - MAX_SUSPECTS
        suspects = [*suspects[:MAX_SUSPECTS], f"and {n_more} more"]
    blame = (
        f"These layers of the encoder allow it: {', '.join(suspects)}; remove their "
        "bias or bounded activation."
        if suspects
        else "No layer of the encoder has a bias: weights near 0 are the likely cause."
    )
    warn_caller(
        f"The hypersphere collapsed: {symptom}, so that scores mean little. Train "
        f"for fewer epochs, with a smaller lr, or with less weight_decay. {blame}",
        CollapseWarning,
    )
