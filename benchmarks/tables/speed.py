"""Training and scoring beside a bare torch loop, as ratios.

The bare loop is the fastest that does the same sums: the same network, loss, optimizer
and batches, indexed from one tensor, with the loss read once an epoch. One round runs
all contestants of a case in random order; ratios are taken within rounds. Time is that
of this process on one thread, so that others on the machine disturb little.
"""

import time
from contextlib import contextmanager
from copy import deepcopy
from functools import partial

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch.nn import functional

from benchmarks.report import column, markdown_table, select, unique
from sk_hypersphere import (
    DeepSVDD,
    EIDNEmbedder,
    MCHADClassifier,
    SubclusterDetector,
)
from sk_hypersphere.confidence import logits_of, odin
from sk_hypersphere.losses import OneClassLoss
from sk_hypersphere.modules import MLP, ConvNet, MNISTLeNet

NAME = "speed"
DESCRIPTION = "Training and scoring, as ratios to a bare torch loop."

N_ROUNDS = 15
N_ROUNDS_FULL = 45
SEED = 0
WEIGHT_DECAY = 1e-6
MARGIN = 2.0  # of EIDN, its default for two components

OURS = "sk_hypersphere"
BARE = "bare loop"


def run(results, options):
    """Run the rounds of each case that are not in the results yet."""
    n_rounds = N_ROUNDS_FULL if options.full else N_ROUNDS
    random_state = np.random.default_rng(SEED)
    with one_thread():
        for case, make_contestants in CASES.items():
            if options.only in case:
                contestants, epochs = make_contestants()
                for contestant in contestants.values():
                    contestant()  # libraries are loaded, memory is claimed
                for number in range(n_rounds):
                    names = random_state.permutation(list(contestants))
                    run_round(results, case, contestants, names, number, epochs)


def run_round(results, case, contestants, names, number, epochs):
    """Time all contestants one after the other, unless the round is complete."""
    *_, last = contestants
    if results.done(case=case, contestant=last, round=number):
        return
    seconds = {name: contestants[name]() for name in names}
    for name in contestants:
        results.add(
            case=case,
            contestant=name,
            round=number,
            seed=SEED,
            epochs=epochs,
            seconds=f"{seconds[name]:.5f}",
        )


def render(rows):
    """Median seconds, and medians and quartiles of ratios, in Markdown."""
    lines = []
    for case in unique(column(rows, "case")):
        of_case = select(rows, case=case)
        baseline = _seconds_by_round(select(of_case, contestant=BARE))
        for contestant in unique(column(of_case, "contestant")):
            seconds = _seconds_by_round(select(of_case, contestant=contestant))
            rounds = sorted(seconds.keys() & baseline.keys(), key=int)
            ratios = [seconds[number] / baseline[number] for number in rounds]
            low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
            lines.append(
                [
                    case,
                    contestant,
                    f"{1000 * np.median(list(seconds.values())):.0f}",
                    f"{middle:.2f}",
                    f"{low:.2f} to {high:.2f}",
                    len(rounds),
                ]
            )
    header = ["case", "", "ms", "ratio to the bare loop", "quartiles", "rounds"]
    return markdown_table(header, lines)


def _seconds_by_round(rows):
    """Of a round that was interrupted and repeated, the repetition counts."""
    return {row["round"]: float(row["seconds"]) for row in rows}


@contextmanager
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train_mlp(n_rows=20_000, epochs=4):
    X = _normal_samples(n_rows, 32)
    params = {"hidden_units": (64, 32)}
    return _training(X, MLP, params, n_components=16, batch_size=128, epochs=epochs)


def train_lenet(n_rows=6_000, epochs=1):
    X = _normal_samples(n_rows, 1, 28, 28)
    return _training(X, MNISTLeNet, {}, n_components=32, batch_size=200, epochs=epochs)


