"""The net that trains: its loop, callbacks, precision and pickles."""

import pickle

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from sk_hypersphere import DeepSVDD
from sk_hypersphere._training.net import (
    AfterEpoch,
    LowerLearningRate,
    Run,
    progress_bar,
    train_net,
)
from sk_hypersphere._training.rows import Rows
from sk_hypersphere.losses import OneClassLoss
from sk_hypersphere.modules import Centers, Hypersphere


@pytest.fixture
def X():
    return np.random.RandomState(0).normal(size=(100, 3)).astype(np.float32)


def train(X, *, learnable=False, callbacks=(), weight_decay=0.0, **net_params):
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        encoder = nn.Linear(3, 2)
    head = Centers(torch.ones(1, 2), learnable=learnable)
    run = Run(np.random.RandomState(0), torch.device("cpu"), progress_bar(0, ""))
    return train_net(
        Hypersphere(encoder, head),
        OneClassLoss(),
        Rows(X),
        run,
        max_epochs=3,
        batch_size=32,
        lr=1e-2,
        weight_decay=weight_decay,
        callbacks=callbacks,
        net_params=net_params,
    )


class Interrupts(nn.Linear):
    def forward(self, x):
        if self.training:
            raise KeyboardInterrupt
        return super().forward(x)


def test_an_interruption_is_no_end_of_training():
    X = np.random.RandomState(0).normal(size=(100, 3))
    detector = DeepSVDD(encoder=Interrupts(3, 2))
    with pytest.raises(KeyboardInterrupt):
        detector.fit(X)
    assert not hasattr(detector, "net_")


class CountsBatches(Callback):
    n_batches = 0

    def on_batch_end(self, net, **kwargs):
        self.n_batches += 1


def weights(net):
    return torch.cat([value.flatten() for value in net.module_.state_dict().values()])


def test_a_callback_that_listens_to_batches_changes_no_bit(X):
    lean, listening = train(X), train(X, callbacks=[CountsBatches()])
    assert torch.equal(weights(lean), weights(listening))
    np.testing.assert_allclose(
        lean.history[:, "train_loss"], listening.history[:, "train_loss"], rtol=1e-6
    )


def test_a_callback_that_listens_to_batches_hears_each(X):
    callback = CountsBatches()
    train(X, callbacks=[callback])
    assert callback.n_batches == 3 * 4


def test_the_loss_in_the_history_is_the_mean_over_rows(X):
    net = train(X, optimizer=torch.optim.SGD, lr=0.0)
    output = net.module_(torch.from_numpy(X))
    expected = output.mean().item()
    assert net.history[-1, "train_loss"] == pytest.approx(expected, rel=1e-5)


def test_weight_decay_leaves_learned_centers_alone(X):
    net = train(X, learnable=True, weight_decay=0.5)
    decays = {
        name: group["weight_decay"]
        for group in net.optimizer_.param_groups
        for name, parameter in net.module_.named_parameters()
        if any(parameter is other for other in group["params"])
    }
    assert decays == {
        "head.centers": 0.0,
        "encoder.weight": 0.5,
        "encoder.bias": 0.5,
    }


def test_after_epoch_calls_from_its_start_on(X):
    seen = []
    train(X, callbacks=[AfterEpoch(lambda net, rows: seen.append(len(rows)), start=2)])
    assert seen == [100, 100]


def test_the_learning_rate_is_lowered_once(X):
    net = train(X, callbacks=[LowerLearningRate(share=0.5)], max_epochs=6)
    assert net.optimizer_.param_groups[0]["lr"] == pytest.approx(1e-3)
    assert not net._listens_to_batches()


def test_a_pickle_holds_each_weight_once_and_trains_on(X):
    net = train(X)
    again = pickle.loads(pickle.dumps(net))
    assert again.module is again.module_
    again.partial_fit(Rows(X), np.zeros(len(X), dtype=np.int64))
    assert len(again.history) == 6


def test_parameters_of_the_net_replace_ours(X):
    net = train(X, optimizer=torch.optim.SGD, max_epochs=1, batch_size=7)
    assert isinstance(net.optimizer_, torch.optim.SGD)
    assert (len(net.history), net.batch_size) == (1, 7)


def test_gradients_are_computed_where_the_caller_has_switched_them_off():
    X = np.random.RandomState(0).normal(size=(50, 3)).astype(np.float32)
    detector = DeepSVDD(max_epochs=2, random_state=0)
    with torch.no_grad():
        scores = detector.fit(X).score_samples(X)
    np.testing.assert_array_equal(scores, detector.fit(X).score_samples(X))


def test_autocast_trains_weights_of_float32_in_lower_precision(X):
    plain, lower = train(X), train(X, autocast=torch.bfloat16)
    assert weights(lower).dtype == torch.float32
    assert not torch.equal(weights(plain), weights(lower))
    torch.testing.assert_close(weights(plain), weights(lower), rtol=0.05, atol=0.05)


def test_autocast_is_the_same_where_a_callback_listens_to_batches(X):
    params = {"autocast": torch.bfloat16}
    lean, listening = (
        train(X, **params),
        train(X, callbacks=[CountsBatches()], **params),
    )
    assert torch.equal(weights(lean), weights(listening))


def test_autocast_leaves_what_is_not_training_in_float32(X):
    net, detector = train(X, autocast=torch.bfloat16), DeepSVDD(random_state=0)
    expected = net.module_(torch.from_numpy(X)).detach().numpy()
    np.testing.assert_array_equal(net.predict(Rows(X)), expected)
    detector.set_params(net__autocast=torch.bfloat16, max_epochs=1).fit(X)
    scores = detector.score_samples(X)
    detector.net_.set_params(autocast=None)
    np.testing.assert_array_equal(detector.score_samples(X), scores)


def test_a_compiled_module_trains_to_the_same_bits_and_keeps_its_names(X):
    params = {"learnable": True, "weight_decay": 0.5}
    plain = train(X, **params)
    compiled = train(X, compile=True, compile__backend="eager", **params)
    states = [net.module_.state_dict() for net in (plain, compiled)]
    assert states[0].keys() == states[1].keys()
    assert torch.equal(weights(plain), weights(compiled))


def test_a_detector_that_was_compiled_is_pickled_and_scores_and_fits_again(X):
    params = {"max_epochs": 2, "warm_start": True, "random_state": 0}
    plain = DeepSVDD(**params)
    compiled = DeepSVDD(**params, net_params={"compile": True})
    compiled.set_params(net__compile__backend="eager")
    for _ in range(2):
        expected = plain.fit(X).score_samples(X)
        copy = pickle.loads(pickle.dumps(compiled.fit(X)))
        np.testing.assert_array_equal(copy.score_samples(X), expected)
