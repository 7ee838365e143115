"""Tests of HSC alone; the contract is in test_semi_supervised.py."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from torch import nn

from sk_hypersphere import HSC
from sk_hypersphere.exceptions import SupervisionWarning

SMALL = {"max_epochs": 3, "lr": 1e-2, "random_state": 0}
LEARNS = {**SMALL, "max_epochs": 40}
EVERY_LOSS = pytest.mark.parametrize("loss", ["hsc", "bce", "focal"])
EVERY_RADIAL_FUNCTION = pytest.mark.parametrize("radial", ["pseudo-huber", "squared"])


@pytest.fixture(scope="module")
def data():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(100, 3)).astype(np.float32)
    X[80:, 0] += 5
    return X, np.repeat([1, -1], [80, 20])


def naive_evidence(detector, X, radial):
    """The radial function of the distance to the origin, row by row, in float64."""
    sq_norms = [np.sum(z**2) for z in detector.transform(X).astype(np.float64)]
    if radial == "squared":
        return np.array(sq_norms)
    return np.array([np.sqrt(value + 1) - 1 for value in sq_norms])


def naive_logits(detector, X):
    """Logits of the linear head for embeddings, in float64."""
    head = detector.net_.module_.head
    weight, bias = (p.detach().double().numpy() for p in (head.weight, head.bias))
    return detector.transform(X).astype(np.float64) @ weight[0] + bias[0]


# Scores


@EVERY_RADIAL_FUNCTION
def test_the_score_is_minus_the_evidence(data, radial):
    fitted = HSC(radial=radial, **SMALL).fit(*data)
    np.testing.assert_allclose(
        fitted.score_samples(data[0]),
        -naive_evidence(fitted, data[0], radial),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("loss", ["bce", "focal"])
def test_the_score_is_minus_the_logit(data, loss):
    fitted = HSC(loss, **SMALL).fit(*data)
    np.testing.assert_allclose(
        fitted.score_samples(data[0]), -naive_logits(fitted, data[0]), atol=1e-5
    )


@EVERY_RADIAL_FUNCTION
def test_the_threshold_of_hsc_is_a_probability_of_one_half(data, radial):
    X, y = data
    fitted = HSC(radial=radial, contamination="boundary", **LEARNS).fit(X, y)
    probability = np.exp(fitted.score_samples(X))  # of a normal row
    assert {*fitted.predict(X)} == {-1, 1}
    np.testing.assert_array_equal(fitted.predict(X), np.where(probability < 0.5, -1, 1))


@pytest.mark.parametrize("loss", ["bce", "focal"])
def test_the_threshold_of_a_logit_is_a_probability_of_one_half(data, loss):
    X, y = data
    fitted = HSC(loss, contamination="boundary", **LEARNS).fit(X, y)
    probability = 1 / (1 + np.exp(naive_logits(fitted, X)))  # of a normal row
    assert fitted.offset_ == 0
    assert {*fitted.predict(X)} == {-1, 1}
    np.testing.assert_array_equal(fitted.predict(X), np.where(probability < 0.5, -1, 1))


@EVERY_LOSS
def test_the_boundary_holds_nothing_out_and_auto_does(data, loss):
    X, y = data
    own, auto = (
        HSC(loss, contamination=how, **SMALL).fit(X, y) for how in ("boundary", "auto")
    )
    assert len(own.calibration_indices_) == 0
    assert len(auto.calibration_indices_) == 26  # a third of 80
    assert (y[auto.calibration_indices_] == 1).all()
    assert own.offset_ != auto.offset_


@EVERY_LOSS
def test_far_anomalies_rank_where_the_probability_is_1(data, loss):
    encoder = nn.Linear(3, 2, bias=False)
    fitted = HSC(loss, encoder=encoder, **LEARNS).fit(*data)
    ray = np.geomspace(1e4, 1e8, 50)[:, None] * np.array([[1.0, 0.0, 0.0]])
    scores = fitted.score_samples(ray)
    saturated = {
        "hsc": 1 - np.exp(scores.astype(np.float32)),
        "bce": 1 / (1 + np.exp(scores.astype(np.float32))),
    }
    assert (saturated.get(loss, saturated["bce"]) == 1).all()
    assert (np.diff(scores) < 0).all()


@EVERY_RADIAL_FUNCTION
def test_what_is_far_is_abnormal_in_every_direction(data, radial):
    fitted = HSC(radial=radial, **LEARNS).fit(*data)
    far = 1e3 * np.vstack([np.eye(3), -np.eye(3)])
    assert (fitted.predict(far) == -1).all()
    assert fitted.score_samples(far).max() < fitted.score_samples(data[0]).min()


# The center


def test_the_center_is_the_origin_and_stays(data):
    fitted = HSC(**SMALL).fit(*data)
    assert not fitted.net_.module_.head.centers.any()
    names = [name for name, _ in fitted.net_.module_.named_parameters()]
    assert all(name.startswith("encoder.") for name in names)


def test_without_anomalies_the_threshold_is_placed_as_with_them(data):
    X, _ = data
    fitted = HSC(contamination=0.1, **SMALL).fit(X)
    assert np.mean(fitted.predict(X) == -1) == pytest.approx(0.1)
    fitted = HSC(**SMALL).fit(X)
    scores = fitted.score_samples(X[fitted.calibration_indices_])
    assert len(scores) == 33
    assert fitted.offset_ == np.quantile(scores, 0.05, method="weibull")


def test_an_encoder_without_anything_to_train_is_refused(data):
    with pytest.raises(ValueError, match="Add a layer.*or take DeepSVDD"):
        HSC(encoder=nn.Identity(), **SMALL).fit(*data)


@pytest.mark.parametrize("loss", ["bce", "focal"])
def test_a_logit_is_learned_of_what_is_not_trained(data, loss):
    fitted = HSC(loss, encoder=nn.Identity(), **LEARNS).fit(*data)
    assert fitted.diagnostics_["n_trained_parameters"] == 4
    assert roc_auc_score(data[1], fitted.score_samples(data[0])) > 0.95


def test_the_center_goes_with_a_loss_that_has_none(data):
    fitted = HSC(**SMALL).fit(*data)
    assert (fitted.centers_ == 0).all()
    assert not hasattr(fitted.set_params(loss="bce").fit(*data), "centers_")


# Losses


def test_without_gamma_the_focal_loss_is_bce(data):
    X, y = data
    focal = HSC("focal", gamma=0.0, **SMALL).fit(X, y)
    bce = HSC("bce", gamma=3.0, **SMALL).fit(X, y)
    np.testing.assert_array_equal(focal.score_samples(X), bce.score_samples(X))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"radial": "squared"}, {"radial": "pseudo-huber"}),
        ({"loss": "focal", "gamma": 1.0}, {"loss": "focal", "gamma": 4.0}),
        ({"loss": "hsc"}, {"loss": "bce"}),
        ({"anomaly_ratio": 1.0}, {"anomaly_ratio": 0.1}),
    ],
    ids=["radial", "gamma", "loss", "anomaly_ratio"],
)
def test_parameters_of_the_loss_reach_it(data, one, other):
    X, y = data
    first, second = (HSC(**{**SMALL, **p}).fit(X, y).transform(X) for p in (one, other))
    assert np.abs(first - second).max() > 0


@pytest.mark.parametrize(("first", "then"), [("hsc", "bce"), ("bce", "hsc")])
def test_a_warm_start_with_another_loss_keeps_the_encoder(data, first, then):
    X, y = data
    fitted = HSC(first, warm_start=True, **SMALL).fit(X, y)
    before = fitted.transform(X)
    fitted.set_params(loss=then, max_epochs=0).fit(X, y)
    np.testing.assert_array_equal(fitted.transform(X), before)
    head = HSC(then, **SMALL).fit(X, y).net_.module_.head
    assert type(fitted.net_.module_.head) is type(head)
    assert np.isfinite(fitted.score_samples(X)).all()


# Labels


@pytest.mark.parametrize("loss", ["bce", "focal"])
def test_a_logit_without_example_anomalies_is_warned_of(data, loss):
    X, _ = data
    for y in (None, np.zeros(len(X)), np.ones(len(X))):
        with pytest.warns(SupervisionWarning, match=f"got '{loss}'.*use DeepSVDD"):
            HSC(loss, **SMALL).fit(X, y)


def test_hsc_learns_without_example_anomalies(data):
    X, y = data
    fitted = HSC(**LEARNS).fit(X[y == 1])
    assert np.mean(fitted.predict(X[y == 1]) == 1) > 0.8
    assert (fitted.predict(1e3 * np.vstack([np.eye(3), -np.eye(3)])) == -1).all()


@EVERY_LOSS
def test_labels_of_every_convention_give_the_same_bits(data, loss):
    X, y = data
    is_anomaly = y == -1
    conventions = [
        (y, None),
        (is_anomaly.astype(int), None),
        (is_anomaly, None),
        (np.where(is_anomaly, -1, 0), None),
        (is_anomaly.astype(float), None),
        (np.where(is_anomaly, "bad", "good"), "bad"),
        (np.where(is_anomaly, 3, 7), 3),
        (np.where(is_anomaly, -1, np.arange(len(y)) % 3), None),
    ]
    fits = [
        HSC(loss, anomaly_label=anomaly_label, **SMALL).fit(X, labels)
        for labels, anomaly_label in conventions
    ]
    for fitted in fits:
        np.testing.assert_array_equal(fitted.score_samples(X), fits[0].score_samples(X))
        assert fitted.offset_ == fits[0].offset_


@pytest.mark.parametrize("radial", ["pseudo-huber", "squared"])
def test_what_is_so_far_that_its_distance_overflows_is_an_anomaly(radial):
    X = np.random.RandomState(0).normal(size=(60, 4)).astype(np.float32)
    y = np.where(X[:, 0] > 1, -1, 1)
    fitted = HSC(radial=radial, random_state=0).fit(X, y)
    fill_values = np.float32([[1e20, 0, 0, 0], [3e38, 0, 0, 0]])
    assert not np.isnan(fitted.score_samples(fill_values)).any()
    assert (fitted.predict(fill_values) == -1).all()
