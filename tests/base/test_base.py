"""One module that is trained, scored, and gone on with under `warm_start`."""

import numpy as np
import pytest
import torch
from torch import nn

import sk_hypersphere
from sk_hypersphere import DeepSVDD, base
from sk_hypersphere.base import (
    BaseHypersphereClassifier,
    BaseHypersphereDetector,
    Plan,
    Schedule,
    store,
)
from sk_hypersphere.losses import OneClassLoss
from sk_hypersphere.modules import Centers, Hypersphere


class DecodingHypersphere(Hypersphere):
    """Squared distances to the center, and the squared error of a reconstruction."""

    def __init__(self, encoder, head, decoder):
        super().__init__(encoder, head)
        self.decoder = decoder

    def forward(self, x):
        z = self.embed(x)
        errors = (self.decoder(z) - x).square().sum(dim=1, keepdim=True)
        return torch.cat([self.head(z), errors], dim=1)


class FirstPlusSecond(nn.Module):
    def forward(self, output, y):
        return output.sum(dim=1).mean()


class DistanceAndError(BaseHypersphereDetector):
    """An estimator whose score needs a decoder, as a stranger would add it."""

    def __init__(
        self,
        *,
        contamination="auto",
        false_alarm_rate=0.05,
        calibration_fraction="auto",
        encoder=None,
        n_components=3,
        max_epochs=3,
        batch_size=32,
        lr=1e-2,
        weight_decay=0.0,
        encoder_params=None,
        net_params=None,
        callbacks=None,
        device="cpu",
        warm_start=False,
        verbose=0,
        random_state=0,
    ):
        store(locals())

    def _plan(self, encoder, former, X, y, run):
        if former is None:
            size = self._n_features_out
            decoder = nn.Linear(size, X.shape[1])
            former = DecodingHypersphere(encoder, Centers(torch.ones(1, size)), decoder)
        return Plan(former, FirstPlusSecond(), Schedule(3, lr=1e-2))

    def _score(self, output):
        return -output.sum(dim=1)


@pytest.fixture(scope="module")
def X():
    return np.random.RandomState(3).randn(300, 5).astype(np.float32)


def test_a_decoder_takes_part_in_scores(X):
    fitted = DistanceAndError().fit(X)
    module = fitted.net_.module_
    x = torch.from_numpy(X)
    with torch.no_grad():
        z = module.encoder(x)
        expected = -(z - 1).square().sum(dim=1) - (module.decoder(z) - x).square().sum(
            1
        )
    np.testing.assert_allclose(fitted.score_samples(X), expected, rtol=1e-5)
    with torch.no_grad():
        module.decoder.bias.add_(1.0)
    assert not np.allclose(fitted.score_samples(X), expected, rtol=1e-2)


def test_a_decoder_is_trained_and_gone_on_with(X):
    fitted = DistanceAndError(warm_start=True).fit(X)
    before = fitted.score_samples(X)
    decoder = fitted.net_.module_.decoder.weight.detach().clone()
    fitted.set_params(max_epochs=0, random_state=1).fit(X)
    np.testing.assert_array_equal(fitted.score_samples(X), before)
    fitted.set_params(max_epochs=1).fit(X)
    assert not torch.equal(fitted.net_.module_.decoder.weight, decoder)
    assert fitted.score_samples(X).mean() > before.mean()


def test_an_estimator_of_a_stranger_keeps_its_promise(X):
    new = np.random.RandomState(4).randn(4000, 5)
    fitted = DistanceAndError(calibration_fraction=0.5).fit(X)
    assert np.mean(fitted.predict(new) == -1) == pytest.approx(0.05, abs=0.06)
    assert fitted.p_values(new).mean() == pytest.approx(0.5, abs=0.1)


def test_a_module_is_scored_by_the_method_that_is_trained(X):
    """Calling a compiled module would compile it anew; its `forward` does not."""
    fitted = DistanceAndError().fit(X)
    before = fitted.score_samples(X)

    def fail(*args):
        raise AssertionError("the module was compiled for scoring")

    fitted.net_.module_._compiled_call_impl = fail
    np.testing.assert_array_equal(fitted.score_samples(X), before)


def test_depths_of_one_center_have_the_digits_of_its_squared_distances():
    z = torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    head = Centers(torch.full((1, 7), 0.5)).eval()
    head.sq_radii.fill_(3.0)
    naive = [3.0 - sum((float(v) - 0.5) ** 2 for v in row) for row in z]
    np.testing.assert_allclose(head.depths(z), naive, rtol=1e-5, atol=1e-5)
    assert head.depths(z).dtype == torch.float64


