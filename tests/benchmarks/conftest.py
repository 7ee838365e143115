"""Results and tables of ADBench in temporary folders."""

import pytest
from small import save_table

from benchmarks.datasets import DATA_VARIABLE
from benchmarks.results import Results


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "table.csv")


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """A folder with two tables of 100 rows, 20 of them anomalies."""
    for name in ("b", "a"):
        save_table(tmp_path, name, n_normal=80, n_anomalies=20)
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
