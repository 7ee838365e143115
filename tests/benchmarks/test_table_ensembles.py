"""The table "ensembles" on small data, and its page."""

from small import options

from benchmarks.studies import ensembles


def test_members_and_ensembles_are_measured_once(results, monkeypatch, tables):
    small = ensembles.SMOKE._replace(tables=("a",), max_rows=100)
    monkeypatch.setattr(ensembles, "SMOKE", small)
    given = options("ensembles", "--smoke")
    ensembles.run(results, given)
    rows = [*results.rows]
    n_scored = small.n_members + 1
    assert len(rows) == 2 * len(ensembles.MODELS) * small.n_seeds * n_scored
    assert all(0 <= float(row["auroc"]) <= 100 for row in rows)
    ensembles.run(results, given)
    assert results.rows == rows


def test_spread_of_members_stands_beside_that_of_ensembles():
    rows = [
        {"data": data, "model": "m", "scored_by": scored_by, "auroc": auroc}
        for data, aurocs in [("a", "60 80 71 73"), ("b", "50 50 90 92")]
        for scored_by, auroc in zip(
            ["a member 0", "a member 1", "ten members", "ten members"],
            aurocs.split(),
            strict=True,
        )
    ]
    assert ensembles.render(rows).splitlines() == [
        "|  | m, a member | m, ten members |",
        "| --- | ---: | ---: |",
        "| a | 70.0 ± 14.1 | 72.0 ± 1.4 |",
        "| b | 50.0 ± 0.0 | 91.0 ± 1.4 |",
        "| mean | 60.0 ± 7.1 | 81.5 ± 1.4 |",
    ]
