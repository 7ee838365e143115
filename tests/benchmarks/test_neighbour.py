"""The benchmarks are neighbours of the package: they know its public names alone."""

import ast
import re
from pathlib import Path

import pytest

import benchmarks

FOLDERS = Path(benchmarks.__file__).parent, Path(__file__).parent
FILES = sorted(path for folder in FOLDERS for path in folder.rglob("*.py"))


def names_of_the_package(tree):
    """Dotted names of all that is imported or read from sk_hypersphere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_private_name_of_the_package_is_used(path):
    names = names_of_the_package(ast.parse(path.read_text("utf-8")))
    private = re.compile(r"sk_hypersphere(\.\w+)*\._(?!_)")
    assert [name for name in names if private.match(name)] == []
