"""The parts that classifiers share: labels, probabilities, rejection, anomalies."""

from functools import partial
from numbers import Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted
from torch.nn import functional

from sk_hypersphere._training.samplers import shuffled, with_anomalies
from sk_hypersphere._training.schedules import centers_schedule
from sk_hypersphere.base import _types as t
from sk_hypersphere.base._base import BaseHypersphereScorer, Plan, not_written
from sk_hypersphere.base._labels import (
    accuracy,
    as_labels,
    classes_and_codes,
    is_label,
    replace_where,
)
from sk_hypersphere.base._threshold import placing
from sk_hypersphere.modules import Hypersphere

# Example anomalies in the labels of a plan; classes are 0..n_classes-1.
ANOMALY = -1

# Distance of learned centers from the origin at the start, which is also the default
# margin. An untrained encoder has all samples near the origin. From closer centers,
# samples of known classes would overshoot in the first epochs, and novelties, which
# stay behind, would end up closer to the centers.
START_DISTANCE = 2.0

# Radii and margins are at most this large, or their squares would overflow.
LARGEST_RADIUS = 1e15


def initial_centers(n_classes, n_components):
    """Where learned centers start, (n_classes, n_components): each on its own axis.

    With fewer components than classes their directions are random, from torch's stream.
    """
    if n_classes <= n_components:
        return START_DISTANCE * torch.eye(n_classes, n_components)
    directions = functional.normalize(torch.randn(n_classes, n_components))
    return START_DISTANCE * directions


