"""Metrics of novelties beside known classes, folds for them, and p-values.

Labels may be of any type. Rows with the label `anomaly_label` are anomalies
(novelties, example anomalies), all others are normal: they belong to known classes.
Scores are `score_samples`: the lower, the more abnormal.
"""

from collections.abc import Callable, Iterator
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from sk_hypersphere.base._labels import as_labels, is_label
from sk_hypersphere.base._parameters import renamed
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

Label = float | str

# The former names of the two sides, with the names that they have now.
_FORMER_SIDES = {"outlier": "anomaly", "inlier": "normal"}


@renamed(outlier_label="anomaly_label")
@validate_params(
    {
        "y_true": ["array-like"],
        "y_score": ["array-like"],
        "tpr": [Interval(Real, 0, 1, closed="right")],
        "positive": [
            StrOptions(
                {"anomaly", "normal", *_FORMER_SIDES}, deprecated={*_FORMER_SIDES}
            )
        ],
    },
    prefer_skip_nested_validation=True,
)
def fpr_at_tpr(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    tpr: float = 0.95,
    positive: str = "anomaly",
    anomaly_label: Label = -1,
) -> float:
    r"""Compute the false positive rate where the true positive rate reaches a value.

    .. math::

        \mathrm{FPR}(t^*), \qquad
        t^* = \max \{t : \mathrm{TPR}(t) \ge \text{tpr}\}

    where a row is called positive if its evidence is at least the threshold :math:`t`
    (the negated score for anomalies, the score for normal rows), and TPR and FPR are
    the shares of the positive and of the negative rows that are called positive. Lower
    is better.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels of any type.

    y_score : array-like of shape (n_samples,)
        Scores, as `score_samples` gives them: the lower, the more abnormal.

    tpr : float, default=0.95
        True positive rate to be reached, in (0, 1]. 0.95 gives FPR95.

    positive : {"anomaly", "normal"}, default="anomaly"
        The positive class. "anomaly" gives the share of normal rows called anomalies
        when 95 % of the anomalies are found, as in the poster of MCHAD. "normal" gives
        the share of anomalies accepted when 95 % of the normal rows are accepted, as in
        ODIN and OpenOOD. The two rates differ, so state which one is reported.

    anomaly_label : int, float or str, default=-1
        Label of anomalies. All other labels are normal.

    Returns
    -------
    fpr : float
        False positive rate, in [0, 1]. NaN, with a warning, if `y_true` has anomalies
        only or no anomalies.

    Raises
    ------
    ValueError
        If labels and scores are not one-dimensional, of equal length and finite.

    See Also
    --------
    sklearn.metrics.roc_curve : The curve on which this rate is a point.

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
    >>> fpr_at_tpr(y_true, y_score, positive="normal")
    0.5
    >>> fpr_at_tpr(y_true, y_score, tpr=0.5)
    0.0
    """
    if positive in _FORMER_SIDES:
        present = _FORMER_SIDES[positive]
        warn_caller(
            f"positive={positive!r} of fpr_at_tpr is now called {present!r}. Write "
            f"positive={present!r}. The former way ends in version 0.9.",
            FutureWarning,
        )
        positive = present
    found, evidence = _detection(y_true, y_score, positive, anomaly_label)
    if _is_undefined("fpr_at_tpr", found):
        return np.nan
    # With dropped points the curve might lack the first point that reaches tpr.
    fprs, tprs, _ = roc_curve(found, evidence, drop_intermediate=False)
    return float(fprs[np.searchsorted(tprs, tpr)])


