"""ODIN, the score of a SubclusterDetector that needs a gradient."""

from functools import partial

import numpy as np

from benchmarks.races.common import (
    BARE,
    CPU,
    HIDDEN_UNITS,
    OURS,
    SEED,
    normal_samples,
    process_seconds,
)
from sk_hypersphere import SubclusterDetector
from sk_hypersphere.confidence import logits_of, odin
from sk_hypersphere.modules import MLP, ConvNet


def scoring(X, encoder, encoder_params):
    """ODIN beside a single forward pass, both as the estimator makes them."""
    detector = SubclusterDetector(
        encoder=encoder,
        encoder_params=encoder_params,
        score_rule="odin",
        max_epochs=0,
        device=CPU,
        random_state=SEED,
    )
    detector.fit(X[:1000], cluster_labels=np.arange(1000) % 10)
    contestants = {
        BARE: partial(process_seconds, logits_of, detector, X),
        OURS: partial(process_seconds, odin, detector, X),
    }
    return contestants, ""


def on_rows(n_rows=100_000):
    X = normal_samples(n_rows, 32)
    return scoring(X, MLP, {"hidden_units": HIDDEN_UNITS})


def on_images(n_rows=10_000):
    return scoring(normal_samples(n_rows, 1, 28, 28), ConvNet, {})
