"""The base classes of all estimators, and all that a method of your own supplies.

It may import `_training`, `losses`, `modules`, `preprocessing` and `exceptions`; it
knows no estimator.
"""

from sk_hypersphere._training.net import Run
from sk_hypersphere._training.schedules import Schedule
from sk_hypersphere.base._base import (
    BaseHypersphere,
    BaseHypersphereDetector,
    BaseHypersphereScorer,
    Plan,
)
from sk_hypersphere.base._classifier import (
    BaseGeneralizedClassifier,
    BaseHypersphereClassifier,
)
from sk_hypersphere.base._parameters import store
from sk_hypersphere.base._semi_supervised import (
    BaseExampleDetector,
    BaseSemiSupervisedDetector,
)

__all__ = [
    "BaseExampleDetector",
    "BaseGeneralizedClassifier",
    "BaseHypersphere",
    "BaseHypersphereClassifier",
    "BaseHypersphereDetector",
    "BaseHypersphereScorer",
    "BaseSemiSupervisedDetector",
    "Plan",
    "Run",
    "Schedule",
    "store",
]