@renamed(outlier_label="anomaly_label")
@validate_params(
    {"y_true": ["array-like"], "y_score": ["array-like"]},
    prefer_skip_nested_validation=True,
)
def aupr_in(
    y_true: ArrayLike, y_score: ArrayLike, *, anomaly_label: Label = -1
) -> float:
    r"""Compute the average precision of the detection of normal rows (AUPR-IN).

    .. math::

        \mathrm{AP} = \sum_n (R_n - R_{n-1}) P_n

    where :math:`P_n` and :math:`R_n` are precision and recall at the n-th threshold,
    with normal rows as the positive class. Random scores get about the share of normal
    rows; higher is better.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels of any type.

    y_score : array-like of shape (n_samples,)
        Scores, as `score_samples` gives them: the lower, the more abnormal.

    anomaly_label : int, float or str, default=-1
        Label of anomalies. All other labels are normal.

    Returns
    -------
    aupr : float
        Average precision, in [0, 1]. NaN, with a warning, if `y_true` has anomalies
        only or no anomalies.

    Raises
    ------
    ValueError
        If labels and scores are not one-dimensional, of equal length and finite.

    See Also
    --------
    aupr_out : The same metric with anomalies as the positive class.

    Notes
    -----
    To compare with the poster of MCHAD, swap its columns: it was made with pytorch-ood
    from before October 2024, which called the area with anomalies as the positive class
    AUPR-IN, and the area with normal rows AUPR-OUT. It also integrated by trapezoids,
    whereas average precision is a sum of steps; the values differ a little.

    Examples
    --------
    >>> from sk_hypersphere.metrics import aupr_in
    >>> aupr_in([1, 1, -1, -1], [4, 2, 3, 1])
    0.833
    """
    found, evidence = _detection(y_true, y_score, "normal", anomaly_label)
    if _is_undefined("aupr_in", found):
        return np.nan
    return float(average_precision_score(found, evidence))


@renamed(outlier_label="anomaly_label")
@validate_params(
    {"y_true": ["array-like"], "y_score": ["array-like"]},
    prefer_skip_nested_validation=True,
)
def aupr_out(
    y_true: ArrayLike, y_score: ArrayLike, *, anomaly_label: Label = -1
) -> float:
    r"""Compute the average precision of the detection of anomalies (AUPR-OUT).

    .. math::

        \mathrm{AP} = \sum_n (R_n - R_{n-1}) P_n

    where :math:`P_n` and :math:`R_n` are precision and recall at the n-th threshold,
    with anomalies as the positive class and scores negated. Random scores get about the
    share of anomalies; higher is better.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels of any type.

    y_score : array-like of shape (n_samples,)
        Scores, as `score_samples` gives them: the lower, the more abnormal.

    anomaly_label : int, float or str, default=-1
        Label of anomalies. All other labels are normal.

    Returns
    -------
    aupr : float
        Average precision, in [0, 1]. NaN, with a warning, if `y_true` has anomalies
        only or no anomalies.

    Raises
    ------
    ValueError
        If labels and scores are not one-dimensional, of equal length and finite.

    See Also
    --------
    aupr_in : The same metric with normal rows as the positive class. Its notes explain
        why the poster of MCHAD has swapped columns and slightly different values.

    Examples
    --------
    >>> from sk_hypersphere.metrics import aupr_out
    >>> aupr_out(["cat", "dog", "new"], [3, 1, 2], anomaly_label="new")
    0.5
    """
    found, evidence = _detection(y_true, y_score, "anomaly", anomaly_label)
    if _is_undefined("aupr_out", found):
        return np.nan
    return float(average_precision_score(found, evidence))


