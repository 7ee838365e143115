"""Checks before training, and the undoing of a fit that fails."""

import numpy as np
import pytest
from torch import nn

from sk_hypersphere import DeepSVDD
from sk_hypersphere._training.checks import (
    check_something_to_train,
    has_parameters_to_train,
    unchanged_on_error,
)


def test_an_encoder_class_with_batch_normalization_of_single_rows_is_refused():
    def encoder(input_shape, n_components):
        linear = nn.Linear(*input_shape, n_components)
        return nn.Sequential(linear, nn.BatchNorm1d(n_components))

    with pytest.raises(ValueError, match="n_samples=1"):
        DeepSVDD(encoder=encoder, contamination=0.1).fit(np.ones((1, 3)))


def test_attributes_set_before_an_error_are_taken_back():
    detector = DeepSVDD(nu=0.2)
    with pytest.raises(KeyError), unchanged_on_error(detector):
        detector.net_ = "half"
        detector.nu = 0.3
        raise KeyError
    assert not hasattr(detector, "net_")
    assert detector.nu == 0.2


def test_a_module_can_be_trained_if_any_parameter_requires_a_gradient():
    frozen = nn.Linear(2, 2).requires_grad_(False)
    assert has_parameters_to_train(nn.Linear(2, 2))
    assert has_parameters_to_train(nn.Sequential(frozen, nn.Linear(2, 1)))
    for module in (nn.Identity(), frozen, nn.Sequential(frozen, nn.ReLU())):
        assert not has_parameters_to_train(module)


def test_an_encoder_without_parameters_is_refused_with_the_name_of_the_estimator():
    check_something_to_train(nn.Linear(2, 2), "HSC")
    with pytest.raises(ValueError, match="for HSC.*got Identity.*take DeepSVDD"):
        check_something_to_train(nn.Identity(), "HSC")
