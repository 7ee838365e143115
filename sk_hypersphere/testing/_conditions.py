"""Which estimators a law is about: what they can do, and never what they are called."""

import warnings

import numpy as np
from sklearn.base import is_outlier_detector

from sk_hypersphere.base._threshold import rule_of
from sk_hypersphere.exceptions import SupervisionWarning
from sk_hypersphere.testing._trial import RESPONSES, fresh


def always(estimator):
    return True


def has_net(estimator):
    return hasattr(estimator, "encoder")


def has_nets(estimator):
    """Whether it, or what it wraps, learns by a net."""
    return has_net(estimator) or has_net(getattr(estimator, "estimator", None))


def has_responses(estimator):
    return any(hasattr(estimator, name) for name in RESPONSES)


def wraps_another(estimator):
    return "estimator" in estimator.get_params()


def has_scores(estimator):
    return has_net(estimator) and hasattr(estimator, "score_samples")


def has_decisions(estimator):
    return has_net(estimator) and hasattr(estimator, "decision_function")


def has_threshold(estimator):
    """Whether it places a threshold itself, and not what it wraps alone."""
    return hasattr(estimator, "_set_threshold")


def keeps_a_promise(estimator):
    """Whether it holds samples out, by which it places its threshold."""
    return has_threshold(estimator) and rule_of(estimator).contamination == "auto"


def has_transform(estimator):
    return hasattr(estimator, "transform")


def embeds(estimator):
    return has_net(estimator) and has_transform(estimator)


def looks_for_clusters(estimator):
    """Whether `fit` looks for clusters of a size, if none are given."""
    return "min_cluster_size" in estimator.get_params()


def learns_from_normal_rows(estimator):
    """Whether a detector is content with rows that have no labels."""
    if not (has_scores(estimator) and is_outlier_detector(estimator)):
        return False
    with warnings.catch_warnings(record=True, action="always") as caught:
        try:
            fresh(estimator, max_epochs=0).fit(np.random.RandomState(0).randn(50, 4))
        except Exception:
            return True  # the law shows why
    return not any(issubclass(w.category, SupervisionWarning) for w in caught)
