"""What is measured: how well novelties are found beside classes that are known.

Labels may be of any type. Rows with the label `outlier_label` are outliers (novelties,
example anomalies), all others belong to known classes. Scores are `score_samples`: the
lower, the more abnormal.
"""

from numbers import Real

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from sk_hypersphere.base._labels import as_labels, is_label
from sk_hypersphere.base._threshold import conformal_p_values
from sk_hypersphere.exceptions import warn_caller

__all__ = [
    "NoveltySplit",
    "aupr_in",
    "aupr_out",
    "conformal_p_values",
    "fpr_at_tpr",
    "known_accuracy",
    "make_novelty_scorer",
    "oscr",
]


@validate_params(
    {
        "y_true": ["array-like"],
        "y_score": ["array-like"],
        "tpr": [Interval(Real, 0, 1, closed="right")],
        "positive": [StrOptions({"outlier", "inlier"})],
    },
    prefer_skip_nested_validation=True,
)
def fpr_at_tpr(y_true, y_score, *, tpr=0.95, positive="outlier", outlier_label=-1):
    r"""False positive rate where the true positive rate first reaches a value.

    .. math::

        \mathrm{FPR}(t^*), \qquad
        t^* = \max \{t : \mathrm{TPR}(t) \ge \text{tpr}\}

    where a row is called positive if its evidence is at least :math:`t` (the negated
    score for outliers, the score for inliers), and TPR and FPR are the shares of the
    positive and of the negative rows that are called positive. Lower is better.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels of any type.

    y_score : array-like of shape (n_samples,)
        Scores, as `score_samples` gives them: the lower, the more abnormal.

    tpr : float, default=0.95
        True positive rate to be reached, in (0, 1]. 0.95 gives what is called FPR95.

    positive : {"outlier", "inlier"}, default="outlier"
        Which side is detected. "outlier" is the share of inliers called outliers when
        95 % of the outliers are found, as in the poster of MCHAD. "inlier" is the
        share of outliers let through when 95 % of the inliers are, as in ODIN and
        OpenOOD. The two differ: say which is reported.

    outlier_label : int, float or str, default=-1
        Label of outliers. All other labels are inliers.

    Returns
    -------
    fpr : float
        False positive rate, in [0, 1]. NaN, with a warning, if `y_true` has outliers
        only or no outliers.

    Raises
    ------
    ValueError
        If labels and scores are not two rows of equal length, or not finite.

    See Also
    --------
    sklearn.metrics.roc_curve : The curve that this is a point of.

    Notes
    -----
    Rows with the same score are called positive together.

    References
    ----------
    .. [1] S. Liang, Y. Li, R. Srikant. "Enhancing The Reliability of
       Out-of-distribution Image Detection in Neural Networks" (ODIN). ICLR 2018.

    Examples
    --------
    >>> from sk_hypersphere.metrics import fpr_at_tpr
    >>> y_true = [1, 1, 1, 1, -1, -1]
    >>> y_score = [9, 8, 8, 4, 7, 1]
    >>> fpr_at_tpr(y_true, y_score)
    0.25
    >>> fpr_at_tpr(y_true, y_score, positive="inlier")
    0.5
    >>> fpr_at_tpr(y_true, y_score, tpr=0.5)
    0.0
    """
    found, evidence = _detection(y_true, y_score, positive, outlier_label)
    if _is_undefined("fpr_at_tpr", found):
        return np.nan
    # A point dropped from the curve might be the first that reaches tpr.
    fprs, tprs, _ = roc_curve(found, evidence, drop_intermediate=False)
    return float(fprs[np.searchsorted(tprs, tpr)])


