"""The net that trains and its callbacks, in the only file that knows skorch.

Every estimator trains a :class:`HypersphereNet`. It is a skorch ``NeuralNet``: history,
callbacks, validation splits and parameters work as skorch documents them. Only the
inner loop differs: it costs no more than a loop written in plain torch.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from inspect import signature
from typing import NamedTuple

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from sk_hypersphere._training.rows import BatchIterator, labels_of
from sk_hypersphere._training.samplers import shuffled
from sk_hypersphere.exceptions import NonFiniteLossError

BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class Interruption(BaseException):
    """Ctrl-C within an epoch, which skorch would treat as early stopping."""


class HypersphereNet(NeuralNet):
    """A ``NeuralNet`` that reads the loss once an epoch and skips unused batch events.

    Losses are kept on the device and written to the history once an epoch. Batches are
    recorded one by one, as in skorch, only if a callback listens to them or the
    optimizer needs a closure. An epoch whose loss is not finite ends training and
    restores the last weights that gave a finite loss.

    Parameters
    ----------
    *args, **kwargs
        Arguments of ``NeuralNet``. One of them is ``compile=True`` for
        ``torch.compile``, which speeds up training alone: scores are computed by the
        layers themselves.

    autocast : torch.dtype, default=None
        Lower precision in training, for the layers of the encoder that `torch.autocast`
        chooses. ``torch.bfloat16`` is faster on GPUs with tensor cores; float16 would
        need scaled gradients, which are not implemented. Weights, distances, loss and
        scores stay float32. None computes everything in float32.
    """

    valid_sampler = None  # draws the held-out batches; None keeps their order

    def __init__(self, *args, autocast=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.autocast = autocast

    def torch_compile(self, module, name):
        """Compile the module in place, so that its weights keep their names.

        The loss is not compiled: it is a few sums, which are not worth the time.
        """
        if self.compile and name == "module":
            module.compile(**self.get_params_for("compile"))
        return module

    def infer(self, x, **fit_params):
        with self._precision() if self.module_.training else nullcontext():
            return super().infer(x, **fit_params)

    def _precision(self):
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, self.autocast)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        if not training:
            if self.valid_sampler is not None and isinstance(iterator, BatchIterator):
                # The sampler is no parameter of the iterator, because `predict` uses
                # the same iterator and needs every sample once, in order.
                iterator.sampler = self.valid_sampler
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            return
        start = [tensor.detach().clone() for tensor in self._state()]
        try:
            if self._listens_to_batches():
                super().run_single_epoch(
                    iterator, training, prefix, step_fn, **fit_params
                )
                losses = self.history[-1, "batches", :, prefix + "_loss"]
                sizes = self.history[-1, "batches", :, prefix + "_batch_size"]
                first, loss = losses[0], float(np.average(losses, weights=sizes))
            else:
                first, loss = self._run_lean_epoch(iterator)
        except KeyboardInterrupt as error:
            raise Interruption from error
        self.history.record(prefix + "_loss", loss)
        if np.isfinite(first):
            self.last_good_ = start  # these weights gave a finite loss
        if not np.isfinite(loss):
            self.raise_non_finite(f"The training loss became {loss}")

    def raise_non_finite(self, symptom):
        """Restore the last weights that gave a finite loss, and raise an error."""
        with torch.no_grad():
            for tensor, good in zip(self._state(), self.last_good_ or (), strict=False):
                tensor.copy_(good)
        raise NonFiniteLossError(
            f"{symptom} in epoch {len(self.history)}. Likely repairs: a smaller lr, "
            "inputs scaled to unit variance (for example by StandardScaler), or a "
            "gradient clipping callback. The net with the last weights that gave a "
            "finite loss is in the `net` attribute of this error.",
            net=self,
        )

    def initialize(self):
        self.last_good_ = None
        return super().initialize()

    def get_all_learnable_params(self):
        """Names and parameters for the optimizer, which needs at least one of them."""
        names_and_parameters = [*super().get_all_learnable_params()]
        return names_and_parameters or [("none", nn.Parameter(torch.empty(0)))]

    @torch.enable_grad()  # the caller may have switched gradients off
    def _run_lean_epoch(self, iterator):
        """Train for one epoch; return the loss of the first batch and the mean loss."""
        self._set_training(True)
        module, criterion, optimizer = self.module_, self.criterion_, self.optimizer_
        precision = self._precision()
        first = total = None
        n_rows = 0
        for X, y in iterator:
            optimizer.zero_grad()
            with precision:
                output = module(X)
            loss = criterion(output, y)
            loss.backward()
            optimizer.step()
            loss, size = loss.detach(), len(y)
            if first is None:
                first, total = loss, torch.zeros_like(loss, dtype=torch.float64)
            # The losses are summed at once. Losses kept apart would lie between the
            # large temporaries of batches, whose memory could then not be used again.
            total.add_(loss, alpha=size)
            n_rows += size
        return first.item(), total.item() / n_rows

    def _listens_to_batches(self):
        needs_closure = isinstance(self.optimizer_, torch.optim.LBFGS)
        return needs_closure or any(
            getattr(type(callback), event) is not getattr(Callback, event)
            for _, callback in self.callbacks_
            for event in BATCH_EVENTS
        )

    def _state(self):
        return [*self.module_.state_dict().values()]

    def __getstate__(self):
        """Pickle CPU tensors, whatever the device, and each module once."""
        device = self.device
        self._move("cpu")
        try:
            state = super().__getstate__() | {"device": "cpu"}
        finally:
            self._move(device)
        for name in ("module", "criterion", "last_good_"):
            del state[name]
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        vars(self).update(
            module=self.module_, criterion=self.criterion_, last_good_=None
        )

    def _move(self, device):
        if torch.device(self.device).type != "cpu":
            self.module_.to(device)
            self.criterion_.to(device)


class Progress(Callback):
    """Advance a progress bar by `n_nets` after each epoch, and show the loss on it."""

    def __init__(self, bar, n_nets=1):
        self.bar = bar
        self.n_nets = n_nets

    def on_epoch_end(self, net, **kwargs):
        self.bar.set_postfix(loss=f"{net.history[-1, 'train_loss']:.4g}")
        self.bar.update(self.n_nets)

    def __getstate__(self):
        return {"bar": tqdm(disable=True), "n_nets": self.n_nets}


class AfterEpoch(Callback):
    """Call ``function(net, dataset_train)`` after each epoch from number `start` on.

    Estimators use it to update values that no gradient reaches, such as radii.
    """

    def __init__(self, function, start=0):
        self.function = function
        self.start = start

    def on_epoch_end(self, net, dataset_train=None, **kwargs):
        if len(net.history) >= self.start:
            self.function(net, dataset_train)


class LowerLearningRate(Callback):
    """Divide the learning rate by ten after the first `share` of the epochs.

    Small steps at the end remove most of the dependence on the seed. skorch's
    LRScheduler could lower the rate too, but it listens to every batch.
    """

    def __init__(self, share=0.7):
        self.share = share

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == round(self.share * net.max_epochs):
            for group in net.optimizer_.param_groups:
                group["lr"] /= 10


def one_cycle(max_lr, n_steps):
    """Learning rate that rises for 15 % of the steps and then falls to nearly 0."""
    return LRScheduler(
        OneCycleLR,
        max_lr=max_lr,
        total_steps=n_steps,
        pct_start=0.15,
        step_every="batch",
    )


class Run(NamedTuple):
    """The state that all nets trained in one fit share.

    Parameters
    ----------
    random_state : RandomState
        Draws the order of samples, and seeds for other estimators.

    device : torch.device
        Device of training.

    bar : tqdm
        The progress bar of the fit, whose total is the number of epochs.

    n_nets : int, default=1
        Number of nets that a single module stands for.

    held_out : sequence of int, default=()
        Indices of samples that nothing is learned from.
    """

    random_state: np.random.RandomState
    device: torch.device
    bar: tqdm
    n_nets: int = 1
    held_out: Sequence[int] = ()


def train_net(module, loss, rows, run, **params):
    """Train a module in place; `make_net` describes the parameters.

    Returns
    -------
    HypersphereNet
        The fitted net; its ``module_`` is `module`, in evaluation mode.
    """
    net = make_net(module, loss, run, **params)
    fit_net(net, rows)
    return net


def make_net(
    module,
    loss,
    run,
    *,
    max_epochs,
    batch_size,
    lr,
    weight_decay,
    sampler=shuffled,
    transform=None,
    valid_sampler=None,
    callbacks=(),
    net_params=None,
):
    """Make a net that is ready to be fitted.

    Parameters
    ----------
    module : nn.Module
        The module to train. Learned centers, parameters whose name ends in ".centers",
        are exempt from weight decay, which would pull them to the origin.

    loss : nn.Module
        Called as ``loss(module(X), y)`` for every batch.

    run : Run
        Random state, device and progress bar of this fit.

    max_epochs, batch_size, lr, weight_decay
        See the parameters of the estimators.

    sampler : callable, default=shuffled
        Gives the index arrays of an epoch; see `BatchIterator`.

    transform : callable, default=None
        Changes the samples of a batch; see `BatchIterator`.

    valid_sampler : callable, default=None
        A `sampler` for samples that a split holds out for validation; None goes through
        them in order.

    callbacks : sequence of skorch callbacks, default=()

    net_params : dict, default=None
        Parameters of the net that replace those set here.

    Returns
    -------
    HypersphereNet
        Not fitted yet; its ``module_`` will be `module`.
    """
    params = {
        "optimizer": torch.optim.Adam,
        "lr": lr,
        "max_epochs": max_epochs,
        "batch_size": batch_size,
        "iterator_train": BatchIterator,
        "iterator_valid": BatchIterator,
        "train_split": None,
        "callbacks": [*callbacks, Progress(run.bar, run.n_nets)],
        # The net writes the loss of an epoch itself, and the bar shows it.
        "callbacks__train_loss": None,
        "callbacks__print_log": None,
        "device": run.device,
        "verbose": 0,
        **(net_params or {}),
    }
    if params["iterator_train"] is BatchIterator:
        if "iterator_train__sampler" not in params:
            # The transform relies on the batches of this sampler.
            params["iterator_train__sampler"] = sampler
            params["iterator_train__transform"] = transform
        params["iterator_train__random_state"] = run.random_state
    if params["optimizer"] is torch.optim.Adam:
        params.setdefault("optimizer__fused", True)
    if weight_decay and "weight_decay" in signature(params["optimizer"]).parameters:
        params.setdefault("optimizer__weight_decay", weight_decay)
        if any(name.endswith(".centers") for name, _ in module.named_parameters()):
            groups = [("*.centers", {"weight_decay": 0.0})]
            params.setdefault("optimizer__param_groups", groups)
    net = HypersphereNet(module, loss, **params)
    net.valid_sampler = valid_sampler
    return net


def fit_net(net, rows):
    """Fit a net of `make_net` to `Rows`, or to a `Subset` of them."""
    try:
        net.fit(rows, labels_of(rows))
    except Interruption as interruption:
        raise interruption.__cause__ from None
    weights = net.module_.state_dict().values()
    if not all(torch.isfinite(tensor).all() for tensor in weights):
        net.raise_non_finite("Weights became infinite or NaN")
    net.last_good_ = None
    net.module_.eval()


def progress_bar(verbose, description):
    """Make the progress bar of one fit, which is hidden unless `verbose`."""
    return tqdm(disable=not verbose, desc=description, unit="epoch", total=0)
