"""Members that differ by their seeds, and the mean of their scores."""

from numbers import Integral

import numpy as np
from scipy.special import expit, softmax
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    MetaEstimatorMixin,
    _fit_context,
    clone,
    is_classifier,
    is_outlier_detector,
)
from sklearn.utils import _safe_indexing, get_tags, indexable, resample
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import (
    _check_method_params,
    check_is_fitted,
    validate_data,
)

from sk_hypersphere._training.arrays import as_array
from sk_hypersphere._training.checks import unchanged_on_error
from sk_hypersphere._training.net import progress_bar
from sk_hypersphere._training.random import clone_with_seeds, make_seed
from sk_hypersphere._training.rows import evenly_spaced
from sk_hypersphere._training.side_by_side import can_share_a_loop, train_side_by_side
from sk_hypersphere.base import _types as t
from sk_hypersphere.base._labels import accuracy, known_labels, replace_where
from sk_hypersphere.base._parameters import store
from sk_hypersphere.base._threshold import Thresholded, placing, rule_of

# At most this many scores give the spread of a member's scores, an order of magnitude.
MOST_SCALING = 10_000


def _wraps(is_kind):
    """Make a method available where the wrapped estimator is of a kind."""
    return available_if(lambda ensemble: is_kind(ensemble._member()))


