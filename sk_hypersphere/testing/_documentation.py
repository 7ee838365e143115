"""Documentation: every parameter, default, method and fitted attribute has an entry.

Faults are sentences that name the repair, which are all that a test shows.
"""

import ast
import inspect
import re

import pytest

from sk_hypersphere.testing._conditions import always, has_nets
from sk_hypersphere.testing._registry import law
from sk_hypersphere.testing._trial import shared_fit

# Methods that scikit-learn documents.
INHERITED = {"get_params", "set_params"}
NO_DEFAULT = inspect.Parameter.empty


def entries(docstring, title):
    """Type lines of a section of a numpydoc docstring, by name; None without it."""
    section = re.search(
        rf"^{title}\n-+\n(.*?)(?=^\S[^\n]*\n---|\Z)",
        inspect.cleandoc(docstring).replace("\\\n", " "),
        flags=re.DOTALL | re.MULTILINE,
    )
    if section is None:
        return None
    lines = re.findall(r"^[*]*(\w[\w, ]*?)(?: : (.*))?$", section[1], re.MULTILINE)
    return {name: kind for names, kind in lines for name in names.split(", ")}


def parameters(thing):
    """Parameters that a function or class is called with, by name.

    There are none of methods that take anything, as torch's do.
    """
    found = inspect.signature(thing).parameters
    if [*found] == ["args", "kwargs"]:
        return {}
    return {name: found[name] for name in found if name != "self"}


def written(value):
    """A default as docstrings have it.

    Examples
    --------
    >>> written("auto"), written(len), written(0.5)
    ('"auto"', 'len', '0.5')
    """
    if isinstance(value, str):
        return f'"{value}"'
    return getattr(value, "__name__", repr(value))


def entry(parameter, kind="TYPE"):
    """The type line that a parameter should have."""
    if parameter.default is NO_DEFAULT:
        return f"`{parameter.name} : {kind}`"
    if kind == "TYPE" and parameter.default is not None:
        kind = type(parameter.default).__name__
    return f"`{parameter.name} : {kind}, default={written(parameter.default)}`"


def place(name, names):
    """Where in a list of names one of them stands, in words.

    Examples
    --------
    >>> place("b", [*"abc"]), place("a", [*"ab"]), place("b", [*"ab"])
    (' between `a` and `c`', ' before `b`', ' behind `a`')
    """
    names = [None, *names, None]
    i = names.index(name)
    before, behind = names[i - 1], names[i + 1]
    if before and behind:
        return f" between `{before}` and `{behind}`"
    if before or behind:
        return f" before `{behind}`" if behind else f" behind `{before}`"
    return ""


def is_default(text, value):
    """Whether text behind "default=" stands for a value."""
    try:
        return ast.literal_eval(text) == value
    except (ValueError, SyntaxError):
        return text == written(value)


def section_to_write(title, lines):
    return (
        f"write '{title}' underlined by dashes, with an entry for each of: "
        + ", ".join(lines)
    )


def parameter_faults(thing, name=None):
    """Sentences about parameters of a function or class that are not documented well.

    `name` stands for it in the sentences.
    """
    name = name or thing.__name__
    given = parameters(thing)
    to_write = section_to_write("Parameters", map(entry, given.values()))
    if not (thing.__doc__ or "").strip():
        fault = f"{name} has no docstring: write one that says in its first line what "
        fault += "it is or does"
        return [f"{fault}; below, {to_write}" if given else fault]
    documented = entries(thing.__doc__, "Parameters")
    if documented is None:
        fault = f"{name}: the docstring has no section Parameters; {to_write}"
        return [fault] if given else []
    missing = [
        f"the parameter {key} of {name} is not documented: add {entry(given[key])}"
        + place(key, given)
        for key in given
        if key not in documented
    ]
    unknown = [
        f"{name}: the docstring has an entry for {key}, which is no parameter: leave "
        "it out, or add the parameter to the signature"
        for key in documented
        if key not in given
    ]
    pairs = zip(given, documented, strict=False)
    disorder = [
        f"{name}: the docstring should have its parameters in the order of the "
        f"signature: write `{key}` before `{other}`"
        for key, other in pairs
        if key != other
    ]
    return [*missing, *unknown] or disorder[:1]


def default_faults(thing):
    """Sentences about defaults that the docstring of a function or class has wrong."""
    documented = entries(thing.__doc__ or "", "Parameters") or {}
    return [
        fault
        for name, parameter in parameters(thing).items()
        if name in documented
        for fault in faults_of_default(thing, parameter, documented[name])
    ]


def faults_of_default(thing, parameter, kind):
    kind, found, text = kind.partition(", default=")
    if parameter.default is NO_DEFAULT:
        wrong, truth = bool(found), "has no default"
    else:
        wrong = not (found and is_default(text, parameter.default))
        truth = f"has the default {written(parameter.default)}"
    if wrong:
        said = f"default={text}" if found else "no default"
        yield (
            f"the parameter {parameter.name} of {thing.__name__} {truth}, and is "
            f"documented with {said}: write {entry(parameter, kind)}"
        )


def public_methods(cls):
    """Methods of a class that its package or this one define, by name."""
    packages = {"sk_hypersphere", cls.__module__.partition(".")[0]}
    return {
        name: method
        for name, method in inspect.getmembers(cls, inspect.isroutine)
        if not name.startswith("_")
        and (getattr(method, "__module__", None) or "").partition(".")[0] in packages
    }


def method_faults(cls):
    """Sentences about methods of a class whose parameters are not documented well."""
    return [
        fault
        for name, method in public_methods(cls).items()
        if name not in INHERITED
        for fault in parameter_faults(method, f"{cls.__name__}.{name}")
    ]


def attribute_faults(fitted):
    """Sentences about attributes of a fitted estimator that have no entry."""
    name = type(fitted).__name__
    attributes = {
        key: attribute_entry(key, value)
        for key, value in vars(fitted).items()
        if key.endswith("_") and not key.startswith("_")
    }
    documented = entries(type(fitted).__doc__ or "", "Attributes")
    if documented is None:
        to_write = section_to_write("Attributes", attributes.values())
        return [f"{name}: the docstring has no section Attributes; {to_write}"]
    return [
        f"the fitted attribute {key} of {name} is not documented: add {line} to the "
        "section Attributes"
        for key, line in attributes.items()
        if not documented.get(key)
    ]


def attribute_entry(name, value):
    kind = type(value).__name__
    return f"`{name} : {kind}`"


def fail_for(faults):
    """Fail a test with sentences, if there are any, in place of a traceback."""
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)


@law(always)
def every_parameter_is_documented_in_the_order_of_the_signature(estimator):
    fail_for(parameter_faults(type(estimator)))


@law(always)
def defaults_are_documented_as_they_are(estimator):
    fail_for(default_faults(type(estimator)))


@law(always)
def public_methods_and_their_parameters_are_documented(estimator):
    fail_for(method_faults(type(estimator)))


@law(has_nets)
def every_fitted_attribute_is_documented(estimator):
    fail_for(attribute_faults(shared_fit(estimator, "named rows")))
