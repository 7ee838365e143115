"""Confidence scores of samples, from the logits or the embeddings of a classifier.

As in the whole package, the lower a score, the more abnormal the sample. The
:class:`~sk_hypersphere.SubclusterDetector` chooses one of these scores; they also work
for every fitted classifier of this package, and for ensembles of classifiers.
"""

from collections.abc import Callable
from copy import deepcopy
from functools import wraps
from numbers import Integral, Real
from typing import Protocol, Self, cast, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn
from torch.nn import functional

from sk_hypersphere._training.arrays import as_array
from sk_hypersphere._training.inference import map_batches, rows_at_once
from sk_hypersphere._training.rows import evenly_spaced
from sk_hypersphere.base._first_neighbors import directions
from sk_hypersphere.base._labels import as_labels, classes_and_codes
from sk_hypersphere.base._spheres import cluster_means

__all__ = [
    "MahalanobisDistance",
    "NeighborDistance",
    "energy",
    "logits_of",
    "msp",
    "odin",
]

# Two embeddings closer than this share of their length count as the same sample.
SAME = 1e-4

# Variances below this share of the largest variance are rounding errors of float32.
LEAST_VARIANCE = 1e-10


class _OfLogits(Protocol):
    """A function of logits that maps a tensor to a tensor, and an array to an array."""

    @overload
    def __call__(self, logits: Tensor, *, temperature: float = 1.0) -> Tensor: ...

    @overload
    def __call__(
        self, logits: ArrayLike, *, temperature: float = 1.0
    ) -> NDArray[np.float64]: ...


def _of_arrays_too(function: Callable[..., Tensor]) -> _OfLogits:
    """Let a function of a tensor of logits also take an array, and then return one.

    The parameter `temperature` is validated, and can only be passed by name.
    """

    @wraps(function)
    def wrapped(logits, *, temperature=1.0):
        _check_temperature(temperature)
        if isinstance(logits, torch.Tensor):
            return function(logits, temperature=temperature)
        logits = check_array(logits, dtype=np.float64, input_name="logits")
        return function(torch.tensor(logits), temperature=temperature).numpy()

    return cast(_OfLogits, wrapped)


def _check_temperature(temperature):
    if not isinstance(temperature, Real) or not 0 < temperature < np.inf:
        raise ValueError(
            f"temperature must be a number above 0, got {temperature!r}. Use 1.0 to "
            "keep probabilities as they are."
        )


@_of_arrays_too
def msp(logits: Tensor, *, temperature: float = 1.0) -> Tensor:
    r"""Compute the logarithm of the maximum softmax probability.

    .. math:: s = \log \max_k \sigma_k(a / T) = -\log \Bigl(1 + \sum_{j \ne k^*}
        e^{(a_j - a_{k^*}) / T}\Bigr), \qquad k^* = \arg\max_k a_k

    for the logits :math:`a`, their softmax :math:`\sigma` and the temperature
    :math:`T`. It ranks samples as the probability does, even if all probabilities round
    to 1 or to :math:`1 / k`, unless the largest logit leads by 700 :math:`T`.

    Parameters
    ----------
    logits : array-like or Tensor of shape (n, k)
        Logits, best in float64.

    temperature : float, default=1.0
        Temperature, above 0. The higher it is, the more the smaller logits count.

    Returns
    -------
    ndarray or Tensor of shape (n,)
        Scores, at most 0.

    References
    ----------
    .. [1] D. Hendrycks and K. Gimpel. "A Baseline for Detecting Misclassified and
       Out-of-Distribution Examples in Neural Networks". ICLR 2017.

    Examples
    --------
    >>> msp([[5.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    array([-0.01..., -1.09...])
    """
    largest, index = logits.max(dim=1, keepdim=True)  # (n, 1)
    ratios = ((logits - largest) / temperature).exp().scatter(1, index, 0.0)  # (n, k)
    return -ratios.sum(dim=1).log1p()


@_of_arrays_too
def energy(logits: Tensor, *, temperature: float = 1.0) -> Tensor:
    r"""Compute minus the free energy, which is high if any class has a large logit.

    .. math:: s = T \log \sum_k e^{a_k / T}

    for the logits :math:`a` and the temperature :math:`T`.

    Parameters
    ----------
    logits : array-like or Tensor of shape (n, k)
        Logits, best in float64.

    temperature : float, default=1.0
        Temperature, above 0. As it falls, the score approaches the largest logit.

    Returns
    -------
    ndarray or Tensor of shape (n,)
        Scores, in the units of the logits.

    References
    ----------
    .. [1] W. Liu, X. Wang, J. Owens and Y. Li. "Energy-based Out-of-distribution
       Detection". NeurIPS 2020.

    Examples
    --------
    >>> energy([[5.0, 0.0], [1.0, 1.0]])
    array([5.006..., 1.693...])
    """
    return temperature * (logits / temperature).logsumexp(dim=1)


