"""Imports go downwards only, and the package keeps its hands off global state.

A floor may import its own files and those of the floors that it names here.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sk_hypersphere

ROOT = Path(sk_hypersphere.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# What each floor may import: modules by their first name, and parts of this package.
LIBRARIES = {"numpy", "scipy", "sklearn", "torch"}
MAY_IMPORT = {
    "losses": {"torch", "sk_hypersphere.losses"},
    "modules": {"torch", "sk_hypersphere.modules"},
    "displays": {"numpy", "sklearn", "matplotlib", "sk_hypersphere.displays"},
    "metrics.py": {"numpy", "sklearn", "sk_hypersphere._labels"},
    "preprocessing.py": {"numpy", "sklearn"},
    "confidence.py": {
        *LIBRARIES,
        "sk_hypersphere._batches",
        "sk_hypersphere._finch",
        "sk_hypersphere._labels",
        "sk_hypersphere._spheres",
    },
    "exceptions.py": set(),
    "_finch.py": {"numpy", "scipy", "sklearn", "numba", "pynndescent"},
    "_skorch.py": {*LIBRARIES, "skorch", "sk_hypersphere", "tqdm"},
}
# What a module must not import at its top: it is an extra, or slow to import.
ONLY_INSIDE_FUNCTIONS = {"matplotlib", "numba", "pynndescent"}
# What takes longer to import than the whole package, or may not be there, and is needed
# by few fits.
DEAR = [
    *ONLY_INSIDE_FUNCTIONS,
    "sklearn.covariance",
    "sklearn.neighbors",
    "sklearn.pipeline",
]
FORBIDDEN_CALLS = [
    "print",
    "torch.set_num_threads",
    "torch.set_num_interop_threads",
    "torch.manual_seed",
    "torch.random.manual_seed",
    "torch.seed",
    "torch.use_deterministic_algorithms",
    "torch.hub.load",
    "np.random.seed",
    "np.random.set_state",
    "random.seed",
    "warnings.simplefilter",
    "warnings.filterwarnings",
]

EVERY_FILE = pytest.mark.parametrize(
    "path", FILES, ids=lambda path: str(path.relative_to(ROOT))
)


def imported(tree):
    """Names of imported modules, with the import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            yield node.module, node


def at_top(tree):
    """Statements that run on import."""
    inside = {
        inner
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef)
        for inner in ast.walk(outer)
    }
    return [node for node in ast.walk(tree) if node not in inside]


def floor_of(path):
    return path.relative_to(ROOT).parts[0]


def is_allowed(name, allowed):
    return name.partition(".")[0] in sys.stdlib_module_names or any(
        name == root or name.startswith(root + ".") for root in allowed
    )


@EVERY_FILE
def test_imports_go_downwards(path):
    allowed = MAY_IMPORT.get(floor_of(path), {*LIBRARIES, "sk_hypersphere"})
    names = [name for name, _ in imported(ast.parse(path.read_text()))]
    assert [name for name in names if not is_allowed(name, allowed)] == []


def test_every_floor_that_is_named_is_there():
    assert MAY_IMPORT.keys() <= {floor_of(path) for path in FILES}


@EVERY_FILE
def test_imports_are_absolute(path):
    for _, node in imported(ast.parse(path.read_text())):
        assert getattr(node, "level", 0) == 0


@EVERY_FILE
def test_what_is_an_extra_is_imported_inside_functions(path):
    nodes = at_top(ast.parse(path.read_text()))
    for node in nodes:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            roots = {name.partition(".")[0] for name, _ in imported(node)}
            assert roots.isdisjoint(ONLY_INSIDE_FUNCTIONS)


def test_what_estimators_share_knows_no_estimator():
    names = {
        path: [name for name, _ in imported(ast.parse(path.read_text()))]
        for path in FILES
        if path.name != "__init__.py"
    }
    shared = ("_classifier", "_semi_supervised")
    bases = {"sk_hypersphere._base", *[f"sk_hypersphere.{name}" for name in shared]}
    estimators = {path for path in names if bases & {*names[path]}}
    estimators -= {ROOT / f"{name}.py" for name in shared}
    assert ROOT / "_deep_svdd.py" in estimators
    forbidden = {f"sk_hypersphere.{path.stem}" for path in estimators}
    for path in names.keys() - estimators:
        assert forbidden.isdisjoint(names[path]), path


@EVERY_FILE
def test_nothing_global_is_set_and_nothing_printed(path):
    calls = [
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]
    assert [name for name in calls if name in FORBIDDEN_CALLS] == []


def test_importing_the_package_changes_no_global_state():
    run_alone(
        "import torch\n"
        "before = torch.get_num_threads(), torch.get_rng_state().tolist()\n"
        "import sk_hypersphere, sk_hypersphere.displays, sk_hypersphere.preprocessing\n"
        "assert before == (torch.get_num_threads(), torch.get_rng_state().tolist())\n"
    )


def test_importing_displays_does_not_import_matplotlib():
    run_alone(
        "import sys, sk_hypersphere.displays\nassert 'matplotlib' not in sys.modules\n"
    )


def test_importing_the_package_brings_in_nothing_dear():
    run_alone(
        "import sys, sk_hypersphere\n"
        f"assert not [name for name in {DEAR} if name in sys.modules]\n"
    )


def run_alone(code):
    """Run a program in a fresh process, which must neither fail nor print."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
