"""The clock, the bare loop and the peers of all races."""

import time
from functools import partial

import numpy as np
import torch
from skorch.callbacks import Callback

from benchmarks.methods import (
    all_streams_seeded,
    can_run,
    deepod_detector,
    pyod_deep_svdd,
)

SEED = 0
WEIGHT_DECAY = 1e-6
BATCH_SIZE = 128
HIDDEN_UNITS = (64, 32)
N_COMPONENTS = 16

OURS = "sk_hypersphere"
BARE = "bare loop"
CPU = torch.device("cpu")

# They have networks of the size of ours, and our settings as far as they allow.
PEERS = {
    "PyOD DeepSVDD": partial(
        pyod_deep_svdd,
        hidden_neurons=[*HIDDEN_UNITS, N_COMPONENTS],
        learning_rate=1e-3,
        l2_regularizer=WEIGHT_DECAY,
        dropout_rate=0,
        preprocessing=False,
    ),
    "DeepOD DeepSVDD": partial(
        deepod_detector,
        "DeepSVDD",
        hidden_dims=",".join(map(str, HIDDEN_UNITS)),
        rep_dim=N_COMPONENTS,
        bias=True,
    ),
}


def installed_peers():
    """The peers that can run here."""
    return {name: make for name, make in PEERS.items() if can_run(make)}


def normal_samples(*shape):
    return np.random.default_rng(SEED).standard_normal(shape, dtype=np.float32)


def now(device=CPU):
    """Seconds of this process, or on CUDA of the clock once all work is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


def process_seconds(function, *args, repeats=1):
    start = now()
    for _ in range(repeats):
        function(*args)
    return (now() - start) / repeats


def peer_fit_seconds(make, X, epochs):
    """A whole fit, whose draws from global streams leave them as they were."""
    with all_streams_seeded(SEED):
        return process_seconds(make(X.shape[1], SEED, epochs=epochs).fit, X)


def peer_training_seconds(make, X, epochs):
    """The epochs alone: peers have no callbacks, but can be fitted for 0 epochs."""
    return peer_fit_seconds(make, X, epochs) - peer_fit_seconds(make, X, 0)


class TrainingTime(Callback):
    """Seconds from the first epoch that counts to the end of the last."""

    def __init__(self, device=CPU, n_skipped=0):
        self.device = device
        self.n_skipped = n_skipped

    def on_train_begin(self, net, **kwargs):
        self.start = now(self.device)

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.n_skipped:
            self.start = now(self.device)

    def on_train_end(self, net, **kwargs):
        self.seconds = now(self.device) - self.start


def seconds_trained(model):
    """The seconds that `TrainingTime` among the callbacks of an estimator measured."""
    (watch,) = (
        callback
        for _, callback in model.net_.callbacks_
        if isinstance(callback, TrainingTime)
    )
    return watch.seconds


def shuffled(n, *, batch_size, device=CPU):
    """Index batches of an epoch that has every row once."""
    return torch.randperm(n, device=device).split(batch_size)


def adam(module, *, fused=True):
    """Adam as our nets have it: learned centers are exempt from weight decay."""
    named = dict(module.named_parameters())
    centers = [named.pop("head.centers")] if "head.centers" in named else []
    groups = [{"params": list(named.values())}]
    if centers:
        groups.append({"params": centers, "weight_decay": 0.0})
    return torch.optim.Adam(groups, lr=1e-3, weight_decay=WEIGHT_DECAY, fused=fused)


def bare_training_seconds(
    module,
    X,
    loss_of,
    *,
    epochs,
    batches_of,
    fused=True,
    read_every_batch=False,
    device=CPU,
    n_skipped=0,
):
    """Train in plain torch, without anything that could be left out."""
    X = torch.from_numpy(X).to(device)
    start = now(device)
    optimizer = adam(module, fused=fused)
    module.train()
    for epoch in range(epochs):
        if epoch and epoch == n_skipped:
            start = now(device)
        total = 0
        for batch in batches_of(len(X)):
            optimizer.zero_grad()
            loss = loss_of(module, X[batch], batch)
            loss.backward()
            optimizer.step()
            total += loss.item() if read_every_batch else loss.detach()
        float(total)
    return now(device) - start
