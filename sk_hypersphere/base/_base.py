"""The steps that all estimators share: validate, seed, train, embed, score, decide.

An estimator supplies its module and its loss in one hook,
:meth:`BaseHypersphere._plan`, and one that scores turns the output of its module into
scores in another, :meth:`BaseHypersphereScorer._score`. The docstring of
``sk_hypersphere.base`` names all hooks.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from inspect import signature
from itertools import chain
from numbers import Integral, Real
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    OutlierMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from sk_hypersphere._training.arrays import as_array, check_not_empty
from sk_hypersphere._training.checks import (
    check_embedding,
    check_image_axes,
    check_something_to_train,
    has_parameters_to_train,
    resolve_device,
    unchanged_on_error,
)
from sk_hypersphere._training.collapse import (
    collapsed_components,
    embedding_variance,
    warn_if_collapsed,
)
from sk_hypersphere._training.inference import check_finite, map_batches, rows_at_once
from sk_hypersphere._training.net import (
    HypersphereNet,
    LowerLearningRate,
    Run,
    fit_net,
    make_net,
    progress_bar,
)
from sk_hypersphere._training.pretrain import settle_statistics
from sk_hypersphere._training.random import TorchStream, make_seed
from sk_hypersphere._training.rows import Rows
from sk_hypersphere._training.samplers import shuffled
from sk_hypersphere._training.schedules import Schedule
from sk_hypersphere.base import _types as t
from sk_hypersphere.base._parameters import ParameterDicts, Renamed
from sk_hypersphere.base._threshold import Thresholded, placing
from sk_hypersphere.modules import MLP, ConvNet


class Plan(NamedTuple):
    """The module and the loss that an estimator trains, and how.

    Parameters
    ----------
    module : nn.Module
        It is trained and scored, and the next fit goes on with it under `warm_start`:
        a :class:`~sk_hypersphere.modules.Hypersphere`, or another module with an
        `encoder` and a method ``embed(x)`` that gives the embedding, (m, p).

    loss : nn.Module
        Called as ``loss(module(X), y)`` for every batch; returns a scalar.

    schedule : Schedule
        Epochs and learning rate for parameters that are "auto".

    y : ndarray of shape (n,), default=None
        Integer label of each sample, as the loss takes them; None is 0 for all.

    callbacks : sequence of skorch callbacks, default=()
        Called in training, before those of the user.

    sampler : callable, default=shuffled
        ``sampler(y, batch_size, random_state)`` yields the indices of each batch of an
        epoch.

    transform : callable, default=None
        ``transform(X, y)`` changes the samples of a training batch.

    valid_sampler : callable, default=None
        Like `sampler`, for the samples that `train_split` of the net holds out; None
        takes them in order.

    learns : bool, default=True
        False where there is nothing to learn: training takes 0 epochs.

    moves_encoder : bool, default=False
        True where centers do not follow the samples, so that an encoder with nothing to
        train is refused.
    """

    module: nn.Module
    loss: nn.Module
    schedule: Schedule
    y: np.ndarray | None = None
    callbacks: Sequence = ()
    sampler: Callable = shuffled
    transform: Callable | None = None
    valid_sampler: Callable | None = None
    learns: bool = True
    moves_encoder: bool = False


class Training(NamedTuple):
    """A fit whose net is ready to be trained, and what is needed afterwards.

    `rows` are all samples with the labels of the plan, on the device of training;
    `held_out` are the indices of the samples that are not trained on; `stream` replaces
    torch's random stream; `initial_variance` is the variance of each component of the
    embedding before training, (p,).
    """

    net: HypersphereNet
    rows: Rows
    held_out: Sequence[int]
    plan: Plan
    stream: TorchStream
    initial_variance: np.ndarray

    @property
    def dataset(self):
        """The rows that the net is trained on."""
        return self.rows.without(self.held_out)


def n_trained_parameters(module, n_epochs):
    """Number of the parameters that were trained; none was in 0 epochs."""
    trained = (p.numel() for p in module.parameters() if p.requires_grad)
    return sum(trained) if n_epochs else 0


def not_written(estimator, hook, task):
    """The error of a hook that an estimator has to define, and has not."""
    return NotImplementedError(
        f"{type(estimator).__name__} must define {hook}, which {task}, got no such "
        "method. The docstring of sk_hypersphere.base says what it gets and returns."
    )


class BaseHypersphere(
    Renamed,
    ParameterDicts,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
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

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):  # constraints are for its parameters alone
            names = signature(cls.__init__).parameters
            constraints = cls._parameter_constraints.items()
            cls._parameter_constraints = {k: v for k, v in constraints if k in names}

    # Parameters that a constructor does not name have these values.
    encoder = None
    n_components = "auto"
    max_epochs = "auto"
    batch_size = 128
    lr = "auto"
    weight_decay = 1e-6
    encoder_params = None
    net_params = None
    callbacks = None
    device = "auto"
    warm_start = False
    verbose = 0
    random_state = None

    # The class of the encoder of images if `encoder` is None.
    _image_encoder: type[nn.Module] = ConvNet

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: t.Samples, y: t.Samples | None = None) -> Self:
        """Learn the encoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Training samples: float, or uint8, which is cast to float batch by batch.

        y : array-like of shape (n_samples,), default=None
            Labels; estimators that learn without labels ignore them.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        NonFiniteLossError
            If the loss becomes infinite or NaN.
        """
        return self._fit(X, y)

    def _check_y(self, X, y):
        """Check the labels that `fit` was given, before anything is built.

        An estimator may set attributes here that its other hooks need.
        """
        return y

    def _hold_out(self, X, y, random_state):
        """Indices of samples that nothing is learned from; none by default."""
        return np.empty(0, dtype=np.intp)

    def _prepare(self, X, y, run):
        """The `y` of :meth:`_plan`, where other estimators are fitted to find it.

        They are fitted before torch's stream is taken, since they may fit networks too,
        in threads of their own.
        """
        return y

    def _plan(self, encoder, former, X, y, run):
        """Name the module and the loss that are trained; every estimator defines it.

        Parameters
        ----------
        encoder : nn.Module
            The encoder, on the device: new, or from the last fit under `warm_start`.

        former : nn.Module or None
            The module of the last fit under `warm_start`, whose encoder is `encoder`,
            to go on with; else None.

        X : array of shape (n, ...)
            Training data, float32 or uint8.

        y : object
            The result of :meth:`_prepare`.

        run : Run
            Random state, device and progress bar of this fit, and the samples that are
            held out.

        Returns
        -------
        Plan
        """
        raise not_written(self, "_plan", "names the module and the loss to be trained")

    def _keep(self, rows, held_out, plan):
        """Set fitted attributes from ``self.net_``; by default there are none.

        Parameters
        ----------
        rows : Rows
            All samples with the labels of the plan, on the device of training.

        held_out : ndarray of shape (m,)
            Indices of the samples that were not trained on.

        plan : Plan
            The module and the loss that were trained.
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
        """Samples and labels, checked, as the other steps of a fit take them."""
        X = self._validate(X, reset=True)
        check_image_axes(X, self._encoder_maker(X))
        labels = {name: as_array(given) for name, given in labels.items()}
        return X, self._check_y(X, as_array(y), **labels)

    def _begin(self, X, y, bar):
        """All of a fit that comes before its net is trained, for checked samples.

        Returns
        -------
        Training
        """
        device = resolve_device(self.device)
        seed = make_seed(self.random_state)
        random_state = np.random.RandomState(seed)
        held_out = self._hold_out(X, y, random_state)
        run = Run(random_state, device, bar, held_out=held_out)
        y = self._prepare(X, y, run)
        stream = TorchStream(seed, device)
        with stream.active():
            return self._make_training(X, y, run, stream)

    def _make_training(self, X, y, run, stream):
        if self.warm_start and hasattr(self, "net_"):
            former = deepcopy(self.net_.module_).to(run.device)
            encoder = former.encoder
        else:
            former, encoder = None, self._make_encoder(X).to(run.device)
        self._n_features_out = check_embedding(encoder, X, run.device, self.batch_size)
        if former is None and not isinstance(self.encoder, nn.Module):
            settle_statistics(encoder, X, run)
        variance = embedding_variance(encoder, X, run.device)
        plan = self._plan(encoder, former, X, y, run)
        if plan.moves_encoder:
            check_something_to_train(encoder, type(self).__name__)
        learns = plan.learns and has_parameters_to_train(plan.module)
        max_epochs = self._auto("max_epochs", plan.schedule.max_epochs) * learns
        lowers = plan.schedule.lowers and self.lr == "auto"
        run.bar.total += max_epochs
        net = make_net(
            plan.module.to(run.device),
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
        rows = Rows(X, plan.y, run.device)
        return Training(net, rows, run.held_out, plan, stream, variance)

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
            "n_trained_parameters": n_trained_parameters(net.module_, self.n_iter_),
            "initial_embedding_variance": float(before.sum()),
            "embedding_variance": float(after.sum()),
            "collapsed_components": collapsed_components(before, after),
        }
        if not np.isfinite(after).all():
            net.raise_non_finite("Embeddings became infinite or NaN")
        self._keep(rows, training.held_out, training.plan)
        warn_if_collapsed(self.diagnostics_, encoder)

    def _auto(self, name, value):
        """The value of a parameter, or `value` where it is "auto"."""
        given = getattr(self, name)
        return value if isinstance(given, str) and given == "auto" else given

    def _embedding_size(self, make):
        """Size of the embedding of an encoder that `make` builds."""
        return self._auto("n_components", getattr(make, "default_n_components", 32))

    def _encoder_maker(self, X):
        """A module that is ready, or a class or callable that makes one."""
        if self.encoder is not None:
            return self.encoder
        return MLP if X.ndim == 2 else self._image_encoder

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
                    layer.inplace = False  # or it writes into the caller's array
            return encoder
        make = self._encoder_maker(X)
        return make(tuple(X.shape[1:]), self._embedding_size(make), **params)

    def _validate(self, X, *, reset):
        X = validate_data(
            self,
            as_array(X),
            dtype=[np.float32, np.uint8],
            allow_nd=True,
            ensure_all_finite=False,
            reset=reset,
        )
        check_not_empty(X)
        if reset:
            check_finite(X)  # later, `inference_batches` checks each batch
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
        # Checking the device is cheaper than calling .to(), which matters when few rows
        # are scored.
        tensors = chain(module.parameters(), module.buffers())
        if next((tensor.device for tensor in tensors), device) != device:
            with torch.inference_mode(False):  # or weights would have no gradient
                module.to(device)
        if any(part.training for part in module.modules()):
            module.eval()
        return module, device

    def _over_batches(self, function, X):
        """``function(module, x)`` of the fitted module, for all rows of a valid `X`."""
        module, device = self._module()
        n_rows = rows_at_once(X, module)
        return map_batches(partial(function, module), X, device, n_rows)

    def _embeddings(self, X):
        """Embeddings of all rows of a valid `X`, (n, p)."""
        return self._over_batches(lambda module, x: module.embed(x), X)

    def transform(self, X: t.Samples) -> NDArray[np.float32]:
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


