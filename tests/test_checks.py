"""What is checked before training, and undone if it fails."""

import warnings

import numpy as np
import pytest
from torch import nn

from sk_hypersphere import DeepSVDD
from sk_hypersphere._checks import check_finite, unchanged_on_error


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_single_value_that_is_not_finite_is_found(bad, order):
    X = np.ones((50, 7), dtype=np.float32, order=order)
    X[49, 3] = bad
    with pytest.raises(ValueError, match="Input X contains (NaN|infinity)"):
        check_finite(X, "DeepSVDD")


def test_large_values_are_finite_though_their_squares_are_not():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_finite(np.full((50, 7), 1e30, dtype=np.float32), "DeepSVDD")


def test_only_the_values_of_a_view_are_looked_at():
    X = np.ones((50, 8), dtype=np.float32)
    X[:, 1] = np.nan
    check_finite(X[:, ::2], "DeepSVDD")
    with pytest.raises(ValueError, match="NaN"):
        check_finite(X[::2], "DeepSVDD")


def test_an_encoder_class_with_batch_normalization_of_single_rows_is_refused():
    def encoder(input_shape, n_components):
        linear = nn.Linear(*input_shape, n_components)
        return nn.Sequential(linear, nn.BatchNorm1d(n_components))

    with pytest.raises(ValueError, match="n_samples=1"):
        DeepSVDD(encoder=encoder).fit(np.ones((1, 3)))


def test_attributes_set_before_an_error_are_taken_back():
    detector = DeepSVDD(nu=0.2)
    with pytest.raises(KeyError), unchanged_on_error(detector):
        detector.net_ = "half"
        detector.nu = 0.3
        raise KeyError
    assert not hasattr(detector, "net_")
    assert detector.nu == 0.2