@validate_params(
    {"y_true": ["array-like"], "y_score": ["array-like"]},
    prefer_skip_nested_validation=True,
)
def aupr_in(y_true, y_score, *, outlier_label=-1):
    r"""Average precision at which inliers are found (AUPR-IN).

    .. math::

        \mathrm{AP} = \sum_n (R_n - R_{n-1}) P_n

    where :math:`P_n` and :math:`R_n` are precision and recall at the n-th threshold,
    with inliers as the positive class. Scores that say nothing get about the share of
    inliers; higher is better.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels of any type.

    y_score : array-like of shape (n_samples,)
        Scores, as `score_samples` gives them: the lower, the more abnormal.

    outlier_label : int, float or str, default=-1
        Label of outliers. All other labels are inliers.

    Returns
    -------
    aupr : float
        Average precision, in [0, 1]. NaN, with a warning, if `y_true` has outliers
        only or no outliers.

    Raises
    ------
    ValueError
        If labels and scores are not two rows of equal length, or not finite.

    See Also
    --------
    aupr_out : The same with outliers as the positive class.

    Notes
    -----
    To compare with the poster of MCHAD, swap its columns: it was made with a
    pytorch-ood of before October 2024, which called the area with outliers as the
    positive class AUPR-IN, and that with inliers AUPR-OUT. It also integrated by
    trapezoids, where average precision is a sum of steps; the two differ a little.

    Examples
    --------
    >>> from sk_hypersphere.metrics import aupr_in
    >>> aupr_in([1, 1, -1, -1], [4, 2, 3, 1])
    0.833
    """
    found, evidence = _detection(y_true, y_score, "inlier", outlier_label)
    if _is_undefined("aupr_in", found):
        return np.nan
    return float(average_precision_score(found, evidence))


@validate_params(
    {"y_true": ["array-like"], "y_score": ["array-like"]},
    prefer_skip_nested_validation=True,
)
def aupr_out(y_true, y_score, *, outlier_label=-1):
    r"""Average precision at which outliers are found (AUPR-OUT).

    .. math::

        \mathrm{AP} = \sum_n (R_n - R_{n-1}) P_n

    where :math:`P_n` and :math:`R_n` are precision and recall at the n-th threshold,
    with outliers as the positive class and scores negated. Scores that say nothing get
    about the share of outliers; higher is better.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels of any type.

    y_score : array-like of shape (n_samples,)
        Scores, as `score_samples` gives them: the lower, the more abnormal.

    outlier_label : int, float or str, default=-1
        Label of outliers. All other labels are inliers.

    Returns
    -------
    aupr : float
        Average precision, in [0, 1]. NaN, with a warning, if `y_true` has outliers
        only or no outliers.

    Raises
    ------
    ValueError
        If labels and scores are not two rows of equal length, or not finite.

    See Also
    --------
    aupr_in : The same with inliers as the positive class. Its notes tell why the
        poster of MCHAD has the two columns swapped, and slightly other numbers.

    Examples
    --------
    >>> from sk_hypersphere.metrics import aupr_out
    >>> aupr_out(["cat", "dog", "new"], [3, 1, 2], outlier_label="new")
    0.5
    """
    found, evidence = _detection(y_true, y_score, "outlier", outlier_label)
    if _is_undefined("aupr_out", found):
        return np.nan
    return float(average_precision_score(found, evidence))