class BaseHypersphereScorer(Thresholded, BaseHypersphere):
    """An estimator with scores and a threshold, whatever it predicts."""

    _parameter_constraints: dict = {
        **BaseHypersphere._parameter_constraints,
        **Thresholded._parameter_constraints,
    }

    def _score(self, output):
        """Scores of shape (m,), the lower the more abnormal, from the module's output.

        The output is float64, for squared distances of shape (m, k).
        """
        raise not_written(self, "_score", "gives scores for the output of its module")

    def _keep(self, rows, held_out, plan):
        chosen = placing(held_out, np.arange(len(rows)))
        self._set_threshold(self._scores(rows.X[chosen]), held_out)

    def _known(self, X, y):
        """Classes of the samples, (n,): 0 for normal, below 0 for anomalies.

        Samples of classes below 0 are never held out to place the threshold. `y` is the
        result of :meth:`_check_y`.
        """
        return np.zeros(len(X), dtype=int)

    def _hold_out(self, X, y, random_state):
        # Under `warm_start` every fit to the same labels holds out the same samples: no
        # fit may train on samples that the next one takes for new.
        stream = np.random.RandomState(0) if self.warm_start else random_state
        return self._threshold_rule().draw(self._known(X, y), stream)

    def _outputs(self, X, function):
        """A function of the module's float64 output, for all rows of a valid `X`."""
        # `forward`, because calling a module that is compiled would compile it anew for
        # evaluation.
        return self._over_batches(
            lambda module, x: function(module.forward(x).double()), X
        )

    def _scores(self, X):
        """Scores of all rows of a valid `X`, (n,)."""
        return self._outputs(X, self._score)

    def score_samples(self, X: t.Samples) -> t.Floats:
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

    def fit_predict(
        self, X: t.Samples, y: t.Samples | None = None, **fit_params: Any
    ) -> NDArray[np.int_]:
        """Learn the encoder, and say which training samples are anomalies.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Training samples.

        y : array-like of shape (n_samples,), default=None
            Labels, as in `fit`.

        **fit_params : dict
            Further arguments of `fit`, such as `cluster_labels`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
            -1 for anomalies, +1 for the rest.
        """
        return self.fit(X, y, **fit_params).predict(X)

    def decision_function(self, X: t.Samples) -> t.Floats:
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

    def predict(self, X: t.Samples) -> NDArray[np.int_]:
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
