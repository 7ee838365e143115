"""Settings that all tests share, made before scipy and pyplot are imported."""

import os

import matplotlib
import pytest

os.environ["SCIPY_ARRAY_API"] = "1"  # else scikit-learn skips one check silently
matplotlib.use("Agg")  # draws in memory


@pytest.fixture(autouse=True)
def close_figures():
    yield
    from matplotlib import pyplot  # here, because it costs tests without a figure

    pyplot.close("all")
