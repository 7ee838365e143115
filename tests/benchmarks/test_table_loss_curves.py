"""The table "loss-curves" on small data, and its page."""

import numpy as np
import pytest

from benchmarks.papers import loss_curves


@pytest.fixture(scope="module")
def curves():
    panels = loss_curves.make_panels()
    return {curve.loss: curve.value for panel in panels for curve in panel.curves}


@pytest.mark.parametrize(
    ("loss", "distance", "expected"),
    [
        ("SoftBoundaryLoss, R = 1, ν = 0.1", 0.5, 1),
        ("SoftBoundaryLoss, R = 1, ν = 0.1", 2, 1 + (4 - 1) / 0.1),
        ("OneClassLoss", 3, 9),
        ("MCHADLoss, compactness, r = 0", 3, 9),
        ("MCHADLoss, compactness, r = 1", 3, 9 - 1),
        ("CACLoss, anchor", 3, 3),
        ("MCHADLoss, variation", 3, np.log1p(np.exp(9 - 1))),
        ("CenterLoss, cross-entropy", 3, np.log1p(np.exp((9 - 1) / 2))),
        ("CACLoss, tuplet", 3, np.log1p(np.exp(3 - 1))),
        ("CACLoss, tuplet", 6, np.log1p(np.exp(6 - 2))),
        ("MCHADLoss, outliers, r = 0, m = 2", 0, 4),
        ("MCHADLoss, outliers, r = 1, m = 1", 1, 4 - 1),
        ("IILoss, samples 2 from their mean", 3, 4 - 9),
        ("IILoss, samples at their mean", 3, -9),
        ("HSCLoss, normal, squared", 3, 9),
        ("HSCLoss, normal, pseudo-huber", 3, np.sqrt(9 + 1) - 1),
        ("DeepSADLoss, no label", 3, 9),
        ("HSCLoss, anomaly, squared", 1, -np.log(1 - np.exp(-1))),
        ("HSCLoss, anomaly, pseudo-huber", 1, -np.log(1 - np.exp(1 - np.sqrt(2)))),
        ("HSCLoss, anomaly, pseudo-huber", 0, -np.log(1e-7)),
        ("DeepSADLoss, anomaly, ε = 0.1", 2, 1 / (4 + 0.1)),
        ("DeepSADLoss, anomaly, ε = 1e-6", 0, 1e6),
    ],
)
def test_a_curve_is_the_loss_computed_by_hand(curves, loss, distance, expected):
    assert curves[loss](distance) == pytest.approx(expected)


@pytest.mark.parametrize("panel", loss_curves.make_panels(), ids=lambda p: p.title)
def test_names_of_curves_stand_inside_their_panel(panel):
    low, high = panel.limits
    for curve in panel.curves:
        x, y, *_ = curve.name_at
        assert 0 < x < panel.farthest and low < y < high


@pytest.mark.parametrize("panel", loss_curves.make_panels(), ids=lambda p: p.title)
def test_a_band_ends_around_a_line_of_its_panel(panel):
    ends = {curve.loss: curve.value(panel.farthest) for curve in panel.curves}
    for band in (c for c in panel.curves if c.style is loss_curves.BAND):
        lines = [ends[c.loss] for c in panel.curves if c.style is loss_curves.LINE]
        assert any(ends[band.loss] == pytest.approx(end, rel=0.01) for end in lines)


def test_values_of_a_curve_stand_below_their_distances():
    rows = [
        {"panel": "P", "loss": "L", "distance": str(d / 2), "value": str(d)}
        for d in range(9)
    ]
    *_, last = loss_curves.render(rows).splitlines()
    assert last == "| L | 0.00 | 2.00 | 4.00 | 6.00 | 8.00 |"
