"""The contract, which all estimators keep, and the documentation of the whole package.

An estimator joins by being in ``sk_hypersphere.__all__``. The laws are in
``sk_hypersphere.testing``; only settings are looked up here, by name.
"""

import inspect
import re
from importlib import import_module
from itertools import pairwise

import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import IsolationForest

import sk_hypersphere
from sk_hypersphere.testing import contract_tests
from sk_hypersphere.testing._documentation import (
    default_faults,
    fail_for,
    parameter_faults,
)

# Settings of each estimator that the laws are tried with, besides SMALL. Classifiers
# have to be right on blobs, which takes them some epochs.
LEARNS = {"max_epochs": 12, "lr": 1e-2}
INIT_PARAMS = {
    "CACClassifier": [LEARNS],
    "CenterLossClassifier": [LEARNS],
    "DeepSAD": [{}],
    "DeepSVDD": [
        {},
        {"multi_radius": True},
        {"objective": "soft-boundary", "multi_radius": True, "warm_up_epochs": 1},
    ],
    "FitOnNormal": [{"estimator": IsolationForest(n_estimators=9, random_state=0)}],
    "HSC": [{}, {"loss": "bce"}],
    "HypersphereEnsemble": [
        {"estimator": sk_hypersphere.DeepSVDD(max_epochs=2), "n_members": 2},
        {
            "estimator": sk_hypersphere.MCHADClassifier(**LEARNS),
            "n_members": 2,
            "bootstrap": True,
        },
    ],
    "IILossClassifier": [LEARNS],
    "MCHADClassifier": [LEARNS, {**LEARNS, "anomaly_label": 99, "radius": 0.5}],
}
# Only for the laws, whose anomalies are -1: for scikit-learn's checks -1 is a class.
LAW_PARAMS = {
    name: [{**LEARNS, "anomaly_label": -1}]
    for name in ("CACClassifier", "CenterLossClassifier", "MCHADClassifier")
}
SMALL = {"max_epochs": 2, "random_state": 0}
EXPECTED_FAILURES = {}

# Floors whose public classes and functions are documented; "" is the package itself.
FLOORS = [
    "",
    ".base",
    ".confidence",
    ".displays",
    ".losses",
    ".metrics",
    ".modules",
    ".preprocessing",
    ".testing",
]


def estimator_classes():
    """Public estimators, by name."""
    for name in sk_hypersphere.__all__:
        cls = getattr(sk_hypersphere, name)
        if inspect.isclass(cls) and issubclass(cls, BaseEstimator):
            yield name, cls


def make_estimators(settings, default):
    for name, cls in estimator_classes():
        for params in settings.get(name, default):
            known = inspect.signature(cls).parameters
            small = {key: SMALL[key] for key in SMALL if key in known}
            yield cls(**{**small, **params})


def documented():
    """Public classes and functions of all floors, each once."""
    for floor in FLOORS:
        module = import_module("sk_hypersphere" + floor)
        for name in module.__all__:
            yield pytest.param(getattr(module, name), id=name)


DOCUMENTED = pytest.mark.parametrize("thing", [*documented()])

test_contract = contract_tests(
    *make_estimators(INIT_PARAMS, default=[{}]), expected_failures=EXPECTED_FAILURES
)
test_laws_with_example_anomalies = contract_tests(
    *make_estimators(LAW_PARAMS, default=[]), scikit_learn_checks=False
)


def test_no_failure_is_expected():
    assert EXPECTED_FAILURES == {}


@DOCUMENTED
def test_every_parameter_is_documented_in_the_order_of_the_signature(thing):
    fail_for(parameter_faults(thing))


@DOCUMENTED
def test_defaults_are_documented_as_they_are(thing):
    fail_for(default_faults(thing))


@pytest.mark.parametrize("cls", dict(estimator_classes()).values())
def test_descriptions_break_lines_only_where_they_are_full(cls):
    """A line that ends early is the scar of a sentence that was put in or taken out."""
    lines = inspect.getsource(cls).split('"""')[1].splitlines()
    for line, following in pairwise(lines):
        is_text = all(re.match(r" {8}[\w`\"(]", text) for text in (line, following))
        if is_text:
            assert len(line) + 1 + len(following.split()[0]) > 84, line
