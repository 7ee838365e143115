"""The losses as functions of a distance: a sheet of curves, and a few of their values.

Loss modules return the values for a batch of one sample, or of two classes; only the
curve that is not ours is typed. The weight of the term that is shown is 1, the others
are 0.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from benchmarks.report import column, markdown_table, new_figure, select, unique
from sk_hypersphere.losses import (
    CACLoss,
    CenterLoss,
    DeepSADLoss,
    HSCLoss,
    IILoss,
    MCHADLoss,
    OneClassLoss,
    SoftBoundaryLoss,
)

NAME = "loss-curves"
DESCRIPTION = "The losses as functions of a distance."

STEP = 0.5  # between rows; the picture has finer ones
TABULATED = (0, 1, 2, 3, 4)
OTHER_CENTER = 4.0
LINE, BAND = {"linewidth": 2}, {"linewidth": 8, "alpha": 0.3, "zorder": 1.9}

# Colors of Okabe and Ito, which color-blind people can distinguish, one a method.
COLORS = {
    "OneClassLoss": "#000000",
    "SoftBoundaryLoss": "#000000",
    "MCHADLoss": "#D55E00",
    "CACLoss": "#009E73",
    "CenterLoss": "#0072B2",
    "IILoss": "#CC79A7",
    "HSCLoss": "#E69F00",
    "DeepSADLoss": "#56B4E9",
}
NOT_OURS = "#777777"


class Curve(NamedTuple):
    """A loss as a function of a distance, the place of its name, and a style of lines.

    A curve that coincides with another one, far from 0 at least, is a band around it.
    """

    loss: str
    value: Callable[[float], float]
    name_at: tuple  # x and y, by default of the left end of the name, or "right"
    style: dict = LINE

    @property
    def color(self):
        module, *_ = self.loss.split(", ")
        return COLORS.get(module, NOT_OURS)


class Panel(NamedTuple):
    """Curves over distances from 0 on, with names for some of these."""

    title: str
    distance: str
    farthest: int
    limits: tuple[float, float]
    landmarks: dict[int, str]
    curves: list[Curve]
    scale: str = "linear"  # of the loss


def run(results, options):
    """Compute all rows anew, and draw the picture."""
    results.clear()
    panels = make_panels()
    for panel in panels:
        for curve in panel.curves:
            if options.only in curve.loss:
                add_rows(results, panel, curve)
    results.save_picture(draw(panels))


def add_rows(results, panel, curve):
    for distance in np.arange(0, panel.farthest + STEP, STEP):
        results.add(
            panel=panel.title,
            loss=curve.loss,
            distance=distance,
            value=f"{curve.value(distance):.4f}",
        )


def render(rows):
    """A table for each panel, in Markdown, with a column for each distance."""
    parts = []
    for title in unique(column(rows, "panel")):
        of_panel = select(rows, panel=title)
        lines = []
        for loss in unique(column(of_panel, "loss")):
            chosen = select(of_panel, loss=loss)
            value_at = {float(row["distance"]): float(row["value"]) for row in chosen}
            lines.append([loss, *(f"{value_at[d]:.2f}" for d in TABULATED)])
        header = ["loss at a distance of", *TABULATED]
        parts += [f"{title}:", markdown_table(header, lines)]
    return "\n\n".join(parts)


def at_distance(loss, y=0):
    """A loss of one sample by the distance to the only center."""

    def value(distance):
        return loss(as_tensor([[distance**2]]), torch.tensor([y])).item()

    return value


def between_centers(loss):
    """A loss of one sample on the line from its own center through another one."""

    def value(distance):
        sq_distances = as_tensor([[distance**2, (distance - OTHER_CENTER) ** 2]])
        return loss(sq_distances, torch.tensor([0])).item()

    return value


def beside_linear_classifier(loss):
    r"""The same, for a loss that takes logits too.

    They are :math:`c_k^T z - \lVert c_k \rVert^2 / 2`: of all linear classifiers, the
    one that has the centers as weights and decides for the nearest.
    """
    centers = as_tensor([[0.0], [OTHER_CENTER]])  # (2, 1)

    def value(distance):
        z = as_tensor([[distance]])
        logits = functional.linear(z, centers, -centers.square().sum(dim=1) / 2)
        output = torch.cat([(z - centers.T).square(), logits], dim=1)  # (1, 4)
        return loss(output, torch.tensor([0])).item()

    return value


def of_two_means(loss, spread):
    """A loss of two classes by the distance of their means.

    Each has two samples, `spread` away from the mean, at right angles to that distance.
    """

    def value(distance):
        z = as_tensor(
            [[0, spread], [0, -spread], [distance, spread], [distance, -spread]]
        )
        return loss(z, torch.tensor([0, 0, 1, 1])).item()

    return value


def as_tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def soft_boundary():
    loss = SoftBoundaryLoss(nu=0.1)
    loss.sq_radii.fill_(1.0)
    return loss


def outlier_term(radius, margin):
    loss = MCHADLoss(gamma=1, radius=radius, margin=margin)
    return at_distance(loss, y=-1)


def outlier_term_of_the_experiments(distance):
    """The cost in the authors' code for its margin of 4."""
    return max(0.0, 4.0**2 - distance**4)


def make_panels():
    return [
        pulled_in(),
        told_apart(),
        pushed_off(),
        driven_apart(),
        kept_near(),
        pushed_away(),
    ]


