"""The table "finch" on small data, and its page."""

import numpy as np
import pytest
from PIL import Image
from small import options

from benchmarks.papers import finch


def finch_row(**changes):
    row = {
        "rows": "20000",
        "metric": "cosine",
        "package": finch.OURS,
        "neighbors": finch.EXACT,
        "seconds": "2.00",
        "warm_up": "0.1",
        "peak_mib": "1",
        "clusters": "9 3",
        "found": "",
        "rand": "",
    }
    return {**row, **changes}


@pytest.fixture
def small_finch(monkeypatch):
    """The table of FINCH has a single measurement, of ours."""
    monkeypatch.setattr(finch, "N_ROWS", {"euclidean": (600,)})
    monkeypatch.setattr(finch, "METRICS", ("euclidean",))
    monkeypatch.setattr(finch, "_installed", lambda *packages: [finch.OURS])


def test_finch_is_measured_in_a_process_of_its_own_and_drawn(
    small_finch, results, monkeypatch
):
    monkeypatch.setattr(finch, "EXPECTED_LIMIT", -1)  # too short, but for --full
    finch.run(results, options("--full"))
    (row,) = results.rows
    assert float(row["seconds"]) > 0 and float(row["peak_mib"]) >= 0
    assert row["clusters"].split() == sorted(row["clusters"].split(), key=int)[::-1]
    assert f"| {row['clusters']} |" in finch.render(results.rows)
    with Image.open(results.picture) as picture:
        assert picture.width > 500
    finch.run(results, options("--full"))
    assert results.rows == [row]


def test_exact_finch_that_would_take_too_long_is_not_run():
    rows = [finch_row(), finch_row(package=finch.THEIRS, seconds="out of memory")]
    key = {"rows": 1_000_000, "metric": "cosine", "neighbors": finch.EXACT}
    expected = finch._expected_seconds(rows, {**key, "package": finch.OURS})
    assert expected == 50**2 * 2
    outcome = finch._outcome("no file", key, expected, finch.EXPECTED_LIMIT)
    assert outcome["seconds"] == "not run: about 83 minutes"
    assert finch._expected_seconds(rows, {**key, "package": finch.THEIRS}) == 0
    key["neighbors"] = finch.APPROXIMATE
    assert finch._expected_seconds(rows, {**key, "package": finch.OURS}) == 0


def test_partitions_of_finch_agree_whatever_their_labels():
    exact = np.array([[0, 0], [0, 0], [1, 0], [1, 0], [2, 1], [2, 1]])
    renamed = np.array([2, 0, 1])[exact]
    coarser = np.array([[0, 0], [0, 0], [0, 0], [0, 0], [1, 1], [1, 1]])
    assert finch._agreement(exact, renamed) == "all the same"
    assert finch._agreement(exact, renamed[:, :1]) == "1.000"
    assert float(finch._agreement(exact, coarser)) < 0.9
    assert finch._agreement(None, exact) == ""


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_neighbour_is_found_where_it_is_in_the_cluster(metric):
    X = finch._make_rows(300)
    finest = finch.CONTESTANTS[finch.OURS](X, metric, finch.EXACT)[:, 0]
    assert finch._share_found(X, metric, finest) == 1
    finest[:150] = -1 - np.arange(150)  # each of these is alone
    assert finch._share_found(X, metric, finest) < 0.5
