"""The contract of all estimators: scikit-learn's checks, and our own laws.

An estimator joins by being in ``sk_hypersphere.__all__``. A law applies by what an
estimator can do, never by its name; only settings are looked up by name.
"""

import ast
import inspect
import os
import pickle
import random
import re
import unittest
import warnings
from copy import deepcopy
from importlib import import_module
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, clone, is_classifier, is_outlier_detector
from sklearn.datasets import make_blobs
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks as checks
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback, EarlyStopping
from skorch.dataset import ValidSplit
from skorch.helper import SliceDataset
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import sk_hypersphere
from sk_hypersphere._training.rows import unwrapped
from sk_hypersphere.exceptions import (
    CalibrationWarning,
    NonFiniteLossError,
    SupervisionWarning,
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
    "MCHADClassifier": [LEARNS, {**LEARNS, "outlier_label": 99, "radius": 0.5}],
}
# Only for the laws, whose anomalies are -1: for scikit-learn's checks -1 is a class.
LAW_PARAMS = {
    name: [{**LEARNS, "outlier_label": -1}]
    for name in ("CACClassifier", "CenterLossClassifier", "MCHADClassifier")
}
SMALL = {"max_epochs": 2, "random_state": 0}
EXPECTED_FAILURES = {}

# Parameters that a grid search tries, where an estimator has them.
GRID = {"encoder__hidden_units": [(4,), (16,)], "nu": [0.05, 0.5]}

RESPONSES = (
    "score_samples",
    "p_values",
    "decision_function",
    "predict_proba",
    "predict",
    "detect",
    "transform",
)


def make_estimators(settings, default):
    for name in sk_hypersphere.__all__:
        cls = getattr(sk_hypersphere, name)
        if inspect.isclass(cls) and issubclass(cls, BaseEstimator):
            for params in settings.get(name, default):
                known = inspect.signature(cls).parameters
                small = {key: SMALL[key] for key in SMALL if key in known}
                yield cls(**{**small, **params})


def name_of(estimator):
    changed = [
        f"{value}" if isinstance(value, str) else key
        for settings in (INIT_PARAMS, LAW_PARAMS)
        for params in settings.get(type(estimator).__name__, [{}])
        for key, value in params.items()
        if estimator.get_params()[key] == value
    ]
    return "-".join([type(estimator).__name__, *dict.fromkeys(changed)])


def law(condition):
    """Parametrize a test over the estimators for which a condition holds."""
    chosen = [e for e in [*ESTIMATORS, *LAW_ABIDING] if condition(e)]
    assert chosen, "no estimator is left to test"
    parametrize = pytest.mark.parametrize("estimator", chosen, ids=name_of)

    def decorate(test):
        return parametrize(test)

    return decorate


def has_net(estimator):
    return "encoder" in estimator.get_params()


def has_nets(estimator):
    """Whether it, or what it wraps, learns by a net."""
    return has_net(estimator) or "estimator__encoder" in estimator.get_params()


def has_scores(estimator):
    return has_net(estimator) and hasattr(estimator, "score_samples")


def has_threshold(estimator):
    return "false_alarm_rate" in estimator.get_params()


def has_transform(estimator):
    return hasattr(estimator, "transform")


def learns_from_normal_rows(estimator):
    """Whether a detector is content with rows that have no labels."""
    if not (has_scores(estimator) and is_outlier_detector(estimator)):
        return False
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fresh(estimator, max_epochs=0).fit(np.random.RandomState(0).randn(50, 4))
    return not any(issubclass(w.category, SupervisionWarning) for w in caught)


def is_example_anomaly(estimator, y):
    """Which labels, +1 or -1, are those of example anomalies to an estimator."""
    params = getattr(estimator, "estimator", estimator).get_params()
    if "anomaly_label" in params:
        return y == -1
    return y == params.get("outlier_label")


# For checks of scikit-learn, whose labels are no supervision, and where there are none.
WITHOUT_SUPERVISION = pytest.mark.filterwarnings(
    "ignore::sk_hypersphere.exceptions.SupervisionWarning"
)
# For data of a few samples, which are too few to hold some out.
FEW_SAMPLES = pytest.mark.filterwarnings(
    "ignore::sk_hypersphere.exceptions.CalibrationWarning"
)

ESTIMATORS = [*make_estimators(INIT_PARAMS, default=[{}])]
LAW_ABIDING = [*make_estimators(LAW_PARAMS, default=[])]


# Data: one blob of normal rows and a few anomalies far away; labels are 1 and -1.


@pytest.fixture(scope="module")
def X():
    X, _ = make_blobs(120, n_features=4, centers=3, random_state=0)
    X[-10:] += 30
    return X.astype(np.float32)


@pytest.fixture(scope="module")
def y():
    return np.r_[np.ones(110, dtype=int), -np.ones(10, dtype=int)]


@pytest.fixture(scope="module")
def images():
    rng = np.random.RandomState(0)
    return rng.randint(0, 256, (48, 1, 8, 8)).astype(np.uint8)


@pytest.fixture(scope="module")
def image_labels():
    return np.r_[np.ones(40, dtype=int), -np.ones(8, dtype=int)]


def fresh(estimator, **params):
    """A clone with other parameters, of what it wraps if it has none of that name."""
    known = inspect.signature(type(estimator)).parameters
    wraps = "encoder" not in known
    return clone(estimator).set_params(
        **{
            f"estimator__{name}" if wraps and name not in known else name: value
            for name, value in params.items()
        }
    )


def responses(estimator, X):
    """All that a fitted estimator says about samples, by method."""
    names = [name for name in RESPONSES if hasattr(estimator, name)]
    if not len(getattr(estimator, "calibration_scores_", [0])):
        names.remove("p_values")  # it needs some
    return {name: getattr(estimator, name)(X) for name in names}


def assert_same(ours, theirs):
    """Equal to the last bit."""
    assert ours.keys() == theirs.keys() and ours
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def differ(ours, theirs):
    return any(not np.array_equal(ours[name], theirs[name]) for name in ours)


