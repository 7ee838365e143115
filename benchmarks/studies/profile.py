"""Where the time of a fit goes, and where the time of scoring goes.

Python's own cProfile says how long public functions take, with all that they call;
torch's profiler says how the layers of a network share its forward pass. Both run in
fits of their own. No function of a floor calls one of another floor, so that floors and
"everything else" add up to the whole.
"""

import cProfile
import pstats
import time
from collections.abc import Callable
from functools import partial
from inspect import unwrap
from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils.validation import validate_data
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch.optim.swa_utils import update_bn

from benchmarks.methods import one_thread
from benchmarks.report import column, markdown_table, select, unique
from sk_hypersphere import DeepSVDD
from sk_hypersphere.losses import OneClassLoss
from sk_hypersphere.modules import MLP, Centers, Hypersphere

NAME = "profile"
DESCRIPTION = "Where the time of a fit goes, floor by floor and layer by layer."

SEED = 0
N_PLAIN = 3  # fits without a profiler, of which the median counts
BETWEEN = "between the layers"
REST = "everything else"
WHOLE = "the whole"


def seconds_in(profile, *functions):
    """Seconds that Python functions took together, with all that they called."""
    stats = pstats.Stats(profile).stats
    total = 0.0
    for function in functions:
        code = unwrap(function).__code__
        key = code.co_filename, code.co_firstlineno, code.co_name
        *_, seconds, _ = stats.get(key, (0, 0, 0.0, 0.0, {}))
        total += seconds
    return total


FORWARD = "forward"  # it is divided between the layers of the network

FLOORS_OF_FIT = {
    "validation of the input": [validate_data],
    "making the net and its optimizer": [NeuralNet.initialize],
    "statistics of normalization layers": [update_bn],
    FORWARD: [Hypersphere.forward],
    "loss": [OneClassLoss.forward],
    "backward": [torch.Tensor.backward],
    "optimizer": [torch.optim.Adam.step, torch.optim.Adam.zero_grad],
    "callbacks, history and progress": [NeuralNet.notify],
}


def floors_of_scoring(encoder):
    """Floors of `score_samples`, given the class of the encoder."""
    return {
        "validation of the input": [validate_data],
        FORWARD: [encoder.forward],
        "head, to squared distances": [Centers.forward],
    }


class Case(NamedTuple):
    """A call to profile, the functions of each of its floors, and a watched call.

    The last one is the same call, or a shorter one, with its layers marked.
    """

    call: Callable
    floors: dict
    call_watched: Callable


def fit_case(shape, max_epochs, **params):
    """A fit of DeepSVDD on normal samples."""
    X = _normal_samples(*shape)

    def fit(max_epochs, callbacks=None):
        model = DeepSVDD(
            max_epochs=max_epochs,
            pretrain_epochs=0,
            callbacks=callbacks,
            device="cpu",
            random_state=SEED,
            **params,
        )
        model.fit(X)

    watched_fit = partial(fit, 1, [WatchTraining()])  # layers share each epoch alike
    return Case(partial(fit, max_epochs), FLOORS_OF_FIT, watched_fit)


def score_case(n_rows):
    """Scores of rows from a fitted DeepSVDD."""
    X = _normal_samples(n_rows, 32)
    detector = DeepSVDD(max_epochs=0, device="cpu", random_state=SEED).fit(X[:1000])
    encoder = detector.net_.module_.encoder

    def score_watched():
        with watched(encoder):
            detector.score_samples(X)

    floors = floors_of_scoring(type(encoder))
    return Case(partial(detector.score_samples, X), floors, score_watched)


SMALL = {
    "encoder": MLP,
    "encoder_params": {"hidden_units": (64, 32)},
    "n_components": 16,
}
CASES = {
    "fit, MLP 64-32-16, 20,000 x 32, 10 epochs": partial(
        fit_case, (20_000, 32), 10, **SMALL
    ),
    "fit, default MLP, 20,000 x 32, 10 epochs": partial(fit_case, (20_000, 32), 10),
    "fit, ConvNet, 6,000 x 28 x 28, 3 epochs": partial(fit_case, (6_000, 1, 28, 28), 3),
    "scores, default MLP, 200,000 x 32": partial(score_case, 200_000),
}


