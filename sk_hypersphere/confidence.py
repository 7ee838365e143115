"""How sure a classifier is: scores of samples from its logits or its embeddings.

As everywhere, the lower a score, the more abnormal the sample. These are the scores
that :class:`~sk_hypersphere.SubclusterDetector` chooses from; they work for every
fitted classifier of this package too, and for ensembles of these.
"""

from copy import deepcopy
from functools import wraps
from numbers import Integral, Real

import numpy as np
import torch
from scipy.linalg import eigh
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn
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

# Of the length of an embedding: what is nearer is the same sample.
SAME = 1e-4

# Of the largest variance: what varies less, within the digits of float32, says nothing.
LEAST_VARIANCE = 1e-10


def _of_arrays_too(function):
    """Let a function of a tensor of logits take an array, and return one.

    `temperature` is checked, and is given by its name only.
    """

    @wraps(function)
    def wrapped(logits, *, temperature=1.0):
        _check_temperature(temperature)
        if isinstance(logits, torch.Tensor):
            return function(logits, temperature=temperature)
        logits = check_array(logits, dtype=np.float64, input_name="logits")
        return function(torch.tensor(logits), temperature=temperature).numpy()

    return wrapped


def _check_temperature(temperature):
    if not isinstance(temperature, Real) or not 0 < temperature < np.inf:
        raise ValueError(
            f"temperature must be a number above 0, got {temperature!r}. Use 1.0 for "
            "probabilities as they are."
        )


@_of_arrays_too
def msp(logits, *, temperature=1.0):
    r"""Logarithm of the maximum softmax probability.

    .. math:: s = \log \max_k \sigma_k(a / T) = -\log \Bigl(1 + \sum_{j \ne k^*}
        e^{(a_j - a_{k^*}) / T}\Bigr), \qquad k^* = \arg\max_k a_k

    for the logits :math:`a`, their softmax :math:`\sigma` and the temperature
    :math:`T`. It ranks as the probability does, and also where all of these are 1, or
    :math:`1 / k`, to the last digit, unless the largest logit leads by 700 :math:`T`.

    Parameters
    ----------
    logits : array-like or Tensor of shape (n, k)
        Best in float64.

    temperature : float, default=1.0
        Above 0. The higher, the more all logits count beside the largest.

    Returns
    -------
    ndarray or Tensor of shape (n,)
        At most 0.

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
def energy(logits, *, temperature=1.0):
    r"""Minus the free energy, which is high where any class has a large logit.

    .. math:: s = T \log \sum_k e^{a_k / T}

    for the logits :math:`a` and the temperature :math:`T`.

    Parameters
    ----------
    logits : array-like or Tensor of shape (n, k)
        Best in float64.

    temperature : float, default=1.0
        Above 0. As it falls, the score becomes the largest logit.

    Returns
    -------
    ndarray or Tensor of shape (n,)
        In the units of the logits.

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


def logits_of(classifier, X):
    """What the probabilities of a fitted classifier are the softmax of.

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
        Also for two classes. Of classifiers with centers, minus the squared distances;
        of `CACClassifier`, minus the distances; of ensembles, the means over members.

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


def odin(classifier, X, *, temperature=1000.0, epsilon=0.0014):
    r"""Confidence after a small step toward what the classifier believes (ODIN).

    .. math:: s(x) = \log \max_k \sigma_k(a(\tilde{x}) / T), \qquad
        \tilde{x} = x + \epsilon \operatorname{sign} \nabla_x
        \log \max_k \sigma_k(a(x) / T)

    for the logits :math:`a`, their softmax :math:`\sigma` and the temperature
    :math:`T`. The step helps samples of known classes more than others. With
    ``epsilon=0`` and ``temperature=1`` it is :func:`msp`. It costs about three times
    what the logits cost.

    Parameters
    ----------
    classifier : estimator
        A fitted classifier of this package, a `SubclusterDetector`, or a
        `HypersphereEnsemble` of classifiers, whose logits are the means over members.

    X : array-like of shape (n_samples, n_features) or \
            (n_samples, channels, height, width)
        Samples.

    temperature : float, default=1000.0
        Above 0. The higher, the more all logits count beside the largest.

    epsilon : float or array-like of float, default=0.0014
        Length of the step for each input, in the units of `X`: for pixels from 0 to 255
        the published one is 0.0014 * 255. Or one for each feature, or channel of
        images, where their scales differ. At least 0.

    Returns
    -------
    ndarray of shape (n_samples,), float64
        At most 0.

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
    """As `odin`, for estimators whose mean logits count, and a valid array."""
    modules = nn.ModuleList()
    with torch.inference_mode(False):
        for member in members:
            module, device = member._module()
            if any(weight.is_inference() for weight in module.parameters()):
                module = deepcopy(module)  # it was loaded in inference mode
            modules.append(module)
        steps = as_steps(epsilon, X.shape[1:]).to(device)

    def logits(x):
        # `forward`, because calling a module that is compiled would compile it anew.
        total = sum(
            member._logits(module.forward(x).double())
            for member, module in zip(members, modules, strict=True)
        )
        return total / len(members)

    def score(x):
        with torch.inference_mode(False), torch.enable_grad():
            x = x.clone().requires_grad_()  # what inference mode made has no gradient
            odds = _log_odds(logits(x) / temperature)
            (gradient,) = torch.autograd.grad(odds.sum(), x)
        # The sign is 0 for NaN, the gradient of a distance to a center on that center.
        nearer = gradient.sign_().mul_(steps).add_(x.detach())
        return msp(logits(nearer), temperature=temperature)

    return map_batches(score, X, device, rows_at_once(X, modules, with_gradient=True))


