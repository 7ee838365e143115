"""MNIST with four kinds of outliers: the models and the claims of the MCHAD poster."""

from functools import partial
from statistics import mean
from typing import NamedTuple

import numpy as np

from benchmarks.datasets import (
    gaussian_noise,
    gray_center,
    load_colored,
    load_letters,
    load_mnist,
    uniform_noise,
)
from benchmarks.methods import (
    POSTER_MODELS,
    MaximumProbability,
    fit_classifier,
    novelty_rows,
)
from benchmarks.report import markdown_table, mean_and_spread, select

NAME = "mchad"
DESCRIPTION = "MNIST, ten digits known: seven models of one poster, and its claims."

EPOCHS = 30
N_TRAIN = 20_000
N_OUTLIERS = 5_000  # at most, in each test set

GENERALIZED = POSTER_MODELS["G-MCHAD"]
MODELS = {
    "softmax": MaximumProbability,
    **POSTER_MODELS,
    "G-MCHAD, alpha = 0": partial(GENERALIZED, alpha=0),
    "G-MCHAD, beta = 0": partial(GENERALIZED, beta=0),
    "G-MCHAD, gamma = 0": partial(GENERALIZED, gamma=0),
}
OUTLIER_SETS = ("letters n to z", "uniform noise", "Gaussian noise", "CIFAR in gray")

# Columns of the rows, and the headers of the tables.
FIGURES = {
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "aupr_in": "AUPR-in",
    "aupr_out": "AUPR-out",
    "fpr95": "FPR95",
    "error_auroc": "errors found (AUROC)",
}


class Claim(NamedTuple):
    """That a figure of one model is above another's, or above a number.

    It may fall short of it by less than `slack`.
    """

    text: str
    figure: str
    model: str
    rival: str | float
    slack: float = 0.0


CLAIMS = [
    Claim(
        "MCHAD is as accurate as softmax, within 0.5 points",
        *("accuracy", "MCHAD", "softmax", 0.5),
    ),
    Claim("MCHAD has a higher AUROC than softmax", "auroc", "MCHAD", "softmax"),
    Claim("G-MCHAD has a higher AUROC than MCHAD", "auroc", "G-MCHAD", "MCHAD"),
    Claim(
        "G-MCHAD is as accurate as MCHAD, within 0.5 points",
        *("accuracy", "G-MCHAD", "MCHAD", 0.5),
    ),
    *[
        Claim(
            f"G-MCHAD loses {FIGURES[figure]} without {weight}",
            *(figure, "G-MCHAD", f"G-MCHAD, {weight} = 0"),
        )
        for weight in ("alpha", "beta", "gamma")
        for figure in ("auroc", "accuracy")
    ],
    Claim(
        "MCHAD's distance tells right from wrong predictions, AUROC above 90",
        *("error_auroc", "MCHAD", 90.0),
    ),
]


def run(results, options):
    """Fit what is not in the results yet, seed by seed."""
    mnist = load_mnist()
    exposure, _ = load_letters()
    outlier_sets = load_outlier_sets()
    for seed in range(options.seeds or 3):
        order = np.random.RandomState(seed).permutation(len(mnist.x_train))
        chosen = order[:N_TRAIN]
        x_train, y_train = mnist.x_train[chosen], mnist.y_train[chosen]
        for name, make in MODELS.items():
            key = {"model": name, "seed": seed, "epochs": EPOCHS}
            missing = {
                outliers: images
                for outliers, images in outlier_sets.items()
                if not results.done(**key, outliers=outliers)
            }
            if options.only in name and missing:
                model = make(
                    max_epochs=EPOCHS, device=options.device, random_state=seed
                )
                seconds = fit_classifier(model, x_train, y_train, exposure)
                rows = novelty_rows(model, mnist.x_test, mnist.y_test, missing)
                for row in rows:
                    add_row(results, key | row, seconds)


def load_outlier_sets():
    """Images of 28 x 28 pixels that no model has seen, by name."""
    _, letters = load_letters()
    colored, _ = load_colored("cifar10", "test")
    shape = (N_OUTLIERS, 1, 28, 28)
    images = (
        letters[:N_OUTLIERS],
        uniform_noise(shape),
        gaussian_noise(shape),
        gray_center(colored[:N_OUTLIERS]),
    )
    return dict(zip(OUTLIER_SETS, images, strict=True))


def add_row(results, row, seconds):
    """Write a row, and say so."""
    results.add(**row, seconds=f"{seconds:.1f}")
    print(
        f"{row['seed']}  {row['model']:20} {row['outliers']:16} "
        f"accuracy {row['accuracy']:>6}  AUROC {row['auroc']:>6}  {seconds:6.1f} s",
        flush=True,
    )


def render(rows):
    """All figures; AUROC by kind of outlier; the claims of the poster."""
    rows = select(rows, epochs=str(EPOCHS))
    return "\n\n".join(
        [
            f"{EPOCHS} epochs, in percent; means over the four sets of outliers:",
            figures_table(rows, MODELS, OUTLIER_SETS, FIGURES),
            "AUROC for each of them:",
            auroc_table(rows, MODELS, OUTLIER_SETS),
            "The claims:",
            claims_table(rows),
        ]
    )


def figures_table(rows, models, outlier_sets, figures, published=()):
    """Models down, figures across: mean and spread over seeds."""
    lines = [
        [
            model,
            *[
                mean_and_spread(by_seed(rows, model, name, outlier_sets).values(), 2)
                for name in figures
            ],
        ]
        for model in models
        if select(rows, model=model)
    ]
    return markdown_table(["model", *figures.values()], [*published, *lines])


def auroc_table(rows, models, outlier_sets):
    """Models down, sets of outliers across."""
    lines = [
        [
            model,
            *[
                mean_and_spread(by_seed(rows, model, "auroc", [name]).values(), 2)
                for name in outlier_sets
            ],
        ]
        for model in models
        if select(rows, model=model)
    ]
    return markdown_table(["model", *outlier_sets], lines)


def by_seed(rows, model, figure, outlier_sets):
    """The mean of a figure over sets of outliers, of the seeds that have them all."""
    values = {}
    for row in select(rows, model=model):
        if row["outliers"] in outlier_sets:
            values.setdefault(row["seed"], []).append(float(row[figure]))
    return {
        seed: mean(figures)
        for seed, figures in values.items()
        if len(figures) == len(outlier_sets)
    }


def claims_table(rows):
    """A claim of the poster, the two numbers compared, and whether it holds."""
    lines = [line for claim in CLAIMS if (line := _claim_line(rows, claim))]
    return markdown_table(
        ["claim", "measured", "compared with", "held", "of seeds"], lines
    )


def _claim_line(rows, claim):
    """A line of the table, or None while one of the numbers is missing."""
    ours = by_seed(rows, claim.model, claim.figure, OUTLIER_SETS)
    if isinstance(claim.rival, str):
        rivals = by_seed(rows, claim.rival, claim.figure, OUTLIER_SETS)
    else:
        rivals = dict.fromkeys(ours, claim.rival)
    seeds = ours.keys() & rivals.keys()
    if not seeds:
        return None
    measured = mean(ours[seed] for seed in seeds)
    rival = mean(rivals[seed] for seed in seeds)
    n_held = sum(ours[seed] > rivals[seed] - claim.slack for seed in seeds)
    return [
        claim.text,
        f"{measured:.2f}",
        f"{rival:.2f}",
        "yes" if measured > rival - claim.slack else "no",
        f"{n_held} of {len(seeds)}",
    ]
