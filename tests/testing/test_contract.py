"""The contract, run by a stranger on an estimator of their own."""

import importlib
import inspect
import os
import runpy
import sys

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, OutlierMixin
from torch import nn

from sk_hypersphere import testing
from sk_hypersphere.base import BaseHypersphereDetector, Plan, Schedule
from sk_hypersphere.modules import Centers, Hypersphere
from sk_hypersphere.testing import _registry, contract_tests


class DecodingHypersphere(Hypersphere):
    """Squared distances to the center, and the squared error of a reconstruction."""

    def __init__(self, encoder, head, decoder):
        super().__init__(encoder, head)
        self.decoder = decoder

    def forward(self, x):
        z = self.embed(x)
        errors = (self.decoder(z) - x.flatten(1)).square().sum(dim=1, keepdim=True)
        return torch.cat([self.head(z), errors], dim=1)


class FirstPlusSecond(nn.Module):
    def forward(self, output, y):
        return output.sum(dim=1).mean()


class DistanceAndError(BaseHypersphereDetector):
    """Distance to a center, plus the error of a reconstruction.

    Parameters
    ----------
    contamination : "auto" or float, default="auto"
        Share of the training samples below the threshold.

    false_alarm_rate : float, default=0.05
        Share of new normal samples below the threshold.

    calibration_fraction : "auto" or float, default="auto"
        Share of the normal samples that are held out.

    encoder : nn.Module, callable or None, default=None
        Maps samples to embeddings.

    n_components : int, default=3
        Size of the embedding.

    max_epochs : int, default=2
        Passes over the data.

    batch_size : int, default=32
        Samples in a batch.

    lr : float, default=1e-2
        Learning rate.

    weight_decay : float, default=0.0
        Weight decay.

    encoder_params : dict or None, default=None
        Arguments of the encoder.

    net_params : dict or None, default=None
        Arguments of the net.

    callbacks : list or None, default=None
        Callbacks of skorch.

    device : str, default="cpu"
        Where to compute.

    warm_start : bool, default=False
        Whether a fit goes on with the last one.

    verbose : int, default=0
        Whether a bar is shown.

    random_state : int, RandomState instance or None, default=None
        The seed.

    Attributes
    ----------
    net_ : NeuralNet
        The fitted net.

    n_iter_ : int
        Number of epochs.

    n_features_in_ : int
        Number of features.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names.

    input_shape_ : tuple
        Shape of a sample.

    diagnostics_ : dict
        Numbers about the training.

    offset_ : float
        The threshold.

    calibration_indices_ : ndarray of shape (n_calibration_samples,)
        Samples that were held out.

    calibration_scores_ : ndarray of shape (n_calibration_samples,)
        Their scores.
    """

    def __init__(
        self,
        *,
        contamination="auto",
        false_alarm_rate=0.05,
        calibration_fraction="auto",
        encoder=None,
        n_components=3,
        max_epochs=2,
        batch_size=32,
        lr=1e-2,
        weight_decay=0.0,
        encoder_params=None,
        net_params=None,
        callbacks=None,
        device="cpu",
        warm_start=False,
        verbose=0,
        random_state=None,
    ):
        self.contamination = contamination
        self.false_alarm_rate = false_alarm_rate
        self.calibration_fraction = calibration_fraction
        self.encoder = encoder
        self.n_components = n_components
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.encoder_params = encoder_params
        self.net_params = net_params
        self.callbacks = callbacks
        self.device = device
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state

    def _plan(self, encoder, former, X, y, run):
        if former is None:
            size = self._n_features_out
            decoder = nn.Linear(size, int(np.prod(X.shape[1:])))
            former = DecodingHypersphere(encoder, Centers(torch.ones(1, size)), decoder)
        return Plan(former, FirstPlusSecond(), Schedule(2, lr=1e-2))

    def _score(self, output):
        return -output.sum(dim=1)


class FitsByItself(DistanceAndError):
    """It has a `fit` of its own, in whose line warnings are raised."""

    def fit(self, X, y=None):
        return self._fit(X)


class Prints(DistanceAndError):
    def fit(self, X, y=None):
        sys.stdout.write("hello")
        return super().fit(X)


class Scales(DistanceAndError):
    def fit(self, X, y=None):
        X *= 2
        return super().fit(X)


class ReadsAfterFit(DistanceAndError):
    def _score(self, output):
        return super()._score(output) * self.false_alarm_rate


class DrawsFromTheGlobalStream(DistanceAndError):
    def _plan(self, *args):
        np.random.rand()
        return super()._plan(*args)


class KeepsNoSeed(DistanceAndError):
    def fit(self, X, y=None):
        return self._fit(X + np.random.RandomState().rand())


test_contract = contract_tests(DistanceAndError())


def cases(estimator, **arguments):
    """Cases of a contract, by their ids."""
    (mark,) = contract_tests(*estimator, **arguments).pytestmark
    return {param.id: param for param in mark.args[1]}


def try_law(estimator, name, request):
    """Try an estimator with one law."""
    found = [
        case
        for case in _registry.cases_of(testing.seeded(estimator), True)
        if name in case.names
    ]
    assert found
    for case in found:
        case.run(request)