def train_mchad(n_rows=20_000, epochs=4):
    X = _normal_samples(n_rows, 32)
    y = np.random.default_rng(SEED).integers(10, size=n_rows)
    make = partial(
        MCHADClassifier,
        batch_size=128,
        lr=1e-3,
        weight_decay=WEIGHT_DECAY,
        calibration_fraction=0,
        device="cpu",
        random_state=SEED,
    )
    encoder = {"encoder": MLP, "encoder_params": {"hidden_units": (64, 32)}}
    start = make(**encoder, max_epochs=0).fit(X, y).net_.module_
    labels = torch.from_numpy(y)

    def train_ours():
        watch = {"callbacks": [TrainingTime()], "max_epochs": epochs}
        return _seconds_trained(make(encoder=start.encoder, **watch).fit(X, y))

    def mchad(module, x, batch):
        """The loss with its default weights, a radius of 0 and no outliers."""
        z, centers = module.encoder(x), module.head.centers
        sq_norms = z.square().sum(dim=1, keepdim=True) + centers.square().sum(dim=1)
        sq_distances = sq_norms - 2 * z @ centers.T
        own = labels[batch]
        compactness = sq_distances.gather(1, own[:, None]).mean()
        return 0.05 * compactness + functional.cross_entropy(-sq_distances, own)

    def train_bare():
        batches_of = partial(shuffled, batch_size=128)
        return bare_training_seconds(
            deepcopy(start), X, mchad, epochs=epochs, batches_of=batches_of
        )

    return {BARE: train_bare, OURS: train_ours}, epochs


def train_eidn(X, triplets, *, epochs, n_steps, batch_size=64):
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
        calibration_fraction=0,
        device="cpu",
        random_state=SEED,
    )
    start = make(max_epochs=0).fit(X, y).net_.module_

    def train_ours():
        watch = {"callbacks": [TrainingTime()], "max_epochs": epochs}
        return _seconds_trained(make(encoder=start.encoder, **watch).fit(X, y))

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

    They are those of all batches of an epoch, (n_steps, 2 * batch_size).
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


def eidn_on_rows(triplets="all", n_rows=20_000, epochs=4, n_steps=100):
    X = _normal_samples(n_rows, 32)
    return train_eidn(X, triplets, epochs=epochs, n_steps=n_steps)


def eidn_on_images(n_rows=6_000, epochs=1, n_steps=20):
    X = _normal_samples(n_rows, 1, 28, 28)
    return train_eidn(X, "all", epochs=epochs, n_steps=n_steps)


def score_rows(n_rows=200_000):
    X = _normal_samples(n_rows, 32)
    detector = _detector(MLP, {"hidden_units": (64, 32)}, n_components=16, max_epochs=0)
    detector.fit(X[:1000])
    module = detector.net_.module_
    contestants = {
        BARE: partial(_process_seconds, bare_scores, module, X, repeats=5),
        OURS: partial(_process_seconds, detector.score_samples, X, repeats=5),
        "skorch's forward": partial(_process_seconds, _skorch_scores, module, X),
    }
    return contestants, ""


def score_by_odin(X, encoder, encoder_params):
    """ODIN beside a single forward pass, both as the estimator makes them."""
    detector = SubclusterDetector(
        encoder=encoder,
        encoder_params=encoder_params,
        scorer="odin",
        max_epochs=0,
        device="cpu",
        random_state=SEED,
    )
    detector.fit(X[:1000], cluster_labels=np.arange(1000) % 10)
    contestants = {
        BARE: partial(_process_seconds, logits_of, detector, X),
        OURS: partial(_process_seconds, odin, detector, X),
    }
    return contestants, ""


def odin_on_rows(n_rows=100_000):
    X = _normal_samples(n_rows, 32)
    return score_by_odin(X, MLP, {"hidden_units": (64, 32)})


def odin_on_images(n_rows=10_000):
    return score_by_odin(_normal_samples(n_rows, 1, 28, 28), ConvNet, {})


CASES = {
    "training an MLP, 20,000 x 32": train_mlp,
    "training LeNet, 6,000 x 28 x 28": train_lenet,
    "training MCHAD with an MLP, 20,000 x 32": train_mchad,
    "training EIDN, 20,000 x 32": eidn_on_rows,
    "training EIDN, random triplets, 20,000 x 32": partial(eidn_on_rows, "random"),
    "training EIDN, 6,000 x 28 x 28": eidn_on_images,
    "scoring 200,000 x 32": score_rows,
    "ODIN, 100,000 x 32, beside a forward pass": odin_on_rows,
    "ODIN, 10,000 x 28 x 28, beside a forward pass": odin_on_images,
}


