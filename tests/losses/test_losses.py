"""Losses against their formulas, written once more in plain Python over floats."""

import math
from copy import deepcopy
from functools import partial

import numpy as np
import pytest
import torch

from sk_hypersphere import losses
from sk_hypersphere._training.samplers import random_triplets
from sk_hypersphere.losses import (
    CACLoss,
    CenterLoss,
    CrossEntropyLoss,
    DeepSADLoss,
    EIDNLoss,
    FocalLoss,
    HSCLoss,
    IILoss,
    ISIFLoss,
    MCHADLoss,
    OneClassLoss,
    ReconstructionLoss,
    SoftBoundaryLoss,
)
from sk_hypersphere.losses._hsc import LEAST_EVIDENCE, RADIAL_FUNCTIONS, log_1m_exp
from sk_hypersphere.modules import Center

# Embeddings of methods.md 16.1, 16.2, 16.4, 16.7 and 16.10.
GOLDEN_ROWS = [[0.5, -1.0], [1.5, 2.0], [-0.25, 0.75], [3.0, -2.0]]


# Formulas.


def mean(values):
    return math.fsum(values) / max(1, len(values))


def one_class(sq_distances, y):
    return sum(row[k] for row, k in zip(sq_distances, y, strict=True)) / len(y)


def soft_boundary(nu, sq_radii):
    def formula(sq_distances, y):
        total, present = 0.0, sorted(set(y))
        for k in present:
            own = [
                row[k] for row, label in zip(sq_distances, y, strict=True) if label == k
            ]
            outside = sum(max(0.0, value - sq_radii[k]) for value in own)
            total += sq_radii[k] + outside / (nu * len(own))
        return total / len(present)

    return formula


def log_of_one_plus(differences):
    return math.log(1 + math.fsum(math.exp(value) for value in differences))


def mchad(row, k, alpha, beta, sq_radii):
    others = [row[k] - d for j, d in enumerate(row) if j != k]
    return alpha * max(0, row[k] - sq_radii[k]) + beta * log_of_one_plus(others)


def cac(row, k, alpha, beta, sq_radii):
    d = [math.sqrt(value) for value in row]
    others = [d[k] - d[j] for j in range(len(d)) if j != k]
    return alpha * d[k] + beta * log_of_one_plus(others)


