"""Settings that all tests share, made before scipy, torch and pyplot are imported."""

import os

import matplotlib
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
