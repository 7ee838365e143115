"""Laws of the detectors that learn from a few anomalies."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, EarlyStopping
from skorch.dataset import ValidSplit
from torch import nn

from sk_hypersphere import HSC, DeepSAD
from sk_hypersphere._training.rows import labels_of, unwrapped
from sk_hypersphere._training.samplers import in_order
from sk_hypersphere.exceptions import CalibrationWarning, SupervisionWarning

LEARNS = {"max_epochs": 40, "lr": 1e-2, "random_state": 0}
DETECTORS = {
    "HSC-hsc": HSC("hsc", **LEARNS),
    "HSC-squared": HSC("hsc", radial="squared", **LEARNS),
    "HSC-bce": HSC("bce", **LEARNS),
    "HSC-focal": HSC("focal", **LEARNS),
    "DeepSAD": DeepSAD(**LEARNS),
}
EVERY_DETECTOR = pytest.mark.parametrize("detector", DETECTORS.values(), ids=DETECTORS)

# For tests that train on no anomalies on purpose.
NO_ANOMALIES = pytest.mark.filterwarnings(
    "ignore::sk_hypersphere.exceptions.SupervisionWarning"
)


def draw(n_normal, n_anomalies, seed=0):
    """Normal rows around the origin, anomalies beside them, and +1 or -1 for each."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n_normal + n_anomalies, 4)).astype(np.float32)
    X[n_normal:, 0] += 4
    return X, np.repeat([1, -1], [n_normal, n_anomalies])


class Remembers(Callback):
    """Note which rows are trained on."""

    trained_on = None  # of the class, because fit copies callbacks

    def on_train_begin(self, net, X=None, **kwargs):
        type(self).trained_on = unwrapped(X)[1]


@pytest.fixture(scope="module")
def data():
    return draw(120, 30)


def fresh(detector, **params):
    return clone(detector).set_params(**params)


# Labels.


@EVERY_DETECTOR
def test_new_anomalies_of_a_kind_that_was_shown_are_found(detector, data):
    fitted = fresh(detector).fit(*data)
    X, y = draw(100, 100, seed=1)
    assert roc_auc_score(y, fitted.score_samples(X)) > 0.97
    assert (fitted.predict(X[y == -1]) == -1).mean() > 0.8


@EVERY_DETECTOR
def test_a_few_labels_are_enough(detector, data):
    X, y = draw(120, 4)
    fitted = fresh(detector).fit(X, y)
    X, y = draw(100, 100, seed=1)
    assert roc_auc_score(y, fitted.score_samples(X)) > 0.9


@NO_ANOMALIES
@EVERY_DETECTOR
def test_anomalies_rank_lower_with_their_label_than_without(detector, data):
    X, y = data
    with_labels = fresh(detector).fit(X, y).score_samples(X)
    without = fresh(detector).fit(X).score_samples(X)
    assert roc_auc_score(y, with_labels) > roc_auc_score(y, without)


@EVERY_DETECTOR
def test_anomalies_of_images_are_learned_from(detector):
    rng = np.random.RandomState(0)
    images = rng.randint(0, 100, (60, 1, 8, 8)).astype(np.uint8)
    images[40:, :, :, :4] += 100  # bright on the left
    y = np.repeat([1, -1], [40, 20])
    fitted = fresh(detector, max_epochs=15).fit(images, y)
    assert roc_auc_score(y, fitted.score_samples(images)) > 0.95


@EVERY_DETECTOR
def test_example_anomalies_are_counted(detector, data):
    fitted = fresh(detector, max_epochs=1).fit(*data)
    assert fitted.diagnostics_["n_example_anomalies"] == 30


# Which labels there may be.


@NO_ANOMALIES
@EVERY_DETECTOR
def test_no_labels_are_labels_of_0(detector, data):
    X, _ = data
    params = {"max_epochs": 2}
    without = fresh(detector, **params).fit(X)
    of_0 = fresh(detector, **params).fit(X, np.zeros(len(X)))
    np.testing.assert_array_equal(without.score_samples(X), of_0.score_samples(X))
    assert without.offset_ == of_0.offset_


