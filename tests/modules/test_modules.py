"""Encoders, decoders and heads: shapes, formulas, and what encoders must not have."""

import math
import random
from copy import deepcopy
from functools import partial

import numpy as np
import pytest
import scipy.fft
import torch
import torch.nn.functional as F
from torch import nn

from sk_hypersphere import modules
from sk_hypersphere.modules import (
    MLP,
    Augmented,
    AugmentImages,
    AugmentRows,
    AutoEncoder,
    Center,
    Centers,
    CentersAndLogits,
    CIFARLeNet,
    ContrastNorm,
    ConvNet,
    DropoutConvNet,
    Hypersphere,
    MNISTLeNet,
    OriginAndOnes,
    TwoViews,
    UnitLength,
    UnitVariance,
    WideResNet,
    squared_distances,
)
from sk_hypersphere.modules._frequencies import LowFrequencies, cosine_basis
from sk_hypersphere.modules._stacked import (
    are_alike,
    can_stack,
    load_members,
    stack_modules,
)
from sk_hypersphere.modules._wide_resnet import WideBlock

# Encoders with the shapes of samples that they are tried with.
BIAS_FREE = {
    ConvNet: [(1, 28, 28), (3, 32, 32), (1, 8, 8), (2, 7, 5), (1, 2, 2), (3, 9, 16)],
    MNISTLeNet: [(1, 28, 28), (3, 28, 28)],
    CIFARLeNet: [(3, 32, 32), (1, 32, 32)],
}
IMAGE_ENCODERS = {
    **BIAS_FREE,
    DropoutConvNet: [(1, 28, 28), (3, 32, 32), (2, 7, 5), (1, 1, 1)],
    WideResNet: [(3, 32, 32), (1, 4, 4), (2, 7, 5)],
}
WITH_DECODER = {MLP: [(1,), (5,), (200,)], **BIAS_FREE}
ENCODERS = {**WITH_DECODER, **IMAGE_ENCODERS}
# Blocks repeat: the smallest network shows as much as a deep one, in less time.
SMALLEST = {WideResNet: partial(WideResNet, depth=10, widen_factor=1)}
# Heads, layers and functions have tests of their own below.
OTHERS = {
    AugmentImages,
    AugmentRows,
    Augmented,
    AutoEncoder,
    Center,
    Centers,
    CentersAndLogits,
    OriginAndOnes,
    ContrastNorm,
    Hypersphere,
    TwoViews,
    UnitLength,
    UnitVariance,
    squared_distances,
}
BOUNDED = (nn.Sigmoid, nn.Tanh, nn.Hardtanh, nn.Softsign, nn.Hardsigmoid)


def with_shapes(encoders):
    cases = [
        pytest.param(
            SMALLEST.get(make, make),
            shape,
            id=f"{make.__name__}-{'x'.join(map(str, shape))}",
        )
        for make, shapes in encoders.items()
        for shape in shapes
    ]
    return pytest.mark.parametrize(("make", "shape"), cases)


EVERY_ENCODER = with_shapes(ENCODERS)
EVERY_ENCODER_WITH_DECODER = with_shapes(WITH_DECODER)
EVERY_IMAGE_ENCODER = pytest.mark.parametrize("make", IMAGE_ENCODERS)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        yield


HOW_TO_LIST = """
{names} of modules.__all__ must be in a list of tests/modules/test_modules.py. Choose
one, and import the module at the top of the file:
- BIAS_FREE, for an encoder of images that has `make_autoencoder` and no bias, learned
  scale or bounded activation: add `MyNet: [(1, 28, 28)]` with shapes of samples.
- IMAGE_ENCODERS, for any other encoder of images: add it with shapes, as in BIAS_FREE.
- WITH_DECODER, for an encoder of rows that has `make_autoencoder`: add it with shapes.
- ENCODERS, for any other encoder: add it with shapes.
- OTHERS, for a head, layer or function: add it, and write tests of it.
If an encoder is slow by default, add a smaller one to SMALLEST too. If a module has
`stacks = True`, add it to STACKABLE too.
"""


def test_every_module_is_tested():
    exported = {*modules.__all__}
    tested = {thing.__name__ for thing in {*ENCODERS, *OTHERS}}
    assert not exported - tested, HOW_TO_LIST.format(names=sorted(exported - tested))
    assert not tested - exported, (
        f"{sorted(tested - exported)} must be in modules.__all__, or in no list of "
        "tests/modules/test_modules.py: remove it from ENCODERS or OTHERS."
    )


# Distances.


def naive_sq_distances(z, centers):
    rows, anchors = z.double().tolist(), centers.double().tolist()
    return [
        [math.fsum((a - b) ** 2 for a, b in zip(row, c, strict=True)) for c in anchors]
        for row in rows
    ]


@pytest.mark.parametrize("n_centers", [1, 2, 50])
@pytest.mark.parametrize("n_components", [1, 3, 64])
def test_squared_distances_are_those_of_a_double_loop(n_centers, n_components):
    z = torch.randn(7, n_components, dtype=torch.float64)
    centers = torch.randn(n_centers, n_components, dtype=torch.float64)
    expected = torch.tensor(naive_sq_distances(z, centers), dtype=torch.float64)
    torch.testing.assert_close(
        squared_distances(z, centers), expected, rtol=1e-11, atol=1e-12
    )


@pytest.mark.parametrize("n_centers", [1, 2, 50])
def test_squared_distances_keep_their_digits_far_from_the_origin(n_centers):
    z, centers = torch.randn(7, 8) + 1e3, torch.randn(n_centers, 8) + 1e3
    expected = torch.tensor(naive_sq_distances(z, centers))
    torch.testing.assert_close(
        squared_distances(z, centers), expected, rtol=1e-3, atol=0.0
    )