def streams():
    """State of every global random stream."""
    _, keys, position, *_ = np.random.get_state()
    torch_state = torch.get_rng_state().numpy().tobytes()
    return keys.tobytes(), position, torch_state, random.getstate()


class FailsInLastEpoch(Callback):
    """Raise when training has changed everything that it changes."""

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == net.max_epochs:
            raise InterruptedError


class RemembersAddress(Callback):
    """Note where in memory the training data is."""

    def on_train_begin(self, net, X=None, **kwargs):
        rows, _ = unwrapped(X)
        self.address = rows.X.__array_interface__["data"][0]


def rows_encoder(*layers):
    """A module for rows of 4 features."""
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        return nn.Sequential(*layers, nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


# scikit-learn's own checks.


@WITHOUT_SUPERVISION
@FEW_SAMPLES
@checks.parametrize_with_checks(
    ESTIMATORS,
    expected_failed_checks=lambda e: EXPECTED_FAILURES.get(type(e).__name__, {}),
)
def test_scikit_learn_check_passes_and_is_not_skipped(estimator, check):
    try:
        check(estimator)
    except unittest.SkipTest as skip:
        pytest.fail(f"skipped: {skip}")


def test_no_failure_is_expected():
    assert EXPECTED_FAILURES == {}


@law(lambda estimator: True)
def test_arrays_of_another_namespace_are_among_the_checks(estimator):
    assert os.environ["SCIPY_ARRAY_API"] == "1"  # else the check skips itself
    names = [
        getattr(check, "func", check).__name__
        for _, check in checks.estimator_checks_generator(estimator)
    ]
    assert "check_array_api_input" in names


@law(lambda estimator: True)
def test_wrong_parameters_are_refused_with_a_sentence(estimator):
    checks.check_param_validation(type(estimator).__name__, estimator)


@law(lambda estimator: True)
def test_column_names_are_remembered_and_checked(estimator):
    checks.check_dataframe_column_names_consistency(type(estimator).__name__, estimator)


TRANSFORMER_CHECKS = [
    checks.check_transformer_get_feature_names_out,
    checks.check_transformer_get_feature_names_out_pandas,
    checks.check_get_feature_names_out_error,
    checks.check_set_output_transform,
    checks.check_set_output_transform_pandas,
    checks.check_global_output_transform_pandas,
    checks.check_set_output_transform_polars,
    checks.check_global_set_output_transform_polars,
    checks.check_inplace_ensure_writeable,
]


# These checks hand arrays to models fitted on data frames, and the other way round.
@pytest.mark.filterwarnings("ignore:X .* feature names:UserWarning")
@FEW_SAMPLES
@law(has_transform)
@pytest.mark.parametrize("check", TRANSFORMER_CHECKS, ids=lambda c: c.__name__)
def test_check_of_transformers_passes(estimator, check):
    check(type(estimator).__name__, estimator)


# Documentation.


def documented():
    """Public classes and functions of all floors, each once."""
    floors = [
        "",
        ".confidence",
        ".displays",
        ".losses",
        ".metrics",
        ".modules",
        ".preprocessing",
    ]
    for floor in floors:
        module = import_module("sk_hypersphere" + floor)
        for name in module.__all__:
            yield pytest.param(getattr(module, name), id=name)


DOCUMENTED = pytest.mark.parametrize("thing", [*documented()])


def documented_parameters(docstring):
    """Type lines of the section Parameters of a numpydoc docstring, by name."""
    section = re.search(
        r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n---|\Z)",
        inspect.cleandoc(docstring).replace("\\\n", " "),
        flags=re.DOTALL | re.MULTILINE,
    )
    lines = re.findall(
        r"^[*]*(\w[\w, ]*?)(?: : (.*))?$", section[1] if section else "", re.M
    )
    return {name: kind for names, kind in lines for name in names.split(", ")}


def documented_default(kind):
    """The value behind "default=", or what stands for no default."""
    _, found, value = kind.partition("default=")
    return ast.literal_eval(value) if found else inspect.Parameter.empty


def parameters(thing):
    """What a function or class is called with; nothing where torch takes anything."""
    found = inspect.signature(thing).parameters
    return {} if [*found] == ["args", "kwargs"] else found


def public_methods(cls):
    return {
        name: method
        for name, method in inspect.getmembers(cls, inspect.isroutine)
        if not name.startswith("_")
        and getattr(method, "__module__", "").startswith("sk_hypersphere")
    }


@DOCUMENTED
def test_every_parameter_is_documented_in_the_order_of_the_signature(thing):
    assert [*documented_parameters(thing.__doc__)] == [*parameters(thing)]


@DOCUMENTED
def test_defaults_are_documented_as_they_are(thing):
    described = documented_parameters(thing.__doc__)
    for name, parameter in parameters(thing).items():
        assert documented_default(described[name]) == parameter.default, name


@law(lambda estimator: True)
def test_descriptions_break_lines_only_where_they_are_full(estimator):
    """A line that ends early is the scar of a sentence that was put in or taken out."""
    lines = inspect.getsource(type(estimator)).split('"""')[1].splitlines()
    for line, following in pairwise(lines):
        is_text = all(re.match(r" {8}[\w`\"(]", text) for text in (line, following))
        if is_text:
            assert len(line) + 1 + len(following.split()[0]) > 84, line


@law(lambda estimator: True)
def test_public_methods_and_their_parameters_are_documented(estimator):
    inherited = {"get_params", "set_params"}  # documented by scikit-learn
    for name, method in public_methods(type(estimator)).items():
        if name not in inherited:
            given = [name for name in parameters(method) if name != "self"]
            assert [*documented_parameters(method.__doc__)] == given, name


@law(has_nets)
def test_every_fitted_attribute_is_documented(estimator, X, y):
    fitted = fresh(estimator).fit(pd.DataFrame(X, columns=[*"abcd"]), y)
    attributes = inspect.cleandoc(type(estimator).__doc__).split("\nAttributes\n")[1]
    for name in vars(fitted):
        if name.endswith("_") and not name.startswith("_"):
            assert f"\n{name} : " in attributes, name


# Seeds.


