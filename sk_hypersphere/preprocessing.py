"""Preprocessing of samples before they reach a network."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    OneToOneFeatureMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from sk_hypersphere._training.arrays import as_array, check_not_empty

__all__ = ["GlobalContrastNormalizer"]

_VALUES_PER_BATCH = 2**20  # 8 MiB of float64


class GlobalContrastNormalizer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Give every sample the same brightness and the same contrast.

    For a sample :math:`x` with :math:`m` values (all features of a row; all pixels and
    channels of an image) with mean :math:`\\bar{x}`::

        z = (x - x̄) / s    with    s = 1/m Σ_j |x_j - x̄|           (scale="l1")
                                   s = (1/m Σ_j (x_j - x̄)²)^(1/2)   (scale="l2")

    and then `(z - a) / (b - a)`, with the smallest value `a` and the largest value `b`
    of all normalized training samples. So training data fills [0, 1]; other samples may
    lie outside and are not clipped. A factor common to all values of a sample changes
    nothing, hence pixels in 0..255 and in [0, 1] give the same result.

    Parameters
    ----------
    scale : {"l1", "l2"}, default="l1"
        Divisor of each centered sample: its mean absolute value ("l1", as in the Deep
        SVDD papers) or its root mean square ("l2", which gives a few bright pixels more
        weight). A constant sample has scale 0 and is divided by 1: it becomes all zeros
        before the min-max step.

    min_max : bool, default=True
        Whether to map the smallest and the largest normalized training value to 0 and
        1. If all training samples are constant, this step only subtracts. False keeps
        mean 0 and scale 1 for each sample.

    Attributes
    ----------
    data_min_ : float
        Smallest value of the training data after contrast normalization. Only defined
        if `min_max=True`.

    data_max_ : float
        Largest value of the training data after contrast normalization. Only defined
        if `min_max=True`.

    input_shape_ : tuple of int
        Shape of one sample.

    n_features_in_ : int
        Number of features seen at fit; for images, the number of channels.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen at fit, where `X` had string column names.

    See Also
    --------
    sklearn.preprocessing.Normalizer : Scale each row to unit norm, uncentered.
    sklearn.preprocessing.MinMaxScaler : One minimum and maximum per feature.

    Notes
    -----
    The rows of a table are normalized across their features, which makes sense only if
    features share a unit (pixels, spectra); otherwise scale columns instead.

    Samples are normalized in float64, a few at a time. Arrays of uint8, and memory
    maps, are never copied as a whole.

    References
    ----------
    L. Ruff et al., "Deep One-Class Classification", ICML 2018, section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_hypersphere.preprocessing import GlobalContrastNormalizer
    >>> images = np.array([[[[0, 10], [20, 30]]], [[[7, 7], [7, 9]]]], dtype=np.uint8)
    >>> normalizer = GlobalContrastNormalizer().fit(images)
    >>> normalizer.data_min_, normalizer.data_max_
    (-1.5, 2.0)
    >>> normalizer.transform(images)[0, 0].round(3)
    array([[0.   , 0.286],
           [0.571, 0.857]], dtype=float32)
    """

    _parameter_constraints: dict = {
        "scale": [StrOptions({"l1", "l2"})],
        "min_max": ["boolean"],
    }

    def __init__(self, *, scale: str = "l1", min_max: bool = True):
        self.scale = scale
        self.min_max = min_max

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Store the shape of a sample and learn the min-max step.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Training samples, float or uint8.

        y : None
            Ignored.

        Returns
        -------
        self : GlobalContrastNormalizer
            The fitted transformer.

        Raises
        ------
        ValueError
            If `X` holds NaN or infinity.
        """
        samples = self._validate(X, reset=True)
        self.input_shape_ = samples.shape[1:]
        if self.min_max:
            batches = self._normalized_batches(samples)
            extremes = [(z.min(), z.max()) for _, z in batches]
            lows, highs = zip(*extremes, strict=True)
            self.data_min_ = float(min(lows))
            self.data_max_ = float(max(highs))
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.floating]:
        """Normalize the contrast of each sample, then apply the learned min-max step.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples of the shape seen at fit, float or uint8.

        Returns
        -------
        X_out : ndarray of the shape of X
            Normalized samples: float32 for float32 and uint8, else float64.

        Raises
        ------
        ValueError
            If the samples have another shape than those seen at fit, or hold NaN or
            infinity.
        """
        check_is_fitted(self)
        samples = self._validate(X, reset=False)
        if samples.shape[1:] != self.input_shape_:
            raise ValueError(
                f"X must hold samples of shape {self.input_shape_}, as at fit; got "
                f"samples of shape {samples.shape[1:]}. Resize them, or fit again."
            )
        dtype = np.float64 if samples.dtype == np.float64 else np.float32
        X_out = np.empty(samples.shape, dtype=dtype)
        for batch, z in self._normalized_batches(samples):
            if self.min_max:
                z -= self.data_min_
                z /= (self.data_max_ - self.data_min_) or 1.0
            X_out[batch] = z.reshape(-1, *self.input_shape_)
        return X_out

    def _validate(self, X, *, reset):
        # Dtypes in the list are kept, without a copy; other dtypes become float64.
        dtypes = [np.float64, np.float32, np.uint8]
        X = as_array(X)
        X = validate_data(self, X, reset=reset, dtype=dtypes, allow_nd=True)
        check_not_empty(X)
        return X

    def _normalized_batches(self, X):
        """Yield slices of `X` and their flat, contrast-normalized float64 samples."""
        n_values = np.prod(self.input_shape_, dtype=int)
        for batch in gen_batches(len(X), max(1, _VALUES_PER_BATCH // n_values)):
            flat = X[batch].reshape(-1, n_values)
            yield batch, _normalize_contrast(flat, self.scale)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _normalize_contrast(X, scale):
    """Return rows with mean 0 and scale 1 as a new float64 array."""
    z = X.astype(np.float64, order="C")  # always a copy
    # Without this step the rounded mean of equal values may be off by one bit, and
    # dividing by a scale of 1e-17 would turn this bit into a full-size pattern.
    z -= z[:, :1]
    z -= z.mean(axis=1, keepdims=True)
    if scale == "l1":
        scales = np.abs(z).mean(axis=1, keepdims=True)  # (n, 1)
    else:
        scales = np.sqrt(np.square(z).mean(axis=1, keepdims=True))  # (n, 1)
    scales[scales == 0] = 1.0
    z /= scales
    return z