def center(row, k, alpha, beta, sq_radii):
    sq_distances, logits = row[: len(row) // 2], row[len(row) // 2 :]
    total = math.fsum(math.exp(value) for value in logits)
    cross_entropy = -math.log(math.exp(logits[k]) / total)
    return alpha * max(0, sq_distances[k] - sq_radii[k]) + beta * cross_entropy


def with_anomalies(cost, alpha, beta, gamma, radii, margins):
    sq_radii = [r**2 for r in radii]
    sq_reaches = [(r + m) ** 2 for r, m in zip(radii, margins, strict=True)]

    def formula(outputs, y):
        known, anomalies = [], []
        for row, k in zip(outputs, y, strict=True):
            if k >= 0:
                known.append(cost(row, k, alpha, beta, sq_radii))
            else:  # logits behind the distances are left out
                pairs = zip(sq_reaches, row, strict=False)
                anomalies.append(math.fsum(max(0, reach - d) for reach, d in pairs))
        return mean(known) + gamma * mean(anomalies)

    return formula


def sq_distance(a, b):
    return math.fsum((p - q) ** 2 for p, q in zip(a, b, strict=True))


def ii(alpha, beta):
    def formula(embeddings, y):
        means = {}
        for k in set(y):
            own = [z for z, label in zip(embeddings, y, strict=True) if label == k]
            means[k] = [mean(component) for component in zip(*own, strict=True)]
        intra = [sq_distance(z, means[k]) for z, k in zip(embeddings, y, strict=True)]
        gaps = [sq_distance(means[a], means[b]) for a in means for b in means if a < b]
        return alpha * mean(intra) - beta * min(gaps, default=0.0)

    return formula


def of_each_row(cost):
    """The mean of what single outputs cost."""

    def formula(outputs, y):
        return mean([cost(*row, k) for row, k in zip(outputs, y, strict=True)])

    return formula


def hsc(radial):
    def cost(sq_distance, k):
        q = math.sqrt(sq_distance + 1) - 1 if radial == "pseudo-huber" else sq_distance
        return q if k >= 0 else -math.log1p(-math.exp(-q))

    return of_each_row(cost)


def focal(gamma):
    def cost(logit, k):
        p = 1 / (1 + math.exp(-logit if k < 0 else logit))
        return -((1 - p) ** gamma) * math.log(p)

    return of_each_row(cost)


def deep_sad(eta, epsilon):
    def cost(sq_distance, k):
        if k == 0:
            return sq_distance
        return eta * (sq_distance + epsilon) ** (1 if k > 0 else -1)

    return of_each_row(cost)


def smoothed_cross_entropy(epsilon):
    def formula(logits, y):
        costs = []
        for row, k in zip(logits, y, strict=True):
            log_total = math.log(math.fsum(math.exp(value) for value in row))
            smooth = mean([log_total - value for value in row])
            costs.append((1 - epsilon) * (log_total - row[k]) + epsilon * smooth)
        return mean(costs)

    return formula


# Losses of four clusters or classes, or of one output, each with its formula.


def with_radii(nu, sq_radii):
    loss = SoftBoundaryLoss(len(sq_radii), nu).double()
    loss.sq_radii.copy_(torch.tensor(sq_radii))
    return loss


RADII = [1.0, 2.5, 0.25, 4.0]

DEEP_SVDD = [
    pytest.param(OneClassLoss(), one_class, id="OneClassLoss"),
    *[
        pytest.param(
            with_radii(nu, radii),
            soft_boundary(nu, radii),
            id=f"SoftBoundaryLoss-{name}-nu={nu}",
        )
        for name, radii in [("radii", RADII), ("no-radii", [0.0] * 4)]
        for nu in (0.1, 1.0)
    ],
]

# Those with a term for anomalies, and what a known row costs.
COSTS = {MCHADLoss: mchad, CACLoss: cac, CenterLoss: center}
WEIGHTS = [(0.3, 0.7, 0.2), (0.3, 0.0, 0.0), (0.0, 0.7, 0.0), (0.0, 0.0, 0.2)]
OWN_RADII, OWN_MARGINS = [1.0, 0.5, 0.0, 1.5], [0.5, 1.5, 0.0, 1.0]

GENERALIZED = [
    *[
        pytest.param(
            make(*weights, radius=0.5, margin=1.0),
            with_anomalies(cost, *weights, [0.5] * 4, [1.0] * 4),
            id="-".join([make.__name__, *map(str, weights)]),
        )
        for make, cost in COSTS.items()
        for weights in WEIGHTS
    ],
    *[
        pytest.param(
            make(*WEIGHTS[0], OWN_RADII, OWN_MARGINS),
            with_anomalies(cost, *WEIGHTS[0], OWN_RADII, OWN_MARGINS),
            id=f"{make.__name__}-own-radii",
        )
        for make, cost in COSTS.items()
    ],
]

II = [
    pytest.param(IILoss(4, *weights), ii(*weights), id=f"IILoss-{weights}")
    for weights in [(0.3, 0.7), (0.3, 0.0), (0.0, 0.7)]
]

CROSS_ENTROPY = [
    pytest.param(
        CrossEntropyLoss(epsilon),
        smoothed_cross_entropy(epsilon),
        id=f"CrossEntropyLoss-{epsilon}",
    )
    for epsilon in (0.0, 0.1)
]

# Losses that separate known anomalies from all other rows, by one output.
BINARY = [
    *[
        pytest.param(HSCLoss(radial), hsc(radial), id=f"HSCLoss-{radial}")
        for radial in RADIAL_FUNCTIONS
    ],
    *[
        pytest.param(FocalLoss(gamma), focal(gamma), id=f"FocalLoss-gamma={gamma}")
        for gamma in (0.0, 2.0)
    ],
    *[
        pytest.param(
            DeepSADLoss(eta, epsilon),
            deep_sad(eta, epsilon),
            id=f"DeepSADLoss-eta={eta}-epsilon={epsilon}",
        )
        for eta, epsilon in [(1.0, 1e-6), (3.0, 0.5)]
    ],
]

LOSSES = [*DEEP_SVDD, *GENERALIZED, *II, *CROSS_ENTROPY, *BINARY]
# Losses that take something else than a row of outputs have tests of their own below.
OTHERS = {"EIDNLoss", "ISIFLoss", "ReconstructionLoss"}
# These losses take one batch at a time, not the stacked batches of several members.
OF_ONE_BATCH = {"ISIFLoss", "ReconstructionLoss", "SoftBoundaryLoss"}

EVERY_LOSS = pytest.mark.parametrize(
    ("loss", "formula", "anomalies"),
    [pytest.param(*case.values, (), id=case.id) for case in LOSSES]
    + [
        pytest.param(*case.values, (-1,), id=f"{case.id}-with-anomalies")
        for case in [*GENERALIZED, *BINARY]
    ],
)
EVERY_GENERALIZED_LOSS = pytest.mark.parametrize(("loss", "formula"), GENERALIZED)
EVERY_GENERALIZED_KIND = pytest.mark.parametrize("make", COSTS)
EVERY_BINARY_LOSS = pytest.mark.parametrize(("loss", "formula"), BINARY)
EVERY_RADIAL_FUNCTION = pytest.mark.parametrize("radial", RADIAL_FUNCTIONS)
EVERY_KIND_OF_ROW = pytest.mark.parametrize("label", [-1, 0, 1])

# How many outputs a loss takes for a row, where these are not 4.
N_OUTPUTS = {CenterLoss: 8, HSCLoss: 1, FocalLoss: 1, DeepSADLoss: 1, EIDNLoss: 2}


def draw(seed, n=12, labels=(0, 1, 2, 3), n_outputs=4):
    """Outputs for n rows, squared distances to 4 centers, in float64, and labels."""
    rng = np.random.RandomState(seed)
    outputs = torch.from_numpy(rng.gamma(2.0, size=(n, n_outputs)))
    return outputs, torch.from_numpy(rng.choice(labels, n))


def draw_for(loss, anomalies, n=12, classes=(0, 1, 2, 3)):
    """A batch that a loss takes: logits behind the distances, or embeddings."""
    n_outputs = N_OUTPUTS.get(type(loss), 4)
    return draw(n, n, (*classes, *anomalies), n_outputs)


def outputs_of(make, sq_distances):
    """Squared distances, and logits of 0 behind them for a loss that takes some."""
    if make is CenterLoss:
        return torch.cat([sq_distances, torch.zeros_like(sq_distances)], dim=1)
    return sq_distances


HOW_TO_LIST = """
{names} of losses.__all__ must be in a list of tests/losses/test_losses.py. Choose one:
- COSTS, for a subclass of GeneralizedLoss: add `MyLoss: cost`, where cost(row, k,
  alpha, beta, sq_radii) is the cost of a row of class k in plain Python.
- BINARY, for a loss of one output per row, with labels below 0 for anomalies: add
  `pytest.param(MyLoss(), formula, id="MyLoss")`, where formula(outputs, y) is the loss
  of lists in plain Python; `of_each_row` makes it from the cost of one row.
- DEEP_SVDD, for a loss of the squared distance of rows to their own center, without
  anomalies: add a pytest.param as in BINARY.
- LOSSES, for any other loss of a row of outputs and a class in 0..3: add a list of
  pytest.param as in BINARY.
- OTHERS, for a loss that takes something else: add its name, and write tests of it.
If it is not in OTHERS and does not take 4 outputs per row, add it to N_OUTPUTS too.
"""


def test_every_loss_is_tested():
    exported = {*losses.__all__}
    tested = {type(param.values[0]).__name__ for param in LOSSES} | OTHERS
    assert not exported - tested, HOW_TO_LIST.format(names=sorted(exported - tested))
    assert not tested - exported, (
        f"{sorted(tested - exported)} must be in losses.__all__, or in no list of "
        "tests/losses/test_losses.py: remove it from LOSSES or OTHERS."
    )


# Laws of all losses.


def test_losses_take_stacks_of_batches_but_for_a_few():
    stackable = {
        name for name in losses.__all__ if getattr(getattr(losses, name), "stacks", 0)
    }
    others = {*losses.__all__} - stackable
    assert not others - OF_ONE_BATCH, (
        f"{sorted(others - OF_ONE_BATCH)} must have `stacks = True`, or be in "
        "OF_ONE_BATCH of tests/losses/test_losses.py. If its code counts axes from the "
        "end (dim=-1), so that batches (m, n, k) give losses (m,), set `stacks = True` "
        "in the class. If it can only take one batch at a time, add its name to "
        "OF_ONE_BATCH; members of an ensemble are then trained one after the other."
    )
    assert not OF_ONE_BATCH - others, (
        f"{sorted(OF_ONE_BATCH - others)} has `stacks = True`, or is no longer in "
        "losses.__all__: remove its name from OF_ONE_BATCH in "
        "tests/losses/test_losses.py."
    )


@pytest.mark.parametrize(
    ("loss", "anomalies"),
    [
        pytest.param(*case.values[::2], id=case.id)
        for case in EVERY_LOSS.args[1]
        if type(case.values[0]).__name__ not in OF_ONE_BATCH
    ]
    + [
        pytest.param(EIDNLoss(2.0, triplets), (-1,), id=f"EIDNLoss-{triplets}")
        for triplets in ("all", "random")
    ],
)
def test_a_stack_of_batches_costs_what_each_of_them_does(loss, anomalies):
    n_outputs = N_OUTPUTS.get(type(loss), 4)
    batches = [draw(seed, 12, (0, 1, 2, 3, *anomalies), n_outputs) for seed in range(3)]
    outputs, y = map(torch.stack, zip(*batches, strict=True))
    each = torch.stack([loss(*batch) for batch in batches])
    torch.testing.assert_close(loss(outputs.requires_grad_(), y), each)
    loss(outputs, y).sum().backward()
    alone = batches[1][0].requires_grad_()
    loss(alone, batches[1][1]).backward()
    torch.testing.assert_close(outputs.grad[1], alone.grad)


@EVERY_LOSS
@pytest.mark.parametrize("n", [1, 2, 12, 100])
@pytest.mark.parametrize("classes", [(0, 1, 2, 3), (1, 3), (2,)])
def test_a_loss_is_its_formula(loss, formula, anomalies, n, classes):
    outputs, y = draw_for(loss, anomalies, n, classes)
    expected = formula(outputs.tolist(), y.tolist())
    assert loss(outputs, y).item() == pytest.approx(expected, rel=1e-12)


@EVERY_LOSS
def test_the_order_of_the_rows_does_not_matter(loss, formula, anomalies):
    outputs, y = draw_for(loss, anomalies)
    order = torch.from_numpy(np.random.RandomState(1).permutation(len(y)))
    torch.testing.assert_close(loss(outputs[order], y[order]), loss(outputs, y))


@EVERY_LOSS
def test_gradients_are_those_of_finite_differences(loss, formula, anomalies):
    outputs, y = draw_for(loss, anomalies)
    assert torch.autograd.gradcheck(lambda d: loss(d, y), outputs.requires_grad_())


@EVERY_LOSS
def test_the_gradient_is_finite_at_distance_0(loss, formula, anomalies):
    y = torch.tensor([0, 1, 1, *anomalies])
    outputs = torch.zeros_like(draw_for(loss, anomalies, len(y))[0]).requires_grad_()
    loss(outputs, y).backward()
    assert outputs.grad.isfinite().all()


@EVERY_LOSS
def test_the_type_of_the_outputs_is_kept(loss, formula, anomalies):
    outputs, y = draw_for(loss, anomalies)
    copied = deepcopy(loss)
    assert copied.float()(outputs.float(), y).dtype == torch.float32
    assert copied.double()(outputs, y).dtype == torch.float64


@EVERY_LOSS
def test_a_loss_has_no_parameters_to_train(loss, formula, anomalies):
    assert [*loss.parameters()] == []


# Deep SVDD.


@pytest.mark.parametrize(("loss", "formula"), DEEP_SVDD)
def test_only_the_own_center_has_a_gradient(loss, formula):
    sq_distances, y = draw(0)
    loss(sq_distances.requires_grad_(), y).backward()
    own = torch.nn.functional.one_hot(y, 4).bool()
    assert (sq_distances.grad[~own] == 0).all()
    assert (sq_distances.grad[own] >= 0).all() and (sq_distances.grad[own] > 0).any()


def test_one_class_with_one_center_is_the_mean_squared_distance():
    sq_distances = draw(0)[0][:, :1]
    y = torch.zeros(len(sq_distances), dtype=torch.int64)
    assert OneClassLoss()(sq_distances, y) == sq_distances.mean()


@pytest.fixture
def golden():
    """Squared norms of methods.md 16.2, 16.4 and 16.7."""
    return torch.tensor(GOLDEN_ROWS, dtype=torch.float64).square().sum(dim=1)


def test_the_soft_boundary_has_the_golden_value(golden):
    y = torch.zeros(len(golden), dtype=torch.int64)
    assert with_radii(0.1, [1.0])(golden[:, None], y).item() == pytest.approx(44.75)


@pytest.mark.parametrize("nu", [0.05, 0.5, 1.0])
def test_radii_of_0_leave_the_mean_over_nu(golden, nu):
    y = torch.zeros(len(golden), dtype=torch.int64)
    expected = golden.mean().item() / nu
    assert with_radii(nu, [0.0])(golden[:, None], y).item() == pytest.approx(expected)


@pytest.mark.parametrize("nu", [0.1, 0.25, 0.5])
def test_the_best_radius_of_the_soft_boundary_is_a_quantile(nu):
    sq_distances = draw(0, n=41)[0][:, :1]
    y = torch.zeros(41, dtype=torch.int64)
    candidates = sq_distances.sort(dim=0).values[:, 0]  # it is linear in between
    values = [with_radii(nu, [c])(sq_distances, y).item() for c in candidates.tolist()]
    best = candidates[int(np.argmin(values))].item()
    outside = (sq_distances > best).double().mean().item()
    at_least = (sq_distances >= best).double().mean().item()
    assert outside <= nu <= at_least


def test_nu_bounds_the_fraction_outside_at_the_best_radius():
    # With nu = 1 nothing is gained by a sphere: the best radius is 0.
    sq_distances, y = draw(0)[0][:, :1], torch.zeros(12, dtype=torch.int64)
    at_0 = with_radii(1.0, [0.0])(sq_distances, y)
    assert at_0 <= with_radii(1.0, [0.5])(sq_distances, y)


def test_every_cluster_weighs_the_same_in_the_soft_boundary():
    loss = with_radii(0.5, [0.0, 0.0])
    sq_distances = torch.tensor([[2.0, 9.0]] * 9 + [[9.0, 4.0]], dtype=torch.float64)
    y = torch.tensor([0] * 9 + [1])
    assert loss(sq_distances, y).item() == pytest.approx((2 / 0.5 + 4 / 0.5) / 2)


# Losses with a term for anomalies.


@EVERY_GENERALIZED_LOSS
@pytest.mark.parametrize("y", [[-1], [-1, -1, -1], [-1, 3], [0, 1], [2, 2], [-1, 0, 3]])
def test_batches_without_known_rows_or_anomalies_can_be_trained_on(loss, formula, y):
    outputs = draw_for(loss, (), len(y))[0].requires_grad_()
    value = loss(outputs, torch.tensor(y))
    value.backward()
    assert value.item() == pytest.approx(formula(outputs.tolist(), y), rel=1e-12)
    assert outputs.grad.isfinite().all()


@EVERY_GENERALIZED_LOSS
@pytest.mark.parametrize(("n_known", "n_anomalies"), [(3, 1), (1, 4), (5, 5)])
def test_neither_batch_size_nor_share_of_anomalies_changes_a_loss(
    loss, formula, n_known, n_anomalies
):
    outputs, y = draw_for(loss, (-1,))
    repeats = torch.where(y < 0, n_anomalies, n_known)
    repeated = outputs.repeat_interleave(repeats, dim=0), y.repeat_interleave(repeats)
    torch.testing.assert_close(loss(*repeated), loss(outputs, y))


@EVERY_GENERALIZED_KIND
@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_class_far_away_changes_nothing(make, weights):
    loss = make(*weights, radius=0.5, margin=1.0)
    outputs, y = draw_for(loss, (-1,))
    distances, *logits = outputs.split(4, dim=1)
    far = torch.full((len(y), 1), 1e8, dtype=outputs.dtype)
    behind = [torch.cat([block, -far], dim=1) for block in logits]
    with_far = torch.cat([distances, far, *behind], dim=1)
    torch.testing.assert_close(loss(with_far, y), loss(outputs, y))


@EVERY_GENERALIZED_KIND
def test_own_radii_leave_the_type_of_the_outputs_alone(make):
    loss = make(radius=OWN_RADII, margin=OWN_MARGINS)
    outputs, y = draw_for(loss, (-1,))
    assert loss(outputs.float(), y).dtype == torch.float32


@pytest.mark.parametrize("make", [MCHADLoss, CACLoss, CenterLoss])
def test_no_anomalies_cost_as_much_as_anomalies_of_no_weight(make):
    rng = np.random.default_rng(0)
    n_outputs = 6 if make is CenterLoss else 3
    outputs = torch.from_numpy(rng.gamma(2.0, size=(8, n_outputs)))
    y = torch.from_numpy(rng.integers(3, size=8))
    assert torch.equal(make(gamma=None)(outputs, y), make(gamma=0.0)(outputs, y))


@EVERY_GENERALIZED_KIND
def test_anomalies_beyond_radius_and_margin_cost_nothing(make):
    loss = make(gamma=1.0, radius=[0.0, 1.0, 2.0], margin=[1.5, 1.0, 0.5])
    sq_distances = torch.tensor([[2.26, 4.01, 6.26]] * 2, requires_grad=True)
    value = loss(outputs_of(make, sq_distances), torch.tensor([-1, -1]))
    value.backward()
    assert value == 0 and (sq_distances.grad == 0).all()


@EVERY_GENERALIZED_KIND
@pytest.mark.parametrize(("k", "inside"), [(0, 2.24), (1, 3.99), (2, 6.24)])
def test_anomalies_are_pushed_from_a_sphere_and_its_margin(make, k, inside):
    loss = make(gamma=3.0, radius=[0.0, 1.0, 2.0], margin=[1.5, 1.0, 0.5])
    sq_distances, expected = torch.full((2, 3), 9.0), torch.zeros(2, 3)
    sq_distances[0, k] = inside
    expected[0, k] = -3.0 / 2  # gamma over the number of anomalies
    sq_distances.requires_grad_()
    loss(outputs_of(make, sq_distances), torch.tensor([-1, -1])).backward()
    assert torch.equal(sq_distances.grad, expected)


@pytest.mark.parametrize("make", [MCHADLoss, CenterLoss])
@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_rows_inside_their_radius_are_not_pulled_any_further(make, k):
    radii = [1.0, 2.0, 3.0, 4.0]
    sq_distances = torch.full((2, 4), 50.0)
    sq_distances[:, k] = radii[k] ** 2 * torch.tensor([0.99, 1.01])
    sq_distances.requires_grad_()
    loss = make(alpha=1.0, beta=0.0, radius=radii)
    loss(outputs_of(make, sq_distances), torch.tensor([k, k])).backward()
    assert sq_distances.grad[:, k].tolist() == [0.0, 0.5]


@pytest.mark.parametrize("make", [MCHADLoss, CACLoss])
@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_rows_are_pushed_from_the_center_of_every_other_class(make, k):
    outputs = draw(0, n=1)[0].requires_grad_()
    make(alpha=0.0)(outputs, torch.tensor([k])).backward()
    assert outputs.grad[0, k] > 0
    assert (outputs.grad[0, [j for j in range(4) if j != k]] < 0).all()


@pytest.mark.parametrize(
    ("make", "difference"), [(MCHADLoss, 1e8), (CACLoss, 1e4)], ids=["MCHAD", "CAC"]
)
def test_distant_rows_do_not_overflow(make, difference):
    sq_distances = torch.tensor([[0.0, 1e8, 0.0], [0.0, 1e8, 0.0]], requires_grad=True)
    value = make(alpha=0.0)(sq_distances, torch.tensor([1, 0]))
    value.backward()
    # log(1 + 2 exp(difference)) and log(1 + 1), without the exponential
    assert value.item() == pytest.approx((difference + 2 * math.log(2)) / 2, rel=1e-6)
    assert sq_distances.grad.isfinite().all()


# Losses that separate known anomalies from all other rows.


@EVERY_BINARY_LOSS
@pytest.mark.parametrize("y", [[-1], [-1, -1], [0], [1, 1], [-1, 0], [-1, 0, 1]])
def test_batches_of_any_kinds_of_rows_can_be_trained_on(loss, formula, y):
    outputs = draw_for(loss, (), len(y))[0].requires_grad_()
    value = loss(outputs, torch.tensor(y))
    value.backward()
    assert value.item() == pytest.approx(formula(outputs.tolist(), y), rel=1e-12)
    assert outputs.grad.isfinite().all()


@EVERY_BINARY_LOSS
def test_anomalies_are_pushed_and_all_other_rows_are_pulled(loss, formula):
    outputs = draw_for(loss, (), 3)[0].requires_grad_()
    loss(outputs, torch.tensor([-1, 0, 1])).backward()
    assert outputs.grad.sign().flatten().tolist() == [-1, 1, 1]


@EVERY_RADIAL_FUNCTION
@pytest.mark.parametrize("logarithm", [-4, -3, -2, -1, 0, 1, 2])
def test_the_radial_function_keeps_its_digits(radial, logarithm):
    distance = 10.0**logarithm
    q = HSCLoss(radial).evidence(torch.tensor([[distance**2]]))
    assert q.dtype == torch.float32
    # sqrt(d2 + 1) - 1 = 2 sinh(asinh(d) / 2)^2 has the digits of small distances
    half_huber = math.sinh(math.asinh(distance) / 2) ** 2
    expected = {"pseudo-huber": 2 * half_huber, "squared": distance**2}[radial]
    assert q.item() == pytest.approx(expected, rel=5e-7)


def log_1m_exp_of_float(q):
    if q < math.log(2):
        return math.log(-math.expm1(-q))
    return math.log1p(-math.exp(-q))


EVIDENCE = np.geomspace(1e-7, 1e4, 111)


@pytest.mark.parametrize(
    ("dtype", "rel"), [(torch.float64, 1e-14), (torch.float32, 1e-6)]
)
def test_the_logarithm_of_the_probability_of_an_anomaly_keeps_its_digits(dtype, rel):
    q = torch.from_numpy(EVIDENCE).to(dtype)
    expected = [log_1m_exp_of_float(value) for value in q.tolist()]
    smallest = torch.finfo(dtype).tiny  # below it digits are lost in any form
    assert log_1m_exp(q).tolist() == pytest.approx(expected, rel=rel, abs=smallest)


def test_the_logarithm_of_the_probability_of_an_anomaly_has_its_limits():
    few, many = torch.tensor([1e-6, 700.0], dtype=torch.float64)
    # the first terms of its series at 0, and at infinity
    assert log_1m_exp(few).item() == pytest.approx(math.log(1e-6) - 5e-7, rel=1e-14)
    assert log_1m_exp(many).item() == pytest.approx(-math.exp(-700), rel=1e-12)


def test_the_slope_of_that_logarithm_keeps_its_digits():
    q = torch.from_numpy(EVIDENCE).requires_grad_()
    log_1m_exp(q).sum().backward()
    expected = [1 / math.expm1(value) if value < 700 else 0.0 for value in EVIDENCE]
    assert q.grad.tolist() == pytest.approx(expected, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("q", [0.0, 1e-30, 1e-9])
def test_without_evidence_that_logarithm_is_what_it_is_with_the_least(q):
    q = torch.tensor(q, requires_grad=True)
    value = log_1m_exp(q)
    value.backward()
    assert value.item() == pytest.approx(math.log(LEAST_EVIDENCE), rel=1e-6)
    assert q.grad.item() == pytest.approx(1 / LEAST_EVIDENCE, rel=1e-5)


def trained_on(loss, z, label):
    """Loss of a row with its center at the origin, and the gradient of the row."""
    z = torch.tensor([z], requires_grad=True)
    value = loss(Center(torch.zeros(z.shape[1]))(z), torch.tensor([label]))
    value.backward()
    assert value.dtype == torch.float32
    return value.item(), z.grad[0]


@EVERY_RADIAL_FUNCTION
@EVERY_KIND_OF_ROW
@pytest.mark.parametrize("norm", [0.0, 1e-20, 1e-10, 1e-3, 1.0, 17.0, 1e4])
@pytest.mark.parametrize("n_components", [1, 32])
def test_the_loss_of_hsc_is_finite_near_and_far(radial, label, norm, n_components):
    z = [norm] + [0.0] * (n_components - 1)
    value, gradient = trained_on(HSCLoss(radial), z, label)
    assert math.isfinite(value) and gradient.isfinite().all()


@pytest.mark.parametrize(
    "loss", [*map(HSCLoss, RADIAL_FUNCTIONS), DeepSADLoss()], ids=repr
)
@pytest.mark.parametrize("n_components", [1, 2, 32])
def test_an_anomaly_at_the_center_is_pushed(loss, n_components):
    value, gradient = trained_on(loss, [0.0] * n_components, -1)
    assert math.isfinite(value)
    assert gradient.isfinite().all() and (gradient < 0).all()


@EVERY_RADIAL_FUNCTION
def test_evidence_ranks_where_the_probability_is_1(radial):
    distances = torch.arange(20.0, 1e4, 10.0)
    q = HSCLoss(radial).evidence(distances[:, None].square())
    assert (q > 17).all() and (1 - (-q).exp() == 1).all()
    assert (q.diff() > 0).all()


@EVERY_RADIAL_FUNCTION
def test_both_answers_are_as_likely_at_the_boundary_of_hsc(radial):
    q = torch.tensor(HSCLoss(radial).boundary, dtype=torch.float64)
    assert (-q).exp().item() == pytest.approx(0.5, rel=1e-15)
    assert log_1m_exp(q).item() == pytest.approx(math.log(0.5), rel=1e-15)


def test_both_answers_are_as_likely_at_the_boundary_of_the_logit():
    logit = torch.full((1, 1), FocalLoss().boundary)
    values = [FocalLoss()(logit, torch.tensor([label])) for label in (0, -1)]
    assert values[0] == values[1]


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 4.0])
@EVERY_KIND_OF_ROW
def test_any_logit_can_be_trained_on(gamma, label):
    logits = torch.tensor([-1e4, -90.0, -1.0, 0.0, 1.0, 90.0, 1e4])[:, None]
    y = torch.full((len(logits),), label)
    value = FocalLoss(gamma)(logits.requires_grad_(), y)
    value.backward()
    # Far from 0 a wrong answer costs its logit, and a right one nothing.
    assert 7 * value.item() == pytest.approx(1e4 + 90 + 1, abs=2)
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_the_focal_loss_is_its_formula_for_logits_of_both_signs(gamma):
    logits = torch.linspace(-20, 20, 81, dtype=torch.float64)[:, None]
    for label in (-1, 0, 1):
        y = torch.full((len(logits),), label)
        expected = focal(gamma)(logits.tolist(), y.tolist())
        assert FocalLoss(gamma)(logits, y).item() == pytest.approx(expected, rel=1e-12)


