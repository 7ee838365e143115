"""Deep anomaly detection with hyperspheres, as scikit-learn estimators.

An encoder maps samples to embeddings; centers sit in that space; training pulls normal
samples to their center; the distance to the centers is the score.
"""

from sk_hypersphere._deep_svdd import DeepSVDD
from sk_hypersphere._finch import FINCH, finch

__version__ = "0.1.0"

__all__ = ["FINCH", "DeepSVDD", "finch"]
