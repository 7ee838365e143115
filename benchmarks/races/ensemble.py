"""Members of an ensemble, side by side and one after the other."""

from functools import partial

from sklearn.base import clone

from benchmarks.races.common import OURS, SEED, normal_samples, process_seconds
from benchmarks.races.deep_svdd import on_rows
from sk_hypersphere import HypersphereEnsemble

N_MEMBERS = 10
ALONE = "one after the other"

# The network of all races, and the default for rows.
NETWORKS = {
    "64-32-16": {},
    "512-64": {"encoder_params": None, "n_components": "auto"},
}


def fit(network, n_rows=10_000, epochs=10):
    """Whole fits of ten detectors, which differ by their seeds."""
    X = normal_samples(n_rows, 32)
    detector = on_rows(max_epochs=epochs, **NETWORKS[network])
    ensemble = HypersphereEnsemble(detector, N_MEMBERS, random_state=SEED)
    contestants = {
        ALONE: partial(process_seconds, fit_one_by_one, detector, X),
        OURS: partial(process_seconds, ensemble.fit, X),
    }
    return contestants, epochs


def fit_one_by_one(detector, X):
    for seed in range(N_MEMBERS):
        clone(detector).set_params(random_state=seed).fit(X)
