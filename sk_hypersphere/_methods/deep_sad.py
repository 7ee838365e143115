"""Deep semi-supervised anomaly detection."""

from numbers import Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions

from sk_hypersphere._training.checks import has_parameters_to_train
from sk_hypersphere._training.pretrain import Pretraining
from sk_hypersphere._training.schedules import one_sphere_schedule
from sk_hypersphere.base._semi_supervised import BaseSemiSupervisedDetector
from sk_hypersphere.base._spheres import (
    away_from_zero,
    mean_embedding,
    member_diagnostics,
    rounded_up,
    set_sq_radii,
    sq_distances_to_only_center,
    sq_radius,
)
from sk_hypersphere.losses import DeepSADLoss
from sk_hypersphere.modules import Center, Centers, Hypersphere


class DeepSAD(Pretraining, BaseSemiSupervisedDetector):
    r"""Deep SVDD that is shown a few anomalies, and pushes them out of the sphere.

    An encoder :math:`f` learns to map samples close to a fixed center :math:`c`, and
    example anomalies away from it. A sample scores

    .. math::

        s(x) = R^2 - \lVert f(x) - c \rVert^2

    where :math:`R` is the radius of the sphere: the score is positive inside, negative
    outside, and lower the more abnormal. Training minimizes
    :class:`~sk_hypersphere.losses.DeepSADLoss`: squared distances, and for example
    anomalies their inverse. Without labels it is :class:`DeepSVDD`, to the last bit.

    Rows should be scaled, for example by
    :class:`~sklearn.preprocessing.StandardScaler`: training is short, and starts from
    distances between samples as they are.

    Parameters
    ----------
    eta : float, default=1.0
        Weight of a labelled sample, relative to one without a label, above 0.

    epsilon : float, default=0.1
        What is added to squared distances before they are inverted, above 0. It bounds
        how hard an anomaly at the center is pushed; the published 1e-6 lets one that
        starts there drown all other samples for long.

    anomaly_label : int, float, str or None, default=None
        Label of the example anomalies in `y`. None means -1 if there are any -1, else
        the larger of exactly two numbers: +1 and -1, 0 and 1, False and True all mean
        what they usually mean. Of the other samples, 0 and False say that nothing is
        known, all else that they are known to be normal. If some are, +1, and no
        anomaly is known, set -1 here. A single label means no anomaly. Texts need to be
        named here. In cross-validation of -1, 0 and +1 set -1: of a fold without
        anomalies, +1 would be the larger. Bagging, stacking and calibration want a
        classifier, which this is not. Labels that do not fit are not used, and a
        warning says so. For ``scoring="roc_auc"`` give +1 and -1: decisions are the
        higher the more normal.

    outlier_ratio : float, default=1.0
        Example anomalies in a training batch over its other samples, above 0, rounded
        up: there is one at least. Within an epoch, all are drawn before one is drawn
        again; a single one will do.

    mix_anomalies : bool or "auto", default="auto"
        Whether the example anomalies of a batch are moved toward one another by random
        shares of the way, so that a few say more. "auto" does it for rows, not for
        images. It takes for granted that what is between two anomalies is one too, or
        is outnumbered there by normal samples.

    center : {"mean", "origin"}, default="mean"
        Where the center stands: at the mean of the embeddings before training, example
        anomalies aside, or at the origin.

    center_epsilon : float, default=0.1
        Least magnitude of the coordinates of the center, at least 0, for "mean". A
        coordinate at 0 could be met by zero weights, which is a way to collapse.

    nu : float, default=0.1
        Fraction of the samples that are trained on left outside the sphere, in (0, 1]:
        the radius is the (1 - nu) quantile of their distances. Example anomalies do not
        count.

    pretrain_epochs : int or "auto", default="auto"
        Epochs of training as an autoencoder before the center is placed. Example
        anomalies are left out, but for the statistics of normalization layers and the
        span of the data. "auto" is 4 where a `decoder` is given, and for this package's
        encoders of images if there are no example anomalies, which are worth more; else
        0.

    pretrain_lr : float, default=3e-3
        Peak of the learning rate of the autoencoder, which rises for 15 % of the steps
        and then falls.

    code_penalty : float, default=0.02
        Price of large codes in the autoencoder, at least 0, relative to squared errors
        in units of the data's span. Above 0, unit noise is added to the codes, so that
        distances between them mean something; 0 is a plain autoencoder.

    decoder : nn.Module, default=None
        From embeddings to samples, for the autoencoder; a copy is trained. None is the
        decoder that the encoders of this package bring.

    contamination : {"auto", "boundary"} or float, default="auto"
        How the threshold `offset_` is placed. "auto" keeps the promise of
        `false_alarm_rate` on new normal samples. A number in (0, 0.5] is the fraction
        of the training samples, those labelled as anomalies aside, that `predict` calls
        anomalies; more of the new ones fall below, because all samples are trained on.
        "boundary" is the surface of the sphere, a score of 0, which leaves `nu` of the
        training samples outside.

    false_alarm_rate : float, default=0.05
        Fraction of new normal samples that `predict` is expected to call anomalies, in
        (0, 0.5], if `contamination` is "auto". It takes 1 / false_alarm_rate - 1
        samples held out at least; a
        :class:`~sk_hypersphere.exceptions.CalibrationWarning` says so where they are
        fewer.

    calibration_fraction : float or "auto", default="auto"
        Share of the samples, those labelled as anomalies aside, that is not trained on
        but places `offset_`, in (0, 1), if `contamination` is "auto". "auto" is a
        fifth, but 200 samples at least and 2,000 at most; the 200 may be a third of
        all, or a half where `false_alarm_rate` needs so many. Anomalies that are hidden
        among them lower the threshold, and with it the false alarms. Steps in front of
        it in a pipeline learn from them all the same. `warm_start` holds the same
        samples out again.

    encoder : nn.Module, class, callable or None, default=None
        Maps a batch of samples to embeddings, (n_samples, n_components). A module is
        copied, never trained itself; a class or callable is called as
        ``encoder(input_shape, n_components, **encoder_params)``. None is
        :class:`~sk_hypersphere.modules.MLP` for rows and
        :class:`~sk_hypersphere.modules.ConvNet` for images.

    n_components : int or "auto", default="auto"
        Size of the embedding, for encoders built at fit. "auto" is the default of the
        encoder: 64 for the MLP, 32 for the ConvNet and for encoders without a default.

    max_epochs : int or "auto", default="auto"
        Epochs of training, after those of the autoencoder. A few anomalies are soon
        learned by heart: "auto" is as many as have 50 batches, or 150 of images. If
        that does not show every example anomaly 5 times on average, it is as many as
        do, but at most 100. Without example anomalies it is as in :class:`DeepSVDD`.

    batch_size : int, default=128
        Largest number of samples in a training batch that are not labelled as
        anomalies; example anomalies come on top.

    lr : float or "auto", default="auto"
        Learning rate of Adam. "auto" is 5e-4 for rows; for images it is 1e-3, and 1e-4
        for the last 30 % of the epochs. If `max_epochs` is "auto" too, it is less in
        proportion where whole epochs have more batches than that asks for: two epochs
        of 49 batches in place of 50 batches halve it. Without example anomalies it is
        as in :class:`DeepSVDD`. A number is kept throughout, unless a callback changes
        it.

    weight_decay : float, default=1e-6
        L2 penalty of the weights, at least 0.

    encoder_params : dict, default=None
        Further parameters of the encoder; each is also ``encoder__NAME``.

    net_params : dict, default=None
        Parameters of the skorch net that replace ours; each is also ``net__NAME``.
        ``set_params(net__train_split=ValidSplit(5, stratified=True))`` keeps both kinds
        of samples in the part that early stopping looks at, in their own proportion.
        Another ``iterator_train`` makes its own batches, without `outlier_ratio` and
        `mix_anomalies`.

    callbacks : list of skorch callbacks, default=None
        Called in training, not in pre-training. They are copied.

    device : str or torch.device, default="auto"
        Where to compute. "auto" is CUDA where there is one, else the CPU.

    warm_start : bool, default=False
        If True, another `fit` goes on with the encoder and the center of the last.

    verbose : int, default=0
        1 shows one progress bar for the whole fit with the loss on it.

    random_state : int, RandomState instance or None, default=None
        Seeds weights, order of samples, pre-training and dropout, at fit. An int gives
        the same bits every time, with the same number of torch threads: gradients may
        be summed in that many parts.

    Attributes
    ----------
    centers_ : ndarray of shape (1, n_components)
        The center.

    radii_ : ndarray of shape (1,)
        The radius, in units of the embedding.

    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``.

    calibration_indices_ : ndarray of shape (n_calibration_samples,)
        Which of the samples given to `fit` were held out to place the threshold.

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
        whose variance fell to a millionth; "n_example_anomalies", how many samples were
        taken for such; "n_distinct_scores" of the training samples; and, of those that
        are not example anomalies, "mean_sq_distance" to the center and
        "distance_spread", the standard deviation of the distances over their mean.

    input_shape_ : tuple of int
        Shape of one sample.

    n_features_in_ : int
        Number of features; for images, of channels.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where the training data had names.

    See Also
    --------
    DeepSVDD : The same without labels, with one sphere or many.
    HSC : A classifier whose probability falls with the distance to the origin.

    References
    ----------
    .. [1] L. Ruff et al. "Deep Semi-Supervised Anomaly Detection". ICLR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_hypersphere import DeepSAD
    >>> rng = np.random.default_rng(0)
    >>> normal, anomalies = rng.normal(0, 1, (300, 2)), rng.normal([6, 0], 1, (8, 2))
    >>> X, y = np.r_[normal, anomalies], np.repeat([0, -1], [300, 8])
    >>> detector = DeepSAD(random_state=0).fit(X, y)
    >>> detector.predict([[0, 0], [6, 0]])
    array([ 1, -1])
    """

    _parameter_constraints: dict = {
        **BaseSemiSupervisedDetector._parameter_constraints,
        **Pretraining._parameter_constraints,
        "eta": [Interval(Real, 0, None, closed="neither")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "nu": [Interval(Real, 0, 1, closed="right")],
        "center": [StrOptions({"mean", "origin"})],
        "center_epsilon": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        eta=1.0,
        *,
        epsilon=0.1,
        anomaly_label=None,
        outlier_ratio=1.0,
        mix_anomalies="auto",
        center="mean",
        center_epsilon=0.1,
        nu=0.1,
        pretrain_epochs="auto",
        pretrain_lr=3e-3,
        code_penalty=0.02,
        decoder=None,
        contamination="auto",
        false_alarm_rate=0.05,
        calibration_fraction="auto",
        encoder=None,
        n_components="auto",
        max_epochs="auto",
        batch_size=128,
        lr="auto",
        weight_decay=1e-6,
        encoder_params=None,
        net_params=None,
        callbacks=None,
        device="auto",
        warm_start=False,
        verbose=0,
        random_state=None,
    ):
        super().__init__(
            anomaly_label=anomaly_label,
            outlier_ratio=outlier_ratio,
            mix_anomalies=mix_anomalies,
            contamination=contamination,
            false_alarm_rate=false_alarm_rate,
            calibration_fraction=calibration_fraction,
            encoder=encoder,
            n_components=n_components,
            max_epochs=max_epochs,
            batch_size=batch_size,
            lr=lr,
            weight_decay=weight_decay,
            encoder_params=encoder_params,
            net_params=net_params,
            callbacks=callbacks,
            device=device,
            warm_start=warm_start,
            verbose=verbose,
            random_state=random_state,
        )
        self.eta = eta
        self.epsilon = epsilon
        self.nu = nu
        self.center = center
        self.center_epsilon = center_epsilon
        self.pretrain_epochs = pretrain_epochs
        self.pretrain_lr = pretrain_lr
        self.code_penalty = code_penalty
        self.decoder = decoder

    def _plan(self, encoder, former, X, y, run):
        is_anomaly = y < 0
        # Example anomalies say more of what counts than a reconstruction does.
        pretrain_epochs = self._pretrain_epochs(encoder, not is_anomaly.any())
        if former is not None:
            center = former.head.centers[0]
        else:
            if pretrain_epochs:
                skipped = np.flatnonzero(is_anomaly)
                self._pretrain(encoder, X, run, pretrain_epochs, skipped)
            center = self._place_center(encoder, X, ~is_anomaly, run)
        # Samples that are not pushed need no direction in which to leave the center.
        head = Center(center) if is_anomaly.any() else Centers(center[None])
        return self._make_plan(
            X,
            y,
            Hypersphere(encoder, head),
            DeepSADLoss(self.eta, self.epsilon),
            run,
            without_anomalies=one_sphere_schedule(
                len(X) - len(run.held_out), self.batch_size, pretrain_epochs
            ),
        )

    def _place_center(self, encoder, X, is_normal, run):
        """Where the center stands, float32 (p,)."""
        if self.center == "origin":
            return torch.zeros(self._n_features_out)
        is_counted = is_normal.copy()
        is_counted[run.held_out] = False
        center = mean_embedding(encoder, X, run.device, is_counted)
        if has_parameters_to_train(encoder):  # which could move samples to 0
            center = away_from_zero(center, self.center_epsilon)
        return torch.from_numpy(center.astype(np.float32))

    def _keep(self, rows, held_out, plan):
        module, device = self._module()
        sq_distances = sq_distances_to_only_center(module, rows.X, device)
        is_trained = plan.y >= 0
        is_trained[held_out] = False
        sq_radii = np.full(1, sq_radius(sq_distances[is_trained], self.nu))
        set_sq_radii(module, rounded_up(sq_radii))

        self.centers_ = module.head.centers.numpy(force=True).copy()
        self.radii_ = np.sqrt(sq_radii)
        self.diagnostics_ |= member_diagnostics(sq_distances[is_trained])
        scores = module.head.sq_radii.item() - sq_distances
        self._keep_threshold(plan, held_out, scores, boundary=0.0)

    def _scores(self, X):
        return self._over_batches(lambda module, x: module.depths(x), X)