def test_spheres_of_an_untrained_encoder_stand_at_its_means():
    """Centers are moved out to `center_epsilon` only where weights could reach 0."""
    X = np.random.RandomState(0).randn(200, 6) * 0.01
    fitted = DeepSVDD(encoder=nn.Identity(), contamination="boundary").fit(X)
    np.testing.assert_allclose(fitted.centers_[0], X.mean(axis=0), atol=1e-7)
    assert fitted.n_iter_ == 0
    assert fitted.diagnostics_["n_trained_parameters"] == 0
    many = DeepSVDD(encoder=nn.Identity(), multi_radius=True, random_state=0).fit(X)
    assert len(many.centers_) > 10 and many.n_iter_ == 0
    members = np.delete(np.arange(200), many.calibration_indices_)
    members = members[many.labels_[members] == 3]
    expected = X[members].mean(axis=0)
    np.testing.assert_allclose(many.centers_[3], expected, atol=1e-7)


def test_the_loss_of_a_plan_sees_what_the_module_returns(X):
    fitted = DeepSVDD(max_epochs=1, lr=1e-12, contamination=0.1).fit(X)
    scores = fitted.radii_[0] ** 2 - fitted.score_samples(X)
    assert isinstance(fitted.net_.criterion_, OneClassLoss)
    loss = fitted.net_.history[-1, "train_loss"]
    assert loss == pytest.approx(scores.mean(), rel=1e-3)


class WithoutPlan(BaseHypersphereDetector):
    def __init__(self, *, max_epochs=1):
        store(locals())


class WithoutScore(WithoutPlan):
    def _plan(self, encoder, former, X, y, run):
        center = torch.ones(1, self._n_features_out)
        module = Hypersphere(encoder, Centers(center))
        return Plan(module, OneClassLoss(), Schedule(1, lr=1e-3))


class WithoutLoss(BaseHypersphereClassifier):
    def __init__(self, *, max_epochs=1):
        store(locals())

    def _make_head(self, former):
        return Centers(torch.eye(len(self.classes_), self._n_features_out))


class WithoutHead(BaseHypersphereClassifier):
    def __init__(self, *, max_epochs=1):
        store(locals())


@pytest.mark.parametrize(
    ("cls", "hook"),
    [
        (WithoutPlan, "_plan"),
        (WithoutScore, "_score"),
        (WithoutLoss, "_make_loss"),
        (WithoutHead, "_make_head"),
    ],
)
def test_a_hook_that_was_not_written_is_named(cls, hook, X):
    message = rf"{cls.__name__} must define {hook}, which .*sk_hypersphere\.base"
    y = np.arange(len(X)) % 2
    with pytest.raises(NotImplementedError, match=message):
        cls().fit(X, y)


def test_every_hook_that_a_method_defines_is_documented():
    """Hooks are the private methods and attributes of a base that a method replaces."""
    bases = [getattr(base, name) for name in base.__all__ if name.startswith("Base")]
    known = {name for cls in bases for name in vars(cls)}
    methods = [
        cls
        for name in sk_hypersphere.__all__
        if isinstance(cls := getattr(sk_hypersphere, name), type)
        and issubclass(cls, base.BaseHypersphere)
    ]
    assert len(methods) == 10
    private = {
        name
        for cls in methods
        for name in vars(cls)
        if name.startswith("_") and not name.startswith("__") and name in known
    }
    of_parameters = {
        "_formerly_positional",
        "_parameter_constraints",
        "_renamed",
        "_logit_members",
    }
    scikit_learn = {name for name in private if name.startswith("_sklearn")}
    for name in private - of_parameters - scikit_learn:
        assert f"``{name}" in base.__doc__, name


def test_constraints_are_those_of_the_parameters_of_the_constructor():
    assert WithoutPlan._parameter_constraints.keys() == {"max_epochs"}
    with pytest.raises(ValueError, match="'max_epochs' parameter of WithoutScore"):
        WithoutScore(max_epochs=-1).fit(np.ones((30, 2)))


def test_parameters_that_a_constructor_does_not_name_have_defaults(X):
    class Shortest(WithoutScore):
        def _score(self, output):
            return -output.squeeze(1)

    fitted = Shortest(max_epochs=2).fit(X)
    assert fitted.get_params() == {"max_epochs": 2}
    assert (fitted.false_alarm_rate, fitted.batch_size) == (0.05, 128)
    assert len(fitted.calibration_scores_) == 100
