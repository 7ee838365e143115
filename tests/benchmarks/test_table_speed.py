"""The table "speed" on small data, and its page."""

import pytest
import torch

from benchmarks.races.common import (
    BARE,
    OURS,
)
from benchmarks.tables import speed


def race_rows(case, *contestants):
    """Rows of a race, given names and the seconds of each round."""
    return [
        {
            "case": case,
            "contestant": name,
            "round": str(number),
            "seconds": seconds,
            "peak_mib": "",
        }
        for name, times in contestants
        for number, seconds in enumerate(times)
    ]


def test_speed_is_the_median_of_ratios_within_rounds():
    rows = race_rows("c", (BARE, "121"), (OURS, "283"), ("rival", "446"))
    *_, ours, rival = speed.render(rows).splitlines()
    ratio = "3.00 (2.50 to 3.50)"
    assert ours == f"| c | sk_hypersphere | 3000 | {ratio} | 1.00 (1.00 to 1.00) | 3 |"
    assert "| 4000 | 4.00 (3.00 to 5.00) | 2.00 (1.25 to 2.00) |" in rival


def test_races_without_ours_are_compared_with_the_first_alone():
    rows = race_rows("search", ("sequential", "44"), ("n_jobs=2", "22"))
    *_, parallel = speed.render(rows).splitlines()
    assert parallel == "| search | n_jobs=2 | 2000 | 0.50 (0.50 to 0.50) |  | 2 |"


def test_memory_is_a_table_of_its_own():
    rows = race_rows("c", (BARE, "1"), (OURS, "2"))
    rows += race_rows("fitting", (OURS, "1")) + race_rows("fitting", ("rival", "1"))
    rows[2]["peak_mib"], rows[3]["peak_mib"] = "32", "320"
    *_, memory = speed.render(rows).split("\n\n")
    assert (
        memory.splitlines()[0]
        == "| peak above the input, MiB | sk_hypersphere | rival |"
    )
    assert memory.splitlines()[-1] == "| fitting | 32 | 320 |"


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without CUDA")
def test_races_on_a_device_that_is_absent_are_small_and_named_after_the_cpu(capsys):
    races = speed.races_on_device("cuda")
    assert "no CUDA device" in capsys.readouterr().out
    assert all(case.endswith(", on cpu") for case in races)
    assert any("WRN-40-2, 64 x" in case for case in races)


def test_a_race_is_run_once_and_goes_on_after_an_interruption(results):
    runs = []
    contestants = {name: lambda name=name: runs.append(name) or 1.0 for name in "ab"}
    race = speed.Race(lambda: (contestants, 1), n_rounds=2)
    speed.run_race(results, "case", race, times=1)
    speed.run_race(results, "case", race, times=1)
    assert len(results.rows) == 4
    assert sorted(runs) == sorted("ab" * (2 + 2))  # each race warms up