def test_without_gamma_the_focal_loss_is_binary_cross_entropy():
    logits, y = draw(0, labels=(-1, 0, 1), n_outputs=1)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[:, 0], (y < 0).double()
    )
    torch.testing.assert_close(FocalLoss(0.0)(logits, y), expected)


def test_without_labels_the_loss_of_deep_sad_is_that_of_deep_svdd():
    sq_distances = draw(0, n_outputs=1)[0].float()
    y = torch.zeros(len(sq_distances), dtype=torch.int64)
    assert DeepSADLoss(eta=7.0)(sq_distances, y) == OneClassLoss()(sq_distances, y)


@pytest.mark.parametrize("label", [-1, 1])
def test_eta_is_the_weight_of_a_label(label):
    sq_distances = torch.tensor([[2.0], [3.0]])
    y = torch.tensor([label, 0])
    one, five = (DeepSADLoss(eta)(sq_distances, y).item() for eta in (1.0, 5.0))
    labelled = one - 3 / 2
    assert five == pytest.approx(3 / 2 + 5 * labelled, rel=1e-6)


# Golden values.


def single(loss, sq_distances, labels):
    """A loss of every row alone."""
    y = torch.tensor(labels)[:, None]
    return [loss(d[None], k).item() for d, k in zip(sq_distances, y, strict=True)]


