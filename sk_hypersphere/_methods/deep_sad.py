"""Deep semi-supervised anomaly detection."""

from numbers import Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions

from sk_hypersphere._training.pretrain import Pretraining
from sk_hypersphere._training.schedules import one_sphere_schedule
from sk_hypersphere.base import _types as t
from sk_hypersphere.base._parameters import store
from sk_hypersphere.base._semi_supervised import BaseSemiSupervisedDetector
from sk_hypersphere.base._spheres import mean_center, member_diagnostics, place_radii
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

    Scale rows, for example by :class:`~sklearn.preprocessing.StandardScaler`: training
    is short, and starts from distances between samples as they are.

    Parameters
    ----------
    eta : float, default=1.0
        Weight of a labelled sample, relative to one without a label, above 0.

    epsilon : float, default=0.1
        Number that is added to squared distances before they are inverted, above 0. It
        bounds how hard an anomaly at the center is pushed; with the published 1e-6, one
        that starts there outweighs all other samples for long.

    anomaly_label : int, float, str or None, default=None
        Label of the example anomalies in `y`. None means -1 if there are any -1, else
        the larger of exactly two numbers: +1 and -1, 0 and 1, False and True all mean
        what they usually mean. Other labels mean known to be normal, but for 0 and
        False, which mean that nothing is known. If some samples are known to be normal,
        +1, and no anomaly is known, set -1 here. A single label means no anomaly. Texts
        need to be named here. In cross-validation of -1, 0 and +1 set -1: in a fold
        without anomalies, +1 would be the larger. Bagging, stacking and calibration
        want a classifier, which this is not. Labels that do not fit are not used, and a
        warning says so. For ``scoring="roc_auc"`` give +1 and -1: decisions are the
        higher the more normal.

    anomaly_ratio : float, default=1.0
        Number of example anomalies in a training batch, relative to its other samples,
        above 0. It is rounded up, so that a batch has one at least. All are drawn
        before one is drawn again.

    mix_anomalies : bool or "auto", default="auto"
        Whether the example anomalies of a batch are moved toward one another by random
        shares of the way, so that few of them say more. "auto" does so for rows, not
        for images. It assumes that samples between two anomalies are anomalies too, or
        are outnumbered there by normal samples.

    center : {"mean", "origin"}, default="mean"
        Place of the center: the mean of the embeddings before training, without example
        anomalies, or the origin.

    center_epsilon : float, default=0.1
        Least magnitude of the coordinates of a center, at least 0, for "mean". Weights
        of zero could reach a coordinate of 0, which would let all samples collapse to
        the center.

    nu : float, default=0.1
        Fraction of the training samples left outside the sphere, in (0, 1]: the radius
        is the (1 - nu) quantile of distances. It places `offset_` only where
        `contamination` is "boundary". Example anomalies do not count.

    pretrain_epochs : int or "auto", default="auto"
        Epochs of training as an autoencoder before centers are placed. Example
        anomalies are left out, but for the statistics of normalization layers and the
        span of the data. "auto" is 4 where a `decoder` is given, and for the encoders
        of images of this package if there are no example anomalies, which are worth
        more; else 0.

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

    contamination : {"auto", "boundary"} or float, default="auto"
        How the threshold `offset_` is placed. "auto" keeps the promise of
        `false_alarm_rate` on new normal samples. A number in (0, 0.5] is the fraction
        of the training samples that are not labelled as anomalies that `predict` calls
        anomalies; more of the new ones fall below, because all samples are trained on.
        "boundary" is the surface of the sphere, a score of 0, which leaves `nu` of the
        training samples outside.

    false_alarm_rate : float, default=0.05
        Fraction of new normal samples that `predict` is expected to call anomalies, in
        (0, 0.5], if `contamination` is "auto". It takes 1 / false_alarm_rate - 1
        held-out samples at least; a
        :class:`~sk_hypersphere.exceptions.CalibrationWarning` says so where they are
        fewer.

    calibration_fraction : float or "auto", default="auto"
        Share of the samples that are not labelled as anomalies that is not trained on
        but places `offset_`, in (0, 1), if `contamination` is "auto". "auto" is a
        fifth, but 200 samples at least and 2,000 at most; the 200 may be a third of
        all, or a half where `false_alarm_rate` needs so many. Anomalies that are hidden
        among them lower the threshold, and with it the false alarms. Earlier steps of a
        pipeline learn from all samples nevertheless. `warm_start` holds the same
        samples out again.

    encoder : nn.Module, class, callable or None, default=None
        Network from a batch of samples to embeddings, (n_samples, n_components). A copy
        of a module is trained, never the module itself; a class or callable is called
        as ``encoder(input_shape, n_components, **encoder_params)``. None is
        :class:`~sk_hypersphere.modules.MLP` for rows and
        :class:`~sk_hypersphere.modules.ConvNet` for images.

    n_components : int or "auto", default="auto"
        Size of the embedding, for encoders built at fit. "auto" is the default of the
        encoder: 64 for the MLP, 32 for the ConvNet and for encoders without a default.

    max_epochs : int or "auto", default="auto"
        Epochs of training, after those of the autoencoder. A few anomalies are soon
        learned by heart: "auto" is as many as have 50 batches, or 150 of images. If
        these do not show every example anomaly 5 times on average, it is as many as do,
        but at most 100. Without example anomalies it is as in :class:`DeepSVDD`.

    batch_size : int, default=128
        Largest number of samples in a training batch that are not labelled as
        anomalies; example anomalies come on top.

    lr : float or "auto", default="auto"
        Learning rate of Adam. "auto" is 5e-4 for rows; for images it is 1e-3, and 1e-4
        for the last 30 % of the epochs. If `max_epochs` is "auto" too, it is lower in
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
        Another ``iterator_train`` makes its own batches, without `anomaly_ratio` and
        `mix_anomalies`.

    callbacks : list of skorch callbacks, default=None
        Called in training, not in pre-training. They are copied.

    device : str or torch.device, default="auto"
        Where to compute. "auto" is CUDA where there is one, else the CPU.

    warm_start : bool, default=False
        If True, another `fit` goes on with the encoder and the center of the last.

    verbose : int, default=0
        1 shows one progress bar for the whole fit, with the loss on it.

    random_state : int, RandomState instance or None, default=None
        Seeds weights, order of samples, pre-training and dropout at fit. An int gives
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
        whose variance fell to a millionth; "n_example_anomalies", the number of samples
        used as such; "n_distinct_scores" of the training samples; of those that are not
        example anomalies, "mean_sq_distance" to the center and "distance_spread", the
        standard deviation of the distances over their mean.

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
        eta: float = 1.0,
        *,
        epsilon: float = 0.1,
        anomaly_label: t.Label = None,
        anomaly_ratio: float = 1.0,
        mix_anomalies: bool | str = "auto",
        center: str = "mean",
        center_epsilon: float = 0.1,
        nu: float = 0.1,
        pretrain_epochs: t.AutoInt = "auto",
        pretrain_lr: float = 3e-3,
        code_penalty: float = 0.02,
        decoder: t.Decoder = None,
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

    def _plan(self, encoder, former, X, y, run):
        is_anomaly = y < 0
        # Example anomalies teach an encoder more than a reconstruction does.
        pretrain_epochs = self._pretrain_epochs(encoder, not is_anomaly.any())
        if former is None and pretrain_epochs:
            skipped = np.flatnonzero(is_anomaly)
            self._pretrain(encoder, X, run, pretrain_epochs, skipped)
        if former is not None:
            centers = former.head.centers
        elif self.center == "origin":
            centers = torch.zeros(1, self._n_features_out)
        else:
            centers = mean_center(encoder, X, run, ~is_anomaly, self.center_epsilon)
        # Samples that are not pushed need no direction in which to leave the center.
        head = Center(centers[0]) if is_anomaly.any() else Centers(centers)
        n_trained = len(X) - len(run.held_out)
        return self._make_plan(
            X,
            y,
            Hypersphere(encoder, head),
            DeepSADLoss(self.eta, self.epsilon),
            run,
            without_anomalies=one_sphere_schedule(
                n_trained, self.batch_size, pretrain_epochs
            ),
        )

    def _keep(self, rows, held_out, plan):
        module, _ = self._module()
        uncounted = np.union1d(held_out, np.flatnonzero(plan.y < 0)).astype(np.intp)
        sq_distances, self.radii_ = place_radii(module, rows, uncounted, self.nu)
        self.centers_ = module.head.centers.numpy(force=True).copy()
        self.diagnostics_ |= member_diagnostics(np.delete(sq_distances, uncounted))
        scores = module.head.sq_radii.item() - sq_distances
        self._keep_threshold(plan, held_out, scores, boundary=0.0)

    def _scores(self, X):
        return self._over_batches(lambda module, x: module.depths(x), X)
