"""The table of defaults in CONTRIBUTING.md agrees with the signatures."""

import ast
import inspect
import re
import tomllib
from collections import defaultdict
from pathlib import Path

import sk_hypersphere

PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()


def defaults():
    """Default by parameter and estimator, of parameters that have one in several."""
    by_name = defaultdict(dict)
    for name in sk_hypersphere.__all__:
        cls = getattr(sk_hypersphere, name)
        if inspect.isclass(cls):
            for key, parameter in inspect.signature(cls).parameters.items():
                by_name[key][name] = parameter.default
    return by_name


def rows():
    """Parameter, default and estimators of each row of the table of defaults."""
    table = PAGE.partition("## Defaults that differ")[2]
    parameter = None
    for line in re.findall(r"^\| *(`.*|\| `.*)", table, flags=re.MULTILINE):
        cells = [cell.strip() for cell in line.split("|")]
        parameter = cells[0].strip("`") or parameter
        yield parameter, ast.literal_eval(cells[1].strip("`")), cells[2], cells[3]


def test_the_table_has_every_default_that_differs_and_none_that_does_not():
    differing = {
        key
        for key, values in defaults().items()
        if len({*map(repr, values.values())}) > 1
    }
    assert {key for key, *_ in rows()} == differing


def test_defaults_of_the_table_are_those_of_the_signatures():
    left = {key: dict(values) for key, values in defaults().items()}
    for key, default, of, reason in rows():
        assert reason
        names = [*left[key]] if of == "all others" else of.split(", ")
        for name in names:
            assert left[key].pop(name) == default, (key, name)
    assert {key: left[key] for key, *_ in rows() if left[key]} == {}


def test_changelog_and_citation_are_of_this_version():
    version, folder = sk_hypersphere.__version__, Path(__file__).parents[1]
    newest = re.search(r"^## (\S+),", (folder / "CHANGELOG.md").read_text(), re.M)
    assert newest[1] == version
    assert f"\nversion: {version}\n" in (folder / "CITATION.cff").read_text()


def test_the_oldest_versions_of_ci_are_the_floors_of_pyproject():
    folder = Path(__file__).parents[1]
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["plot"], *extras["neighbors"]]
    floors = dict(line.split(">=") for line in wanted if ">=" in line)
    pins = (folder / "constraints-oldest.txt").read_text()
    oldest = dict(re.findall(r"^(\S+)==(\S+)$", pins, re.M))
    del floors["torch"]  # older ones have no small build for the CPU
    for name, floor in floors.items():
        assert oldest[name].removesuffix(".0") == floor.removesuffix(".0"), name