@pytest.mark.parametrize("n_centers", [1, 3, 100])
def test_squared_distances_are_never_negative(n_centers):
    centers = 100 * torch.randn(n_centers, 64)
    assert (squared_distances(centers, centers) >= 0).all()


def test_the_distance_to_a_single_center_is_exact():
    z, center = torch.randn(9, 4), torch.randn(1, 4)
    expected = (z - center).square().sum(dim=1, keepdim=True)
    assert torch.equal(squared_distances(z, center), expected)
    assert (squared_distances(center, center) == 0).all()


@pytest.mark.parametrize("n_centers", [1, 3])
def test_gradients_of_squared_distances_are_right_also_at_distance_0(n_centers):
    centers = torch.randn(n_centers, 4, dtype=torch.float64)
    z = centers[:1].clone().requires_grad_()
    squared_distances(z, centers).sum().backward()
    expected = 2 * (centers[:1] - centers).sum(dim=0, keepdim=True)
    torch.testing.assert_close(z.grad, expected)


@pytest.mark.parametrize("n_centers", [1, 3])
def test_gradients_reach_embeddings_and_centers(n_centers):
    z = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    centers = torch.randn(n_centers, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(squared_distances, (z, centers))


def test_distances_have_the_type_of_the_embedding():
    centers = torch.randn(3, 4)
    assert squared_distances(torch.randn(2, 4).double(), centers).dtype == torch.float64


# Centers.


@pytest.mark.parametrize("learnable", [False, True])
def test_centers_are_learned_only_if_learnable(learnable):
    head = Centers(torch.randn(3, 4), learnable=learnable)
    assert [name for name, _ in head.named_parameters()] == ["centers"] * learnable
    assert {*head.state_dict()} == {"centers", "sq_radii"}


def test_radii_start_at_0():
    assert torch.equal(Centers(torch.randn(3, 4)).sq_radii, torch.zeros(3))


@pytest.mark.parametrize("training", [True, False])
def test_a_single_center_is_one_of_many_to_rows_that_are_not_at_it(training):
    z, center = torch.randn(6, 4), torch.randn(4)
    z[0, 1:] = center[1:]  # beside it in a single component
    one, many = (
        head.train(training) for head in (Center(center), Centers(center[None]))
    )
    assert torch.equal(one(z), many(z))
    assert one(z).dtype == (torch.float32 if training else torch.float64)
    assert one.n_outputs == 1


def test_a_single_center_is_no_parameter():
    head = Center(torch.randn(4))
    assert [*head.parameters()] == []
    assert {*head.state_dict()} == {"centers", "sq_radii"}
    assert head.centers.shape == (1, 4) and torch.equal(head.sq_radii, torch.zeros(1))


@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0])
def test_only_a_row_at_the_center_is_taken_to_be_a_hair_beside_it(scale):
    center = scale * torch.randn(4)
    z = torch.stack([center, center + 0.5]).requires_grad_()
    sq_distances = Center(center)(z)
    sq_distances[0].backward()
    assert 0 < sq_distances[0].item() < 1e-6 * max(1, scale**2)
    assert (z.grad[0] > 0).all() and (z.grad[1] == 0).all()
    assert torch.equal(sq_distances[1:], Centers(center[None])(z)[1:])


def test_a_row_at_the_center_is_scored_where_it_is():
    center = torch.randn(4)
    assert Center(center).eval()(center[None]).item() == 0


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("n_centers", [1, 3])
def test_logits_stand_behind_the_squared_distances(n_centers, training):
    z, centers = torch.randn(6, 4), torch.randn(n_centers, 4)
    head = CentersAndLogits(centers).train(training)
    output = head(z)
    sq_distances = torch.tensor(naive_sq_distances(z, centers), dtype=output.dtype)
    torch.testing.assert_close(output[:, :n_centers], sq_distances)
    assert torch.equal(output[:, n_centers:], head.classifier(z).to(output.dtype))


def test_centers_are_learned_beside_a_classifier():
    head = CentersAndLogits(torch.randn(3, 4))
    names = {"centers", "classifier.weight", "classifier.bias"}
    assert {name for name, _ in head.named_parameters()} == names
    assert {*head.state_dict()} == names | {"sq_radii"}
    head(torch.randn(5, 4)).square().sum().backward()
    assert all(parameter.grad.any() for parameter in head.parameters())


def test_a_hypersphere_is_the_head_upon_the_encoder():
    encoder, head = nn.Linear(5, 4), Centers(torch.randn(3, 4))
    x = torch.randn(6, 5)
    assert torch.equal(Hypersphere(encoder, head)(x), head(encoder(x)))


# Unit variance.


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("shape", [(2, 1), (9, 4), (50, 3)])
def test_components_have_a_variance_of_1_on_average(shape, scale):
    z = 5 + scale * torch.randn(shape, dtype=torch.float64) * torch.arange(
        1, 1 + shape[1]
    )
    variances = UnitVariance()(z).numpy().var(axis=0)
    assert variances.mean() == pytest.approx(1.0)


def test_all_components_are_scaled_by_the_same_positive_number():
    z = torch.randn(9, 4, dtype=torch.float64) * torch.tensor([0.1, 1.0, 2.0, 30.0])
    ratio = UnitVariance()(z) / z
    torch.testing.assert_close(ratio, ratio[:1, :1].expand(9, 4))
    assert (ratio > 0).all()


def test_unit_variance_keeps_the_ratios_of_distances():
    z = 3 + 20 * torch.randn(9, 4, dtype=torch.float64)
    ratio = torch.pdist(UnitVariance()(z)) / torch.pdist(z)
    torch.testing.assert_close(ratio, ratio[:1].expand(len(ratio)))


def test_gradients_flow_through_the_variance():
    z = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(UnitVariance(), z)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("value", [0.0, 0.1, -7.0])
