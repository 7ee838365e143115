"""How sure a classifier is: scores of samples from its logits or its embeddings.

As everywhere, the lower a score, the more abnormal the sample. These are the scores
that :class:`~sk_hypersphere.SubclusterDetector` chooses from; they work for every
fitted classifier of this package too.
"""

from functools import wraps
from numbers import Integral, Real

import numpy as np
import torch
from scipy.linalg import eigh
from sklearn.base import BaseEstimator, _fit_context
from sklearn.covariance import LedoitWolf
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_array, check_scalar
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from sk_hypersphere._batches import map_batches

__all__ = [
    "MahalanobisDistance",
    "NeighborDistance",
    "energy",
    "logits_of",
    "msp",
    "odin",
]

# Gradients keep the activations of a batch, which makes a smaller one quicker.
GRADIENT_BATCH_SIZE = 512

# Of the largest variance: what varies less, within the digits of float32, says nothing.
LEAST_VARIANCE = 1e-10


def of_arrays_too(function):
    """Let a function of a tensor of logits take an array, and return one.

    `temperature` is checked, and is given by its name only.
    """

    @wraps(function)
    def wrapped(logits, *, temperature=1.0):
        check_temperature(temperature)
        if isinstance(logits, torch.Tensor):
            return function(logits, temperature=temperature)
        logits = check_array(logits, dtype=np.float64, input_name="logits")
        return function(torch.tensor(logits), temperature=temperature).numpy()

    return wrapped


def check_temperature(temperature):
    check_scalar(
        temperature, "temperature", Real, min_val=0, include_boundaries="neither"
    )


@of_arrays_too
def msp(logits, *, temperature=1.0):
    r"""Logarithm of the maximum softmax probability.

    .. math:: s = \log \max_k \sigma_k(a / T) = -\log \Bigl(1 + \sum_{j \ne k^*}
        e^{(a_j - a_{k^*}) / T}\Bigr), \qquad k^* = \arg\max_k a_k

    for the logits :math:`a`, their softmax :math:`\sigma` and the temperature
    :math:`T`. It ranks as the probability does, and also where all of these are 1, or
    :math:`1 / k`, to the last digit.

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


@of_arrays_too
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
        A fitted classifier of this package, or a `SubclusterDetector`.

    X : array-like of shape (n_samples, n_features) or \
            (n_samples, channels, height, width)
        Samples.

    Returns
    -------
    ndarray of shape (n_samples, n_classes), float64
        Also for two classes. Of classifiers with centers, minus the squared distances;
        of `CACClassifier`, minus the distances.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_hypersphere import MCHADClassifier
    >>> X = np.random.default_rng(0).normal(size=(40, 2))
    >>> classifier = MCHADClassifier(max_epochs=5, random_state=0).fit(X, X[:, 0] > 0)
    >>> logits_of(classifier, X).shape
    (40, 2)
    """
    X = valid_samples(classifier, X)
    return classifier._outputs(X, classifier._logits)


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
        A fitted classifier of this package, or a `SubclusterDetector`.

    X : array-like of shape (n_samples, n_features) or \
            (n_samples, channels, height, width)
        Samples.

    temperature : float, default=1000.0
        Above 0. The higher, the more all logits count beside the largest.

    epsilon : float or array-like of float, default=0.0014
        Length of the step for each input, in the units of `X`; or one for each
        feature, or channel of images, where their scales differ. At least 0.

    Returns
    -------
    ndarray of shape (n_samples,), float64
        At most 0.

    Raises
    ------
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
    check_temperature(temperature)
    X = valid_samples(classifier, X)
    return confidence_after_step(classifier, X, temperature, epsilon)


def confidence_after_step(classifier, X, temperature, epsilon):
    """As `odin`, for an array that is known to be valid."""
    module, device = classifier._module()
    steps = as_steps(epsilon, X.shape[1:]).to(device)

    def logits(x):
        return classifier._logits(module(x).double())

    def score(x):
        with torch.inference_mode(False), torch.enable_grad():
            x = x.clone().requires_grad_()  # what inference mode made has no gradient
            confidence = (logits(x) / temperature).log_softmax(dim=1).max(dim=1).values
            (gradient,) = torch.autograd.grad(confidence.sum(), x)
        # On a center, the gradient of a distance is not defined.
        direction = gradient.sign().nan_to_num_(0.0)
        return msp(logits(x.detach() + steps * direction), temperature=temperature)

    return map_batches(score, X, device, GRADIENT_BATCH_SIZE)


def valid_samples(classifier, X):
    """Samples for a fitted classifier that has logits."""
    if not hasattr(classifier, "_logits"):
        raise TypeError(
            "classifier must be a classifier of sk_hypersphere or a SubclusterDetector"
            f", got {type(classifier).__name__}, which has no logits. Use one of "
            "these, or scores of embeddings."
        )
    check_is_fitted(classifier)
    return classifier._validate(X, reset=False)


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
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        _, y = np.unique(y, return_inverse=True)
        members = np.eye(y.max() + 1)[y]  # (n, k)
        self.means_ = members.T @ X / members.sum(axis=0)[:, None]
        within = LedoitWolf(assume_centered=True).fit(X - self.means_[y])
        self.covariance_ = within.covariance_
        sq_deviations, axes = eigh(self.covariance_)
        least = LEAST_VARIANCE * sq_deviations[-1] or 1.0
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
            Minus the squared distance, which is in standard deviations.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        origin = self.means_.mean(axis=0)  # far from it, digits would be lost
        _, sq_distances = pairwise_distances_argmin_min(
            (X - origin) @ self._whiten,
            (self.means_ - origin) @ self._whiten,
            metric="sqeuclidean",
        )
        return -sq_distances


class NeighborDistance(BaseEstimator):
    r"""Mean distance to the nearest training embeddings.

    .. math:: s(z) = -\frac{1}{m} \sum_{i \in N_m(z)} d(z, z_i)

    where :math:`N_m(z)` are the :math:`m` nearest of the training embeddings
    :math:`z_i`, and :math:`d` the metric. A training embedding that is scored does not
    count itself; it is told by its numbers, so that of exact copies one does not count.

    Parameters
    ----------
    n_neighbors : int, default=5
        How many neighbours count, at least 1; with fewer others in training, all do.

    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance of two embeddings.

    Attributes
    ----------
    neighbors_ : NearestNeighbors
        scikit-learn's search among the training embeddings.

    embeddings_ : ndarray of shape (n_samples, n_components)
        The training embeddings.

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
    }

    def __init__(self, n_neighbors=5, *, metric="euclidean"):
        self.n_neighbors = n_neighbors
        self.metric = metric

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
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        n_neighbors = min(self.n_neighbors, len(X) - 1)
        # One more, for the sample itself.
        search = NearestNeighbors(n_neighbors=n_neighbors + 1, metric=self.metric)
        self.neighbors_ = search.fit(X)
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
        X = validate_data(self, X, dtype=self.embeddings_.dtype, reset=False)
        distances, nearest = self.neighbors_.kneighbors(X)  # (n, m + 1)
        is_itself = np.stack(
            [(self.embeddings_[column] == X).all(axis=1) for column in nearest.T],
            axis=1,
        )
        # Of itself and its copies, one does not count; else the farthest does not.
        is_itself[:, -1] |= ~is_itself.any(axis=1)
        dropped = is_itself.argmax(axis=1)[:, None]
        others = distances[np.arange(nearest.shape[1]) != dropped]
        return -others.reshape(len(X), -1).mean(axis=1, dtype=np.float64)
