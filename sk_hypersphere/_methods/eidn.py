"""EIDN: normal samples to the origin, anomalies to the one-vector."""

from functools import partial
from math import sqrt
from numbers import Integral, Real

import numpy as np
from sklearn.utils import ClassifierTags, check_consistent_length
from sklearn.utils._param_validation import Interval, StrOptions

from sk_hypersphere._training.samplers import paired_triplets, random_triplets
from sk_hypersphere._training.schedules import triplet_schedule, triplet_steps
from sk_hypersphere.base import _types as t
from sk_hypersphere.base._base import Plan
from sk_hypersphere.base._labels import binary_labels
from sk_hypersphere.base._parameters import store
from sk_hypersphere.base._semi_supervised import BaseExampleDetector
from sk_hypersphere.losses import EIDNLoss
from sk_hypersphere.modules import DropoutConvNet, OriginAndOnes
from sk_hypersphere.modules._augmented import with_augment


class EIDNEmbedder(BaseExampleDetector):
    r"""EIDN: normal samples near the origin, anomalies near the vector of ones.

    An encoder :math:`f` learns from example anomalies to map normal samples to the
    origin :math:`\mathbf{0}` and anomalies to the vector of ones :math:`\mathbf{1}`.
    It is a supervised reduction of dimension, to put in front of a classic detector,
    and a detector itself: a sample scores

    .. math::

        s(x) = -\frac{\mathbf{1}^\top f(x)}{\sqrt{p}}

    where :math:`p` is the number of components: minus the projection of its embedding
    on the direction from normal to abnormal, lower the more abnormal. Training
    minimizes :class:`~sk_hypersphere.losses.EIDNLoss` over triplets of a center, a
    sample that belongs to it and one that belongs to the other. Samples are drawn from
    all of their kind, with replacement, so that a single anomaly is enough; `fit`
    refuses labels that do not name both kinds.

    In a pipeline, classic detectors would learn from anomalies too.
    :class:`FitOnNormal` leaves them out:
    ``make_pipeline(EIDNEmbedder(), FitOnNormal(IsolationForest()))``. Scale rows, for
    example by :class:`~sklearn.preprocessing.StandardScaler`.

    Parameters
    ----------
    n_components : int or "auto", default=2
        Size of the embedding, for encoders built at fit. "auto" is the default of the
        encoder.

    margin : float or "auto", default="auto"
        By how much closer to its center a sample must be than one of the other kind, at
        least 0, in squared units of the embedding. A pair that is further apart costs
        nothing. "auto" is the squared distance between the centers, p; 0.2 was
        published.

    steps_per_epoch : int or None, default=None
        Number of batches in an epoch. Each epoch draws new ones. None is as many as
        have about as many samples as there are, but at most 5, or 50 of images.

    triplets : {"all", "random"}, default="all"
        "random" is what was published: a fair coin says for each of the `batch_size`
        triplets of a batch which kind is positive. "all" are every two samples of
        different kinds in the batch, at both centers: the same on average, with less
        variance. Memory is quadratic in `batch_size` then.

    score_rule : {"projection", "norm"}, default="projection"
        The score: the projection as above, or minus the distance from the origin,
        :math:`-\lVert f(x) \rVert`. It changes no weight. The distance also grows for
        samples that are far from both centers, which the projection may take for
        normal; but training pulls normal samples closer to the origin than anomalies
        are, not onto it. On images the projection ranks better, also anomalies of kinds
        that were not shown. A detector behind the embedding finds samples that are far
        from both centers, whatever the direction.

    augment : callable, default=None
        Changes training batches: ``augment(batch)`` returns a changed copy of a float32
        tensor, (m, n_features) or (m, channels, height, width), of the same shape, for
        example :class:`~sk_hypersphere.modules.AugmentImages`. A module is copied,
        never trained. None changes nothing. Random numbers that are not from torch's
        stream are not seeded. With few anomalies nothing helps more, if changed normal
        samples are still normal.

    anomaly_label : int, float, str or None, default=None
        Label of the anomalies in `y`. None means -1 if there are any -1, else the
        larger of exactly two numbers: +1 and -1, 0 and 1, False and True all mean what
        they usually mean. All other samples are taken for normal. Texts need to be
        named here. In cross-validation of -1, 0 and +1 set -1: in a fold without
        anomalies, +1 would be the larger. For ``scoring="roc_auc"`` give +1 and -1:
        decisions are the higher the more normal. Before scikit-learn 1.9, a search
        within a cross-validation needs a function for `scoring`, as the search is not
        taken for a detector. Bagging, stacking and calibration want a classifier, which
        this is not.

    contamination : {"auto", "boundary"} or float, default="auto"
        How the threshold `offset_` is placed. "auto" keeps the promise of
        `false_alarm_rate` on new normal samples. A number in (0, 0.5] is the fraction
        of the normal training samples that `predict` calls anomalies; more of the new
        ones fall below, because all samples are trained on. "boundary" is half way from
        the origin to the ones.

    false_alarm_rate : float, default=0.05
        Fraction of new normal samples that `predict` is expected to call anomalies, in
        (0, 0.5], if `contamination` is "auto". It takes 1 / false_alarm_rate - 1
        held-out samples at least; a
        :class:`~sk_hypersphere.exceptions.CalibrationWarning` says so where they are
        fewer.

    calibration_fraction : float or "auto", default="auto"
        Share of the normal samples that is not trained on but places `offset_`, in (0,
        1), if `contamination` is "auto". "auto" is a fifth, but 200 samples at least
        and 2,000 at most; the 200 may be a third of all, or a half where
        `false_alarm_rate` needs so many. Anomalies that are hidden among them lower the
        threshold, and with it the false alarms. Earlier steps of a pipeline learn from
        all samples nevertheless. `warm_start` holds the same samples out again.

    encoder : nn.Module, class, callable or None, default=None
        Network from a batch of samples to embeddings, (n_samples, n_components). A copy
        of a module is trained, never the module itself; a class or callable is called
        as ``encoder(input_shape, n_components, **encoder_params)``. None is
        :class:`~sk_hypersphere.modules.MLP` for rows and
        :class:`~sk_hypersphere.modules.DropoutConvNet` for images.

    max_epochs : int or "auto", default="auto"
        Epochs of training. "auto" is as many as have 50 batches, or 500 of images; if
        these do not show every anomaly 5 times on average, as many as do; and twice as
        many with `augment`.

    batch_size : int, default=64
        Number of normal samples in a training batch, which has as many anomalies.

    lr : float or "auto", default="auto"
        Learning rate of Adam. "auto" is 5e-4, or 2e-3 for images, and a tenth of this
        for the last 30 % of the epochs. A number is kept throughout, unless a callback
        changes it.

    weight_decay : float, default=1e-6
        L2 penalty of the weights, at least 0.

    encoder_params : dict, default=None
        Further parameters of the encoder; each is also ``encoder__NAME``.

    net_params : dict, default=None
        Parameters of the skorch net that replace ours; each is also ``net__NAME``.
        ``set_params(net__train_split=ValidSplit(5, stratified=True))`` keeps both kinds
        of samples in the part that early stopping looks at. Another ``iterator_train``
        makes its own batches: with ``triplets="random"``, of m samples, number i and
        number i + m // 2 are a triplet if they are of different kinds.

    callbacks : list of skorch callbacks, default=None
        Called in training. They are copied.

    device : str or torch.device, default="auto"
        Where to compute. "auto" is CUDA where there is one, else the CPU.

    warm_start : bool, default=False
        If True, another `fit` goes on with the encoder of the last.

    verbose : int, default=0
        1 shows one progress bar for the whole fit, with the loss on it.

    random_state : int, RandomState instance or None, default=None
        Seeds weights, triplets, augmentation and dropout at fit. An int gives the same
        bits every time, with the same number of torch threads: gradients may be summed
        in that many parts.

    Attributes
    ----------
    centers_ : ndarray of shape (2, n_components)
        The origin and the vector of ones.

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
    FitOnNormal : A detector behind this embedding that learns from normal samples only.
    HSC : A detector with one center, which anomalies are kept from.

    References
    ----------
    .. [1] D. Lappas, V. Argyriou and D. Makris. "Enforced Isolation Deep Network For
       Anomaly Detection In Images".

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import IsolationForest
    >>> from sklearn.pipeline import make_pipeline
    >>> from sk_hypersphere import EIDNEmbedder, FitOnNormal
    >>> rng = np.random.default_rng(0)
    >>> normal, anomalies = rng.normal(0, 1, (300, 2)), rng.normal([6, 0], 1, (8, 2))
    >>> X, y = np.r_[normal, anomalies], np.repeat([1, -1], [300, 8])
    >>> embedder = EIDNEmbedder(random_state=0).fit(X, y)
    >>> embedder.predict([[0, 0], [6, 0]])
    array([ 1, -1])
    >>> forest = FitOnNormal(IsolationForest(random_state=0))
    >>> detector = make_pipeline(EIDNEmbedder(random_state=0), forest).fit(X, y)
    >>> detector.predict([[0, 0], [6, 0]])
    array([ 1, -1])
    """

    _parameter_constraints: dict = {
        **BaseExampleDetector._parameter_constraints,
        "margin": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "steps_per_epoch": [Interval(Integral, 1, None, closed="left"), None],
        "triplets": [StrOptions({"all", "random"})],
        "score_rule": [StrOptions({"projection", "norm"})],
        "augment": [callable, None],
    }
    _image_encoder = DropoutConvNet

    _renamed = {"scorer": "score_rule"}
    _formerly_positional = ("margin", "steps_per_epoch")

    def __init__(
        self,
        n_components: t.AutoInt = 2,
        *,
        margin: t.AutoFloat = "auto",
        steps_per_epoch: int | None = None,
        triplets: str = "all",
        score_rule: str = "projection",
        augment: t.Augment = None,
        anomaly_label: t.Label = None,
        contamination: t.ContaminationOrBoundary = "auto",
        false_alarm_rate: float = 0.05,
        calibration_fraction: t.AutoFloat = "auto",
        encoder: t.Encoder = None,
        max_epochs: t.AutoInt = "auto",
        batch_size: int = 64,
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
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but "
                "the target y is None. Say which samples are anomalies."
            )
        check_consistent_length(X, y)
        return binary_labels(y, self.anomaly_label, required=True)

    def _plan(self, encoder, former, X, y, run):
        n_steps, n_trained = self.steps_per_epoch, len(X) - len(run.held_out)
        if n_steps is None:
            n_steps = triplet_steps(X, n_trained, self.batch_size)
        augments = self.augment is not None
        return Plan(
            module=with_augment(self.augment)(
                encoder, OriginAndOnes(self._n_features_out)
            ),
            loss=EIDNLoss(self._auto("margin", self._n_features_out), self.triplets),
            schedule=triplet_schedule(
                X, np.sum(y < 0), self.batch_size, n_steps, augments
            ),
            y=y,
            sampler=partial(random_triplets, n_steps=n_steps),
            valid_sampler=paired_triplets,
            moves_encoder=True,
        )

    def _keep(self, rows, held_out, plan):
        self.centers_ = plan.module.head.centers.numpy(force=True).copy()
        self._scored_by = self.score_rule  # later changes await the next fit
        boundary = -sqrt(self._n_features_out) / 2
        self._keep_threshold(plan, held_out, self._scores(rows.X), boundary)

    def _scores(self, X):
        # Far out, the difference of squared distances would have no digits left.
        Z = self._embeddings(X).astype(np.float64)
        if self._scored_by == "norm":
            return -np.linalg.norm(Z, axis=1)
        return -Z.sum(axis=1) / sqrt(Z.shape[1])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        # scikit-learn's checks then give labels of two kinds, not of three.
        tags.classifier_tags = ClassifierTags(multi_class=False)
        # Before 1.9 scikit-learn's scorers take decisions of outlier detectors, but its
        # checks fit outlier detectors without labels. So only a fitted estimator is
        # one. A search has the tags of an estimator that is not fitted: inside a
        # cross-validation it needs 1.9, or a scorer of its own.
        if not hasattr(self, "offset_"):
            tags.estimator_type = None
        return tags