def run(results, options):
    """Profile the cases that are not in the results yet."""
    with one_thread():
        for name, make in CASES.items():
            if options.only in name and not results.done(case=name, floor=WHOLE):
                measure(results, name, make())


def measure(results, name, case):
    """Write the floors of a case, one a row, and the whole at the end."""
    case.call_watched()  # libraries are loaded, memory is claimed
    plain = np.median([_seconds(case.call) for _ in range(N_PLAIN)])
    profile = cProfile.Profile()
    profiled = _seconds(partial(profile.runcall, case.call))
    floors = {
        name: seconds_in(profile, *functions) for name, functions in case.floors.items()
    }
    floors[REST] = profiled - sum(floors.values())
    forward = floors[FORWARD]
    layers = {f"{FORWARD}: {k}": v * forward for k, v in shares(case).items()}
    for floor, seconds in floors.items():
        parts = layers if floor == FORWARD else {floor: seconds}
        for part, taken in parts.items():
            _add(results, name, part, taken, plain)
    _add(results, name, WHOLE, profiled, plain)


def _add(results, case, floor, seconds, plain_seconds):
    if seconds:
        results.add(
            case=case,
            floor=floor,
            seed=SEED,
            milliseconds=f"{1000 * seconds:.3f}",
            milliseconds_without=f"{1000 * plain_seconds:.3f}",
        )


def shares(case):
    """The share of each layer in the forward pass, and of the calls between layers."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, acc_events=True) as profile:
        case.call_watched()
    spans = {}
    for event in profile.events():
        if event.name.startswith(MARK):
            name = event.name.removeprefix(MARK)
            spans[name] = spans.get(name, 0.0) + event.cpu_time_total
    whole = spans.pop(ROOT)
    spans[BETWEEN] = whole - sum(spans.values())
    return {name: span / whole for name, span in spans.items()}


MARK = "layer of a benchmark: "
ROOT = "the network"


class watched:
    """Mark the forward passes of a network and of its layers for torch's profiler.

    Parameters
    ----------
    network : nn.Module
        Its layers are the modules in it that have no others in them.
    """

    def __init__(self, network):
        self.names = {network: ROOT} | {
            layer: f"{number}. {layer}"
            for number, layer in enumerate(_leaves(network), start=1)
        }

    def __enter__(self):
        self._open = []
        self._hooks = [
            hook
            for module in self.names
            for hook in (
                module.register_forward_pre_hook(self._begin),
                module.register_forward_hook(self._end),
            )
        ]

    def __exit__(self, *_):
        for hook in self._hooks:
            hook.remove()

    def _begin(self, module, inputs):
        span = torch.profiler.record_function(MARK + self.names[module])
        self._open.append(span)
        span.__enter__()

    def _end(self, module, inputs, output):
        self._open.pop().__exit__(None, None, None)


def _leaves(network):
    return [module for module in network.modules() if not [*module.children()]]


class WatchTraining(Callback):
    """Mark the layers from the first epoch to the end of the last."""

    def on_train_begin(self, net, **kwargs):
        self._watched = watched(net.module_)
        self._watched.__enter__()

    def on_train_end(self, net, **kwargs):
        self._watched.__exit__()
        del self._watched


def render(rows):
    """Milliseconds and percent of each floor, in Markdown."""
    blocks = []
    for case in unique(column(rows, "case")):
        floors = {
            row["floor"]: float(row["milliseconds"]) for row in select(rows, case=case)
        }
        whole = floors[WHOLE]
        lines = [
            [floor, f"{taken:.1f}", f"{100 * taken / whole:.1f}"]
            for floor, taken in floors.items()
        ]
        plain = float(select(rows, case=case)[0]["milliseconds_without"])
        lines.append(["without the profiler", f"{plain:.1f}", ""])
        blocks.append(markdown_table([case, "ms", "percent"], lines))
    return "\n\n".join(blocks)


def _seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _normal_samples(*shape):
    return np.random.default_rng(SEED).standard_normal(shape, dtype=np.float32)
