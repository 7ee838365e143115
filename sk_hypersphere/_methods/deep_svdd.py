"""Deep Support Vector Data Description, with one sphere or many."""

from functools import partial
from numbers import Integral, Real
from typing import Self

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from sk_hypersphere._methods.finch import FINCH
from sk_hypersphere._training.net import AfterEpoch
from sk_hypersphere._training.pretrain import Pretraining
from sk_hypersphere._training.schedules import (
    many_spheres_schedule,
    one_sphere_schedule,
)
from sk_hypersphere.base import _types as t
from sk_hypersphere.base._base import BaseHypersphereDetector, Plan
from sk_hypersphere.base._clustering import cluster_centers
from sk_hypersphere.base._labels import group_numbers
from sk_hypersphere.base._parameters import store
from sk_hypersphere.base._spheres import (
    mean_center,
    member_diagnostics,
    nearest_center,
    place_radii,
    update_radii,
)
from sk_hypersphere.base._threshold import WITH_BOUNDARY, placing
from sk_hypersphere.losses import OneClassLoss, SoftBoundaryLoss
from sk_hypersphere.modules import Centers, Hypersphere


class DeepSVDD(Pretraining, BaseHypersphereDetector):
    r"""Deep Support Vector Data Description, with one sphere or many.

    An encoder :math:`f` learns to map training samples close to fixed centers
    :math:`c_k`; a sample outside every sphere is an anomaly. A sample scores

    .. math::

        s(x) = \max_k \bigl( R_k^2 - \lVert f(x) - c_k \rVert^2 \bigr)

    where :math:`R_k` is the radius of sphere :math:`k`: the score is positive inside
    a sphere, negative outside all of them, and lower the more abnormal. With one
    common radius, as ``objective="one-class"`` has, this ranks samples by their
    distance to the nearest center.

    Training minimizes :class:`~sk_hypersphere.losses.OneClassLoss` or
    :class:`~sk_hypersphere.losses.SoftBoundaryLoss`. Most training samples should be
    normal.

    Parameters
    ----------
    objective : {"one-class", "soft-boundary"}, default="one-class"
        Loss that is minimized. "one-class" pulls every sample to its center and gives
        all spheres one radius. "soft-boundary" lets samples be inside and gives every
        sphere its own radius.

    nu : float, default=0.1
        Fraction of the training samples left outside their sphere, in (0, 1]: every
        radius is the (1 - nu) quantile of distances. It places `offset_` only where
        `contamination` is "boundary".

    multi_radius : bool, default=False
        If True, the embeddings of the training samples are clustered, and every
        cluster has a sphere of its own; otherwise there is one sphere.

    clusterer : estimator with `fit_predict`, default=None
        Clusters the embeddings if `multi_radius`; a clone is fitted. None is
        ``FINCH(metric="euclidean", partition=0)``, its finest partition: many small
        spheres follow the data best. Its time grows with the square of the number of
        samples; beyond some 100,000, quicker choices are ``FINCH(metric="euclidean",
        partition=0, neighbors="approximate")``, which needs pynndescent, and
        ``MiniBatchKMeans(1000)``. Samples labelled -1, noise, belong to the nearest of
        the other clusters.

    score_rule : {"sphere", "nearest"}, default="sphere"
        "sphere" is the score above. "nearest" compares with the sphere of the nearest
        center alone, also where the sample is inside another, larger sphere. They
        differ where radii do.

    pretrain_epochs : int or "auto", default="auto"
        Epochs of training as an autoencoder before centers are placed. "auto" is 4 for
        the encoders of images of this package and where a `decoder` is given, else 0.

    pretrain_lr : float, default=0.003
        Peak of the learning rate of the autoencoder, which rises for 15 % of the steps
        and then falls.

    code_penalty : float, default=0.02
        Price of large codes in the autoencoder, at least 0, relative to squared errors
        in units of the span of the data. Above 0, unit noise is added to the codes, so
        that distances between them mean something; 0 is a plain autoencoder.

    decoder : nn.Module, default=None
        Network from embeddings to samples, for the autoencoder; a copy is trained. None
        is the decoder that the encoders of this package bring.

    warm_up_epochs : int, default=10
        Epochs of soft-boundary training with radii of 0 before the first estimate.
        From then on radii are estimated once an epoch, from all members; if training
        ends before, only after it.

    center_epsilon : float, default=0.1
        Least magnitude of the coordinates of a center, at least 0. Weights of zero
        could reach a coordinate of 0, which would let all samples collapse to the
        center.

    contamination : {"auto", "boundary"} or float, default="auto"
        How the threshold `offset_` is placed. "auto" keeps the promise of
        `false_alarm_rate` on new normal samples. A number in (0, 0.5] is the fraction
        of the training samples that `predict` calls anomalies; more of the new ones
        fall below, because all samples are trained on. "boundary" is the surface of the
        spheres, a score of 0, which leaves `nu` of the training samples outside.

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
        :class:`~sk_hypersphere.modules.ConvNet` for images. Long training or strong
        weight decay lets an encoder with a bias (as the MLP has), a learned shift of a
        normalization or a bounded activation map everything to one point; a
        :class:`~sk_hypersphere.exceptions.CollapseWarning` then names the layer.

    n_components : int or "auto", default="auto"
        Size of the embedding, for encoders built at fit. "auto" is the default of the
        encoder: 64 for the MLP, 32 for the ConvNet, or 256 for both if `multi_radius`,
        of which the ConvNet learns 32; 32 for encoders without a default.

    max_epochs : int or "auto", default="auto"
        Epochs of training, after those of the autoencoder. "auto" is 1 for many
        spheres, which are in place before it: more would pull their clusters out of
        shape. For rows, these are spheres in nearly random features. For one sphere it
        is 30, or after pre-training as many as have 1,000 batches, but at least 30 and
        at most 300.

    batch_size : int, default=128
        Largest number of samples in a training batch.

    lr : float or "auto", default="auto"
        Learning rate of Adam. "auto" is 1e-5 for many spheres. For one it is 1e-3, and
        1e-4 for the last 30 % of the epochs; after pre-training 1e-4. A number is kept
        throughout, unless a callback changes it.

    weight_decay : float, default=1e-6
        L2 penalty of the weights, at least 0.

    encoder_params : dict, default=None
        Further parameters of the encoder; each is also ``encoder__NAME``.

    net_params : dict, default=None
        Parameters of the skorch net that replace ours; each is also ``net__NAME``.

    callbacks : list of skorch callbacks, default=None
        Called in training, not in pre-training. They are copied.

    device : str or torch.device, default="auto"
        Where to compute. "auto" is CUDA where there is one, else the CPU.

    warm_start : bool, default=False
        If True, another `fit` goes on with the encoder and the spheres of the last.
        Samples join the nearest sphere, and nothing is pre-trained or clustered.

    verbose : int, default=0
        1 shows one progress bar for the whole fit, with the loss on it.

    random_state : int, RandomState instance or None, default=None
        Seeds weights, order of samples, dropout, pre-training and the clusterer at fit.
        An int gives the same bits every time, with the same number of torch threads:
        gradients may be summed in that many parts.

    Attributes
    ----------
    centers_ : ndarray of shape (n_centers, n_components)
        Centers of the spheres: means of the embeddings of their members before
        training.

    radii_ : ndarray of shape (n_centers,)
        Radii of the spheres, in units of the embedding. With "soft-boundary" and
        several spheres, :math:`R_k^2` is the average of the cluster's own quantile and
        the quantile of all samples, with weights :math:`n_k` and 20, where :math:`n_k`
        is the cluster's size: a quantile of few distances means little.

    labels_ : ndarray of shape (n_samples,)
        Sphere of each sample given to `fit`, in 0..n_centers-1. Samples held out are
        in the sphere whose center is nearest when they are placed.

    cluster_sizes_ : ndarray of shape (n_centers,)
        Number of samples of each sphere that are trained on.

    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``.

    calibration_indices_ : ndarray of shape (n_calibration_samples,)
        Indices of the samples given to `fit` that were held out to place the threshold.

    calibration_scores_ : ndarray of shape (n_calibration_samples,)
        Their scores, sorted.

    net_ : skorch.NeuralNet
        The fitted net; ``net_.history`` has the loss of each epoch.

    n_iter_ : int
        Epochs of training, without pre-training.

    diagnostics_ : dict
        "n_trained_parameters", 0 where the encoder has nothing to train;
        "initial_embedding_variance" and "embedding_variance", before and after
        training, in squared units; "collapsed_components", the share of components
        whose variance fell to a millionth; of the training samples, "mean_sq_distance"
        to their centers, "distance_spread", the standard deviation of the distances
        over their mean, and "n_distinct_scores".

    input_shape_ : tuple of int
        Shape of one sample.

    n_features_in_ : int
        Number of features; for images, of channels.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where the training data had names.

    See Also
    --------
    FINCH : The default clusterer.

    References
    ----------
    .. [1] L. Ruff et al. "Deep One-Class Classification". ICML 2018.
    .. [2] S. Trivedi and S. Thirimanne. "Multi Radius Deep One-Class Classification".
       York University, 2022.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sk_hypersphere import DeepSVDD
    >>> X, _ = make_blobs(300, centers=[[0, 0], [8, 8]], random_state=0)
    >>> detector = DeepSVDD(random_state=0).fit(X)
    >>> detector.predict([[0, 0], [8, 8], [30, -30]])
    array([ 1,  1, -1])
    """

    _parameter_constraints: dict = {
        **BaseHypersphereDetector._parameter_constraints,
        **Pretraining._parameter_constraints,
        "objective": [StrOptions({"one-class", "soft-boundary"})],
        "nu": [Interval(Real, 0, 1, closed="right")],
        "multi_radius": ["boolean"],
        "clusterer": [HasMethods("fit_predict"), None],
        "score_rule": [StrOptions({"sphere", "nearest"})],
        "warm_up_epochs": [Interval(Integral, 0, None, closed="left")],
        "center_epsilon": [Interval(Real, 0, None, closed="left")],
        "contamination": WITH_BOUNDARY,
    }

    def __init__(
        self,
        objective: str = "one-class",
        *,
        nu: float = 0.1,
        multi_radius: bool = False,
        clusterer: t.Estimator = None,
        score_rule: str = "sphere",
        pretrain_epochs: t.AutoInt = "auto",
        pretrain_lr: float = 3e-3,
        code_penalty: float = 0.02,
        decoder: t.Decoder = None,
        warm_up_epochs: int = 10,
        center_epsilon: float = 0.1,
        contamination: t.ContaminationOrBoundary = "auto",
        false_alarm_rate: float = 0.05,
        calibration_fraction: t.AutoFloat = "auto",
        encoder: t.Encoder = None,
        n_components: t.AutoInt = "auto",
        max_epochs: t.AutoInt = "auto",
        batch_size: int = 128,
        lr: t.AutoFloat = "auto",
        weight_decay: float = 1e-6,
        encoder_params: t.Params = None,
        net_params: t.Params = None,
        callbacks: t.Callbacks = None,
        device: t.Device = "auto",
        warm_start: bool = False,
        verbose: int = 0,
        random_state: t.Seed = None,
    ) -> None:
        store(locals())

    @_fit_context(prefer_skip_nested_validation=False)  # of the clusterer
    def fit(
        self,
        X: t.Samples,
        y: t.Samples | None = None,
        cluster_labels: t.Samples | None = None,
    ) -> Self:
        """Learn the encoder and the spheres.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Training samples: float, or uint8, which is cast to float batch by batch.

        y : None
            Ignored.

        cluster_labels : array-like of shape (n_samples,), default=None
            Groups of the training samples, of any type, in place of the groups that
            `clusterer` would find. Needs ``multi_radius=True``.

        Returns
        -------
        self : object
            The fitted detector.

        Raises
        ------
        NonFiniteLossError
            If the loss becomes infinite or NaN.
        """
        return self._fit(X, cluster_labels=cluster_labels)

    def _plan(self, encoder, former, X, y, run):
        pretrain_epochs = self._pretrain_epochs(encoder)
        if former is not None:
            module, labels = former, nearest_center(former, X, run.device)
        else:
            if pretrain_epochs:
                self._pretrain(encoder, X, run, pretrain_epochs)
            centers, labels = self._place_centers(encoder, X, y, run)
            module = Hypersphere(encoder, Centers(centers))

        if self.objective == "soft-boundary":
            loss = SoftBoundaryLoss(module.head.n_outputs, self.nu)
            update = partial(update_radii, nu=self.nu)
            callbacks = [AfterEpoch(update, self.warm_up_epochs)]
        else:
            loss, callbacks = OneClassLoss(), []
        return Plan(
            module=module,
            loss=loss,
            schedule=self._schedule(len(X) - len(run.held_out), pretrain_epochs),
            y=labels,
            callbacks=callbacks,
        )

    def _schedule(self, n_samples, pretrain_epochs):
        if self.multi_radius:
            return many_spheres_schedule()
        return one_sphere_schedule(n_samples, self.batch_size, pretrain_epochs)

    def _known(self, X, y):
        return super()._known(X, y) if y is None else y

    def _place_centers(self, encoder, X, groups, run):
        """Means of the embeddings, (k, p), and the cluster of each sample, (n,)."""
        if not self.multi_radius:
            is_counted = np.ones(len(X), dtype=bool)
            center = mean_center(encoder, X, run, is_counted, self.center_epsilon)
            return center, np.zeros(len(X), dtype=np.int64)
        clusterer = self.clusterer
        if clusterer is None:
            clusterer = FINCH(metric="euclidean", partition=0)
        return cluster_centers(encoder, X, groups, clusterer, run, self.center_epsilon)

    def _check_y(self, X, y, cluster_labels=None):
        if cluster_labels is None:
            return None
        if not self.multi_radius:
            raise ValueError(
                "cluster_labels must be None unless multi_radius=True, got "
                f"{len(cluster_labels)} labels for a single sphere. Set "
                "multi_radius=True."
            )
        return group_numbers(cluster_labels, X)

    def _embedding_size(self, make):
        if self.multi_radius and hasattr(make, "many_centers_n_components"):
            return self._auto("n_components", make.many_centers_n_components)
        return super()._embedding_size(make)

    def _keep(self, rows, held_out, plan):
        module, device = self._module()
        self._scored_by = self.score_rule  # later changes await the next fit
        own = self.objective == "soft-boundary"
        sq_distances, self.radii_ = place_radii(module, rows, held_out, self.nu, own)
        self.centers_ = module.head.centers.numpy(force=True).copy()
        self.labels_ = rows.y
        self.cluster_sizes_ = np.bincount(
            np.delete(rows.y, held_out), minlength=len(self.centers_)
        )
        if len(self.centers_) == 1:
            scores = module.head.sq_radii.item() - sq_distances
        else:  # other spheres than the own may be nearer
            scores = self._scores(rows.X)
        placing_scores = scores[placing(held_out, slice(None))]
        self._set_threshold(placing_scores, held_out, boundary=0.0)
        self.diagnostics_ |= member_diagnostics(np.delete(sq_distances, held_out))
        self.diagnostics_["n_distinct_scores"] = len(np.unique(scores))

    def _scores(self, X):
        if self._scored_by == "sphere":
            return self._over_batches(lambda module, x: module.depths(x), X)
        return super()._scores(X)

    def _score(self, output):
        sq_radii = self.net_.module_.head.sq_radii
        sq_distances, nearest = output.min(dim=1)  # (m, k) -> (m,), (m,)
        return sq_radii[nearest] - sq_distances
