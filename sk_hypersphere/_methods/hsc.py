"""Hypersphere classification: one class against example anomalies."""

from numbers import Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from sk_hypersphere._training.schedules import one_sphere_schedule
from sk_hypersphere.base import _types as t
from sk_hypersphere.base._parameters import store
from sk_hypersphere.base._semi_supervised import BaseSemiSupervisedDetector
from sk_hypersphere.exceptions import SupervisionWarning, warn_caller
from sk_hypersphere.losses import FocalLoss, HSCLoss
from sk_hypersphere.modules import Center, Hypersphere


class HSC(BaseSemiSupervisedDetector):
    r"""Hypersphere classifier: normal samples near the center, a few anomalies far off.

    An encoder :math:`f` learns to map normal samples to the origin and example
    anomalies away from it. A sample scores

    .. math::

        s(x) = -q(x), \qquad q(x) = \sqrt{\lVert f(x) \rVert^2 + 1} - 1

    where :math:`e^{-q}` is the probability that it is normal: the score is its
    logarithm, at most 0, and lower the more abnormal. Training minimizes the
    cross-entropy of this probability, :class:`~sk_hypersphere.losses.HSCLoss`. The
    examples may be real anomalies, or outlier exposure: samples of any other kind.

    With "bce" or "focal" as `loss`, a linear layer upon the encoder gives a logit
    :math:`a(x)` instead, the score is :math:`-a(x)`, and training minimizes
    :class:`~sk_hypersphere.losses.FocalLoss`. Far from all training samples a distance
    grows, but a logit may rise or fall, which costs much where examples are few.

    Scale rows, for example by :class:`~sklearn.preprocessing.StandardScaler`: training
    is short, and starts from distances between samples as they are. Without example
    anomalies, "hsc" is a :class:`DeepSVDD` around the origin, without pre-training; the
    other two learn nothing.

    Parameters
    ----------
    loss : {"hsc", "bce", "focal"}, default="hsc"
        Loss that is minimized: cross-entropy of a distance, of a logit, or of a logit
        with less weight for samples that are classified well.

    radial : {"pseudo-huber", "squared"}, default="pseudo-huber"
        How :math:`q` grows with the distance, for "hsc": as above, or
        :math:`\lVert f(x) \rVert^2`, which lets far samples dominate.

    gamma : float, default=2.0
        The larger, the less samples count that are classified well, for "focal"; at
        least 0.

    anomaly_label : int, float, str or None, default=None
        Label of the example anomalies in `y`. None means -1 if there are any -1, else
        the larger of exactly two numbers: +1 and -1, 0 and 1, False and True all mean
        what they usually mean. All other samples are taken for normal; a single label
        means that all are. Texts need to be named here. In cross-validation of -1, 0
        and +1 set -1: in a fold without anomalies, +1 would be the larger. Labels that
        do not fit are not used, and a warning says so. For ``scoring="roc_auc"`` give
        +1 and -1: decisions are the higher the more normal. Bagging, stacking and
        calibration want a classifier, which this is not.

    anomaly_ratio : float, default=1.0
        Number of example anomalies in a training batch, relative to its other samples,
        above 0. It is rounded up, so that a batch has one at least. All are drawn
        before one is drawn again.

    mix_anomalies : bool or "auto", default="auto"
        Whether the example anomalies of a batch are moved toward one another by random
        shares of the way, so that few of them say more. "auto" does so for rows, not
        for images. It assumes that samples between two anomalies are anomalies too, or
        are outnumbered there by normal samples.

    contamination : {"auto", "boundary"} or float, default="auto"
        How the threshold `offset_` is placed. "auto" keeps the promise of
        `false_alarm_rate` on new normal samples. A number in (0, 0.5] is the fraction
        of the training samples that are not labelled as anomalies that `predict` calls
        anomalies; more of the new ones fall below, because all samples are trained on.
        "boundary" is where both answers are equally likely in a training batch, which
        depends on `anomaly_ratio` and on the examples: other kinds of anomalies may
        rank low, but above it.

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
        Epochs of training. A few anomalies are soon learned by heart: "auto" is as many
        as have 50 batches, or 150 of images. If these do not show every example anomaly
        5 times on average, it is as many as do, but at most 100. Without example
        anomalies it is 30.

    batch_size : int, default=128
        Largest number of samples in a training batch that are not labelled as
        anomalies; example anomalies come on top.

    lr : float or "auto", default="auto"
        Learning rate of Adam. "auto" is 5e-4 for rows; for images it is 1e-3, and 1e-4
        for the last 30 % of the epochs. If `max_epochs` is "auto" too, it is lower in
        proportion where whole epochs have more batches than that asks for: two epochs
        of 49 batches in place of 50 batches halve it. Without example anomalies it is
        1e-3, and 1e-4 for the last 30 % of the epochs. A number is kept throughout,
        unless a callback changes it.

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
        Called in training. They are copied.

    device : str or torch.device, default="auto"
        Where to compute. "auto" is CUDA where there is one, else the CPU.

    warm_start : bool, default=False
        If True, another `fit` goes on with the encoder and the head of the last.

    verbose : int, default=0
        1 shows one progress bar for the whole fit, with the loss on it.

    random_state : int, RandomState instance or None, default=None
        Seeds weights, order of samples and dropout at fit. An int gives the same bits
        every time, with the same number of torch threads: gradients may be summed in
        that many parts.

    Attributes
    ----------
    centers_ : ndarray of shape (1, n_components)
        The origin, the center of the sphere; only for "hsc".

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
        whose variance fell to a millionth; "n_example_anomalies", the number of samples
        used as such; "n_distinct_scores" of the training samples.

    input_shape_ : tuple of int
        Shape of one sample.

    n_features_in_ : int
        Number of features; for images, of channels.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where the training data had names.

    See Also
    --------
    DeepSAD : The same idea with a center that follows the data.
    MCHADClassifier : Example anomalies beside several classes.

    References
    ----------
    .. [1] L. Ruff et al. "Rethinking Assumptions in Deep Anomaly Detection". 2020.
    .. [2] D. Hendrycks, M. Mazeika and T. Dietterich. "Deep Anomaly Detection with
       Outlier Exposure". ICLR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_hypersphere import HSC
    >>> rng = np.random.default_rng(0)
    >>> normal, anomalies = rng.normal(0, 1, (300, 2)), rng.normal([6, 0], 1, (8, 2))
    >>> X, y = np.r_[normal, anomalies], np.repeat([1, -1], [300, 8])
    >>> detector = HSC(random_state=0).fit(X, y)
    >>> detector.predict([[0, 0], [6, 0]])
    array([ 1, -1])
    """

    _parameter_constraints: dict = {
        **BaseSemiSupervisedDetector._parameter_constraints,
        "loss": [StrOptions({"hsc", "bce", "focal"})],
        "radial": [StrOptions({"pseudo-huber", "squared"})],
        "gamma": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        loss: str = "hsc",
        *,
        radial: str = "pseudo-huber",
        gamma: float = 2.0,
        anomaly_label: t.Label = None,
        anomaly_ratio: float = 1.0,
        mix_anomalies: bool | str = "auto",
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

    def _check_y(self, X, y):
        labels = super()._check_y(X, y)
        if self.loss != "hsc" and not np.any(labels < 0):
            warn_caller(
                f"loss must be 'hsc' where no example anomalies are known, got "
                f"{self.loss!r}, which then learns nothing. Label some anomalies, or "
                "use DeepSVDD.",
                SupervisionWarning,
            )
        return labels

    def _plan(self, encoder, former, X, y, run):
        return self._make_plan(
            X,
            y,
            Hypersphere(encoder, self._make_head(former)),
            self._make_loss(),
            run,
            without_anomalies=one_sphere_schedule(
                len(X) - len(run.held_out), self.batch_size
            ),
            moves_encoder=self.loss == "hsc",
        )

    def _make_head(self, former):
        """The head of the last fit, unless it was trained for another kind of loss."""
        if self.loss == "hsc":
            new = Center(torch.zeros(self._n_features_out))
        else:
            new = nn.Linear(self._n_features_out, 1)
        goes_on = former is not None and type(former.head) is type(new)
        return former.head if goes_on else new

    def _make_loss(self):
        if self.loss == "hsc":
            return HSCLoss(self.radial)
        return FocalLoss(self.gamma if self.loss == "focal" else 0.0)

    def _keep(self, rows, held_out, plan):
        vars(self).pop("centers_", None)  # of an earlier fit with another loss
        if self.loss == "hsc":
            center = self.net_.module_.head.centers
            self.centers_ = center.numpy(force=True).copy()
        boundary = 0.0 - self.net_.criterion_.boundary
        self._keep_threshold(plan, held_out, self._scores(rows.X), boundary)

    def _score(self, output):
        # An infinite distance would be divided by itself.
        finite = output.clamp(max=torch.finfo(output.dtype).max)
        return -self.net_.criterion_.evidence(finite)
