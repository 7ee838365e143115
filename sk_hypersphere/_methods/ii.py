"""Classes by intra and inter class spread."""

import torch

from sk_hypersphere._training.inference import map_batches
from sk_hypersphere._training.rows import unwrapped
from sk_hypersphere.base import _types as t
from sk_hypersphere.base._classifier import ANOMALY, BaseHypersphereClassifier
from sk_hypersphere.base._parameters import store
from sk_hypersphere.base._spheres import cluster_means
from sk_hypersphere.losses import IILoss
from sk_hypersphere.modules import Centers, UnitVariance


class IILossClassifier(BaseHypersphereClassifier):
    r"""Bring classes together and the closest two apart, then classify by class means.

    An encoder :math:`f` is trained on the spread within the classes of a batch and the
    gap between the two closest class means, by :class:`~sk_hypersphere.losses.IILoss`
    of the embeddings of the batch, scaled to unit variance. Afterwards the centers
    :math:`c_k` are the class means of all training samples. With the distances
    :math:`d_k = \lVert f(x) - c_k \rVert`, a sample belongs to the class of the
    smallest, and scores

    .. math::

        s(x) = -\min_k d_k^2

    the lower, the more abnormal.

    Parameters
    ----------
    alpha : float, default=1.0
        Weight of the spread within classes, at least 0.

    beta : float, default=1.0
        Weight of the gap between the two closest classes, at least 0.

    anomaly_label : int, float, str or None, default=None
        Label that `predict` returns for anomalies if `reject`. Samples with this label
        are refused: the loss compares means of classes, and example anomalies, which
        need not be alike, have no mean that says something about them.

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
        Largest number of samples in a training batch.

    lr : float or "auto", default="auto"
        Learning rate of Adam. "auto" is 1e-3, and 1e-4 for the last 30 % of the epochs.
        A number is kept throughout, unless a callback changes it.

    weight_decay : float, default=0.0
        L2 penalty of the weights, at least 0. The loss does not depend on the scale of
        the embeddings, which it would bound.

    encoder_params : dict, default=None
        Further parameters of the encoder; each is also ``encoder__NAME``.

    net_params : dict, default=None
        Parameters of the skorch net that replace ours; each is also ``net__NAME``.

    callbacks : list of skorch callbacks, default=None
        Called in training. They are copied.

    device : str or torch.device, default="auto"
        Where to compute. "auto" is CUDA where there is one, else the CPU.

    warm_start : bool, default=False
        If True, another `fit`, of the same classes, goes on with the encoder of the
        last.

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
        Center of each class: mean embedding of its training samples.

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
    MCHADClassifier : Centers that are learned; takes example anomalies.

    Notes
    -----
    The loss has no lower bound. Its authors put batch normalization before it; here a
    single scale for all components, :class:`~sk_hypersphere.modules.UnitVariance`,
    bounds it as well and keeps spheres spheres. With a single class there is no gap,
    and its spread is the spread of the batch, which is 1: nothing is trained then.

    References
    ----------
    .. [1] M. Hassen and P. K. Chan. "Learning a Neural-Network-Based Representation for
       Open Set Recognition". SDM 2020.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sk_hypersphere import IILossClassifier
    >>> X, y = make_blobs(300, centers=[[0, 0], [4, 4]], random_state=0)
    >>> IILossClassifier(random_state=0).fit(X, y).detect([[0, 0], [4, 4], [40, -40]])
    array([ 1,  1, -1])
    """

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        beta: float = 1.0,
        anomaly_label: t.Label = None,
        reject: bool = False,
        contamination: t.Contamination = "auto",
        false_alarm_rate: float = 0.05,
        calibration_fraction: t.AutoFloat = "auto",
        encoder: t.Encoder = None,
        n_components: t.AutoInt = 16,
        max_epochs: t.AutoInt = "auto",
        batch_size: int = 128,
        lr: t.AutoFloat = "auto",
        weight_decay: float = 0.0,
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
        y = super()._check_y(X, y)
        if (y == ANOMALY).any():
            raise ValueError(
                "y must hold classes only, because the II loss has no term for example "
                f"anomalies: it compares means of classes. Got {(y == ANOMALY).sum()} "
                f"times anomaly_label={self.anomaly_label!r}. Leave these samples out, "
                "or take MCHADClassifier, which learns from them."
            )
        return y

    def _plan(self, encoder, former, X, y, run):
        plan = super()._plan(encoder, former, X, y, run)
        # The loss of a single class is constant, and Adam enlarges its rounding errors.
        return plan if len(self.classes_) > 1 else plan._replace(learns=False)

    def _make_head(self, former):
        return UnitVariance()

    def _make_loss(self, y):
        return IILoss(len(self.classes_), self.alpha, self.beta)

    def _keep(self, rows, held_out, plan):
        module, device = self._module()
        _, trained = unwrapped(rows.without(held_out))
        embeddings = map_batches(module.encoder, rows.X, device)
        means, _ = cluster_means(embeddings[trained], rows.y[trained])
        module.head = Centers(torch.from_numpy(means).float()).to(device).eval()
        super()._keep(rows, held_out, plan)