def test_embeddings_without_variance_are_finite_with_their_gradient(n, value):
    z = torch.full((n, 4), value, requires_grad=True)
    scaled = UnitVariance()(z)
    scaled.sum().backward()
    assert scaled.isfinite().all() and z.grad.isfinite().all()


def test_unit_variance_remembers_nothing():
    z, scale = torch.randn(8, 4), UnitVariance()
    trained = scale(z)
    scale(100 * z)
    assert torch.equal(scale.eval()(z), trained)
    assert not scale.state_dict()


# Encoders.


@EVERY_ENCODER
@pytest.mark.parametrize("n_components", [2, 8, 32, 33, 64, 256, 1000])
def test_the_embedding_is_as_wide_as_asked_for(make, shape, n_components):
    z = make(shape, n_components).eval()(torch.randn(3, *shape))
    assert z.shape == (3, n_components) and z.isfinite().all()


@EVERY_ENCODER_WITH_DECODER
def test_the_default_width_can_be_reconstructed(make, shape):
    encoder = make(shape, make.default_n_components)
    residual, code = encoder.make_autoencoder(0.0)(torch.randn(3, *shape))
    assert residual.shape == (3, *shape)
    assert code.shape[0] == 3 and code.ndim == 2


@EVERY_ENCODER
def test_every_weight_of_an_encoder_is_trained(make, shape):
    encoder = make(shape, 32)
    encoder(torch.randn(8, *shape)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad.any(), name


@EVERY_ENCODER_WITH_DECODER
def test_an_autoencoder_trains_every_weight_of_the_encoder(make, shape):
    encoder = make(shape, 32)
    residual, _ = encoder.make_autoencoder(0.0)(torch.randn(8, *shape))
    residual.square().sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


@EVERY_ENCODER
def test_the_state_of_an_encoder_is_all_that_it_learned(make, shape):
    trained, other = make(shape, 40), make(shape, 40)
    trained(torch.randn(8, *shape))  # moves running statistics
    other.load_state_dict(trained.state_dict())
    x = torch.randn(3, *shape)
    assert torch.equal(trained.eval()(x), other.eval()(x))


@with_shapes(BIAS_FREE)
def test_encoders_for_images_cannot_collapse_by_a_bias(make, shape):
    for name, layer in make(shape, 64).named_modules():
        assert getattr(layer, "bias", None) is None, name
        assert not getattr(layer, "affine", False), name
        assert not isinstance(layer, BOUNDED), name


def test_the_mlp_is_without_bias_where_that_is_asked_for():
    assert MLP((3,), 2, bias=False)(torch.zeros(1, 3)).eq(0).all()
    assert not any("bias" in name for name in MLP((3,), 2, bias=False).state_dict())


def test_the_mlp_is_linear_without_hidden_units():
    encoder = MLP((3,), 2, hidden_units=())
    assert [type(layer) for layer in encoder] == [nn.Linear]


def test_the_mlp_has_the_layers_asked_for():
    sizes = [
        p.shape for p in MLP((3,), 2, hidden_units=(7, 5), bias=False).parameters()
    ]
    assert sizes == [(7, 3), (5, 7), (2, 5)]


@pytest.mark.parametrize("shape", [(), (2, 3), (1, 8, 8)])
def test_the_mlp_refuses_images(shape):
    with pytest.raises(ValueError, match=r"MLP encodes rows.* got .*Flatten them"):
        MLP(shape, 2)


@EVERY_IMAGE_ENCODER
@pytest.mark.parametrize("shape", [(5,), (28, 28), (1, 2, 3, 4)])
def test_encoders_for_images_refuse_other_samples(make, shape):
    message = rf"{make.__name__} encodes images .* got .*Add the missing axis"
    with pytest.raises(ValueError, match=message):
        make(shape, 32)


@pytest.mark.parametrize("make", [MNISTLeNet, CIFARLeNet])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 32), (3, 64, 64)])
def test_lenets_refuse_images_of_another_size(make, shape):
    with pytest.raises(ValueError, match=r"Resize them, or use ConvNet"):
        make(shape, 32)


@pytest.mark.parametrize("make", [MNISTLeNet, CIFARLeNet])
def test_decoders_of_lenets_refuse_what_does_not_fold_into_maps(make):
    encoder = make((1, make.side, make.side), 33)
    with pytest.raises(ValueError, match=r"multiple of 16, got 33.*decoder="):
        encoder.make_autoencoder(0.0)


def test_a_deeper_convnet_takes_small_images():
    encoder = ConvNet((1, 3, 3), 40, channels=(4, 8, 16), kernel_size=3)
    residual, _ = encoder.make_autoencoder(0.0)(torch.randn(4, 1, 3, 3))
    assert encoder(torch.randn(4, 1, 3, 3)).shape == (4, 40)
    assert residual.shape == (4, 1, 3, 3)


def test_the_convnet_takes_images_of_one_pixel():
    encoder = ConvNet((3, 1, 1), 34)
    assert encoder(torch.randn(4, 3, 1, 1)).shape == (4, 34)


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match="kernel_size must be odd, got 4"):
        ConvNet((1, 8, 8), 32, kernel_size=4)


# The network with dropout.


def test_the_network_with_dropout_takes_pixels_of_any_scale():
    images = torch.rand(16, 1, 8, 8)
    encoder = DropoutConvNet((1, 8, 8), 2, dropout=0)
    torch.testing.assert_close(
        encoder(255 * images), encoder(images), rtol=1e-2, atol=1e-3
    )


def test_the_network_with_dropout_has_the_layers_asked_for():
    encoder = DropoutConvNet(
        (3, 9, 8), 2, channels=(4, 5, 6), kernel_size=3, hidden_units=7
    )
    sizes = [tuple(w.shape) for w in encoder.parameters() if w.ndim > 1]
    assert sizes == [(4, 3, 3, 3), (5, 4, 3, 3), (6, 5, 3, 3), (7, 12), (2, 7)]