def _normal_samples(*shape):
    return np.random.default_rng(SEED).standard_normal(shape, dtype=np.float32)


def _detector(encoder, encoder_params, *, n_components, max_epochs, **params):
    return DeepSVDD(
        encoder=encoder,
        encoder_params=encoder_params,
        n_components=n_components,
        pretrain_epochs=0,
        max_epochs=max_epochs,
        weight_decay=WEIGHT_DECAY,
        device="cpu",
        random_state=SEED,
        **params,
    )


def _training(X, encoder, encoder_params, *, n_components, batch_size, epochs):
    """Contestants that train the same network from the same weights and center."""
    detector = _detector(
        encoder, encoder_params, n_components=n_components, max_epochs=0
    ).fit(X)
    start = detector.net_.module_
    batches_of = partial(shuffled, batch_size=batch_size)

    def train_ours():
        model = _detector(
            deepcopy(start.encoder),
            None,
            n_components="auto",
            max_epochs=epochs,
            batch_size=batch_size,
            callbacks=[TrainingTime()],
        )
        return _seconds_trained(model.fit(X))

    def train_bare(**kwargs):
        return bare_training_seconds(
            deepcopy(start),
            X,
            one_class,
            epochs=epochs,
            batches_of=batches_of,
            **kwargs,
        )

    contestants = {
        BARE: train_bare,
        OURS: train_ours,
        "bare loop, Adam not fused": partial(train_bare, fused=False),
        "bare loop, loss read every batch": partial(train_bare, read_every_batch=True),
        "skorch's defaults": partial(
            _skorch_training_seconds, start, X, epochs=epochs, batch_size=batch_size
        ),
    }
    return contestants, epochs


def _seconds_trained(model):
    (watch,) = (
        callback
        for _, callback in model.net_.callbacks_
        if isinstance(callback, TrainingTime)
    )
    return watch.seconds


class TrainingTime(Callback):
    """Seconds from the first epoch to the end of the last."""

    def on_train_begin(self, net, **kwargs):
        self.start = time.process_time()

    def on_train_end(self, net, **kwargs):
        self.seconds = time.process_time() - self.start


def one_class(module, x, batch):
    """Mean squared distance to the center."""
    return (module.encoder(x) - module.head.centers).square().sum(dim=1).mean()


def shuffled(n, *, batch_size):
    """Index batches of an epoch that has every row once."""
    return torch.randperm(n).split(batch_size)


def bare_training_seconds(
    module, X, loss_of, *, epochs, batches_of, fused=True, read_every_batch=False
):
    """Train in plain torch, without anything that could be left out."""
    X = torch.from_numpy(X)
    start = time.process_time()
    optimizer = torch.optim.Adam(
        module.parameters(), lr=1e-3, weight_decay=WEIGHT_DECAY, fused=fused
    )
    module.train()
    for _ in range(epochs):
        total = 0
        for batch in batches_of(len(X)):
            optimizer.zero_grad()
            loss = loss_of(module, X[batch], batch)
            loss.backward()
            optimizer.step()
            total += loss.item() if read_every_batch else loss.detach()
        float(total)
    return time.process_time() - start


def bare_scores(module, X):
    """Squared distances to the center in plain torch, into one array."""
    scores = torch.empty(len(X))
    batches = torch.from_numpy(X).split(8192), scores.split(8192)
    with torch.inference_mode():
        for batch, result in zip(*batches, strict=True):
            difference = module.encoder(batch) - module.head.centers
            result.copy_(difference.square().sum(dim=1))
    return scores.numpy()


def _skorch_training_seconds(start, X, *, epochs, batch_size):
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
    return _process_seconds(net.fit, X, np.zeros(len(X), dtype=np.int64))


def _skorch_scores(module, X):
    net = NeuralNet(module, OneClassLoss, batch_size=8192).initialize()
    return net.forward(X)


def _process_seconds(function, *args, repeats=1):
    start = time.process_time()
    for _ in range(repeats):
        function(*args)
    return (time.process_time() - start) / repeats
