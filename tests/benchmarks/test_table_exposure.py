"""The table "exposure" on small data, and its page."""

import numpy as np

from benchmarks.papers import exposure


def exposure_rows(**values):
    """Rows of two seeds, one digit each, by method and number of letters."""
    return [
        {
            "digit": "5",
            "method": method,
            "exposure": str(count),
            "seed": seed,
            "epochs": "default",
            "auroc": str(value),
        }
        for method, by_count in values.items()
        for count, value in by_count.items()
        for seed in "01"
    ]


def test_letters_are_drawn_by_the_seed_and_more_include_fewer():
    letters = np.arange(100)
    few, many, other = (
        exposure.draw_letters(letters, count, seed)
        for count, seed in ((8, 0), (32, 0), (32, 1))
    )
    assert len(few) == 8 and len({*many}) == 32
    assert {*few} < {*many} and {*many} != {*other}


def test_every_number_of_letters_is_tried_with_every_seed():
    curves = [
        fit
        for fit in exposure.plan(exposure.FULL_SIZE, n_seeds=3)
        if fit.method == "`HSC()`" and fit.exposure < exposure.FULL_SIZE.n_letters
    ]
    assert len(curves) == len({*curves}) == 3 * 3 * 6


def test_a_curve_passes_where_it_stays_above():
    by_count = {0: [90], 1: [96], 8: [94], 32: [95.5, 96.5], 128: [97]}
    assert exposure.passing_count(by_count, rival=95) == "32"
    assert exposure.passing_count(by_count, rival=93) == "1"
    assert exposure.passing_count(by_count, rival=80) == "0"
    assert exposure.passing_count(by_count, rival=97) == "not reached"


def test_numbers_of_letters_stand_in_the_order_of_their_size():
    counts = {1024: 99, 0: 50, 8: 97, 10_000: 99.5}
    rows = exposure_rows(**{"`HSC()`": counts, "`DeepSVDD()`": {0: 95}})
    page = exposure.render(rows)
    assert "| letters shown | 0 | 8 | 1,024 |" in page
    assert "| `HSC()` | 50.0 ± 0.0 | 97.0 ± 0.0 | 99.0 ± 0.0 |" in page
    assert "| `DeepSVDD()`, 95.0 | 8 |" in page
    assert "| mean | 95.0 | 99.5 |" in page


def test_the_curves_are_drawn_as_far_as_they_are_known():
    assert exposure.rows_of_curves([]) == []
    assert exposure.rows_of_curves(exposure_rows(**{"`HSC()`": {10_000: 99}})) == []
    rows = exposure_rows(**{"`HSC()`": {0: 90, 8: 97, 10_000: 99}})
    (ax,) = exposure.draw(exposure.rows_of_curves(rows)).axes
    (curve,) = ax.lines
    np.testing.assert_allclose(curve.get_xydata(), [[0, 0.9], [8, 0.97]])
