"""Sub-clusters of normal data: a classifier of them knows what is normal."""

from copy import deepcopy
from functools import partial
from numbers import Integral, Real
from typing import Self

import numpy as np
import torch
from sklearn.base import _fit_context
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from torch import nn

from sk_hypersphere._methods.finch import FINCH
from sk_hypersphere._training.rows import evenly_spaced
from sk_hypersphere._training.schedules import classifier_schedule
from sk_hypersphere.base import _types as t
from sk_hypersphere.base._base import BaseHypersphereDetector, Plan
from sk_hypersphere.base._kinds import (
    embed,
    find_kinds,
    given_kinds,
    principal_components,
)
from sk_hypersphere.base._labels import as_labels
from sk_hypersphere.base._parameters import store
from sk_hypersphere.base._threshold import placing
from sk_hypersphere.confidence import (
    MahalanobisDistance,
    NeighborDistance,
    as_steps,
    confidence_after_step,
    energy,
    msp,
)
from sk_hypersphere.losses import CrossEntropyLoss
from sk_hypersphere.modules._augmented import with_augment

# At most this many sub-clusters are found, so that each has enough samples to learn.
MAX_CLUSTERS = 20

# At most this many training samples place the threshold where none is held out.
MOST_PLACING = 10_000

# Embeddings that are scored at once, because the search for neighbours copies them.
SCORED_AT_ONCE = 8192

# Rules that score embeddings; the others score logits.
EMBEDDING_RULES = ("mahalanobis", "knn")


