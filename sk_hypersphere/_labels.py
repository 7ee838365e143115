"""One label among others of any type."""

import numpy as np


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
        If `y` holds text that reads like a label that is none: numpy turns ["a", -1]
        into ["a", "-1"].

    Examples
    --------
    >>> is_label(np.array([0, 1, -1]), -1)
    array([False, False,  True])
    """
    if label is None:
        return np.zeros(len(y), dtype=bool)
    is_text = isinstance(label, str)
    if y.dtype.kind in "US" and not is_text:
        lookalikes = np.isin(y, [str(label), str(float(label)), f"{label:g}"])
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
    is_mixed = isinstance(label, str) != (y.dtype.kind in "US")
    dtype = object if is_mixed else np.result_type(y.dtype, np.asarray(label).dtype)
    replaced = y.astype(dtype)
    replaced[mask] = label
    return replaced
