"""Imports go downwards only, and the package keeps its hands off global state.

A floor is a file or a folder in the root of the package. It may import its own files
and those of the floors that are named here as below it.
"""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import sk_hypersphere

ROOT = Path(sk_hypersphere.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# The libraries that every floor may import, and for each floor the floors below it.
LIBRARIES = {"numpy", "scipy", "sklearn", "torch", "tqdm"}
BELOW = {
    "exceptions": set(),
    "losses": set(),
    "modules": set(),
    "_training": {"exceptions", "losses", "modules"},
    "base": {"exceptions", "losses", "modules", "_training", "preprocessing"},
    "metrics": {"exceptions", "base"},
    "preprocessing": {"_training"},
    "confidence": {"_training", "base"},
    "displays": {"base"},
    "_methods": {
        "exceptions",
        "losses",
        "modules",
        "_training",
        "base",
        "confidence",
        "preprocessing",
    },
    "__init__": {"_methods"},
    "testing": {"exceptions", "_training", "_methods", "base", "__init__"},
}
# Laws for estimators may import all that they try estimators with.
LIBRARIES_OF_LAWS = {"joblib", "pandas", "polars", "pytest", "skorch"}
# Floors of mathematics import torch alone; one file knows skorch.
ONLY_TORCH = {"losses", "modules"}
KNOWS_SKORCH = "_training/net.py"
# Libraries that no module imports at its top: they are extras, or slow to import.
ONLY_INSIDE_FUNCTIONS = {"matplotlib", "numba", "pynndescent"}
# Modules that take longer to import than the whole package, or may be missing, and that
# few fits need.
SLOW_TO_IMPORT = [
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


def floor_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


# Modules and packages that users import from.
SUBMODULES = sorted(
    {floor_of(path) for path in FILES if not floor_of(path).startswith("_")}
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


def own_imports(path):
    """Names of the modules of this package that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "sk_hypersphere":
            yield from (f"sk_hypersphere.{alias.name}" for alias in node.names)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names]
            names = [node.module] if isinstance(node, ast.ImportFrom) else names
            yield from (name for name in names if name.startswith("sk_hypersphere."))


def test_the_root_shows_the_architecture():
    names = {path.name for path in ROOT.iterdir() if path.name != "__pycache__"}
    assert len(names - {"__init__.py"}) <= 12


def test_every_floor_has_a_rule():
    assert {floor_of(path) for path in FILES} == BELOW.keys()


@EVERY_FILE
def test_imports_go_downwards(path):
    floor = floor_of(path)
    imported_floors = {name.split(".")[1] for name in own_imports(path)}
    assert imported_floors - {floor} <= BELOW[floor]


@EVERY_FILE
def test_floors_of_mathematics_import_torch_alone_and_one_file_knows_skorch(path):
    names = [name for name, _ in imported(ast.parse(path.read_text()))]
    roots = {name.partition(".")[0] for name in names} - sys.stdlib_module_names
    allowed = {"torch"} if floor_of(path) in ONLY_TORCH else LIBRARIES
    if path == ROOT / KNOWS_SKORCH:
        allowed = {*allowed, "skorch"}
    if floor_of(path) == "testing":
        allowed = {*allowed, *LIBRARIES_OF_LAWS}
    assert roots <= {*allowed, *ONLY_INSIDE_FUNCTIONS, "sk_hypersphere"}


def test_no_files_import_each_other_in_a_circle():
    known = {
        ".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path
        for path in FILES
        if path.name != "__init__.py"
    }
    graph = {
        name: [other for other in own_imports(path) if other in known]
        for name, path in known.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("path", [*ROOT.glob("*/__init__.py")], ids=lambda p: p.parent)
def test_every_folder_says_what_lives_there_and_what_it_may_import(path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert len(docstring.splitlines()[0]) < 90
    assert "may import" in docstring


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


@EVERY_FILE
def test_nothing_global_is_set_and_nothing_printed(path):
    if floor_of(path) == "testing":  # laws set it, and set it back
        return
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


def test_importing_the_package_brings_in_nothing_slow():
    run_alone(
        "import sys, sk_hypersphere\n"
        f"assert not [name for name in {SLOW_TO_IMPORT} if name in sys.modules]\n"
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
