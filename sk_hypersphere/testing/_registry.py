"""Laws are functions that :func:`law` collects; a case tries an estimator with one."""

import inspect
from collections.abc import Callable
from importlib import import_module
from itertools import product
from typing import NamedTuple

import pytest
from sklearn.base import BaseEstimator

from sk_hypersphere.testing._trial import DATA, takes

FILES_OF_LAWS = [
    f"sk_hypersphere.testing.{name}"
    for name in (
        "_scikit_learn",
        "_documentation",
        "_seeds",
        "_given",
        "_scores",
        "_fixed",
        "_net",
        "_composition",
        "_inputs",
        "_odd",
        "_failures",
        "_shown",
    )
]

_laws: list["Law"] = []


class Case(NamedTuple):
    """An estimator, a law, and a value with an id for each parameter of the law."""

    estimator: BaseEstimator
    law: "Law"
    ids: tuple
    values: tuple

    def __repr__(self):
        return " ".join([repr(self.estimator), *self.names])

    @property
    def names(self):
        """The name of the law, and the ids of the values."""
        return (self.law.name, *self.ids)

    def as_param(self, label, reasons):
        """The case as pytest takes it, with an id that starts with a label.

        `reasons` are those for expected failures, by any of the names of a case.
        """
        marks = [
            pytest.mark.xfail(reason=reasons[name], strict=True)
            for name in self.names
            if name in reasons
        ]
        if self.law.ignore:
            marks.append(pytest.mark.filterwarnings(*self.law.ignore))
        return pytest.param(self, id="-".join([label, *self.names]), marks=marks)

    def run(self, request):
        """Call the law with the data and the fixtures of pytest that it asks for."""
        __tracebackhide__ = True
        arguments = {"estimator": self.estimator}
        arguments |= dict(zip(self.law.parameters, self.values, strict=True))
        for name in inspect.signature(self.law.function).parameters:
            if name in DATA:
                arguments[name] = DATA[name]()
            elif name not in arguments:
                arguments[name] = request.getfixturevalue(name)
        self.law.function(**arguments)


class Law(NamedTuple):
    """A function that fails for estimators that break it.

    Parameters
    ----------
    function : callable
        Its name is the sentence of the law. Its arguments are `estimator`, the keys of
        `parameters`, the keys of `DATA` and fixtures of pytest.

    condition : callable
        Says whether an estimator is subject to the law.

    sets : tuple of str
        Parameters that it sets, which an estimator, or what it wraps, has to take.

    ignore : tuple of str
        Warnings that do not matter to it, as filters of pytest.

    parameters : dict
        The values of each parameter: a list, or a dict by ids, or a callable that gives
        pairs of an id and a value for an estimator.
    """

    function: Callable
    condition: Callable
    sets: tuple
    ignore: tuple
    parameters: dict

    @property
    def name(self):
        return self.function.__name__

    @property
    def is_made_by_scikit_learn(self):
        """Whether its cases are the checks that scikit-learn makes of an estimator."""
        return any(map(callable, self.parameters.values()))

    def cases(self, estimator):
        """Cases of an estimator: one for each choice of parameters, or none."""
        if not (takes(estimator, *self.sets) and self.condition(estimator)):
            return
        choices = [with_ids(values, estimator) for values in self.parameters.values()]
        for choice in product(*choices):
            ids, values = zip(*choice, strict=True) if choice else ((), ())
            yield Case(estimator, self, ids, values)


def law(condition, *, sets=(), ignore=(), **parameters):
    """Collect a function as a law; the arguments are fields of :class:`Law`."""

    def collect(function):
        _laws.append(Law(function, condition, sets, ignore, parameters))
        return function

    return collect


def cases_of(estimator, scikit_learn_checks):
    """All cases of an estimator, with or without the checks of scikit-learn."""
    for name in FILES_OF_LAWS:
        import_module(name)
    for rule in _laws:
        if scikit_learn_checks or not rule.is_made_by_scikit_learn:
            yield from rule.cases(estimator)


def with_ids(values, estimator):
    """Values of a parameter, each behind its part of the ids of tests."""
    if callable(values):
        return values(estimator)
    if isinstance(values, dict):
        return values.items()
    return [(getattr(value, "__name__", str(value)), value) for value in values]
