"""What the classifiers share: labels, probabilities, rejection, example anomalies."""

from functools import partial
from numbers import Real

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from torch.nn import functional

from sk_hypersphere._base import BaseHypersphereScorer, Plan
from sk_hypersphere._batches import auto_epochs, shuffled, with_outliers
from sk_hypersphere._labels import is_label, replace_where
from sk_hypersphere._skorch import LowerLearningRate

# Example anomalies in the labels of a plan; classes are 0..n_classes-1.
OUTLIER = -1

# Of learned centers from the origin, near which an untrained encoder has all samples:
# as far as margins reach by default. Nearer, samples of known classes soon lie farther
# from their center than novelties, which stay behind; farther costs accuracy.
START_DISTANCE = 2.0


def initial_centers(n_classes, n_components):
    """Where learned centers start, (n_classes, n_components): each on its own axis.

    With fewer components than classes their directions are random, from torch's stream.
    """
    if n_classes <= n_components:
        return START_DISTANCE * torch.eye(n_classes, n_components)
    directions = functional.normalize(torch.randn(n_classes, n_components))
    return START_DISTANCE * directions


def hold_out(y, fraction, random_state):
    """Draw a fraction of each class, rounded down: sorted indices into labels, (n,)."""
    drawn = [
        random_state.permutation(members)[: int(fraction * len(members))]
        for members in (np.flatnonzero(y == k) for k in range(y.max() + 1))
    ]
    return np.sort(np.concatenate(drawn))


