"""Labels of any type, and the rules by which they mark anomalies."""

from numbers import Number

import numpy as np
from sklearn.base import is_classifier
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from sk_hypersphere.exceptions import SupervisionWarning, warn_caller

# A message shows at most this many labels.
MAX_SHOWN = 5


def as_labels(y, name="y"):
    """Convert labels to an array, (n,), and check that none is missing.

    Messages call the labels `name`. A list of texts and numbers becomes an array of
    objects, because numpy would turn the numbers into texts.

    Examples
    --------
    >>> as_labels(["cat", -1])
    array(['cat', -1], dtype=object)
    """
    if isinstance(y, (list, tuple)) and len({isinstance(v, str) for v in y}) == 2:
        y = np.array(y, dtype=object)
    try:
        y = column_or_1d(y, warn=True)
    except ValueError as error:
        raise ValueError(f"{name} must hold one label per sample: {error}") from error
    if y.dtype == object and any(map(_is_missing, y)):
        raise ValueError(
            f"{name} must hold a label for every sample, got None, NaN or NA among "
            "them. Leave these samples out, or give them a label of their own."
        )
    assert_all_finite(y, input_name=name)
    return y


def classes_and_codes(y, name="y"):
    """Return the sorted classes among labels, and the class number of each label.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels from `as_labels`.

    name : str, default="y"
        Name of the labels in messages.

    Returns
    -------
    (ndarray of shape (n_classes,), ndarray of shape (n,) of int)

    Raises
    ------
    ValueError
        If labels cannot be sorted, or are measurements instead of classes.

    Examples
    --------
    >>> classes_and_codes(np.array(["dog", "cat", "dog"]))
    (array(['cat', 'dog'], dtype='<U3'), array([1, 0, 1]))
    """
    if y.dtype == object:
        is_text = {isinstance(label, str) for label in y}
        if len(is_text) == 2:
            kinds = ", ".join(sorted({type(label).__name__ for label in y}))
            raise ValueError(
                f"{name} must hold classes that can be sorted, got {kinds}. Make them "
                "all texts, or all numbers."
            )
        if is_text == {False}:
            y = np.array(y.tolist())  # numbers can be checked and sorted
    try:
        check_classification_targets(y)
    except ValueError as error:
        raise ValueError(f"{name} must hold classes: {error}") from error
    return np.unique(y, return_inverse=True)


def is_label(y, label, name="anomaly_label"):
    """Mark the labels that equal a given label.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels of any type.

    label : int, float, str or None
        The label to look for; None matches no label.

    name : str, default="anomaly_label"
        Name of the parameter that holds `label`, for messages.

    Returns
    -------
    ndarray of shape (n,) of bool

    Raises
    ------
    ValueError
        If `label` is a number that `y` holds as text: numpy turns ["a", -1] into
        ["a", "-1"].

    Examples
    --------
    >>> is_label(np.array([0, 1, -1]), -1)
    array([False, False,  True])
    """
    if label is None:
        return np.zeros(len(y), dtype=bool)
    is_text = isinstance(label, str)
    if y.dtype.kind in "US" and not is_text:
        lookalikes = np.isin(y, [str(label), f"{float(label)}", f"{float(label):g}"])
        if lookalikes.any():
            raise ValueError(
                f"y must hold {name}={label!r} as it is, got the text "
                f"{str(y[lookalikes][0])!r} among other texts. Give y as an array with "
                f"dtype=object, or choose a text for {name}."
            )
    if y.dtype.kind != "O" and is_text != (y.dtype.kind in "US"):
        return np.zeros(len(y), dtype=bool)  # some versions of numpy warn about ==
    return np.asarray(y == label, dtype=bool)


def replace_where(mask, y, label):
    """Replace labels, (n,), where a mask is set, in a type that holds old and new ones.

    Examples
    --------
    >>> replace_where(np.array([True, False]), np.array(["cat", "dog"]), "neither")
    array(['neither', 'dog'], dtype='<U7')
    >>> replace_where(np.array([True, False]), np.array(["cat", "dog"]), -1)
    array([-1, 'dog'], dtype=object)
    """
    is_number = not isinstance(label, str)
    if is_number and y.dtype.kind in "iu" and label == int(label):
        label = int(label)
    replaced = y.astype(_common_type(y.dtype, np.asarray(label).dtype))
    replaced[mask] = label
    return replaced


def accuracy(y, predicted, *, anomaly_label=None, sample_weight=None):
    """Share of the samples whose label is predicted correctly.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels. Samples labelled `anomaly_label` do not count.

    predicted : ndarray of shape (n,)

    anomaly_label : int, float, str or None, default=None

    sample_weight : array-like of shape (n,), default=None
        Weights of the samples.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If no sample counts.
    """
    y = as_labels(y)
    check_consistent_length(predicted, y, sample_weight)
    counts = ~is_label(y, anomaly_label)
    if not counts.any():
        raise ValueError(
            f"y must hold at least one class, got {len(y)} times "
            f"anomaly_label={anomaly_label!r}, which does not count. Set "
            "reject=True, or use sk_hypersphere.metrics."
        )
    if sample_weight is not None:
        sample_weight = np.asarray(sample_weight)[counts]
    return float(np.average((predicted == y)[counts], weights=sample_weight))


def _common_type(*types):
    """Return the type of numpy that holds labels of all types unchanged, or object."""
    kinds = {dtype.kind for dtype in types}
    if not (kinds <= {*"US"} or kinds <= {*"biuf"}):
        return object
    common = np.result_type(*types)
    # The common type of unsigned and negative numbers is a float with fewer digits.
    return object if kinds <= {*"iu"} and common.kind == "f" else common


