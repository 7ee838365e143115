"""Limits on memory: large arrays are not copied, and no array is (n, k, p)."""

import tracemalloc

import numpy as np
import pytest
import torch
from sklearn.base import clone, is_classifier
from torch import nn

from sk_hypersphere import (
    CACClassifier,
    CenterLossClassifier,
    DeepSVDD,
    MCHADClassifier,
    SubclusterDetector,
)
from sk_hypersphere.base._spheres import cluster_means
from sk_hypersphere.losses import IILoss

N_ROWS, N_CENTERS, N_COMPONENTS = 512, 256, 32
WHOLE = N_ROWS * N_CENTERS * N_COMPONENTS * 4  # bytes of all differences


def largest_allocation(function):
    """Bytes of the largest tensor, or of numpy's arrays if these take more.

    The function is called twice.
    """
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU],
        profile_memory=True,
        acc_events=True,
    ) as profile:
        function()
    sizes = (event.self_cpu_memory_usage for event in profile.events())
    largest = max(sizes, default=0)
    tracemalloc.start()  # the first call has loaded libraries
    try:
        function()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return max(largest, peak)


MODELS = {
    "DeepSVDD": DeepSVDD(multi_radius=True),
    "DeepSVDD, soft": DeepSVDD("soft-boundary", multi_radius=True, warm_up_epochs=1),
    "DeepSVDD, nearest": DeepSVDD(multi_radius=True, score_rule="nearest"),
    "SubclusterDetector": SubclusterDetector(min_cluster_size=1),
    "MCHADClassifier": MCHADClassifier(),
    "CACClassifier": CACClassifier(),
    "CenterLossClassifier": CenterLossClassifier(),
}


@pytest.fixture(params=MODELS)
def model(request):
    """A model that trains on all rows in a single batch, and holds none out."""
    # CAC needs as many components as classes.
    size = N_CENTERS if request.param == "CACClassifier" else N_COMPONENTS
    return clone(MODELS[request.param]).set_params(
        encoder=nn.Linear(2, size),
        batch_size=N_ROWS,
        max_epochs=1,
        contamination=0.1,
        device="cpu",
        random_state=0,
    )


@pytest.fixture
def data(model):
    """Rows in many clusters, as arguments of `fit`."""
    X = np.random.default_rng(0).standard_normal((N_ROWS, 2), dtype=np.float32)
    y = np.arange(N_ROWS) % N_CENTERS
    labels = "y" if is_classifier(model) else "cluster_labels"
    return {"X": X, labels: y}


def test_an_array_of_all_differences_is_noticed():
    z, centers = torch.zeros(N_ROWS, N_COMPONENTS), torch.zeros(N_CENTERS, N_COMPONENTS)
    in_torch = largest_allocation(lambda: (z[:, None] - centers).sum(dim=2))
    in_numpy = largest_allocation(lambda: z.numpy()[:, None] - centers.numpy())
    assert min(in_torch, in_numpy) >= WHOLE


def test_training_makes_no_array_of_all_differences(model, data):
    assert largest_allocation(lambda: model.fit(**data)) < WHOLE / 4


def test_calibrating_makes_no_array_of_all_differences(model, data):
    model.set_params(contamination="auto", calibration_fraction=0.5)
    assert largest_allocation(lambda: model.fit(**data)) < WHOLE / 4
    assert len(model.calibration_indices_) == N_ROWS // 2  # one of two in each cluster


def test_scoring_makes_no_array_of_all_differences(model, data):
    model.fit(**data)
    assert largest_allocation(lambda: model.score_samples(data["X"])) < WHOLE / 4


def test_the_means_of_clusters_take_no_copy_of_the_embeddings():
    embeddings = np.ones((20_000, 128), dtype=np.float32)
    groups = np.arange(len(embeddings)) % 10
    used = largest_allocation(lambda: cluster_means(embeddings, groups))
    assert used < embeddings.nbytes / 2


def test_the_means_of_classes_that_are_not_in_a_batch_are_not_compared():
    z, y = torch.zeros(8, 4, requires_grad=True), torch.arange(8)
    n_classes = 1000
    used = largest_allocation(lambda: IILoss(n_classes)(z, y).backward())
    assert used < n_classes**2  # one byte for each pair of classes
