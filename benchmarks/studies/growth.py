"""Time against the numbers of rows and centers, memory against the number of centers.

It measures one epoch, a whole fit with one epoch, and the scores of the same rows.
Short calls are repeated, and the median counts. Time is measured in this process on one
thread, so that others on the machine disturb little. Centers belong to known clusters
or classes, so that nothing is clustered. Peaks are Linux's VmHWM, set back right before
the call, each in a process of its own: they need Linux.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks.memory import in_own_process, peak_mib, reset_peak
from benchmarks.methods import one_thread
from benchmarks.races.common import TrainingTime, seconds_trained
from benchmarks.report import column, markdown_table, new_figure, select, unique
from sk_hypersphere import (
    HSC,
    CACClassifier,
    CenterLossClassifier,
    DeepSAD,
    DeepSVDD,
    EIDNEmbedder,
    IILossClassifier,
    ISIFEmbedder,
    MCHADClassifier,
    SubclusterDetector,
)

NAME = "growth"
DESCRIPTION = "Time against the number of rows and of centers, and memory."

N_FEATURES = 32
N_ROWS = (1_000, 10_000, 100_000, 1_000_000)
N_CENTERS = (1, 3, 10, 30, 100, 300, 1_000)
ROWS_WITH_CENTERS = 100_000
SEED = 0
LEAST_SECONDS = 0.5  # of all repetitions together
FITTED_SHARE = 0.01  # of the largest size: exponents count two decades

QUANTITIES = {
    "epoch_seconds": "one epoch",
    "fit_seconds": "fit with one epoch",
    "score_seconds": "scores of all rows",
}
PEAKS = {"fit_peak_mib": "peak of fit", "score_peak_mib": "peak of scoring"}


def classes(n_rows, n_centers):
    """Labels that all occur equally often, in random order."""
    return np.random.default_rng(SEED).permutation(np.arange(n_rows) % n_centers)


def few_anomalies(n_rows, n_centers):
    """Label one sample in a hundred as an anomaly."""
    return np.where(np.arange(n_rows) % 100 > 0, 1, -1)


class Case(NamedTuple):
    """An estimator to be measured.

    `parameter` of `fit` takes ``labels(n_rows, n_centers)``; None is a fit without.
    """

    make: Callable
    parameter: str | None = None
    labels: Callable | None = None
    most_rows: int = N_ROWS[-1]


many_spheres = partial(DeepSVDD, multi_radius=True)
subclusters = partial(SubclusterDetector, score_rule="msp")

ROWS = {
    "`DeepSVDD()`": Case(DeepSVDD),
    "`DeepSAD()`": Case(DeepSAD, "y", few_anomalies),
    "`HSC()`": Case(HSC, "y", few_anomalies),
    "`EIDNEmbedder()`": Case(EIDNEmbedder, "y", few_anomalies),
    "`MCHADClassifier()`": Case(MCHADClassifier, "y", classes),
    "`SubclusterDetector()`": Case(SubclusterDetector, "cluster_labels", classes),
    '`SubclusterDetector(score_rule="msp")`': Case(
        subclusters, "cluster_labels", classes
    ),
    # The others train by the same loop: they are shown enough rows to see that.
    "`CACClassifier()`": Case(CACClassifier, "y", classes, 100_000),
    "`CenterLossClassifier()`": Case(CenterLossClassifier, "y", classes, 100_000),
    "`IILossClassifier()`": Case(IILossClassifier, "y", classes, 100_000),
    "`ISIFEmbedder()`": Case(ISIFEmbedder, most_rows=100_000),
}
CENTERS = {
    "`DeepSVDD(multi_radius=True)`": Case(many_spheres, "cluster_labels", classes),
    "`MCHADClassifier()`": Case(MCHADClassifier, "y", classes),
    "`IILossClassifier()`": Case(IILossClassifier, "y", classes),
}


def run(
    results,
    options,
    sizes=N_ROWS,
    n_centers=N_CENTERS,
    rows_with_centers=ROWS_WITH_CENTERS,
):
    """Measure what is not in the results yet, and draw all of it."""
    with one_thread():
        for name, case in ROWS.items():
            for n_rows in (n for n in sizes if n <= case.most_rows):
                key = {"against": "rows", "model": name, "rows": n_rows, "centers": 10}
                if options.only in name and not results.done(**key):
                    results.add(**key, **measure(case, n_rows, 10))
    for name in CENTERS:
        for k in n_centers:
            key = {
                "against": "centers",
                "model": name,
                "rows": rows_with_centers,
                "centers": k,
            }
            if options.only in name and not results.done(**key):
                results.add(
                    **key, **in_own_process(_measure_alone, name, rows_with_centers, k)
                )
    if results.rows:
        results.save_picture(draw(results.rows))


def measure(case, n_rows, n_centers):
    """Seconds and peaks of a fit with one epoch, and of the scores of the same rows."""
    X = np.random.default_rng(SEED).standard_normal(
        (n_rows, N_FEATURES), dtype=np.float32
    )
    model = case.make(
        max_epochs=1, callbacks=[TrainingTime()], device="cpu", random_state=SEED
    )
    labels = {}
    if case.labels:
        labels[case.parameter] = case.labels(n_rows, n_centers)
    few = np.arange(n_rows)[: 10 * n_centers + 200]
    model.fit(X[few], **{name: values[few] for name, values in labels.items()})

    epochs = []

    def fit():
        model.fit(X, **labels)
        epochs.append(seconds_trained(model))

    def score():
        # A transformer has no scores; its embedding takes their place.
        getattr(model, "score_samples", model.transform)(X)

    fit_seconds, fit_peak = _repeated(fit)
    score_seconds, score_peak = _repeated(score)
    return {
        "components": model.transform(X[:1]).shape[1],
        "epoch_seconds": f"{np.median(epochs):.5f}",
        "fit_seconds": f"{fit_seconds:.5f}",
        "score_seconds": f"{score_seconds:.5f}",
        "fit_peak_mib": f"{fit_peak:.0f}",
        "score_peak_mib": f"{score_peak:.0f}",
        "seed": SEED,
    }


def render(rows):
    """Seconds and their exponents, then peaks, in Markdown."""
    against_rows = select(rows, against="rows")
    against_centers = select(rows, against="centers")
    blocks = []
    if against_rows:
        blocks.append(_table_of_seconds(against_rows, "rows"))
    if against_centers:
        blocks.append(_table_of_seconds(against_centers, "centers"))
        blocks.append(_table_of_peaks(against_centers))
    return "\n\n".join(blocks)


def exponent(sizes, seconds):
    """Slope of the line through the logarithms, over the last two decades of sizes."""
    sizes, seconds = np.array(sizes, float), np.array(seconds, float)
    fitted = sizes >= FITTED_SHARE * sizes.max()
    if fitted.sum() < 2:
        return np.nan
    slope, _ = np.polyfit(np.log(sizes[fitted]), np.log(seconds[fitted]), 1)
    return slope


def _table_of_seconds(rows, against):
    sizes = _sizes(rows, against)
    lines = []
    for model in unique(column(rows, "model")):
        of_model = select(rows, model=model)
        for name, text in QUANTITIES.items():
            values = _by_size(of_model, against, name)
            seconds = [f"{values[n]:.3g}" if n in values else "" for n in sizes]
            slope = exponent([*values], [*values.values()])
            lines.append([f"{model}, {text}", *seconds, f"{slope:.2f}"])
    header = [f"seconds, by the number of {against}", *_counts(sizes), "exponent"]
    return markdown_table(header, lines)


def _table_of_peaks(rows):
    sizes = _sizes(rows, "centers")
    lines = []
    for model in unique(column(rows, "model")):
        of_model = select(rows, model=model)
        for name, text in PEAKS.items():
            peaks = _by_size(of_model, "centers", name)
            cells = [f"{peaks[k]:.0f}" if k in peaks else "" for k in sizes]
            lines.append([f"{model}, {text}", *cells])
        n, p = (int(of_model[0][name]) for name in ("rows", "components"))
        lines.append(
            [
                f"an array of shape ({n:,}, k, {p}) would be",
                *[f"{4 * n * k * p / 2**20:,.0f}" for k in sizes],
            ]
        )
    header = ["MiB above the input, by the number of centers k", *_counts(sizes)]
    return markdown_table(header, lines)


def _sizes(rows, against):
    return sorted({int(row[against]) for row in rows})


def _counts(sizes):
    return [f"{size:,}" for size in sizes]


def _by_size(rows, against, name):
    return {int(row[against]): float(row[name]) for row in rows}


def draw(rows):
    """Seconds against the number of rows and of centers, on logarithmic axes."""
    figure = new_figure(11, 9)
    axes = figure.subplots(2, 2, sharey="col", sharex="row")
    for row, against in zip(axes, ("rows", "centers"), strict=True):
        for ax, name in zip(row, ("fit_seconds", "score_seconds"), strict=True):
            draw_panel(ax, select(rows, against=against), against, name)
        row[0].set_ylabel("CPU seconds of one thread")
        row[1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def draw_panel(ax, rows, against, name):
    models = [*ROWS, *(model for model in CENTERS if model not in ROWS)]
    end = 1, 1
    for model in unique(column(rows, "model")):
        values = _by_size(select(rows, model=model), against, name)
        number = models.index(model)
        style = {"color": f"C{number % 10}", "linestyle": "--" if number >= 10 else "-"}
        label = model.strip("`")
        ax.plot([*values], [*values.values()], marker="o", ms=4, label=label, **style)
        end = max(end, (max(values), values[max(values)]))
    sizes, seconds = np.outer(end, [0.01, 1])
    ax.plot(sizes, seconds, color="0.8", linewidth=6, zorder=0, label="linear")
    ax.set(xscale="log", yscale="log", xlabel=f"number of {against}")
    ax.set_title(QUANTITIES[name], loc="left", weight="bold")
    ax.spines[["top", "right"]].set_visible(False)


def _repeated(function):
    """Median of CPU seconds, and the peak above the memory before, in MiB."""
    reset_peak()
    before = peak_mib()
    seconds = []
    while sum(seconds) < LEAST_SECONDS:
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return np.median(seconds), peak_mib() - before


def _measure_alone(name, n_rows, n_centers):
    with one_thread():
        return measure(CENTERS[name], n_rows, n_centers)