@law(has_nets)
def test_another_fit_with_the_same_seed_gives_the_same_bits(estimator, X, y):
    fitted = fresh(estimator).fit(X, y)
    first = responses(fitted, X)
    assert_same(first, responses(fitted.fit(X, y), X))


@law(has_nets)
def test_a_clone_gives_the_same_bits(estimator, X, y):
    fitted = fresh(estimator).fit(X, y)
    assert_same(responses(fitted, X), responses(clone(fitted).fit(X, y), X))


@law(has_nets)
@pytest.mark.parametrize(
    "copied",
    [deepcopy, lambda e: pickle.loads(pickle.dumps(e))],
    ids=["deep", "pickle"],
)
def test_a_copy_of_a_fitted_model_gives_the_same_bits(estimator, copied, X, y):
    fitted = fresh(estimator).fit(X, y)
    assert_same(responses(fitted, X), responses(copied(fitted), X))


@law(has_nets)
@pytest.mark.parametrize("prefer", ["processes", "threads"])
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_fits_side_by_side_give_the_same_bits(estimator, prefer, in_pipeline, X, y):
    model = make_pipeline(StandardScaler(), estimator) if in_pipeline else estimator
    alone = responses(clone(model).fit(X, y), X)
    jobs = (delayed(clone(model).fit)(X, y) for _ in range(2))
    for fitted in Parallel(n_jobs=2, prefer=prefer)(jobs):
        assert_same(alone, responses(fitted, X))


@law(has_nets)
def test_a_pipeline_is_its_steps_one_after_the_other(estimator, X, y):
    pipeline = make_pipeline(StandardScaler(), fresh(estimator)).fit(X, y)
    scaled = StandardScaler().fit_transform(X)
    alone = responses(fresh(estimator).fit(scaled, y), scaled)
    for name in ("detect", "p_values"):  # no pipeline hands them on
        alone.pop(name, None)
    assert_same(responses(pipeline, X), alone)


@pytest.fixture
def with_threads():
    """Call a function with a number of torch's threads."""
    before = torch.get_num_threads()

    def call(n_threads, function):
        torch.set_num_threads(n_threads)
        return function()

    yield call
    torch.set_num_threads(before)


@law(has_nets)
def test_the_number_of_threads_does_not_matter_to_a_fit(estimator, with_threads, X, y):
    results = [
        with_threads(n, lambda: responses(fresh(estimator).fit(X, y), X))
        for n in (1, 2)
    ]
    assert_same(*results)


@law(has_nets)
def test_the_number_of_threads_does_not_matter_to_scores_of_images(
    estimator, with_threads, images, image_labels
):
    fitted = fresh(estimator).fit(images, image_labels)
    results = [with_threads(n, lambda: responses(fitted, images)) for n in (1, 2)]
    assert_same(*results)


@law(has_nets)
def test_a_random_state_instance_is_a_seed_too(estimator, X, y):
    first, second = (
        fresh(estimator, random_state=np.random.RandomState(5)).fit(X, y)
        for _ in range(2)
    )
    assert_same(responses(first, X), responses(second, X))


@law(has_nets)
def test_a_random_state_instance_gives_another_model_in_the_next_fit(estimator, X, y):
    fitted = fresh(estimator, random_state=np.random.RandomState(5))
    first = responses(fitted.fit(X, y), X)
    assert differ(first, responses(fitted.fit(X, y), X))


@law(has_nets)
def test_different_seeds_give_different_models(estimator, X, y):
    first = responses(fresh(estimator, random_state=0).fit(X, y), X)
    assert differ(first, responses(fresh(estimator, random_state=1).fit(X, y), X))


@law(has_nets)
def test_no_seed_gives_different_models(estimator, X, y):
    first = responses(fresh(estimator, random_state=None).fit(X, y), X)
    assert differ(first, responses(fresh(estimator, random_state=None).fit(X, y), X))


@law(has_nets)
@pytest.mark.parametrize("random_state", [0, None])
def test_global_random_streams_are_left_as_they_were(estimator, random_state, X, y):
    before = streams()
    fitted = fresh(estimator, random_state=random_state).fit(X, y)
    assert streams() == before
    responses(fitted, X)
    assert streams() == before


@law(has_nets)
def test_global_random_streams_have_no_influence(estimator, X, y):
    first = responses(fresh(estimator).fit(X, y), X)
    with torch.random.fork_rng():
        torch.rand(3)
        assert_same(first, responses(fresh(estimator).fit(X, y), X))


# What is given stays as it was.


@law(has_nets)
def test_given_arrays_are_untouched(estimator, X, y):
    given, labels = X.copy(), y.copy()
    responses(fresh(estimator).fit(given, labels), given)
    np.testing.assert_array_equal(given, X)
    np.testing.assert_array_equal(labels, y)


@law(has_net)
@pytest.mark.parametrize(
    "first", [nn.ReLU(inplace=True), nn.Dropout(inplace=True)], ids=["relu", "dropout"]
)
def test_an_encoder_that_works_in_place_leaves_arrays_untouched(estimator, first, X, y):
    given, encoder = X.copy(), rows_encoder(first)
    fitted = fresh(estimator).set_params(encoder=encoder).fit(given, y)
    assert_same(responses(fitted, given), responses(fitted, given))
    np.testing.assert_array_equal(given, X)
    assert first.inplace


class WritesIntoItsInput(nn.Linear):
    def forward(self, x):
        return super().forward(x.relu_())


@law(has_net)
def test_an_encoder_whose_code_writes_into_its_input_is_refused(estimator, X, y):
    given = np.abs(X)  # nothing to rectify, so that only the intent can show
    encoder = WritesIntoItsInput(4, 3)
    with pytest.raises(ValueError, match="encoder must leave its input as it is"):
        fresh(estimator).set_params(encoder=encoder).fit(given, y)
    np.testing.assert_array_equal(given, np.abs(X))


@law(has_net)
def test_a_given_encoder_is_untouched(estimator, X, y):
    encoder = rows_encoder(nn.BatchNorm1d(4))
    before = deepcopy(encoder.state_dict())
    fitted = fresh(estimator).set_params(encoder=encoder).fit(X, y)
    responses(fitted, X)
    assert encoder.training
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name]), name
        assert not torch.equal(value, fitted.net_.module_.encoder.state_dict()[name])