def test_the_network_with_dropout_leaves_nothing_out_but_in_training():
    encoder, images = DropoutConvNet((1, 8, 8), 2, dropout=0.5), torch.rand(16, 1, 8, 8)
    assert not torch.equal(encoder(images), encoder(images))
    encoder.eval()
    assert torch.equal(encoder(images), encoder(images))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kernel_size": 4}, "kernel_size must be odd and above 0, got 4. Try 5"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_the_network_with_dropout_refuses_what_it_cannot_do(wrong, message):
    with pytest.raises(ValueError, match=message):
        DropoutConvNet((1, 8, 8), 2, **wrong)


# The wide residual network.


def n_weights(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("depth", "widen_factor", "published"), [(40, 2, 2_243_546), (28, 10, 36_479_194)]
)
def test_wide_resnets_have_the_published_number_of_weights(
    depth, widen_factor, published
):
    with torch.device("meta"):
        encoder = WideResNet((3, 32, 32), 10, depth=depth, widen_factor=widen_factor)
    assert n_weights(encoder) == published


@pytest.mark.parametrize(
    ("n_channels", "depth", "widen_factor", "n_components"),
    [(1, 10, 1, 16), (3, 22, 1, 4), (2, 16, 3, 7)],
)
def test_the_weights_of_a_wide_resnet_are_counted_by_a_formula(
    n_channels, depth, widen_factor, n_components
):
    expected, a = 9 * n_channels * 16, 16
    for b in (16 * widen_factor, 32 * widen_factor, 64 * widen_factor):
        first = 2 * a + 9 * a * b + 2 * b + 9 * b * b + (a != b) * a * b
        other = 2 * b + 9 * b * b + 2 * b + 9 * b * b
        expected += first + ((depth - 4) // 6 - 1) * other
        a = b
    expected += 2 * a + a * n_components + n_components
    with torch.device("meta"):
        encoder = WideResNet(
            (n_channels, 32, 32), n_components, depth=depth, widen_factor=widen_factor
        )
    assert n_weights(encoder) == expected


def test_a_wide_resnet_halves_the_image_twice():
    x, shapes = torch.randn(2, 3, 32, 32), []
    for layer in WideResNet((3, 32, 32), WideResNet.default_n_components):
        x = layer(x)
        shapes.append((*x.shape[1:],))
    groups = 6 * [(32, 32, 32)] + 6 * [(64, 16, 16)] + 6 * [(128, 8, 8)]
    head = [(128, 8, 8), (128, 8, 8), (128, 1, 1), (128,), (16,)]
    assert shapes == [(16, 32, 32), *groups, *head]


def naive_activation(norm, x, training):
    mean, var = norm.running_mean.clone(), norm.running_var.clone()
    return F.relu(F.batch_norm(x, mean, var, norm.weight, norm.bias, training))


def naive_block(block, x, stride, dropout, training):
    norm_1, norm_2 = (m for m in block.modules() if isinstance(m, nn.BatchNorm2d))
    w_1, w_2, *v = (m.weight for m in block.modules() if isinstance(m, nn.Conv2d))
    a = naive_activation(norm_1, x, training)
    hidden = naive_activation(norm_2, F.conv2d(a, w_1, None, stride, 1), training)
    residual = F.conv2d(F.dropout(hidden, dropout, training), w_2, None, 1, 1)
    return residual + (F.conv2d(a, v[0], None, stride) if v else x)


def randomize(norms):
    for norm in norms:
        for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            nn.init.uniform_(values, 0.5, 1.5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize(("n_in", "n_out", "stride"), [(4, 4, 1), (4, 6, 1), (4, 6, 2)])
def test_a_wide_block_and_its_gradient_are_its_formula(
    n_in, n_out, stride, dropout, training
):
    block = WideBlock(n_in, n_out, stride, dropout).double().train(training)
    randomize(m for m in block.modules() if isinstance(m, nn.BatchNorm2d))
    x = torch.randn(3, n_in, 7, 6, dtype=torch.float64, requires_grad=True)
    untouched = x.detach().clone()

    state = torch.random.get_rng_state()
    expected = naive_block(block, x, stride, dropout, training)
    torch.random.set_rng_state(state)  # the same activations are dropped
    actual = block(x)

    assert torch.equal(x, untouched)
    torch.testing.assert_close(actual, expected)
    inputs, weights = [x, *block.parameters()], torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(actual, inputs, weights),
        torch.autograd.grad(expected, inputs, weights),
    )


def test_a_wide_resnet_embeds_the_mean_of_its_last_activation():
    encoder = WideResNet((3, 8, 8), 5, depth=10).eval()
    *blocks, norm, _, _, _, linear = encoder
    randomize([norm])
    x = torch.randn(4, 3, 8, 8)
    maps = naive_activation(norm, nn.Sequential(*blocks)(x), training=False)
    expected = F.linear(maps.mean(dim=(2, 3)), linear.weight, linear.bias)
    torch.testing.assert_close(encoder(x), expected)


def test_the_first_weights_of_a_wide_resnet_have_the_variance_of_the_paper():
    encoder = WideResNet((3, 32, 32), 10, depth=10, widen_factor=4)
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d):
            sd = math.sqrt(2 / (math.prod(layer.kernel_size) * layer.out_channels))
            assert layer.weight.std().item() == pytest.approx(sd, rel=0.1)
    assert (encoder[-1].bias == 0).all()


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_dropout_acts_in_training_only(dropout):
    encoder = WideResNet((1, 8, 8), 4, depth=10, dropout=dropout)
    x = torch.randn(5, 1, 8, 8)
    assert torch.equal(encoder(x), encoder(x)) == (dropout == 0)
    assert torch.equal(encoder.eval()(x), encoder(x))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"depth": 4}, r"depth must be 6 n \+ 4 .* got 4\. Try 10"),
        ({"depth": -2}, r"depth must be .* got -2\. Try 10"),
        ({"depth": 39}, r"depth must be .* got 39\. Try 40"),
        ({"depth": 42}, r"depth must be .* got 42\. Try 40"),
        ({"widen_factor": 0}, r"widen_factor must be at least 1, got 0\. .*depth"),
        ({"dropout": 1.0}, r"dropout must be .*\[0, 1\), got 1\.0\. Use 0 for none"),
        ({"dropout": -0.1}, r"dropout must be .* got -0\.1"),
        ({"dropout": math.nan}, r"dropout must be .* got nan"),
    ],
)
def test_a_wide_resnet_refuses_sizes_that_do_not_exist(params, message):
    with pytest.raises(ValueError, match=message):
        WideResNet((3, 32, 32), 10, **params)


