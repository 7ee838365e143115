"""The table "tabular" on small data, and its page."""

import numpy as np
import pytest
from small import options

from benchmarks.datasets import (
    standardize,
    table_task,
)
from benchmarks.tables import tabular


def test_methods_are_told_about_labelled_rows_in_their_own_words(tables):
    task = table_task("a", seed=0, labelled_share=0.25)
    (X,) = tabular.training_rows(task, labels=None)
    assert len(X) == 60 - 3
    X, y = tabular.training_rows(task, labels=(-1, 1))
    assert len(X) == 60
    np.testing.assert_array_equal(y == -1, task.is_labelled)
    assert set(y) == {-1, 1}


@pytest.mark.parametrize("labelled", [tabular.NORMAL_ROWS, "5 %"])
def test_every_method_scores_the_rows_of_a_table(tables, labelled):
    share = tabular.SHARES[labelled]
    task = standardize(table_task("a", seed=0, labelled_share=share))
    for name, method in tabular.methods_of(labelled).items():
        if name not in tabular.PEERS:
            detector = method.make("cpu", 0)
            detector.fit(*tabular.training_rows(task, method.labels))
            scores = detector.score_samples(task.x_test)
            assert scores.shape == (40,) and np.isfinite(scores).all(), name


def test_an_interrupted_table_is_not_measured_twice(tables, results, monkeypatch):
    monkeypatch.setattr(tabular, "SMOKE", tabular.Size(("a", "b"), 1, max_rows=100))
    given = options("tabular", "--smoke", "--only", "nei")
    tabular.run(results, given)
    rows = [*results.rows]
    assert len(rows) == 2 * 4  # tables, and normal rows only or one of three shares
    assert {row["method"] for row in rows} == {"5 neighbours"}
    tabular.run(results, given)
    assert results.rows == rows


def table_rows(labelled, seeds="0", **aurocs):
    """Rows of tables A, b and so on, by method."""
    return [
        {
            "labelled": labelled,
            "table": table,
            "method": method,
            "seed": seed,
            "auroc": str(auroc),
            "seconds": "2",
        }
        for method, values in aurocs.items()
        for table, auroc in zip("Abc", values, strict=False)
        for seed in seeds
    ]


def test_a_mean_over_tables_waits_for_all_of_them():
    rows = table_rows("5 %", seeds="01", m=(90, 80))
    assert tabular.mean_cell(rows, "5 %", "m") == "85.0 ± 0.0"
    assert tabular.mean_cell(rows[:-1], "5 %", "m") == "85.0"
    assert tabular.mean_cell(rows, "1 %", "m") == ""


def test_tables_stand_below_each_other_with_their_mean():
    rows = table_rows("5 %", m=(90, 80), n=(70, 60))
    page = tabular.tables_table(rows, "5 %", ["n", "m", "absent"])
    assert page.splitlines() == [
        "| table | n | m |",
        "| --- | ---: | ---: |",
        "| A | 70.0 | 90.0 |",
        "| b | 60.0 | 80.0 |",
        "| mean | 65.0 | 85.0 |",
    ]


def test_shares_of_labelled_anomalies_stand_beside_each_other():
    rows = [
        *table_rows(tabular.NORMAL_ROWS, **{tabular.SVDD: (99, 99)}),
        *table_rows("1 %", **{tabular.SVDD: (70, 60)}),
        *table_rows("10 %", **{tabular.SVDD: (90, 80)}),
    ]
    *_, last = tabular.shares_table(rows).splitlines()
    assert last == "| `DeepSVDD()` | 65.0 |  | 85.0 | 2.00 |"


def test_wins_are_counted_by_table():
    rows = table_rows(
        tabular.NORMAL_ROWS,
        **{
            tabular.SVDD_MEAN: (90, 80, 70),
            tabular.NEIGHBORS: (85, 80, 75),
            tabular.NEAREST: (89, 79, 69),
        },
    )
    page = tabular.render(rows)
    assert (
        "Of 3 tables, mean of 5 `DeepSVDD()` is above 5 neighbours on 1 (+0.0 on "
        "average) and above nearest row on 3 (+1.0 on average)."
    ) in page


def test_peers_that_were_not_measured_are_named():
    rows = table_rows(tabular.NORMAL_ROWS, **{tabular.PYOD_SVDD: (90, 80)})
    assert tabular.render(rows).endswith(
        "Not installed where this was measured: DeepOD DeepSVDD, DeepOD DeepSAD."
    )


def test_the_summary_of_tables_has_a_column_for_each_protocol():
    rows = [
        *table_rows(tabular.NORMAL_ROWS, **{tabular.SVDD: (99, 99)}),
        *table_rows("5 %", **{tabular.SVDD: (70, 60), tabular.SAD: (90, 80)}),
    ]
    assert tabular.render_summary(rows).splitlines()[2:] == [
        "| `DeepSVDD()` | 99.0 |  | 65.0 |  |",
        "| `DeepSAD()` |  |  | 85.0 |  |",
    ]
