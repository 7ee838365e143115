"""Deep SVDD on MNIST with one normal digit: the table it was published with."""

from benchmarks.datasets import load_mnist, one_class_task
from benchmarks.methods import (
    FULL_RECIPE,
    PaperAutoencoder,
    Recipe,
    auroc,
    mnist_detectors,
    seconds_of,
)
from benchmarks.report import (
    markdown_table,
    mean_and_spread,
    mean_of_complete_seeds,
    select,
    unique,
)

NAME = "deep-svdd"
DESCRIPTION = "MNIST, one digit normal: the published recipe, our defaults, PCA + kNN."

RECIPE = Recipe(pretrain=20, train=60, warm_up=10)

# L. Ruff et al. "Deep One-Class Classification". ICML 2018, table 1.
PUBLISHED = {
    "one-class": (98.0, 99.7, 91.7, 91.9, 94.9, 88.5, 98.3, 94.6, 93.9, 96.5),
    "soft-boundary": (97.8, 99.6, 89.5, 90.3, 93.8, 85.8, 98.0, 92.7, 92.9, 94.9),
}


def run(results, options):
    """Fit what is not in the results yet, digit by digit."""
    mnist = load_mnist()
    recipe = FULL_RECIPE if options.full else RECIPE
    for seed in range(options.seeds or 1):
        for digit in range(10):
            task = one_class_task(mnist, [digit])
            _run_rivals(results, options, task, digit, seed)
            _run_paper(results, options, task, digit, seed, recipe)


def render(rows):
    """Digits down, methods across, with the published numbers beside ours."""
    methods = unique((row["method"], row["epochs"]) for row in rows)
    lines = [
        [
            digit,
            *[f"{PUBLISHED[objective][digit]:.1f}" for objective in PUBLISHED],
            *[_cell(rows, method, epochs, [digit]) for method, epochs in methods],
        ]
        for digit in range(10)
    ]
    means = [
        "mean",
        *[mean_and_spread([sum(values) / 10]) for values in PUBLISHED.values()],
        *[_cell(rows, method, epochs, range(10)) for method, epochs in methods],
    ]
    header = [
        "normal digit",
        *[f"published, {objective}, 150 + 150" for objective in PUBLISHED],
        *[f"{method}{epochs and f', {epochs}'}" for method, epochs in methods],
    ]
    return markdown_table(header, [*lines, means])


def _cell(rows, method, epochs, digits):
    """Mean and spread over seeds of the mean over digits, if all of them are there."""
    rows = select(rows, method=method, epochs=epochs)
    chosen = [row for row in rows if int(row["digit"]) in digits]
    return mean_of_complete_seeds(chosen, "auroc", len(digits))


def _run_rivals(results, options, task, digit, seed):
    detectors = mnist_detectors(options.device, seed)
    for method, (detector, epochs) in detectors.items():
        key = {"digit": digit, "method": method, "seed": seed, "epochs": epochs}
        if options.only in method and not results.done(**key):
            seconds = seconds_of(detector.fit, task.x_train)
            _add(results, key, task, detector, seconds)


def _run_paper(results, options, task, digit, seed, recipe):
    missing = []
    for objective in PUBLISHED:
        method = f"recipe, {objective}"
        key = {"digit": digit, "method": method, "seed": seed, "epochs": recipe}
        if options.only in method and not results.done(**key):
            missing.append((objective, key))
    if not missing:
        return
    autoencoder = PaperAutoencoder(task.x_train, recipe, options.device, seed)
    for objective, key in missing:
        detector = autoencoder.detector(objective)
        seconds = autoencoder.seconds + seconds_of(detector.fit, task.x_train)
        _add(results, key, task, detector, seconds)


def _add(results, key, task, detector, seconds):
    value = auroc(task, detector.score_samples(task.x_test))
    results.add(**key, auroc=f"{value:.2f}", seconds=f"{seconds:.1f}")
    print(
        f"{key['digit']}  {key['method']:30} {value:6.2f} {seconds:7.1f} s", flush=True
    )