# The fixed view of the ConvNet.


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 8), (7, 3)])
def test_the_basis_is_that_of_the_orthonormal_cosine_transform(size):
    basis = cosine_basis(*size, math.prod(size)).numpy()
    image = np.random.RandomState(0).randn(*size).astype(np.float32)
    coefficients = scipy.fft.dctn(image, norm="ortho")
    np.testing.assert_allclose(
        np.sort(image.ravel() @ basis), np.sort(coefficients.ravel()), atol=1e-5
    )
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[0]), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7)])
def test_all_frequencies_keep_the_distances_between_images(shape):
    m = math.prod(shape)
    view = LowFrequencies(shape, m, variance=9.0).eval()
    x, y = torch.rand(2, 10, *shape)
    expected = (x - y).flatten(1).norm(dim=1) * math.sqrt(9.0 / m)
    torch.testing.assert_close((view(x) - view(y)).norm(dim=1), expected)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7)])
def test_few_frequencies_are_the_first_of_all(shape):
    x = torch.rand(10, *shape)
    every = LowFrequencies(shape, math.prod(shape)).eval()(x)
    for n_components in (1, 4, 10):
        few = LowFrequencies(shape, n_components).eval()(x)
        torch.testing.assert_close(few, every[:, :n_components])


def test_the_first_frequency_is_the_brightness():
    image = torch.rand(6, 1, 8, 8)
    first = LowFrequencies((1, 8, 8), 1, variance=64.0).eval()(image)
    torch.testing.assert_close(first[:, 0], image.mean(dim=(1, 2, 3)) * 8)


def test_the_view_stands_beside_the_learned_components():
    encoder = ConvNet((1, 8, 8), 40, n_learned=8).eval()
    x = torch.rand(5, 1, 8, 8)
    assert torch.equal(encoder(x)[:, 8:], encoder.view(x))
    assert encoder.view(x).shape == (5, 32)


# Contrast.


@pytest.mark.parametrize("shape", [(6, 5), (6, 1, 4, 4), (6, 3, 5, 7)])
def test_contrast_norm_is_its_formula(shape):
    x = np.random.RandomState(0).randn(*shape)
    flat = x.reshape(6, -1)
    centered = flat - flat.mean(axis=1, keepdims=True)
    expected = centered / np.abs(centered).mean(axis=1, keepdims=True)
    z = ContrastNorm()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(z, expected.reshape(shape), rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 7.0, 254.7, -1e6 / 3])
def test_a_constant_image_has_no_contrast(value):
    x = torch.full((2, 1, 28, 28), value)
    assert (ContrastNorm()(x) == 0).all()


def test_brightness_and_contrast_do_not_matter():
    x = torch.rand(4, 1, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(ContrastNorm()(3 * x + 5), ContrastNorm()(x))


# Autoencoders.


def test_an_autoencoder_gives_what_is_left_to_reconstruct():
    encoder, decoder, x = nn.Linear(4, 2), nn.Linear(2, 4), torch.randn(3, 4)
    residual, code = AutoEncoder(encoder, decoder)(x)
    torch.testing.assert_close(code, encoder(x))
    torch.testing.assert_close(residual, decoder(encoder(x)) - x)


def test_an_autoencoder_reconstructs_in_units_of_the_span():
    autoencoder = AutoEncoder(nn.Linear(4, 2), nn.Linear(2, 4))
    x = 50 * torch.rand(3, 4)
    autoencoder.low.fill_(-10.0)
    autoencoder.high.fill_(40.0)
    expected = autoencoder.decoder(autoencoder.encoder(x)) - (x + 10) / 50
    torch.testing.assert_close(autoencoder(x)[0], expected)


def test_noise_is_on_the_decoded_code_and_only_in_training():
    autoencoder = AutoEncoder(nn.Identity(), nn.Identity(), noise=2.0)
    residual, code = autoencoder(torch.zeros(2000, 4))
    assert (code == 0).all()
    assert residual.std().item() == pytest.approx(2.0, rel=0.05)
    assert (autoencoder.eval()(torch.zeros(5, 4))[0] == 0).all()


def test_the_target_may_be_another_view_of_the_sample():
    target = ContrastNorm()
    autoencoder = AutoEncoder(nn.Linear(4, 2), nn.Linear(2, 4), target=target)
    x = torch.randn(3, 4)
    expected = autoencoder.decoder(autoencoder.encoder(x)) - target(x)
    torch.testing.assert_close(autoencoder(x)[0], expected)


# Unit length.


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_directions_have_length_1(scale):
    z = scale * torch.randn(9, 4)
    directions = UnitLength()(z)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(9))
    torch.testing.assert_close(directions * z.norm(dim=1, keepdim=True), z)


def test_a_row_of_zeros_has_no_direction():
    z = torch.zeros(2, 4, requires_grad=True)
    directions = UnitLength()(z)
    directions.sum().backward()
    assert (directions == 0).all() and z.grad.isfinite().all()


# Two views.


