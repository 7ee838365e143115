"""Fits and scores on a CUDA device; run with ``python -m pytest -m gpu``."""

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from sk_hypersphere import (
    HSC,
    CACClassifier,
    CenterLossClassifier,
    DeepSAD,
    DeepSVDD,
    EIDNEmbedder,
    IILossClassifier,
    ISIFEmbedder,
    MCHADClassifier,
    SubclusterDetector,
)
from sk_hypersphere.modules import AugmentRows

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def X():
    return np.random.RandomState(0).normal(size=(500, 8)).astype(np.float32)


@pytest.mark.parametrize("multi_radius", [False, True])
def test_scores_on_the_device_equal_scores_on_the_cpu(X, multi_radius):
    params = {"multi_radius": multi_radius, "max_epochs": 0, "random_state": 0}
    on_cpu = DeepSVDD(device="cpu", **params).fit(X)
    on_gpu = pickle.loads(pickle.dumps(on_cpu)).set_params(device="cuda")
    np.testing.assert_allclose(
        on_gpu.score_samples(X), on_cpu.score_samples(X), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize(
    "make", [CACClassifier, CenterLossClassifier, IILossClassifier, MCHADClassifier]
)
def test_a_classifier_learns_on_the_device_and_predicts_alike_on_the_cpu(make, X):
    y = np.where(X[:, 0] > 0, "right", "left")
    params = {"max_epochs": 10, "lr": 1e-2, "random_state": 0}
    on_gpu = make(device="cuda", **params).fit(X, y)
    on_cpu = pickle.loads(pickle.dumps(on_gpu)).set_params(device="cpu")
    assert on_gpu.score(X, y) > 0.9
    np.testing.assert_allclose(
        on_gpu.predict_proba(X), on_cpu.predict_proba(X), rtol=1e-2, atol=1e-3
    )
    np.testing.assert_allclose(
        on_gpu.score_samples(X), on_cpu.score_samples(X), rtol=1e-2, atol=1e-3
    )


@pytest.mark.parametrize("make", [CACClassifier, CenterLossClassifier, MCHADClassifier])
def test_example_anomalies_are_learned_from_on_the_device(make, X):
    y = np.where(np.abs(X[:, 1]) > 1.5, -1, X[:, 0] > 0)
    fitted = make(anomaly_label=-1, device="cuda", max_epochs=2).fit(X, y)
    assert fitted.classes_.tolist() == [0, 1]
    assert np.isfinite(fitted.score_samples(X)).all()


@pytest.mark.parametrize(
    "detector",
    [HSC("hsc"), HSC("bce"), HSC("focal"), DeepSAD()],
    ids=["HSC", "HSC-bce", "HSC-focal", "DeepSAD"],
)
def test_a_detector_learns_from_anomalies_on_the_device_and_scores_alike_on_the_cpu(
    detector, X
):
    y = np.where(X[:, 0] > 1, -1, 1)
    params = {"max_epochs": 30, "lr": 1e-2, "random_state": 0}
    on_gpu = clone(detector).set_params(device="cuda", **params).fit(X, y)
    on_cpu = pickle.loads(pickle.dumps(on_gpu)).set_params(device="cpu")
    assert roc_auc_score(y, on_gpu.score_samples(X)) > 0.95
    np.testing.assert_allclose(
        on_gpu.score_samples(X), on_cpu.score_samples(X), rtol=1e-2, atol=1e-2
    )


def test_without_labels_deep_sad_is_deep_svdd_on_the_device_too(X):
    params = {"device": "cuda", "max_epochs": 0, "random_state": 0}
    ours, theirs = (make(**params).fit(X) for make in (DeepSAD, DeepSVDD))
    np.testing.assert_array_equal(ours.centers_, theirs.centers_)
    np.testing.assert_array_equal(ours.score_samples(X), theirs.score_samples(X))


def test_training_keeps_the_data_on_the_device(X):
    detector = DeepSVDD(device="cuda", max_epochs=2, random_state=0).fit(X)
    assert next(detector.net_.module_.parameters()).is_cuda
    again = DeepSVDD(device="cuda", max_epochs=2, random_state=0).fit(X)
    np.testing.assert_array_equal(detector.centers_, again.centers_)


def test_a_pickle_of_a_model_on_the_device_holds_cpu_tensors(X):
    detector = DeepSVDD(device="cuda", max_epochs=1, random_state=0).fit(X)
    net = pickle.loads(pickle.dumps(detector)).net_
    assert not any(tensor.is_cuda for tensor in net.module_.state_dict().values())
    assert next(detector.net_.module_.parameters()).is_cuda


def test_fitting_leaves_the_stream_of_the_device_as_it_was(X):
    before = torch.cuda.get_rng_state()
    DeepSVDD(device="cuda", max_epochs=1, random_state=0).fit(X)
    assert torch.equal(before, torch.cuda.get_rng_state())


@pytest.mark.parametrize("score_rule", ["msp", "odin", "energy", "mahalanobis", "knn"])
def test_sub_clusters_learned_on_the_device_score_alike_on_the_cpu(score_rule, X):
    params = {"score_rule": score_rule, "epsilon": 0.1, "augment": AugmentRows()}
    on_gpu = SubclusterDetector(**params, device="cuda", max_epochs=5, random_state=0)
    on_gpu.fit(X, cluster_labels=X[:, 0] > 0)
    assert on_gpu.diagnostics_["accuracy"] > 0.9
    on_cpu = pickle.loads(pickle.dumps(on_gpu)).set_params(device="cpu")
    scores = on_gpu.score_samples(X)
    np.testing.assert_allclose(scores, on_cpu.score_samples(X), rtol=0.05, atol=0.05)
    with torch.inference_mode():  # a fresh copy is moved to the device here
        copy = pickle.loads(pickle.dumps(on_gpu))
        np.testing.assert_allclose(copy.score_samples(X), scores, rtol=1e-3, atol=1e-3)


def test_instances_are_embedded_alike_on_the_device_and_the_cpu(X):
    on_gpu = ISIFEmbedder(device="cuda", max_epochs=2, random_state=0).fit(X)
    on_cpu = pickle.loads(pickle.dumps(on_gpu)).set_params(device="cpu")
    np.testing.assert_allclose(on_gpu.transform(X), on_cpu.transform(X), atol=1e-2)


@pytest.mark.parametrize("triplets", ["all", "random"])
def test_anomalies_are_isolated_on_the_device_and_score_alike_on_the_cpu(triplets, X):
    y = np.where(X[:, 0] > 1, -1, 1)
    params = {"triplets": triplets, "augment": AugmentRows(), "random_state": 0}
    on_gpu = EIDNEmbedder(device="cuda", **params).fit(X, y)
    on_cpu = pickle.loads(pickle.dumps(on_gpu)).set_params(device="cpu")
    assert roc_auc_score(y, on_gpu.score_samples(X)) > 0.9
    np.testing.assert_allclose(
        on_gpu.score_samples(X), on_cpu.score_samples(X), rtol=1e-2, atol=1e-2
    )


def n_waits(estimator, X, y):
    """Count how often the host waits for the device in a fit."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            estimator.fit(X, y)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return len(caught)


@pytest.mark.parametrize(
    "make",
    [
        DeepSVDD,
        partial(DeepSVDD, "soft-boundary"),
        partial(MCHADClassifier, anomaly_label=-1),
        partial(CACClassifier, anomaly_label=-1),
        IILossClassifier,
        DeepSAD,
        HSC,
    ],
    ids=["DeepSVDD", "soft boundary", "MCHAD", "CAC", "II", "DeepSAD", "HSC"],
)
def test_the_host_does_not_wait_for_the_device_after_each_batch(make, X):
    y = np.where(X[:, 1] > 1.5, -1, 1 + (X[:, 0] > 0))
    params = {"device": "cuda", "max_epochs": 2, "random_state": 0}
    few, many = (make(batch_size=size, **params) for size in (250, 10))
    few.fit(X, y)  # this fit loads libraries
    assert n_waits(many, X, y) == n_waits(few, X, y)


# torch's compiler uses parts of torch that torch has deprecated.
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "net_params", [{"autocast": torch.bfloat16}, {"compile": True}], ids=str
)
def test_options_of_the_net_train_on_the_device_to_nearly_the_same_scores(
    net_params, X
):
    params = {"device": "cuda", "max_epochs": 5, "random_state": 0}
    plain = DeepSVDD(**params).fit(X)
    other = DeepSVDD(**params, net_params=net_params).fit(X)
    weights = other.net_.module_.parameters()
    assert all(weight.dtype == torch.float32 for weight in weights)
    np.testing.assert_allclose(
        other.score_samples(X), plain.score_samples(X), rtol=0.1, atol=0.05
    )