class HypersphereEnsemble(Thresholded, MetaEstimatorMixin, BaseEstimator):
    r"""Members that differ by their seeds, and the mean of their scores.

    A network ends where its random start and its random batches lead it; the mean of
    several depends less on them, and ranks better. A sample scores

    .. math::

        s(x) = \frac{1}{M} \sum_{m=1}^{M} \frac{s_m(x) - o_m}{q_m}

    where :math:`s_m` is the score of member :math:`m` of :math:`M`, :math:`o_m` its
    `offset_` and :math:`q_m` the interquartile range of its scores of the training
    samples: members are on one scale, on which 0 is their threshold. The score is lower
    the more abnormal, as theirs.

    The threshold of the mean is placed like the threshold of a single estimator: the
    parameters `contamination` and `calibration_fraction` of `estimator` say how, where
    it has them. All members hold the same samples out, and are fitted without a
    calibration of their own.

    Members with an MLP are trained in one loop, as a single module with the weights of
    all, which takes a fraction of the time: a step on a small batch is mostly the cost
    of calls. Each has the same bits as if trained alone, as far as a matrix product
    gives a row the same bits in a stack. Members with other encoders, with
    `callbacks` or `net_params`, with radii that are learned or with spheres whose
    number differs are trained one by one.

    Parameters
    ----------
    estimator : object
        A detector, or a classifier that detects, of this package; or any other that has
        `score_samples` and `offset_`. Copies are fitted.

    n_members : int, default=10
        Number of copies, at least 1.

    false_alarm_rate : float, default=None
        Fraction of new normal samples that are expected below the threshold, in (0,
        0.5]. None is the rate of `estimator`, or 0.05 where it has none. It counts
        where the `contamination` of `estimator` is "auto", as it is by default and for
        estimators of other packages.

    bootstrap : bool, default=False
        If True, each member learns from as many samples as there are, drawn with
        replacement; where labels are used, from as many of each label. Otherwise all
        members learn from all samples. Copies of the samples are in memory.

    n_jobs : int, default=None
        Number of members that are fitted at a time, if it is one by one. None is 1, or
        what a :func:`joblib.parallel_config` says; -1 is as many as there are
        processors.

    random_state : int, RandomState instance or None, default=None
        Gives the members their seeds, in place of all `random_state` that `estimator`
        has, and draws the samples of a bootstrap.

    Attributes
    ----------
    estimators_ : list
        The fitted members.

    scales_ : ndarray of shape (n_members,)
        The spread of each member's scores, :math:`q_m`, in its units; of 10,000
        training samples if there are more. It is the standard deviation if half of the
        scores are alike, and 1 if all are.

    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``. It is 0 where the
        `contamination` of `estimator` is "boundary".

    calibration_indices_ : ndarray of shape (n_calibration_samples,)
        Indices of the samples given to `fit` that were held out to place the threshold.

    calibration_scores_ : ndarray of shape (n_calibration_samples,)
        Their scores, sorted.

    classes_ : ndarray of shape (n_classes,)
        The classes, of a classifier.

    n_features_in_ : int
        Number of features; for images, of channels.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where the training data had names.

    See Also
    --------
    DeepSVDD : A detector that varies with its seed.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sk_hypersphere import DeepSVDD, HypersphereEnsemble
    >>> X, _ = make_blobs(300, centers=[[0, 0], [8, 8]], random_state=0)
    >>> ensemble = HypersphereEnsemble(DeepSVDD(), n_members=3, random_state=0).fit(X)
    >>> ensemble.predict([[0, 0], [30, -30]])
    array([ 1, -1])
    >>> inside, outside = ensemble.score_std([[0, 0], [30, -30]])
    >>> bool(inside < outside)  # where there was nothing to learn from, they disagree
    True
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "score_samples"])],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "false_alarm_rate": [
            *Thresholded._parameter_constraints["false_alarm_rate"],
            None,
        ],
        "bootstrap": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: t.Estimator,
        n_members: int = 10,
        *,
        false_alarm_rate: float | None = None,
        bootstrap: bool = False,
        n_jobs: int | None = None,
        random_state: t.Seed = None,
    ) -> None:
        store(locals())

    # The members validate their own parameters.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, **fit_params):
        """Fit the members.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Training samples.

        y : array-like of shape (n_samples,), default=None
            Labels, as the estimator takes them.

        **fit_params : dict
            Handed to `fit` of the members, such as `cluster_labels`.

        Returns
        -------
        self : object
            The fitted ensemble.

        Raises
        ------
        NonFiniteLossError
            If the loss of a member becomes infinite or NaN.

        ValueError
            If the fitted estimator has no `offset_`.
        """
        with unchanged_on_error(self):
            X, y = indexable(self._validate(X, reset=True), as_array(y))
            if get_config()["enable_metadata_routing"]:
                fit_params = process_routing(self, "fit", **fit_params).estimator.fit
            random_state = np.random.RandomState(make_seed(self.random_state))
            rule = self._threshold_rule()
            rule.check(type(self.estimator).__name__)
            groups = fit_params.get("cluster_labels")
            known = known_labels(self.estimator, X, y, groups)
            held_out = rule.draw(known, random_state)
            estimator = self._without_calibration()
            members = [
                clone_with_seeds(estimator, random_state, overwrite=True)
                for _ in range(self.n_members)
            ]
            left = np.delete(np.arange(len(X)), held_out) if len(held_out) else None
            training = _drawn(left, X, y, fit_params)
            draws = [self._draw(*training[:2], random_state) for _ in members]
            self.estimators_ = self._fit_members(members, draws, *training)
            self._set_scales(training[0])
            chosen = placing(held_out, np.flatnonzero(known >= 0))
            scores = self._scores_on_one_scale(X[chosen]).mean(axis=0)
            self._set_threshold(scores, held_out, boundary=0.0)
        return self

    def _threshold_rule(self):
        rule = rule_of(self.estimator)
        if self.false_alarm_rate is not None:
            rule = rule._replace(false_alarm_rate=self.false_alarm_rate)
        return rule

    def _without_calibration(self):
        """The estimator, or one like it that holds no samples out."""
        params = self.estimator.get_params()
        calibrating = [
            name.replace("calibration_fraction", "contamination")
            for name in params
            if name.split("__")[-1] == "calibration_fraction"
            and params[name.replace("calibration_fraction", "contamination")] == "auto"
        ]
        if not calibrating:
            return self.estimator
        share = self._threshold_rule().false_alarm_rate
        return clone(self.estimator).set_params(**dict.fromkeys(calibrating, share))

    def _validate(self, X, *, reset):
        return validate_data(
            self,
            as_array(X),
            dtype=[np.float32, np.uint8],
            allow_nd=True,
            ensure_all_finite=False,  # the members check
            reset=reset,
        )

    def _draw(self, X, y, random_state):
        """Which samples a member learns from; None is all."""
        if not self.bootstrap:
            return None
        params = self.estimator.get_params(deep=False)
        uses_labels = {"anomaly_label"} & params.keys()
        return resample(
            np.arange(len(X)),
            stratify=y if uses_labels or is_classifier(self.estimator) else None,
            random_state=random_state,
        )

    def _fit_members(self, members, draws, *data):
        n_fitted = self._fit_in_one_loop(members, draws, *data)
        jobs = (
            delayed(_fit_member)(member, draw, *data)
            for member, draw in zip(members[n_fitted:], draws[n_fitted:], strict=True)
        )
        return members[:n_fitted] + Parallel(n_jobs=self.n_jobs)(jobs)

    def _fit_in_one_loop(self, members, draws, X, y, fit_params):
        """Fit members side by side; the first two only if they show that it cannot be.

        Returns
        -------
        int
            The number of members that are fitted.
        """
        first = members[0]
        if len(members) == 1 or X.ndim > 2 or not _can_begin(first):
            return 0
        trainings = []
        with progress_bar(first.verbose, type(self).__name__) as bar:
            for member, draw in zip(members, draws, strict=True):
                member._validate_params()
                own_X, own_y, params = _drawn(draw, X, y, fit_params)
                checked = member._check(own_X, own_y, **params)
                trainings.append(member._begin(*checked, bar))
                if len(trainings) == 2 and not can_share_a_loop(trainings):
                    break
            if can_share_a_loop(trainings):
                train_side_by_side(trainings, first.weight_decay, bar)
                finish = type(first)._finish
            else:
                finish = type(first)._train_and_finish
            for member, training in zip(members, trainings, strict=False):
                with training.stream.active():
                    finish(member, training)
        return len(trainings)

    def _set_scales(self, X):
        chosen = X[evenly_spaced(len(X), MOST_SCALING)]
        if not hasattr(self.estimators_[0], "offset_"):
            raise ValueError(
                "estimator must have offset_ once it is fitted, the threshold of its "
                f"scores, got {self.estimator!r} without it. Give a detector, and put "
                "what comes before it in a pipeline in front of the ensemble."
            )
        scores = [member.score_samples(chosen) for member in self.estimators_]
        self.scales_ = np.array([_spread(values) for values in scores])

    def _member_scores(self, X):
        """Scores of the members on one scale, (n_members, n)."""
        check_is_fitted(self)
        return self._scores_on_one_scale(self._validate(X, reset=False))

    def _scores_on_one_scale(self, X):
        """The same for a valid `X`."""
        return np.stack(
            [
                (member.score_samples(X) - member.offset_) / scale
                for member, scale in zip(self.estimators_, self.scales_, strict=True)
            ]
        )

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
            Mean scores of the members, in interquartile ranges of the training samples
            above their thresholds.
        """
        return self._member_scores(X).mean(axis=0)

    def score_std(self, X):
        """How much the members disagree.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples.

        Returns
        -------
        deviations : ndarray of shape (n_samples,), float64
            Standard deviation of the members' scores, in the units of `score_samples`;
            0 for a single member.
        """
        return self._member_scores(X).std(axis=0)

    def decision_function(self, X):
        """Score samples relative to the threshold, or the confidence in each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples.

        Returns
        -------
        decisions : ndarray of shape (n_samples,), or (n_samples, n_classes)
            Of detectors, ``score_samples(X) - offset_``, below 0 for anomalies; of
            classifiers, the mean of the members' decisions.
        """
        if not is_classifier(self._member()):
            return self.score_samples(X) - self.offset_
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        decisions = [member.decision_function(X) for member in self.estimators_]
        return np.mean(decisions, axis=0)

    def predict(self, X):
        """Say which samples are anomalies, or which class they belong to.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Of detectors, -1 for anomalies and +1 for the rest. Of classifiers, the
            class of the largest mean decision; if they have ``reject=True``,
            `anomaly_label` for samples that score below `offset_`.
        """
        if not is_classifier(self._member()):
            return np.where(self.decision_function(X) < 0, -1, 1)
        decisions = self.decision_function(X)
        if decisions.ndim == 1:
            y = self.classes_[(decisions > 0).astype(int)]
        else:
            y = self.classes_[decisions.argmax(axis=1)]
        label = self._member()._rejects_as
        return y if label is None else replace_where(self.detect(X) < 0, y, label)

    @_wraps(is_outlier_detector)
    def fit_predict(self, X, y=None, **fit_params):
        """Fit the members, and say which training samples are anomalies.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Training samples.

        y : array-like of shape (n_samples,), default=None
            Labels, as in `fit`.

        **fit_params : dict
            As in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for anomalies, +1 for the rest.
        """
        return self.fit(X, y, **fit_params).predict(X)

    @_wraps(is_classifier)
    def predict_proba(self, X):
        """Probabilities of the classes, given that a sample belongs to one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            The softmax of the mean decisions: the geometric mean of the members'
            probabilities, made to sum to 1.
        """
        decisions = self.decision_function(X)
        if decisions.ndim == 1:
            return np.stack([expit(-decisions), expit(decisions)], axis=1)
        return softmax(decisions, axis=1)

    @_wraps(is_classifier)
    def detect(self, X):
        """Say which samples are anomalies.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
            -1 for anomalies, which score below `offset_`, +1 for the rest.
        """
        return np.where(self.score_samples(X) < self.offset_, -1, 1)

    @_wraps(is_classifier)
    def score(self, X, y, sample_weight=None):
        """Accuracy.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples.

        y : array-like of shape (n_samples,)
            Their classes. Samples labelled `anomaly_label` do not count, unless
            `reject`: then the right answer for them is that label.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        accuracy : float
            Share of the samples whose class is predicted.
        """
        check_is_fitted(self)
        return accuracy(
            y,
            self.predict(X),
            anomaly_label=self._member()._uncounted_label,
            sample_weight=sample_weight,
        )

    def _member(self):
        """A fitted member, or the estimator that members are copies of."""
        return self.estimators_[0] if hasattr(self, "estimators_") else self.estimator

    @_wraps(is_classifier)
    def _logit_members(self):
        return self.estimators_

    @property
    def classes_(self):
        check_is_fitted(self)
        return self.estimators_[0].classes_

    def get_metadata_routing(self):
        """Name the metadata that the members ask for.

        Returns
        -------
        MetadataRouter
        """
        methods = MethodMapping().add(caller="fit", callee="fit")
        methods.add(caller="fit_predict", callee="fit")
        router = MetadataRouter(owner=self)
        return router.add(estimator=self.estimator, method_mapping=methods)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self._member())
        tags.estimator_type = inner.estimator_type
        tags.target_tags = inner.target_tags
        tags.classifier_tags = inner.classifier_tags
        return tags


def _can_begin(member):
    """Whether a fit can be divided, and leaves its net as this package makes it."""
    return hasattr(member, "_begin") and not member.net_params and not member.callbacks


def _drawn(draw, X, y, fit_params):
    """Samples, labels and further arguments that a member learns from."""
    if draw is None:
        return X, y, fit_params
    y = None if y is None else _safe_indexing(y, draw)
    return X[draw], y, _check_method_params(X, fit_params, indices=draw)


def _fit_member(member, draw, X, y, fit_params):
    X, y, fit_params = _drawn(draw, X, y, fit_params)
    return member.fit(X, y, **fit_params)


def _spread(scores):
    """Interquartile range; if that is 0, the standard deviation; if that is 0, 1."""
    low, high = np.percentile(scores, [25, 75])
    return high - low or scores.std() or 1.0