@law(lambda estimator: "decoder" in estimator.get_params())
def test_a_given_decoder_is_untouched(estimator, X, y):
    encoder, decoder = rows_encoder(), nn.Linear(3, 4)
    before = deepcopy(decoder.state_dict())
    given = {"encoder": encoder, "decoder": decoder, "pretrain_epochs": 1}
    fresh(estimator).set_params(**given).fit(X, y)
    for name, value in decoder.state_dict().items():
        assert torch.equal(value, before[name]), name


@law(has_net)
def test_given_callbacks_are_untouched(estimator, X, y):
    callback = EarlyStopping(monitor="train_loss", patience=1)
    before = vars(callback).copy()
    fresh(estimator).set_params(callbacks=[callback]).fit(X, y)
    assert vars(callback) == before


@law(has_net)
def test_given_parameter_dicts_are_untouched(estimator, X, y):
    given = {"hidden_units": (8,)}
    changed = fresh(estimator).set_params(encoder_params=given)
    changed.set_params(encoder__bias=False).fit(X, y)
    assert given == {"hidden_units": (8,)}


@law(has_net)
def test_clones_do_not_share_parameter_dicts(estimator):
    original = fresh(estimator, encoder__hidden_units=(8,), net__verbose=0)
    clone(original).set_params(encoder__hidden_units=(4,), net__verbose=1)
    assert original.encoder_params == {"hidden_units": (8,)}
    assert original.net_params == {"verbose": 0}


# Scores and embeddings.


@law(has_scores)
def test_scores_are_float64_one_a_row_and_not_all_alike(estimator, X, y):
    scores = fresh(estimator).fit(X, y).score_samples(X)
    assert scores.dtype == np.float64 and scores.shape == (len(X),)
    assert len(np.unique(scores)) > len(X) / 2


@law(lambda estimator: has_scores(estimator) and not is_classifier(estimator))
def test_decisions_are_scores_above_the_offset(estimator, X, y):
    fitted = fresh(estimator).fit(X, y)
    decisions = fitted.decision_function(X)
    np.testing.assert_array_equal(decisions, fitted.score_samples(X) - fitted.offset_)
    np.testing.assert_array_equal(fitted.predict(X), np.where(decisions < 0, -1, 1))


@law(has_threshold)
@pytest.mark.parametrize("contamination", [0.05, 0.1, 0.5])
def test_contamination_is_the_fraction_called_anomalies(estimator, contamination, X, y):
    fitted = fresh(estimator, contamination=contamination).fit(X, y)
    detect = fitted.detect if is_classifier(fitted) else fitted.predict
    counted = X[~is_example_anomaly(fitted, y)]
    assert np.mean(detect(counted) == -1) == pytest.approx(contamination, abs=0.01)


# Promises.


def normal_rows(n, seed):
    """Rows of two classes that lie apart, and these classes."""
    rng = np.random.RandomState(seed)
    classes = rng.randint(2, size=n)
    return (rng.randn(n, 4) + 6 * classes[:, None]).astype(np.float32), classes


def anomalies(n, seed):
    return np.random.RandomState(seed).randn(n, 4).astype(np.float32) + [30, 0, 0, 0]


def trained_for_a_promise(estimator, n, **params):
    """A fit to normal rows of two classes, with some example anomalies."""
    X, classes = normal_rows(n, seed=7)  # not that of the estimators
    outlier = -1
    labels = classes if is_classifier(estimator) else np.ones(n, dtype=int)
    inner = getattr(estimator, "estimator", estimator)
    if "anomaly_label" in inner.get_params() or getattr(inner, "outlier_label", None):
        outlier = getattr(inner, "outlier_label", -1)
        X = np.concatenate([X, anomalies(20, seed=0)])
        labels = np.concatenate([labels, np.full(20, outlier)])
    return fresh(estimator, **params).fit(X, labels)


@law(has_threshold)
@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_new_normal_rows_fall_below_as_often_as_promised(estimator, rate):
    fitted = trained_for_a_promise(estimator, 2000, false_alarm_rate=rate)
    new, _ = normal_rows(4000, seed=1)
    n_calibrating = len(fitted.calibration_scores_)
    assert n_calibrating == 400
    share = np.mean(fitted.score_samples(new) < fitted.offset_)
    deviation = np.sqrt(rate * (1 - rate) * (1 / n_calibrating + 1 / len(new)))
    assert abs(share - rate) < 3.5 * deviation


@law(has_threshold)
def test_the_promise_is_one_in_twenty_by_default(estimator):
    default = inspect.signature(type(estimator)).parameters["false_alarm_rate"].default
    if default is None:  # an ensemble, which has that of its estimator
        default = estimator.estimator.false_alarm_rate
    assert default == 0.05


@law(has_threshold)
@pytest.mark.parametrize("kind", ["rows", "images"])
def test_samples_that_are_held_out_have_no_part_in_training(
    estimator, kind, X, y, images, image_labels
):
    if kind == "images":
        X, y = images, image_labels
    fitted = fresh(estimator).fit(X, y)
    held_out = fitted.calibration_indices_
    assert len(held_out) >= 19
    assert not is_example_anomaly(fitted, y)[held_out].any()
    changed = X.copy()
    changed[held_out] = changed[held_out][::-1] // 2 + 3
    again = fresh(estimator).fit(changed, y)
    np.testing.assert_array_equal(again.calibration_indices_, held_out)
    members = (getattr(e, "estimators_", [e]) for e in (fitted, again))
    for ours, theirs in zip(*members, strict=True):
        for name, value in ours.net_.module_.state_dict().items():
            assert torch.equal(value, theirs.net_.module_.state_dict()[name]), name


@law(has_threshold)
def test_calibration_scores_are_those_of_the_samples_held_out(estimator, X, y):
    fitted = fresh(estimator).fit(X, y)
    scores = np.sort(fitted.score_samples(X[fitted.calibration_indices_]))
    np.testing.assert_array_equal(fitted.calibration_scores_, scores)
    place = np.quantile(scores, 0.05, method="weibull")
    assert fitted.offset_ == pytest.approx(place, rel=1e-12)


