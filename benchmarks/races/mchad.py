"""MCHAD: training with an MLP on rows, and with a wide residual network on images."""

from copy import deepcopy
from functools import partial

import numpy as np
import torch
from torch.nn import functional

from benchmarks.races.common import (
    BARE,
    BATCH_SIZE,
    CPU,
    HIDDEN_UNITS,
    OURS,
    SEED,
    WEIGHT_DECAY,
    TrainingTime,
    bare_training_seconds,
    normal_samples,
    seconds_trained,
    shuffled,
)
from sk_hypersphere import MCHADClassifier
from sk_hypersphere.modules import MLP, WideResNet

N_CLASSES = 10


def training(
    X,
    encoder,
    encoder_params,
    *,
    epochs,
    batch_size=BATCH_SIZE,
    device=CPU,
    n_skipped=0,
    net_params=None,
):
    """Contestants that train the same network from the same weights and centers.

    `net_params` are further contestants of ours: parameters of the net by their names.
    """
    y = np.arange(len(X)) % N_CLASSES
    make = partial(
        MCHADClassifier,
        batch_size=batch_size,
        lr=1e-3,
        weight_decay=WEIGHT_DECAY,
        contamination=0.05,
        device=device,
        random_state=SEED,
    )
    network = {"encoder": encoder, "encoder_params": encoder_params}
    start = make(**network, max_epochs=0).fit(X, y).net_.module_
    labels = torch.from_numpy(y).to(device)

    def train_ours(net_params=None):
        model = make(
            encoder=start.encoder,
            max_epochs=epochs,
            callbacks=[TrainingTime(device, n_skipped)],
            net_params=net_params,
        )
        return seconds_trained(model.fit(X, y))

    def train_bare():
        return bare_training_seconds(
            deepcopy(start),
            X,
            partial(mchad, labels=labels),
            epochs=epochs,
            batches_of=partial(shuffled, batch_size=batch_size, device=device),
            device=device,
            n_skipped=n_skipped,
        )

    contestants = {BARE: train_bare, OURS: train_ours}
    for name, params in (net_params or {}).items():
        contestants[f"{OURS}, {name}"] = partial(train_ours, params)
    return contestants, epochs


def mchad(module, x, batch, *, labels):
    """The loss with its default weights, a radius of 0 and no outliers."""
    z, centers = module.encoder(x), module.head.centers
    sq_norms = z.square().sum(dim=1, keepdim=True) + centers.square().sum(dim=1)
    sq_distances = sq_norms - 2 * z @ centers.T
    own = labels[batch]
    compactness = sq_distances.gather(1, own[:, None]).mean()
    return 0.05 * compactness + functional.cross_entropy(-sq_distances, own)


def on_rows(n_rows=20_000, epochs=4):
    X = normal_samples(n_rows, 32)
    return training(X, MLP, {"hidden_units": HIDDEN_UNITS}, epochs=epochs)


def on_images(n_rows, epochs, depth=40, widen_factor=2, **options):
    """WRN-40-2 on images of the size of CIFAR-10's."""
    X = normal_samples(n_rows, 3, 32, 32)
    size = {"depth": depth, "widen_factor": widen_factor}
    return training(X, WideResNet, size, epochs=epochs, **options)