@NO_ANOMALIES
@EVERY_DETECTOR
@pytest.mark.parametrize(
    "make_labels",
    [
        lambda y: np.arange(len(y)) % 3,
        lambda y: np.where(y == 1, "good", "bad"),
        lambda y: np.random.RandomState(0).normal(size=len(y)),
    ],
    ids=["three-classes", "text", "target-of-regression"],
)
def test_labels_that_are_no_supervision_are_ignored_with_a_warning(
    detector, make_labels, data
):
    X, y = data
    ignored, without = fresh(detector, max_epochs=2), fresh(detector, max_epochs=2)
    with pytest.warns(SupervisionWarning, match="Set anomaly_label, or give y=None"):
        ignored.fit(X, make_labels(y))
    without.fit(X)
    np.testing.assert_array_equal(ignored.score_samples(X), without.score_samples(X))
    assert ignored.offset_ == without.offset_


@EVERY_DETECTOR
def test_a_warning_is_about_the_line_that_called_fit(detector, data):
    X, y = data
    model = make_pipeline(StandardScaler(), fresh(detector, max_epochs=1))
    with pytest.warns(SupervisionWarning) as caught:
        model.fit(X, np.arange(len(X)) % 3)
    assert {warning.filename for warning in caught} == {__file__}


@EVERY_DETECTOR
def test_anomalies_alone_are_refused(detector, data):
    X, _ = data
    with pytest.raises(ValueError, match="y must hold samples that are not anomalies"):
        fresh(detector).fit(X, np.full(len(X), -1))


@EVERY_DETECTOR
@pytest.mark.parametrize("missing", [None, np.nan])
def test_missing_labels_are_refused(detector, missing, data):
    X, y = data
    labels = y.astype(object)
    labels[3] = missing
    with pytest.raises(ValueError, match="NaN"):
        fresh(detector).fit(X, labels)


@EVERY_DETECTOR
def test_labels_of_other_samples_are_refused(detector, data):
    X, y = data
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fresh(detector).fit(X, y[1:])


@EVERY_DETECTOR
@pytest.mark.parametrize("label", [np.nan, np.inf])
def test_an_anomaly_label_that_no_label_can_equal_is_refused(detector, label, data):
    with pytest.raises(ValueError, match="'anomaly_label' parameter .* must be"):
        fresh(detector, anomaly_label=label).fit(*data)


# The threshold.


@EVERY_DETECTOR
@pytest.mark.parametrize("contamination", [0.05, 0.5])
def test_contamination_counts_rows_that_are_not_labelled_anomalies(
    detector, contamination, data
):
    X, y = data
    fitted = fresh(detector, contamination=contamination).fit(X, y)
    counted = fitted.predict(X[y == 1])
    assert np.mean(counted == -1) == pytest.approx(contamination, abs=1 / len(counted))


@EVERY_DETECTOR
def test_samples_held_out_place_the_threshold_and_are_not_trained_on(detector):
    X, y = draw(300, 10)
    params = {"calibration_fraction": 0.1, "false_alarm_rate": 0.3}
    fitted = fresh(detector, callbacks=[Remembers()], **params).fit(X, y)
    held_out = fitted.calibration_indices_
    assert len(held_out) == 30 and (y[held_out] == 1).all()
    others = np.setdiff1d(np.arange(310), held_out)
    np.testing.assert_array_equal(np.sort(Remembers.trained_on), others)
    assert (fitted.predict(X[held_out]) == -1).sum() == 9


@EVERY_DETECTOR
@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_as_many_new_rows_fall_outside_as_promised(detector, rate):
    X, y = draw(600, 10)
    wide = np.random.RandomState(1).normal(size=(2610, 100))  # easy to learn by heart
    X, new = np.c_[X, wide[:610]], np.c_[draw(2000, 0, seed=2)[0], wide[610:]]
    params = {"false_alarm_rate": rate, "calibration_fraction": 0.5}
    fitted = fresh(detector, **params).fit(X, y)
    outside = np.mean(fitted.predict(new) == -1)
    assert outside == pytest.approx(rate, abs=0.08)  # three deviations
    naive = fitted.set_params(contamination=rate).fit(X, y)
    assert np.mean(naive.predict(new) == -1) > outside


@NO_ANOMALIES
@EVERY_DETECTOR
def test_samples_are_held_out_where_no_anomaly_is_known_too(detector, data):
    X, _ = data
    params = {"max_epochs": 1, "callbacks": [Remembers()]}
    fitted = fresh(detector, **params).fit(X)
    held_out = fitted.calibration_indices_
    assert len(held_out) == 50  # a third of 150
    others = np.setdiff1d(np.arange(150), held_out)
    np.testing.assert_array_equal(np.sort(Remembers.trained_on), others)
    place = np.quantile(fitted.score_samples(X[held_out]), 0.05, method="weibull")
    assert fitted.offset_ == place