@law(has_threshold)
def test_p_values_count_the_calibration_scores_below(estimator, X, y):
    fitted = fresh(estimator).fit(X, y)
    m = len(fitted.calibration_scores_)
    for score, p in zip(fitted.score_samples(X), fitted.p_values(X), strict=True):
        assert p == (1 + sum(s <= score for s in fitted.calibration_scores_)) / (m + 1)


@law(has_threshold)
def test_p_values_are_refused_without_calibration(estimator, X, y):
    fitted = fresh(estimator, contamination=0.1).fit(X, y)
    assert len(fitted.calibration_indices_) == 0
    with pytest.raises(ValueError, match='contamination="auto"'):
        fitted.p_values(X)


@law(has_threshold)
def test_too_few_samples_for_a_promise_are_warned_of(estimator):
    with pytest.warns(CalibrationWarning, match="needs 19 normal samples") as caught:
        trained_for_a_promise(estimator, 30)
    assert all(warning.filename == __file__ for warning in caught)


# What is fixed at fit stays fixed.


class Poison:
    """A value that no method can use."""

    def __eq__(self, other):
        raise AssertionError("a parameter was read after fit")

    __hash__ = None
    __bool__ = __call__ = __len__ = __iter__ = __float__ = __eq__


def other_values(value):
    """Values that a parameter may be set to in place of one."""
    yield Poison()
    if isinstance(value, (bool, np.bool_)):
        yield not value
    elif isinstance(value, (int, float)):
        yield value * 3 + 1
    elif isinstance(value, str):
        yield from ("auto", "nearest", "norm", "msp", "bce", "boundary", 9)
    else:
        yield from (-1, True, "x")


@law(lambda estimator: any(hasattr(estimator, name) for name in RESPONSES))
def test_no_parameter_changes_a_response_after_fit(estimator, X, y):
    fitted = fresh(estimator).fit(X, y)
    before = responses(fitted, X) | {"score": scores_with_labels(fitted, X, y)}
    for name, value in fitted.get_params().items():
        if name == "estimator":  # it has a law of its own
            continue
        others = other_values(value)
        if name.endswith("device"):  # where to compute, which changes no decision
            others = ["cpu", torch.device("cpu")]
        for other in others:
            fitted.set_params(**{name: other})
            after = responses(fitted, X) | {"score": scores_with_labels(fitted, X, y)}
            assert_same(before, after)
        fitted.set_params(**{name: value})


@law(lambda estimator: "estimator" in estimator.get_params())
def test_another_estimator_changes_no_response_after_fit(estimator, X, y):
    fitted = fresh(estimator).fit(X, y)
    before = responses(fitted, X)
    for other in (IsolationForest(), StandardScaler(), fresh(estimator), Poison()):
        fitted.estimator = other
        assert_same(before, responses(fitted, X))


def scores_with_labels(estimator, X, y):
    """What `score` says, of classifiers."""
    return estimator.score(X, y) if is_classifier(estimator) else 0.0


@law(learns_from_normal_rows)
def test_what_is_far_from_all_training_rows_is_an_anomaly(estimator, X, y):
    normal = X[y == 1]
    fitted = fresh(estimator).set_params(max_epochs=20).fit(normal)
    far = normal.mean(axis=0) + 1e3 * np.eye(4, dtype=np.float32)
    assert (fitted.predict(far) == -1).all()


@law(lambda estimator: "n_components" in estimator.get_params())
def test_the_embedding_has_n_components(estimator, X, y):
    Z = fresh(estimator, n_components=5).fit(X, y).transform(X)
    assert Z.shape == (len(X), 5) and Z.dtype == np.float32


@law(has_net)
def test_fitted_attributes_are_numpy_and_not_torch(estimator, X, y):
    for name, value in vars(fresh(estimator).fit(X, y)).items():
        parts = value.values() if isinstance(value, dict) else [value]
        assert not any(isinstance(part, torch.Tensor) for part in parts), name


