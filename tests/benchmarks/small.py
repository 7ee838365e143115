"""Small data, options and callbacks that tests of several tables share."""

import numpy as np
from skorch.callbacks import Callback

from benchmarks.__main__ import parse
from benchmarks.datasets import Split


def options(*arguments):
    """Options of the command line, given its arguments, for fits on the CPU."""
    return parse([*arguments, "--device", "cpu"])


def interrupt_in_epoch(number):
    class Interrupt(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == number:
                raise KeyboardInterrupt

    return Interrupt()


def save_table(folder, name, n_normal, n_anomalies):
    """A table of one feature, which is below 0 in anomalies."""
    (folder / "adbench").mkdir(exist_ok=True)
    X = np.concatenate([np.arange(n_normal), -1 - np.arange(n_anomalies)])[:, None]
    np.savez(folder / "adbench" / f"{name}.npz", X=X.astype(np.float32), y=X[:, 0] < 0)


def tiny_mnist(n=400, n_channels=1):
    """Noise in place of MNIST, as many images of each class."""
    random_state = np.random.RandomState(0)
    size = 2 * n, n_channels, 8, 8
    images = random_state.randint(256, size=size).astype(np.uint8)
    labels = np.arange(2 * n) % 10
    return Split(images[:n], labels[:n], images[n:], labels[n:])


def tiny_cifar(n=40):
    """Noise in place of CIFAR-10, as many images of each class."""
    return tiny_mnist(n, n_channels=3)