def sq_distances_between(rows, centers):
    rows = torch.tensor(rows, dtype=torch.float64)
    centers = torch.tensor(centers, dtype=torch.float64)
    return (rows[:, None] - centers).square().sum(dim=2)


golden_sq_distances = partial(
    sq_distances_between, centers=[[0.0, 0.0], [1.0, 2.0], [-1.0, 1.0]]
)


def test_mchad_has_the_golden_values_of_known_rows():
    sq_distances = golden_sq_distances(GOLDEN_ROWS)
    assert sq_distances.tolist() == [
        [1.25, 9.25, 6.25],
        [6.25, 0.25, 7.25],
        [0.625, 3.125, 0.625],
        [13, 20, 25],
    ]
    known, labels = sq_distances[:3], [0, 1, 2]
    compactness = single(MCHADLoss(1.0, 0.0, 0.0), known, labels)
    variation = single(MCHADLoss(0.0, 1.0, 0.0), known, labels)
    assert compactness == [1.25, 0.25, 0.625]
    assert variation == pytest.approx(
        [0.00704851041106442, 0.0033848989026873, 0.7333697948272112], abs=1e-15
    )


@pytest.mark.parametrize(
    ("row", "reach", "expected"),
    [([3.0, -2.0], 2.0, 0.0), ([3.0, -2.0], 4.0, 3.0), ([0.3, 0.4], 2.0, 6.65)],
)
@EVERY_GENERALIZED_KIND
def test_anomalies_have_the_golden_values(make, row, reach, expected):
    outputs = outputs_of(make, golden_sq_distances([row]))
    for radius in (0.0, 0.5, reach):
        loss = make(gamma=1.0, radius=radius, margin=reach - radius)
        value = loss(outputs, torch.tensor([-1])).item()
        assert value == pytest.approx(expected, abs=1e-14)