def test_the_second_views_stand_behind_the_first_ones():
    encoder, head = nn.Linear(4, 3), UnitLength()
    numbers = iter([1.0, 2.0])  # the two views are different
    module = TwoViews(encoder, head, augment=lambda x: next(numbers) * x)
    x = torch.randn(5, 4)
    expected = torch.cat([head(encoder(x)), head(encoder(2 * x))])
    torch.testing.assert_close(module(x), expected)


def test_views_are_drawn_for_each_sample_twice():
    views = TwoViews(nn.Identity(), nn.Identity(), AugmentRows())(torch.randn(5, 4))
    first, second = views.chunk(2)
    assert views.shape == (10, 4) and (first != second).any(dim=1).all()


def test_augmentation_may_write_to_what_it_is_given():
    x = torch.ones(5, 4)
    views = TwoViews(nn.Identity(), nn.Identity(), augment=lambda x: x.mul_(3))(x)
    assert (x == 1).all() and (views == 3).all()


@pytest.mark.parametrize(
    ("augment", "got"),
    [
        (lambda x: x[:, :2], r"one of shape \(5, 2\) and torch.float32"),
        (lambda x: torch.cat([x, x]), r"one of shape \(10, 4\)"),
        (lambda x: x.double(), r"one of shape \(5, 4\) and torch.float64"),
        (lambda x: x.numpy(), "ndarray"),
        (lambda x: None, "NoneType"),
        (lambda x: [x], "list"),
    ],
)
def test_views_of_another_kind_are_refused(augment, got):
    message = rf"augment must return a tensor of shape \(5, 4\) and .*, got {got}"
    with pytest.raises(ValueError, match=message):
        TwoViews(nn.Identity(), nn.Identity(), augment)(torch.ones(5, 4))


def test_samples_are_changed_in_training_only():
    encoder, x = nn.Linear(4, 3), torch.randn(5, 4)
    module = Augmented(encoder, nn.Identity(), augment=lambda x: x.mul_(2))
    torch.testing.assert_close(module(x), encoder(2 * x))
    torch.testing.assert_close(module.eval()(x), encoder(x))


def test_augmentation_for_images_refuses_rows_with_a_sentence():
    with pytest.raises(ValueError, match="augment must fit the samples.*Use Augment"):
        AugmentImages()(torch.randn(5, 4))


@pytest.mark.parametrize(
    "make",
    [
        lambda: AugmentImages(scale=0),
        lambda: AugmentImages(scale=1.5),
        lambda: AugmentImages(rotation=-1),
        lambda: AugmentImages(intensity=-0.1),
        lambda: AugmentRows(noise=-1),
        lambda: AugmentRows(dropout=1),
    ],
)
def test_changes_out_of_range_are_refused_with_a_sentence(make):
    with pytest.raises(ValueError, match="must be .* got .*Start from the defaults"):
        make()


# Random changes of samples.

AUGMENT = {
    "images": (AugmentImages(), (3, 8, 8)),
    "oblong images": (AugmentImages(rotation=90.0), (1, 6, 9)),
    "rows": (AugmentRows(), (7,)),
}
EVERY_AUGMENT = pytest.mark.parametrize(
    ("augment", "shape"), AUGMENT.values(), ids=AUGMENT
)
UNCHANGED = {"scale": 1.0, "rotation": 0.0, "flip": False, "intensity": 0.0}


def with_seed(augment, x, seed=0):
    torch.random.manual_seed(seed)
    return augment(x)


@EVERY_AUGMENT
@pytest.mark.parametrize("n", [1, 2, 20])
def test_augmented_samples_have_the_shape_of_samples(augment, shape, n):
    x = torch.rand(n, *shape)
    assert augment(x).shape == x.shape and augment(x).isfinite().all()


@EVERY_AUGMENT
def test_a_seed_gives_the_same_changes_and_another_one_others(augment, shape):
    x = torch.rand(20, *shape)
    first = with_seed(augment, x)
    assert torch.equal(with_seed(augment, x), first)
    assert (with_seed(augment, x, seed=1) != first).flatten(1).any(dim=1).all()


@EVERY_AUGMENT
def test_changes_are_drawn_from_the_stream_of_torch_alone(augment, shape):
    numpy_stream, python_stream = np.random.get_state()[1].copy(), random.getstate()
    x = torch.rand(4, *shape)
    before = x.clone()
    augment(x)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_stream)
    assert random.getstate() == python_stream
    assert torch.equal(x, before)


@EVERY_AUGMENT
@pytest.mark.parametrize(("scale", "shift"), [(255.0, 0.0), (1e-3, 0.0), (2.0, -5.0)])
def test_samples_may_have_any_range(augment, shape, scale, shift):
    x = torch.rand(20, *shape)
    expected = scale * with_seed(augment, x) + shift
    actual = with_seed(augment, scale * x + shift)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5 * scale)


@EVERY_AUGMENT
def test_augmented_samples_have_the_type_of_samples(augment, shape):
    assert augment(torch.rand(2, *shape).double()).dtype == torch.float64


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 28, 28), (1, 6, 9)])
def test_images_can_be_left_as_they_are(shape):
    x = torch.rand(5, *shape)
    torch.testing.assert_close(AugmentImages(**UNCHANGED)(x), x, rtol=0, atol=1e-5)


def test_rows_can_be_left_as_they_are():
    x = torch.randn(5, 3)
    assert torch.equal(AugmentRows(noise=0.0, dropout=0.0)(x), x)


def test_half_of_the_images_are_mirrored():
    x = torch.rand(400, 2, 5, 8)
    flipped = AugmentImages(**{**UNCHANGED, "flip": True})(x)
    near = partial(torch.isclose, rtol=0, atol=1e-5)
    is_same, is_mirrored = (
        near(flipped, image).flatten(1).all(dim=1) for image in (x, x.flip(3))
    )
    assert (is_same ^ is_mirrored).all()
    assert 0.4 < is_mirrored.float().mean() < 0.6


