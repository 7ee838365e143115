"""The gain of ten members: the mean and the spread of AUROC over seeds."""

from collections.abc import Callable
from functools import partial
from statistics import mean, stdev
from typing import NamedTuple

import numpy as np

from benchmarks.datasets import (
    FewLabelsTask,
    adbench_names,
    small_digits_few_labels,
    small_digits_task,
    standardize,
    table_task,
)
from benchmarks.methods import OUTLIER, as_rows, auroc, seconds_of
from benchmarks.report import column, markdown_table, mean_and_spread, select, unique
from sk_hypersphere import HSC, DeepSVDD, HypersphereEnsemble

NAME = "ensembles"
DESCRIPTION = "Single members and ensembles of ten: mean and spread over seeds."

DIGITS = "digits"
NORMAL_DIGITS = [0, 1, 3]
SPLIT = 0  # the same for all, so that only the seeds of networks differ
MEMBER, ENSEMBLE = "a member", "ten members"


class Size(NamedTuple):
    """How much of it all is done; None is five tables of ADBench, evenly spaced."""

    tables: tuple | None
    n_seeds: int
    n_members: int
    max_rows: int
    params: dict


FULL_SIZE = Size(None, n_seeds=5, n_members=10, max_rows=6_000, params={})
SMOKE = Size(("Pima",), n_seeds=2, n_members=2, max_rows=300, params={"max_epochs": 1})


class Model(NamedTuple):
    """A detector, and the share of the anomalies that it is shown; None is none."""

    make: Callable
    labelled: float | None


MODELS = {
    "`DeepSVDD()`": Model(DeepSVDD, None),
    "`DeepSVDD(multi_radius=True)`": Model(partial(DeepSVDD, multi_radius=True), None),
    "`HSC()`": Model(HSC, 0.05),
}


def digits_task(labelled_share):
    """scikit-learn's digits as rows; of the anomalies 8 are shown, if some are."""
    if labelled_share is not None:
        task = small_digits_few_labels(NORMAL_DIGITS, 8, SPLIT)
    else:
        task = small_digits_task(NORMAL_DIGITS, SPLIT)
        nothing = np.zeros(len(task.x_train), dtype=bool)
        task = FewLabelsTask(task.x_train, nothing, task.x_test, task.is_normal)
    return task._replace(x_train=as_rows(task.x_train), x_test=as_rows(task.x_test))


def run(results, options):
    """Fit what is not in the results yet."""
    size = SMOKE if options.smoke else FULL_SIZE
    tables = size.tables or adbench_names()[2::4]
    for name in (DIGITS, *tables):
        for model_name, model in MODELS.items():
            if options.only in f"{name} {model_name}":
                measure(results, options, size, name, model_name, model)


def measure(results, options, size, name, model_name, model):
    """A row for each member, and one for each ensemble, of every seed."""
    make_task = partial(table_task, name, SPLIT, max_rows=size.max_rows)
    task = (digits_task if name == DIGITS else make_task)(labelled_share=model.labelled)
    task = standardize(task)
    y = np.where(task.is_labelled, OUTLIER, 0) if task.is_labelled.any() else None
    for seed in range(options.seeds or size.n_seeds):
        key = {"data": name, "model": model_name, "seed": seed}
        if results.done(**key, scored_by=ENSEMBLE):
            continue
        detector = model.make(device=options.device, **size.params)
        ensemble = HypersphereEnsemble(detector, size.n_members, random_state=seed)
        seconds = seconds_of(ensemble.fit, task.x_train, y)
        scores = {
            f"{MEMBER} {number}": member.score_samples(task.x_test)
            for number, member in enumerate(ensemble.estimators_)
        }
        scores[ENSEMBLE] = ensemble.score_samples(task.x_test)
        for scored_by, values in scores.items():
            if not results.done(**key, scored_by=scored_by):
                results.add(
                    **key,
                    scored_by=scored_by,
                    auroc=f"{auroc(task, values):.3f}",
                    seconds=f"{seconds:.1f}",
                )
        print(f"{name}, {model_name}, seed {seed}: {seconds:.1f} s", flush=True)


def render(rows):
    """Members and ensembles of each model across, data down, and their means."""
    names, models = (unique(column(rows, name)) for name in ("data", "model"))
    columns = [(model, kind) for model in models for kind in (MEMBER, ENSEMBLE)]
    figures = {
        (name, *column): aurocs(select(rows, data=name, model=column[0]), column[1])
        for name in names
        for column in columns
    }
    lines = [[n, *(mean_and_spread(figures[n, *c]) for c in columns)] for n in names]
    lines.append(
        ["mean", *(mean_over([figures[n, *c] for n in names]) for c in columns)]
    )
    header = ["", *(f"{model}, {kind}" for model, kind in columns)]
    return markdown_table(header, lines)


def aurocs(rows, kind):
    """AUROC of all members, or of all ensembles."""
    return [float(row["auroc"]) for row in rows if row["scored_by"].startswith(kind)]


def mean_over(figures):
    """Mean of means, and mean of standard deviations, over data that are measured."""
    figures = [values for values in figures if len(values) > 1]
    if not figures:
        return ""
    return f"{mean(map(mean, figures)):.1f} ± {mean(map(stdev, figures)):.1f}"