@validate_params(
    {"y_true": ["array-like"], "y_pred": ["array-like"], "y_score": ["array-like"]},
    prefer_skip_nested_validation=True,
)
def oscr(y_true, y_pred, y_score, *, outlier_label=-1):
    r"""Area under the open-set classification rate curve (OSCR).

    .. math::

        \mathrm{OSCR} = \int \mathrm{CCR} \; d\,\mathrm{FPR}
        = \text{accuracy} \cdot \mathrm{AUROC}

    where, over all thresholds, CCR is the share of the known rows that are classified
    right and score at least the threshold, and FPR the share of the outliers that
    score at least the threshold. It equals the accuracy on known rows times the AUROC
    of the rightly classified known rows against the outliers. Higher is better.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels of any type.

    y_pred : array-like of shape (n_samples,)
        Predicted labels. A known row that is predicted as `outlier_label` is wrong.
        Predictions of outliers do not count.

    y_score : array-like of shape (n_samples,)
        Scores, as `score_samples` gives them: the lower, the more abnormal.

    outlier_label : int, float or str, default=-1
        Label of outliers. All other labels are known classes.

    Returns
    -------
    area : float
        Area under the curve, in [0, 1]: without outliers the accuracy, and 0 if no
        known row is classified right. NaN, with a warning, if no row is known.

    Raises
    ------
    ValueError
        If labels, predictions and scores are not three rows of equal length, or not
        finite.

    See Also
    --------
    known_accuracy : The largest area that the classification allows.

    References
    ----------
    .. [1] A. R. Dhamija, M. Guenther, T. Boult. "Reducing Network Agnostophobia".
       NeurIPS 2018.

    Examples
    --------
    >>> from sk_hypersphere.metrics import oscr
    >>> y_true = ["cat", "cat", "dog", "dog", "new", "new"]
    >>> y_pred = ["cat", "cat", "dog", "cat", "dog", "cat"]
    >>> oscr(y_true, y_pred, [6, 5, 2, 4, 3, 1], outlier_label="new")
    0.625
    """
    outlier, y_score = _outliers_and_scores(y_true, y_score, outlier_label)
    right = _is_right(y_true, y_pred) & ~outlier
    if _is_undefined("oscr", ~outlier, needs_both=False):
        return np.nan
    accuracy = right.sum() / (~outlier).sum()
    if not outlier.any() or not right.any():
        return float(accuracy)
    counted = right | outlier
    return float(accuracy * roc_auc_score(right[counted], y_score[counted]))


@validate_params(
    {"y_true": ["array-like"], "y_pred": ["array-like"]},
    prefer_skip_nested_validation=True,
)
def known_accuracy(y_true, y_pred, *, outlier_label=-1):
    """Share of the rows of known classes that are classified right.

    Outliers do not count, whatever they are classified as.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels of any type.

    y_pred : array-like of shape (n_samples,)
        Predicted labels. A known row that is predicted as `outlier_label` is wrong, so
        for a detector this is the share of normal rows that it accepts.

    outlier_label : int, float or str, default=-1
        Label of outliers. All other labels are known classes.

    Returns
    -------
    accuracy : float
        Accuracy, in [0, 1]. NaN, with a warning, if no row is known.

    Raises
    ------
    ValueError
        If labels and predictions are not two rows of equal length, or not finite.

    Examples
    --------
    >>> from sk_hypersphere.metrics import known_accuracy
    >>> known_accuracy([0, 1, 1, 2, -1], [0, 1, 2, 2, 0])
    0.75
    """
    known = ~_is_outlier(y_true, outlier_label)
    right = _is_right(y_true, y_pred)
    if _is_undefined("known_accuracy", known, needs_both=False):
        return np.nan
    return float(right[known].mean())


def _auroc(y_true, y_score, *, outlier_label):
    return float(roc_auc_score(*_detection(y_true, y_score, "outlier", outlier_label)))


def _negated_fpr95(y_true, y_score, *, outlier_label):
    return -fpr_at_tpr(y_true, y_score, outlier_label=outlier_label)


# Metrics of a scorer, and what they take from an estimator besides the labels.
_SCORED = {
    "auroc": (_auroc, ["score_samples"]),
    "aupr_in": (aupr_in, ["score_samples"]),
    "aupr_out": (aupr_out, ["score_samples"]),
    "fpr95": (_negated_fpr95, ["score_samples"]),
    "oscr": (oscr, ["predict", "score_samples"]),
    "known_accuracy": (known_accuracy, ["predict"]),
}
_DEFINED_WITHOUT_OUTLIERS = {"oscr", "known_accuracy"}


