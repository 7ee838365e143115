"""Parameters reach the net, and it is one of skorch that trains as skorch's do."""

import numpy as np
import torch
from skorch.callbacks import EarlyStopping
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import DataLoader

from sk_hypersphere.testing._conditions import has_net
from sk_hypersphere.testing._registry import law
from sk_hypersphere.testing._trial import (
    assert_same,
    fresh,
    own_fit,
    responses,
    shared_responses,
    shuffled_rows,
)


@law(has_net, sets=("encoder_params",))
def parameters_of_the_encoder_reach_it(estimator, X, y):
    fitted = fresh(estimator, encoder__hidden_units=(7, 6)).fit(X, y)
    layers = fitted.net_.module_.encoder.modules()
    sizes = [layer.out_features for layer in layers if isinstance(layer, nn.Linear)]
    assert sizes[:2] == [7, 6]


@law(has_net, sets=("net_params", "lr"))
def parameters_of_the_net_reach_it(estimator, X, y):
    net = (
        fresh(estimator, lr=1e-6)  # no loss grows with this step
        .set_params(net__optimizer=torch.optim.SGD, net__optimizer__momentum=0.5)
        .fit(X, y)
        .net_
    )
    assert isinstance(net.optimizer_, torch.optim.SGD)
    assert net.optimizer_.param_groups[0]["momentum"] == 0.5


@law(has_net, sets=("net_params",))
def a_validation_split_is_scored_each_epoch(estimator, X, y):
    fitted = fresh(estimator).set_params(net__train_split=ValidSplit(5))
    fitted.fit(shuffled_rows(X), shuffled_rows(y))  # some of every kind on each side
    assert np.isfinite(fitted.net_.history[:, "valid_loss"]).all()


@law(has_net, sets=("net_params",))
def a_data_loader_may_be_the_iterator(estimator, X, y):
    loader = {"net__iterator_train": DataLoader, "net__iterator_train__shuffle": True}
    first, second = (fresh(estimator).set_params(**loader).fit(X, y) for _ in range(2))
    assert_same(responses(first, X), responses(second, X))


@law(has_net, sets=("net_params",))
def an_optimizer_with_a_closure_trains(estimator, X, y):
    fitted = fresh(estimator).set_params(net__optimizer=torch.optim.LBFGS).fit(X, y)
    assert all(np.isfinite(value).all() for value in responses(fitted, X).values())


@law(has_net, sets=("batch_size",), batch_size=[1, 2, 7, 1000])
def batches_of_any_size_train(estimator, batch_size, X, y):
    least = estimator._parameter_constraints["batch_size"][0].left
    batch_size = max(batch_size, least)
    fitted = fresh(estimator, batch_size=batch_size).fit(X, y)
    assert all(np.isfinite(value).all() for value in responses(fitted, X).values())


@law(has_net, sets=("callbacks", "max_epochs", "net_params"))
def early_stopping_stops_early(estimator, X, y):
    never_better = {"threshold": 1e9, "threshold_mode": "abs"}
    stop = EarlyStopping(monitor="valid_loss", patience=2, **never_better)
    fitted = (
        fresh(estimator, max_epochs=9)
        .set_params(callbacks=[stop], net__train_split=ValidSplit(5))
        .fit(shuffled_rows(X), shuffled_rows(y))
    )
    assert fitted.n_iter_ == len(fitted.net_.history) < 9


@law(has_net)
def weights_can_be_loaded_without_trusting_the_file(estimator, X, tmp_path):
    fitted = own_fit(estimator)
    torch.save(fitted.net_.module_.state_dict(), tmp_path / "weights.pt")
    weights = torch.load(tmp_path / "weights.pt", weights_only=True)
    with torch.no_grad():
        for parameter in fitted.net_.module_.parameters():
            parameter.zero_()
    fitted.net_.module_.load_state_dict(weights)
    assert_same(shared_responses(estimator), responses(fitted, X))