@law(has_nets)
def test_numbers_of_a_row_do_not_depend_on_the_rows_beside_it(estimator, X, y):
    fitted = fresh(estimator).fit(X, y)
    many = np.random.RandomState(1).randn(8300, 4).astype(np.float32) * 5
    whole = responses(fitted, many)
    for start in (0, 1, 31, 32, 5000, 8191, 8192, 8299):
        row = slice(start, start + 1)
        assert_same(responses(fitted, many[row]), take(whole, row))
    for length in range(2, 41):
        rows = slice(8192 - length // 2, 8192 - length // 2 + length)
        assert_same(responses(fitted, many[rows]), take(whole, rows))


@law(has_nets)
def test_numbers_of_an_image_do_not_depend_on_the_images_beside_it(
    estimator, images, image_labels
):
    fitted = fresh(estimator).fit(images, image_labels)
    many = np.random.RandomState(1).randint(0, 256, (1500, 1, 8, 8)).astype(np.uint8)
    whole = responses(fitted, many)
    for start, length in [(0, 1), (700, 1), (1499, 1), (3, 2), (40, 31), (99, 33)]:
        part = slice(start, start + length)
        assert_same(responses(fitted, many[part]), take(whole, part))


@law(has_net)
def test_a_layer_left_in_training_mode_changes_no_numbers(estimator, X, y):
    encoder = rows_encoder(nn.Dropout())
    fitted = fresh(estimator).set_params(encoder=encoder).fit(X, y)
    before = responses(fitted, X)
    fitted.net_.module_.encoder.train()
    assert_same(responses(fitted, X), before)


@law(has_net)
def test_a_lower_precision_of_the_caller_changes_no_numbers(estimator, X, y):
    fitted = fresh(estimator).fit(X, y)
    before = responses(fitted, X)
    with torch.autocast("cpu", torch.bfloat16):
        assert_same(responses(fitted, X), before)


@law(has_net)
def test_a_lower_precision_of_the_caller_changes_training_alone(estimator, X, y):
    untrained = fresh(estimator).set_params(max_epochs=0)
    if "pretrain_epochs" in untrained.get_params():
        untrained.set_params(pretrain_epochs=0)
    expected = responses(clone(untrained).fit(X, y), X)
    with torch.autocast("cpu", torch.bfloat16):
        fitted = clone(untrained).fit(X, y)
    assert_same(responses(fitted, X), expected)


@law(has_net)
def test_a_fit_in_lower_precision_of_the_caller_gives_finite_numbers(estimator, X, y):
    with torch.autocast("cpu", torch.bfloat16):
        fitted = fresh(estimator).fit(X, y)
    for values in responses(fitted, X).values():
        assert np.isfinite(values).all()


def take(results, rows):
    return {name: result[rows] for name, result in results.items()}


# Parameters reach the net.


@law(has_net)
def test_parameters_of_the_encoder_reach_it(estimator, X, y):
    fitted = fresh(estimator, encoder__hidden_units=(7, 6)).fit(X, y)
    layers = fitted.net_.module_.encoder.modules()
    sizes = [layer.out_features for layer in layers if isinstance(layer, nn.Linear)]
    assert sizes[:2] == [7, 6]


@law(has_net)
def test_parameters_of_the_net_reach_it(estimator, X, y):
    net = (
        fresh(estimator)
        .set_params(net__optimizer=torch.optim.SGD, net__optimizer__momentum=0.5)
        .fit(X, y)
        .net_
    )
    assert isinstance(net.optimizer_, torch.optim.SGD)
    assert net.optimizer_.param_groups[0]["momentum"] == 0.5


@law(has_net)
def test_a_validation_split_is_scored_each_epoch(estimator, X, y):
    fitted = fresh(estimator).set_params(net__train_split=ValidSplit(5))
    fitted.fit(shuffled_rows(X), shuffled_rows(y))  # some of every kind on each side
    assert np.isfinite(fitted.net_.history[:, "valid_loss"]).all()


@law(has_net)
def test_a_data_loader_may_be_the_iterator(estimator, X, y):
    loader = {"net__iterator_train": DataLoader, "net__iterator_train__shuffle": True}
    first, second = (fresh(estimator).set_params(**loader).fit(X, y) for _ in range(2))
    assert_same(responses(first, X), responses(second, X))


@law(has_net)
def test_an_optimizer_with_a_closure_trains(estimator, X, y):
    fitted = fresh(estimator).set_params(net__optimizer=torch.optim.LBFGS).fit(X, y)
    assert all(np.isfinite(value).all() for value in responses(fitted, X).values())


@law(has_net)
def test_early_stopping_stops_early(estimator, X, y):
    never_better = {"threshold": 1e9, "threshold_mode": "abs"}
    stop = EarlyStopping(monitor="valid_loss", patience=2, **never_better)
    fitted = (
        fresh(estimator, max_epochs=9)
        .set_params(callbacks=[stop], net__train_split=ValidSplit(5))
        .fit(shuffled_rows(X), shuffled_rows(y))
    )
    assert fitted.n_iter_ == len(fitted.net_.history) < 9


@law(has_net)
def test_weights_can_be_loaded_without_trusting_the_file(estimator, X, y, tmp_path):
    fitted = fresh(estimator).fit(X, y)
    torch.save(fitted.net_.module_.state_dict(), tmp_path / "weights.pt")
    weights = torch.load(tmp_path / "weights.pt", weights_only=True)
    before = responses(fitted, X)
    with torch.no_grad():
        for parameter in fitted.net_.module_.parameters():
            parameter.zero_()
    fitted.net_.module_.load_state_dict(weights)
    assert_same(before, responses(fitted, X))


# Composition with scikit-learn.


@law(lambda estimator: has_net(estimator) and hasattr(estimator, "decision_function"))
def test_a_grid_search_finds_the_same_alone_and_with_two_jobs(estimator, X, y):
    grid = {key: values for key, values in GRID.items() if knows(estimator, key)}
    alone, together = (
        GridSearchCV(
            fresh(estimator),
            grid,
            scoring="accuracy" if is_classifier(estimator) else "roc_auc",
            cv=2,
            n_jobs=n_jobs,
            error_score="raise",
        ).fit(shuffled_rows(X), shuffled_rows(y))
        for n_jobs in (None, 2)
    )
    scores = alone.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(scores, together.cv_results_["mean_test_score"])
    assert alone.best_params_ == together.best_params_


def knows(estimator, key):
    return "__" in key or key in estimator.get_params()


def shuffled_rows(a):
    return a[np.random.RandomState(0).permutation(len(a))]


@law(has_nets)
def test_named_columns_may_not_change_their_order(estimator, X, y):
    frame = pd.DataFrame(X, columns=[*"abcd"])
    fitted = fresh(estimator).fit(frame, y)
    assert [*fitted.feature_names_in_] == [*"abcd"]
    with pytest.raises(ValueError, match="feature names should match"):
        responses(fitted, frame[[*"bacd"]])


@law(lambda estimator: has_net(estimator) and has_transform(estimator))
@pytest.mark.parametrize("library", [pd, pl], ids=lambda library: library.__name__)
def test_set_output_gives_a_data_frame(estimator, library, X, y):
    fitted = fresh(estimator).set_output(transform=library.__name__).fit(X, y)
    frame = fitted.transform(X)
    assert isinstance(frame, library.DataFrame)
    assert [*frame.columns] == [*fitted.get_feature_names_out()]
    fitted.set_output(transform="default")
    np.testing.assert_array_equal(frame.to_numpy(), fitted.transform(X))


@WITHOUT_SUPERVISION
@law(has_nets)
def test_labels_are_needed_only_where_the_tags_say_so(estimator, X):
    if get_tags(estimator).target_tags.required:
        with pytest.raises(ValueError, match="requires y"):
            fresh(estimator).fit(X, None)
    else:
        check_is_fitted(fresh(estimator).fit(X))


# Kinds of input.


@law(has_net)
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_a_memory_map_stays_mapped(estimator, dtype, X, y, tmp_path):
    np.save(tmp_path / "X.npy", (X - X.min()).astype(dtype))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    remembers = ("remembers", RemembersAddress())
    fitted = fresh(estimator).set_params(callbacks=[remembers]).fit(mapped, y)
    address = dict(fitted.net_.callbacks_)["remembers"].address
    assert address == mapped.__array_interface__["data"][0]
    in_memory = fresh(estimator).fit(np.array(mapped), y)
    assert_same(responses(fitted, mapped), responses(in_memory, np.array(mapped)))


@law(has_nets)
def test_images_of_bytes_and_of_floats_are_the_same(estimator, images, image_labels):
    of_bytes = fresh(estimator).fit(images, image_labels)
    floats = images.astype(np.float32)
    of_floats = fresh(estimator).fit(floats, image_labels)
    assert_same(responses(of_bytes, images), responses(of_floats, floats))


@law(has_nets)
@pytest.mark.parametrize("shape", [(2, 1, 8, 9), (2, 1, 64), (2, 1, 4, 16)])
def test_images_of_another_size_are_refused(estimator, shape, images, image_labels):
    fitted = fresh(estimator).fit(images, image_labels)
    for name in responses(fitted, images):
        with pytest.raises(
            ValueError, match=r"samples of shape \(1, 8, 8\), as in fit"
        ):
            getattr(fitted, name)(np.zeros(shape, dtype=np.float32))


@law(has_nets)
def test_a_torch_data_set_may_be_the_input(estimator, X, y):
    sliced = SliceDataset(TensorDataset(torch.from_numpy(X)))
    fitted = fresh(estimator).fit(sliced, y)
    in_memory = fresh(estimator).fit(X, y)
    assert_same(responses(in_memory, X), responses(fitted, sliced))


@law(has_nets)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.float16])
def test_any_dtype_of_numbers_is_taken(estimator, dtype, X, y):
    rounded = X.round()
    fitted = fresh(estimator).fit(rounded.astype(dtype), y)
    in_memory = fresh(estimator).fit(rounded, y)
    assert_same(responses(in_memory, rounded), responses(fitted, rounded))