@validate_params(
    {"metric": [StrOptions({*_SCORED})]}, prefer_skip_nested_validation=True
)
def make_novelty_scorer(metric, *, outlier_label=-1):
    """Make a scorer for model selection with novelties among the labels.

    The scorer is called as ``scorer(estimator, X, y)``, fits `scoring` of
    :class:`~sklearn.model_selection.GridSearchCV` and
    :func:`~sklearn.model_selection.cross_validate`, and can be pickled. It scores every
    estimator or pipeline with `score_samples`, and `predict` where classes matter.
    Greater is better.

    Parameters
    ----------
    metric : {"auroc", "aupr_in", "aupr_out", "fpr95", "oscr", "known_accuracy"}
        What is measured. "auroc" is the probability that an outlier scores lower than
        an inlier. "fpr95" is **negated**, because a smaller false positive rate is
        better; outliers are its positive class. The others are the functions of this
        module. "known_accuracy" needs `predict` only, "oscr" both methods.

    outlier_label : int, float or str, default=-1
        Label of outliers in `y`. All other labels are known classes.

    Returns
    -------
    scorer : callable
        Returns a float that is never NaN.

    Raises
    ------
    ValueError
        If there is no such metric.

    Warns
    -----
    UndefinedMetricWarning
        By the scorer, on a fold that lacks outliers or known rows which the metric
        needs. It then returns what random scores would get: 0.5 for "auroc", -0.95 for
        "fpr95", the base rate for "aupr_in" (1 without outliers) and "aupr_out" (0
        without outliers), and 0 for "oscr" and "known_accuracy" without known rows.
        That is the same for all candidates of a search, so the other folds rank them,
        where a NaN would leave them all unranked.

    See Also
    --------
    NoveltySplit : Folds with outliers in every test set and none in training.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.mixture import GaussianMixture
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sk_hypersphere.metrics import NoveltySplit, make_novelty_scorer
    >>> X, y = make_blobs(120, centers=[[-9, 0], [9, 0], [0, 0]], random_state=0)
    >>> y[y == 2] = -1
    >>> search = GridSearchCV(
    ...     GaussianMixture(random_state=0),
    ...     {"n_components": [1, 2]},
    ...     scoring=make_novelty_scorer("auroc"),
    ...     cv=NoveltySplit(3, random_state=0),
    ... )
    >>> search.fit(X, y).best_params_
    {'n_components': 2}
    """
    return _NoveltyScorer(metric, outlier_label)


class _NoveltyScorer:
    """Scorer of one metric. It holds names only, so that it can be pickled."""

    def __init__(self, metric, outlier_label):
        self.metric = metric
        self.outlier_label = outlier_label

    def __repr__(self):
        label = self.outlier_label
        return f"make_novelty_scorer({self.metric!r}, outlier_label={label!r})"

    def __call__(self, estimator, X, y):
        outlier_share = _is_outlier(y, self.outlier_label).mean()
        if outlier_share == 1:
            return self._at_chance("known rows", outlier_share)
        if outlier_share == 0 and self.metric not in _DEFINED_WITHOUT_OUTLIERS:
            return self._at_chance("outliers", outlier_share)
        function, responses = _SCORED[self.metric]
        given = [getattr(estimator, response)(X) for response in responses]
        return function(y, *given, outlier_label=self.outlier_label)

    def _at_chance(self, missing, outlier_share):
        """What random scores get, with a warning, where one side is missing."""
        chance = {
            "auroc": 0.5,
            "aupr_in": 1.0 - outlier_share,
            "aupr_out": outlier_share,
            "fpr95": -0.95,
        }
        value = float(chance.get(self.metric, 0.0))
        warn_caller(
            f"The metric {self.metric!r} is not defined on a fold without {missing} "
            f"(outlier_label={self.outlier_label!r}). The scorer gives every estimator "
            f"{value} there, so that the other folds rank them. Use NoveltySplit or "
            "StratifiedKFold as cv, or the metrics 'oscr' or 'known_accuracy', which "
            "need no outliers.",
            UndefinedMetricWarning,
        )
        return value


