"""The table "deep-svdd" on small data, and its page."""

from benchmarks.papers import deep_svdd


def test_a_mean_over_digits_waits_for_all_of_them():
    rows = [
        {"digit": str(digit), "method": "m", "epochs": "", "seed": "0", "auroc": "90"}
        for digit in range(10)
    ]
    *_, mean = deep_svdd.render(rows).splitlines()
    *_, mean_of_nine = deep_svdd.render(rows[:9]).splitlines()
    assert mean == "| mean | 94.8 | 93.5 | 90.0 |"
    assert mean_of_nine == "| mean | 94.8 | 93.5 |  |"