class BaseHypersphereClassifier(ClassifierMixin, BaseHypersphereScorer):
    """A classifier with a center for each class, scores and a threshold.

    What is trained is said in two hooks, :meth:`_make_head` and :meth:`_make_loss`.
    """

    _parameter_constraints: dict = {
        **BaseHypersphereScorer._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "outlier_label": [Real, str, None],
        "reject": ["boolean"],
        "calibration_fraction": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self, *, alpha, beta, outlier_label, reject, calibration_fraction, **params
    ):
        super().__init__(**params)
        self.alpha = alpha
        self.beta = beta
        self.outlier_label = outlier_label
        self.reject = reject
        self.calibration_fraction = calibration_fraction

    def _make_head(self, former):
        """What is trained upon the encoder, given that of the last fit or None."""
        raise NotImplementedError

    def _make_loss(self):
        """What is minimised: a function of the head's output and the labels."""
        raise NotImplementedError

    def _sampler(self):
        return shuffled

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Learn the encoder and the centers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Training samples: float, or uint8, which is cast to float batch by batch.

        y : array-like of shape (n_samples,)
            Their classes, of any type, or `outlier_label`.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        NonFiniteLossError
            If the loss becomes infinite or NaN.
        """
        return self._fit(X, y)

    def _check_y(self, X, y):
        name = type(self).__name__
        if y is None:
            raise ValueError(
                f"This {name} estimator requires y to be passed, but the target y is "
                "None. Give the class of every sample."
            )
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        assert_all_finite(y, estimator_name=name, input_name="y")
        self._check_reject()
        is_outlier = is_label(y, self.outlier_label)
        if is_outlier.all():
            raise ValueError(
                f"y must hold at least one class, got {len(y)} times "
                f"outlier_label={self.outlier_label!r}. Add samples of known classes."
            )
        check_classification_targets(y[~is_outlier])
        classes, codes = np.unique(y[~is_outlier], return_inverse=True)
        goes_on = self.warm_start and hasattr(self, "net_")
        if goes_on and not np.array_equal(classes, self.classes_):
            raise ValueError(
                "y must hold the classes of the last fit under warm_start=True, "
                f"{self.classes_}, got {classes}. Set warm_start=False."
            )
        self.classes_ = classes
        labels = np.full(len(y), OUTLIER)
        labels[~is_outlier] = codes
        return labels

    def _check_reject(self):
        if self.reject and self.outlier_label is None:
            raise ValueError(
                "outlier_label must be set if reject=True, as what predict returns for "
                "anomalies, got None. Set outlier_label=-1, or another label."
            )

    def _plan(self, encoder, head, X, y, run):
        held_out = hold_out(y, self.calibration_fraction, run.random_state)
        self.calibration_indices_ = held_out
        epochs = auto_epochs(np.sum(y != OUTLIER) - len(held_out), self.batch_size)
        return Plan(
            head=self._make_head(head),
            loss=self._make_loss(),
            y=y,
            max_epochs=self._auto("max_epochs", epochs),
            lr=self._auto("lr", 1e-3),
            callbacks=[LowerLearningRate()] if self.lr == "auto" else [],
            sampler=self._sampler(),
            held_out=held_out,
        )

    def _keep(self, rows):
        self.centers_ = self.net_.module_.head.centers.numpy(force=True).copy()
        held_out = self.calibration_indices_
        if len(held_out):
            scores = self._outputs(rows.X[held_out], self._score)
        else:
            scores = self._outputs(rows.X, self._score)[rows.y != OUTLIER]
        self.offset_ = self._contamination_quantile(scores)

    def _trained(self, rows):
        """Which samples of known classes were trained on, (n,)."""
        trained = rows.y != OUTLIER
        trained[self.calibration_indices_] = False
        return trained

    def _score(self, output):
        sq_radii = self.net_.module_.head.sq_radii
        return (sq_radii - output[:, : len(sq_radii)]).amax(dim=1)  # (m, k) -> (m,)

    def _sq_distances(self, X):
        """Squared distances of samples to the centers, (n, k)."""
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        return self._outputs(X, lambda output: output[:, : len(self.classes_)])

    def predict(self, X):
        """Say which class samples belong to.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The class whose center is nearest; if `reject`, `outlier_label` for samples
            that score below `offset_`.
        """
        nearest = self._sq_distances(X).argmin(axis=1)
        y = self.classes_[nearest]
        if not self.reject:
            return y
        self._check_reject()
        return replace_where(self.detect(X) < 0, y, self.outlier_label)

    def predict_proba(self, X):
        r"""Probabilities of the classes, given that a sample belongs to one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            :math:`e^{-d_k^2} / \sum_j e^{-d_j^2}` for the distances :math:`d_k` to the
            centers. They sum to 1, also far from all centers.
        """
        return softmax(-self._sq_distances(X), axis=1)

    def decision_function(self, X):
        r"""Confidence in each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples.

        Returns
        -------
        decisions : ndarray of shape (n_samples, n_classes), or (n_samples,) if \
                there are two classes
            :math:`-d_k^2` for the distances :math:`d_k` to the centers; of two classes,
            :math:`d_0^2 - d_1^2`, above 0 for ``classes_[1]``.
        """
        sq_distances = self._sq_distances(X)
        if len(self.classes_) == 2:
            return sq_distances[:, 0] - sq_distances[:, 1]
        return -sq_distances

    def detect(self, X):
        """Say which samples are anomalies.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
            -1 for anomalies, which score below `offset_`, +1 for the rest.
        """
        return np.where(self.score_samples(X) < self.offset_, -1, 1)

    def score(self, X, y, sample_weight=None):
        """Accuracy.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples.

        y : array-like of shape (n_samples,)
            Their classes. Samples labelled `outlier_label` do not count, unless
            `reject`: then the right answer for them is that label.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        accuracy : float
            Share of the samples whose class is predicted.
        """
        y = column_or_1d(y)
        counts = ~is_label(y, None if self.reject else self.outlier_label)
        if sample_weight is not None:
            sample_weight = np.asarray(sample_weight)[counts]
        return float(np.average((self.predict(X) == y)[counts], weights=sample_weight))


class GeneralizedClassifier(BaseHypersphereClassifier):
    """A classifier whose loss has a term for example anomalies."""

    _parameter_constraints: dict = {
        **BaseHypersphereClassifier._parameter_constraints,
        "gamma": [Interval(Real, 0, None, closed="left")],
        "radius": [Interval(Real, 0, None, closed="left"), "array-like"],
        "margin": [Interval(Real, 0, None, closed="left"), "array-like"],
        "outlier_ratio": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, *, gamma, radius, margin, outlier_ratio, **params):
        super().__init__(**params)
        self.gamma = gamma
        self.radius = radius
        self.margin = margin
        self.outlier_ratio = outlier_ratio

    def _sampler(self):
        return partial(with_outliers, ratio=self.outlier_ratio)

    def _loss_params(self):
        """Weights, radii and margins, as the losses take them."""
        return {
            "alpha": self.alpha,
            "beta": self.beta,
            "gamma": self.gamma,
            "radius": self._per_class("radius"),
            "margin": self._per_class("margin"),
        }

    def _per_class(self, name):
        """Values of a parameter, one for each class."""
        values = np.asarray(getattr(self, name), dtype=np.float64)
        n_classes = len(self.classes_)
        fits = values.shape in ((), (n_classes,))
        if not fits or not np.isfinite(values).all() or (values < 0).any():
            raise ValueError(
                f"{name} must be a number or one for each of the {n_classes} classes, "
                f"finite and at least 0, got {getattr(self, name)!r}. Give them in the "
                "sorted order of the classes."
            )
        return np.broadcast_to(values, n_classes).copy()

    def _keep(self, rows):
        radii = torch.from_numpy(self._per_class("radius"))
        self.net_.module_.head.sq_radii.copy_(radii.square())
        super()._keep(rows)
