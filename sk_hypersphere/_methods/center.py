"""Center loss, with example anomalies or without."""

from sk_hypersphere.base import _types as t
from sk_hypersphere.base._classifier import BaseGeneralizedClassifier, initial_centers
from sk_hypersphere.base._parameters import store
from sk_hypersphere.losses import CenterLoss
from sk_hypersphere.modules import CentersAndLogits


class CenterLossClassifier(BaseGeneralizedClassifier):
    r"""Learn centers beside a linear classifier, then classify by the nearest center.

    An encoder :math:`f`, a center :math:`c_k` for each class and a linear classifier
    :math:`W f(x) + b` are learned together; only training uses the linear classifier.
    With the distances :math:`d_k = \lVert f(x) - c_k \rVert`, a sample belongs to the
    class of the smallest, and scores

    .. math::

        s(x) = \max_k \bigl( r_k^2 - d_k^2 \bigr)

    the lower, the more abnormal, with radii :math:`r_k` that are 0 by default. Training
    minimizes :class:`~sk_hypersphere.losses.CenterLoss`; where there are example
    anomalies, it is the generalized method, G-Center.

    Parameters
    ----------
    alpha : float, default=0.05
        Weight of the compactness of classes, at least 0: half of the published lambda.
        With 0, nothing brings samples to centers.

    beta : float, default=1.0
        Weight of the cross-entropy, at least 0.

    gamma : float, default=0.0041
        Weight of the example anomalies, at least 0.

    radius : float or array-like of shape (n_classes,), default=0.0
        Radius :math:`r_k` of all spheres, or one for each class in the order of
        `classes_`, at least 0, in units of the embedding. A sample inside its sphere is
        compact enough.

    margin : float or array-like of shape (n_classes,), default=2.0
        Margin :math:`m_k` that example anomalies have to keep from the spheres, at
        least 0, as `radius`.

    anomaly_label : int, float, str or None, default=None
        Label of example anomalies in `y`, which are no class: they are only pushed off
        the spheres, and never enter `classes_`. None is no label. Meta-estimators that
        encode labels (bagging, voting, stacking, calibration) hide it: give them
        samples of known classes only.

    anomaly_ratio : float, default=1.0
        Number of example anomalies in a training batch, relative to its samples of
        known classes, above 0. It is rounded up, so that a batch has one at least. All
        are drawn before one is drawn again.

    reject : bool, default=False
        If True, `predict` returns `anomaly_label` for samples that score below
        `offset_`.

    contamination : float or "auto", default="auto"
        How the threshold `offset_` is placed. "auto" keeps the promise of
        `false_alarm_rate` on new samples of known classes. A number in (0, 0.5] is the
        fraction of the training samples of known classes that `detect` calls anomalies;
        more of the new ones fall below, because all samples are trained on.

    false_alarm_rate : float, default=0.05
        Fraction of new samples of known classes that `detect` is expected to call
        anomalies, in (0, 0.5], if `contamination` is "auto". It takes 1 /
        false_alarm_rate - 1 held-out samples at least; a
        :class:`~sk_hypersphere.exceptions.CalibrationWarning` says so where they are
        fewer.

    calibration_fraction : float or "auto", default="auto"
        Share of the samples of known classes that is not trained on but places
        `offset_`, in (0, 1), if `contamination` is "auto". "auto" is a fifth, but 200
        samples at least and 2,000 at most; the 200 may be a third of all, or a half
        where `false_alarm_rate` needs so many. Earlier steps of a pipeline learn from
        all samples nevertheless. `warm_start` holds the same samples out again.

    encoder : nn.Module, class, callable or None, default=None
        Network from a batch of samples to embeddings, (n_samples, n_components). A copy
        of a module is trained, never the module itself; a class or callable is called
        as ``encoder(input_shape, n_components, **encoder_params)``. None is
        :class:`~sk_hypersphere.modules.MLP` for rows and
        :class:`~sk_hypersphere.modules.ConvNet` for images.

    n_components : int or "auto", default=16
        Size of the embedding, for encoders built at fit; free, whatever the number of
        classes. "auto" is the default of the encoder.

    max_epochs : int or "auto", default="auto"
        Epochs of training. "auto" is 30, or as many as have 1,000 batches, but at most
        300: with fewer, distances say little on small data.

    batch_size : int, default=128
        Largest number of samples of known classes in a training batch; example
        anomalies come on top.

    lr : float or "auto", default="auto"
        Learning rate of Adam. "auto" is 1e-3, and 1e-4 for the last 30 % of the epochs.
        A number is kept throughout, unless a callback changes it.

    weight_decay : float, default=5e-5
        L2 penalty of the weights, at least 0. Centers are exempt.

    encoder_params : dict, default=None
        Further parameters of the encoder; each is also ``encoder__NAME``.

    net_params : dict, default=None
        Parameters of the skorch net that replace ours; each is also ``net__NAME``.

    callbacks : list of skorch callbacks, default=None
        Called in training. They are copied.

    device : str or torch.device, default="auto"
        Where to compute. "auto" is CUDA where there is one, else the CPU.

    warm_start : bool, default=False
        If True, another `fit`, of the same classes, goes on with the encoder, the
        centers and the linear classifier of the last.

    verbose : int, default=0
        1 shows one progress bar for the whole fit, with the loss on it.

    random_state : int, RandomState instance or None, default=None
        Seeds weights, calibration samples, order of samples and dropout at fit. An int
        gives the same bits every time, with the same number of torch threads: gradients
        may be summed in that many parts.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted, without `anomaly_label`.

    centers_ : ndarray of shape (n_classes, n_components)
        Center of each class, as learned.

    offset_ : float
        Threshold: `detect` gives -1 where ``score_samples`` is below it.

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
        whose variance fell to a millionth.

    input_shape_ : tuple of int
        Shape of one sample.

    n_features_in_ : int
        Number of features; for images, of channels.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where the training data had names.

    See Also
    --------
    MCHADClassifier : Without a linear classifier.

    References
    ----------
    .. [1] Y. Wen, K. Zhang, Z. Li and Y. Qiao. "A Discriminative Feature Learning
       Approach for Deep Face Recognition". ECCV 2016.
    .. [2] K. Kirchheim, M. Filax and F. Ortmeier. "Multi Class Hypersphere Anomaly
       Detection". ICPR 2022.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sk_hypersphere import CenterLossClassifier
    >>> X, y = make_blobs(300, centers=[[0, 0], [4, 4]], random_state=0)
    >>> classifier = CenterLossClassifier(random_state=0).fit(X, y)
    >>> classifier.predict([[0, 0], [4, 4]])
    array([0, 1])
    >>> classifier.detect([[0, 0], [4, 4], [40, -40]])
    array([ 1,  1, -1])
    """

    def __init__(
        self,
        *,
        alpha: float = 0.05,
        beta: float = 1.0,
        gamma: float = 0.0041,
        radius: t.PerClass = 0.0,
        margin: t.PerClass = 2.0,
        anomaly_label: t.Label = None,
        anomaly_ratio: float = 1.0,
        reject: bool = False,
        contamination: t.Contamination = "auto",
        false_alarm_rate: float = 0.05,
        calibration_fraction: t.AutoFloat = "auto",
        encoder: t.Encoder = None,
        n_components: t.AutoInt = 16,
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

    def _make_head(self, former):
        if former is not None:
            return former
        centers = initial_centers(len(self.classes_), self._n_features_out)
        return CentersAndLogits(centers)

    def _make_loss(self, y):
        return CenterLoss(**self._loss_params(y))
