r"""Thresholds: the samples that place them, and the rule by which they are placed.

A threshold keeps a promise on new samples only if it is placed on samples that were not
trained on: new samples score lower than training samples. So the rule of all estimators
is split conformal prediction. Some of the normal samples given to `fit` are held out of
training. The threshold is the quantile at place :math:`\alpha (m + 1)` of their
:math:`m` sorted scores: a new normal sample falls below it with a probability of
:math:`\alpha`, the false alarm rate, whatever the distribution.

Cross-fitting would train on all samples and calibrate with all of them. It takes the
time of six fits and has no such guarantee, as the fits score in units of their own. The
table of false alarms in ``benchmarks`` compares both: it gains three thousandths of
AUROC and more discoveries.
"""

from collections.abc import Callable
from math import ceil
from numbers import Real
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import assert_all_finite
from sklearn.utils._param_validation import (
    Interval,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import check_is_fitted

from sk_hypersphere._training.rows import evenly_spaced
from sk_hypersphere.base import _types as t
from sk_hypersphere.exceptions import CalibrationWarning, warn_caller

# With 200 calibration samples, the share of false alarms has a standard deviation of
# 1.5 points around a promise of 5 %. With 2,000 it has half a point.
LEAST_CALIBRATING = 200
MOST_CALIBRATING = 2000

# No estimator can learn from fewer normal samples what they have in common.
LEAST_TRAINING = 2

CONTAMINATION = [Interval(Real, 0, 0.5, closed="right"), StrOptions({"auto"})]
WITH_BOUNDARY = [CONTAMINATION[0], StrOptions({"auto", "boundary"})]


def n_needed(false_alarm_rate):
    """Least number of calibration samples with which a promise can be kept.

    A new sample falls below the lowest of m scores with a probability of 1 / (m + 1).

    Examples
    --------
    >>> n_needed(0.05), n_needed(0.01)
    (19, 99)
    """
    return ceil(1 / false_alarm_rate - 1e-9) - 1


def n_calibrating(n_normal, false_alarm_rate):
    """Number of samples to hold out where the user leaves it open.

    It is a fifth of the normal samples, but at least 200 and at most 2,000. These 200
    may be a third of all at most, or a half where a promise needs so many.

    Examples
    --------
    >>> [n_calibrating(n, 0.05) for n in (30, 60, 300, 900, 5_000, 100_000)]
    [15, 20, 100, 200, 1000, 2000]
    """
    wanted = max(n_normal // 5, min(LEAST_CALIBRATING, n_normal // 3))
    wanted = min(wanted, MOST_CALIBRATING)
    return max(wanted, min(n_needed(false_alarm_rate), n_normal // 2))


def hold_out(y, n_drawn, random_state):
    """Draw some of the normal rows, spread over the classes.

    Of each class, one row at least is left to train on.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels; anomalies have labels below 0.

    n_drawn : int
        Number of rows to draw; fewer are drawn where too few can be spared.

    random_state : RandomState

    Returns
    -------
    ndarray of shape (m,)
        Sorted indices.
    """
    if not n_drawn:
        return np.empty(0, dtype=np.intp)
    classes = [np.flatnonzero(y == k) for k in range(y.max() + 1)]
    spare = np.concatenate([random_state.permutation(rows)[1:] for rows in classes])
    return np.sort(spare[evenly_spaced(len(spare), n_drawn)])


class ThresholdRule(NamedTuple):
    """The three parameters by which a threshold is placed.

    `contamination` is "auto", "boundary" or a share of the training samples;
    `false_alarm_rate` and `calibration_fraction` count where it is "auto".
    """

    contamination: str | float
    false_alarm_rate: float
    calibration_fraction: str | float

    def check(self, name):
        """Refuse wrong values in the name of the estimator that has them."""
        constraints = {
            **Thresholded._parameter_constraints,
            "contamination": WITH_BOUNDARY,
        }
        validate_parameter_constraints(constraints, self._asdict(), name)

    def draw(self, y, random_state):
        """Indices of the samples to hold out, sorted, (m,); none unless it is "auto".

        Parameters
        ----------
        y : ndarray of shape (n,)
            Classes of the normal samples, or 0 for all; one sample of each class is
            left to train on. -1 for anomalies, which are never held out.

        random_state : RandomState

        Warns
        -----
        CalibrationWarning
            If they are too few for the promise.
        """
        if self.contamination != "auto":
            return np.empty(0, dtype=np.intp)
        n_normal = int(np.sum(y >= 0))
        if self.calibration_fraction == "auto":
            n_drawn = n_calibrating(n_normal, self.false_alarm_rate)
        else:
            n_drawn = int(self.calibration_fraction * n_normal + 1e-9)
        n_spare = max(n_normal - LEAST_TRAINING, 0)
        held_out = hold_out(y, min(n_drawn, n_spare), random_state)
        needed = n_needed(self.false_alarm_rate)
        if len(held_out) < needed:
            self._warn(n_normal, len(held_out), needed)
        return held_out

    def _warn(self, n_normal, n_held_out, needed):
        if n_held_out:
            outcome = (
                "The threshold is the lowest score of these, below which 1 in "
                f"{n_held_out + 1} new normal samples will fall on average"
            )
        else:
            outcome = "The threshold is placed on training samples and promises nothing"
        warn_caller(
            f"false_alarm_rate={self.false_alarm_rate:g} needs {needed} normal samples "
            f"at least to calibrate with, got {n_held_out} of {n_normal}. {outcome}. "
            f"Give more normal samples ({2 * needed} are enough where "
            'calibration_fraction="auto"), or set a larger false_alarm_rate.',
            CalibrationWarning,
        )

    def place(self, scores, boundary):
        """The threshold of scores, (m,), of the samples that place it.

        `boundary` is where the method itself draws the line.
        """
        if self.contamination == "boundary":
            return boundary
        if self.contamination == "auto":
            # Among all kinds of quantiles, only this one has the promised share of new
            # scores below it on average, also for few scores.
            return float(np.quantile(scores, self.false_alarm_rate, method="weibull"))
        return float(np.percentile(scores, 100 * self.contamination))


def placing(held_out, others):
    """The samples that place a threshold: held-out samples, or else `others`.

    `others` are training samples that are not known to be anomalies: a mask or indices.
    """
    return held_out if len(held_out) else others


DEFAULT_RULE = ThresholdRule("auto", 0.05, "auto")


def rule_of(estimator):
    """The rule of an estimator, or of what it wraps; else the default.

    Examples
    --------
    >>> from sk_hypersphere import DeepSVDD
    >>> rule_of(DeepSVDD(false_alarm_rate=0.01)).false_alarm_rate
    0.01
    """
    has_rule = hasattr(estimator, "_threshold_rule")
    return estimator._threshold_rule() if has_rule else DEFAULT_RULE


class Thresholded:
    """An estimator with scores, a threshold `offset_`, and p-values.

    Estimators whose method draws a line of its own take `contamination` from
    `WITH_BOUNDARY`.
    """

    _parameter_constraints: dict = {
        "contamination": CONTAMINATION,
        "false_alarm_rate": [Interval(Real, 0, 0.5, closed="right")],
        "calibration_fraction": [
            Interval(Real, 0, 1, closed="neither"),
            StrOptions({"auto"}),
        ],
    }

    score_samples: Callable[[t.Samples], t.Floats]

    # Parameters that a constructor does not name have these values, and "auto" as their
    # contamination: scikit-learn's checks set what an estimator has under that name.
    false_alarm_rate = 0.05
    calibration_fraction = "auto"

    def _threshold_rule(self):
        contamination = getattr(self, "contamination", "auto")
        return ThresholdRule(
            contamination, self.false_alarm_rate, self.calibration_fraction
        )

    def _set_threshold(self, scores, held_out, boundary=None):
        """Set `offset_`, and remember the calibration scores.

        Parameters
        ----------
        scores : ndarray of shape (m,)
            Scores of held-out samples; where there are none, of training samples.

        held_out : ndarray of shape (m,)
            Indices of the samples held out.

        boundary : float, default=None
            The method's own threshold, if it has one.
        """
        self.offset_ = self._threshold_rule().place(scores, boundary)
        self.calibration_indices_ = held_out
        self.calibration_scores_ = np.sort(scores) if len(held_out) else np.empty(0)

    def p_values(self, X: t.Samples) -> t.Floats:
        r"""Conformal p-values: the probability that a normal sample scores as low.

        .. math:: p(x) = \frac{1 + \#\{i : s_i \le s(x)\}}{m + 1}

        for the scores :math:`s_i` of the :math:`m` calibration samples. Of normal
        samples, a share of :math:`\alpha` at most has a p-value of at most
        :math:`\alpha`, on average over fits. None is below :math:`1 / (m + 1)`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples.

        Returns
        -------
        p_values : ndarray of shape (n_samples,), float64
            In (0, 1], the lower the more abnormal. With
            ``scipy.stats.false_discovery_control(p_values) <= 0.1``, a tenth of the
            alarms at most is false, on average. Where one sample in twenty is abnormal,
            that raises no alarm with fewer than some 180 calibration samples.

        Raises
        ------
        ValueError
            If no samples were held out in `fit`.

        Examples
        --------
        A tenth of these alarms at most is false, on average. The threshold below leaves
        as many cases as somebody can look at, here 5:

        >>> import numpy as np
        >>> from scipy.stats import false_discovery_control
        >>> from sklearn.datasets import make_blobs
        >>> from sk_hypersphere import DeepSVDD
        >>> X, _ = make_blobs(965, centers=[[0, 0], [8, 8]], random_state=0)
        >>> detector = DeepSVDD(random_state=0).fit(X[:900])
        >>> cases = np.concatenate([X[900:960], [20, 0] + X[960:]])
        >>> alarms = false_discovery_control(detector.p_values(cases)) <= 0.1
        >>> np.flatnonzero(alarms)
        array([60, 61, 62, 63, 64])
        >>> scores = detector.score_samples(cases)
        >>> threshold = np.partition(scores, 5)[5]
        >>> np.flatnonzero(scores < threshold)
        array([60, 61, 62, 63, 64])
        """
        check_is_fitted(self)
        if not len(self.calibration_scores_):
            raise ValueError(
                f"p_values needs calibration scores, but this {type(self).__name__} "
                "was fitted without: no samples were held out of training. Fit it "
                'with contamination="auto", and with three normal samples at least.'
            )
        return conformal_p_values(self.calibration_scores_, self.score_samples(X))


def conformal_p_values(
    calibration_scores: ArrayLike, scores: ArrayLike
) -> NDArray[np.float64]:
    r"""The probability that a normal sample scores as low as each of some samples.

    .. math:: p = \frac{1 + \#\{i : s_i \le s\}}{m + 1}

    for a score :math:`s` and the scores :math:`s_i` of :math:`m` normal samples that
    the detector was not fitted on. It works for the scores of any detector; detectors
    of this package have it as their method `p_values`.

    Parameters
    ----------
    calibration_scores : array-like of shape (m,)
        Scores of normal samples, the lower the more abnormal.

    scores : array-like of shape (n_samples,)
        Scores of the samples that are judged.

    Returns
    -------
    ndarray of shape (n_samples,), float64
        In (0, 1].

    Raises
    ------
    ValueError
        If there are no calibration scores, or scores are missing or not numbers.

    References
    ----------
    .. [1] S. Bates, E. Candès, L. Lei, Y. Romano and M. Sesia. "Testing for Outliers
       with Conformal p-values". Annals of Statistics, 2023.

    Examples
    --------
    >>> conformal_p_values([-1.0, -2.0, -3.0], [-0.5, -2.0, -9.0])
    array([1.  , 0.75, 0.25])
    """
    known = _as_scores(calibration_scores, "calibration_scores")
    if not len(known):
        raise ValueError(
            "calibration_scores must hold one score at least, got none. Score normal "
            "samples that the detector was not fitted on."
        )
    judged = _as_scores(scores, "scores")
    n_lower = np.searchsorted(np.sort(known), judged, side="right")
    return (1 + n_lower) / (len(known) + 1)


def _as_scores(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Scores as a float64 array, (n,), after a check that they are finite."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(
            f"{name} must be one-dimensional, one score a sample, got an array of "
            f"shape {values.shape}. Give what score_samples returns."
        )
    assert_all_finite(values, input_name=name)
    return values
