"""Deep SVDD: training, a whole fit, scoring, a grid search, and memory."""

import tempfile
import time
import warnings
from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn import config_context
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNet

from benchmarks.memory import in_own_process, peak_mib, reset_peak
from benchmarks.methods import all_streams_seeded
from benchmarks.races.common import (
    BARE,
    BATCH_SIZE,
    CPU,
    HIDDEN_UNITS,
    N_COMPONENTS,
    OURS,
    PEERS,
    SEED,
    WEIGHT_DECAY,
    TrainingTime,
    bare_training_seconds,
    installed_peers,
    normal_samples,
    peer_fit_seconds,
    peer_training_seconds,
    process_seconds,
    seconds_trained,
    shuffled,
)
from sk_hypersphere import DeepSVDD
from sk_hypersphere.losses import OneClassLoss
from sk_hypersphere.modules import MLP, Centers, Hypersphere, MNISTLeNet


def on_rows(**params):
    """A detector of rows with the network of all contestants."""
    network = {"encoder": MLP, "encoder_params": {"hidden_units": HIDDEN_UNITS}}
    return DeepSVDD(
        **{
            **network,
            "n_components": N_COMPONENTS,
            "batch_size": BATCH_SIZE,
            "weight_decay": WEIGHT_DECAY,
            "contamination": "boundary",  # all rows are trained on
            "device": CPU,
            "random_state": SEED,
            **params,
        }
    )


def one_class(module, x, batch):
    """Mean squared distance to the center."""
    return (module.encoder(x) - module.head.centers).square().sum(dim=1).mean()


def training(X, detector, *, epochs, device=CPU, n_skipped=0, net_params=None):
    """Contestants that train the same network from the same weights and center.

    `net_params` are further contestants of ours: parameters of the net by their names.
    """
    detector.set_params(device=device, pretrain_epochs=0)
    start = detector.set_params(max_epochs=0).fit(X).net_.module_
    encoder = {"encoder": start.encoder, "encoder_params": None, "n_components": "auto"}
    detector.set_params(**encoder, max_epochs=epochs)
    watch = [TrainingTime(device, n_skipped)]

    def train_ours(net_params=None):
        detector.set_params(callbacks=watch, net_params=net_params)
        return seconds_trained(detector.fit(X))

    def train_bare(**kwargs):
        batch_size = detector.batch_size
        return bare_training_seconds(
            deepcopy(start),
            X,
            one_class,
            epochs=epochs,
            batches_of=partial(shuffled, batch_size=batch_size, device=device),
            device=device,
            n_skipped=n_skipped,
            **kwargs,
        )

    contestants = {BARE: train_bare, OURS: train_ours}
    for name, params in (net_params or {}).items():
        contestants[f"{OURS}, {name}"] = partial(train_ours, params)
    if net_params is None:
        contestants |= {
            "bare loop, Adam not fused": partial(train_bare, fused=False),
            "bare loop, loss read every batch": partial(
                train_bare, read_every_batch=True
            ),
            "skorch's defaults": partial(
                skorch_training_seconds, start, X, detector.batch_size, epochs
            ),
        }
    return contestants, epochs


def train_mlp(n_rows=20_000, epochs=4):
    X = normal_samples(n_rows, 32)
    contestants, _ = training(X, on_rows(), epochs=epochs)
    peers = {
        name: partial(peer_training_seconds, make, X, epochs)
        for name, make in installed_peers().items()
    }
    return contestants | peers, epochs


def train_lenet(n_rows=6_000, epochs=1, batch_size=200, **options):
    X = normal_samples(n_rows, 1, 28, 28)
    network = {"encoder": MNISTLeNet, "encoder_params": None, "n_components": 32}
    detector = on_rows(**network, batch_size=batch_size)
    return training(X, detector, epochs=epochs, **options)


def skorch_training_seconds(start, X, batch_size, epochs):
    net = NeuralNet(
        deepcopy(start),
        OneClassLoss,
        optimizer=torch.optim.Adam,
        optimizer__weight_decay=WEIGHT_DECAY,
        lr=1e-3,
        max_epochs=epochs,
        batch_size=batch_size,
        train_split=None,
        verbose=0,
    )
    return process_seconds(net.fit, X, np.zeros(len(X), dtype=np.int64))


def fit_rows(n_rows=1_000, n_features=20, epochs=30):
    """A fit as users call it, from the array to the threshold."""
    X = normal_samples(n_rows, n_features)
    detector = on_rows(max_epochs=epochs)
    contestants = {
        BARE: partial(process_seconds, bare_fit, X, epochs),
        OURS: partial(process_seconds, detector.fit, X),
    }
    for name, make in installed_peers().items():
        contestants[name] = partial(peer_fit_seconds, make, X, epochs)
    return contestants, epochs


