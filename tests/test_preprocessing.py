import ast
import inspect
import os
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.estimator_checks import (
    check_param_validation,
    parametrize_with_checks,
)

from sk_hypersphere import preprocessing
from sk_hypersphere.preprocessing import GlobalContrastNormalizer

DEFAULT_DATA = Path(__file__).parents[2] / "shared" / "data"
MNIST = Path(os.environ.get("SK_HYPERSPHERE_DATA", DEFAULT_DATA)) / "mnist.npz"

# Published by L. Ruff in Deep-SVDD-PyTorch: smallest and largest value of the training
# images of each digit after global contrast normalization.
MNIST_MIN_MAX = [
    (-0.8826567065619495, 9.001545489292527),
    (-0.6661464580883915, 20.108062262467364),
    (-0.7820454743183202, 11.665100841080346),
    (-0.7645772083211267, 12.895051191467457),
    (-0.7253923114302238, 12.683235701611533),
    (-0.7698501867861425, 13.103278415430502),
    (-0.778418217980696, 10.457837397569108),
    (-0.7129780970522351, 12.057777597673047),
    (-0.8280402650205075, 10.581538445782988),
    (-0.7369959242164307, 10.697039838804978),
]

PUBLIC = [getattr(preprocessing, name) for name in preprocessing.__all__]


def make_images(n=20, shape=(3, 4, 5), seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, size=(n, *shape), dtype=np.uint8)


def naive(sample, scale):
    centered = sample.astype(float) - sample.mean()
    if scale == "l1":
        return centered / np.mean(np.abs(centered))
    return centered / np.sqrt(np.mean(centered**2))


@parametrize_with_checks([cls() for cls in PUBLIC])
def test_sklearn_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("cls", PUBLIC)
def test_every_parameter_is_validated(cls):
    check_param_validation(cls.__name__, cls())


@pytest.mark.parametrize("cls", PUBLIC)
def test_docstring_tells_the_defaults(cls):
    documented = re.findall(
        r"^    (\w+) : .*default=(.+)$", cls.__doc__, flags=re.MULTILINE
    )
    parameters = inspect.signature(cls).parameters
    assert {name: ast.literal_eval(value) for name, value in documented} == {
        name: parameter.default for name, parameter in parameters.items()
    }


@pytest.mark.parametrize("scale", ["l1", "l2"])
def test_each_image_is_centered_and_scaled_over_all_its_values(scale):
    images = make_images()
    normalizer = GlobalContrastNormalizer(scale=scale, min_max=False)
    expected = [naive(image, scale) for image in images]
    assert_allclose(normalizer.fit_transform(images), expected, atol=1e-6)


def test_rows_and_images_of_the_same_values_get_the_same_result():
    images = make_images()
    rows = images.reshape(len(images), -1)
    as_images = GlobalContrastNormalizer().fit_transform(images)
    as_rows = GlobalContrastNormalizer().fit_transform(rows)
    assert_array_equal(as_images.reshape(as_rows.shape), as_rows)


def test_brightness_and_contrast_of_a_sample_do_not_matter():
    images = make_images() / 255
    normalizer = GlobalContrastNormalizer().fit(images)
    assert_allclose(
        normalizer.transform(0.3 * images + 5), normalizer.transform(images), atol=1e-12
    )


def test_training_data_fills_the_unit_interval():
    out = GlobalContrastNormalizer().fit_transform(make_images())
    assert (out.min(), out.max()) == (0.0, 1.0)


def test_new_samples_may_leave_the_unit_interval():
    normalizer = GlobalContrastNormalizer().fit(make_images())
    dark = np.zeros((1, 3, 4, 5), dtype=np.uint8)
    dark[0, 0, 0, 0] = 255
    assert normalizer.transform(dark).max() > 1


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 + 0.1])
def test_a_constant_sample_becomes_zeros(value):
    X = np.full((2, 784), value)
    X[1] = np.arange(784)
    out = GlobalContrastNormalizer(min_max=False).fit_transform(X)
    assert_array_equal(out[0], np.zeros(784))


def test_constant_training_samples_do_not_divide_by_zero():
    normalizer = GlobalContrastNormalizer().fit(np.full((3, 4), 0.1))
    assert_array_equal(normalizer.transform(np.full((1, 4), 7.0)), np.zeros((1, 4)))


@pytest.mark.parametrize(
    ("given", "returned"),
    [
        ("uint8", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
        ("int64", "float64"),
    ],
)
def test_the_output_type_follows_the_input_type(given, returned):
    out = GlobalContrastNormalizer().fit_transform(make_images().astype(given))
    assert out.dtype == returned


def test_batches_change_no_bit(monkeypatch):
    images = make_images(n=50)
    whole = GlobalContrastNormalizer().fit_transform(images)
    monkeypatch.setattr(preprocessing, "_VALUES_PER_BATCH", 7 * 60)
    assert_array_equal(GlobalContrastNormalizer().fit_transform(images), whole)


def test_no_array_is_made_larger_than_the_output_and_a_batch():
    images = make_images(n=20_000, shape=(1, 28, 28))
    tracemalloc.start()
    out = GlobalContrastNormalizer().fit_transform(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < out.nbytes + 4 * 8 * preprocessing._VALUES_PER_BATCH


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_a_read_only_memory_map_is_accepted_and_left_as_it_was(tmp_path, dtype):
    images = make_images().astype(dtype)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    out = GlobalContrastNormalizer().fit_transform(mapped)
    assert_array_equal(out, GlobalContrastNormalizer().fit_transform(images))
    assert_array_equal(mapped, images)


def test_images_of_another_size_are_refused():
    normalizer = GlobalContrastNormalizer().fit(make_images(shape=(1, 4, 4)))
    with pytest.raises(ValueError, match=r"shape \(1, 4, 4\), as at fit.*\(1, 2, 2\)"):
        normalizer.transform(make_images(shape=(1, 2, 2)))


def test_a_data_frame_keeps_its_columns():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [5.0, 2.5], "c": [0.0, 9.0]})
    normalizer = GlobalContrastNormalizer().set_output(transform="pandas")
    out = normalizer.fit_transform(frame)
    assert list(out.columns) == ["a", "b", "c"]
    assert list(normalizer.get_feature_names_out()) == ["a", "b", "c"]


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.exists(), reason=f"{MNIST} is not there")
@pytest.mark.parametrize("digit", range(10))
def test_the_published_constants_of_mnist_are_reproduced(digit):
    with np.load(MNIST) as data:
        images = data["x_train"][data["y_train"] == digit] / 255
    normalizer = GlobalContrastNormalizer().fit(images)
    learned = (normalizer.data_min_, normalizer.data_max_)
    assert_allclose(learned, MNIST_MIN_MAX[digit], rtol=0, atol=1e-9)