class NoveltySplit(StratifiedKFold):
    """Stratified folds that train on known classes and test on outliers too.

    Each row is in exactly one test set. The training set of a fold is the rest, without
    its outliers: they are new to whatever is tested.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, 2 or more.

    outlier_label : int, float or str, default=-1
        Label of outliers in `y`. All other labels are known classes; for a detector
        that is the one label +1.

    shuffle : bool, default=True
        Whether to shuffle the rows of each class before they are split.

    random_state : int, RandomState instance or None, default=None
        Seed of the shuffling. An int gives the same folds at each call.

    See Also
    --------
    sklearn.model_selection.StratifiedKFold : Folds that keep outliers in training, for
        estimators that learn from them.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_hypersphere.metrics import NoveltySplit
    >>> y = np.array([1, 1, 1, 1, -1, -1])
    >>> for train, test in NoveltySplit(2, shuffle=False).split(y, y):
    ...     print(train, test)
    [2 3] [0 1 4]
    [0 1] [2 3 5]
    """

    def __init__(
        self, n_splits=5, *, outlier_label=-1, shuffle=True, random_state=None
    ):
        super().__init__(n_splits, shuffle=shuffle, random_state=random_state)
        self.outlier_label = outlier_label

    def split(self, X, y=None, groups=None):
        """Generate the rows of each fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples. Only their number matters.

        y : array-like of shape (n_samples,)
            Labels of any type, needed.

        groups : None
            Ignored.

        Yields
        ------
        train : ndarray of int
            Rows to train on, in ascending order. None is an outlier.

        test : ndarray of int
            Rows to test on, in ascending order: held-out rows of known classes, and
            outliers.

        Raises
        ------
        ValueError
            If there are no labels, or fewer outliers or known rows than folds.
        """
        if y is None:
            raise ValueError(
                "y must be given, because NoveltySplit tells outliers by their label; "
                f"got None. Label them {self.outlier_label!r}."
            )
        labels = as_labels(y)
        outlier = is_label(labels, self.outlier_label)
        self._check_enough("outliers", outlier)
        self._check_enough("known rows", ~outlier)
        # scikit-learn deals out class after class, in the order in which they appear.
        # With outliers first, no class gets between the known ones, and so each fold
        # has known rows even if all their classes are rare.
        order = np.argsort(~outlier, kind="stable")
        classes = _numbered(labels[order])
        for train, test in super().split(X, classes, groups):
            train, test = np.sort(order[train]), np.sort(order[test])
            yield train[~outlier[train]], test

    def _check_enough(self, what, is_there):
        if is_there.sum() < self.n_splits:
            raise ValueError(
                f"y must have {what} in every fold, hence {self.n_splits} or more "
                f"(n_splits={self.n_splits}, outlier_label={self.outlier_label!r}); "
                f"got {is_there.sum()}. Label more, or use a smaller n_splits."
            )


def _is_outlier(y_true, outlier_label):
    return is_label(as_labels(y_true), outlier_label)


def _is_right(y_true, y_pred):
    check_consistent_length(y_true, y_pred)
    # As objects, labels of different types compare too.
    return as_labels(y_true).astype(object) == as_labels(y_pred).astype(object)


def _numbered(labels):
    """Numbers that stand for labels which may not be sortable."""
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    return np.array([numbers[label] for label in labels])


def _outliers_and_scores(y_true, y_score, outlier_label):
    outlier = _is_outlier(y_true, outlier_label)
    y_score = check_array(
        y_score, dtype=np.float64, ensure_2d=False, input_name="y_score"
    )
    if y_score.ndim != 1:
        raise ValueError(
            "y_score must be one-dimensional, one score per row; got an array of shape "
            f"{y_score.shape}. Give what score_samples returns."
        )
    check_consistent_length(outlier, y_score)
    return outlier, y_score


def _detection(y_true, y_score, positive, outlier_label):
    """Which rows are to be found, and numbers that are high for them."""
    outlier, y_score = _outliers_and_scores(y_true, y_score, outlier_label)
    return (outlier, -y_score) if positive == "outlier" else (~outlier, y_score)


def _is_undefined(name, found, needs_both=True):
    """Whether a side is missing that the metric needs, which is told by a warning."""
    if found.any() and not (needs_both and found.all()):
        return False
    needed = "outliers and of known classes" if needs_both else "known classes"
    warn_caller(
        f"{name} is not defined unless y_true has rows of {needed}: NaN is returned. "
        "Give such rows, or the outlier_label that tells them apart.",
        UndefinedMetricWarning,
    )
    return True
