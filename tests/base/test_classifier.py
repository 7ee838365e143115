"""Laws of all public classifiers; see also test_common.py."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import softmax
from sklearn.base import ClassifierMixin, clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch import nn

import sk_hypersphere
from helpers import naive_sq_distances
from sk_hypersphere import MCHADClassifier
from sk_hypersphere.exceptions import CalibrationWarning
from sk_hypersphere.metrics import NoveltySplit, known_accuracy, make_novelty_scorer
from sk_hypersphere.modules import ConvNet

PUBLIC = [getattr(sk_hypersphere, name) for name in sk_hypersphere.__all__]
CLASSIFIERS = [
    thing(max_epochs=20, lr=1e-2, random_state=0)
    for thing in PUBLIC
    if isinstance(thing, type) and issubclass(thing, ClassifierMixin)
]
# Those that learn from example anomalies.
GENERALIZED = [c for c in CLASSIFIERS if "anomaly_ratio" in c.get_params()]

# Those whose centers are learned; CAC has its anchors, and a score of its own.
RANKED_BY_DEPTH = [c for c in GENERALIZED if "magnitude" not in c.get_params()]

CENTERS = [[0, 0, 0, 0], [6, 0, 0, 0], [0, 6, 0, 0]]


def every(classifiers):
    names = [type(classifier).__name__ for classifier in classifiers]
    return pytest.mark.parametrize("classifier", classifiers, ids=names)


@pytest.fixture(scope="module")
def X():
    return make_blobs(180, centers=CENTERS, random_state=0)[0].astype(np.float32)


@pytest.fixture(scope="module")
def y():
    return make_blobs(180, centers=CENTERS, random_state=0)[1]


@pytest.fixture(scope="module")
def anomalies():
    """Twenty rows of a class that is none."""
    return make_blobs(20, centers=[[0, 0, 6, 0]], random_state=1)[0].astype(np.float32)


@pytest.fixture(scope="module")
def mixed(X, y, anomalies):
    """Rows of three classes and, labelled -1, example anomalies among them."""
    order = np.random.RandomState(0).permutation(len(X) + len(anomalies))
    labels = np.r_[y, np.full(len(anomalies), -1)]
    return np.r_[X, anomalies][order], labels[order]


def fresh(classifier, **params):
    return clone(classifier).set_params(**params)


def quantile(scores, share):
    """Of which new scores are below on average, from few: at rank (n + 1) share."""
    ranked = np.sort(scores)
    rank = np.clip(share * (len(ranked) + 1), 1, len(ranked))
    return np.interp(rank, np.arange(1, len(ranked) + 1), ranked)


def loss_distances_of(fitted, X):
    """Distances to the centers, squared unless the loss compares plain ones."""
    sq_distances = naive_sq_distances(fitted, X)
    is_plain = type(fitted).__name__ == "CACClassifier"
    return np.sqrt(sq_distances) if is_plain else sq_distances


def test_there_are_four_classifiers_of_which_three_learn_from_example_anomalies():
    assert len(CLASSIFIERS) == 4 and len(GENERALIZED) == 3


# Predictions.


@every(CLASSIFIERS)
def test_the_nearest_center_is_predicted(classifier, X, y):
    fitted = fresh(classifier).fit(X, y)
    nearest = naive_sq_distances(fitted, X).argmin(axis=1)
    np.testing.assert_array_equal(fitted.predict(X), nearest)
    assert fitted.score(X, y) > 0.95


@every(CLASSIFIERS)
def test_probabilities_are_the_softmax_of_minus_the_distances_of_the_loss(
    classifier, X, y
):
    fitted = fresh(classifier).fit(X, y)
    expected = softmax(-loss_distances_of(fitted, X), axis=1)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=1e-4, atol=1e-9)


@every(CLASSIFIERS)
def test_decisions_are_minus_the_distances_of_the_loss(classifier, X, y):
    fitted = fresh(classifier).fit(X, y)
    expected = -loss_distances_of(fitted, X)
    decisions = fitted.decision_function(X)
    assert decisions.shape == (len(X), 3)
    np.testing.assert_allclose(decisions, expected, rtol=1e-4, atol=1e-5)


@every(CLASSIFIERS)
def test_the_decision_between_two_classes_is_one_number(classifier, X, y):
    two = y < 2
    fitted = fresh(classifier).fit(X[two], y[two])
    distances = loss_distances_of(fitted, X)
    decisions = fitted.decision_function(X)
    expected = distances[:, 0] - distances[:, 1]
    np.testing.assert_allclose(decisions, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(fitted.predict(X), (decisions > 0).astype(int))


@every(CLASSIFIERS)
def test_a_single_class_makes_a_detector(classifier, X, y, anomalies):
    fitted = fresh(classifier, contamination=0.05).fit(X[y == 0], y[y == 0])
    assert fitted.classes_.tolist() == [0]
    assert (fitted.predict(X) == 0).all() and (fitted.predict_proba(X) == 1).all()
    assert fitted.decision_function(X).shape == (len(X), 1)
    assert fitted.score_samples(X).shape == (len(X),)
    assert (fitted.detect(X[y == 0]) == -1).mean() == pytest.approx(0.05, abs=0.02)


@every(CLASSIFIERS)
def test_many_classes_are_told_apart(classifier):
    centers = 8 * np.eye(20)
    X, y = make_blobs(600, centers=centers, random_state=0)
    fitted = fresh(classifier, max_epochs=30).fit(X, y)
    assert fitted.score(X, y) > 0.9 and fitted.centers_.shape[0] == 20


@every(CLASSIFIERS)
@pytest.mark.parametrize(
    "names",
    [
        np.array(["cat", "dog", "emu"]),
        np.array(["cat", "dog", "emu"], dtype=object),
        np.array([0.5, 1.5, 2.0]),
        np.array([10, -3, 7]),
        np.array([False, True, True]),
        pd.Series(["cat", "dog", "emu"], dtype="category").array,
    ],
    ids=["text", "objects", "floats", "integers", "booleans", "categories"],
)
@pytest.mark.filterwarnings("ignore:The number of unique classes")
def test_classes_are_of_any_type(classifier, names, X, y):
    labels = np.asarray(names)[y]
    if labels.dtype.kind == "f":
        labels = labels.round()  # scikit-learn takes whole numbers for classes
    fitted = fresh(classifier).fit(X, labels)
    np.testing.assert_array_equal(fitted.classes_, np.unique(labels))
    predicted = fitted.predict(X)
    assert predicted.dtype == labels.dtype
    assert accuracy_score(labels.tolist(), predicted.tolist()) > 0.95


@every(CLASSIFIERS)
def test_labels_may_be_a_series_of_categories(classifier, X, y):
    labels = pd.Series(np.array(["cat", "dog", "emu"])[y], dtype="category")
    fitted = fresh(classifier).fit(X, labels)
    assert fitted.classes_.tolist() == ["cat", "dog", "emu"]


# Scores and the threshold.


@every(CLASSIFIERS)
@pytest.mark.parametrize("rate", [0.02, 0.1])
def test_what_scores_below_the_offset_is_an_anomaly(classifier, rate, X, y):
    fitted = fresh(classifier, false_alarm_rate=rate).fit(X, y)
    scores = fitted.score_samples(X)
    expected = np.where(scores < fitted.offset_, -1, 1)
    np.testing.assert_array_equal(fitted.detect(X), expected)
    held_out = fitted.calibration_indices_
    assert fitted.offset_ == pytest.approx(quantile(scores[held_out], rate))


@every(CLASSIFIERS)
@pytest.mark.parametrize("fraction", [0.11, 0.2, 0.5])
def test_a_share_of_all_classes_places_the_threshold(classifier, fraction, X, y):
    fitted = fresh(classifier, calibration_fraction=fraction, max_epochs=1).fit(X, y)
    held_out = fitted.calibration_indices_
    assert len(held_out) == len(np.unique(held_out)) == int(fraction * len(y))
    counts = np.bincount(y[held_out])
    np.testing.assert_allclose(counts, fraction * np.bincount(y), atol=1)


@every(CLASSIFIERS)
def test_small_classes_together_place_the_threshold_too(classifier, X):
    y = np.arange(len(X)) // 3  # 60 classes of 3
    fitted = fresh(classifier, max_epochs=1).fit(X, y)
    assert len(fitted.calibration_indices_) == 60


@every(CLASSIFIERS)
def test_something_of_each_class_is_trained_on(classifier, X, y):
    rare = np.where(np.arange(len(y)) == 50, 7, y)
    fitted = fresh(classifier, calibration_fraction=0.99, max_epochs=1).fit(X, rare)
    trained = np.setdiff1d(np.arange(len(y)), fitted.calibration_indices_)
    assert sorted(rare[trained]) == [0, 1, 2, 7]


@every(CLASSIFIERS)
def test_what_places_the_threshold_is_not_trained_on(classifier, X, y):
    fitted = fresh(classifier).fit(X, y)
    held_out = fitted.calibration_indices_
    moved = X.copy()
    moved[held_out] += 1
    again = fresh(classifier).fit(moved, y)
    np.testing.assert_array_equal(again.calibration_indices_, held_out)
    np.testing.assert_array_equal(again.centers_, fitted.centers_)
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
    assert again.offset_ != fitted.offset_


@every(CLASSIFIERS)
def test_training_rows_place_the_threshold_for_a_contamination(classifier, X, y):
    fitted = fresh(classifier, contamination=0.1).fit(X, y)
    assert len(fitted.calibration_indices_) == 0
    scores = fitted.score_samples(X)
    assert fitted.offset_ == pytest.approx(np.percentile(scores, 10), rel=1e-12)


@every(CLASSIFIERS)
def test_training_rows_place_the_threshold_where_none_can_be_held_out(classifier, X, y):
    rows = np.array([np.flatnonzero(y == k)[0] for k in range(3)])
    with pytest.warns(CalibrationWarning, match="got 0 of 3"):
        fitted = fresh(classifier).fit(X[rows], y[rows])
    assert len(fitted.calibration_indices_) == 0
    assert fitted.offset_ == fitted.score_samples(X[rows]).min()


def test_the_promise_holds_for_new_samples_and_contamination_for_those_of_training():
    X, y = load_digits(return_X_y=True)
    train, test = train_test_split(np.arange(len(y)), random_state=0)
    share = {}
    for contamination in ("auto", 0.05):
        fitted = MCHADClassifier(contamination=contamination, random_state=0)
        fitted.fit(X[train] / 16, y[train])
        share[contamination] = np.mean(fitted.detect(X[test] / 16) == -1)
    assert abs(share["auto"] - 0.05) < 0.04 < 0.1 < share[0.05]


@every(GENERALIZED)
def test_example_anomalies_have_no_influence_on_the_quantile(classifier, mixed):
    X, y = mixed
    fitted = fresh(classifier, anomaly_label=-1, contamination=0.1).fit(X, y)
    known = fitted.score_samples(X[y != -1])
    assert fitted.offset_ == pytest.approx(np.percentile(known, 10), rel=1e-12)


@every(CLASSIFIERS)
def test_anomalies_are_rejected_if_that_is_asked_for(classifier, X, y, anomalies):
    far = 50 + anomalies
    fitted = fresh(classifier, anomaly_label=-1).fit(X, y)
    assert -1 not in fitted.predict(np.r_[X, far])
    fitted.set_params(reject=True).fit(X, y)
    expected = np.where(fitted.detect(X) == 1, fitted.classes_[y], -1)
    predicted = fitted.predict(X)
    assert (predicted[fitted.detect(X) == -1] == -1).all()
    assert np.mean(predicted == expected) > 0.95
    assert np.isin(fitted.classes_, predicted).all()


@every(CLASSIFIERS)
@pytest.mark.parametrize(
    ("names", "label"),
    [
        (["a", "b", "c"], "unknown"),
        (np.array(["a", "b", "c"], dtype=object), -1),
        (["a", "b", "c"], -1),
    ],
)
def test_what_is_rejected_has_the_label_as_it_was_given(classifier, names, label, X, y):
    labels = np.asarray(names)[y]
    fitted = fresh(classifier, anomaly_label=label, reject=True).fit(X, labels)
    predicted = fitted.predict(X)
    np.testing.assert_array_equal(predicted == label, fitted.detect(X) == -1)
    assert {*predicted.tolist()} <= {*labels.tolist(), label}


@every(CLASSIFIERS)
def test_rejection_needs_a_label(classifier, X, y):
    with pytest.raises(ValueError, match=r"anomaly_label must be set if reject=True"):
        fresh(classifier, reject=True).fit(X, y)


@every(CLASSIFIERS)
def test_rejection_that_is_set_after_fit_awaits_the_next(classifier, X, y, anomalies):
    far, labels = 50 + anomalies, np.full(len(anomalies), -1)
    fitted = fresh(classifier, anomaly_label=-1).fit(X, y)
    fitted.set_params(reject=True, anomaly_label=7)
    assert np.isin(fitted.predict(far), fitted.classes_).all()
    assert fitted.score(np.r_[X, far], np.r_[y, labels]) == fitted.score(X, y)
    everything = np.r_[X, far]
    is_rejected = fitted.fit(X, y).predict(everything) == 7
    np.testing.assert_array_equal(is_rejected, fitted.detect(everything) == -1)
    assert is_rejected.any()


@every(RANKED_BY_DEPTH)
@pytest.mark.parametrize("radius", [0.0, 0.8, [0.2, 1.5, 0.0]])
def test_the_score_is_the_depth_in_the_deepest_sphere(classifier, radius, mixed):
    X, y = mixed
    fitted = fresh(classifier, anomaly_label=-1, radius=radius).fit(X, y)
    depths = np.square(radius) - naive_sq_distances(fitted, X)
    np.testing.assert_allclose(
        fitted.score_samples(X), depths.max(axis=1), rtol=1e-4, atol=1e-5
    )


# Example anomalies.


@every(RANKED_BY_DEPTH)
def test_example_anomalies_are_pushed_off_the_spheres(classifier, X, y):
    between = make_blobs(40, centers=[[3, 0, 0, 0]], random_state=0)[0]
    labels = np.r_[y, np.full(len(between), -1)]

    def depth(gamma):
        params = {"anomaly_label": -1, "gamma": gamma, "max_epochs": 30}
        fitted = fresh(classifier, **params).fit(np.r_[X, between], labels)
        assert fitted.score(X, y) > 0.95
        inside = np.maximum(0, 4 - naive_sq_distances(fitted, between))
        return inside.sum(axis=1).mean()

    assert depth(gamma=1.0) < 0.5 * depth(gamma=0.0)


@every(GENERALIZED)
def test_example_anomalies_are_not_a_class(classifier, mixed):
    X, y = mixed
    fitted = fresh(classifier, anomaly_label=-1).fit(X, y)
    assert fitted.classes_.tolist() == [0, 1, 2]
    assert len(fitted.centers_) == 3
    assert fitted.predict_proba(X).shape == (len(X), 3)


@every(GENERALIZED)
def test_without_weight_example_anomalies_only_fill_batches(classifier, mixed):
    X, y = mixed
    moved = np.where((y == -1)[:, None], X + 5, X)
    fits = [
        fresh(classifier, anomaly_label=-1, gamma=0, max_epochs=2).fit(rows, y)
        for rows in (X, moved)
    ]
    assert fits[0].net_.history[:, "train_loss"] == pytest.approx(
        fits[1].net_.history[:, "train_loss"], rel=1e-5
    )


@every(GENERALIZED)
def test_an_anomaly_label_that_no_row_has_changes_nothing(classifier, X, y):
    plain = fresh(classifier).fit(X, y)
    named = fresh(classifier, anomaly_label=99).fit(X, y)
    np.testing.assert_array_equal(plain.score_samples(X), named.score_samples(X))


@every(GENERALIZED)
@pytest.mark.parametrize("ratio", [0.1, 1.0, 3.0])
def test_batches_have_example_anomalies_in_the_chosen_ratio(classifier, ratio, mixed):
    class Batches(Callback):
        seen = []  # of the class, because fit copies callbacks

        def on_batch_begin(self, net, batch=None, training=None, **kwargs):
            self.seen.append(batch[1].numpy())

    X, y = mixed
    params = {"anomaly_label": -1, "anomaly_ratio": ratio, "batch_size": 60}
    params |= {"contamination": 0.1, "max_epochs": 2}
    fresh(classifier, callbacks=[Batches()], **params).fit(X, y)
    assert len(Batches.seen) == 2 * 3
    for labels in Batches.seen:
        assert (labels >= 0).sum() == 60
        assert (labels == -1).sum() == np.ceil(60 * ratio)


@every(GENERALIZED)
def test_a_list_may_mix_texts_and_the_anomaly_label(classifier, mixed):
    X, y = mixed
    names = [label if label == -1 else f"class {label}" for label in y.tolist()]
    fitted = fresh(classifier, anomaly_label=-1, max_epochs=1).fit(X, names)
    assert fitted.classes_.tolist() == ["class 0", "class 1", "class 2"]


@every(GENERALIZED)
def test_a_single_example_anomaly_is_enough(classifier, X, y):
    labels = np.r_[y[:-1], -1]
    fitted = fresh(classifier, anomaly_label=-1, max_epochs=2).fit(X, labels)
    assert np.isfinite(fitted.score_samples(X)).all()


@every(CLASSIFIERS)
@pytest.mark.parametrize("label", [np.nan, np.inf, -np.inf])
def test_an_anomaly_label_that_no_label_can_equal_is_refused(classifier, label, X, y):
    with pytest.raises(ValueError, match="'anomaly_label' parameter .* must be"):
        fresh(classifier, anomaly_label=label).fit(X, y)


@every(CLASSIFIERS)
def test_anomalies_alone_are_refused(classifier, X):
    with pytest.raises(ValueError, match="y must hold at least one class, got 180"):
        fresh(classifier, anomaly_label=7).fit(X, np.full(len(X), 7))


@every(GENERALIZED)
@pytest.mark.parametrize("name", ["radius", "margin"])
def test_radii_and_margins_are_one_or_one_a_class(classifier, name, mixed):
    X, y = mixed
    params = {"anomaly_label": -1, "max_epochs": 3}
    common = fresh(classifier, **params, **{name: 0.7}).fit(X, y)
    each = fresh(classifier, **params, **{name: [0.7] * 3}).fit(X, y)
    np.testing.assert_array_equal(common.score_samples(X), each.score_samples(X))
    other = fresh(classifier, **params, **{name: [0.0, 0.7, 50.0]}).fit(X, y)
    assert not np.array_equal(common.score_samples(X), other.score_samples(X))


@every(GENERALIZED)
@pytest.mark.parametrize("name", ["radius", "margin"])
@pytest.mark.parametrize("value", [[1.0], [1.0] * 4, [1, 2, -1], [1, 2, np.nan], ["a"]])
def test_radii_and_margins_that_do_not_fit_are_refused(classifier, name, value, X, y):
    with pytest.raises(ValueError, match=f"{name} must be a number or one for each"):
        fresh(classifier, **{name: value}).fit(X, y)


# In scikit-learn's company.


@every(CLASSIFIERS)
def test_accuracy_is_that_of_known_rows(classifier, X, y, anomalies):
    fitted = fresh(classifier, anomaly_label=-1).fit(X, y)
    everything, labels = np.r_[X, anomalies], np.r_[y, np.full(len(anomalies), -1)]
    predicted = fitted.predict(everything)
    expected = known_accuracy(labels, predicted)
    assert fitted.score(everything, labels) == pytest.approx(expected)
    weights = np.r_[np.ones(len(X)), np.full(len(anomalies), 9.0)]
    assert fitted.score(everything, labels, weights) == pytest.approx(expected)
    fitted.set_params(reject=True).fit(X, y)
    expected = accuracy_score(labels, fitted.predict(everything))
    assert fitted.score(everything, labels) == pytest.approx(expected)


@every(GENERALIZED)
def test_a_stratified_search_learns_from_the_anomalies_in_y(classifier, mixed):
    X, y = mixed
    grid = {f"{type(classifier).__name__.lower()}__gamma": [0.01, 1.0]}
    model = make_pipeline(StandardScaler(), fresh(classifier, anomaly_label=-1))
    search = GridSearchCV(
        model,
        grid,
        scoring={name: make_novelty_scorer(name) for name in ("oscr", "auroc")},
        refit="oscr",
        cv=StratifiedKFold(2),
        error_score="raise",
    ).fit(X, y)
    assert search.best_score_ > 0.8
    assert search.best_estimator_[-1].classes_.tolist() == [0, 1, 2]


@every(GENERALIZED)
def test_novelties_may_be_left_for_the_test(classifier, mixed):
    X, y = mixed
    model = fresh(classifier, anomaly_label=-1, contamination=0.05)
    scores = cross_val_score(
        model,
        X,
        y,
        cv=NoveltySplit(2, random_state=3),
        scoring=make_novelty_scorer("oscr"),
    )
    assert (scores > 0.5).all()


@every(GENERALIZED)
def test_cross_validated_predictions_are_never_the_anomaly_label(classifier, mixed):
    X, y = mixed
    model = fresh(classifier, anomaly_label=-1)
    predicted = cross_val_predict(model, X, y, cv=StratifiedKFold(2))
    assert set(predicted) == {0, 1, 2}


# Fitting again, and other encoders.


@every(CLASSIFIERS)
def test_warm_start_wants_the_same_classes(classifier, X, y):
    fitted = fresh(classifier, warm_start=True).fit(X, y)
    before = fitted.score_samples(X)
    with pytest.raises(ValueError, match=r"classes of the last fit under warm_start"):
        fitted.fit(X, np.minimum(y, 1))
    np.testing.assert_array_equal(fitted.score_samples(X), before)
    assert fitted.fit(X, y).score(X, y) > 0.95


@every(CLASSIFIERS)
def test_images_are_classified_by_a_convolutional_encoder(classifier):
    rng = np.random.RandomState(0)
    X = rng.randint(0, 40, (90, 1, 8, 8)).astype(np.uint8)
    y = np.repeat([0, 1, 2], 30)
    for label in range(3):
        X[y == label, 0, 2 * label : 2 * label + 2] += 200
    fitted = fresh(classifier).fit(X, y)
    assert isinstance(fitted.net_.module_.encoder, ConvNet)
    assert fitted.score(X, y) == 1.0


@every(CLASSIFIERS)
def test_an_encoder_of_ones_own_is_trained(classifier, X, y):
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        encoder = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    fitted = fresh(classifier, encoder=encoder, max_epochs=30).fit(X, y)
    assert fitted.centers_.shape == (3, 3) and fitted.score(X, y) > 0.9


@every(CLASSIFIERS)
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.linspace(0, 1, 180), "Unknown label type: continuous"),
        (np.full(180, np.nan), "y contains NaN"),
        (np.zeros((180, 2)), "y should be a 1d array"),
        (np.zeros(7), "inconsistent numbers of samples"),
        (np.array(["a"] * 90 + [-1] * 90), r"anomaly_label=-1 as it is.*dtype=object"),
        ([1, 2, "a"] * 60, r"classes that can be sorted, got int, str"),
    ],
    ids=["continuous", "missing", "two columns", "too few", "text", "mixed"],
)
def test_labels_that_are_none_are_refused(classifier, y, message, X):
    with pytest.raises(ValueError, match=message):
        fresh(classifier, anomaly_label=-1).fit(X, y)
