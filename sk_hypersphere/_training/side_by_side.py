"""Training of nets of the same shape in one loop, each as if it were alone.

The cost of a step on small batches is mostly the cost of calls, and one matrix product
for all nets is a single call. Every net has its own weights, random draws and batches.
"""

from functools import partial

import numpy as np
import torch
from torch import nn

from sk_hypersphere._training.net import (
    AfterEpoch,
    LowerLearningRate,
    Progress,
    Run,
    fit_net,
    make_net,
)
from sk_hypersphere._training.rows import BatchIterator, labels_of
from sk_hypersphere.modules import Hypersphere
from sk_hypersphere.modules._stacked import (
    are_alike,
    can_stack,
    load_members,
    stack_modules,
)


class SumOfLosses(nn.Module):
    """Sum of the losses of all nets, in which each net keeps its own gradient.

    Parameters
    ----------
    loss : nn.Module
        The loss of one net, which takes a stack of batches.

    n_nets : int
        Number of nets k.
    """

    def __init__(self, loss, n_nets):
        super().__init__()
        self.loss = loss
        self.register_buffer("totals", torch.zeros(n_nets, dtype=torch.float64))
        self.n_rows = 0

    def forward(self, output, y):
        losses = self.loss(output, y)  # (k, m, ...), (k, m) -> (k,)
        self.totals.add_(losses.detach(), alpha=y.shape[1])
        self.n_rows += y.shape[1]
        return losses.sum()

    def pop_means(self):
        """Return the mean loss of each net since the last call, as a list."""
        means = (self.totals / self.n_rows).tolist()
        self.totals.zero_()
        self.n_rows = 0
        return means


def record_epoch(shared, dataset_train, nets):
    """Write the losses of an epoch into the history of every net."""
    means = shared.criterion_.pop_means()
    for net, loss in zip(nets, means, strict=True):
        net.history.new_epoch()
        for name in ("epoch", "dur"):
            net.history.record(name, shared.history[-1, name])
        net.history.record("train_loss", loss)
    shared.history.record("train_loss", float(np.mean(means)))


class SideBySide:
    """Iterator over batches of several iterators, stacked along a new first axis.

    Parameters
    ----------
    iterators : list of iterable of (Tensor, Tensor)
        Their batches have the same shapes.
    """

    def __init__(self, iterators):
        self.iterators = iterators

    def __iter__(self):
        for batches in zip(*self.iterators, strict=True):
            X, y = zip(*batches, strict=True)
            yield torch.stack(X), torch.stack(y)


class SideBySideOfSameRows:
    """Same as `SideBySide` for iterators over the same rows, taken for all at once.

    Parameters
    ----------
    iterators : list of BatchIterator
        Iterators for which `have_same_rows` holds.
    """

    def __init__(self, iterators):
        self.iterators = iterators

    def __iter__(self):
        n_nets = len(self.iterators)
        drawn = zip(*(iterator.draw() for iterator in self.iterators), strict=True)
        for X, y in self.iterators[0].rows.take_each(map(np.concatenate, drawn)):
            yield X.unflatten(0, (n_nets, -1)), y.view(n_nets, -1)


def have_same_rows(iterators):
    """Whether iterators take their batches from one array, with the same labels."""
    first = iterators[0]
    return all(
        isinstance(iterator, BatchIterator)
        and iterator.transform is None
        and iterator.rows.X is first.rows.X
        and np.array_equal(iterator.rows.y, first.rows.y)
        for iterator in iterators
    )


class DrawnFrom:
    """Iterator that makes its batches with a stream in place of torch's own."""

    def __init__(self, stream, iterator):
        self.stream = stream
        self.iterator = iterator

    def __iter__(self):
        batches = iter(self.iterator)
        while True:
            with self.stream.active():
                batch = next(batches, None)
            if batch is None:
                return
            yield batch


def can_share_a_loop(trainings):
    """Whether nets can be trained side by side.

    They can if their parts can be stacked, if their numbers of batches and epochs are
    equal, and if nothing else happens between steps.

    Parameters
    ----------
    trainings : list of Training
    """
    first = trainings[0]
    return (
        all(map(_is_plain, trainings))
        and are_alike([t.net.module for t in trainings])
        and are_alike([t.plan.loss for t in trainings])
        and all(_length(t) == _length(first) for t in trainings)
    )


def _is_plain(training):
    net = training.net
    return (
        type(net.module) is Hypersphere
        and can_stack(net.module.encoder)
        and can_stack(net.module.head)
        and getattr(training.plan.loss, "stacks", False)
        and all(isinstance(c, (LowerLearningRate, Progress)) for c in net.callbacks)
    )


def _length(training):
    """Values on which the steps, and the number and sizes of their batches, depend.

    Kinds of labels decide which terms a loss has, and how batches are drawn.
    """
    net, labels = training.net, labels_of(training.dataset)
    _, counts = np.unique(np.minimum(labels, 0), return_counts=True)
    return net.max_epochs, net.batch_size, net.lr, len(net.callbacks), counts.tolist()


def train_side_by_side(trainings, weight_decay, bar):
    """Train nets for which `can_share_a_loop` holds, in place.

    Each net ends with the weights, the losses and the state of the optimizer that it
    would have if it was trained alone.

    Parameters
    ----------
    trainings : list of Training
        Trainings of the nets.

    weight_decay : float
        The parameter of the estimators.

    bar : tqdm
        Progress bar for all nets.
    """
    nets = [training.net.initialize() for training in trainings]
    first = nets[0]
    shared = make_net(
        stack_modules([net.module_ for net in nets]),
        SumOfLosses(first.criterion_, len(nets)),
        Run(None, trainings[0].rows.device, bar, n_nets=len(nets)),
        max_epochs=first.max_epochs,
        batch_size=first.batch_size,
        lr=first.lr,
        weight_decay=weight_decay,
        callbacks=[
            AfterEpoch(partial(record_epoch, nets=nets)),
            *[c for c in first.callbacks if isinstance(c, LowerLearningRate)],
        ],
        net_params={"iterator_train": partial(_all_batches, trainings)},
    )
    fit_net(shared, trainings[0].dataset)
    load_members([net.module_ for net in nets], shared.module_)
    for k, net in enumerate(nets):
        _load_optimizer(net, shared, k)
        net.module_.eval()


def _all_batches(trainings, dataset, **params):
    """Batches of all nets, which the shared net uses in place of a data set."""
    iterators = []
    for training in trainings:
        iterator = training.net.get_iterator(training.dataset, training=True)
        if training.plan.transform is not None:
            iterator = DrawnFrom(training.stream, iterator)
        iterators.append(iterator)
    if have_same_rows(iterators):
        return SideBySideOfSameRows(iterators)
    return SideBySide(iterators)


def _load_optimizer(net, shared, k):
    """Give a net's optimizer the net's share of the state of the shared optimizer."""
    own, all_of_them = net.optimizer_, shared.optimizer_
    parameters = zip(net.module_.parameters(), shared.module_.parameters(), strict=True)
    for parameter, stack in parameters:
        own.state[parameter] = {
            name: (value[k] if value.ndim else value).clone()
            for name, value in all_of_them.state[stack].items()
        }
    groups = zip(own.param_groups, all_of_them.param_groups, strict=True)
    for group, of_all in groups:
        group["lr"] = of_all["lr"]
