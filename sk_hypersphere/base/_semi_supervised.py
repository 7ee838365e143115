"""The parts shared by detectors that learn from a few anomalies."""

from functools import partial
from numbers import Real
from typing import Self

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import Interval, StrOptions

from sk_hypersphere._training.samplers import (
    mix_anomalies,
    shuffled,
    with_some_anomalies,
)
from sk_hypersphere._training.schedules import few_anomalies_schedule
from sk_hypersphere.base import _types as t
from sk_hypersphere.base._base import BaseHypersphereDetector, Plan
from sk_hypersphere.base._labels import binary_labels
from sk_hypersphere.base._threshold import WITH_BOUNDARY, placing


class BaseExampleDetector(BaseHypersphereDetector):
    """A detector that reads example anomalies from labels.

    Labels of its plan are -1 for example anomalies, 0 and +1 for other rows. Only
    scores of the other rows place the threshold.
    """

    _parameter_constraints: dict = {
        **BaseHypersphereDetector._parameter_constraints,
        "anomaly_label": [Interval(Real, None, None, closed="neither"), str, None],
        "contamination": WITH_BOUNDARY,
    }
    anomaly_label = None  # unless a constructor names it

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: t.Samples, y: t.Samples | None = None) -> Self:
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

    _renamed = {"outlier_ratio": "anomaly_ratio"}

    _parameter_constraints: dict = {
        **BaseExampleDetector._parameter_constraints,
        "anomaly_ratio": [Interval(Real, 0, None, closed="neither")],
        "mix_anomalies": ["boolean", StrOptions({"auto"})],
    }

    def _make_plan(self, X, y, module, loss, run, *, without_anomalies, **others):
        """The plan for a module and a loss, with a schedule for known anomalies.

        Parameters
        ----------
        X : array of shape (n, ...)
            Training data.

        y : ndarray of shape (n,)
            The result of :meth:`_check_y`.

        module, loss, **others
            See `Plan`.

        run : Run
            See :meth:`_plan`.

        without_anomalies : Schedule
            The schedule if there are no anomalies.
        """
        if np.any(y < 0):
            schedule = few_anomalies_schedule(
                X,
                np.delete(y, run.held_out),
                self.batch_size,
                self.anomaly_ratio,
                self.max_epochs,
            )
            sampler = partial(with_some_anomalies, ratio=self.anomaly_ratio)
            # A mean of two rows is a row; a mean of two images is a double exposure.
            mixes = self._auto("mix_anomalies", X.ndim == 2)
            transform = mix_anomalies if mixes else None
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
