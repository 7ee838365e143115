"""Training on CIFAR-10: augmentation, schedules, and checkpoints."""

import math
import os

import torch
from skorch.callbacks import Callback
from skorch.history import History
from torch import nn


class NormalizeColors(nn.Module):
    """CIFAR-10's channels to mean 0 and variance 1."""

    def __init__(self):
        super().__init__()
        mean, std = [125.3, 123.0, 113.9], [63.0, 62.1, 66.7]
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    def forward(self, x):
        return (x - self.mean) / self.std


class FlipAndCrop(nn.Module):
    """In training, shift each image at random, and mirror every other one.

    Shifts are up to `padding` pixels, independent in both directions, and pixels
    from outside are black. In evaluation mode images stay as they are.
    """

    def __init__(self, padding=4):
        super().__init__()
        self.padding = padding

    def forward(self, x):
        if not self.training:
            return x
        n, n_channels, height, width = x.shape
        draw = {"size": (n, 1), "device": x.device}
        top = torch.randint(2 * self.padding + 1, **draw)
        left = torch.randint(2 * self.padding + 1, **draw)
        is_flipped = torch.randint(2, **draw).bool()
        columns = torch.arange(width, device=x.device)
        columns = left + torch.where(is_flipped, columns.flip(0), columns)  # (n, w)
        rows = top + torch.arange(height, device=x.device)  # (n, h)
        padded = nn.functional.pad(x, [self.padding] * 4)
        return padded[
            torch.arange(n, device=x.device)[:, None, None, None],
            torch.arange(n_channels, device=x.device)[:, None, None],
            rows[:, None, :, None],
            columns[:, None, None, :],
        ]


class LearningRate(Callback):
    """Set the learning rate at the start of each epoch.

    It is ``schedule(n_done)``, of the number of epochs in the history alone, and so
    goes on where an interrupted training does. skorch's LRScheduler listens to every
    batch.
    """

    def __init__(self, schedule):
        self.schedule = schedule

    def on_epoch_begin(self, net, **kwargs):
        for group in net.optimizer_.param_groups:
            group["lr"] = self.schedule(len(net.history) - 1)


def half_cosine(n_done, start, n_epochs):
    """A learning rate that falls from its start to 0, by the epochs done."""
    return start * (1 + math.cos(math.pi * n_done / n_epochs)) / 2


def checkpoint_of(results, *parts):
    """The file of an unfinished training, hidden beside the results."""
    name = "-".join(map(str, parts)).replace(" ", "-")
    return results.path.with_name(f".{results.path.stem}-{name}.checkpoint")


class Checkpoint(Callback):
    """Keep all that training depends on after each epoch; go on from it if it is there.

    On the CPU an interrupted training ends with the same weights as another.
    """

    def __init__(self, path, n_epochs):
        self.path = path
        self.n_epochs = n_epochs

    def on_epoch_end(self, net, **kwargs):
        unfinished = self.path.with_suffix(".tmp")
        state = {
            "module": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "history": [*net.history],
            "order": net.iterator_train__random_state.get_state(),
            "stream": torch.get_rng_state(),
            "cuda_streams": torch.cuda.get_rng_state_all(),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, unfinished)
        os.replace(unfinished, self.path)  # at once, so that no half is ever read

    def on_train_begin(self, net, **kwargs):
        if self.path.exists():
            # Our own file: it holds numpy's random state, more than weights.
            state = torch.load(self.path, map_location="cpu", weights_only=False)
            net.module_.load_state_dict(state["module"])
            net.optimizer_.load_state_dict(state["optimizer"])
            net.history = History(state["history"])
            net.iterator_train__random_state.set_state(state["order"])
            torch.set_rng_state(state["stream"])
            torch.cuda.set_rng_state_all(state["cuda_streams"])
        net.max_epochs = self.n_epochs - len(net.history)


def seconds_trained(model):
    """Seconds of all epochs, those before an interruption too."""
    return sum(epoch["dur"] for epoch in model.net_.history)


def device_name(model):
    """The device that a model was trained on."""
    device = torch.device(model.net_.device)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
