"""What detectors share that may be shown a few anomalies."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from skorch.callbacks import Callback, EarlyStopping
from skorch.dataset import ValidSplit

from sk_hypersphere import HSC, DeepSAD
from sk_hypersphere._batches import labels_of
from sk_hypersphere.exceptions import SupervisionWarning

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


@pytest.fixture(scope="module")
def data():
    return draw(120, 30)


def fresh(detector, **params):
    return clone(detector).set_params(**params)


# What labels are for.


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
def test_contamination_moves_the_threshold_and_not_the_scores(detector, data):
    X, y = data
    loose, strict = (
        fresh(detector, contamination=c, max_epochs=2).fit(X, y) for c in (0.1, 0.4)
    )
    np.testing.assert_array_equal(loose.score_samples(X), strict.score_samples(X))
    assert loose.offset_ < strict.offset_


# Batches.


@EVERY_DETECTOR
@pytest.mark.parametrize("ratio", [0.1, 1.0, 3.0])
def test_batches_have_example_anomalies_in_the_chosen_ratio(detector, ratio, data):
    class Batches(Callback):
        seen = []  # of the class, because fit copies callbacks

        def on_batch_begin(self, net, batch=None, training=None, **kwargs):
            self.seen.append(batch[1].numpy())

    params = {"outlier_ratio": ratio, "batch_size": 60, "max_epochs": 2}
    fresh(detector, callbacks=[Batches()], **params).fit(*data)
    assert len(Batches.seen) == 2 * 2
    for labels in Batches.seen:
        assert (labels == 1).sum() == 60
        assert (labels == -1).sum() == np.ceil(60 * ratio)


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
    fitted = fresh(detector, max_epochs=3).fit(X, y)
    assert np.isfinite(fitted.score_samples(X)).all()
    assert np.isfinite(fitted.offset_)


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
    fitted = fresh(detector).set_params(**params, **split).fit(X, y)
    for train, valid in Splits.seen:
        assert ((train == 1).sum(), (train == -1).sum()) == (80, 16)
        assert ((valid == 1).sum(), (valid == -1).sum()) == (20, 4)
    assert fitted.n_iter_ == len(Splits.seen) < 300


# Warm start.


@EVERY_DETECTOR
def test_warm_start_goes_on_with_the_former_weights(detector, data):
    fitted = fresh(detector, warm_start=True, max_epochs=2, lr=1e-3).fit(*data)
    first = fitted.net_.history[-1, "train_loss"]
    fitted.fit(*data)
    cold = fresh(detector, max_epochs=2, lr=1e-3, random_state=0).fit(*data)
    assert cold.net_.history[-1, "train_loss"] == first
    assert fitted.net_.history[0, "train_loss"] < first
    assert fitted.n_iter_ == 2


@NO_ANOMALIES
@EVERY_DETECTOR
def test_anomalies_that_become_known_later_are_learned_in_a_warm_start(detector, data):
    X, y = data
    fitted = fresh(detector, warm_start=True).fit(X)
    before = roc_auc_score(y, fitted.score_samples(X))
    fitted.fit(X, y)
    assert roc_auc_score(y, fitted.score_samples(X)) > max(before, 0.95)
