"""FitOnNormal: a detector that leaves example anomalies out."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.base import clone, is_outlier_detector
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from sk_hypersphere import DeepSVDD, FitOnNormal
from sk_hypersphere.exceptions import CalibrationWarning, SupervisionWarning
from sk_hypersphere.modules import ConvNet

FOREST = IsolationForest(n_estimators=9, random_state=0)
DETECTORS = {
    "IsolationForest": FOREST,
    "LocalOutlierFactor": LocalOutlierFactor(novelty=True),
    "OneClassSVM": OneClassSVM(),
    "EllipticEnvelope": EllipticEnvelope(random_state=0),
    "GaussianMixture": GaussianMixture(2, random_state=0),
    "pipeline": make_pipeline(StandardScaler(), FOREST),
}
EVERY_DETECTOR = pytest.mark.parametrize("detector", DETECTORS.values(), ids=DETECTORS)
RESPONSES = ("score_samples", "decision_function", "predict")


@pytest.fixture(scope="module")
def data():
    """A blob and, labelled -1, a denser one beside it; in random order."""
    rng = np.random.RandomState(0)
    X = np.concatenate([rng.normal(size=(80, 3)), rng.normal(5, 0.1, size=(20, 3))])
    y = np.repeat([1, -1], [80, 20])
    order = rng.permutation(100)
    return X[order], y[order]


def assert_same_responses(ours, theirs, X):
    for name in RESPONSES:
        if hasattr(theirs, name):
            np.testing.assert_array_equal(
                getattr(ours, name)(X), getattr(theirs, name)(X)
            )


# Samples that the detector is fitted to


@EVERY_DETECTOR
def test_it_is_the_detector_fitted_on_normal_rows(detector, data):
    X, y = data
    by_hand = clone(detector).fit(X[y == 1])
    assert_same_responses(FitOnNormal(detector).fit(X, y), by_hand, X)


@EVERY_DETECTOR
def test_without_labels_it_is_the_detector_fitted_on_all_rows(detector, data):
    X, _ = data
    by_hand = clone(detector).fit(X)
    for y in (None, np.zeros(len(X)), np.ones(len(X))):
        assert_same_responses(FitOnNormal(detector).fit(X, y), by_hand, X)


def test_labels_matter(data):
    X, y = data
    with_labels, without = (FitOnNormal(FOREST).fit(X, labels) for labels in (y, None))
    areas = [roc_auc_score(y, d.score_samples(X)) for d in (with_labels, without)]
    assert areas[0] > 0.95 and areas[0] > areas[1]


def conventions_of(y):
    is_anomaly = y == -1
    return [
        (is_anomaly.astype(int), None),
        (is_anomaly, None),
        (np.where(is_anomaly, -1, 0), None),
        (np.where(is_anomaly, "bad", "good"), "bad"),
        (np.where(is_anomaly, 3, 7), 3),
        (np.where(is_anomaly, -1, np.arange(len(y)) % 3), None),
    ]


def test_labels_of_every_convention_give_the_same_bits(data):
    X, y = data
    expected = FitOnNormal(FOREST).fit(X, y)
    for labels, anomaly_label in conventions_of(y):
        fitted = FitOnNormal(FOREST, anomaly_label=anomaly_label).fit(X, labels)
        assert_same_responses(fitted, expected, X)


LABELS = {
    "array": np.asarray,
    "list": np.ndarray.tolist,
    "pandas": lambda y: pd.Series(y, index=np.arange(len(y))[::-1]),
}


@pytest.mark.parametrize("of_labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("container", [pd.DataFrame, np.ndarray.tolist])
def test_rows_and_labels_may_come_in_any_container(data, container, of_labels):
    X, y = data
    fitted = FitOnNormal(FOREST).fit(container(X), of_labels(y))
    expected = FitOnNormal(FOREST).fit(X, y)
    np.testing.assert_array_equal(
        fitted.score_samples(container(X)), expected.score_samples(X)
    )


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_names_of_features_are_those_of_the_data_frame(data, library):
    X, y = data
    frame = library.DataFrame({"a": X[:, 0], "b": X[:, 1]})
    fitted = FitOnNormal(FOREST).fit(frame, y)
    by_hand = clone(FOREST).fit(frame)  # old versions take no names from polars
    names = getattr(by_hand, "feature_names_in_", None)
    np.testing.assert_array_equal(getattr(fitted, "feature_names_in_", None), names)
    assert fitted.n_features_in_ == 2
    np.testing.assert_array_equal(
        fitted.score_samples(frame),
        FitOnNormal(FOREST).fit(X[:, :2], y).score_samples(X[:, :2]),
    )


def test_columns_in_another_order_are_refused(data):
    X, y = data
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    fitted = FitOnNormal(FOREST).fit(frame, y)
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(frame[["b", "a", "c"]])


def test_rows_without_names_give_none(data):
    assert not hasattr(FitOnNormal(FOREST).fit(*data), "feature_names_in_")


def test_images_go_to_a_detector_of_images():
    images = np.random.RandomState(0).rand(24, 1, 8, 8).astype(np.float32)
    y = np.repeat([0, 1], [20, 4])
    detector = DeepSVDD(encoder=ConvNet, max_epochs=1, lr=1e-4, random_state=0)
    detector.set_params(contamination=0.1)  # 20 are too few to calibrate with
    by_hand = clone(detector).fit(images[:20])
    assert_same_responses(FitOnNormal(detector).fit(images, y), by_hand, images)


# Refusals and warnings


def test_labels_that_do_not_fit_are_not_used_and_warned_of(data):
    X, _ = data
    detector = FitOnNormal(FOREST)
    with pytest.warns(SupervisionWarning, match="Set anomaly_label") as caught:
        detector.fit(X, np.arange(len(X)) % 3)
    assert {warning.filename for warning in caught} == {__file__}
    assert_same_responses(detector, clone(FOREST).fit(X), X)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.full(100, -1), "y must hold samples that are not anomalies"),
        (np.full(100, np.nan), "NaN"),
        (np.ones(99), "inconsistent numbers of samples"),
    ],
    ids=["anomalies", "missing", "too few"],
)
def test_labels_that_leave_no_normal_rows_are_refused(data, y, message):
    detector = FitOnNormal(FOREST)
    with pytest.raises(ValueError, match=message):
        detector.fit(data[0], y)
    assert not hasattr(detector, "estimator_")


def test_a_refused_fit_leaves_the_former_one(data):
    X, y = data
    fitted = FitOnNormal(FOREST).fit(X, y)
    before = fitted.estimator_
    with pytest.raises(ValueError, match="not anomalies"):
        fitted.fit(X, np.full(len(X), -1))
    assert fitted.estimator_ is before


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"estimator": "forest"}, "estimator"),
        ({"estimator": None}, "estimator"),
        ({"estimator": FOREST, "anomaly_label": np.nan}, "anomaly_label"),
    ],
)
def test_wrong_parameters_are_refused(data, params, name):
    with pytest.raises(ValueError, match=f"'{name}' parameter of FitOnNormal must be"):
        FitOnNormal(**params).fit(*data)


def test_wrong_parameters_of_the_detector_are_refused(data):
    with pytest.raises(ValueError, match="'n_estimators' parameter of IsolationForest"):
        FitOnNormal(IsolationForest(n_estimators=-1)).fit(*data)


@pytest.mark.parametrize("name", RESPONSES)
def test_nothing_is_scored_before_fit(data, name):
    detector = FitOnNormal(FOREST)
    with pytest.raises(NotFittedError):
        getattr(detector, name)(data[0])


@pytest.mark.parametrize("name", ["offset_", "n_features_in_", "feature_names_in_"])
def test_fitted_attributes_are_there_after_fit_only(name):
    with pytest.raises(NotFittedError):
        getattr(FitOnNormal(FOREST), name)
    assert not hasattr(FitOnNormal(FOREST), name)


# Methods that it has


@EVERY_DETECTOR
def test_it_offers_what_the_detector_offers(detector, data):
    unfitted = FitOnNormal(detector)
    fitted = clone(unfitted).fit(*data)
    for name in RESPONSES:
        assert hasattr(unfitted, name) == hasattr(detector, name)
        assert hasattr(fitted, name) == hasattr(detector, name)


def test_a_mixture_has_scores_but_no_decisions_and_no_threshold(data):
    fitted = FitOnNormal(GaussianMixture(random_state=0)).fit(*data)
    assert np.isfinite(fitted.score_samples(data[0])).all()
    for name in ("decision_function", "offset_"):
        assert not hasattr(fitted, name)


def test_neighbors_that_tell_only_of_training_rows_offer_nothing():
    for name in RESPONSES:
        assert not hasattr(FitOnNormal(LocalOutlierFactor(novelty=False)), name)


@pytest.mark.parametrize("name", ["IsolationForest", "OneClassSVM", "pipeline"])
def test_it_is_an_outlier_detector_if_the_detector_is_one(data, name):
    assert is_outlier_detector(FitOnNormal(DETECTORS[name]))
    assert is_outlier_detector(FitOnNormal(DETECTORS[name]).fit(*data))
    assert not is_outlier_detector(FitOnNormal(GaussianMixture()))


def test_the_threshold_is_that_of_the_detector(data):
    X, y = data
    fitted = FitOnNormal(FOREST).fit(X, y)
    assert fitted.offset_ == clone(FOREST).fit(X[y == 1]).offset_
    np.testing.assert_allclose(
        fitted.decision_function(X), fitted.score_samples(X) - fitted.offset_
    )


def test_a_promise_of_the_detector_is_about_normal_rows(data):
    X, y = data
    detector = DeepSVDD(max_epochs=1, random_state=0)
    fitted, by_hand = FitOnNormal(detector).fit(X, y), clone(detector).fit(X[y == 1])
    assert len(by_hand.calibration_indices_) == 26  # a third of 80
    assert fitted.offset_ == by_hand.offset_
    np.testing.assert_array_equal(fitted.p_values(X), by_hand.p_values(X))
    assert_same_responses(fitted, by_hand, X)


def test_p_values_are_offered_where_the_detector_has_some(data):
    assert hasattr(FitOnNormal(DeepSVDD()), "p_values")
    assert not hasattr(FitOnNormal(FOREST), "p_values")
    with pytest.raises(NotFittedError):
        FitOnNormal(DeepSVDD()).p_values(data[0])


def test_too_few_normal_rows_for_a_promise_are_warned_of(data):
    X, y = data
    few = np.r_[np.flatnonzero(y == 1)[:30], np.flatnonzero(y == -1)]
    detector = FitOnNormal(DeepSVDD(max_epochs=1, random_state=0))
    with pytest.warns(CalibrationWarning, match="got 15 of 30") as caught:
        detector.fit(X[few], y[few])
    assert [warning.filename for warning in caught] == [__file__]


def test_fit_predict_learns_from_labels(data):
    X, y = data
    np.testing.assert_array_equal(
        FitOnNormal(FOREST).fit_predict(X, y), FitOnNormal(FOREST).fit(X, y).predict(X)
    )


def test_fit_predict_says_something_of_each_row(data):
    X, y = data
    predicted = FitOnNormal(LocalOutlierFactor(novelty=True)).fit_predict(X, y)
    assert (predicted[y == -1] == -1).all()
    assert (predicted[y == 1] == 1).mean() > 0.8


# Copies and searches


def test_the_detector_that_was_given_is_not_fitted(data):
    detector = clone(FOREST)
    FitOnNormal(detector).fit(*data)
    assert not hasattr(detector, "estimators_")


def test_a_clone_is_not_fitted_and_has_a_detector_of_its_own(data):
    fitted = FitOnNormal(FOREST, anomaly_label=-1).fit(*data)
    copy = clone(fitted)
    assert not hasattr(copy, "estimator_") and copy.anomaly_label == -1
    assert copy.estimator is not fitted.estimator
    assert_same_responses(copy.fit(*data), fitted, data[0])


@pytest.mark.parametrize("name", ["IsolationForest", "LocalOutlierFactor"])
def test_a_pickled_copy_gives_the_same_bits(data, name):
    fitted = FitOnNormal(DETECTORS[name]).fit(*data)
    assert_same_responses(pickle.loads(pickle.dumps(fitted)), fitted, data[0])


def test_parameters_of_the_detector_are_set_through_it():
    detector = FitOnNormal(clone(FOREST)).set_params(estimator__n_estimators=5)
    assert detector.estimator.n_estimators == 5
    assert detector.get_params()["estimator__n_estimators"] == 5


def test_it_is_searched_through_in_a_pipeline(data):
    X, y = data
    name = "fitonnormal__estimator__n_neighbors"
    search = GridSearchCV(
        make_pipeline(StandardScaler(), FitOnNormal(LocalOutlierFactor(novelty=True))),
        {name: [3, 15]},
        scoring="roc_auc",
        cv=StratifiedKFold(2, shuffle=True, random_state=0),
        error_score="raise",
    ).fit(X, y)
    assert (search.cv_results_["mean_test_score"] > 0.95).all()
    best = search.best_estimator_[-1].estimator_
    assert best.n_neighbors == search.best_params_[name]


def test_a_parameter_set_after_fit_counts_from_the_next_fit_on(data):
    X, y = data
    fitted = FitOnNormal(clone(FOREST)).fit(X, y)
    before = fitted.score_samples(X)
    fitted.set_params(estimator__n_estimators=3)
    np.testing.assert_array_equal(fitted.score_samples(X), before)
    assert len(fitted.fit(X, y).estimator_.estimators_) == 3


@pytest.mark.parametrize("with_routing", [False, True])
def test_weights_of_samples_are_handed_on_without_those_of_anomalies(with_routing):
    X, y = np.arange(20.0)[:, None], np.repeat([1, -1], [15, 5])
    weights = np.linspace(1, 2, 20)
    svm = OneClassSVM()
    with config_context(enable_metadata_routing=with_routing):
        if with_routing:
            svm.set_fit_request(sample_weight=True)
        fitted = FitOnNormal(svm).fit(X, y, sample_weight=weights)
    by_hand = clone(svm).fit(X[:15], sample_weight=weights[:15])
    np.testing.assert_array_equal(fitted.score_samples(X), by_hand.score_samples(X))


def test_fit_predict_hands_weights_on_too():
    X, y = np.arange(20.0)[:, None], np.repeat([1, -1], [15, 5])
    weights = np.linspace(1, 2, 20)
    model = FitOnNormal(OneClassSVM())
    fitted = clone(model).fit(X, y, sample_weight=weights)
    predicted = model.fit_predict(X, y, sample_weight=weights)
    np.testing.assert_array_equal(predicted, fitted.predict(X))


def test_what_kind_of_estimator_it_is_changes_with_the_next_fit():
    X = np.arange(20.0)[:, None]
    fitted = FitOnNormal(FOREST).fit(X).set_params(estimator=GaussianMixture())
    assert is_outlier_detector(fitted)
    assert not is_outlier_detector(fitted.fit(X))