class BaseHypersphereClassifier(ClassifierMixin, BaseHypersphereScorer):
    """A classifier with a center for each class, scores and a threshold.

    A classifier defines two hooks, :meth:`_make_head` and :meth:`_make_loss`; it may
    define a third, :meth:`_sampler`, for the batches.
    """

    _renamed = {"outlier_label": "anomaly_label"}

    _parameter_constraints: dict = {
        **BaseHypersphereScorer._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "anomaly_label": [Interval(Real, None, None, closed="neither"), str, None],
        "reject": ["boolean"],
    }
    # Parameters that a constructor does not name have these values.
    anomaly_label = None
    reject = False

    def _make_head(self, former):
        """The head upon the encoder, given the head of the last fit or None."""
        raise not_written(self, "_make_head", "gives the centers upon the encoder")

    def _make_loss(self, y):
        """The loss, a function of the output and labels, given all labels (n,)."""
        raise not_written(self, "_make_loss", "gives the loss that is minimized")

    def _sampler(self):
        """The sampler of the batches of an epoch; see `Plan`."""
        return shuffled

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: t.Samples, y: t.Samples) -> Self:
        """Learn the encoder and the centers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Training samples: float, or uint8, which is cast to float batch by batch.

        y : array-like of shape (n_samples,)
            Their classes, of any type, or `anomaly_label`.

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
        y = as_labels(y)
        check_consistent_length(X, y)
        if self.reject and self.anomaly_label is None:
            raise ValueError(
                "anomaly_label must be set if reject=True, because predict returns it "
                "for anomalies, got None. Set anomaly_label=-1, or another label."
            )
        is_anomaly = is_label(y, self.anomaly_label)
        if is_anomaly.all():
            raise ValueError(
                f"y must hold at least one class, got {len(y)} times "
                f"anomaly_label={self.anomaly_label!r}. Add samples of known classes."
            )
        classes, codes = classes_and_codes(y[~is_anomaly])
        goes_on = self.warm_start and hasattr(self, "net_")
        if goes_on and not np.array_equal(classes, self.classes_):
            raise ValueError(
                "y must hold the classes of the last fit under warm_start=True, "
                f"{self.classes_}, got {classes}. Set warm_start=False."
            )
        self.classes_ = classes
        labels = np.full(len(y), ANOMALY)
        labels[~is_anomaly] = codes
        return labels

    def _known(self, X, y):
        return y

    def _plan(self, encoder, former, X, y, run):
        n_trained = np.sum(y != ANOMALY) - len(run.held_out)
        return Plan(
            module=Hypersphere(
                encoder, self._make_head(None if former is None else former.head)
            ),
            loss=self._make_loss(y),
            schedule=centers_schedule(n_trained, self.batch_size),
            y=y,
            sampler=self._sampler(),
        )

    def _keep(self, rows, held_out, plan):
        self.centers_ = self.net_.module_.head.centers.numpy(force=True).copy()
        scores = self._scores(rows.X)[placing(held_out, rows.y != ANOMALY)]
        self._set_threshold(scores, held_out)
        # Later changes of parameters have no effect before the next fit.
        self._rejects_as = self.anomaly_label if self.reject else None
        self._uncounted_label = None if self.reject else self.anomaly_label

    def _score(self, output):
        sq_radii = self.net_.module_.head.sq_radii
        return (sq_radii - self._distances_in(output)).amax(dim=1)  # (m, k) -> (m,)

    def _distances_in(self, output):
        """The squared distances, (m, k), without other outputs of the head."""
        return output[:, : len(self.classes_)]

    def _logits(self, output):
        """Logits, whose softmax are the probabilities, as in the loss, (m, k)."""
        return -self._distances_in(output)

    def _logit_members(self):
        """Members whose mean logits :mod:`sk_hypersphere.confidence` scores."""
        return [self]

    def _of_samples(self, X, function):
        """Apply a function to the output for samples, (n, k)."""
        check_is_fitted(self)
        return self._outputs(self._validate(X, reset=False), function)

    def predict(self, X: t.Samples) -> NDArray[Any]:
        """Say which class samples belong to.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The class whose center is nearest; if `reject` at `fit`, `anomaly_label` for
            samples that score below `offset_`.
        """
        sq_distances = self._of_samples(X, self._distances_in)
        y = self.classes_[sq_distances.argmin(axis=1)]
        if self._rejects_as is None:
            return y
        return replace_where(self.detect(X) < 0, y, self._rejects_as)

    def predict_proba(self, X: t.Samples) -> t.Floats:
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
            centers; in CACClassifier, :math:`d_k` are not squared. They sum to 1, also
            far from all centers.
        """
        return softmax(self._of_samples(X, self._logits), axis=1)

    def decision_function(self, X: t.Samples) -> t.Floats:
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
            :math:`-d_k^2` for the distances :math:`d_k` to the centers; in
            CACClassifier, :math:`d_k` are not squared. Of two classes,
            :math:`d_0^2 - d_1^2`, above 0 for ``classes_[1]``.

        Examples
        --------
        Where anomalies are one of two classes, scikit-learn's classifiers with another
        threshold take this one, for example with a threshold for 20 cases:

        >>> import numpy as np
        >>> from sklearn.datasets import make_blobs
        >>> from sklearn.frozen import FrozenEstimator
        >>> from sklearn.model_selection import FixedThresholdClassifier
        >>> from sk_hypersphere import MCHADClassifier
        >>> X, y = make_blobs(300, centers=[[0, 0], [4, 4], [8, 0]], random_state=0)
        >>> kinds = np.array(["normal", "normal", "anomaly"])[y]
        >>> classifier = MCHADClassifier(random_state=0).fit(X, kinds)
        >>> decisions = classifier.decision_function(X)  # the higher, the more normal
        >>> alarming = FixedThresholdClassifier(
        ...     FrozenEstimator(classifier),
        ...     threshold=np.partition(decisions, 20)[20],
        ...     response_method="decision_function",
        ... ).fit(X, kinds)
        >>> int(np.sum(alarming.predict(X) == "anomaly"))
        20
        """
        logits = self._of_samples(X, self._logits)
        if len(self.classes_) == 2:
            return logits[:, 1] - logits[:, 0]
        return logits

    def detect(self, X: t.Samples) -> NDArray[np.int_]:
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

    def score(
        self, X: t.Samples, y: t.Samples, sample_weight: t.Samples | None = None
    ) -> float:
        """Accuracy.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Samples.

        y : array-like of shape (n_samples,)
            Their classes. Samples labelled `anomaly_label` do not count, unless
            `reject`: then this label is the correct answer for them.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        accuracy : float
            Share of the samples whose class is predicted.
        """
        return accuracy(
            y,
            self.predict(X),
            anomaly_label=self._uncounted_label,
            sample_weight=sample_weight,
        )


class BaseGeneralizedClassifier(BaseHypersphereClassifier):
    """A classifier whose loss has a term for example anomalies."""

    _renamed = {"outlier_label": "anomaly_label", "outlier_ratio": "anomaly_ratio"}

    _parameter_constraints: dict = {
        **BaseHypersphereClassifier._parameter_constraints,
        "gamma": [Interval(Real, 0, None, closed="left")],
        "radius": [Interval(Real, 0, None, closed="left"), "array-like"],
        "margin": [Interval(Real, 0, None, closed="left"), "array-like"],
        "anomaly_ratio": [Interval(Real, 0, None, closed="neither")],
    }

    def _sampler(self):
        return partial(with_anomalies, ratio=self.anomaly_ratio)

    def _loss_params(self, y):
        """Weights, radii and margins, as the losses take them."""
        has_anomalies = (y == ANOMALY).any()
        return {
            "alpha": self.alpha,
            "beta": self.beta,
            "gamma": self.gamma if has_anomalies else None,  # computes nothing then
            "radius": self._per_class("radius"),
            "margin": self._per_class("margin"),
        }

    def _per_class(self, name):
        """Values of a parameter, one for each class."""
        n_classes = len(self.classes_)
        try:
            values = np.asarray(getattr(self, name), dtype=np.float64)
        except ValueError:  # text, or rows of unequal length
            values = np.array(np.nan)
        fits = values.shape in ((), (n_classes,))
        if not fits or not ((values >= 0) & (values <= LARGEST_RADIUS)).all():
            raise ValueError(
                f"{name} must be a number or one for each of the {n_classes} classes, "
                f"from 0 to {LARGEST_RADIUS:g}, got {getattr(self, name)!r}. Give them "
                "in the sorted order of the classes."
            )
        return np.broadcast_to(values, n_classes).copy()

    def _keep(self, rows, held_out, plan):
        radii = torch.from_numpy(self._per_class("radius"))
        self.net_.module_.head.sq_radii.copy_(radii.square())
        super()._keep(rows, held_out, plan)