def logits_of(classifier: BaseEstimator, X: ArrayLike) -> NDArray[np.float64]:
    """Return the logits of a fitted classifier: their softmax is its probabilities.

    Parameters
    ----------
    classifier : estimator
        A fitted classifier of this package, a `SubclusterDetector`, or a
        `HypersphereEnsemble` of classifiers.

    X : array-like of shape (n_samples, n_features) or \
            (n_samples, channels, height, width)
        Samples.

    Returns
    -------
    ndarray of shape (n_samples, n_classes), float64
        Logits, with one column per class even for two classes. Classifiers with centers
        give minus the squared distances, `CACClassifier` minus the distances, and
        ensembles the means over members.

    Raises
    ------
    TypeError
        If `classifier` has no logits.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_hypersphere import MCHADClassifier
    >>> X = np.random.default_rng(0).normal(size=(40, 2))
    >>> classifier = MCHADClassifier(max_epochs=5, random_state=0).fit(X, X[:, 0] > 0)
    >>> logits_of(classifier, X).shape
    (40, 2)
    """
    members, X = _members_and_samples(classifier, X)
    return np.mean([member._outputs(X, member._logits) for member in members], axis=0)


def odin(
    classifier: BaseEstimator,
    X: ArrayLike,
    *,
    temperature: float = 1000.0,
    epsilon: ArrayLike = 0.0014,
) -> NDArray[np.float64]:
    r"""Compute the confidence after a small step toward the predicted class (ODIN).

    .. math:: s(x) = \log \max_k \sigma_k(a(\tilde{x}) / T), \qquad
        \tilde{x} = x + \epsilon \operatorname{sign} \nabla_x
        \log \max_k \sigma_k(a(x) / T)

    for a sample :math:`x`, the logits :math:`a`, their softmax :math:`\sigma`, the
    temperature :math:`T` and the length :math:`\epsilon` of the step. The step raises
    the confidence in samples of known classes more than in others. With ``epsilon=0``
    and ``temperature=1`` the result is :func:`msp`. It takes about three times as long
    as the logits.

    Parameters
    ----------
    classifier : estimator
        A fitted classifier of this package, a `SubclusterDetector`, or a
        `HypersphereEnsemble` of classifiers, whose logits are the means over members.

    X : array-like of shape (n_samples, n_features) or \
            (n_samples, channels, height, width)
        Samples.

    temperature : float, default=1000.0
        Temperature, above 0. The higher it is, the more the smaller logits count.

    epsilon : float or array-like of float, default=0.0014
        Length of the step for each input, at least 0, in the units of `X`: for pixels
        from 0 to 255 the published length is 0.0014 * 255. An array has one length for
        each feature, or for each channel of images, if their scales differ.

    Returns
    -------
    ndarray of shape (n_samples,), float64
        Scores, at most 0.

    Raises
    ------
    TypeError
        If `classifier` has no logits.

    ValueError
        If `epsilon` is negative, or has another shape.

    References
    ----------
    .. [1] S. Liang, Y. Li and R. Srikant. "Enhancing The Reliability of
       Out-of-distribution Image Detection in Neural Networks". ICLR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_hypersphere import MCHADClassifier
    >>> X = np.random.default_rng(0).normal(size=(40, 2))
    >>> classifier = MCHADClassifier(max_epochs=5, random_state=0).fit(X, X[:, 0] > 0)
    >>> odin(classifier, X).shape
    (40,)
    """
    _check_temperature(temperature)
    members, X = _members_and_samples(classifier, X)
    return confidence_after_step(members, X, temperature, epsilon)


def confidence_after_step(members, X, temperature, epsilon):
    """Compute `odin` for the mean logits of estimators, and validated samples."""
    modules = nn.ModuleList()
    with torch.inference_mode(False):
        for member in members:
            module, device = member._module()
            if any(weight.is_inference() for weight in module.parameters()):
                module = deepcopy(module)  # weights of inference mode have no gradient
            modules.append(module)
        steps = as_steps(epsilon, X.shape[1:]).to(device)

    def logits(x):
        # A call of a compiled module would compile it anew, unlike a call of `forward`.
        total = sum(
            member._logits(module.forward(x).double())
            for member, module in zip(members, modules, strict=True)
        )
        return total / len(members)

    def score(x):
        with torch.inference_mode(False), torch.enable_grad():
            x = x.clone().requires_grad_()  # tensors of inference mode have no gradient
            odds = _log_odds(logits(x) / temperature)
            (gradient,) = torch.autograd.grad(odds.sum(), x)
        # At a center the gradient of the distance is NaN, and `sign_` makes it 0.
        nearer = gradient.sign_().mul_(steps).add_(x.detach())
        return msp(logits(nearer), temperature=temperature)

    return map_batches(score, X, device, rows_at_once(X, modules, with_gradient=True))