def test_weights_of_the_published_code_are_those_of_means_over_rows_times_a_share():
    # There the center term is a mean over classes, too, the other one over anomalies.
    sq_distances, y = golden_sq_distances(GOLDEN_ROWS), torch.tensor([0, 1, 2, -1])
    compactness = MCHADLoss(1.0, 0.0, 0.0)(sq_distances, y).item()
    variation = MCHADLoss(0.0, 1.0, 0.0)(sq_distances, y).item()
    assert compactness / 3 == pytest.approx(0.2361111, abs=5e-8)
    assert variation * 3 / 4 == pytest.approx(0.1859508, abs=5e-8)


@pytest.fixture
def golden_cac():
    rows = [[1.8, 0.1, -0.2], [0.2, 1.5, 0.3], [0.1, -0.1, 1.0]]
    anchors = [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]]
    return sq_distances_between(rows, anchors), torch.tensor([0, 1, 2])


CAC_TERMS = [(1.0, 0.0), (0.0, 1.0), (0.1, 1.0)]


def test_cac_has_the_golden_values(golden_cac):
    sq_distances, y = golden_cac
    distances = [
        [0.3, 2.6248809, 2.8442925],
        [2.3622024, 0.6164414, 2.2759613],
        [2.1494185, 2.3280893, 1.0099505],
    ]
    np.testing.assert_allclose(sq_distances.sqrt(), distances, rtol=0, atol=5e-8)
    values = [CACLoss(*weights)(sq_distances, y).item() for weights in CAC_TERMS]
    assert values == pytest.approx(
        [0.6421306313777019, 0.3118657148086739, 0.3760787779464441], abs=1e-15
    )


