"""Given arrays, encoders, callbacks and dicts stay as they were."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import EarlyStopping
from torch import nn

from sk_hypersphere.testing._conditions import has_net, has_nets
from sk_hypersphere.testing._registry import law
from sk_hypersphere.testing._trial import assert_same, fresh, responses, rows_encoder


class WritesIntoItsInput(nn.Linear):
    def forward(self, x):
        return super().forward(x.relu_())


@law(has_nets)
def given_arrays_are_untouched(estimator, X, y):
    given, labels = X.copy(), y.copy()
    responses(fresh(estimator).fit(given, labels), given)
    np.testing.assert_array_equal(given, X)
    np.testing.assert_array_equal(labels, y)


@law(has_net, sets=("encoder",), kind={"relu": nn.ReLU, "dropout": nn.Dropout})
def an_encoder_that_works_in_place_leaves_arrays_untouched(estimator, kind, X, y):
    first = kind(inplace=True)
    given, encoder = X.copy(), rows_encoder(first)
    fitted = fresh(estimator).set_params(encoder=encoder).fit(given, y)
    assert_same(responses(fitted, given), responses(fitted, given))
    np.testing.assert_array_equal(given, X)
    assert first.inplace


@law(has_net, sets=("encoder",))
def an_encoder_whose_code_writes_into_its_input_is_refused(estimator, X, y):
    given = np.abs(X)  # nothing to rectify, so that only the intent can show
    encoder = WritesIntoItsInput(4, 3)
    with pytest.raises(ValueError, match="encoder must leave its input as it is"):
        fresh(estimator).set_params(encoder=encoder).fit(given, y)
    np.testing.assert_array_equal(given, np.abs(X))


@law(has_net, sets=("encoder",))
def a_given_encoder_is_untouched(estimator, X, y):
    encoder = rows_encoder(nn.BatchNorm1d(4))
    before = deepcopy(encoder.state_dict())
    fitted = fresh(estimator).set_params(encoder=encoder).fit(X, y)
    responses(fitted, X)
    assert encoder.training
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name]), name
        assert not torch.equal(value, fitted.net_.module_.encoder.state_dict()[name])


@law(has_net, sets=("encoder", "decoder"))
def a_given_decoder_is_untouched(estimator, X, y):
    encoder, decoder = rows_encoder(), nn.Linear(3, 4)
    before = deepcopy(decoder.state_dict())
    given = {"encoder": encoder, "decoder": decoder, "pretrain_epochs": 1}
    fresh(estimator).set_params(**given).fit(X, y)
    for name, value in decoder.state_dict().items():
        assert torch.equal(value, before[name]), name


@law(has_net, sets=("callbacks",))
def given_callbacks_are_untouched(estimator, X, y):
    callback = EarlyStopping(monitor="train_loss", patience=1)
    before = vars(callback).copy()
    fresh(estimator).set_params(callbacks=[callback]).fit(X, y)
    assert vars(callback) == before


@law(has_net, sets=("encoder_params",))
def given_parameter_dicts_are_untouched(estimator, X, y):
    given = {"hidden_units": (8,)}
    changed = fresh(estimator).set_params(encoder_params=given)
    changed.set_params(encoder__bias=False).fit(X, y)
    assert given == {"hidden_units": (8,)}


@law(has_net, sets=("encoder_params", "net_params"))
def clones_do_not_share_parameter_dicts(estimator):
    original = fresh(estimator, encoder__hidden_units=(8,), net__verbose=0)
    clone(original).set_params(encoder__hidden_units=(4,), net__verbose=1)
    assert original.encoder_params == {"hidden_units": (8,)}
    assert original.net_params == {"verbose": 0}
