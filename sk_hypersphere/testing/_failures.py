"""Failures leave no trace, and a later fit goes on or forgets as `warm_start` says."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback

from sk_hypersphere.exceptions import NonFiniteLossError
from sk_hypersphere.testing._conditions import has_net, has_nets, looks_for_clusters
from sk_hypersphere.testing._registry import law
from sk_hypersphere.testing._trial import (
    assert_same,
    fresh,
    own_fit,
    responses,
    shared_responses,
)


class FailsInLastEpoch(Callback):
    """Raise when training has changed everything that it changes."""

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == net.max_epochs:
            raise InterruptedError


@law(has_nets, sets=("callbacks",))
def a_failed_first_fit_leaves_the_estimator_unfitted(estimator, X, y):
    failing = fresh(estimator, callbacks=[FailsInLastEpoch()])
    before = vars(failing).copy()
    with pytest.raises(InterruptedError):
        failing.fit(X, y)
    assert vars(failing) == before
    with pytest.raises(NotFittedError):
        responses(failing, X)


@law(
    has_net,
    sets=("callbacks", "warm_start"),
    warm_start=[False, True],
)
def a_failed_later_fit_leaves_the_former_model(estimator, warm_start, X, y):
    fitted = own_fit(estimator, warm_start=warm_start)
    before = shared_responses(estimator, warm_start=warm_start)
    fitted.set_params(callbacks=[FailsInLastEpoch()])
    with pytest.raises(InterruptedError):
        fitted.fit(X * 3, y)
    assert_same(before, responses(fitted, X))


@law(has_nets)
def a_refused_input_leaves_the_former_model(estimator, X, y):
    fitted = own_fit(estimator)
    with pytest.raises(ValueError, match="NaN"):
        fitted.fit(np.full((len(X), 7), np.nan), y)
    assert_same(shared_responses(estimator), responses(fitted, X))


@law(has_nets, sets=("lr", "max_epochs"))
def an_infinite_loss_is_an_error_that_brings_finite_weights(estimator, X, y):
    with pytest.raises(NonFiniteLossError, match="smaller lr") as caught:
        fresh(estimator, lr=1e38, max_epochs=9).fit(X, y)
    module = caught.value.net.module_
    assert all(value.isfinite().all() for value in module.encoder.parameters())


@law(has_net, sets=("warm_start", "lr", "random_state"))
def warm_start_goes_on_from_the_former_weights(estimator, X, y):
    fitted = own_fit(estimator, warm_start=True)
    before = fitted.transform(X)
    standstill = fitted.set_params(lr=1e-30, random_state=1).fit(X, y).transform(X)
    np.testing.assert_array_equal(before, standstill)
    assert not np.array_equal(before, fitted.set_params(lr=0.1).fit(X, y).transform(X))


@law(has_net, sets=("warm_start", "max_epochs", "random_state"))
def warm_start_without_epochs_changes_no_response(estimator, X, y):
    # Clusters that are looked for would depend on the seed.
    labels = {"cluster_labels": y} if looks_for_clusters(estimator) else {}
    fitted = fresh(estimator, warm_start=True).fit(X, y, **labels)
    before, clusters = responses(fitted, X), getattr(fitted, "labels_", None)
    again = fitted.set_params(max_epochs=0, random_state=1).fit(X, y, **labels)
    after = responses(again, X)
    if not np.array_equal(getattr(again, "labels_", None), clusters):
        # Samples have joined the nearest sphere, whose radius they change.
        after = {"transform": after["transform"]}
    for name, values in after.items():
        np.testing.assert_allclose(values, before[name], rtol=1e-6, err_msg=name)


@law(has_net)
def without_warm_start_a_fit_forgets_the_former(estimator, X, y):
    fitted = fresh(estimator).fit(X * 2 + 1, y).fit(X, y)
    assert_same(responses(fitted, X), shared_responses(estimator))
