"""What the detectors share that may be shown a few anomalies."""

from functools import partial
from math import ceil
from numbers import Real

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import Interval, StrOptions

from sk_hypersphere._base import BaseHypersphereDetector, Plan
from sk_hypersphere._batches import mix_outliers, shuffled, with_outliers
from sk_hypersphere._labels import binary_labels
from sk_hypersphere._skorch import Schedule
from sk_hypersphere._threshold import WITH_BOUNDARY, placing

# How many batches are enough for a few anomalies, which are soon learned by heart, and
# with which learning rate.
LEAST_STEPS = {"rows": 50, "images": 150}
LEARNING_RATES = {"rows": 5e-4, "images": 1e-3}

# How often every anomaly is seen, if that takes longer, within so many epochs.
PASSES = 5
MOST_EPOCHS = 100


def few_anomalies_schedule(X, y, batch_size, outlier_ratio, max_epochs="auto"):
    """For samples of which some are example anomalies.

    Whole epochs may have more batches than are wanted. The learning rate is then less
    in proportion: what counts is how far the weights can move.

    Parameters
    ----------
    X : array
        Rows or images.

    y : ndarray of shape (n,)
        Labels of those that are trained on; those of anomalies are below 0.

    batch_size : int
        Largest number of other samples in a batch.

    outlier_ratio : float
        Anomalies in a batch over other samples.

    max_epochs : int or "auto", default="auto"
        Where a number is given, the learning rate does not depend on it.

    Returns
    -------
    Schedule

    Examples
    --------
    >>> X, y = np.zeros((1290, 4)), np.repeat([0, -1], [1280, 10])
    >>> few_anomalies_schedule(X, y, batch_size=128, outlier_ratio=1.0)
    Schedule(max_epochs=5, lr=0.0005, lowers=False)
    >>> few_anomalies_schedule(X, y, batch_size=8, outlier_ratio=1.0)
    Schedule(max_epochs=1, lr=0.00015625, lowers=False)
    """
    kind = "rows" if X.ndim == 2 else "images"
    lr, lowers = LEARNING_RATES[kind], kind == "images"
    if max_epochs != "auto":
        return Schedule(max_epochs, lr, lowers)
    n_anomalies = int(np.sum(y < 0))
    n_normal = len(y) - n_anomalies
    n_batches = ceil(n_normal / batch_size)
    for_all = PASSES * n_anomalies / ceil(outlier_ratio * n_normal / n_batches)
    n_steps = max(LEAST_STEPS[kind], min(for_all, MOST_EPOCHS * n_batches))
    n_epochs = ceil(n_steps / n_batches)
    return Schedule(n_epochs, lr * (n_steps / (n_epochs * n_batches)), lowers)


def with_anomalies(y, batch_size, random_state, *, ratio):
    """As `with_outliers`, but there have to be some among the labels, (n,)."""
    if not np.any(y < 0):
        raise ValueError(
            "train_split must leave example anomalies to train on, got none in "
            f"{len(y)} labels: all are held out for validation. Label more anomalies "
            "and split by ValidSplit(stratified=True), or do without a split."
        )
    return with_outliers(y, batch_size, random_state, ratio=ratio)


class BaseExampleDetector(BaseHypersphereDetector):
    """A detector that reads example anomalies from labels.

    Labels of its plan are -1 for example anomalies, 0 and +1 for other rows. Only the
    scores of the latter place the threshold.
    """

    _parameter_constraints: dict = {
        **BaseHypersphereDetector._parameter_constraints,
        "anomaly_label": [Interval(Real, None, None, closed="neither"), str, None],
        "contamination": WITH_BOUNDARY,
    }

    def __init__(self, *, anomaly_label, **params):
        super().__init__(**params)
        self.anomaly_label = anomaly_label

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the encoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Training samples: float, or uint8, which is cast to float batch by batch.

        y : array-like of shape (n_samples,), default=None
            Labels, whose meaning `anomaly_label` explains. None: nothing is known.

        Returns
        -------
        self : object
            The fitted detector.

        Raises
        ------
        NonFiniteLossError
            If the loss becomes infinite or NaN.

        Warns
        -----
        SupervisionWarning
            If the labels do not say which samples are anomalies.
        """
        return self._fit(X, y)

    def fit_predict(self, X, y=None):
        """Learn the encoder, and say which training samples are anomalies.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or \
                (n_samples, channels, height, width)
            Training samples.

        y : array-like of shape (n_samples,), default=None
            Labels, as in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
            -1 for anomalies, +1 for the rest.
        """
        return self.fit(X, y).predict(X)

    def _check_y(self, X, y):
        if y is None:
            return np.zeros(len(X), dtype=np.int64)
        check_consistent_length(X, y)
        return binary_labels(y, self.anomaly_label)

    def _known(self, X, y):
        return np.minimum(y, 0)  # all that are not anomalies are of one class

    def _keep_threshold(self, plan, held_out, scores, boundary):
        """Place the threshold, given the scores of all samples, (n,)."""
        self.diagnostics_["n_example_anomalies"] = int(np.sum(plan.y < 0))
        self.diagnostics_["n_distinct_scores"] = len(np.unique(scores))
        scores = scores[placing(held_out, plan.y >= 0)]
        self._set_threshold(scores, held_out, boundary)


class BaseSemiSupervisedDetector(BaseExampleDetector):
    """A detector that learns from labels where there are some."""

    _parameter_constraints: dict = {
        **BaseExampleDetector._parameter_constraints,
        "outlier_ratio": [Interval(Real, 0, None, closed="neither")],
        "mix_anomalies": ["boolean", StrOptions({"auto"})],
    }

    def __init__(self, *, outlier_ratio, mix_anomalies, **params):
        super().__init__(**params)
        self.outlier_ratio = outlier_ratio
        self.mix_anomalies = mix_anomalies

    def _make_plan(self, X, y, module, loss, run, *, without_anomalies, **others):
        """What is trained, and for how long if that is "auto".

        Parameters
        ----------
        X : array of shape (n, ...)
            Training data.

        y : ndarray of shape (n,)
            What :meth:`_check_y` returned.

        module, loss, **others
            See `Plan`.

        run : Run
            See :meth:`_plan`.

        without_anomalies : Schedule
            For the case that there are none.
        """
        if np.any(y < 0):
            schedule = few_anomalies_schedule(
                X,
                np.delete(y, run.held_out),
                self.batch_size,
                self.outlier_ratio,
                self.max_epochs,
            )
            sampler = partial(with_anomalies, ratio=self.outlier_ratio)
            # Between two rows is a row; between two images is a double exposure.
            mixes = self._auto("mix_anomalies", X.ndim == 2)
            transform = mix_outliers if mixes else None
        else:
            schedule = without_anomalies
            sampler, transform = shuffled, None
        return Plan(
            module=module,
            loss=loss,
            schedule=schedule,
            y=y,
            sampler=sampler,
            transform=transform,
            **others,
        )
