"""Settings that all tests share, made before scipy, torch and pyplot are imported.

Fixtures that need one of these import it inside their function.
"""

import os

import matplotlib
import numpy as np
import pytest

os.environ["SCIPY_ARRAY_API"] = "1"  # else scikit-learn skips one check silently
# Nets of tests are too small to gain from threads, which cost minutes where
# the processor is busy. Some tests set another number.
os.environ.setdefault("OMP_NUM_THREADS", "1")
matplotlib.use("Agg")  # draws in memory


@pytest.fixture(autouse=True)
def close_figures():
    yield
    from matplotlib import pyplot  # here, because it costs tests without a figure

    pyplot.close("all")


@pytest.fixture(scope="session")
def three_classes():
    from sklearn.datasets import make_blobs

    centers = [[0, 0, 0], [6, 0, 0], [0, 6, 0]]
    return make_blobs(180, centers=centers, random_state=0)


@pytest.fixture(scope="session")
def with_anomalies():
    """Three classes, and example anomalies, labelled -1, between two of them."""
    from sklearn.datasets import make_blobs

    centers = [[0, 0, 0], [6, 0, 0], [0, 6, 0], [3, 0, 0]]
    X, y = make_blobs([60, 60, 60, 40], centers=centers, random_state=0)
    return X, np.where(y == 3, -1, y)
