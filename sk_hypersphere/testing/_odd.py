"""Odd data: fit, and give finite numbers."""

import numpy as np

from sk_hypersphere.testing._conditions import has_nets, looks_for_clusters
from sk_hypersphere.testing._registry import law
from sk_hypersphere.testing._scikit_learn import FEW_SAMPLES
from sk_hypersphere.testing._trial import fresh, responses

ODD_DATA = {
    "one-feature": np.arange(60.0)[:, None],
    "wide": np.random.RandomState(0).randn(12, 10_000),
    "duplicates": np.repeat(np.random.RandomState(0).randn(3, 4), 40, axis=0),
    "constant-columns": np.c_[np.ones((50, 3)), np.random.RandomState(0).randn(50, 1)],
    "all-the-same": np.ones((50, 4)),
    "all-zero": np.zeros((50, 4)),
    "two-rows": np.array([[0.0, 1.0], [2.0, -1.0]]),
    "one-more-than-a-batch": np.random.RandomState(0).randn(129, 4),
    "images-of-one-value": np.full((20, 1, 8, 8), 0.1, dtype=np.float32),
    "one-constant-image": np.r_[
        np.random.RandomState(0).rand(30, 1, 8, 8), [[[[0.1] * 8] * 8]]
    ],
    "a-constant-channel": np.random.RandomState(0).rand(30, 2, 8, 8) * [[[1]], [[0]]],
    "images-of-one-pixel": np.random.RandomState(0).rand(30, 1, 1, 1),
    "oblong-images": np.random.RandomState(0).rand(30, 3, 5, 11),
    "one-image-more-than-a-batch": np.random.RandomState(0).rand(129, 1, 3, 3),
}


@law(has_nets, ignore=(FEW_SAMPLES,), data=ODD_DATA)
def odd_data_gives_finite_numbers(estimator, data):
    labels = np.where(np.arange(len(data)) % 2, 1, -1)
    # Clusters are given to those that would look for some, and may find none.
    given = {"cluster_labels" if looks_for_clusters(estimator) else "y": labels}
    fitted = fresh(estimator).fit(data, **given)
    for name, result in responses(fitted, data).items():
        assert len(result) == len(data) and np.isfinite(result).all(), name
