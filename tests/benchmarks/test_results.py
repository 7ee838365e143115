"""Rows on disk survive interruptions."""

import pytest

from benchmarks.results import Results


def test_a_row_is_on_disk_as_soon_as_it_is_added(results):
    results.add(method="a", seed=0, seconds="1.5")
    assert Results(results.path).rows == results.rows


def test_a_row_carries_the_version_of_the_package(results):
    results.add(method="a")
    assert results.rows[0]["version"]


def test_finished_rows_are_known_after_a_restart(results):
    results.add(method="a", seed=0)
    restarted = Results(results.path)
    assert restarted.done(method="a", seed=0)
    assert not restarted.done(method="a", seed=1)


def test_a_line_cut_short_by_an_interruption_is_measured_again(results):
    results.add(method="a", seed=0)
    whole = results.path.read_bytes()
    results.add(method="b", seed=0)
    results.path.write_bytes(results.path.read_bytes()[:-3])
    restarted = Results(results.path)
    assert not restarted.done(method="b")
    assert results.path.read_bytes() == whole


def test_a_header_without_a_row_is_written_again(results):
    results.path.write_text("method,se")
    restarted = Results(results.path)
    restarted.add(method="a")
    assert Results(results.path).rows == restarted.rows


def test_columns_in_another_order_stay_under_their_names(results):
    results.add(first="1", second="2")
    results.add(second="4", first="3")
    assert [row["first"] for row in Results(results.path).rows] == ["1", "3"]


def test_a_row_with_other_columns_is_refused(results):
    results.add(method="a")
    with pytest.raises(ValueError, match="must have the columns method, version, got"):
        results.add(seed=0)


def test_cleared_results_are_gone_from_disk(results):
    results.add(method="a")
    results.clear()
    assert Results(results.path).rows == []