@NO_ANOMALIES
@EVERY_DETECTOR
def test_with_a_number_or_the_boundary_all_samples_are_trained_on(detector, data):
    X, y = data
    for contamination in (0.1, "boundary"):
        for labels in (y, None):
            params = {"max_epochs": 1, "contamination": contamination}
            fitted = fresh(detector, callbacks=[Remembers()], **params).fit(X, labels)
            np.testing.assert_array_equal(np.sort(Remembers.trained_on), np.arange(150))
            assert len(fitted.calibration_indices_) == 0


@EVERY_DETECTOR
def test_fit_predict_learns_from_labels(detector, data):
    X, y = data
    at_once = fresh(detector, max_epochs=2).fit_predict(X, y)
    np.testing.assert_array_equal(
        at_once, fresh(detector, max_epochs=2).fit(X, y).predict(X)
    )


@EVERY_DETECTOR
def test_contamination_moves_the_threshold_and_not_the_scores(detector, data):
    X, y = data
    loose, strict = (
        fresh(detector, contamination=c, max_epochs=2).fit(X, y) for c in (0.1, 0.4)
    )
    np.testing.assert_array_equal(loose.score_samples(X), strict.score_samples(X))
    assert loose.offset_ < strict.offset_


@pytest.mark.parametrize(
    "detector",
    [HSC(), HSC(radial="squared"), DeepSAD(epsilon=1e-6, center="origin")],
)
def test_anomalies_right_at_the_center_are_pushed_away(detector):
    # The identity, so that they are; normal rows pull the bias down.
    encoder = nn.Linear(3, 3)
    nn.init.eye_(encoder.weight)
    nn.init.zeros_(encoder.bias)
    X = np.r_[np.ones((40, 3)), np.zeros((20, 3))]
    y = np.repeat([1, -1], [40, 20])
    fitted = clone(detector).set_params(encoder=encoder, max_epochs=1).fit(X, y)
    assert (fitted.transform(np.zeros((1, 3))) > 0).all()


# Batches.


@EVERY_DETECTOR
@pytest.mark.parametrize("ratio", [0.1, 1.0, 3.0])
def test_batches_have_example_anomalies_in_the_chosen_ratio(detector, ratio, data):
    class Batches(Callback):
        seen = []  # of the class, because fit copies callbacks

        def on_batch_begin(self, net, batch=None, training=None, **kwargs):
            self.seen.append(batch[1].numpy())

    params = {"anomaly_ratio": ratio, "batch_size": 60, "max_epochs": 2}
    params["contamination"] = 0.1  # for which all rows are trained on
    fresh(detector, callbacks=[Batches()], **params).fit(*data)
    assert len(Batches.seen) == 2 * 2
    for labels in Batches.seen:
        assert (labels == 1).sum() == 60
        assert (labels == -1).sum() == np.ceil(60 * ratio)


def scores_of(detector, X, y, **params):
    return fresh(detector, max_epochs=2, **params).fit(X, y).score_samples(X)


@EVERY_DETECTOR
def test_by_default_anomalies_of_rows_are_mixed(detector, data):
    auto, yes, no = (
        scores_of(detector, *data, mix_anomalies=mix) for mix in ("auto", True, False)
    )
    np.testing.assert_array_equal(auto, yes)
    assert not np.array_equal(auto, no)


@EVERY_DETECTOR
def test_by_default_anomalies_of_images_are_not_mixed(detector):
    images = np.random.RandomState(0).rand(30, 1, 8, 8)
    y = np.repeat([1, -1], [20, 10])
    auto, yes, no = (
        scores_of(detector, images, y, mix_anomalies=mix, contamination=0.1)
        for mix in ("auto", True, False)
    )
    np.testing.assert_array_equal(auto, no)
    assert not np.array_equal(auto, yes)


@EVERY_DETECTOR
def test_a_single_anomaly_is_mixed_with_itself(detector):
    X, y = draw(60, 1)
    yes, no = (scores_of(detector, X, y, mix_anomalies=mix) for mix in (True, False))
    np.testing.assert_allclose(yes, no, rtol=1e-4, atol=1e-5)


@EVERY_DETECTOR
def test_a_sampler_of_the_user_has_batches_that_are_not_mixed(detector, data):
    sampler = {"net__iterator_train__sampler": in_order}
    yes, no = (
        fresh(detector, mix_anomalies=mix, max_epochs=2)
        .set_params(**sampler)
        .fit(*data)
        .score_samples(data[0])
        for mix in (True, False)
    )
    np.testing.assert_array_equal(yes, no)


