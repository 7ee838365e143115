"""Second ways to compute what several tests expect."""

import numpy as np


def naive_sq_distances(fitted, X):
    """Squared distance of each row to each center by a double loop, in float64."""
    embeddings = fitted.transform(X).astype(np.float64)
    centers = fitted.centers_.astype(np.float64)
    return np.array([[np.sum((z - c) ** 2) for c in centers] for z in embeddings])