@renamed(outlier_label="anomaly_label")
@validate_params(
    {"y_true": ["array-like"], "y_pred": ["array-like"], "y_score": ["array-like"]},
    prefer_skip_nested_validation=True,
)
def oscr(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    y_score: ArrayLike,
    *,
    anomaly_label: Label = -1,
) -> float:
    r"""Compute the area under the open-set classification rate curve (OSCR).

    .. math::

        \mathrm{OSCR} = \int \mathrm{CCR} \; d\,\mathrm{FPR}
        = \text{accuracy} \cdot \mathrm{AUROC}

    where, over all thresholds, CCR is the share of the known rows that are classified
    correctly and score at least the threshold, and FPR the share of the anomalies that
    score at least the threshold. The area is the accuracy on known rows times the AUROC
    of the correctly classified known rows against the anomalies. Higher is better.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels of any type.

    y_pred : array-like of shape (n_samples,)
        Predicted labels. A known row that is predicted as `anomaly_label` is wrong.
        Predictions of anomalies do not count.

    y_score : array-like of shape (n_samples,)
        Scores, as `score_samples` gives them: the lower, the more abnormal.

    anomaly_label : int, float or str, default=-1
        Label of anomalies. All other labels are known classes.

    Returns
    -------
    area : float
        Area under the curve, in [0, 1]: without anomalies the accuracy, and 0 if no
        known row is classified correctly. NaN, with a warning, if no row is known.

    Raises
    ------
    ValueError
        If labels, predictions and scores are not one-dimensional, of equal length and
        finite.

    See Also
    --------
    known_accuracy : The accuracy, which is the largest possible area.

    References
    ----------
    .. [1] A. R. Dhamija, M. Guenther, T. Boult. "Reducing Network Agnostophobia".
       NeurIPS 2018.

    Examples
    --------
    >>> from sk_hypersphere.metrics import oscr
    >>> y_true = ["cat", "cat", "dog", "dog", "new", "new"]
    >>> y_pred = ["cat", "cat", "dog", "cat", "dog", "cat"]
    >>> oscr(y_true, y_pred, [6, 5, 2, 4, 3, 1], anomaly_label="new")
    0.625
    """
    anomaly, scores = _anomalies_and_scores(y_true, y_score, anomaly_label)
    correct = _is_correct(y_true, y_pred) & ~anomaly
    if _is_undefined("oscr", ~anomaly, needs_both=False):
        return np.nan
    accuracy = correct.sum() / (~anomaly).sum()
    if not anomaly.any() or not correct.any():
        return float(accuracy)
    counted = correct | anomaly
    return float(accuracy * roc_auc_score(correct[counted], scores[counted]))


@renamed(outlier_label="anomaly_label")
@validate_params(
    {"y_true": ["array-like"], "y_pred": ["array-like"]},
    prefer_skip_nested_validation=True,
)
def known_accuracy(
    y_true: ArrayLike, y_pred: ArrayLike, *, anomaly_label: Label = -1
) -> float:
    """Compute the share of the rows of known classes that are classified correctly.

    Anomalies do not count, whatever they are classified as.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels of any type.

    y_pred : array-like of shape (n_samples,)
        Predicted labels. A known row that is predicted as `anomaly_label` is wrong, so
        for a detector this is the share of normal rows that it accepts.

    anomaly_label : int, float or str, default=-1
        Label of anomalies. All other labels are known classes.

    Returns
    -------
    accuracy : float
        Accuracy, in [0, 1]. NaN, with a warning, if no row is known.

    Raises
    ------
    ValueError
        If labels and predictions are not one-dimensional, of equal length and finite.

    Examples
    --------
    >>> from sk_hypersphere.metrics import known_accuracy
    >>> known_accuracy([0, 1, 1, 2, -1], [0, 1, 2, 2, 0])
    0.75
    """
    known = ~_is_anomaly(y_true, anomaly_label)
    correct = _is_correct(y_true, y_pred)
    if _is_undefined("known_accuracy", known, needs_both=False):
        return np.nan
    return float(correct[known].mean())


def _auroc(y_true: ArrayLike, y_score: ArrayLike, *, anomaly_label: Label) -> float:
    return float(roc_auc_score(*_detection(y_true, y_score, "anomaly", anomaly_label)))


def _negated_fpr95(
    y_true: ArrayLike, y_score: ArrayLike, *, anomaly_label: Label
) -> float:
    return -fpr_at_tpr(y_true, y_score, anomaly_label=anomaly_label)


# Each metric of a scorer has a function and the methods of an estimator that it needs.
_SCORED: dict[str, tuple[Callable[..., float], list[str]]] = {
    "auroc": (_auroc, ["score_samples"]),
    "aupr_in": (aupr_in, ["score_samples"]),
    "aupr_out": (aupr_out, ["score_samples"]),
    "fpr95": (_negated_fpr95, ["score_samples"]),
    "oscr": (oscr, ["predict", "score_samples"]),
    "known_accuracy": (known_accuracy, ["predict"]),
}
_DEFINED_WITHOUT_ANOMALIES = {"oscr", "known_accuracy"}


