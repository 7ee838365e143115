"""MNIST, one digit normal, with letters as example anomalies: many, and few."""

import warnings
from functools import partial
from itertools import product
from statistics import mean, stdev
from typing import NamedTuple

import numpy as np

from benchmarks.datasets import load_all_letters, load_mnist, one_class_task
from benchmarks.methods import (
    ALL_SAMPLES,
    auroc,
    check_finished,
    fit_exposed,
    mnist_detectors,
    seconds_of,
)
from benchmarks.report import (
    column,
    markdown_table,
    mean_and_spread,
    new_figure,
    select,
    unique,
)
from sk_hypersphere import HSC, DeepSAD
from sk_hypersphere.exceptions import SupervisionWarning

NAME = "exposure"
DESCRIPTION = "MNIST, one digit normal: HSC and Deep SAD shown letters, many or few."

TICKS = (50, 60, 70, 80, 90, 95, 98, 99, 99.5)
HIGHEST = 0.999  # in the picture

EXPOSED = {
    "`HSC()`": partial(HSC, **ALL_SAMPLES),
    '`HSC("bce")`': partial(HSC, "bce", **ALL_SAMPLES),
    '`HSC("focal")`': partial(HSC, "focal", **ALL_SAMPLES),
    "`DeepSAD()`": partial(DeepSAD, **ALL_SAMPLES),
}
CURVES = ("`HSC()`", '`HSC("bce")`')  # by the number of example anomalies
UNEXPOSED = (
    "`DeepSVDD()`",
    "`DeepSVDD(multi_radius=True)`",
    "PCA(50) + 5 neighbours",
    "contrast + PCA(50) + 5 neighbours",
)

# Colors of Okabe and Ito, which color-blind people can distinguish.
COLORS = dict(
    zip(
        (*CURVES, *UNEXPOSED),
        ("#D55E00", "#0072B2", "#000000", "#009E73", "#CC79A7", "#777777"),
        strict=True,
    )
)


class Size(NamedTuple):
    """How much of it all is done; None is everything, and the defaults."""

    digits: tuple[int, ...]
    digits_of_curves: tuple[int, ...]
    counts: tuple[int, ...]
    n_letters: int
    n_seeds: int
    n_train: int | None = None
    epochs: int | None = None


FULL_SIZE = Size(tuple(range(10)), (2, 5, 8), (0, 1, 8, 32, 128, 1024), 10_000, 3)
SMOKE = Size((0, 1), (1,), (0, 8), n_letters=500, n_seeds=1, n_train=500, epochs=2)


class Fit(NamedTuple):
    """One fit: the columns of its row that come before the result."""

    digit: int
    method: str
    exposure: int  # how many letters are shown
    seed: int


def run(results, options):
    """Fit what is not in the results yet, and draw the curves."""
    size = SMOKE if options.smoke else FULL_SIZE
    mnist, letters = load_mnist(), load_all_letters()
    for fit in plan(size, options.seeds or size.n_seeds):
        detector, epochs = make_detector(fit, size, options.device)
        key = fit._asdict() | {"epochs": epochs}
        if options.only in fit.method and not results.done(**key):
            task = one_class_task(mnist, [fit.digit])
            seconds = train(detector, fit, task.x_train[: size.n_train], letters)
            value = auroc(task, detector.score_samples(task.x_test))
            results.add(**key, auroc=f"{value:.2f}", seconds=f"{seconds:.1f}")
            print(
                f"{fit.digit}  {fit.method:34} {fit.exposure:5} letters, "
                f"seed {fit.seed} {value:6.2f} {seconds:7.1f} s",
                flush=True,
            )
    few = rows_of_curves(results.rows)
    if few:
        results.save_picture(draw(few))


def plan(size, n_seeds):
    """All fits: each digit with all letters, then three digits with few."""
    for digit, method in product(size.digits, (*UNEXPOSED, *EXPOSED)):
        yield Fit(digit, method, 0 if method in UNEXPOSED else size.n_letters, 0)
    for seed, digit in product(range(n_seeds), size.digits_of_curves):
        for method in UNEXPOSED:
            yield Fit(digit, method, 0, seed)
        for method, count in product(CURVES, size.counts):
            yield Fit(digit, method, count, seed)


def make_detector(fit, size, device):
    """The detector of one fit, and its epochs as the table names them."""
    if fit.method in UNEXPOSED:
        detector, epochs = mnist_detectors(device, fit.seed)[fit.method]
    else:
        make = EXPOSED[fit.method]
        detector, epochs = make(device=device, random_state=fit.seed), "default"
    if epochs and size.epochs:
        detector.set_params(max_epochs=size.epochs)
        epochs = size.epochs
    return detector, epochs


def train(detector, fit, normal, letters):
    """Fit, with letters where the method takes them; return the seconds."""
    if fit.method in UNEXPOSED:
        return seconds_of(detector.fit, normal)
    shown = draw_letters(letters, fit.exposure, fit.seed)
    with warnings.catch_warnings():
        # Training without any letters is measured too.
        warnings.simplefilter("ignore", SupervisionWarning)
        seconds = fit_exposed(detector, normal, shown)
    check_finished(detector, detector.net_.max_epochs)
    return seconds


def draw_letters(letters, count, seed):
    """Some letters; with the same seed, more of them include the fewer."""
    order = np.random.RandomState(seed).permutation(len(letters))
    return letters[order[:count]]