def pulled_in():
    weights = {"alpha": 1, "beta": 0}
    return Panel(
        "Known: pulled to the own center",
        "distance d to the own center",
        farthest=4,
        limits=(0, 16),
        landmarks={1: "R, r"},
        curves=[
            Curve(
                "SoftBoundaryLoss, R = 1, ν = 0.1",
                at_distance(soft_boundary()),
                (1.3, 12, "right"),
            ),
            Curve("OneClassLoss", at_distance(OneClassLoss()), (3.3, 13.3, "right")),
            Curve(
                "MCHADLoss, compactness, r = 0",
                at_distance(MCHADLoss(**weights)),
                (3.1, 11.6, "right"),
                style=BAND,
            ),
            Curve(
                "MCHADLoss, compactness, r = 1",
                at_distance(MCHADLoss(**weights, radius=1)),
                (2.7, 5.1),
            ),
            Curve("CACLoss, anchor", at_distance(CACLoss(**weights)), (3.1, 1.6)),
        ],
    )


def told_apart():
    weights = {"alpha": 0, "beta": 1}
    return Panel(
        "Known: told apart from one other center",
        "distance d to the own center",
        farthest=6,
        limits=(0, 16),
        landmarks={0: "own center", 2: "halfway", 4: "other center"},
        curves=[
            Curve(
                "MCHADLoss, variation",
                between_centers(MCHADLoss(**weights)),
                (3.2, 12, "right"),
            ),
            Curve(
                "CenterLoss, cross-entropy",
                beside_linear_classifier(CenterLoss(**weights)),
                (4.4, 7.6),
            ),
            Curve("CACLoss, tuplet", between_centers(CACLoss(**weights)), (4.4, 2.4)),
        ],
    )


def pushed_off():
    return Panel(
        "Example anomalies: pushed off a sphere",
        "distance d to the only center",
        farthest=4,
        limits=(0, 16.5),
        landmarks={2: "r + m"},
        curves=[
            Curve(
                "not ours, the authors' code: 4² - d⁴",
                outlier_term_of_the_experiments,
                (1.6, 12),
            ),
            Curve("MCHADLoss, outliers, r = 0, m = 2", outlier_term(0, 2), (0.1, 8)),
            Curve(
                "MCHADLoss, outliers, r = 1, m = 1",
                outlier_term(1, 1),
                (0.1, 5.5),
                style=BAND,
            ),
        ],
    )


def driven_apart():
    return Panel(
        "Two classes: their means driven apart",
        "distance d of the means",
        farthest=4,
        limits=(-16, 5),
        landmarks={},
        curves=[
            Curve(
                "IILoss, samples 2 from their mean",
                of_two_means(IILoss(2), spread=2),
                (2.3, 2),
            ),
            Curve(
                "IILoss, samples at their mean",
                of_two_means(IILoss(2), spread=0),
                (2.2, -9, "right"),
            ),
        ],
    )


def kept_near():
    return Panel(
        "One class: pulled to the center",
        "distance d to the only center",
        farthest=4,
        limits=(0, 16),
        landmarks={},
        curves=[
            Curve(
                "HSCLoss, normal, squared",
                at_distance(HSCLoss("squared")),
                (3.3, 13.3, "right"),
            ),
            Curve(
                "DeepSADLoss, no label",
                at_distance(DeepSADLoss()),
                (2.9, 10.5, "right"),
                style=BAND,
            ),
            Curve("HSCLoss, normal, pseudo-huber", at_distance(HSCLoss()), (2.4, 4)),
        ],
    )


def pushed_away():
    return Panel(
        "One class: anomalies pushed away without end",
        "distance d to the only center",
        farthest=4,
        limits=(0.01, 100),
        landmarks={},
        curves=[
            Curve(
                "HSCLoss, anomaly, squared",
                at_distance(HSCLoss("squared"), y=-1),
                (1.6, 0.04, "right"),
            ),
            Curve(
                "HSCLoss, anomaly, pseudo-huber",
                at_distance(HSCLoss(), y=-1),
                (2.0, 0.7),
            ),
            Curve(
                "DeepSADLoss, anomaly, ε = 0.1",
                at_distance(DeepSADLoss(epsilon=0.1), y=-1),
                (0.8, 5),
            ),
            Curve(
                "DeepSADLoss, anomaly, ε = 1e-6",
                at_distance(DeepSADLoss(), y=-1),
                (0.3, 40),
                style=BAND,
            ),
        ],
        scale="log",
    )


def draw(panels):
    """All panels on one sheet."""
    figure = new_figure(11, 12)
    figure.get_layout_engine().set(w_pad=0.15, h_pad=0.15)
    for ax, panel in zip(figure.subplots(3, 2).flat, panels, strict=True):
        draw_panel(ax, panel)
    return figure


def draw_panel(ax, panel):
    from matplotlib.ticker import MultipleLocator

    distances = np.linspace(0, panel.farthest, 601)
    for distance in panel.landmarks:
        ax.axvline(distance, color="0.85", linewidth=1, zorder=1)
    for curve in panel.curves:
        values = [curve.value(distance) for distance in distances]
        ax.plot(distances, values, color=curve.color, **curve.style)
        name = curve.loss.replace(", ", "\n", 1)  # the module, then the term
        x, y, side = (*curve.name_at, "left")[:3]
        text = ax.text(x, y, name, color=curve.color, ha=side)
        text.set(va="center", backgroundcolor="white", zorder=1.5)  # below the curves
    ticks = range(panel.farthest + 1)
    marks = [f"{tick}\n{panel.landmarks.get(tick, '')}" for tick in ticks]
    ax.set(xlim=(0, panel.farthest), ylim=panel.limits)
    ax.set(xlabel=panel.distance, ylabel="loss", yscale=panel.scale)
    ax.set_xticks(ticks, marks)
    if panel.scale == "linear":
        ax.yaxis.set_major_locator(MultipleLocator(4))
    else:
        ax.yaxis.set_major_formatter("{x:g}")
    ax.set_title(panel.title, loc="left", weight="bold", pad=12)
    ax.spines[["top", "right"]].set_visible(False)
