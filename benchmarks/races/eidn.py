"""EIDN: training on rows and on images, with all triplets or random ones."""

from copy import deepcopy
from functools import partial

import numpy as np
import torch

from benchmarks.races.common import (
    BARE,
    CPU,
    OURS,
    SEED,
    WEIGHT_DECAY,
    TrainingTime,
    bare_training_seconds,
    normal_samples,
    seconds_trained,
)
from sk_hypersphere import EIDNEmbedder

MARGIN = 2.0  # the default for two components


def training(X, triplets, *, epochs, n_steps, batch_size=64):
    """EIDN with its default network; a tenth of the rows are anomalies, the last."""
    n_anomalies = len(X) // 10
    y = np.repeat([1, -1], [len(X) - n_anomalies, n_anomalies])
    make = partial(
        EIDNEmbedder,
        margin=MARGIN,
        triplets=triplets,
        steps_per_epoch=n_steps,
        batch_size=batch_size,
        lr=1e-3,
        weight_decay=WEIGHT_DECAY,
        contamination="boundary",
        device=CPU,
        random_state=SEED,
    )
    start = make(max_epochs=0).fit(X, y).net_.module_

    def train_ours():
        watch = {"callbacks": [TrainingTime()], "max_epochs": epochs}
        return seconds_trained(make(encoder=start.encoder, **watch).fit(X, y))

    def eidn(module, x, batch):
        z = module.encoder(x)
        if triplets == "all":
            return cost_of_all(z)
        is_anomaly = batch[:batch_size] >= len(X) - n_anomalies
        return cost_of_random(z, is_anomaly.float()[:, None])

    def train_bare():
        draw = draw_kinds if triplets == "all" else draw_triplets
        size = {"n_steps": n_steps, "batch_size": batch_size}
        batches_of = partial(draw, n_anomalies=n_anomalies, **size)
        return bare_training_seconds(
            deepcopy(start), X, eidn, epochs=epochs, batches_of=batches_of
        )

    return {BARE: train_bare, OURS: train_ours}, epochs


def draw_kinds(n, n_anomalies, *, n_steps, batch_size):
    """Indices of normal rows, then of anomalies, which are the last of the n rows.

    The array has all batches of an epoch, (n_steps, 2 * batch_size).
    """
    size = n_steps, batch_size
    normal = torch.randint(n - n_anomalies, size)
    anomalies = torch.randint(n - n_anomalies, n, size)
    return torch.cat([normal, anomalies], dim=1)


def draw_triplets(n, n_anomalies, *, n_steps, batch_size):
    """The same, but positives first, whose kind a coin decides, then negatives."""
    rows = draw_kinds(n, n_anomalies, n_steps=n_steps, batch_size=batch_size)
    normal, anomalies = rows.chunk(2, dim=1)
    is_normal = torch.rand(normal.shape) < 0.5
    positives = normal.where(is_normal, anomalies)
    negatives = anomalies.where(is_normal, normal)
    return torch.cat([positives, negatives], dim=1)


def cost_of_all(z):
    """EIDN's loss of embeddings, (2 m, p), of which the second half are anomalies."""
    m = len(z) // 2
    to_origin = z.square().sum(dim=1)
    to_ones = (z - 1).square().sum(dim=1)
    normal = (to_origin[:m, None] - to_origin[m:] + MARGIN).clamp(min=0)  # (m, m)
    anomalous = (to_ones[m:, None] - to_ones[:m] + MARGIN).clamp(min=0)  # (m, m)
    return (normal.mean() + anomalous.mean()) / 2


def cost_of_random(z, anchor):
    """EIDN's loss of embeddings, (2 m, p), whose anchors, (m, 1), are 0 or 1."""
    positive, negative = z.chunk(2)  # (m, p) each
    near = (positive - anchor).square().sum(dim=1)
    far = (negative - anchor).square().sum(dim=1)
    return (near - far + MARGIN).clamp(min=0).mean()


def on_rows(triplets="all", n_rows=20_000, epochs=4, n_steps=100):
    X = normal_samples(n_rows, 32)
    return training(X, triplets, epochs=epochs, n_steps=n_steps)


def on_images(n_rows=6_000, epochs=1, n_steps=20):
    X = normal_samples(n_rows, 1, 28, 28)
    return training(X, "all", epochs=epochs, n_steps=n_steps)