def binary_labels(y, anomaly_label=None, *, required=False):
    """Translate labels to -1 for anomalies, +1 for normal rows and 0 for unknown ones.

    Anomalies are the rows labelled `anomaly_label`. If it is None, anomalies are the
    rows labelled -1, or, without any -1, the rows with the larger of exactly two
    numbers. Thus +1 and -1, 0 and 1, and False and True have their usual meaning. Among
    the other rows, 0 and False mean unknown, and all other labels mean normal. A single
    label makes no distinction, and so means no anomaly. If labels fit no rule, all rows
    are unknown, unless `anomaly_label` says that they are not anomalies.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels of any type.

    anomaly_label : int, float, str or None, default=None
        Label of anomalies.

    required : bool, default=False
        Whether labels without anomalies are an error.

    Returns
    -------
    ndarray of shape (n,) of int64

    Raises
    ------
    ValueError
        If labels are missing, if all rows are anomalies, or if there are no anomalies
        although they are required.

    Warns
    -----
    SupervisionWarning
        If labels differ, but mark no row as an anomaly. Labels 0 and 1 beside an
        `anomaly_label` of -1 give no warning: they mark rows known to be normal.

    Examples
    --------
    >>> binary_labels([1, 1, -1]), binary_labels([0, 0, 1])
    (array([ 1,  1, -1]), array([ 0,  0, -1]))
    >>> binary_labels(["good", "bad"], anomaly_label="bad")
    array([ 1, -1])
    """
    y = as_labels(y)
    distinct = list(dict.fromkeys(y.tolist()))
    wanted = _anomaly_label_among(distinct) if anomaly_label is None else anomaly_label
    is_anomaly = is_label(y, wanted, "anomaly_label")
    if len(y) and is_anomaly.all():
        raise ValueError(
            f"y must hold samples that are not anomalies, got {len(y)} labels that all "
            f"are {wanted!r}. Add normal samples, or set anomaly_label."
        )
    if required and not is_anomaly.any():
        raise ValueError(
            "y must hold normal samples and anomalies, one of each at least, got "
            f"{_listing(distinct)} and anomaly_label={anomaly_label!r}, so that none "
            f"of n_samples={len(y)} is an anomaly. Label some, or set anomaly_label."
        )
    marks_normal = anomaly_label == -1 and {*distinct} == {0, 1}
    if not is_anomaly.any() and len(distinct) > 1 and not marks_normal:
        warn_caller(
            "y should say which samples are anomalies: with -1, with the larger of two "
            "numbers, or with the label that anomaly_label names. Got "
            f"{_listing(distinct)} and anomaly_label={anomaly_label!r}, so that no "
            "anomaly is known. Set anomaly_label, or give y=None.",
            SupervisionWarning,
        )
        if anomaly_label is None:
            return np.zeros(len(y), dtype=np.int64)
    is_unknown = y == 0 if y.dtype.kind not in "US" else False
    return np.where(is_anomaly, -1, np.where(is_unknown, 0, 1))


def group_numbers(cluster_labels, X):
    """Number of the group of each sample, (n,), by labels of any type for clusters.

    Raises
    ------
    ValueError
        If labels are missing, or not as many as samples `X`.
    """
    groups = column_or_1d(cluster_labels)
    check_consistent_length(X, groups)
    assert_all_finite(groups, input_name="cluster_labels")
    return LabelEncoder().fit_transform(groups)


def known_labels(estimator, X, y, groups=None):
    """Return class numbers of normal rows, by the labels that an estimator reads.

    Parameters
    ----------
    estimator : estimator
        Its parameter `anomaly_label` says how it reads labels.

    X : array of shape (n, ...)

    y : array-like of shape (n,) or None

    groups : array-like of shape (n,), default=None
        Known groups of the rows; there are then no anomalies among them.

    Returns
    -------
    ndarray of shape (n,) of int
        Numbers of the classes or groups, or 0 for rows that are not known to be
        anomalies; -1 for the others.
    """
    if groups is not None:
        check_consistent_length(X, groups)
        return classes_and_codes(as_labels(groups, "cluster_labels"))[1]
    params = estimator.get_params(deep=False)
    if y is not None and is_classifier(estimator):
        y = as_labels(y)
        is_anomaly = is_label(y, params.get("anomaly_label"))
        known = np.full(len(y), -1)
        known[~is_anomaly] = classes_and_codes(y[~is_anomaly])[1]
        return known
    if y is not None and "anomaly_label" in params:
        return np.minimum(binary_labels(y, params["anomaly_label"]), 0)
    return np.zeros(len(X), dtype=int)


def _is_missing(label):
    """Whether a label is None, NaN, or a missing value of pandas."""
    try:
        return label is None or bool(label != label)
    except TypeError:  # pandas.NA has no truth value
        return True


def _anomaly_label_among(distinct):
    """Return the label that means anomaly by default, or None."""
    if not all(isinstance(label, Number) for label in distinct):
        return None  # the order of words or dates does not mark anomalies
    if -1 in distinct:
        return -1
    return max(distinct) if len(distinct) == 2 else None


def _listing(labels):
    """Return the first few labels as text."""
    shown = [*map(repr, labels[:MAX_SHOWN]), *["..."][: len(labels) > MAX_SHOWN]]
    return ", ".join(shown)
