"""Parameters of estimators: stored by one call, reached into by searches, renamed."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Any, ParamSpec, TypeVar

from sk_hypersphere.exceptions import warn_caller

P = ParamSpec("P")
R = TypeVar("R")


def store(arguments: dict[str, Any]) -> None:
    """Set the arguments of a constructor as attributes, unchanged.

    Parameters
    ----------
    arguments : dict
        ``locals()`` of the constructor, with `self` among them.

    Examples
    --------
    >>> class Scaled:
    ...     def __init__(self, scale=1.0):
    ...         store(locals())
    >>> Scaled(scale=2.0).scale
    2.0
    """
    given = dict(arguments)
    given.pop("__class__", None)
    vars(given.pop("self")).update(given)


class Renamed:
    """Keep former names of parameters and attributes for one version.

    `_renamed` maps former names to present ones, and `_formerly_positional` names the
    parameters, in order, that could once be given by position and now are keywords.
    Either use is warned of by a FutureWarning that says what to write instead.
    """

    _renamed: dict[str, str] = {}
    _formerly_positional: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls) and (cls._renamed or cls._formerly_positional):
            cls.__init__ = _taking_former_names(
                cls.__init__, cls._renamed, cls._formerly_positional
            )
        for former, name in vars(cls).get("_renamed", {}).items():
            setattr(cls, former, former_attribute(former, name))

    def set_params(self, **params):
        return super().set_params(**present_names(type(self), self._renamed, params))


def renamed(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take former names of its keywords, given as former=present."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        return _taking_former_names(function, names)

    return decorate


def present_names(thing, names, given):
    """Keyword arguments of a class or function under their present names.

    Parameters
    ----------
    thing : class or function
        Named in messages.

    names : dict
        Present names by former ones.

    given : dict
        Keyword arguments by any of these names.

    Returns
    -------
    dict

    Raises
    ------
    TypeError
        If an argument is given under both names.

    Warns
    -----
    FutureWarning
        If a former name is used.
    """
    present = {}
    for former, value in given.items():
        name = names.get(former, former)
        if name != former and name in given:
            raise TypeError(
                f"{thing.__name__} must be given {name} once, got it as {former} too, "
                f"its former name. Leave {former} out."
            )
        if name != former:
            _warn(f"{former} of {thing.__name__} is now called {name}. Write {name}.")
        present[name] = value
    return present


def _warn(sentence):
    warn_caller(f"{sentence} The former way ends in version 0.9.", FutureWarning)


def _taking_former_names(function, names, positional=()):
    accepted = [*signature(function).parameters.values()]
    n_positional = sum(p.kind is Parameter.POSITIONAL_OR_KEYWORD for p in accepted)
    is_method = accepted[0].name == "self"

    @wraps(function)
    def taking_former_names(*args, **kwargs):
        thing = type(args[0]) if is_method else function
        extra = dict(zip(positional, args[n_positional:], strict=False))
        if extra:
            listed = ", ".join(f"{name}={value!r}" for name, value in extra.items())
            _warn(f"{thing.__name__} takes keywords: write {listed}.")
            args = args[:n_positional] + args[n_positional + len(extra) :]
        return function(*args, **extra, **present_names(thing, names, kwargs))

    return taking_former_names


def former_attribute(former: str, name: str) -> property:
    """A property under the former name of an attribute, which warns of it."""

    def say(estimator):
        owner = type(estimator).__name__
        _warn(f"{former} of {owner} is now called {name}. Write {name}.")

    def read(self):
        value = getattr(self, name)
        say(self)
        return value

    def write(self, value):
        say(self)
        setattr(self, name, value)

    return property(read, write, doc=f"Former name of `{name}`.")


class ParameterDicts:
    """Show the entries of ``encoder_params`` and ``net_params`` as parameters.

    ``encoder_params={"hidden_units": (64,)}`` is also ``encoder__hidden_units`` in
    `get_params` and `set_params`, so that a grid search can vary it; ``net_params`` is
    ``net__`` likewise.
    """

    _parameter_dicts = {"encoder": "encoder_params", "net": "net_params"}

    def __new__(cls, *args, **kwargs):
        """Refuse entries among the arguments, as skorch takes them, with a repair."""
        for key, value in kwargs.items():
            prefix, _, entry = key.partition("__")
            if entry and prefix in cls._parameter_dicts:
                name = cls._parameter_dicts[prefix]
                raise TypeError(
                    f"{cls.__name__} takes {key} as an entry of {name}: give "
                    f"{name}={{{entry!r}: {value!r}}}, or call "
                    f"set_params({key}={value!r})."
                )
        return super().__new__(cls)

    def get_params(self, deep=True):
        params = super().get_params(deep=deep)
        if deep:
            for prefix, name in self._parameter_dicts.items():
                for key, value in entries(getattr(self, name)).items():
                    params[f"{prefix}__{key}"] = value
        return params

    def set_params(self, **params):
        plain, nested = {}, {}
        for key, value in params.items():
            prefix, _, rest = key.partition("__")
            if rest and prefix in self._parameter_dicts:
                nested.setdefault(self._parameter_dicts[prefix], {})[rest] = value
            else:
                plain[key] = value
        super().set_params(**plain)
        for name, changes in nested.items():
            # The former dict may be shared with a clone, so it is not changed.
            setattr(self, name, {**entries(getattr(self, name)), **changes})
        return self


def entries(params):
    """The entries of a parameter dict; none where it is None or not valid at all.

    A value that is not valid is reported by `fit`, as for every parameter.
    """
    return params if isinstance(params, dict) else {}