def _log_odds(logits):
    """Compute the log odds of the largest probability, (n, k) -> (n,).

    They grow with the probability, but their gradient does not vanish near 1.
    """
    largest, index = logits.max(dim=1)
    is_largest = functional.one_hot(index, logits.shape[1]).bool()
    return largest - logits.masked_fill(is_largest, -torch.inf).logsumexp(dim=1)


def _members_and_samples(classifier, X):
    """Return a list of estimators with logits, and validated samples."""
    if not hasattr(classifier, "_logit_members"):
        raise TypeError(
            "classifier must be a classifier of sk_hypersphere, an ensemble of "
            "classifiers or a SubclusterDetector, got "
            f"{type(classifier).__name__}, which has no logits. Use one of these, or a "
            "score of embeddings."
        )
    check_is_fitted(classifier)
    return classifier._logit_members(), classifier._validate(X, reset=False)


def as_steps(epsilon: ArrayLike, shape: tuple[int, ...]) -> Tensor:
    """Return the steps of ODIN as a tensor that broadcasts over samples of a shape.

    Examples
    --------
    >>> as_steps([1, 2, 3], (3, 32, 32)).shape
    torch.Size([3, 1, 1])
    """
    try:
        steps = np.asarray(epsilon, dtype=np.float32)
    except (TypeError, ValueError):  # text, or rows of unequal length
        steps = np.array(np.nan)
    if (
        steps.shape not in ((), shape[:1])
        or not (np.isfinite(steps) & (steps >= 0)).all()
    ):
        raise ValueError(
            f"epsilon must be a number or one for each of the {shape[0]} "
            f"{'features' if len(shape) == 1 else 'channels'}, at least 0, got "
            f"{epsilon!r}. Give it in the units of X."
        )
    return torch.from_numpy(steps.reshape(steps.shape + (1,) * (len(shape) - 1)))


class MahalanobisDistance(BaseEstimator):
    r"""Squared Mahalanobis distance to the nearest class.

    .. math:: s(z) = -\min_k (z - \mu_k)^\top \Sigma^{-1} (z - \mu_k)

    for an embedding :math:`z`, the means :math:`\mu_k` of the classes and the
    covariance :math:`\Sigma` that they share, shrunk as by
    :class:`~sklearn.covariance.LedoitWolf`.

    Attributes
    ----------
    means_ : ndarray of shape (n_classes, n_components)
        Means of the classes.

    covariance_ : ndarray of shape (n_components, n_components)
        The covariance within classes.

    n_features_in_ : int
        Size of an embedding.

    References
    ----------
    .. [1] K. Lee, K. Lee, H. Lee and J. Shin. "A Simple Unified Framework for Detecting
       Out-of-Distribution Samples and Adversarial Attacks". NeurIPS 2018.

    Examples
    --------
    >>> Z, y = [[0.0, 0.0], [0.0, 1.0], [5.0, 0.0], [5.0, 1.0]], [0, 0, 1, 1]
    >>> scores = MahalanobisDistance().fit(Z, y).score_samples([[5.0, 0.5], [2.5, 0.5]])
    >>> bool(scores[0] > scores[1])
    True
    """

    _parameter_constraints: dict = {}

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Estimate means and covariance.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Embeddings, for example what `transform` of a classifier returns.

        y : array-like of shape (n_samples,)
            Classes of the embeddings.

        Returns
        -------
        self : object
        """
        from sklearn.covariance import LedoitWolf  # few users need it

        Z, y = validate_data(
            self, as_array(X), as_array(y), dtype=np.float64, ensure_min_samples=2
        )
        _, labels = classes_and_codes(as_labels(y))
        self.means_, _ = cluster_means(Z, labels)
        within = LedoitWolf(store_precision=False, assume_centered=True)
        within.fit(Z - self.means_[labels])
        self.covariance_ = within.covariance_
        sq_deviations, axes = eigh(self.covariance_)
        least = LEAST_VARIANCE * sq_deviations[-1] or 1.0  # 1 if nothing varies
        self._whiten = axes / np.sqrt(sq_deviations.clip(least))
        return self

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Score embeddings: the lower, the more abnormal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Embeddings.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Minus the squared distance, in squared standard deviations.
        """
        check_is_fitted(self)
        Z = validate_data(self, as_array(X), dtype=np.float64, reset=False)
        origin = self.means_.mean(axis=0)  # its subtraction keeps digits
        # Unlike a matrix product, einsum gives a row the same score in every batch.
        white, means = (
            np.einsum("ij,jk->ik", rows - origin, self._whiten)
            for rows in (Z, self.means_)
        )
        return -cdist(white, means, "sqeuclidean").min(axis=1)


