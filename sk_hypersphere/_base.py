"""What all estimators share: validate, seed, train, embed, score, threshold.

An estimator says what is trained in one hook, :meth:`BaseHypersphere._plan`, keeps what
it learned in another, :meth:`BaseHypersphere._keep`, and one that scores says how
abnormal the output of its module is in a third, :meth:`BaseHypersphereScorer._score`.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    OutlierMixin,
    TransformerMixin,
)
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from sk_hypersphere._batches import (
    Rows,
    check_finite,
    hold_out,
    map_batches,
    rows_at_once,
    shuffled,
)
from sk_hypersphere._checks import (
    check_embedding,
    resolve_device,
    unchanged_on_error,
)
from sk_hypersphere._collapse import (
    collapsed_components,
    embedding_variance,
    warn_if_collapsed,
)
from sk_hypersphere._parameters import ParameterDicts
from sk_hypersphere._pretrain import settle_statistics
from sk_hypersphere._random import TorchStream, make_seed
from sk_hypersphere._skorch import (
    HypersphereNet,
    LowerLearningRate,
    Run,
    Schedule,
    fit_net,
    make_net,
    progress_bar,
)
from sk_hypersphere.modules import MLP, ConvNet, Hypersphere


class Plan(NamedTuple):
    """What an estimator trains, and how.

    `head` maps embeddings to the output; `loss` is called as ``loss(output, y)``;
    `schedule` is for parameters that are "auto"; `y` are integer labels, (n,), None for
    0; `callbacks` are skorch's; `sampler` gives the batches of an epoch,
    `valid_sampler` those of samples held out by a split, and `transform` changes the
    samples of a batch; `held_out` are the indices of samples that are not trained on;
    `learns` is False where there is nothing to learn, for 0 epochs;
    ``make_module(encoder, head)`` puts together what is called in training.
    """

    head: nn.Module
    loss: nn.Module
    schedule: Schedule
    y: np.ndarray | None = None
    callbacks: Sequence = ()
    sampler: Callable = shuffled
    transform: Callable | None = None
    valid_sampler: Callable | None = None
    held_out: Sequence[int] = ()
    learns: bool = True
    make_module: Callable = Hypersphere


class Training(NamedTuple):
    """A fit whose net is ready to be trained, and what is needed afterwards.

    `rows` are all samples with the labels of the plan, on the device of training;
    `stream` takes the place of torch's; `initial_variance` is that of each component of
    the embedding, (p,).
    """

    net: HypersphereNet
    rows: Rows
    plan: Plan
    stream: TorchStream
    initial_variance: np.ndarray

    @property
    def dataset(self):
        """The rows that the net is trained on."""
        return self.rows.without(self.plan.held_out)


class BaseHypersphere(
    ParameterDicts, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """An encoder with a head, trained in one net; the embedding is :meth:`transform`.

    Think twice before adding to this class: it is the base of all estimators.
    """

    _parameter_constraints: dict = {
        "encoder": [nn.Module, callable, None],
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "max_epochs": [
            Interval(Integral, 0, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "encoder_params": [dict, None],
        "net_params": [dict, None],
        "callbacks": [list, tuple, None],
        "device": [str, torch.device],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    # What encodes images if `encoder` is None.
    _image_encoder = ConvNet

    def __init__(
        self,
        *,
        encoder,
        n_components,
        max_epochs,
        batch_size,
        lr,
        weight_decay,
        encoder_params,
        net_params,
        callbacks,
        device,
        warm_start,
        verbose,
        random_state,
    ):
        self.encoder = encoder
        self.n_components = n_components
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.encoder_params = encoder_params
        self.net_params = net_params
        self.callbacks = callbacks
        self.device = device
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state

    def _check_y(self, X, y):
        """What `fit` was given beside `X`, checked before anything is built.

        An estimator may set attributes here that its other hooks need.
        """
        return y

    def _prepare(self, X, y, run):
        """What :meth:`_plan` is given as `y`, where other estimators find it.

        They are fitted before torch's stream is taken, since they may fit networks too,
        in threads of their own.
        """
        return y

    def _plan(self, encoder, head, X, y, run):
        """Say what is trained. To be written by the estimator.

        Parameters
        ----------
        encoder : nn.Module
            The encoder, on the device: new, or that of the last fit under `warm_start`.

        head : nn.Module or None
            The head of the last fit under `warm_start`, to go on with; else None.

        X : array of shape (n, ...)
            Training data, float32 or uint8.

        y : object
            What :meth:`_prepare` returned.

        run : Run
            Random state, device and progress bar of this fit.

        Returns
        -------
        Plan
        """
        raise NotImplementedError

    def _keep(self, rows, plan):
        """Set fitted attributes from ``self.net_``; by default there are none.

        Parameters
        ----------
        rows : Rows
            All samples with the labels of the plan, on the device of training.

        plan : Plan
            What was trained.
        """

    def _fit(self, X, y=None, **labels):
        with unchanged_on_error(self):
            X, y = self._check(X, y, **labels)
            with progress_bar(self.verbose, type(self).__name__) as bar:
                training = self._begin(X, y, bar)
                with training.stream.active():
                    self._train_and_finish(training)
        return self

    def _check(self, X, y=None, **labels):
        """What `fit` was given, as the other steps of a fit take it."""
        X = self._validate(X, reset=True)
        return X, self._check_y(X, y, **labels)

    def _begin(self, X, y, bar):
        """All of a fit that comes before its net is trained, given what is checked.

        Returns
        -------
        Training
        """
        device = resolve_device(self.device)
        seed = make_seed(self.random_state)
        run = Run(np.random.RandomState(seed), device, bar)
        y = self._prepare(X, y, run)
        stream = TorchStream(seed, device)
        with stream.active():
            return self._make_training(X, y, run, stream)

    def _make_training(self, X, y, run, stream):
        if self.warm_start and hasattr(self, "net_"):
            module = deepcopy(self.net_.module_)
            encoder, head = module.encoder, module.head.to(run.device)
        else:
            encoder, head = self._make_encoder(X), None
        encoder.to(run.device)
        self._n_features_out = check_embedding(encoder, X, run.device, self.batch_size)
        if head is None and not isinstance(self.encoder, nn.Module):
            settle_statistics(encoder, X, run.device)
        variance = embedding_variance(encoder, X, run.device)
        plan = self._plan(encoder, head, X, y, run)
        max_epochs = self._auto("max_epochs", plan.schedule.max_epochs) * plan.learns
        lowers = plan.schedule.lowers and self.lr == "auto"
        run.bar.total += max_epochs
        net = make_net(
            plan.make_module(encoder, plan.head).to(run.device),
            plan.loss,
            run,
            max_epochs=max_epochs,
            batch_size=self.batch_size,
            lr=self._auto("lr", plan.schedule.lr),
            weight_decay=self.weight_decay,
            sampler=plan.sampler,
            transform=plan.transform,
            valid_sampler=plan.valid_sampler,
            callbacks=[
                *plan.callbacks,
                *[LowerLearningRate()] * lowers,
                *deepcopy(self.callbacks or ()),
            ],
            net_params=self.net_params,
        )
        return Training(net, Rows(X, plan.y, run.device), plan, stream, variance)

    def _train_and_finish(self, training):
        fit_net(training.net, training.dataset)
        self._finish(training)

    def _finish(self, training):
        """All of a fit that comes after its net was trained."""
        self.net_ = net = training.net
        self.n_iter_ = len(net.history)
        encoder, rows = net.module_.encoder, training.rows
        before = training.initial_variance
        after = embedding_variance(encoder, rows.X, rows.device)
        self.diagnostics_ = {
            "initial_embedding_variance": float(before.sum()),
            "embedding_variance": float(after.sum()),
            "collapsed_components": collapsed_components(before, after),
        }
        if not np.isfinite(after).all():
            net.raise_non_finite("Embeddings became infinite or NaN")
        self._keep(rows, training.plan)
        warn_if_collapsed(self.diagnostics_, encoder)

    def _auto(self, name, value):
        """The value of a parameter, or `value` where it is "auto"."""
        given = getattr(self, name)
        return value if isinstance(given, str) and given == "auto" else given

    def _embedding_size(self, make):
        """Size of the embedding of an encoder that `make` builds."""
        return self._auto("n_components", getattr(make, "default_n_components", 32))

    def _make_encoder(self, X):
        params = self.encoder_params or {}
        if isinstance(self.encoder, nn.Module):
            if params:
                raise ValueError(
                    "encoder_params are for an encoder that is built at fit, but "
                    f"encoder is a ready module ({type(self.encoder).__name__}). Give "
                    "the class instead, or leave encoder_params empty."
                )
            encoder = deepcopy(self.encoder)
            for layer in encoder.modules():
                if getattr(layer, "inplace", False):
                    layer.inplace = False  # it would write into the caller's array
            return encoder
        make = self.encoder
        if make is None:
            make = MLP if X.ndim == 2 else self._image_encoder
        return make(tuple(X.shape[1:]), self._embedding_size(make), **params)

    def _validate(self, X, *, reset):
        X = validate_data(
            self,
            X,
            dtype=[np.float32, np.uint8],
            allow_nd=True,
            ensure_all_finite=False,
            reset=reset,
        )
        if reset:
            check_finite(X)  # later, `inference_batches` looks
            self.input_shape_ = X.shape[1:]
        elif X.shape[1:] != self.input_shape_:
            raise ValueError(
                f"X must hold samples of shape {self.input_shape_}, as in fit, got "
                f"samples of shape {X.shape[1:]}. Reshape or resize them."
            )
        return X

    def _module(self):
        """The fitted module, in evaluation mode on the device of this machine."""
        device = resolve_device(self.device, fall_back=True)
        module = self.net_.module_
        # Looking is quicker than moving, which tells in the scores of a few rows.
        if next(module.parameters()).device != device:
            with torch.inference_mode(False):  # or weights would have no gradient
                module.to(device)
        if any(part.training for part in module.modules()):
            module.eval()
        return module, device

    def _embeddings(self, X):
        """Embeddings of all rows of a valid `X`, (n, p)."""
        module, device = self._module()
        return map_batches(module.encoder, X, device)

    def transform(self, X):
        """Embed samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
            Their embedding.
        """
        check_is_fitted(self)
        return self._embeddings(self._validate(X, reset=False))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # Embeddings are float32 whatever the input.
        tags.transformer_tags.preserves_dtype = []
        return tags


class BaseHypersphereScorer(BaseHypersphere):
    """An estimator with scores and a threshold, whatever it predicts."""

    _parameter_constraints: dict = {
        **BaseHypersphere._parameter_constraints,
        "contamination": [Interval(Real, 0, 0.5, closed="right")],
    }

    def __init__(self, *, contamination, **params):
        super().__init__(**params)
        self.contamination = contamination

    def _score(self, output):
        """Scores of shape (m,), the lower the more abnormal, from the module's output.

        The output is float64, for squared distances of shape (m, k). To be written by
        the estimator.
        """
        raise NotImplementedError

    def _hold_out(self, y, fraction, run):
        """Draw a fraction of the known samples to place the threshold; see `hold_out`.

        Under `warm_start` they are the same ones in each fit of the same labels: none
        may train on what the next one takes for new.
        """
        stream = np.random.RandomState(0) if self.warm_start else run.random_state
        return hold_out(y, fraction, stream)

    def _outputs(self, X, function):
        """A function of the module's float64 output, for all rows of a valid `X`."""
        module, device = self._module()
        encoder, head = module.encoder, module.head
        return map_batches(
            lambda x: function(head(encoder(x)).double()),
            X,
            device,
            rows_at_once(X, encoder, head),
        )

    def _scores(self, X):
        """Scores of all rows of a valid `X`, (n,)."""
        return self._outputs(X, self._score)

    def score_samples(self, X):
        """Score samples: the lower, the more abnormal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            In the units that the formula of the class gives them.

        Raises
        ------
        ValueError
            If samples have another shape than in `fit`, or values that are missing or
            infinite, which are not looked for under
            ``sklearn.config_context(assume_finite=True)``.
        """
        check_is_fitted(self)
        return self._scores(self._validate(X, reset=False))


class BaseHypersphereDetector(OutlierMixin, BaseHypersphereScorer):
    """A detector: scores, a threshold, and +1 or -1."""

    _parameter_constraints: dict = {
        **BaseHypersphereScorer._parameter_constraints,
        "contamination": [Interval(Real, 0, 0.5, closed="right"), StrOptions({"auto"})],
    }

    def _auto_offset(self, scores, method):
        """The threshold where `contamination` is "auto"; see :meth:`_set_offset`."""
        raise NotImplementedError

    def _set_offset(self, scores, method="linear"):
        """Put `offset_` at the contamination quantile of scores, (n,).

        `method` is one of numpy's kinds of quantiles.
        """
        if self.contamination == "auto":
            self.offset_ = self._auto_offset(scores, method)
        else:
            share = 100 * self.contamination
            self.offset_ = float(np.percentile(scores, share, method=method))

    def decision_function(self, X):
        """Score samples relative to the threshold: below 0 for anomalies.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            ``score_samples(X) - offset_``.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X):
        """Say which samples are anomalies.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
            -1 for anomalies, +1 for the rest.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)
