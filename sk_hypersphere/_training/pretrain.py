"""Pre-training of an encoder as one half of an autoencoder."""

from copy import deepcopy
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn
from torch.optim.swa_utils import update_bn

from sk_hypersphere._training.checks import check_decoder
from sk_hypersphere._training.inference import (
    inference,
    inference_batches,
    map_batches,
    rows_at_once,
)
from sk_hypersphere._training.net import one_cycle, train_net
from sk_hypersphere._training.rows import BatchIterator, Rows, evenly_spaced
from sk_hypersphere.losses import ReconstructionLoss
from sk_hypersphere.modules import AutoEncoder


class Pretraining:
    """The shared part of estimators that can pre-train their encoder.

    They have the four parameters named here, `batch_size` and `weight_decay`.
    """

    _parameter_constraints: dict = {
        "pretrain_epochs": [
            Interval(Integral, 0, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "pretrain_lr": [Interval(Real, 0, None, closed="neither")],
        "code_penalty": [Interval(Real, 0, None, closed="left")],
        "decoder": [nn.Module, None],
    }

    def _pretrain_epochs(self, encoder, by_default=True):
        """Number of pre-training epochs; "auto" is 4 with a decoder, else 0 or more."""
        auto = getattr(encoder, "default_pretrain_epochs", 0) if by_default else 0
        if self.decoder is not None:
            auto = 4
        epochs = self._auto("pretrain_epochs", auto)
        if epochs and not can_decode(encoder, self.decoder):
            raise ValueError(
                "decoder must be given to pre-train an encoder that makes none itself, "
                f"got decoder=None for {type(encoder).__name__}. Give a module that "
                "maps embeddings to samples, or set pretrain_epochs=0."
            )
        return epochs

    def _pretrain(self, encoder, X, run, max_epochs, skipped=()):
        pretrain(
            encoder,
            X,
            run,
            decoder=self.decoder,
            max_epochs=max_epochs,
            batch_size=self.batch_size,
            lr=self.pretrain_lr,
            weight_decay=self.weight_decay,
            code_penalty=self.code_penalty,
            skipped=skipped,
        )


def can_decode(encoder, decoder):
    """Whether there is a decoder, given by the user or made by the encoder."""
    return decoder is not None or hasattr(encoder, "make_autoencoder")


def pretrain(
    encoder,
    X,
    run,
    *,
    decoder=None,
    max_epochs,
    batch_size,
    lr,
    weight_decay,
    code_penalty,
    skipped=(),
):
    """Train an encoder, in place, so that samples can be reconstructed from its codes.

    Parameters
    ----------
    encoder : nn.Module
        It maps samples to codes of shape (n, p).

    X : array of shape (n, ...)
        Training data, float32 or uint8.

    run : Run
        Random state, device and progress bar of this fit.

    decoder : nn.Module, default=None
        It maps codes to samples; a copy is trained. None stands for the decoder that
        the encoder makes.

    max_epochs, batch_size, weight_decay
        See the parameters of the estimators.

    lr : float
        Largest learning rate; it rises for 15 % of the steps and then falls.

    code_penalty : float
        Weight of the penalty on large codes. If above 0, unit noise is added to codes.

    skipped : sequence of int, default=()
        Indices of samples that are not trained on, besides the held-out samples.

    Returns
    -------
    HypersphereNet
        The fitted net of the autoencoder.
    """
    run.bar.total += max_epochs
    noise = float(code_penalty > 0)
    if decoder is None:
        autoencoder = encoder.make_autoencoder(noise).to(run.device)
        low, high = span(autoencoder.target, X, run)
        autoencoder.low.fill_(low)
        autoencoder.high.fill_(high)
    else:
        decoder = deepcopy(decoder)
        code = map_batches(encoder.eval(), X[:1], run.device)  # (1, p)
        check_decoder(decoder.eval(), code.shape[1], X)
        autoencoder = AutoEncoder(encoder, decoder, noise=noise)
    skipped = np.union1d(skipped, run.held_out).astype(np.intp)
    rows = Rows(X, device=run.device).without(skipped)
    n_steps = max_epochs * -(-len(rows) // batch_size)
    net = train_net(
        autoencoder,
        ReconstructionLoss(code_penalty),
        rows,
        run,
        max_epochs=max_epochs,
        batch_size=batch_size,
        lr=lr,
        weight_decay=weight_decay,
        callbacks=[one_cycle(lr, n_steps)],
    )
    settle_statistics(encoder, X, run)
    return net


def settle_statistics(encoder, X, run):
    """Compute the running statistics of normalization layers from the data.

    Running statistics start at mean 0 and variance 1 and approach the data only step by
    step. Centers placed before they arrive would miss the samples in training, which
    uses the statistics of its batches. At most 4,096 rows are used, evenly spaced over
    the rows that are not held out.
    """
    left = np.delete(np.arange(len(X)), run.held_out)
    rows = Rows(X[left[evenly_spaced(len(left), 4096)]], device=run.device)
    update_bn(BatchIterator(rows, batch_size=128), encoder)


def span(function, X, run):
    """Smallest and largest value of a function of the data; apart by 1 if equal.

    Held-out samples do not count.
    """
    is_left = np.ones(len(X), dtype=bool)
    is_left[run.held_out] = False
    values = []
    with inference(run.device):
        for rows, batch in inference_batches(X, run.device, rows_at_once(X)):
            left = np.flatnonzero(is_left[rows])
            if len(left):
                values.append(torch.stack(function(batch)[left].aminmax()))
    values = torch.stack(values)
    low, high = values[:, 0].min().item(), values[:, 1].max().item()
    return low, high if high > low else low + 1.0
