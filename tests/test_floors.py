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
    "displays": {
        "numpy",
        "sklearn",
        "matplotlib",
        "sk_hypersphere._labels",
        "sk_hypersphere.displays",
    },
    "metrics.py": {
        "numpy",
        "sklearn",
        "sk_hypersphere._labels",
        "sk_hypersphere._threshold",
        "sk_hypersphere.exceptions",
    },
    "preprocessing.py": {"numpy", "sklearn", "sk_hypersphere._arrays"},
    "confidence.py": {
        *LIBRARIES,
        "sk_hypersphere._arrays",
        "sk_hypersphere._batches",
        "sk_hypersphere._finch",
        "sk_hypersphere._labels",
        "sk_hypersphere._spheres",
    },
    "exceptions.py": set(),
    "_finch.py": {
        "numpy",
        "scipy",
        "sklearn",
        "numba",
        "pynndescent",
        "sk_hypersphere._arrays",
        "sk_hypersphere.exceptions",
    },
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

# Modules and packages that users import from.
SUBMODULES = sorted(
    {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in FILES}
    - {path.stem for path in ROOT.glob("_*.py")}
)

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


def called_in(path):
    """Names of what is called in a file."""
    return [
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]


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
    assert [name for name in called_in(path) if name in FORBIDDEN_CALLS] == []


@EVERY_FILE
def test_only_warn_caller_counts_the_lines_above_a_warning(path):
    warns = [name for name in called_in(path) if name in ("warn", "warnings.warn")]
    assert len(warns) == (path.name == "exceptions.py"), "use exceptions.warn_caller"


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


@pytest.mark.parametrize("name", SUBMODULES)
def test_a_submodule_is_there_after_a_plain_import(name):
    run_alone(
        "import sys, sk_hypersphere\n"
        f"assert {name!r} in dir(sk_hypersphere)\n"
        f"module = sk_hypersphere.{name}\n"
        f"assert module is sys.modules['sk_hypersphere.{name}']\n"
        f"assert sk_hypersphere.{name} is module\n"
    )


def test_submodules_that_the_package_does_not_need_are_imported_when_used():
    run_alone(
        "import sys, sk_hypersphere\n"
        "dir(sk_hypersphere)\n"
        "for name in ('metrics', 'displays'):\n"
        "    assert f'sk_hypersphere.{name}' not in sys.modules\n"
    )


def test_an_unknown_name_of_the_package_is_refused_in_the_words_of_python():
    message = "module 'sk_hypersphere' has no attribute 'matrics'"
    with pytest.raises(AttributeError, match=f"^{message}$"):
        sk_hypersphere.matrics()
    assert not hasattr(sk_hypersphere, "numpy")


def test_a_star_import_gives_the_public_estimators():
    assert set(SUBMODULES).isdisjoint(sk_hypersphere.__all__)
    run_alone(
        "import sk_hypersphere\n"
        "names = {}\n"
        "exec('from sk_hypersphere import *', names)\n"
        "del names['__builtins__']\n"
        "assert sorted(names) == sorted(sk_hypersphere.__all__)\n"
    )


def run_alone(code):
    """Run a program in a fresh process, which must neither fail nor print."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
