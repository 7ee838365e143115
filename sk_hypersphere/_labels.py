"""One label among others of any type."""

import numpy as np
from sklearn.utils import assert_all_finite, column_or_1d


def as_labels(y):
    """Labels as an array, (n,), after a check that none is missing.

    A list of texts and numbers becomes an array of objects; numpy would make texts of
    the numbers.

    Examples
    --------
    >>> as_labels(["cat", -1])
    array(['cat', -1], dtype=object)
    """
    if isinstance(y, (list, tuple)) and len({isinstance(v, str) for v in y}) == 2:
        y = np.array(y, dtype=object)
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y")
    return y


def is_label(y, label):
    """Which of some labels are a certain one.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels of any type.

    label : int, float, str or None
        The one that is looked for; None is none of them.

    Returns
    -------
    ndarray of shape (n,) of bool

    Raises
    ------
    ValueError
        If `y` holds text that reads like a label that is a number: numpy turns
        ["a", -1] into ["a", "-1"].

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
                f"y must hold outlier_label={label!r} as it is, got the text "
                f"{str(y[lookalikes][0])!r} among other texts. Give y as an array with "
                "dtype=object, or choose a text for outlier_label."
            )
    if y.dtype.kind != "O" and is_text != (y.dtype.kind in "US"):
        return np.zeros(len(y), dtype=bool)  # some versions of numpy warn if compared
    return np.asarray(y == label, dtype=bool)


def replace_where(mask, y, label):
    """Labels, (n,), with another one where a mask is set, in a type that holds both.

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


def _common_type(*types):
    """The type of numpy that holds labels of two types as they are, or object."""
    kinds = {dtype.kind for dtype in types}
    if not (kinds <= {*"US"} or kinds <= {*"biuf"}):
        return object
    common = np.result_type(*types)
    # For unsigned and negative numbers that is a float, which has fewer digits.
    return object if kinds <= {*"iu"} and common.kind == "f" else common