def test_ids_are_sentences_about_an_estimator():
    ids = cases([DistanceAndError()]).keys()
    assert "DistanceAndError-a_clone_gives_the_same_bits" in ids
    assert "DistanceAndError-batches_of_any_size_train-7" in ids
    assert (
        "DistanceAndError-scikit_learn_check_passes_and_is_not_skipped-"
        "check_estimators_pickle(readonly_memmap=True)" in ids
    )


def test_ids_say_how_estimators_of_a_kind_differ():
    ids = cases([DistanceAndError(), DistanceAndError(lr=0.5, callbacks=[])]).keys()
    labels = {
        test_id.partition("-a_clone")[0] for test_id in ids if "a_clone" in test_id
    }
    assert labels == {"DistanceAndError", "DistanceAndError-callbacks-lr=0.5"}


def test_laws_apply_by_what_an_estimator_can_do():
    class Constant(OutlierMixin, BaseEstimator):
        def fit(self, X, y=None):
            return self

    names = cases([Constant()]).keys()
    assert "Constant-defaults_are_documented_as_they_are" in names
    assert not any("a_clone_gives" in name or "promise" in name for name in names)


def test_the_checks_of_scikit_learn_can_be_left_out():
    with_checks = cases([DistanceAndError()]).keys()
    without = cases([DistanceAndError()], scikit_learn_checks=False).keys()
    left_out = with_checks - without
    assert without < with_checks and len(left_out) > 40
    assert all("scikit_learn_check_passes" in name for name in left_out)


def test_an_expected_failure_of_a_law_or_a_check_has_to_fail():
    reasons = {"a_clone_gives_the_same_bits": "because", "check_fit1d": "so"}
    found = cases([DistanceAndError()], expected_failures=reasons)
    marked = {}
    for name, param in found.items():
        for mark in param.marks:
            if mark.name == "xfail":
                marked[name.split("-")[-1]] = mark.kwargs
    assert marked == {
        name: {"reason": reason, "strict": True} for name, reason in reasons.items()
    }


@pytest.mark.parametrize(
    ("given", "arguments", "error", "message"),
    [
        ([], {}, ValueError, "one estimator at least, got none"),
        ([DistanceAndError], {}, TypeError, r"Write DistanceAndError\(\)"),
        (
            [DistanceAndError()],
            {"expected_failures": {"a_clone": "typo"}},
            ValueError,
            "must name laws or checks .* got 'a_clone'",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_the_repair(given, arguments, error, message):
    with pytest.raises(error, match=message):
        contract_tests(*given, **arguments)


def test_without_pytest_the_import_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytest", None)  # it cannot be imported
    with pytest.raises(ImportError, match=r'pip install "sk-hypersphere\[test\]"'):
        runpy.run_path(testing.__file__)


def test_every_file_of_laws_has_some_and_explains_its_asserts():
    folder = os.path.dirname(testing.__file__)
    names = {name.removesuffix(".py") for name in os.listdir(folder)} - {"__pycache__"}
    helpers = {"__init__", "_conditions", "_registry", "_trial"}
    of_laws = {name.rpartition(".")[2] for name in _registry.FILES_OF_LAWS}
    assert of_laws == names - helpers
    for name in _registry.FILES_OF_LAWS:
        module = importlib.import_module(name)
        assert "AssertionRewritingHook" in type(module.__loader__).__name__
        assert "@law(" in inspect.getsource(module)


@pytest.mark.parametrize(
    ("kind", "law"),
    [
        (Prints, "nothing_is_printed_by_default"),
        (Scales, "given_arrays_are_untouched"),
        (ReadsAfterFit, "no_parameter_changes_a_response_after_fit"),
        (DrawsFromTheGlobalStream, "global_random_streams_are_left_as_they_were"),
        (KeepsNoSeed, "a_clone_gives_the_same_bits"),
        (KeepsNoSeed, "a_memory_map_stays_mapped"),
    ],
)
def test_a_law_fails_for_an_estimator_that_breaks_it(kind, law, request):
    with pytest.raises((AssertionError, TypeError)):
        try_law(kind(), law, request)


def test_a_law_may_change_its_data(request):
    with pytest.raises(AssertionError):
        try_law(Scales(), "given_arrays_are_untouched", request)
    try_law(DistanceAndError(), "a_clone_gives_the_same_bits", request)


def test_a_warning_may_be_about_the_fit_of_a_stranger(request):
    try_law(FitsByItself(), "too_few_samples_for_a_promise_are_warned_of", request)


def test_a_check_that_skips_itself_fails_with_the_repair(request, monkeypatch):
    monkeypatch.delenv("SCIPY_ARRAY_API")
    names = ["arrays_of_another_namespace_are_among_the_checks"]
    names += [name for name in _names_of(DistanceAndError()) if "array_api" in name]
    assert len(names) == 2
    with pytest.raises(AssertionError, match="at the top of conftest.py"):
        try_law(DistanceAndError(), names[0], request)
    with pytest.raises(pytest.fail.Exception, match="skipped: SCIPY_ARRAY_API"):
        try_law(DistanceAndError(), names[1], request)


def _names_of(estimator):
    return {name for case in _registry.cases_of(estimator, True) for name in case.names}