@law(has_nets)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_torch_tensor_may_be_the_input(estimator, dtype, X, y):
    rounded = X.round()
    tensor = torch.from_numpy(rounded).to(dtype).requires_grad_()
    fitted = fresh(estimator).fit(tensor, torch.from_numpy(y))
    in_memory = fresh(estimator).fit(tensor.detach().float().numpy(), y)
    assert_same(responses(in_memory, rounded), responses(fitted, rounded))
    assert_same(responses(fitted, tensor), responses(fitted, tensor.detach()))


@law(has_nets)
@pytest.mark.parametrize("wrap", [lambda data: data, DataLoader], ids=["set", "loader"])
def test_a_torch_data_set_is_refused_with_the_way_that_works(estimator, wrap, X, y):
    data = wrap(TensorDataset(torch.from_numpy(X), torch.from_numpy(y)))
    with pytest.raises(TypeError, match=r"skorch\.helper\.SliceDataset\(dataset\)"):
        fresh(estimator).fit(data, y)


@law(has_nets)
@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 3), (10, 20, 4), (9, 30, 1)])
def test_images_with_channels_last_are_refused(estimator, shape):
    images = np.random.RandomState(0).randint(0, 256, (40, *shape)).astype(np.uint8)
    with pytest.raises(ValueError, match=r"np\.moveaxis\(X, -1, 1\)"):
        fresh(estimator).fit(images, np.where(np.arange(40) % 4, 1, -1))


@FEW_SAMPLES
@law(has_net)
@pytest.mark.parametrize("shape", [(5, 40, 1), (3, 7, 3), (9, 4, 4), (16, 8, 5)])
def test_narrow_images_with_channels_first_are_taken(estimator, shape):
    images = np.random.RandomState(0).rand(24, *shape).astype(np.float32)
    check_is_fitted(fresh(estimator).fit(images, np.where(np.arange(24) % 4, 1, -1)))


@law(has_net)
def test_an_own_encoder_may_take_channels_last(estimator):
    images = np.random.RandomState(0).rand(80, 8, 8, 3).astype(np.float32)
    labels = np.where(np.arange(80) % 4, 1, -1)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    check_is_fitted(fresh(estimator).set_params(encoder=encoder).fit(images, labels))


@law(has_net)
def test_an_own_encoder_that_fails_for_channels_last_names_the_repair(estimator):
    images = np.random.RandomState(0).rand(80, 8, 8, 3).astype(np.float32)
    encoder = nn.Sequential(nn.Conv2d(3, 2, 8), nn.Flatten())
    with pytest.raises(ValueError, match=r"np\.moveaxis\(X, -1, 1\)"):
        fresh(estimator).set_params(encoder=encoder).fit(images, np.r_[-1, [1] * 79])


@law(has_nets)
@pytest.mark.parametrize("shape", [(0, 8, 8), (1, 0, 8), (1, 8, 0)])
def test_images_of_size_0_are_refused(estimator, shape):
    with pytest.raises(ValueError, match="along each axis|minimum of 1 is required"):
        fresh(estimator).fit(np.zeros((40, *shape)), np.r_[-1, [1] * 39])


@law(has_net)
@pytest.mark.parametrize(
    "entry", ["encoder__hidden_units", "net__max_epochs", "net__optimizer__betas"]
)
def test_entries_among_the_arguments_are_refused_with_the_repair(estimator, entry):
    prefix, _, name = entry.partition("__")
    with pytest.raises(TypeError, match=rf"{prefix}_params={{'{name}': 3}}"):
        type(estimator)(**{entry: 3})


FROZEN = {
    "identity": nn.Identity(),
    "frozen": nn.Linear(4, 3).requires_grad_(False),
    "frozen-with-statistics": nn.BatchNorm1d(4).requires_grad_(False),
}


