"""Seeds that act at fit and leave the caller's random streams as they were."""

from contextlib import contextmanager
from threading import RLock

import numpy as np
import torch
from sklearn.base import clone

# Weight initialization and dropout draw from torch's global stream and take no
# generator. Forking that stream is not safe between threads, so that fits of several
# threads take turns; on a CPU they would gain nothing from running side by side.
_global_stream = RLock()


def make_seed(random_state):
    """One integer from a `random_state` parameter.

    None takes fresh entropy from the operating system rather than numpy's global
    stream, which belongs to the caller.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(np.iinfo(np.int32).max))
    return int(random_state)


def clone_with_seeds(estimator, random_state):
    """A clone whose random states that were None are seeds from a stream.

    Also those of its parts, such as the steps of a pipeline.
    """
    copy = clone(estimator)
    unset = [
        name
        for name, value in sorted(copy.get_params().items())
        if name.split("__")[-1] == "random_state" and value is None
    ]
    seeds = {name: random_state.randint(np.iinfo(np.int32).max) for name in unset}
    copy.set_params(**seeds)
    return copy  # what is frozen returns nothing from set_params


@contextmanager
def seeded(seed, device):
    """Seed torch's global stream within the block and restore it afterwards.

    Parameters
    ----------
    seed : int
        At least 0.

    device : torch.device
        Where training happens; its stream is seeded and restored too.
    """
    devices = [device] if device.type == "cuda" else []
    with _global_stream, torch.random.fork_rng(devices=devices):
        torch.random.default_generator.manual_seed(seed)
        if devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