@EVERY_DETECTOR
def test_a_single_example_anomaly_is_enough(detector):
    X, y = draw(120, 1)
    fitted = fresh(detector, batch_size=32).fit(X, y)
    scores = fitted.score_samples(X)
    assert np.isfinite(scores).all()
    assert scores[-1] == scores.min()


@EVERY_DETECTOR
def test_a_single_normal_row_among_anomalies_is_fitted(detector):
    X, y = draw(1, 20)
    for contamination in (0.1, "boundary"):
        params = {"max_epochs": 3, "contamination": contamination}
        fitted = fresh(detector, **params).fit(X, y)
        assert np.isfinite(fitted.score_samples(X)).all()
        assert np.isfinite(fitted.offset_)
    fitted = fresh(detector, max_epochs=3)
    with pytest.warns(CalibrationWarning, match="got 0 of 1. The threshold is placed"):
        fitted.fit(X, y)
    assert fitted.offset_ == fitted.score_samples(X)[0]
    assert len(fitted.calibration_scores_) == 0


# How long.


@EVERY_DETECTOR
def test_the_automatic_length_reaches_the_net(detector):
    X, y = draw(392, 5)  # 49 batches of 8 normal rows
    automatic = {"max_epochs": "auto", "lr": "auto", "batch_size": 8}
    automatic["contamination"] = 0.1
    fitted = fresh(detector, **automatic).fit(X, y)
    assert fitted.n_iter_ == 2
    assert fitted.net_.lr == pytest.approx(5e-4 * 50 / 98)
    automatic |= {"contamination": "auto", "calibration_fraction": 0.5}
    fitted = fresh(detector, **automatic).fit(X, y)
    assert fitted.net_.lr == pytest.approx(5e-4)  # 2 epochs of 25 batches


# Early stopping.


@EVERY_DETECTOR
def test_a_stratified_validation_split_keeps_both_kinds_and_stops_early(detector):
    class Splits(Callback):
        seen = []  # of the class, because fit copies callbacks

        def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
            self.seen.append((labels_of(dataset_train), labels_of(dataset_valid)))

    X, y = draw(100, 20)
    rng = np.random.RandomState(0)
    X[rng.permutation(100)[:20], 0] += 4  # unlabelled anomalies: losses soon rise again
    params = {"callbacks": [Splits(), EarlyStopping(patience=3)], "max_epochs": 300}
    split = {"net__train_split": ValidSplit(5, stratified=True)}
    split["contamination"] = 0.1
    fitted = fresh(detector).set_params(**params, **split).fit(X, y)
    for train, valid in Splits.seen:
        assert ((train == 1).sum(), (train == -1).sum()) == (80, 16)
        assert ((valid == 1).sum(), (valid == -1).sum()) == (20, 4)
    assert fitted.n_iter_ == len(Splits.seen) < 300


@EVERY_DETECTOR
def test_a_split_that_leaves_no_anomaly_to_train_on_is_refused(detector):
    X, y = draw(60, 1)
    split = {"net__train_split": ValidSplit(5)}  # the last fifth first
    model = fresh(detector).set_params(**split)
    with pytest.raises(ValueError, match="train_split must leave example anomalies"):
        model.fit(X[::-1], y[::-1])


# Warm start.


@EVERY_DETECTOR
def test_warm_start_goes_on_with_the_former_weights(detector, data):
    params = {"max_epochs": 2, "lr": 1e-3, "contamination": 0.1}
    fitted = fresh(detector, warm_start=True, **params).fit(*data)
    first = fitted.net_.history[-1, "train_loss"]
    fitted.fit(*data)
    cold = fresh(detector, **params).fit(*data)
    assert cold.net_.history[-1, "train_loss"] == first
    assert fitted.net_.history[0, "train_loss"] < first
    assert fitted.n_iter_ == 2


@EVERY_DETECTOR
def test_a_warm_start_holds_the_same_samples_out_again(detector, data):
    params = {"warm_start": True, "max_epochs": 1, "random_state": None}
    fitted = fresh(detector, **params).fit(*data)
    before = fitted.calibration_indices_
    np.testing.assert_array_equal(fitted.fit(*data).calibration_indices_, before)


@NO_ANOMALIES
@EVERY_DETECTOR
def test_anomalies_that_become_known_later_are_learned_in_a_warm_start(detector, data):
    X, y = data
    fitted = fresh(detector, warm_start=True).fit(X)
    before = roc_auc_score(y, fitted.score_samples(X))
    fitted.fit(X, y)
    assert roc_auc_score(y, fitted.score_samples(X)) > max(before, 0.95)