def coordinates(n, height, width):
    """Images whose two channels say where a pixel is, in pixels from the center."""
    y, x = torch.meshgrid(
        torch.arange(height) - (height - 1) / 2,
        torch.arange(width) - (width - 1) / 2,
        indexing="ij",
    )
    return torch.stack([x, y]).expand(n, 2, height, width)


def patches(n, height, width, x, y, side=6):
    """White squares around a place of black images."""
    distances = coordinates(n, height, width) - torch.tensor([x, y])[:, None, None]
    return (distances.abs().amax(dim=1, keepdim=True) < side / 2).float()


def moments(image):
    """Mass, center and covariance of what is white, in pixels."""
    places = coordinates(len(image), *image.shape[2:]).flatten(2)  # (n, 2, h w)
    weights = image.flatten(2)  # (n, 1, h w)
    mass = weights.sum(dim=2)
    center = (weights * places).sum(dim=2) / mass
    spread = places - center[:, :, None]
    return mass[:, 0], center, (weights * spread) @ spread.mT / mass[:, :, None]


@pytest.mark.parametrize("size", [(40, 40), (30, 60), (60, 30)])
@pytest.mark.parametrize("flip", [True, False])
def test_a_square_that_is_turned_stays_a_square(size, flip):
    image = patches(50, *size, 0.0, 0.0, side=12)
    turn = AugmentImages(**{**UNCHANGED, "rotation": 180.0, "flip": flip})
    (mass, _, covariance), (new_mass, center, new_covariance) = (
        moments(image),
        moments(turn(image)),
    )
    torch.testing.assert_close(new_mass, mass, rtol=0.02, atol=0)
    torch.testing.assert_close(center, torch.zeros_like(center), rtol=0, atol=0.1)
    # Of a square, turned by any angle, it is a multiple of the identity.
    torch.testing.assert_close(new_covariance, covariance, rtol=0.03, atol=0.3)


@pytest.mark.parametrize("size", [(40, 40), (30, 60), (60, 30)])
@pytest.mark.parametrize("rotation", [15.0, 90.0])
def test_images_are_turned_about_their_center_by_some_angle_up_to_the_largest(
    size, rotation
):
    image = patches(200, *size, 10.0, 0.0)
    turn = AugmentImages(**{**UNCHANGED, "rotation": rotation})
    x, y = moments(turn(image))[1].T
    torch.testing.assert_close(x.hypot(y), torch.full_like(x, 10.0), rtol=0.01, atol=0)
    angles = torch.atan2(y, x) * 180 / math.pi
    assert 0.9 * rotation < angles.max() < 1.01 * rotation
    assert 0.9 * rotation < -angles.min() < 1.01 * rotation


