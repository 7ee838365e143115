"""What is checked before training, and undone if it fails."""

import numpy as np
import pytest
from torch import nn

from sk_hypersphere import DeepSVDD
from sk_hypersphere._checks import unchanged_on_error


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