def render(rows):
    """Every digit with all letters; then the AUROC by their number, and a summary."""
    n_letters = max(int(row["exposure"]) for row in rows)
    few = rows_of_curves(rows)
    parts = [
        f"All digits, with {n_letters:,} letters as example anomalies; AUROC in "
        "percent:",
        digits_table(rows, n_letters),
    ]
    if few:
        digits = " ".join(unique(column(few, "digit")))
        n_seeds = len(unique(column(few, "seed")))
        parts += [
            f"With few of them; AUROC in percent, mean ± standard deviation over the "
            f"digits {digits} and {n_seeds} seeds:",
            counts_table(few),
            "How many of them it takes to be better, in this mean, than a method that "
            "sees none; more are better too:",
            passing_table(few),
        ]
    return "\n\n".join(parts)


def digits_table(rows, n_letters):
    """Digits down, methods across: those without letters, then those with all."""
    columns = {}
    for method in (*UNEXPOSED, *EXPOSED):
        n_shown = 0 if method in UNEXPOSED else n_letters
        chosen = select(rows, method=method, exposure=str(n_shown), seed="0")
        columns[method] = {row["digit"]: float(row["auroc"]) for row in chosen}
    columns = {method: by_digit for method, by_digit in columns.items() if by_digit}
    digits = unique(column(select(rows, seed="0"), "digit"))
    lines = [
        [
            digit,
            *[
                mean_and_spread([c[digit]] if digit in c else [])
                for c in columns.values()
            ],
        ]
        for digit in digits
    ]
    means = [
        mean_and_spread([mean(c.values())] if len(c) == len(digits) else [])
        for c in columns.values()
    ]
    return markdown_table(["normal digit", *columns], [*lines, ["mean", *means]])


def rows_of_curves(rows):
    """Rows with few letters, and rows without any for the same digits."""
    n_letters = max((int(row["exposure"]) for row in rows), default=0)
    few = [
        row
        for row in rows
        if row["method"] in CURVES and int(row["exposure"]) < n_letters
    ]
    digits = unique(column(few, "digit"))
    return few + [
        row for row in rows if row["method"] in UNEXPOSED and row["digit"] in digits
    ]


def points(rows, method):
    """AUROC of all digits and seeds, by the number of letters, of one method.

    A number of letters that has fewer fits than another is left out.
    """
    by_count = {}
    for row in select(rows, method=method):
        by_count.setdefault(int(row["exposure"]), []).append(float(row["auroc"]))
    complete = max(map(len, by_count.values()), default=0)
    return {
        count: values
        for count, values in sorted(by_count.items())
        if len(values) == complete
    }


def counts_table(rows):
    """Methods down, numbers of letters across."""
    methods = [name for name in (*CURVES, *UNEXPOSED) if select(rows, method=name)]
    points_of = {method: points(rows, method) for method in methods}
    counts = sorted({count for by_count in points_of.values() for count in by_count})
    lines = [
        [method, *[mean_and_spread(by_count.get(count, [])) for count in counts]]
        for method, by_count in points_of.items()
    ]
    return markdown_table(["letters shown", *[f"{c:,}" for c in counts]], lines)


def passing_table(rows):
    """For each method without letters, how many of them let a curve pass it."""
    curves = [name for name in CURVES if select(rows, method=name)]
    rivals = [name for name in UNEXPOSED if select(rows, method=name)]
    lines = [
        [
            f"{rival}, {mean(points(rows, rival)[0]):.1f}",
            *[
                passing_count(points(rows, curve), mean(points(rows, rival)[0]))
                for curve in curves
            ],
        ]
        for rival in rivals
    ]
    return markdown_table(["better than", *curves], lines)


def passing_count(by_count, rival):
    """The least count at which, and above which, means are above the rival's."""
    passing = "not reached"
    for count, values in reversed(by_count.items()):
        if mean(values) <= rival:
            break
        passing = f"{count:,}"
    return passing


def draw(few):
    """AUROC by the number of letters, with a band of one standard deviation."""
    figure = new_figure(9, 5.5)
    ax = figure.subplots()
    counts = []
    for curve in CURVES:
        by_count = points(few, curve)
        if by_count:
            counts = [*by_count]
            draw_curve(ax, curve, by_count)
    for method in UNEXPOSED:
        if select(few, method=method):
            draw_level(ax, method, mean(points(few, method)[0]))
    ax.set_xscale("symlog", linthresh=1, linscale=0.5)
    ax.set_xticks(counts, [f"{count:,}" for count in counts])
    ax.xaxis.minorticks_off()
    ax.set_yscale("logit")  # from 98 to 99 is as far as from 50 to 67
    ax.set_yticks([tick / 100 for tick in TICKS], [str(tick) for tick in TICKS])
    ax.yaxis.minorticks_off()
    ax.set(xlim=(0, max(counts)), xlabel="letters shown", ylabel="AUROC in percent")
    ax.set_title("Few example anomalies", loc="left", weight="bold", pad=12)
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def draw_curve(ax, method, by_count):
    means = np.array([mean(values) for values in by_count.values()])
    spread = [stdev(v) if len(v) > 1 else 0.0 for v in by_count.values()]
    low, high = (means - spread) / 100, (means + spread) / 100
    counts, style = [*by_count], {"color": COLORS[method]}
    name = method.strip("`")
    ax.plot(counts, means / 100, "o-", **style, label=name, clip_on=False)
    ax.fill_between(counts, low, high.clip(max=HIGHEST), **style, alpha=0.15)


def draw_level(ax, method, value):
    style = {"color": COLORS[method], "linestyle": "--", "linewidth": 1.2}
    name = method.strip("`")
    ax.axhline(value / 100, **style, label=f"{name}, which sees none")
