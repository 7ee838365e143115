"""Deep anomaly detection with hyperspheres, as scikit-learn estimators.

An encoder maps samples to embeddings; centers sit in that space; training pulls normal
samples to their center; the distance to the centers is the score.
"""

from importlib import import_module

from sk_hypersphere._methods.cac import CACClassifier
from sk_hypersphere._methods.center import CenterLossClassifier
from sk_hypersphere._methods.deep_sad import DeepSAD
from sk_hypersphere._methods.deep_svdd import DeepSVDD
from sk_hypersphere._methods.eidn import EIDNEmbedder
from sk_hypersphere._methods.ensemble import HypersphereEnsemble
from sk_hypersphere._methods.finch import FINCH, finch
from sk_hypersphere._methods.fit_on_normal import FitOnNormal
from sk_hypersphere._methods.hsc import HSC
from sk_hypersphere._methods.ii import IILossClassifier
from sk_hypersphere._methods.isif import ISIFEmbedder
from sk_hypersphere._methods.mchad import MCHADClassifier
from sk_hypersphere._methods.subcluster import SubclusterDetector

__version__ = "0.8.0"

__all__ = [
    "CACClassifier",
    "CenterLossClassifier",
    "DeepSAD",
    "DeepSVDD",
    "EIDNEmbedder",
    "FINCH",
    "FitOnNormal",
    "HSC",
    "HypersphereEnsemble",
    "IILossClassifier",
    "ISIFEmbedder",
    "MCHADClassifier",
    "SubclusterDetector",
    "finch",
]

# These are imported when they are first used: few programs need all of them.
_SUBMODULES = {
    "base",
    "confidence",
    "displays",
    "exceptions",
    "losses",
    "metrics",
    "modules",
    "preprocessing",
    "testing",
}


def __getattr__(name):
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(globals().keys() | _SUBMODULES)
