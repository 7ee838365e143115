"""Fitted models: nothing outside of them, and no parameter, changes what they say."""

import numpy as np
import torch
from sklearn.base import clone, is_classifier
from sklearn.ensemble import IsolationForest
from sklearn.preprocessing import StandardScaler
from torch import nn

from sk_hypersphere.testing._conditions import (
    has_net,
    has_nets,
    has_responses,
    wraps_another,
)
from sk_hypersphere.testing._registry import law
from sk_hypersphere.testing._trial import (
    assert_same,
    fresh,
    own_fit,
    responses,
    rows_encoder,
    shared_fit,
    shared_responses,
)


class Poison:
    """A value that no method can use."""

    def __eq__(self, other):
        raise AssertionError("a parameter was read after fit")

    __hash__ = None  # type: ignore[assignment]  # as of a list
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


def said_with_labels(estimator, X, y):
    """All responses, and the result of `score`, of classifiers."""
    score = estimator.score(X, y) if is_classifier(estimator) else 0.0
    return responses(estimator, X) | {"score": score}


def take(results, rows):
    return {name: result[rows] for name, result in results.items()}


@law(has_responses)
def no_parameter_changes_a_response_after_fit(estimator, X, y):
    fitted = own_fit(estimator)
    before = said_with_labels(fitted, X, y)
    for name, value in fitted.get_params().items():
        if name == "estimator":  # it has a law of its own
            continue
        others = other_values(value)
        if name.endswith("device"):  # where to compute, which changes no decision
            others = ["cpu", torch.device("cpu")]
        for other in others:
            fitted.set_params(**{name: other})
            assert_same(before, said_with_labels(fitted, X, y))
        fitted.set_params(**{name: value})


@law(wraps_another)
def another_estimator_changes_no_response_after_fit(estimator, X):
    fitted = own_fit(estimator)
    for other in (IsolationForest(), StandardScaler(), fresh(estimator), Poison()):
        fitted.estimator = other
        assert_same(shared_responses(estimator), responses(fitted, X))


@law(has_net)
def fitted_attributes_are_numpy_and_not_torch(estimator):
    for name, value in vars(shared_fit(estimator)).items():
        parts = value.values() if isinstance(value, dict) else [value]
        assert not any(isinstance(part, torch.Tensor) for part in parts), name


@law(has_nets)
def numbers_of_a_row_do_not_depend_on_the_rows_beside_it(estimator):
    fitted = shared_fit(estimator)
    many = np.random.RandomState(1).randn(8300, 4).astype(np.float32) * 5
    whole = responses(fitted, many)
    for start in (0, 1, 31, 32, 5000, 8191, 8192, 8299):
        row = slice(start, start + 1)
        assert_same(responses(fitted, many[row]), take(whole, row))
    for length in range(2, 41):
        rows = slice(8192 - length // 2, 8192 - length // 2 + length)
        assert_same(responses(fitted, many[rows]), take(whole, rows))


@law(has_nets)
def numbers_of_an_image_do_not_depend_on_the_images_beside_it(estimator):
    fitted = shared_fit(estimator, "images")
    many = np.random.RandomState(1).randint(0, 256, (1500, 1, 8, 8)).astype(np.uint8)
    whole = responses(fitted, many)
    for start, length in [(0, 1), (700, 1), (1499, 1), (3, 2), (40, 31), (99, 33)]:
        part = slice(start, start + length)
        assert_same(responses(fitted, many[part]), take(whole, part))


@law(has_net, sets=("encoder",))
def a_layer_left_in_training_mode_changes_no_numbers(estimator, X, y):
    encoder = rows_encoder(nn.Dropout())
    fitted = fresh(estimator).set_params(encoder=encoder).fit(X, y)
    before = responses(fitted, X)
    fitted.net_.module_.encoder.train()
    assert_same(responses(fitted, X), before)


@law(has_net)
def a_lower_precision_of_the_caller_changes_no_numbers(estimator, X):
    fitted, before = shared_fit(estimator), shared_responses(estimator)
    with torch.autocast("cpu", torch.bfloat16):
        assert_same(responses(fitted, X), before)


@law(has_net, sets=("max_epochs",))
def a_lower_precision_of_the_caller_changes_training_alone(estimator, X, y):
    untrained = fresh(estimator).set_params(max_epochs=0)
    if "pretrain_epochs" in untrained.get_params():
        untrained.set_params(pretrain_epochs=0)
    expected = responses(clone(untrained).fit(X, y), X)
    with torch.autocast("cpu", torch.bfloat16):
        fitted = clone(untrained).fit(X, y)
    assert_same(responses(fitted, X), expected)


@law(has_net)
def a_fit_in_lower_precision_of_the_caller_gives_finite_numbers(estimator, X, y):
    with torch.autocast("cpu", torch.bfloat16):
        fitted = fresh(estimator).fit(X, y)
    for values in responses(fitted, X).values():
        assert np.isfinite(values).all()