def test_cac_takes_distances_that_are_not_squared(golden_cac):
    sq_distances, y = golden_cac
    squares = sq_distances.square()  # whose roots are squared distances
    values = [CACLoss(*weights)(squares, y).item() for weights in CAC_TERMS]
    assert values == pytest.approx([0.4966667, 0.0179793, 0.0676460], abs=5e-8)


@pytest.mark.parametrize(
    ("radial", "expected", "total"),
    [
        (
            "squared",
            [1.25, 6.25, 0.7662802433639297, 2.2603319615e-06],
            2.0665706259239727,
        ),
        (
            "pseudo-huber",
            [0.5, 1.6925824035672519, 1.4261099188578303, 0.06663502926549],
            0.921331837922644,
        ),
    ],
)
def test_hsc_has_the_golden_values(golden, radial, expected, total):
    sq_distances, loss = golden[:, None], HSCLoss(radial)
    values = single(loss, sq_distances, [0, 0, -1, -1])
    assert values == pytest.approx(expected, rel=1e-10)
    value = loss(sq_distances, torch.tensor([0, 0, -1, -1]))
    assert value.item() == pytest.approx(total, rel=1e-14)


def test_the_evidence_of_hsc_has_the_golden_values(golden):
    q = HSCLoss("pseudo-huber").evidence(golden[:, None])
    evidence = [0.5, 1.6925824035672519, 0.2747548783981961, 2.7416573867739413]
    probabilities = [0.39346934, 0.81595637, 0.24024167, 0.93553658]
    assert q.tolist() == pytest.approx(evidence, rel=1e-14)
    assert (1 - (-q).exp()).tolist() == pytest.approx(probabilities, abs=5e-9)


@pytest.mark.parametrize(
    ("gamma", "expected", "total"),
    [
        (0.0, [0.1269280, 0.9740770, 0.3132617, 0.8543552], 0.5671554818),
        (2.0, [0.00180356, 0.37741160, 0.02265806, 0.28192374], 0.1709492394),
    ],
)
def test_cross_entropy_has_the_golden_values(gamma, expected, total):
    logits = torch.tensor([[-2.0], [0.5], [1.0], [-0.3]], dtype=torch.float64)
    values = single(FocalLoss(gamma), logits, [0, 0, -1, -1])
    assert values == pytest.approx(expected, abs=5e-8)
    value = FocalLoss(gamma)(logits, torch.tensor([0, 0, -1, -1]))
    assert value.item() == pytest.approx(total, abs=5e-11)


def test_deep_sad_has_the_golden_values(golden):
    sq_distances, loss = golden[:, None], DeepSADLoss(eta=2.0)
    labels = [0, 1, -1, -1]
    expected = [1.25, 12.500002, 3.199994880008192, 0.15384614201183525]
    assert single(loss, sq_distances, labels) == pytest.approx(expected, rel=1e-14)
    value = loss(sq_distances, torch.tensor(labels))
    assert value.item() == pytest.approx(4.275960755505007, rel=1e-14)


# The II loss.


def test_the_ii_loss_has_the_golden_values():
    z, y = torch.tensor(GOLDEN_ROWS, dtype=torch.float64), torch.tensor([0, 0, 1, 1])
    assert IILoss(2, alpha=1.0, beta=0.0)(z, y).item() == 3.515625
    assert IILoss(2, alpha=0.0, beta=1.0)(z, y).item() == -1.40625
    assert IILoss(2)(z, y).item() == 2.109375


def test_the_ii_loss_leaves_absent_classes_out():
    z, y = draw(0, labels=(0, 1))
    few, many = IILoss(2)(z, y), IILoss(9)(z, 3 * y + 4)
    torch.testing.assert_close(few, many)


def test_the_ii_loss_of_one_class_is_its_variance():
    z = draw(0)[0].requires_grad_()
    y = torch.full((len(z),), 2)
    value = IILoss(4, alpha=0.5, beta=3.0)(z, y)
    variance = z.var(dim=0, correction=0).sum()
    torch.testing.assert_close(value, 0.5 * variance)
    torch.testing.assert_close(
        torch.autograd.grad(value, z), torch.autograd.grad(0.5 * variance, z)
    )


def test_the_ii_loss_moves_the_two_closest_means_apart():
    z = torch.tensor([[0.0], [1.0], [5.0]], requires_grad=True)
    IILoss(3)(z, torch.tensor([2, 0, 1])).backward()
    assert z.grad.tolist() == [[2.0], [-2.0], [0.0]]


@pytest.mark.parametrize("n_repeats", [2, 5])
def test_the_ii_loss_does_not_depend_on_the_batch_size(n_repeats):
    z, y = draw(0)
    repeated = z.repeat(n_repeats, 1), y.repeat(n_repeats)
    torch.testing.assert_close(IILoss(4)(*repeated), IILoss(4)(z, y))


# The ISIF loss, of embeddings of pairs.


def isif(temperature, negative_weight):
    def formula(z):
        total, n = 0.0, len(z) // 2
        for i in range(2 * n):
            partner = (i + n) % (2 * n)
            products = [
                math.fsum(a * b for a, b in zip(z[i], row, strict=True)) for row in z
            ]
            exponentials = [math.exp(value / temperature) for value in products]
            denominator = math.fsum(exponentials) - exponentials[i]
            total += math.log(exponentials[partner] / denominator)
            for j in {*range(2 * n)} - {i, partner}:
                p = exponentials[j] / denominator
                total += negative_weight * math.log(1 - p)
        return -total / (2 * n)

    return formula