@renamed(outlier_label="anomaly_label")
@validate_params(
    {"metric": [StrOptions({*_SCORED})]}, prefer_skip_nested_validation=True
)
def make_novelty_scorer(
    metric: str, *, anomaly_label: Label = -1
) -> Callable[[BaseEstimator, ArrayLike, ArrayLike], float]:
    """Make a scorer for model selection with novelties among the labels.

    The scorer is called as ``scorer(estimator, X, y)``, fits `scoring` of
    :class:`~sklearn.model_selection.GridSearchCV` and
    :func:`~sklearn.model_selection.cross_validate`, and can be pickled. It scores every
    estimator or pipeline that has `score_samples`, and `predict` if the metric needs
    classes. Greater is better.

    Parameters
    ----------
    metric : {"auroc", "aupr_in", "aupr_out", "fpr95", "oscr", "known_accuracy"}
        The metric. "auroc" is the probability that an anomaly scores lower than
        a normal row. "fpr95" is **negated**, because a smaller false positive rate is
        better; anomalies are its positive class. The others are the functions of this
        module. "known_accuracy" needs `predict` only, "oscr" both methods.

    anomaly_label : int, float or str, default=-1
        Label of anomalies in `y`. All other labels are known classes.

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
        By the scorer, on a fold that lacks anomalies or known rows that the metric
        needs. The scorer then returns the value of random scores: 0.5 for "auroc",
        -0.95 for "fpr95", the base rate for "aupr_in" (1 without anomalies) and
        "aupr_out" (0 without anomalies), and 0 for "oscr" and "known_accuracy" without
        known rows. This value is the same for all candidates of a search, so the other
        folds rank them; NaN would leave all candidates unranked.

    See Also
    --------
    NoveltySplit : Folds with anomalies in every test set and none in training.

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
    return _NoveltyScorer(metric, anomaly_label)


class _NoveltyScorer:
    """Scorer of one metric. It stores only names, so that it can be pickled."""

    def __init__(self, metric: str, anomaly_label: Label):
        self.metric = metric
        self.anomaly_label = anomaly_label

    def __repr__(self) -> str:
        label = self.anomaly_label
        return f"make_novelty_scorer({self.metric!r}, anomaly_label={label!r})"

    def __call__(self, estimator: BaseEstimator, X: ArrayLike, y: ArrayLike) -> float:
        anomaly_share = _is_anomaly(y, self.anomaly_label).mean()
        if anomaly_share == 1:
            return self._at_chance("known rows", anomaly_share)
        if anomaly_share == 0 and self.metric not in _DEFINED_WITHOUT_ANOMALIES:
            return self._at_chance("anomalies", anomaly_share)
        function, responses = _SCORED[self.metric]
        given = [getattr(estimator, response)(X) for response in responses]
        return function(y, *given, anomaly_label=self.anomaly_label)

    def _at_chance(self, missing: str, anomaly_share: float) -> float:
        """Warn that one side is missing, and return the value of random scores."""
        chance = {
            "auroc": 0.5,
            "aupr_in": 1.0 - anomaly_share,
            "aupr_out": anomaly_share,
            "fpr95": -0.95,
        }
        value = float(chance.get(self.metric, 0.0))
        warn_caller(
            f"The metric {self.metric!r} is not defined on a fold without {missing} "
            f"(anomaly_label={self.anomaly_label!r}). The scorer gives every estimator "
            f"{value} there, so that the other folds rank them. Use NoveltySplit or "
            "StratifiedKFold as cv, or the metrics 'oscr' or 'known_accuracy', which "
            "need no anomalies.",
            UndefinedMetricWarning,
        )
        return value


class NoveltySplit(StratifiedKFold):
    """Stratified folds that train on known classes and test on anomalies too.

    Each row is in exactly one test set. The training set of a fold is the rest without
    its anomalies, so that anomalies are new to the estimator that is tested.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, 2 or more.

    anomaly_label : int, float or str, default=-1
        Label of anomalies in `y`. All other labels are known classes; a detector has
        one known class, +1.

    shuffle : bool, default=True
        Whether to shuffle the rows of each class before they are split.

    random_state : int, RandomState instance or None, default=None
        Seed of the shuffling. An int gives the same folds at each call.

    See Also
    --------
    sklearn.model_selection.StratifiedKFold : Folds that keep anomalies in training, for
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

    @renamed(outlier_label="anomaly_label")
    def __init__(
        self,
        n_splits: int = 5,
        *,
        anomaly_label: Label = -1,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(n_splits, shuffle=shuffle, random_state=random_state)
        self.anomaly_label = anomaly_label

    def split(
        self, X: ArrayLike, y: ArrayLike | None = None, groups: object = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Generate the rows of each fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples. Only their number matters.

        y : array-like of shape (n_samples,)
            Labels of any type, required.

        groups : None
            Ignored.

        Yields
        ------
        train : ndarray of int
            Rows to train on, in ascending order, without anomalies.

        test : ndarray of int
            Rows to test on, in ascending order: held-out rows of known classes, and
            anomalies.

        Raises
        ------
        ValueError
            If there are no labels, or fewer anomalies or known rows than folds.
        """
        if y is None:
            raise ValueError(
                "y must be given, because NoveltySplit finds anomalies by their label; "
                f"got None. Label them {self.anomaly_label!r}."
            )
        labels = as_labels(y)
        anomaly = is_label(labels, self.anomaly_label)
        self._check_enough("anomalies", anomaly)
        self._check_enough("known rows", ~anomaly)
        # scikit-learn assigns rows to folds class by class, in order of appearance.
        # With anomalies first, the known classes follow one another, so each fold has
        # known rows even if all known classes are rare.
        order = np.argsort(~anomaly, kind="stable")
        classes = _numbered(labels[order])
        for train, test in super().split(X, classes, groups):
            train, test = np.sort(order[train]), np.sort(order[test])
            yield train[~anomaly[train]], test

    def _check_enough(self, what: str, is_there: NDArray[np.bool_]) -> None:
        if is_there.sum() < self.n_splits:
            raise ValueError(
                f"y must have {what} in every fold, hence {self.n_splits} or more "
                f"(n_splits={self.n_splits}, anomaly_label={self.anomaly_label!r}); "
                f"got {is_there.sum()}. Label more, or use a smaller n_splits."
            )


def _is_anomaly(y_true: ArrayLike, anomaly_label: Label) -> NDArray[np.bool_]:
    return is_label(as_labels(y_true), anomaly_label)


def _is_correct(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.bool_]:
    check_consistent_length(y_true, y_pred)
    # Labels of different types can be compared as objects.
    return as_labels(y_true).astype(object) == as_labels(y_pred).astype(object)


def _numbered(labels: NDArray) -> NDArray[np.intp]:
    """Replace labels, which may not be sortable, by numbers."""
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    return np.array([numbers[label] for label in labels])


def _anomalies_and_scores(
    y_true: ArrayLike, y_score: ArrayLike, anomaly_label: Label
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    anomaly = _is_anomaly(y_true, anomaly_label)
    scores = check_array(
        y_score, dtype=np.float64, ensure_2d=False, input_name="y_score"
    )
    if scores.ndim != 1:
        raise ValueError(
            "y_score must be one-dimensional, one score per row; got an array of shape "
            f"{scores.shape}. Pass the result of score_samples."
        )
    check_consistent_length(anomaly, scores)
    return anomaly, scores


def _detection(
    y_true: ArrayLike, y_score: ArrayLike, positive: str, anomaly_label: Label
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return a mask of the positive rows, and evidence that is high for them."""
    anomaly, scores = _anomalies_and_scores(y_true, y_score, anomaly_label)
    return (anomaly, -scores) if positive == "anomaly" else (~anomaly, scores)


def _is_undefined(name: str, found: NDArray[np.bool_], needs_both: bool = True) -> bool:
    """Check whether rows that the metric needs are missing, and warn if so."""
    if found.any() and not (needs_both and found.all()):
        return False
    needed = "anomalies and of known classes" if needs_both else "known classes"
    warn_caller(
        f"{name} is not defined unless y_true has rows of {needed}: NaN is returned. "
        "Add such rows, or set anomaly_label to the label of anomalies.",
        UndefinedMetricWarning,
    )
    return True
