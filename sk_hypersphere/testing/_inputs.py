"""Kinds of input: arrays of any type, memory maps, torch's data, images, encoders."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
import torch
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback
from skorch.helper import SliceDataset
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sk_hypersphere._training.rows import unwrapped
from sk_hypersphere.testing._conditions import has_net, has_nets
from sk_hypersphere.testing._registry import law
from sk_hypersphere.testing._scikit_learn import FEW_SAMPLES
from sk_hypersphere.testing._trial import (
    assert_same,
    fresh,
    responses,
    shared_fit,
    shared_responses,
)


class RemembersAddress(Callback):
    """Note where in memory the training data is."""

    def on_train_begin(self, net, X=None, **kwargs):
        rows, _ = unwrapped(X)
        self.address = rows.X.__array_interface__["data"][0]


def with_shapes(*shapes):
    """Shapes of images, by their ids."""
    return {"x".join(map(str, shape)): shape for shape in shapes}


@law(has_net, sets=("callbacks",), dtype=[np.float32, np.uint8])
def a_memory_map_stays_mapped(estimator, dtype, X, y, tmp_path):
    np.save(tmp_path / "X.npy", (X - X.min()).astype(dtype))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    remembers = ("remembers", RemembersAddress())
    fitted = fresh(estimator).set_params(callbacks=[remembers]).fit(mapped, y)
    address = dict(fitted.net_.callbacks_)["remembers"].address
    assert address == mapped.__array_interface__["data"][0]
    in_memory = fresh(estimator).fit(np.array(mapped), y)
    assert_same(responses(fitted, mapped), responses(in_memory, np.array(mapped)))


@law(has_nets)
def images_of_bytes_and_of_floats_are_the_same(estimator, images, image_labels):
    floats = images.astype(np.float32)
    of_floats = fresh(estimator).fit(floats, image_labels)
    assert_same(shared_responses(estimator, "images"), responses(of_floats, floats))


@law(has_nets, shape=with_shapes((2, 1, 8, 9), (2, 1, 64), (2, 1, 4, 16)))
def images_of_another_size_are_refused(estimator, shape):
    fitted = shared_fit(estimator, "images")
    for name in shared_responses(estimator, "images"):
        with pytest.raises(
            ValueError, match=r"samples of shape \(1, 8, 8\), as in fit"
        ):
            getattr(fitted, name)(np.zeros(shape, dtype=np.float32))


@law(has_nets)
def a_torch_data_set_may_be_the_input(estimator, X, y):
    sliced = SliceDataset(TensorDataset(torch.from_numpy(X)))
    fitted = fresh(estimator).fit(sliced, y)
    assert_same(shared_responses(estimator), responses(fitted, sliced))


@law(has_nets, dtype=[np.float64, np.float32, np.int64, np.float16])
def any_dtype_of_numbers_is_taken(estimator, dtype, X, y):
    fitted = fresh(estimator).fit(X.round().astype(dtype), y)
    in_memory = shared_responses(estimator, "rounded rows")
    assert_same(in_memory, responses(fitted, X.round()))


@law(has_nets, dtype=[torch.float32, torch.float64, torch.bfloat16])
def a_torch_tensor_may_be_the_input(estimator, dtype, X, y):
    tensor = torch.from_numpy(X.round()).to(dtype).requires_grad_()
    np.testing.assert_array_equal(tensor.detach().float().numpy(), X.round())
    fitted = fresh(estimator).fit(tensor, torch.from_numpy(y))
    in_memory = shared_responses(estimator, "rounded rows")
    assert_same(in_memory, responses(fitted, X.round()))
    assert_same(responses(fitted, tensor), responses(fitted, tensor.detach()))


@law(has_nets, wrap={"set": lambda data: data, "loader": DataLoader})
def a_torch_data_set_is_refused_with_the_way_that_works(estimator, wrap, X, y):
    data = wrap(TensorDataset(torch.from_numpy(X), torch.from_numpy(y)))
    with pytest.raises(TypeError, match=r"skorch\.helper\.SliceDataset\(dataset\)"):
        fresh(estimator).fit(data, y)


@law(has_nets, shape=with_shapes((8, 8, 1), (28, 28, 3), (10, 20, 4), (9, 30, 1)))
def images_with_channels_last_are_refused(estimator, shape):
    images = np.random.RandomState(0).randint(0, 256, (40, *shape)).astype(np.uint8)
    with pytest.raises(ValueError, match=r"np\.moveaxis\(X, -1, 1\)"):
        fresh(estimator).fit(images, np.where(np.arange(40) % 4, 1, -1))


@law(
    has_net,
    ignore=(FEW_SAMPLES,),
    shape=with_shapes((5, 40, 1), (3, 7, 3), (9, 4, 4), (16, 8, 5)),
)
def narrow_images_with_channels_first_are_taken(estimator, shape):
    images = np.random.RandomState(0).rand(24, *shape).astype(np.float32)
    check_is_fitted(fresh(estimator).fit(images, np.where(np.arange(24) % 4, 1, -1)))


@law(has_net, sets=("encoder",))
def an_own_encoder_may_take_channels_last(estimator):
    images = np.random.RandomState(0).rand(80, 8, 8, 3).astype(np.float32)
    labels = np.where(np.arange(80) % 4, 1, -1)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    check_is_fitted(fresh(estimator).set_params(encoder=encoder).fit(images, labels))


@law(has_net, sets=("encoder",))
def an_own_encoder_that_fails_for_channels_last_names_the_repair(estimator):
    images = np.random.RandomState(0).rand(80, 8, 8, 3).astype(np.float32)
    encoder = nn.Sequential(nn.Conv2d(3, 2, 8), nn.Flatten())
    with pytest.raises(ValueError, match=r"np\.moveaxis\(X, -1, 1\)"):
        fresh(estimator).set_params(encoder=encoder).fit(images, np.r_[-1, [1] * 79])


@law(has_nets, shape=with_shapes((0, 8, 8), (1, 0, 8), (1, 8, 0)))
def images_of_size_0_are_refused(estimator, shape):
    with pytest.raises(ValueError, match="along each axis|minimum of 1 is required"):
        fresh(estimator).fit(np.zeros((40, *shape)), np.r_[-1, [1] * 39])


@law(
    has_net,
    sets=("encoder_params", "net_params"),
    entry=["encoder__hidden_units", "net__max_epochs", "net__optimizer__betas"],
)
def entries_among_the_arguments_are_refused_with_the_repair(estimator, entry):
    prefix, _, name = entry.partition("__")
    with pytest.raises(TypeError, match=rf"{prefix}_params={{'{name}': 3}}"):
        type(estimator)(**{entry: 3})


@law(
    has_net,
    sets=("encoder",),
    encoder={
        "identity": nn.Identity(),
        "frozen": nn.Linear(4, 3).requires_grad_(False),
        "frozen-with-statistics": nn.BatchNorm1d(4).requires_grad_(False),
    },
)
def an_encoder_with_nothing_to_train_is_used_as_it_is_or_refused(
    estimator, encoder, X, y
):
    frozen = fresh(estimator).set_params(encoder=encoder)
    try:
        fitted = frozen.fit(X, y)
    except ValueError as error:
        assert "encoder must have parameters that can be trained" in str(error)
        assert "DeepSVDD" in str(error)
        return
    n_beside_encoder = sum(
        parameter.numel()
        for name, parameter in fitted.net_.module_.named_parameters()
        if not name.startswith("encoder.")
    )
    assert fitted.diagnostics_["n_trained_parameters"] == n_beside_encoder
    assert bool(fitted.n_iter_) == bool(n_beside_encoder)
    with torch.no_grad():
        embedding = deepcopy(encoder).eval()(torch.from_numpy(X)).numpy()
    if not n_beside_encoder:  # else statistics may move with the batches
        np.testing.assert_allclose(fitted.transform(X), embedding, rtol=1e-5)
    copy = pickle.loads(pickle.dumps(fitted))
    assert_same(responses(fitted, X), responses(copy, X))