@pytest.mark.parametrize("size", [(32, 32), (20, 40)])
@pytest.mark.parametrize("scale", [0.25, 0.81])
def test_a_crop_is_a_part_of_the_image_of_some_size(size, scale):
    image = coordinates(200, *size)
    cropped = AugmentImages(**{**UNCHANGED, "scale": scale})(image)
    middle = slice(size[0] // 4, -size[0] // 4), slice(size[1] // 4, -size[1] // 4)
    width = cropped[:, 0, *middle].diff(dim=2).mean(dim=(1, 2))  # of a pixel, 1 before
    height = cropped[:, 1, *middle].diff(dim=1).mean(dim=(1, 2))
    torch.testing.assert_close(width, height)
    area = width * height
    assert scale - 1e-6 <= area.min() < scale + 0.05
    assert 0.95 < area.max() <= 1 + 1e-6
    # It lies within the image, and reaches the border at times.
    limits = torch.tensor(size).flip(0) / 2  # from the center to the border
    center = cropped.mean(dim=(2, 3)).abs()
    room = (1 - area.sqrt())[:, None] * limits
    assert (center <= room + 0.1).all() and (center / room > 0.9).any(dim=0).all()


def test_brightness_and_contrast_change_within_the_intensity():
    x = torch.rand(300, 2, 5, 6)
    shaded = AugmentImages(**{**UNCHANGED, "intensity": 0.2})(x)
    dims = {"dim": (1, 2, 3), "keepdim": True}
    deviation, mean = torch.std_mean(x, correction=0, **dims)
    new_deviation, new_mean = torch.std_mean(shaded, correction=0, **dims)
    contrast, shift = new_deviation / deviation, (new_mean - mean) / deviation
    expected = new_mean + contrast * (x - mean)
    torch.testing.assert_close(shaded, expected, rtol=0, atol=1e-5)
    for change in (contrast - 1, shift):
        assert -0.2001 < change.min() < -0.18 and 0.18 < change.max() < 0.2001


@pytest.mark.parametrize("dropout", [0.0, 0.3, 0.9])
def test_blanked_features_are_the_mean_of_their_batch(dropout):
    x = torch.randn(2000, 3) * torch.tensor([1.0, 100.0, 0.01]) + 5
    changed = AugmentRows(noise=0.0, dropout=dropout)(x)
    is_blank = changed != x
    assert is_blank.float().mean(dim=0).tolist() == pytest.approx(
        [dropout] * 3, abs=0.05
    )
    torch.testing.assert_close(changed[is_blank], x.mean(dim=0).expand_as(x)[is_blank])


@pytest.mark.parametrize("noise", [0.1, 2.0])
def test_noise_is_in_standard_deviations_of_each_feature(noise):
    scale = torch.tensor([1.0, 100.0, 0.01, 0.0], dtype=torch.float64)
    x = 5 + scale * torch.randn(5000, 4, dtype=torch.float64)
    added = AugmentRows(noise=noise, dropout=0.0)(x) - x
    expected = noise * x.std(dim=0)
    torch.testing.assert_close(added.std(dim=0), expected, rtol=0.05, atol=0)
    assert (added.mean(dim=0).abs() <= 0.06 * expected).all()


@pytest.mark.parametrize("n_centers", [1, 3])
def test_autocast_lowers_the_precision_of_the_encoder_alone(n_centers):
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(n_centers, 4, generator=generator)
    x = torch.randn(8, 5, generator=generator)
    module = Hypersphere(nn.Linear(5, 4), Centers(centers))
    with torch.autocast("cpu", torch.bfloat16):
        z, sq_distances = module.encoder(x), module(x)
    assert z.dtype == torch.bfloat16
    assert torch.equal(sq_distances, module.head(z.float()))


# Stacks.


def members(make, n=3):
    """Modules of the same shape with weights of their own."""
    return [make(torch.Generator().manual_seed(k)) for k in range(n)]


def random_centers(generator):
    return torch.randn(4, 5, generator=generator)


def random_linear(generator, n_in=5, n_out=4):
    layer = nn.Linear(n_in, n_out)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return layer


STACKABLE = {
    "linear": random_linear,
    "chain": lambda g: nn.Sequential(random_linear(g), nn.Tanh(), random_linear(g, 4)),
    "nested": lambda g: nn.Sequential(nn.Sequential(random_linear(g), nn.ReLU())),
    "MLP": lambda g: MLP((5,), 2, hidden_units=(3,)),
    "MLP without bias": lambda g: MLP((5,), 2, bias=False),
    "Centers": lambda g: Centers(random_centers(g)),
    "learned Centers": lambda g: Centers(random_centers(g), learnable=True),
    "a single center": lambda g: Centers(random_centers(g)[:1]),
    "Center": lambda g: Center(random_centers(g)[0]),
    "OriginAndOnes": lambda g: OriginAndOnes(5),
    "CentersAndLogits": lambda g: CentersAndLogits(random_centers(g)),
    "UnitVariance": lambda g: UnitVariance(),
}
EVERY_STACKABLE = pytest.mark.parametrize(
    "make", [*STACKABLE.values()], ids=[*STACKABLE]
)


@EVERY_STACKABLE
def test_a_stack_does_what_each_member_does_with_its_batch(make):
    modules, x = members(make), torch.randn(3, 7, 5)
    assert can_stack(modules[0]) and are_alike(modules)
    stack = stack_modules(modules)
    expected = [module(own) for module, own in zip(modules, x, strict=True)]
    torch.testing.assert_close(stack(x), torch.stack(expected))


@EVERY_STACKABLE
def test_members_take_back_what_a_stack_has_learned(make):
    modules = members(make)
    stack = stack_modules(modules)
    names = [name for name, _ in modules[0].named_parameters()]
    assert [name for name, _ in stack.named_parameters()] == names
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter += torch.arange(3).view(3, *[1] * (parameter.ndim - 1))
    before = [[value.clone() for value in module.parameters()] for module in modules]
    load_members(modules, stack)
    for k, (module, values) in enumerate(zip(modules, before, strict=True)):
        torch.testing.assert_close([*module.parameters()], [v + k for v in values])


def test_a_stack_leaves_its_members_alone():
    modules = members(STACKABLE["chain"])
    before = [deepcopy(module.state_dict()) for module in modules]
    stack = stack_modules(modules)
    stack(torch.randn(3, 7, 5)).sum().backward()
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.zero_()
    for module, state in zip(modules, before, strict=True):
        torch.testing.assert_close(module.state_dict(), state)
        assert all(parameter.grad is None for parameter in module.parameters())


def test_what_is_frozen_stays_frozen_in_a_stack():
    modules = members(STACKABLE["chain"])
    for module in modules:
        module[0].requires_grad_(False)
    trained = [p.requires_grad for p in stack_modules(modules).parameters()]
    assert trained == [False, False, True, True]


def hooked():
    module = nn.Sequential(nn.Linear(5, 4))
    module[0].register_forward_hook(lambda *_: None)
    return module


def twice(layer):
    return nn.Sequential(layer, nn.ReLU(), layer)


def tied():
    module = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    module[1].weight = module[0].weight
    return module


class DoublesItsInput(nn.Sequential):
    def forward(self, x):
        return super().forward(2 * x)


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(nn.Sequential(nn.Linear(5, 4), nn.Dropout()), id="dropout"),
        pytest.param(nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4)), id="batch"),
        pytest.param(nn.Sequential(nn.Linear(5, 4), nn.Softmax(dim=1)), id="softmax"),
        pytest.param(nn.Sequential(nn.Linear(5, 4), nn.PReLU(4)), id="PReLU"),
        pytest.param(nn.utils.parametrizations.weight_norm(nn.Linear(5, 4)), id="norm"),
        pytest.param(ConvNet((1, 8, 8), 4), id="convolutions"),
        pytest.param(twice(nn.Linear(5, 5)), id="a layer twice"),
        pytest.param(tied(), id="shared weights"),
        pytest.param(hooked(), id="a hook"),
        pytest.param(DoublesItsInput(nn.Linear(5, 4)), id="code of its own"),
    ],
)
def test_what_is_not_known_to_stack_is_not_stacked(module):
    assert not can_stack(module)


@pytest.mark.parametrize(
    "others",
    [
        nn.Sequential(nn.Linear(5, 3), nn.ReLU()),
        nn.Sequential(nn.Linear(5, 4), nn.Tanh()),
        nn.Sequential(nn.Linear(5, 4, bias=False), nn.ReLU()),
        nn.Sequential(nn.Linear(5, 4).requires_grad_(False), nn.ReLU()),
    ],
)
def test_members_of_different_shape_are_not_alike(others):
    assert not are_alike([nn.Sequential(nn.Linear(5, 4), nn.ReLU()), others])