@law(has_net)
@pytest.mark.parametrize("encoder", [*FROZEN.values()], ids=[*FROZEN])
def test_an_encoder_with_nothing_to_train_is_used_as_it_is_or_refused(
    estimator, encoder, X, y
):
    frozen = fresh(estimator).set_params(encoder=encoder)
    try:
        fitted = frozen.fit(X, y)
    except ValueError as error:
        assert "encoder must have parameters that can be trained" in str(error)
        assert "DeepSVDD" in str(error)
        return
    n_of_head = sum(p.numel() for p in fitted.net_.module_.head.parameters())
    assert fitted.diagnostics_["n_trained_parameters"] == n_of_head
    assert bool(fitted.n_iter_) == bool(n_of_head)
    with torch.no_grad():
        embedding = deepcopy(encoder).eval()(torch.from_numpy(X)).numpy()
    if not n_of_head:  # else statistics may move with the batches
        np.testing.assert_allclose(fitted.transform(X), embedding, rtol=1e-5)
    copy = pickle.loads(pickle.dumps(fitted))
    assert_same(responses(fitted, X), responses(copy, X))


# Odd data: fit and give finite numbers.

ODD_DATA = {
    "one-feature": np.arange(60.0)[:, None],
    "wide": np.random.RandomState(0).randn(12, 10_000),
    "duplicates": np.repeat(np.random.RandomState(0).randn(3, 4), 40, axis=0),
    "constant-columns": np.c_[np.ones((50, 3)), np.random.RandomState(0).randn(50, 1)],
    "all-the-same": np.ones((50, 4)),
    "all-zero": np.zeros((50, 4)),
    "two-rows": np.array([[0.0, 1.0], [2.0, -1.0]]),
    "one-more-than-a-batch": np.random.RandomState(0).randn(129, 4),
    "images-of-one-value": np.full((20, 1, 8, 8), 0.1, dtype=np.float32),
    "one-constant-image": np.r_[
        np.random.RandomState(0).rand(30, 1, 8, 8), [[[[0.1] * 8] * 8]]
    ],
    "a-constant-channel": np.random.RandomState(0).rand(30, 2, 8, 8) * [[[1]], [[0]]],
    "images-of-one-pixel": np.random.RandomState(0).rand(30, 1, 1, 1),
    "oblong-images": np.random.RandomState(0).rand(30, 3, 5, 11),
    "one-image-more-than-a-batch": np.random.RandomState(0).rand(129, 1, 3, 3),
}


@FEW_SAMPLES
@law(has_nets)
@pytest.mark.parametrize("data", [*ODD_DATA.values()], ids=[*ODD_DATA])
def test_odd_data_gives_finite_numbers(estimator, data):
    labels = np.where(np.arange(len(data)) % 2, 1, -1)
    if "min_cluster_size" in estimator.get_params():  # there may be none to be found
        fitted = fresh(estimator).fit(data, cluster_labels=labels)
    else:
        fitted = fresh(estimator).fit(data, labels)
    for name, result in responses(fitted, data).items():
        assert len(result) == len(data) and np.isfinite(result).all(), name


@law(has_net)
@pytest.mark.parametrize("batch_size", [1, 2, 7, 1000])
def test_batches_of_any_size_train(estimator, batch_size, X, y):
    least = estimator._parameter_constraints["batch_size"][0].left
    batch_size = max(batch_size, least)
    fitted = fresh(estimator, batch_size=batch_size).fit(X, y)
    assert all(np.isfinite(value).all() for value in responses(fitted, X).values())


# Failures leave no trace.


@law(has_nets)
def test_a_failed_first_fit_leaves_the_estimator_unfitted(estimator, X, y):
    failing = fresh(estimator, callbacks=[FailsInLastEpoch()])
    before = vars(failing).copy()
    with pytest.raises(InterruptedError):
        failing.fit(X, y)
    assert vars(failing) == before
    with pytest.raises(NotFittedError):
        responses(failing, X)


@law(has_net)
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_failed_later_fit_leaves_the_former_model(estimator, warm_start, X, y):
    fitted = fresh(estimator, warm_start=warm_start).fit(X, y)
    before = responses(fitted, X)
    fitted.set_params(callbacks=[FailsInLastEpoch()])
    with pytest.raises(InterruptedError):
        fitted.fit(X * 3, y)
    assert_same(before, responses(fitted, X))


@law(has_nets)
def test_a_refused_input_leaves_the_former_model(estimator, X, y):
    fitted = fresh(estimator).fit(X, y)
    before = responses(fitted, X)
    with pytest.raises(ValueError, match="NaN"):
        fitted.fit(np.full((len(X), 7), np.nan), y)
    assert_same(before, responses(fitted, X))


@law(has_nets)
def test_an_infinite_loss_is_an_error_that_brings_finite_weights(estimator, X, y):
    with pytest.raises(NonFiniteLossError, match="smaller lr") as caught:
        fresh(estimator, lr=1e38, max_epochs=9).fit(X, y)
    module = caught.value.net.module_
    assert all(value.isfinite().all() for value in module.encoder.parameters())


@law(has_net)
def test_warm_start_goes_on_from_the_former_weights(estimator, X, y):
    fitted = fresh(estimator, warm_start=True).fit(X, y)
    before = fitted.transform(X)
    standstill = fitted.set_params(lr=1e-30, random_state=1).fit(X, y).transform(X)
    np.testing.assert_array_equal(before, standstill)
    assert not np.array_equal(before, fitted.set_params(lr=0.1).fit(X, y).transform(X))


@law(has_net)
def test_warm_start_without_epochs_changes_no_response(estimator, X, y):
    # Not the embedder and the clusterer, which are fitted anew.
    labels = {"cluster_labels": y} if "min_cluster_size" in vars(estimator) else {}
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
def test_without_warm_start_a_fit_forgets_the_former(estimator, X, y):
    fitted = fresh(estimator).fit(X * 2 + 1, y).fit(X, y)
    assert_same(responses(fitted, X), responses(fresh(estimator).fit(X, y), X))


# What is shown.


@law(has_nets)
def test_nothing_is_printed_by_default(estimator, images, image_labels, capfd):
    responses(fresh(estimator).fit(images, image_labels), images)
    assert capfd.readouterr() == ("", "")


@law(has_net)
def test_verbose_shows_one_bar_that_reaches_its_end(
    estimator, images, image_labels, capsys
):
    fresh(estimator, verbose=1).fit(images, image_labels)
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "loss=" in err
    done, total = re.findall(r"(\d+)/(\d+)", err)[-1]
    assert done == total != "0"