def draw_pairs(n, n_components=16, dtype=torch.float64):
    """Embeddings of length one of n pairs, (2 n, p)."""
    rng = np.random.RandomState(0)
    first = rng.randn(n, n_components)
    z = np.concatenate([first, first + 0.5 * rng.randn(n, n_components)])
    return torch.nn.functional.normalize(torch.from_numpy(z).to(dtype))


EVERY_ISIF_LOSS = pytest.mark.parametrize(
    "weights", [(0.1, 1.0), (0.5, 2.5), (1.0, 0.0)]
)


@EVERY_ISIF_LOSS
@pytest.mark.parametrize("n", [2, 3, 20])
def test_the_isif_loss_is_its_formula(weights, n):
    z = draw_pairs(n)
    expected = isif(*weights)(z.tolist())
    assert ISIFLoss(*weights)(z, None).item() == pytest.approx(expected, rel=1e-9)


def test_the_isif_loss_has_the_golden_value():
    rows = torch.tensor(
        [[1.0, 0.0], [0.0, 1.0], [0.9, 0.1], [0.2, 1.0]], dtype=torch.float64
    )
    z = torch.nn.functional.normalize(rows)
    expected = 0.001646158124391988
    assert ISIFLoss()(z, None).item() == pytest.approx(expected, rel=1e-12)


@EVERY_ISIF_LOSS
def test_gradients_of_the_isif_loss_are_those_of_finite_differences(weights):
    z, loss = draw_pairs(4).requires_grad_(), ISIFLoss(*weights)
    assert torch.autograd.gradcheck(lambda z: loss(z, None), z)


