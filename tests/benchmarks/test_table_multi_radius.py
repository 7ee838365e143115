"""The table "multi-radius" on small data, and its page."""

from benchmarks.tables import multi_radius


def test_groups_of_digits_are_drawn_once_and_for_all():
    assert multi_radius.draw_groups() == [
        *[(0, 1), (6, 7), (2, 3), (0, 9)],
        *[(0, 1, 3), (2, 5, 8), (5, 6, 9), (6, 7, 9), (2, 7, 8)],
        *[(0, 1, 3, 7), (0, 2, 4, 6), (0, 1, 7, 9), (0, 3, 7, 8)],
    ]


def test_a_mean_over_groups_stands_beside_the_published_one():
    rows = [
        {
            "group": group,
            "method": "m",
            "epochs": "6 + 8",
            "seed": "0",
            "auroc": auroc,
            "clusters": "2",
            "seconds": "60",
        }
        for group, auroc in (("6 7", "95.0"), ("2 3", "96.0"))
    ]
    assert "| mean of 2 digits | 94.3 | 96.3 | 95.5 |" in multi_radius.render(rows)