def bare_fit(X, epochs):
    """Place the center, train, score the rows, and take a quantile as threshold."""
    encoder = MLP(X.shape[1:], N_COMPONENTS, hidden_units=HIDDEN_UNITS)
    with torch.inference_mode():
        center = encoder(torch.from_numpy(X)).mean(dim=0, keepdim=True)
    module = Hypersphere(encoder, Centers(center.clone()))
    batches_of = partial(shuffled, batch_size=BATCH_SIZE)
    bare_training_seconds(module, X, one_class, epochs=epochs, batches_of=batches_of)
    return np.quantile(bare_scores(module, X), 0.9)


def bare_scores(module, X, batch_size=8192):
    """Squared distances to the center in plain torch, into one array."""
    scores = torch.empty(len(X))
    batches = torch.from_numpy(X).split(batch_size), scores.split(batch_size)
    with torch.inference_mode():
        for batch, result in zip(*batches, strict=True):
            # Nothing is kept for the next batch, whose memory it would scatter.
            result.copy_(
                (module.encoder(batch) - module.head.centers).square().sum(dim=1)
            )
    return scores.numpy()


def score_rows(n_rows=200_000):
    X = normal_samples(n_rows, 32)
    detector = on_rows(max_epochs=0).fit(X[:1000])
    module = detector.net_.module_
    contestants = {
        BARE: partial(process_seconds, bare_scores, module, X, repeats=5),
        OURS: partial(process_seconds, detector.score_samples, X, repeats=5),
        f"{OURS}, assume_finite": partial(
            process_seconds, score_unchecked, detector, X, repeats=5
        ),
        "one forward pass of all rows": partial(
            process_seconds, bare_scores, module, X, n_rows, repeats=5
        ),
        "skorch's forward": partial(process_seconds, skorch_scores, module, X),
    }
    for name, make in installed_peers().items():
        with all_streams_seeded(SEED):
            peer = make(X.shape[1], SEED, epochs=1)
            peer.fit(X[:1000])
        contestants[name] = partial(process_seconds, peer.decision_function, X)
    return contestants, ""


def score_by_default(n_at_once, *shape):
    """Scores of samples by the default network; the bare loop also takes fewer at once.

    They are as many as our estimator takes, `n_at_once`.
    """
    X = normal_samples(*shape)
    detector = DeepSVDD(max_epochs=0, device=CPU, random_state=SEED).fit(X[:1000])
    module = detector.net_.module_
    return {
        BARE: partial(process_seconds, bare_scores, module, X),
        f"bare loop, batches of {n_at_once:,}": partial(
            process_seconds, bare_scores, module, X, n_at_once
        ),
        OURS: partial(process_seconds, detector.score_samples, X),
    }, ""


def score_unchecked(detector, X):
    """Scores where infinite and missing values are not looked for."""
    with config_context(assume_finite=True):
        return detector.score_samples(X)


def skorch_scores(module, X):
    net = NeuralNet(module, OneClassLoss, batch_size=8192).initialize()
    return net.forward(X)


def search_grid(n_rows=40_000, epochs=4):
    """A search of 8 candidates by 2 folds, in one process and in two."""
    X = normal_samples(n_rows, 32)
    y = np.where(X[:, 0] > 0, 1, -1)
    grid = {"nu": np.linspace(0.02, 0.16, 8)}

    def seconds(n_jobs):
        detector = on_rows(max_epochs=epochs)
        search = GridSearchCV(detector, grid, scoring="roc_auc", cv=2, n_jobs=n_jobs)
        start = time.perf_counter()
        search.fit(X, y)
        return time.perf_counter() - start

    return {"sequential": partial(seconds, 1), "n_jobs=2": partial(seconds, 2)}, epochs


def measure_memory(contestant, call, mapped, n_rows=1_000_000):
    """Seconds of "fit" for one epoch or "score", and its peak above the input in MiB.

    Each runs in a process of its own.

    Parameters
    ----------
    contestant : str
        "sk_hypersphere" or one of `PEERS`.

    call : {"fit", "score"}

    mapped : bool
        Whether the rows are a memory map. Its pages count as input: all are read before
        the peak is set back.

    n_rows : int, default=1_000_000
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "X.npy")
        np.save(path, normal_samples(n_rows, 32))
        return in_own_process(_measure_memory, path, contestant, call, mapped)


def _measure_memory(path, contestant, call, mapped):
    torch.set_num_threads(1)
    # Peers warn of arrays that are read only, and random numbers may collapse.
    warnings.simplefilter("ignore")
    X = np.load(path, mmap_mode="r" if mapped else None)
    if contestant == OURS:
        model = on_rows(max_epochs=1)
        score = model.score_samples
    else:
        model = PEERS[contestant](X.shape[1], SEED, epochs=1)
        score = model.decision_function
    model.fit(X[:1000])  # libraries are loaded
    score(X[:1000])
    X.sum()
    reset_peak()
    before = peak_mib()
    start = time.process_time()
    (model.fit if call == "fit" else score)(X)
    return time.process_time() - start, peak_mib() - before