@EVERY_ISIF_LOSS
def test_the_order_of_pairs_and_of_views_does_not_matter(weights):
    first, second = draw_pairs(6).chunk(2)
    order = torch.from_numpy(np.random.RandomState(1).permutation(6))
    expected = ISIFLoss(*weights)(torch.cat([first, second]), None)
    reordered = torch.cat([second[order], first[order]])
    torch.testing.assert_close(ISIFLoss(*weights)(reordered, None), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", [1e-4, 0.01, 0.1, 1.0])
@pytest.mark.parametrize(
    "rows",
    [[0] * 8, [0, 1, 2, 3] * 2, [0, 0, 1, 1] * 2, [0, 1, 2, 3, 1, 0, 3, 2]],
    ids=["all rows", "both views", "two samples", "views of different samples"],
)
def test_the_isif_loss_is_finite_where_rows_coincide(rows, temperature, dtype):
    directions = draw_pairs(2, dtype=dtype).requires_grad_()
    value = ISIFLoss(temperature)(directions[rows], None)
    value.backward()
    assert value.isfinite() and value >= 0 and value.dtype == dtype
    assert directions.grad.isfinite().all()


def test_rows_that_coincide_are_equally_likely():
    z = torch.ones(10, 1, dtype=torch.float64)
    expected = math.log(9) - 8 * math.log(8 / 9)
    assert ISIFLoss()(z, None).item() == pytest.approx(expected, rel=1e-12)


def test_a_single_pair_has_nothing_to_be_told_from():
    z = draw_pairs(1).requires_grad_()
    value = ISIFLoss()(z, None)
    value.backward()
    assert value == 0 and (z.grad == 0).all()


def test_training_brings_views_together_and_spreads_samples():
    z = draw_pairs(4, n_components=8).requires_grad_()
    optimizer = torch.optim.SGD([z], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        ISIFLoss(0.5)(torch.nn.functional.normalize(z), None).backward()
        optimizer.step()
    first, second = torch.nn.functional.normalize(z.detach()).chunk(2)
    cosines, same = first @ second.T, torch.eye(4, dtype=torch.bool)
    assert (cosines[same] > 0.95).all() and (cosines[~same] < 0).all()


# The EIDN loss, of triplets.


def eidn(margin):
    def formula(sq_distances, y):
        m, costs = len(y) // 2, []
        for i in range(m):
            is_anomaly, is_other = y[i] < 0, y[i + m] < 0
            if is_anomaly != is_other:
                positive, negative = sq_distances[i], sq_distances[i + m]
                anchor = 1 if is_anomaly else 0
                costs.append(max(0.0, positive[anchor] - negative[anchor] + margin))
        return mean(costs)

    return formula


def draw_triplets(m, dtype=torch.float64):
    """Squared distances to both centers of m triplets, (2 m, 2), and labels."""
    rng = np.random.RandomState(0)
    sq_distances = torch.from_numpy(rng.gamma(2.0, size=(2 * m, 2))).to(dtype)
    is_anomaly = rng.rand(m) < 0.5
    y = np.where(np.r_[is_anomaly, ~is_anomaly], -1, rng.randint(0, 2, 2 * m))
    return sq_distances, torch.from_numpy(y)


EVERY_MARGIN = pytest.mark.parametrize("margin", [0.0, 0.2, 3.0])


@EVERY_MARGIN
@pytest.mark.parametrize("m", [1, 2, 50])
def test_the_eidn_loss_is_its_formula(margin, m):
    sq_distances, y = draw_triplets(m)
    expected = eidn(margin)(sq_distances.tolist(), y.tolist())
    assert EIDNLoss(margin)(sq_distances, y).item() == pytest.approx(
        expected, rel=1e-12
    )


@EVERY_MARGIN
@pytest.mark.parametrize("n", [0, 1, 2, 3, 40, 41])
def test_batches_of_any_make_are_pairs_of_rows_of_different_kinds(margin, n):
    sq_distances, y = draw(0, n, labels=(-1, 0, 1), n_outputs=2)
    value = EIDNLoss(margin)(sq_distances.requires_grad_(), y)
    value.backward()
    expected = eidn(margin)(sq_distances.tolist(), y.tolist())
    assert value.item() == pytest.approx(expected, rel=1e-12)
    assert sq_distances.grad.isfinite().all()


@pytest.mark.parametrize("y", [[0, 0], [-1, -1], [0, 1, 1, 0], [-1, 0, -1, 1]])
def test_two_rows_of_the_same_kind_are_no_triplet(y):
    sq_distances = draw(0, len(y), n_outputs=2)[0].requires_grad_()
    value = EIDNLoss(9.0)(sq_distances, torch.tensor(y))
    value.backward()
    assert value == 0 and (sq_distances.grad == 0).all()


def test_the_eidn_loss_has_the_golden_values():
    positives = [[0.1, 0.2], [0.9, 0.8], [0.4, 0.4]]
    negatives = [[0.5, 0.6], [0.3, 0.2], [0.1, 0.0]]
    centers = [[0.0, 0.0], [1.0, 1.0]]
    sq_distances = sq_distances_between([*positives, *negatives], centers)
    y = torch.tensor([0, -1, 0, -1, 0, -1])
    for i, expected in enumerate([0.0, 0.0, 0.51]):
        triplet = [i, i + 3]
        value = EIDNLoss(0.2)(sq_distances[triplet], y[triplet]).item()
        assert value == pytest.approx(expected, abs=1e-15)
    value = EIDNLoss(0.2)(sq_distances, y).item()
    assert value == pytest.approx(0.51 / 3, rel=1e-14)


@EVERY_MARGIN
def test_the_order_of_triplets_does_not_matter(margin):
    sq_distances, y = draw_triplets(12)
    order = torch.from_numpy(np.random.RandomState(1).permutation(12))
    order = torch.cat([order, order + 12])
    loss = EIDNLoss(margin)
    torch.testing.assert_close(
        loss(sq_distances[order], y[order]), loss(sq_distances, y)
    )


def test_repeated_triplets_leave_the_eidn_loss_as_it_is():
    sq_distances, y = draw_triplets(12)
    repeated = sq_distances.repeat_interleave(3, dim=0), y.repeat_interleave(3)
    torch.testing.assert_close(EIDNLoss()(*repeated), EIDNLoss()(sq_distances, y))


@EVERY_MARGIN
def test_gradients_of_the_eidn_loss_are_those_of_finite_differences(margin):
    sq_distances, y = draw_triplets(12)
    assert torch.autograd.gradcheck(
        lambda d: EIDNLoss(margin)(d, y), sq_distances.requires_grad_()
    )


def test_the_gradient_of_the_eidn_loss_is_finite_at_distance_0():
    y = torch.tensor([0, -1, -1, 1])
    sq_distances = torch.zeros(4, 2, requires_grad=True)
    value = EIDNLoss(0.2)(sq_distances, y)
    value.backward()
    assert value.item() == pytest.approx(0.2)
    assert sq_distances.grad.isfinite().all()


@pytest.mark.parametrize(("label", "anchor"), [(0, 0), (1, 0), (-1, 1), (-7, 1)])
def test_the_positive_is_pulled_to_its_center_and_the_negative_pushed(label, anchor):
    other = 0 if label < 0 else -1
    sq_distances = torch.tensor([[0.5, 0.6], [0.6, 0.5]], requires_grad=True)
    EIDNLoss(0.2)(sq_distances, torch.tensor([label, other])).backward()
    expected = torch.zeros(2, 2)
    expected[:, anchor] = torch.tensor([1.0, -1.0])
    assert torch.equal(sq_distances.grad, expected)


@pytest.mark.parametrize(("gap", "gradient"), [(0.19, 1.0), (0.21, 0.0)])
def test_a_triplet_beyond_the_margin_is_left_alone(gap, gradient):
    sq_distances = torch.tensor([[0.5, 9.0], [0.5 + gap, 9.0]], requires_grad=True)
    EIDNLoss(0.2)(sq_distances, torch.tensor([0, -1])).backward()
    assert sq_distances.grad[:, 0].tolist() == [gradient, -gradient]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_type_of_squared_distances_is_kept(dtype):
    assert EIDNLoss()(*draw_triplets(5, dtype)).dtype == dtype


def test_the_eidn_loss_has_no_parameters_to_train():
    assert [*EIDNLoss().parameters()] == []


def test_training_on_triplets_brings_each_kind_nearer_to_its_center():
    z = torch.tensor([[0.9, 1.2], [0.1, -0.2]], requires_grad=True)  # the wrong way
    centers, y = torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([0, -1])
    optimizer = torch.optim.SGD([z], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        sq_distances = (z[:, None] - centers).square().sum(dim=2)
        both_ways = torch.cat([sq_distances, sq_distances.flip(0)])
        EIDNLoss(0.2)(both_ways, torch.cat([y, y.flip(0)])).backward()
        optimizer.step()
    normal, anomaly = (z.detach()[:, None] - centers).square().sum(dim=2)
    assert normal[0] < normal[1] and anomaly[1] < anomaly[0]


# Reconstruction.


@pytest.mark.parametrize("code_penalty", [0.0, 0.25])
@pytest.mark.parametrize("shape", [(5, 3), (5, 2, 3, 4)])
def test_reconstruction_is_its_formula(code_penalty, shape):
    rng = np.random.RandomState(0)
    residual, code = rng.randn(*shape), rng.randn(5, 2)
    expected = math.fsum(
        math.fsum(value**2 for value in r.ravel().tolist())
        + code_penalty * math.fsum(value**2 for value in z.tolist())
        for r, z in zip(residual, code, strict=True)
    ) / len(code)
    output = torch.from_numpy(residual), torch.from_numpy(code)
    loss = ReconstructionLoss(code_penalty)
    assert loss(output).item() == pytest.approx(expected, rel=1e-12)


def test_the_gradient_of_the_reconstruction_is_that_of_finite_differences():
    residual, code = torch.from_numpy(np.random.RandomState(0).randn(2, 4, 3))
    loss = ReconstructionLoss(0.5)
    inputs = residual.requires_grad_(), code.requires_grad_()
    assert torch.autograd.gradcheck(lambda *output: loss(output), inputs)


def eidn_of_all(margin):
    """Every row as a positive of its own center, with every row of the other kind."""

    def formula(sq_distances, y):
        costs = []
        for positive, label in zip(sq_distances, y, strict=True):
            anchor = 1 if label < 0 else 0
            for negative, other in zip(sq_distances, y, strict=True):
                if (label < 0) != (other < 0):
                    gap = positive[anchor] - negative[anchor]
                    costs.append(max(0.0, gap + margin))
        return sum(costs) / max(len(costs), 1)

    return formula


@pytest.mark.parametrize("margin", [0.0, 0.2, 4.0])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 40, 41])
def test_all_triplets_are_those_of_any_two_rows_of_different_kinds(margin, n):
    sq_distances, y = draw(0, n, labels=(-1, 0, 1), n_outputs=2)
    value = EIDNLoss(margin, "all")(sq_distances.requires_grad_(), y)
    value.backward()
    expected = eidn_of_all(margin)(sq_distances.tolist(), y.tolist())
    assert value.item() == pytest.approx(expected, rel=1e-12)
    assert sq_distances.grad.isfinite().all()


@pytest.mark.parametrize("label", [-1, 0, 1])
def test_a_batch_of_one_kind_costs_nothing_with_all_triplets(label):
    sq_distances = torch.rand(6, 2, dtype=torch.float64, requires_grad=True)
    value = EIDNLoss(1.0, "all")(sq_distances, torch.full((6,), label))
    value.backward()
    assert value.item() == 0 and not sq_distances.grad.any()


def test_gradients_of_all_triplets_are_those_of_finite_differences():
    sq_distances, y = draw(0, 9, labels=(-1, 1), n_outputs=2)
    loss = EIDNLoss(0.3, "all")
    assert torch.autograd.gradcheck(lambda d: loss(d, y), sq_distances.requires_grad_())


def test_random_triplets_are_on_average_all_of_them():
    sq_distances, y = draw(0, 12, labels=(-1, 1), n_outputs=2)
    random_state = np.random.RandomState(0)
    (batch,) = random_triplets(y.numpy(), 20_000, random_state, n_steps=1)
    drawn = EIDNLoss(1.0)(sq_distances[batch], y[batch])
    expected = EIDNLoss(1.0, "all")(sq_distances, y)
    torch.testing.assert_close(drawn, expected, rtol=0.05, atol=0.0)


def test_unknown_triplets_are_refused():
    with pytest.raises(ValueError, match='triplets must be "random" or "all", got'):
        EIDNLoss(0.2, "every")