class SubclusterDetector(BaseHypersphereDetector):
    r"""Learn to classify kinds of normal samples; anomalies are like none of them.

    A softmax classifier of an encoder :math:`f` and a linear layer learns which
    sub-cluster each training sample belongs to: one that is given to `fit`, or found by
    a clusterer. Features that separate kinds of normal samples also separate anomalies
    from all of them. By default, a sample scores

    .. math::

        s(x) = -\frac{1}{m} \sum_{i \in N_m(x)} \lVert f(x) - f(x_i) \rVert

    minus the mean distance to the :math:`m` nearest training samples :math:`x_i` in the
    embedding. Training minimizes the cross-entropy

    .. math::

        -(1 - \epsilon) \log \sigma_y(a(x)) - \frac{\epsilon}{k} \sum_j
        \log \sigma_j(a(x)), \qquad a(x) = W f(x) + b

    for the softmax :math:`\sigma` of the logits, the sub-cluster :math:`y` of a sample,
    :math:`k` sub-clusters, and `label_smoothing` :math:`\epsilon`.

    Parameters
    ----------
    clusterer : clusterer, default=None
        Finds the sub-clusters, by its method `fit_predict`, in what `embedder` returns.
        A copy is fitted. Samples labelled -1, noise, join the nearest of the other
        clusters. None is ``FINCH(partition=0, max_clusters=20)``, whose time is
        quadratic in the number of samples; ``neighbors="approximate"`` is quicker for
        100,000 or more, and needs pynndescent. Not used if `fit` is given
        `cluster_labels`.

    embedder : transformer, default=None
        Maps samples to rows in which they are clustered, for example an
        :class:`ISIFEmbedder`. A copy is fitted, unless it is frozen, and sees the `y`
        of `fit`, if any. It gets an array, float32 or uint8, and images as they are.
        None takes the 50 first principal components; images are flattened and their
        contrast is normalized before.

    score_rule : {"msp", "odin", "energy", "mahalanobis", "knn"}, default="knn"
        How the score follows from the logits :math:`a` or from the embedding; each is
        documented in :mod:`sk_hypersphere.confidence`:

        - "msp": :math:`\log \max_k \sigma_k(a)`, at `temperature`;
        - "odin": the same after a step of `epsilon` in the input;
        - "energy": :math:`\log \sum_k e^{a_k}`, at `temperature`;
        - "mahalanobis": minus the squared Mahalanobis distance to the nearest
          sub-cluster, in the embedding;
        - "knn": as above, with the neighbours that `n_neighbors`, `metric` and
          `max_candidates` say.

        The first three are for sub-clusters that are kinds of samples: a classifier of
        parts of one kind is never sure. Far from all samples it may be sure of
        anything.

    augment : callable, default=None
        Changes training batches: ``augment(batch)`` returns a changed copy of a float32
        tensor, (m, n_features) or (m, channels, height, width), of the same shape, for
        example :class:`~sk_hypersphere.modules.AugmentImages`. A module is copied,
        never trained. None changes nothing. Random numbers that are not from torch's
        stream are not seeded.

    min_cluster_size : int, default=10
        Sub-clusters with fewer samples are merged into the nearest of the others, by
        the distance of their means: in what `embedder` returns, or of the samples
        themselves if `cluster_labels` are given. The two largest always stay.

    label_smoothing : float, default=0.1
        Share of each label that is spread over all sub-clusters, in [0, 1). It keeps
        samples of a sub-cluster together in the embedding.

    temperature : float or "auto", default="auto"
        Divisor of the logits, above 0, for "msp", "odin" and "energy". "auto" is 1,000
        for "odin" and 1 for the others.

    epsilon : float or array-like of float, default=0.0014
        Step of "odin" in each input, in units of `X`: for pixels from 0 to 255 the
        published one is 0.0014 * 255. Or one for each feature or channel; at least 0.

    n_neighbors : int, default=5
        Neighbours for "knn", at least 1.

    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance for "knn".

    max_candidates : int or None, default=10_000
        Training samples that "knn" compares with, at least 2, spread evenly over all if
        these are more. None compares with all, which takes time in proportion.

    contamination : float or "auto", default="auto"
        How the threshold `offset_` is placed. "auto" keeps the promise of
        `false_alarm_rate` on new normal samples. A number in (0, 0.5] is the fraction
        of the training samples that `predict` calls anomalies, as judged by 10,000 of
        them if there are more; more of the new ones fall below, because all samples are
        trained on.

    false_alarm_rate : float, default=0.05
        Fraction of new normal samples that `predict` is expected to call anomalies, in
        (0, 0.5], if `contamination` is "auto". It takes 1 / false_alarm_rate - 1
        held-out samples at least; a
        :class:`~sk_hypersphere.exceptions.CalibrationWarning` says so where they are
        fewer.

    calibration_fraction : float or "auto", default="auto"
        Share of the samples that is not trained on but places `offset_`, in (0, 1), if
        `contamination` is "auto". "auto" is a fifth, but 200 samples at least and 2,000
        at most; the 200 may be a third of all, or a half where `false_alarm_rate` needs
        so many. Earlier steps of a pipeline learn from all samples nevertheless.
        `warm_start` holds the same samples out again.

    encoder : nn.Module, class, callable or None, default=None
        Network from a batch of samples to embeddings, (n_samples, n_components). A copy
        of a module is trained, never the module itself; a class or callable is called
        as ``encoder(input_shape, n_components, **encoder_params)``. None is
        :class:`~sk_hypersphere.modules.MLP` for rows and
        :class:`~sk_hypersphere.modules.ConvNet` for images.

    n_components : int or "auto", default=128
        Size of the embedding, for encoders built at fit. "auto" is the default of the
        encoder.

    max_epochs : int or "auto", default="auto"
        Epochs of training. "auto" is 30, or 6 of images, or as many as have 1,000
        batches, but at most 300.

    batch_size : int, default=128
        Largest number of samples in a training batch.

    lr : float or "auto", default="auto"
        Learning rate of Adam. "auto" is 1e-3, and 1e-4 for the last 30 % of the epochs.
        A number is kept throughout, unless a callback changes it.

    weight_decay : float, default=5e-5
        L2 penalty of the weights, at least 0.

    encoder_params : dict, default=None
        Further parameters of the encoder; each is also ``encoder__NAME``.

    net_params : dict, default=None
        Parameters of the skorch net that replace ours; each is also ``net__NAME``.

    callbacks : list of skorch callbacks, default=None
        Called in training. They are copied.

    device : str or torch.device, default="auto"
        Where to compute. "auto" is CUDA where there is one, else the CPU.

    warm_start : bool, default=False
        If True, another `fit` goes on with the encoder of the last. It goes on with its
        linear layer too, if each sample is in the sub-cluster that it was in.

    verbose : int, default=0
        1 shows one progress bar for the whole fit, with the loss on it.

    random_state : int, RandomState instance or None, default=None
        Seeds embedder and clusterer where their own is None, weights, calibration
        samples, order of samples and dropout at fit. An int gives the same bits every
        time, with the same number of torch threads: gradients may be summed in that
        many parts.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Sub-cluster of each sample given to `fit`, in 0..n_clusters-1. Where clusters
        are found, samples held out join the nearest.

    clusters_ : ndarray of shape (n_clusters,)
        Names of the sub-clusters, sorted: labels given, or numbers of the clusterer.

    cluster_sizes_ : ndarray of shape (n_clusters,)
        Number of samples of each that are trained on, after merging.

    embedder_ : transformer
        The fitted copy, unless `cluster_labels` were given.

    clusterer_ : clusterer
        The fitted copy, unless `cluster_labels` were given.

    distance_ : MahalanobisDistance or NeighborDistance
        Fitted to the embedding of the training samples, for "mahalanobis" and "knn".

    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``.

    calibration_indices_ : ndarray of shape (n_calibration_samples,)
        Indices of the samples given to `fit` that were held out to place the threshold.

    calibration_scores_ : ndarray of shape (n_calibration_samples,)
        Their scores, sorted.

    net_ : skorch.NeuralNet
        The fitted net; ``net_.history`` has the loss of each epoch.

    n_iter_ : int
        Epochs of training.

    diagnostics_ : dict
        "n_trained_parameters", 0 where the encoder has nothing to train;
        "initial_embedding_variance" and "embedding_variance", before and after
        training, in squared units; "collapsed_components", the share of components
        whose variance fell to a millionth; "n_distinct_scores" of the samples that
        place the threshold; "accuracy", the share of them whose sub-cluster is
        recognized.

    input_shape_ : tuple of int
        Shape of one sample.

    n_features_in_ : int
        Number of features; for images, of channels.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where the training data had names.

    See Also
    --------
    FINCH : The clusterer that needs no number of clusters.
    ISIFEmbedder : An embedding of unlabelled samples, to cluster in.
    MCHADClassifier : Classes and anomalies, where classes are what is wanted.

    References
    ----------
    .. [1] G. Lee and S. Lee. "Sub-clusters of Normal Data for Anomaly Detection". 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_hypersphere import SubclusterDetector
    >>> rng = np.random.default_rng(0)
    >>> centers = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
    >>> X = np.repeat(centers, 100, axis=0) + rng.normal(0, 1, (300, 2))
    >>> detector = SubclusterDetector(random_state=0).fit(X)
    >>> detector.predict([[0, 0], [4, 4]])
    array([ 1, -1])
    """

    _parameter_constraints: dict = {
        **BaseHypersphereDetector._parameter_constraints,
        "clusterer": [HasMethods("fit_predict"), None],
        "embedder": [
            HasMethods(["fit", "transform"]),
            HasMethods("fit_transform"),
            None,
        ],
        "score_rule": [StrOptions({"msp", "odin", "energy", "mahalanobis", "knn"})],
        "augment": [callable, None],
        "min_cluster_size": [Interval(Integral, 1, None, closed="left")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "temperature": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
        ],
        "epsilon": [Interval(Real, 0, None, closed="left"), "array-like"],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "metric": [StrOptions({"euclidean", "cosine"})],
        "max_candidates": [Interval(Integral, 2, None, closed="left"), None],
    }

    _renamed = {"scorer": "score_rule", "scorer_": "distance_"}
    _formerly_positional = ("embedder", "score_rule")

    def __init__(
        self,
        clusterer: t.Estimator = None,
        *,
        embedder: t.Estimator = None,
        score_rule: str = "knn",
        augment: t.Augment = None,
        min_cluster_size: int = 10,
        label_smoothing: float = 0.1,
        temperature: t.AutoFloat = "auto",
        epsilon: t.PerClass = 0.0014,
        n_neighbors: int = 5,
        metric: str = "euclidean",
        max_candidates: int | None = 10_000,
        contamination: t.Contamination = "auto",
        false_alarm_rate: float = 0.05,
        calibration_fraction: t.AutoFloat = "auto",
        encoder: t.Encoder = None,
        n_components: t.AutoInt = 128,
        max_epochs: t.AutoInt = "auto",
        batch_size: int = 128,
        lr: t.AutoFloat = "auto",
        weight_decay: float = 5e-5,
        encoder_params: t.Params = None,
        net_params: t.Params = None,
        callbacks: t.Callbacks = None,
        device: t.Device = "auto",
        warm_start: bool = False,
        verbose: int = 0,
        random_state: t.Seed = None,
    ) -> None:
        store(locals())

    @_fit_context(prefer_skip_nested_validation=False)  # of clusterer and embedder
    def fit(
        self,
        X: t.Samples,
        y: t.Samples | None = None,
        cluster_labels: t.Samples | None = None,
    ) -> Self:
        """Find sub-clusters, and learn to classify them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Training samples: float, or uint8, which is cast to float batch by batch.

        y : array-like of shape (n_samples,), default=None
            Handed to `embedder`, for one that is supervised; else not used.

        cluster_labels : array-like of shape (n_samples,), default=None
            Sub-cluster of each sample, of any type, if they are known. -1 is a
            sub-cluster like any other, not noise. None lets `clusterer` find them.

        Returns
        -------
        self : object
            The fitted detector.

        Raises
        ------
        ValueError
            If there are not two sub-clusters at least.

        NonFiniteLossError
            If the loss becomes infinite or NaN.
        """
        return self._fit(X, y, cluster_labels=cluster_labels)

    def _check_y(self, X, y, cluster_labels=None):
        if cluster_labels is not None:
            cluster_labels = as_labels(cluster_labels, "cluster_labels")
            if len(cluster_labels) != len(X):
                raise ValueError(
                    "cluster_labels must hold a label for each of the "
                    f"{len(X)} samples, got {len(cluster_labels)}. Leave none out."
                )
        as_steps(self.epsilon, X.shape[1:])  # refuses a wrong epsilon before training
        return y, cluster_labels

    def _prepare(self, X, y, run):
        y, cluster_labels = y
        vars(self).pop("embedder_", None)  # of an earlier fit without labels
        vars(self).pop("clusterer_", None)
        if cluster_labels is None:
            clusterer, embedder = self.clusterer, self.embedder
            if clusterer is None:
                clusterer = FINCH(partition=0, max_clusters=MAX_CLUSTERS)
            if embedder is None:
                embedder = principal_components(X, len(X) - len(run.held_out))
            points, self.embedder_ = embed(embedder, X, y, run)
            found, self.clusterer_ = find_kinds(
                clusterer, points, self.min_cluster_size, run
            )
        else:
            found = given_kinds(cluster_labels, X, self.min_cluster_size, run)
        self.clusters_, self.cluster_sizes_ = found.names, found.sizes
        return found.labels

    def _plan(self, encoder, former, X, y, run):
        if former is not None and np.array_equal(y, self.labels_):
            head = former.head
        else:
            head = nn.Linear(self._n_features_out, len(self.clusters_))
        self.labels_ = y
        return Plan(
            module=with_augment(self.augment)(encoder, head),
            loss=CrossEntropyLoss(self.label_smoothing),
            schedule=classifier_schedule(X, self.batch_size),
            y=y,
        )

    def _keep(self, rows, held_out, plan):
        self._set_score_rule(rows, held_out)
        chosen = placing(held_out, evenly_spaced(len(rows), MOST_PLACING))
        X, labels = rows.X[chosen], rows.y[chosen]
        recognized = self._outputs(X, partial(torch.argmax, dim=1))
        scores = self._scores(X)
        self.diagnostics_["accuracy"] = float(np.mean(recognized == labels))
        self.diagnostics_["n_distinct_scores"] = len(np.unique(scores))
        self._set_threshold(scores, held_out)

    def _set_score_rule(self, rows, held_out):
        """Fix the score rule, whose parameters may change before the next fit."""
        self._scored_by = self.score_rule
        is_odin = self.score_rule == "odin"
        self._scoring = {
            "temperature": self._auto("temperature", 1000.0 if is_odin else 1.0)
        }
        if is_odin:
            self._scoring["epsilon"] = deepcopy(self.epsilon)
        vars(self).pop("distance_", None)
        if self.score_rule == "knn":
            self.distance_ = self._fit_neighbors(rows, held_out)
        elif self.score_rule == "mahalanobis":
            Z, labels = self._embeddings(rows.X), rows.y
            if len(held_out):
                Z, labels = (
                    np.delete(values, held_out, axis=0) for values in (Z, labels)
                )
            self.distance_ = MahalanobisDistance().fit(Z, labels)

    def _fit_neighbors(self, rows, held_out):
        known = np.delete(np.arange(len(rows)), held_out)
        if self.max_candidates is not None:  # only candidates have to be embedded
            known = known[evenly_spaced(len(known), self.max_candidates)]
        neighbors = NeighborDistance(
            self.n_neighbors, metric=self.metric, max_candidates=self.max_candidates
        )
        return neighbors.fit(self._embeddings(rows.X[known]))

    def _logits(self, output):
        return output

    def _logit_members(self):
        return [self]

    def _scores(self, X):
        if self._scored_by in EMBEDDING_RULES:
            parts = gen_batches(len(X), SCORED_AT_ONCE)
            score = self.distance_.score_samples
            return np.concatenate([score(self._embeddings(X[part])) for part in parts])
        if self._scored_by == "odin":
            return confidence_after_step([self], X, **self._scoring)
        function = msp if self._scored_by == "msp" else energy
        return self._outputs(X, partial(function, **self._scoring))