def _log_odds(logits):
    """Logarithm of the odds of the largest probability, (n, k) -> (n,).

    It grows with the probability, but its gradient does not vanish near 1.
    """
    largest, index = logits.max(dim=1)
    is_largest = functional.one_hot(index, logits.shape[1]).bool()
    return largest - logits.masked_fill(is_largest, -torch.inf).logsumexp(dim=1)


def _members_and_samples(classifier, X):
    """Estimators with logits, one or those of an ensemble, and samples for them."""
    if not hasattr(classifier, "_logit_members"):
        raise TypeError(
            "classifier must be a classifier of sk_hypersphere, an ensemble of these or"
            f" a SubclusterDetector, got {type(classifier).__name__}, which has no "
            "logits. Use one of these, or scores of embeddings."
        )
    check_is_fitted(classifier)
    return classifier._logit_members(), classifier._validate(X, reset=False)


def as_steps(epsilon, shape):
    """Steps of ODIN for samples of a shape, as a tensor that broadcasts over them.

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

    with the means :math:`\mu_k` of the classes and the covariance :math:`\Sigma` that
    they share, shrunk as by :class:`~sklearn.covariance.LedoitWolf`.

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
    def fit(self, X, y):
        """Estimate means and covariance.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Embeddings, for example what `transform` of a classifier returns.

        y : array-like of shape (n_samples,)
            Their classes.

        Returns
        -------
        self : object
        """
        from sklearn.covariance import LedoitWolf  # here, because few need it

        X, y = validate_data(
            self, as_array(X), as_array(y), dtype=np.float64, ensure_min_samples=2
        )
        _, labels = classes_and_codes(as_labels(y))
        self.means_, _ = cluster_means(X, labels)
        within = LedoitWolf(store_precision=False, assume_centered=True)
        within.fit(X - self.means_[labels])
        self.covariance_ = within.covariance_
        sq_deviations, axes = eigh(self.covariance_)
        least = LEAST_VARIANCE * sq_deviations[-1] or 1.0  # unless nothing varies
        self._whiten = axes / np.sqrt(sq_deviations.clip(least))
        return self

    def score_samples(self, X):
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
        X = validate_data(self, as_array(X), dtype=np.float64, reset=False)
        origin = self.means_.mean(axis=0)  # far from it, digits would be lost
        # Unlike a matrix product, it does not depend on what else is scored.
        white, means = (
            np.einsum("ij,jk->ik", rows - origin, self._whiten)
            for rows in (X, self.means_)
        )
        return -cdist(white, means, "sqeuclidean").min(axis=1)


class NeighborDistance(BaseEstimator):
    r"""Mean distance to the nearest training embeddings.

    .. math:: s(z) = -\frac{1}{m} \sum_{i \in N_m(z)} d(z, z_i)

    where :math:`N_m(z)` are the :math:`m` nearest of the training embeddings
    :math:`z_i` that are kept, and :math:`d` the metric. A training embedding that is
    scored does not count itself. It is told by its numbers, up to 1e-4 of its length,
    which is more than devices differ by: of copies, one does not count.

    Parameters
    ----------
    n_neighbors : int, default=5
        How many neighbours count, at least 1; with fewer others in training, all do.

    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance of two embeddings.

    max_candidates : int or None, default=10_000
        Training embeddings that are kept to compare with, at least 2; of more, so many
        are spread evenly over all. The time of a score grows with them, and how fine
        the differences are that it sees. None keeps all, and the time for as many
        scores as training embeddings is quadratic.

    Attributes
    ----------
    neighbors_ : NearestNeighbors
        scikit-learn's search among the training embeddings that are kept; for "cosine",
        among their directions.

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

    def __init__(self, n_neighbors=5, *, metric="euclidean", max_candidates=10_000):
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.max_candidates = max_candidates

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Remember the training embeddings.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Embeddings, two at least.

        y : None
            Ignored.

        Returns
        -------
        self : object
        """
        # Here, because importing it takes longer than all of this package.
        from sklearn.neighbors import NearestNeighbors

        dtypes = [np.float64, np.float32]
        X = validate_data(self, as_array(X), dtype=dtypes, ensure_min_samples=2)
        if self.max_candidates is not None:
            X = X[evenly_spaced(len(X), self.max_candidates)]
        # One more, for the sample itself.
        n_neighbors = min(self.n_neighbors, len(X) - 1) + 1
        self.neighbors_ = NearestNeighbors(n_neighbors=n_neighbors).fit(self._place(X))
        self.embeddings_ = X
        return self

    def score_samples(self, X):
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
        X = validate_data(self, as_array(X), dtype=dtype, reset=False)
        places = self._place(X)
        _, nearest = self.neighbors_.kneighbors(places)  # (n, m + 1)
        distances, is_itself = np.empty(nearest.shape), np.empty(nearest.shape, bool)
        for j, column in enumerate(nearest.T):
            others = self.embeddings_[column]
            is_itself[:, j] = _gaps(others, X) <= SAME * np.linalg.norm(X, axis=1)
            distances[:, j] = _gaps(self._place(others), places)
        # Of itself and its copies, one does not count; else the farthest does not.
        is_itself[:, -1] |= ~is_itself.any(axis=1)
        dropped = is_itself.argmax(axis=1)[:, None]
        kept = distances[np.arange(nearest.shape[1]) != dropped].reshape(len(X), -1)
        return -(kept**2 / 2 if self.metric == "cosine" else kept).mean(axis=1)

    def _place(self, X):
        """Points whose Euclidean distances say how far apart embeddings are."""
        return directions(X) if self.metric == "cosine" else X


def _gaps(A, B):
    """Distances between the rows of two arrays, (n,).

    Those of the search have the rounding errors of the squared lengths.
    """
    differences = np.subtract(A, B, dtype=np.float64)
    return np.sqrt(np.einsum("ij,ij->i", differences, differences))
