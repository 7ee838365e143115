"""Random seeds for fits, which leave the caller's random streams unchanged."""

from contextlib import contextmanager
from threading import RLock

import numpy as np
import torch
from sklearn.base import clone

# Weight initialization and dropout draw from torch's global stream and take no
# generator. Forking that stream is not safe between threads, so fits in several threads
# take turns. On a CPU they would gain nothing from running side by side.
_global_stream = RLock()


def make_seed(random_state):
    """Draw one integer seed from a `random_state` parameter.

    None takes fresh entropy from the operating system rather than numpy's global
    stream, which belongs to the caller.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(np.iinfo(np.int32).max))
    return int(random_state)


def clone_with_seeds(estimator, random_state, *, overwrite=False):
    """Clone an estimator and set its random states to seeds from a stream.

    The random states of its parts, such as the steps of a pipeline, are set too. Random
    states that are not None are kept unless `overwrite` is True.
    """
    copy = clone(estimator)
    seeds = {
        name: random_state.randint(np.iinfo(np.int32).max)
        for name, value in sorted(copy.get_params().items(), key=lambda item: item[0])
        if name.split("__")[-1] == "random_state" and (overwrite or value is None)
    }
    copy.set_params(**seeds)
    return copy  # set_params of a frozen estimator returns None


class TorchStream:
    """A stream of random numbers that replaces torch's global stream within blocks.

    The global stream is restored after each block, and the next block continues where
    the last block ended.

    Parameters
    ----------
    seed : int
        At least 0.

    device : torch.device
        Device of the training; the stream of a CUDA device is replaced and restored
        too.
    """

    def __init__(self, seed, device):
        self.seed = seed
        self.devices = [device] if device.type == "cuda" else []
        self.states = None

    @contextmanager
    def active(self):
        """Draw from this stream within the block."""
        with _global_stream, torch.random.fork_rng(devices=self.devices):
            if self.states is None:
                self._seed()
            else:
                self._set_states()
            yield
            self.states = [
                torch.get_rng_state(),
                *map(torch.cuda.get_rng_state, self.devices),
            ]

    def _seed(self):
        torch.random.default_generator.manual_seed(self.seed)
        for device in self.devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(self.seed)

    def _set_states(self):
        own, *of_devices = self.states
        torch.set_rng_state(own)
        for state, device in zip(of_devices, self.devices, strict=True):
            torch.cuda.set_rng_state(state, device)