class NeighborDistance(BaseEstimator):
    r"""Mean distance to the nearest training embeddings.

    .. math:: s(z) = -\frac{1}{m} \sum_{i \in N_m(z)} d(z, z_i)

    where :math:`N_m(z)` are the :math:`m` nearest neighbours of the embedding :math:`z`
    among the training embeddings :math:`z_i` that are kept, and :math:`d` is the
    metric. A training embedding is not its own neighbour. It is recognized by its
    values, up to 1e-4 of its length, which is more than devices differ by; if it has
    copies, only one of them is left out.

    Parameters
    ----------
    n_neighbors : int, default=5
        Number of nearest neighbours, at least 1; with fewer in training, all count.

    metric : {"euclidean", "cosine"}, default="euclidean"
        Metric of the distances between embeddings.

    max_candidates : int or None, default=10_000
        Largest number of training embeddings that are kept, at least 2. If there are
        more, this many are chosen evenly among them. More candidates make scores slower
        and finer. None keeps all, and the time to score as many samples as there are
        training embeddings is quadratic.

    Attributes
    ----------
    neighbors_ : NearestNeighbors
        scikit-learn's nearest neighbour search among the training embeddings that are
        kept; for "cosine", among their directions.

    embeddings_ : ndarray of shape (n_candidates, n_components)
        The training embeddings that are kept.

    n_features_in_ : int
        Size of an embedding.

    Examples
    --------
    >>> scorer = NeighborDistance(n_neighbors=1).fit([[0.0], [1.0], [3.0]])
    >>> scorer.score_samples([[3.0], [3.5]])
    array([-2. , -0.5])
    """

    _parameter_constraints: dict = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "metric": [StrOptions({"euclidean", "cosine"})],
        "max_candidates": [Interval(Integral, 2, None, closed="left"), None],
    }

    def __init__(
        self,
        n_neighbors: int = 5,
        *,
        metric: str = "euclidean",
        max_candidates: int | None = 10_000,
    ):
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.max_candidates = max_candidates

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Keep the training embeddings.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Embeddings, at least two.

        y : None
            Ignored.

        Returns
        -------
        self : object
        """
        # This import takes longer than the import of this package, so it is here.
        from sklearn.neighbors import NearestNeighbors

        dtypes = [np.float64, np.float32]
        Z = validate_data(self, as_array(X), dtype=dtypes, ensure_min_samples=2)
        if self.max_candidates is not None:
            Z = Z[evenly_spaced(len(Z), self.max_candidates)]
        # One more neighbour is searched, because a sample finds itself.
        n_neighbors = min(self.n_neighbors, len(Z) - 1) + 1
        self.neighbors_ = NearestNeighbors(n_neighbors=n_neighbors).fit(self._place(Z))
        self.embeddings_ = Z
        return self

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Score embeddings: the lower, the more abnormal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Embeddings.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Minus the mean distance.
        """
        check_is_fitted(self)
        dtype = self.embeddings_.dtype
        Z = validate_data(self, as_array(X), dtype=dtype, reset=False)
        places = self._place(Z)
        _, nearest = self.neighbors_.kneighbors(places)  # (n, m + 1)
        distances, is_itself = np.empty(nearest.shape), np.empty(nearest.shape, bool)
        for j, column in enumerate(nearest.T):
            others = self.embeddings_[column]
            is_itself[:, j] = _gaps(others, Z) <= SAME * np.linalg.norm(Z, axis=1)
            distances[:, j] = _gaps(self._place(others), places)
        # One neighbour is dropped: the sample itself or a copy, else the farthest one.
        is_itself[:, -1] |= ~is_itself.any(axis=1)
        dropped = is_itself.argmax(axis=1)[:, None]
        kept = distances[np.arange(nearest.shape[1]) != dropped].reshape(len(Z), -1)
        return -(kept**2 / 2 if self.metric == "cosine" else kept).mean(axis=1)

    def _place(self, X):
        """Map embeddings to points whose Euclidean distances follow the metric."""
        return directions(X) if self.metric == "cosine" else X


def _gaps(A, B):
    """Compute the distances between the rows of two arrays, (n,).

    The distances of the search have the rounding errors of the squared lengths.
    """
    differences = np.subtract(A, B, dtype=np.float64)
    return np.sqrt(np.einsum("ij,ij->i", differences, differences))
