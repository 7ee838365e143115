"""The table "mchad" on small data, and its page."""

from benchmarks.papers import mchad


def claim_rows(**figures):
    """Rows of two seeds, of accuracy, AUROC and errors found, by model."""
    return [
        {
            "model": model,
            "seed": seed,
            "epochs": str(mchad.EPOCHS),
            "outliers": outliers,
            "accuracy": str(accuracy),
            "auroc": str(auroc),
            "aupr_in": "1",
            "aupr_out": "1",
            "fpr95": "1",
            "error_auroc": str(errors),
        }
        for model, (accuracy, auroc, errors) in figures.items()
        for seed in "01"
        for outliers in mchad.OUTLIER_SETS
    ]


def test_claims_are_judged_by_the_rows():
    rows = claim_rows(
        **{
            "softmax": (99, 95, 96),
            "MCHAD": (98.6, 94, 91),
            "G-MCHAD": (98, 97, 91),
            "G-MCHAD, alpha = 0": (98.5, 96, 91),
        }
    )
    lines = mchad.claims_table(rows).splitlines()[2:]
    assert [line.split(" | ")[-4:] for line in lines] == [
        ["98.60", "99.00", "yes", "2 of 2 |"],
        ["94.00", "95.00", "no", "0 of 2 |"],
        ["97.00", "94.00", "yes", "2 of 2 |"],
        ["98.00", "98.60", "no", "0 of 2 |"],
        ["97.00", "96.00", "yes", "2 of 2 |"],
        ["98.00", "98.50", "no", "0 of 2 |"],
        ["91.00", "90.00", "yes", "2 of 2 |"],
    ]


def test_a_claim_waits_for_all_sets_of_outliers():
    rows = claim_rows(softmax=(99, 95, 96), MCHAD=(99, 97, 96))[:-1]
    assert "| 1 of 1 |" in mchad.claims_table(rows)
    assert "2 of" not in mchad.claims_table(rows)
