"""Losses against their formulas, written once more in plain Python over floats."""

import math
from copy import deepcopy

import numpy as np
import pytest
import torch

from sk_hypersphere import losses
from sk_hypersphere.losses import (
    OneClassLoss,
    ReconstructionLoss,
    SoftBoundaryLoss,
)

# Methods.md 16.7: squared norms of these, a radius of 1 and nu = 0.1 give 44.75.
GOLDEN_ROWS = [[0.5, -1.0], [1.5, 2.0], [-0.25, 0.75], [3.0, -2.0]]


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


def with_radii(nu, sq_radii):
    loss = SoftBoundaryLoss(len(sq_radii), nu).double()
    loss.sq_radii.copy_(torch.tensor(sq_radii))
    return loss


RADII = [1.0, 2.5, 0.25, 4.0]

# Losses of squared distances to four centers, each with its formula.
LOSSES = [
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
# Losses of something else, which have tests of their own below.
OTHERS = {"ReconstructionLoss"}

EVERY_LOSS = pytest.mark.parametrize(("loss", "formula"), LOSSES)


def draw(seed, n=12, labels=(0, 1, 2, 3)):
    """Squared distances of n rows to 4 centers in float64, and labels."""
    rng = np.random.RandomState(seed)
    sq_distances = torch.from_numpy(rng.gamma(2.0, size=(n, 4)))
    return sq_distances, torch.from_numpy(rng.choice(labels, n))


def test_every_loss_is_tested():
    tested = {type(param.values[0]).__name__ for param in LOSSES}
    assert tested | OTHERS == {*losses.__all__}


@EVERY_LOSS
@pytest.mark.parametrize("n", [1, 2, 12, 100])
@pytest.mark.parametrize("labels", [(0, 1, 2, 3), (1, 3), (2,)])
def test_a_loss_is_its_formula(loss, formula, n, labels):
    sq_distances, y = draw(n, n, labels)
    expected = formula(sq_distances.tolist(), y.tolist())
    assert loss(sq_distances, y).item() == pytest.approx(expected, rel=1e-12)


@EVERY_LOSS
def test_the_order_of_the_rows_does_not_matter(loss, formula):
    sq_distances, y = draw(0)
    order = torch.from_numpy(np.random.RandomState(1).permutation(len(y)))
    torch.testing.assert_close(
        loss(sq_distances[order], y[order]), loss(sq_distances, y)
    )


@EVERY_LOSS
def test_gradients_are_those_of_finite_differences(loss, formula):
    sq_distances, y = draw(0)
    assert torch.autograd.gradcheck(lambda d: loss(d, y), sq_distances.requires_grad_())


@EVERY_LOSS
def test_the_gradient_is_finite_at_distance_0(loss, formula):
    sq_distances = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    loss(sq_distances, torch.tensor([0, 1, 1])).backward()
    assert sq_distances.grad.isfinite().all()


@EVERY_LOSS
def test_only_the_own_center_has_a_gradient(loss, formula):
    sq_distances, y = draw(0)
    loss(sq_distances.requires_grad_(), y).backward()
    own = torch.nn.functional.one_hot(y, 4).bool()
    assert (sq_distances.grad[~own] == 0).all()
    assert (sq_distances.grad[own] >= 0).all() and (sq_distances.grad[own] > 0).any()


@EVERY_LOSS
def test_the_type_of_the_distances_is_kept(loss, formula):
    sq_distances, y = draw(0)
    copied = deepcopy(loss)
    assert copied.float()(sq_distances.float(), y).dtype == torch.float32
    assert copied.double()(sq_distances, y).dtype == torch.float64


@EVERY_LOSS
def test_a_loss_has_no_parameters_to_train(loss, formula):
    assert [*loss.parameters()] == []


def test_one_class_with_one_center_is_the_mean_squared_distance():
    sq_distances = draw(0)[0][:, :1]
    y = torch.zeros(len(sq_distances), dtype=torch.int64)
    assert OneClassLoss()(sq_distances, y) == sq_distances.mean()


@pytest.fixture
def golden():
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
