"""The table "growth" on small data, and its page."""

import sys

import pytest
from small import options

from benchmarks.report import column
from benchmarks.studies import growth


@pytest.fixture
def tiny_growth(monkeypatch):
    """Every measurement is made once, in this process."""
    monkeypatch.setattr(growth, "LEAST_SECONDS", 1e-9)
    monkeypatch.setattr(
        growth, "in_own_process", lambda function, *args: function(*args)
    )
    return {"sizes": (300, 600), "n_centers": (2, 3), "rows_with_centers": 300}


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are Linux's")
def test_growth_is_measured_once_and_drawn(results, tiny_growth):
    given = options("--only", "MCHAD")
    growth.run(results, given, **tiny_growth)
    rows = [*results.rows]
    growth.run(results, given, **tiny_growth)
    assert results.rows == rows
    assert column(rows, "rows") == ["300", "600", "300", "300"]
    assert column(rows, "centers") == ["10", "10", "2", "3"]
    assert results.picture.stat().st_size > 0
    assert "an array of shape (300, k, 16) would be" in growth.render(rows)


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are Linux's")
@pytest.mark.parametrize("name", growth.ROWS)
def test_every_model_can_grow(name, tiny_growth):
    row = growth.measure(growth.ROWS[name], n_rows=300, n_centers=10)
    assert 0 < float(row["epoch_seconds"]) < float(row["fit_seconds"])


def test_an_exponent_is_that_of_the_last_two_decades():
    sizes = [1, 10, 100, 1000]
    assert growth.exponent(sizes, [7, 2, 20, 200]) == pytest.approx(1)
    assert growth.exponent(sizes, [7, 1, 100, 10_000]) == pytest.approx(2)
