"""Tests of ISIFEmbedder alone; the contract is in test_common.py."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.metrics import homogeneity_score
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import DataLoader

from sk_hypersphere import ISIFEmbedder, SubclusterDetector
from sk_hypersphere.confidence import NeighborDistance
from sk_hypersphere.losses import ISIFLoss
from sk_hypersphere.modules import AugmentImages, AugmentRows

SMALL = {"max_epochs": 3, "lr": 1e-2, "n_components": 8, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    centers = [[0, 0, 0], [8, 0, 0], [0, 8, 0]]
    X, y = make_blobs(90, centers=centers, random_state=0)
    return X.astype(np.float32), y


@pytest.fixture(scope="module")
def X(data):
    return data[0]


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, size=(20, 1, 16, 16), dtype=np.uint8)


class Shift(nn.Module):
    """A learnable change, which nothing must learn."""

    def __init__(self, size=1.0):
        super().__init__()
        self.size = nn.Parameter(torch.tensor(size))

    def forward(self, x):
        return x + self.size * torch.randn(len(x), 1)


class Recorder:
    """An augment that remembers what it was called on."""

    def __init__(self):
        self.batches = []

    def __call__(self, x):
        self.batches.append(x.clone())
        return x

    def __deepcopy__(self, memo):
        return self  # copies share the memory


def reverse(x):
    return x.flip(1)


def test_embeddings_have_length_one(X):
    fitted = ISIFEmbedder(**SMALL).fit(X)
    norms = np.linalg.norm(fitted.transform(X * 100), axis=1)
    np.testing.assert_allclose(norms, 1, rtol=1e-6)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_rows_of_a_data_frame_have_length_one_and_names(library, X):
    fitted = ISIFEmbedder(**SMALL).set_output(transform=library).fit(X)
    frame = fitted.transform(X)
    assert type(frame).__module__.startswith(library)
    assert [*frame.columns] == [f"isifembedder{i}" for i in range(8)]
    np.testing.assert_allclose(np.linalg.norm(frame, axis=1), 1, rtol=1e-6)


PROJECTIONS = ["mlp", "linear", None]
EVERY_PROJECTION = pytest.mark.parametrize("projection", PROJECTIONS)


@EVERY_PROJECTION
@pytest.mark.parametrize(("temperature", "weight"), [(0.1, 1.0), (0.5, 3.0)])
def test_what_is_minimized_is_the_loss_of_two_views(X, temperature, weight, projection):
    params = {
        "projection": projection,
        "temperature": temperature,
        "negative_weight": weight,
    }
    untrained = ISIFEmbedder(None, **params, **SMALL | {"max_epochs": 0}).fit(X)
    module = untrained.net_.module_
    with torch.no_grad():
        z = module.head(module.encoder(torch.from_numpy(X)))
    np.testing.assert_allclose(z.norm(dim=1), 1, rtol=1e-5)
    fitted = ISIFEmbedder(None, **params, **SMALL | {"max_epochs": 1}).fit(X)
    assert fitted.net_.history[0, "train_loss"] == pytest.approx(
        ISIFLoss(temperature, weight)(torch.cat([z, z]), None).item(), rel=1e-4
    )


@EVERY_PROJECTION
def test_the_embedding_is_what_the_projection_is_made_of(X, projection):
    fitted = ISIFEmbedder(projection=projection, **SMALL).fit(X)
    module = fitted.net_.module_
    with torch.no_grad():
        z = torch.nn.functional.normalize(module.encoder(torch.from_numpy(X)))
        projected = module.head(module.encoder(torch.from_numpy(X)))
    np.testing.assert_allclose(fitted.transform(X), z, atol=1e-6)
    assert np.allclose(projected, z, atol=1e-3) == (projection is None)


def test_warm_start_goes_on_with_the_projection_unless_it_is_another(X):
    fitted = ISIFEmbedder(warm_start=True, **SMALL).fit(X)
    before = fitted.net_.module_.head[1].weight.detach().clone()
    fitted.set_params(max_epochs=0).fit(X)
    assert torch.equal(fitted.net_.module_.head[1].weight, before)
    fitted.set_params(projection="linear").fit(X)
    assert not torch.equal(fitted.net_.module_.head[0].weight, before)


def test_training_lowers_the_loss(X):
    losses = ISIFEmbedder(**SMALL | {"max_epochs": 20}).fit(X).net_.history
    assert losses[-1, "train_loss"] < losses[0, "train_loss"]


@pytest.fixture(scope="module")
def drowned(X):
    """The blobs, with a last feature that says nothing of them and varies more."""
    X = X.copy()
    X[:, 2] = np.random.default_rng(0).normal(0, 10, len(X))
    return X


def shuffle_last(x):
    x[:, 2] = x[torch.randperm(len(x)), 2]
    return x


LEARNS = {**SMALL, "max_epochs": 60, "batch_size": 30}


@pytest.mark.parametrize("augment", [shuffle_last, None])
def test_what_augment_changes_does_not_matter_to_neighbors(drowned, data, augment):
    Z, y = ISIFEmbedder(augment, **LEARNS).fit_transform(drowned), data[1]
    neighbors = NearestNeighbors(n_neighbors=5).fit(Z).kneighbors(return_distance=False)
    share = np.mean(y[neighbors] == y[:, None])
    assert share > 0.95 if augment else share < 0.9


def test_augment_makes_two_views_of_each_float32_batch_in_training_only(X):
    augment = Recorder()
    fitted = ISIFEmbedder(augment, batch_size=30, **SMALL).fit(X)
    batches = augment.batches
    assert len(batches) == 2 * 3 * SMALL["max_epochs"]
    for first, second in zip(batches[::2], batches[1::2], strict=True):
        assert first.dtype == torch.float32 and first.shape == (30, 3)
        torch.testing.assert_close(first, second, rtol=0, atol=0)
    fitted.transform(X)
    assert len(augment.batches) == len(batches)


def test_augment_gets_images_of_bytes_as_floats(images):
    augment = Recorder()
    ISIFEmbedder(augment, **SMALL).fit(images)
    assert augment.batches[0].dtype == torch.float32
    assert augment.batches[0].shape == images.shape
    assert augment.batches[0].max() == images.max()


def test_no_augment_is_one_that_changes_nothing(X):
    ours, theirs = (ISIFEmbedder(a, **SMALL).fit(X) for a in (None, nn.Identity()))
    np.testing.assert_array_equal(ours.transform(X), theirs.transform(X))


def test_an_augment_that_writes_into_its_batch_leaves_samples_untouched(X):
    before = X.copy()
    ISIFEmbedder(torch.Tensor.zero_, **SMALL).fit(X)
    np.testing.assert_array_equal(X, before)


def test_auto_is_the_augmentation_of_rows_or_of_images(X, images):
    for samples, augment in [(X, AugmentRows()), (images, AugmentImages())]:
        ours, theirs = (
            ISIFEmbedder(a, **SMALL).fit(samples) for a in ("auto", augment)
        )
        np.testing.assert_array_equal(
            ours.transform(samples), theirs.transform(samples)
        )


WRONG_VIEWS = {
    "fewer rows": lambda x: x[1:],
    "more features": lambda x: torch.cat([x, x], dim=1),
    "nothing": lambda x: None,
    "an array": lambda x: x.numpy(),
    "a list": lambda x: x.tolist(),
    "float64": lambda x: x.double(),
    "booleans": lambda x: x > 0,
}


@pytest.mark.parametrize("augment", [*WRONG_VIEWS.values()], ids=[*WRONG_VIEWS])
def test_an_augment_that_returns_something_else_is_refused(X, augment):
    embedder = ISIFEmbedder(augment, **SMALL)
    with pytest.raises(ValueError, match="augment must return"):
        embedder.fit(X)
    with pytest.raises(NotFittedError):
        check_is_fitted(embedder)


def test_a_refused_augment_leaves_the_former_fit(X):
    embedder = ISIFEmbedder(**SMALL).fit(X)
    before = embedder.transform(X)
    with pytest.raises(ValueError, match="augment"):
        embedder.set_params(augment=lambda x: x[1:]).fit(X)
    np.testing.assert_array_equal(embedder.transform(X), before)


def test_a_given_augment_module_is_untouched(X):
    augment = Shift()
    ISIFEmbedder(augment, **SMALL).fit(X)
    assert augment.training and augment.size.item() == 1.0
    assert augment.size.grad is None


def test_one_sample_cannot_be_told_from_others(X):
    with pytest.raises(ValueError, match="X must hold two.*n_samples=1.*Give more"):
        ISIFEmbedder(**SMALL).fit(X[:1])


def test_batches_of_one_sample_are_refused(X):
    with pytest.raises(ValueError, match="'batch_size'.*Got 1 instead"):
        ISIFEmbedder(batch_size=1, **SMALL).fit(X)


@pytest.mark.parametrize(
    "augment", [Shift(0.5), lambda x: -x, reverse], ids=["module", "lambda", "function"]
)
def test_a_clone_has_the_augment_too(X, augment):
    embedder = ISIFEmbedder(augment, **SMALL)
    copy = clone(embedder)
    assert type(copy.augment) is type(augment)
    np.testing.assert_array_equal(copy.fit_transform(X), embedder.fit_transform(X))


def test_augment_is_a_parameter_of_a_grid_search(X):
    augments = ["auto", None, reverse, Shift()]

    def length(embedder, X):
        return np.linalg.norm(embedder.transform(X), axis=1).mean()

    search = GridSearchCV(
        ISIFEmbedder(**SMALL), {"augment": augments}, scoring=length, cv=2
    ).fit(X)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], 1, rtol=1e-6)


def test_a_validation_split_has_a_loss(X):
    fitted = ISIFEmbedder(**SMALL).set_params(net__train_split=ValidSplit(3)).fit(X)
    assert np.isfinite(fitted.net_.history[:, "valid_loss"]).all()


def test_a_data_loader_may_leave_a_batch_of_one_sample(X):
    loader = {"net__iterator_train": DataLoader, "batch_size": 89}
    fitted = ISIFEmbedder(**SMALL).set_params(**loader).fit(X)
    assert np.isfinite(fitted.transform(X)).all()


def test_warm_start_goes_on(X):
    params = SMALL | {"max_epochs": 20, "warm_start": True}
    embedder = ISIFEmbedder(**params).fit(X)
    first, before = embedder.net_.history[0, "train_loss"], embedder.transform(X)
    embedder.set_params(max_epochs=0).fit(X)
    np.testing.assert_array_equal(embedder.transform(X), before)
    embedder.set_params(max_epochs=1, augment=None).fit(X)
    assert embedder.net_.history[0, "train_loss"] < first


def test_neighbors_in_the_embedding_score_in_a_pipeline(X):
    new = X + 0.5
    pipeline = make_pipeline(ISIFEmbedder(**SMALL), NeighborDistance(3)).fit(X)
    Z, Z_new = (pipeline[0].transform(samples).astype(float) for samples in (X, new))
    distances = np.linalg.norm(Z_new[:, None] - Z, axis=2)
    expected = -np.sort(distances, axis=1)[:, :3].mean(axis=1)
    np.testing.assert_allclose(pipeline.score_samples(new), expected, atol=1e-4)


def test_sub_clusters_are_found_in_the_embedding(drowned, data):
    embedder = ISIFEmbedder(shuffle_last, **LEARNS | {"random_state": None})
    detector = SubclusterDetector(
        KMeans(12, n_init=3),
        embedder=embedder,
        score_rule="msp",
        min_cluster_size=2,
        contamination=0.1,
        max_epochs=1,
        random_state=0,
    ).fit(drowned)
    assert homogeneity_score(data[1], detector.labels_) > 0.9
    assert detector.embedder_.random_state is not None
