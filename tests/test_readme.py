"""The code of the README runs, and CI runs its commands."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_python_of_the_readme_runs_from_top_to_bottom():
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    namespace = {}
    exec("\n".join(blocks), namespace)
    X, y = namespace["X"], namespace["y"]
    for name in ("detector", "kinds"):  # both detect anomalies
        assert (namespace[name].predict(X[y >= 5]) == -1).mean() > 0.5


def test_the_readme_stays_short():
    assert len(README.splitlines()) <= 150


def test_ci_runs_the_commands_of_the_readme():
    commands = re.findall(r"^python -m pip install .*$", README, flags=re.MULTILINE)
    assert len(commands) == 2
    assert "grep '^python -m pip install" in (ROOT / ".ci" / "run").read_text()
