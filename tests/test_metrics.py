"""Metrics, scorers and folds: formulas by loops, laws, and model selection."""

import pickle
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.covariance import EllipticEnvelope
from sklearn.datasets import make_blobs
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import auc, roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    PredefinedSplit,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_hypersphere import DeepSVDD
from sk_hypersphere.metrics import (
    NoveltySplit,
    aupr_in,
    aupr_out,
    fpr_at_tpr,
    known_accuracy,
    make_novelty_scorer,
    oscr,
)

RANKINGS = {
    "aupr_in": aupr_in,
    "aupr_out": aupr_out,
    "fpr_anomaly": fpr_at_tpr,
    "fpr_inlier": partial(fpr_at_tpr, positive="normal"),
}
SCORED = ["auroc", "aupr_in", "aupr_out", "fpr95", "oscr", "known_accuracy"]
EVERY_RANKING = pytest.mark.parametrize("metric", RANKINGS.values(), ids=RANKINGS)
EVERY_SCORER = pytest.mark.parametrize("name", SCORED)
EVERY_SEED = pytest.mark.parametrize("seed", range(10))
BOTH_SIDES = pytest.mark.parametrize("positive", ["anomaly", "normal"])

# The same rows in all kinds of labels, with what stands for anomalies.
LABELS = {
    "ints": ([0, 0, 1, 1, -1, -1], -1),
    "unsigned": (np.array([0, 0, 1, 1, 255, 255], dtype=np.uint8), 255),
    "floats": ([0.0, 0.0, 0.5, 0.5, -1.0, -1.0], -1),
    "strings": (["a", "a", "b", "b", "new", "new"], "new"),
    "strings-and-minus-one": (["a", "a", "b", "b", -1, -1], -1),
    "objects": (np.array(["a", "a", 1, 1, -1, -1], dtype=object), -1),
    "series": (pd.Series(["a", "a", "b", "b", "new", "new"]), "new"),
    "categories": (
        pd.Series(["a", "a", "b", "b", "new", "new"], dtype="category"),
        "new",
    ),
}
EVERY_KIND_OF_LABELS = pytest.mark.parametrize(
    ("y_true", "anomaly_label"), LABELS.values(), ids=LABELS
)


def random_case(seed, n=60, n_classes=3):
    """Labels, predictions and scores, the latter with many ties."""
    rng = np.random.RandomState(seed)
    y_true = rng.randint(-1, n_classes, n)
    y_pred = np.where(rng.rand(n) < 0.6, y_true, rng.randint(-1, n_classes, n))
    return y_true, y_pred, rng.randint(0, 15, n) + 3 * (y_true != -1)


def naive_fpr(y_true, y_score, tpr, positive):
    """False positive rate at the first threshold whose true positive rate suffices."""
    sign = -1 if positive == "anomaly" else 1
    is_positive = [(label == -1) == (positive == "anomaly") for label in y_true]
    evidence = [sign * score for score in y_score]
    for threshold in sorted(set(evidence), reverse=True):
        called = [value >= threshold for value in evidence]
        hits = sum(c and p for c, p in zip(called, is_positive, strict=True))
        if hits / sum(is_positive) >= tpr:
            return (sum(called) - hits) / (len(y_true) - sum(is_positive))


def naive_average_precision(found, evidence):
    area, before = 0.0, 0.0
    for threshold in sorted(set(evidence), reverse=True):
        called = evidence >= threshold
        recall = (called & found).sum() / found.sum()
        area += (recall - before) * (called & found).sum() / called.sum()
        before = recall
    return area


def naive_oscr(y_true, y_pred, y_score):
    """Trapezoids under the curve of all thresholds, from the highest to the lowest."""
    known, fprs, ccrs = y_true != -1, [0.0], [0.0]
    for threshold in np.unique(y_score)[::-1]:
        called = y_score >= threshold
        fprs.append((called & ~known).sum() / (~known).sum())
        ccrs.append((called & known & (y_pred == y_true)).sum() / known.sum())
    return auc(fprs, ccrs)


class MixtureClassifier(ClassifierMixin, BaseEstimator):
    """One Gaussian for each class, which is a classifier with a density."""

    def __init__(self, reg_covar=1e-6):
        self.reg_covar = reg_covar

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.mixtures_ = [
            GaussianMixture(reg_covar=self.reg_covar).fit(X[y == label])
            for label in self.classes_
        ]
        return self

    def _scores(self, X):
        scores = [mixture.score_samples(X) for mixture in self.mixtures_]
        return np.column_stack(scores)  # (n_samples, n_classes)

    def score_samples(self, X):
        return self._scores(X).max(axis=1)

    def predict(self, X):
        return self.classes_[self._scores(X).argmax(axis=1)]


class ScoresColumn(BaseEstimator):
    """The larger one feature, the more abnormal."""

    def __init__(self, column=0):
        self.column = column

    def fit(self, X, y=None):
        return self

    def score_samples(self, X):
        return -X[:, self.column]


class NeedsNoAnomalies(IsolationForest):
    """A detector that will not be trained on anomalies, here in the first column."""

    def fit(self, X, y=None):
        assert (X[:, 0] < 20).all()
        return super().fit(X, y)


@pytest.fixture(scope="module")
def classes():
    """Three classes, and anomalies between them."""
    X, y = make_blobs(
        160, centers=[[-9, 0], [9, 0], [0, 9], [0, 0]], cluster_std=2, random_state=0
    )
    y[y == 3] = -1
    return X, y


@pytest.fixture(scope="module")
def detection():
    """Normal rows, 1, and a few anomalies, -1, in order."""
    X, y = make_blobs([90, 9], centers=[[0, 0], [30, 0]], shuffle=False, random_state=0)
    return X, np.where(y == 0, 1, -1)


# False positive rate at a true positive rate.


def test_false_positive_rate_by_hand_with_anomalies_positive():
    # 20 anomalies score 0..19; the 19th is found at 18, with 3 of 4 normal rows.
    y_true = [-1] * 20 + [1] * 4
    y_score = [*range(20), 5, 17, 18, 19]
    assert fpr_at_tpr(y_true, y_score) == 0.75
    assert fpr_at_tpr(y_true, y_score, tpr=0.9) == 0.5
    assert fpr_at_tpr(y_true, y_score, tpr=1) == 1.0


def test_false_positive_rate_by_hand_with_normal_rows_positive():
    # 20 normal rows score 0..19; the 19th from above is 1, with 2 of 4 anomalies.
    y_true = [1] * 20 + [-1] * 4
    y_score = [*range(20), -3, 0.5, 1, 7]
    assert fpr_at_tpr(y_true, y_score, positive="normal") == 0.5


@EVERY_SEED
@BOTH_SIDES
@pytest.mark.parametrize("tpr", [0.05, 0.5, 0.95, 1.0])
def test_false_positive_rate_is_that_of_a_loop_over_thresholds(seed, positive, tpr):
    y_true, _, y_score = random_case(seed)
    expected = naive_fpr(y_true, y_score, tpr, positive)
    assert fpr_at_tpr(y_true, y_score, tpr=tpr, positive=positive) == expected


@BOTH_SIDES
def test_a_threshold_takes_all_tied_rows(positive):
    y_true, y_score = [1, 1, -1, -1], [0, 0, 0, 0]
    assert fpr_at_tpr(y_true, y_score, tpr=0.01, positive=positive) == 1.0


def test_the_two_sides_give_different_false_positive_rates():
    y_true, y_score = [1, 1, 1, -1], [3, 2, 0, 1]
    assert fpr_at_tpr(y_true, y_score, positive="anomaly") == pytest.approx(1 / 3)
    assert fpr_at_tpr(y_true, y_score, positive="normal") == 1.0


@pytest.mark.parametrize("tpr", [0, 1.1, -1, "0.95"])
def test_a_true_positive_rate_outside_of_its_range_is_refused(tpr):
    with pytest.raises(ValueError, match="'tpr' parameter of fpr_at_tpr"):
        fpr_at_tpr([1, -1], [1, 0], tpr=tpr)


def test_an_unknown_side_is_refused():
    with pytest.raises(ValueError, match="'positive' parameter of fpr_at_tpr"):
        fpr_at_tpr([1, -1], [1, 0], positive="known")


# Areas under precision and recall.


def test_areas_under_precision_and_recall_by_hand():
    y_true, y_score = [1, 1, -1, 1, -1], [5, 4, 3, 2, 1]
    assert aupr_in(y_true, y_score) == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert aupr_out(y_true, y_score) == pytest.approx((1 + 2 / 3) / 2)


@EVERY_SEED
def test_areas_are_those_of_a_loop_over_thresholds(seed):
    y_true, _, y_score = random_case(seed)
    inlier = y_true != -1
    expected_in = naive_average_precision(inlier, y_score)
    expected_out = naive_average_precision(~inlier, -y_score)
    assert aupr_in(y_true, y_score) == pytest.approx(expected_in)
    assert aupr_out(y_true, y_score) == pytest.approx(expected_out)


def test_random_scores_get_the_base_rate_of_the_side_that_names_the_area():
    rng = np.random.RandomState(0)
    y_true, y_score = np.where(rng.rand(20_000) < 0.2, -1, 1), rng.rand(20_000)
    assert aupr_in(y_true, y_score) == pytest.approx(0.8, abs=0.02)
    assert aupr_out(y_true, y_score) == pytest.approx(0.2, abs=0.02)


def test_equal_scores_get_the_base_rate_exactly():
    y_true, y_score = [1, 1, 1, -1], [0, 0, 0, 0]
    assert (aupr_in(y_true, y_score), aupr_out(y_true, y_score)) == (0.75, 0.25)


@EVERY_SEED
def test_the_two_areas_swap_with_the_sides(seed):
    y_true, _, y_score = random_case(seed, n_classes=1)
    assert aupr_in(y_true, y_score) == aupr_out(-1 - y_true, -y_score)


# Classification with novelties.


def test_open_set_classification_rate_by_hand():
    # From above: right, anomaly, right, wrong, anomaly; 2 of 3 known rows are right.
    # The curve is at 1/3 up to half of the anomalies, and at 2/3 from there.
    y_true, y_pred = [0, -1, 1, 1, -1], [0, 0, 1, 0, 1]
    assert oscr(y_true, y_pred, [5, 4, 3, 2, 1]) == pytest.approx(1 / 6 + 1 / 3)


@EVERY_SEED
def test_open_set_classification_rate_is_the_area_under_its_curve(seed):
    case = random_case(seed)
    assert oscr(*case) == pytest.approx(naive_oscr(*case))


@EVERY_SEED
def test_open_set_classification_rate_is_auroc_where_all_is_classified_right(seed):
    y_true, _, y_score = random_case(seed)
    expected = roc_auc_score(y_true != -1, y_score)
    assert oscr(y_true, y_true, y_score) == pytest.approx(expected)


@EVERY_SEED
def test_open_set_classification_rate_is_at_most_the_accuracy(seed):
    y_true, y_pred, y_score = random_case(seed)
    accuracy = known_accuracy(y_true, y_pred)
    assert oscr(y_true, y_pred, y_score) <= accuracy
    apart = y_score + 100 * (y_true != -1)
    assert oscr(y_true, y_pred, apart) == pytest.approx(accuracy)


def test_open_set_classification_rate_without_anomalies_is_the_accuracy():
    assert oscr([0, 1, 2, 2], [0, 1, 2, 0], [1, 2, 3, 4]) == 0.75


@pytest.mark.parametrize("y_true", [[0, 1, -1], [0, 1, 2]])
def test_open_set_classification_rate_is_zero_if_nothing_is_right(y_true):
    assert oscr(y_true, [1, 0, 0], [3, 2, 1]) == 0


def test_predictions_of_anomalies_do_not_count():
    y_true, y_score = [0, 1, -1, -1], [3, 2, 2, 1]
    for predicted in (0, 1, -1):
        y_pred = [0, 0, predicted, -1]
        assert oscr(y_true, y_pred, y_score) == 0.5
        assert known_accuracy(y_true, y_pred) == 0.5


def test_a_known_row_that_is_rejected_is_wrong():
    assert known_accuracy([0, 1, 1, 1, -1], [0, 1, -1, -1, -1]) == 0.5


def test_known_accuracy_of_a_detector_is_the_share_of_normal_rows_accepted():
    assert known_accuracy([1, 1, 1, 1, -1], [1, 1, 1, -1, -1]) == 0.75


# Laws of all metrics.


@pytest.mark.parametrize(
    ("metric", "best", "worst"),
    [
        (fpr_at_tpr, 0, 1),
        (RANKINGS["fpr_inlier"], 0, 1),
        (aupr_in, 1, (1 / 3 + 2 / 4) / 2),
        (aupr_out, 1, (1 / 3 + 2 / 4) / 2),
        (lambda y, s: oscr(y, y, s), 1, 0),
    ],
)
def test_perfect_and_inverted_scores_get_the_best_and_the_worst(metric, best, worst):
    y_true = np.array([0, 1, -1, -1])
    perfect = np.array([2, 2.5, 0, 1])
    assert metric(y_true, perfect) == best
    assert metric(y_true, -perfect) == pytest.approx(worst)


def every_value(y_true, y_pred, y_score):
    values = [metric(y_true, y_score) for metric in RANKINGS.values()]
    return [*values, oscr(y_true, y_pred, y_score), known_accuracy(y_true, y_pred)]


@EVERY_SEED
def test_the_order_of_the_rows_does_not_matter(seed):
    case = random_case(seed)
    order = np.random.RandomState(seed).permutation(len(case[0]))
    assert every_value(*(part[order] for part in case)) == every_value(*case)


@EVERY_SEED
def test_only_the_ranks_of_the_scores_matter(seed):
    y_true, y_pred, y_score = random_case(seed)
    expected = every_value(y_true, y_pred, y_score)
    for transformed in (y_score**3 - 7, np.exp(y_score / 9.0), y_score.astype("f4")):
        assert every_value(y_true, y_pred, transformed) == expected


def test_unsigned_scores_are_ranked_as_numbers():
    # Negated as they are, 1 and 2 would become 255 and 254, above 0.
    y_score = np.array([2, 1, 0], dtype=np.uint8)
    assert aupr_out([1, 1, -1], y_score) == 1


@EVERY_SEED
def test_which_known_class_an_inlier_has_does_not_matter_to_its_detection(seed):
    y_true, _, y_score = random_case(seed)
    merged = np.where(y_true == -1, -1, 1)
    for metric in RANKINGS.values():
        assert metric(y_true, y_score) == metric(merged, y_score)


@EVERY_KIND_OF_LABELS
def test_labels_may_be_of_any_type(y_true, anomaly_label):
    y_score = [6, 5, 2, 4, 3, 1]
    for metric in RANKINGS.values():
        expected = metric([0, 0, 1, 1, -1, -1], y_score)
        assert metric(y_true, y_score, anomaly_label=anomaly_label) == expected
    assert known_accuracy(y_true, y_true, anomaly_label=anomaly_label) == 1
    assert oscr(y_true, y_true, y_score, anomaly_label=anomaly_label) == 0.875


def test_labels_may_say_what_is_an_anomaly_and_no_more():
    y_true, y_score = np.array([False, True, False]), [3, 1, 2]
    assert aupr_out(y_true, y_score, anomaly_label=True) == 1


@EVERY_RANKING
def test_values_are_plain_floats(metric):
    assert type(metric([1, 1, -1], [3, 1, 2])) is float


@EVERY_RANKING
@pytest.mark.parametrize(
    ("y_true", "y_score", "message"),
    [
        ([1, -1], [1, 2, 3], "inconsistent numbers of samples"),
        ([1, -1], [1, np.nan], "y_score contains NaN"),
        ([1, -1], [1, -np.inf], "y_score contains infinity"),
        ([1, -1], [[1, 2], [3, 4]], r"y_score must be .* shape \(2, 2\).*score_sampl"),
        ([[1, -1], [1, -1]], [1, 2], "1d array"),
        ([1, np.nan], [1, 2], "NaN"),
        ([], [], "0 sample"),
    ],
)
def test_wrong_input_is_refused_with_a_sentence(metric, y_true, y_score, message):
    with pytest.raises(ValueError, match=message):
        metric(y_true, y_score)


@pytest.mark.parametrize("y_pred", [[0], [0, 1, 1]])
def test_too_few_or_too_many_predictions_are_refused(y_pred):
    for metric in (known_accuracy, partial(oscr, y_score=[1, 2])):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            metric([0, -1], y_pred)


@EVERY_RANKING
@pytest.mark.parametrize("label", [1, -1])
def test_where_a_side_is_missing_the_value_is_nan_with_a_warning(metric, label):
    with pytest.warns(UndefinedMetricWarning, match="anomalies and of known") as caught:
        assert np.isnan(metric([label, label], [1, 2]))
    assert [warning.filename for warning in caught] == [__file__]


def test_without_known_rows_metrics_of_classes_are_nan_with_a_warning():
    for metric in (known_accuracy, partial(oscr, y_score=[1, 2])):
        with pytest.warns(UndefinedMetricWarning, match="of known classes") as caught:
            assert np.isnan(metric([-1, -1], [0, 1]))
        assert [warning.filename for warning in caught] == [__file__]


# Scorers.


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("auroc", lambda y, p, s: roc_auc_score(y != -1, s)),
        ("aupr_in", lambda y, p, s: aupr_in(y, s)),
        ("aupr_out", lambda y, p, s: aupr_out(y, s)),
        ("fpr95", lambda y, p, s: -fpr_at_tpr(y, s, tpr=0.95, positive="anomaly")),
        ("oscr", oscr),
        ("known_accuracy", lambda y, p, s: known_accuracy(y, p)),
    ],
)
def test_a_scorer_is_its_metric_of_what_the_estimator_says(name, expected, classes):
    X, y = classes
    fitted = MixtureClassifier().fit(X[y != -1], y[y != -1])
    value = make_novelty_scorer(name)(fitted, X, y)
    assert value == pytest.approx(
        expected(y, fitted.predict(X), fitted.score_samples(X))
    )
    assert type(value) is float


def test_an_unknown_metric_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match="'metric' parameter") as caught:
        make_novelty_scorer("accuracy")
    assert all(repr(name) in str(caught.value) for name in SCORED)


@EVERY_SCORER
def test_a_scorer_can_be_pickled_and_shows_how_it_was_made(name, classes):
    X, y = classes
    fitted = MixtureClassifier().fit(X[y != -1], y[y != -1])
    scorer = make_novelty_scorer(name, anomaly_label=-1)
    assert pickle.loads(pickle.dumps(scorer))(fitted, X, y) == scorer(fitted, X, y)
    assert repr(scorer) == f"make_novelty_scorer('{name}', anomaly_label=-1)"


@EVERY_SCORER
def test_a_scorer_knows_a_better_estimator(name, classes):
    X, y = classes
    known = y != -1
    good = MixtureClassifier().fit(X[known], y[known])
    bad = MixtureClassifier().fit(X[known][:, ::-1], y[known])
    scorer = make_novelty_scorer(name)
    assert scorer(good, X, y) > scorer(bad, X, y)


@EVERY_SCORER
@pytest.mark.parametrize("anomaly_label", [-1, "new"])
def test_a_scorer_cross_validates_a_classifier(name, anomaly_label, classes):
    X, y = classes
    if anomaly_label == "new":
        y = np.array(["a", "b", "c", "new"])[y]
    done = cross_validate(
        make_pipeline(StandardScaler(), MixtureClassifier()),
        X,
        y,
        scoring=make_novelty_scorer(name, anomaly_label=anomaly_label),
        cv=NoveltySplit(3, anomaly_label=anomaly_label, random_state=0),
        error_score="raise",
    )
    at_chance = {"fpr95": -0.95, "aupr_in": 0.75, "aupr_out": 0.25}.get(name, 0.5)
    assert (done["test_score"] > at_chance).all()


def test_scorers_search_a_grid_the_same_alone_and_with_two_jobs(detection):
    X, y = detection
    alone, together = (
        GridSearchCV(
            IsolationForest(n_estimators=10, random_state=0),
            {"max_samples": [2, 32]},
            scoring={name: make_novelty_scorer(name) for name in SCORED},
            refit="auroc",
            cv=NoveltySplit(3, random_state=0),
            n_jobs=n_jobs,
            error_score="raise",
        ).fit(X, y)
        for n_jobs in (None, 2)
    )
    for name in SCORED:
        key = f"mean_test_{name}"
        assert_array_equal(alone.cv_results_[key], together.cv_results_[key])
        assert np.isfinite(alone.cv_results_[key]).all()


@pytest.mark.parametrize(
    "detector",
    [
        EllipticEnvelope(random_state=0),
        IsolationForest(n_estimators=10, random_state=0),
        DeepSVDD(max_epochs=1, random_state=0),
        make_pipeline(StandardScaler(), EllipticEnvelope(random_state=0)),
    ],
    ids=lambda detector: type(detector).__name__,
)
def test_scorers_cross_validate_detectors(detector, detection):
    done = cross_validate(
        detector,
        *detection,
        scoring={name: make_novelty_scorer(name) for name in SCORED},
        cv=NoveltySplit(2, random_state=0),
        error_score="raise",
    )
    assert (done["test_auroc"] > 0.8).all()
    assert all(np.isfinite(done[f"test_{name}"]).all() for name in SCORED)


@pytest.mark.parametrize(
    ("name", "without_anomalies", "without_known_rows"),
    [
        ("auroc", 0.5, 0.5),
        ("aupr_in", 1.0, 0.0),
        ("aupr_out", 0.0, 1.0),
        ("fpr95", -0.95, -0.95),
        ("oscr", None, 0.0),
        ("known_accuracy", None, 0.0),
    ],
)
def test_where_a_side_is_missing_a_scorer_gives_what_random_scores_get(
    name, without_anomalies, without_known_rows, classes
):
    X, y = classes
    fitted = MixtureClassifier().fit(X[y != -1], y[y != -1])
    scorer = make_novelty_scorer(name)
    for kept, expected, missing in [
        (y == -1, without_known_rows, "known rows"),
        (y != -1, without_anomalies, "anomalies"),
    ]:
        if expected is not None:
            with pytest.warns(UndefinedMetricWarning, match=f"without {missing}") as w:
                assert scorer(fitted, X[kept], y[kept]) == expected
            assert "NoveltySplit or StratifiedKFold" in str(w[0].message)


@EVERY_SCORER
@pytest.mark.parametrize("make", [make_pipeline, lambda estimator: estimator])
def test_the_warning_of_a_scorer_is_about_the_line_that_called(name, make, classes):
    X, y = classes
    X, y = X[y != -1], y[y != -1]
    fitted = make(MixtureClassifier()).fit(X, y)
    scorer, anomalies = make_novelty_scorer(name), np.full(len(X), -1)
    with pytest.warns(UndefinedMetricWarning, match="without known rows") as caught:
        scorer(fitted, X, anomalies)
    assert [warning.filename for warning in caught] == [__file__]
    fold = [(np.arange(len(X)), np.arange(len(X), 2 * len(X)))]
    with pytest.warns(UndefinedMetricWarning, match="without known rows") as caught:
        cross_val_score(
            make(MixtureClassifier()),
            np.concatenate([X, X]),
            np.concatenate([y, anomalies]),
            scoring=scorer,
            cv=fold,
        )
    assert [warning.filename for warning in caught] == [__file__]


def test_chance_is_what_random_scores_really_get():
    rng = np.random.RandomState(0)
    y_true, y_score = np.where(rng.rand(50_000) < 0.02, -1, 1), rng.rand(50_000)
    assert fpr_at_tpr(y_true, y_score) == pytest.approx(0.95, abs=0.02)
    assert aupr_in(y_true, y_score) == pytest.approx(1, abs=0.03)
    assert aupr_out(y_true, y_score) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("name", ["oscr", "known_accuracy"])
def test_scorers_of_classes_need_no_anomalies(name, classes):
    X, y = classes
    X, y = X[y != -1], y[y != -1]
    fitted = MixtureClassifier().fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make_novelty_scorer(name)(fitted, X, y) == fitted.score(X, y)


@pytest.mark.parametrize("name", ["auroc", "aupr_in", "aupr_out", "fpr95"])
def test_a_fold_without_anomalies_leaves_the_ranking_to_the_other_folds(
    name, detection
):
    X, y = detection
    search = GridSearchCV(
        ScoresColumn(),
        {"column": [1, 0]},
        scoring=make_novelty_scorer(name),
        cv=PredefinedSplit(np.arange(len(X)) // 33),  # all anomalies are in the last
        error_score="raise",
    )
    with pytest.warns(UndefinedMetricWarning, match="without anomalies"):
        search.fit(X, y)
    assert len(set(search.cv_results_["split0_test_score"])) == 1
    assert search.best_params_ == {"column": 0}


# Folds.


def split(y, n_splits=3, *, random_state=0, **params):
    splitter = NoveltySplit(n_splits, random_state=random_state, **params)
    return [*splitter.split(np.zeros(len(y)), y)]


def random_labels(seed):
    """Few anomalies, a common class and rare ones, in random order."""
    rng = np.random.RandomState(seed)
    y = np.repeat([-1, 0, 1, 2, 3], [4, 30, rng.randint(1, 9), 1, 2])
    return rng.permutation(y)


LEAST_POPULATED = pytest.mark.filterwarnings("ignore:The least populated:UserWarning")


@LEAST_POPULATED
@EVERY_SEED
def test_no_anomaly_is_ever_trained_on(seed):
    y = random_labels(seed)
    for train, _ in split(y, random_state=seed):
        assert len(train) and -1 not in y[train]


@LEAST_POPULATED
@EVERY_SEED
def test_each_row_is_tested_once_and_trained_on_in_all_other_folds(seed):
    y = random_labels(seed)
    folds = split(y, random_state=seed)
    tested = np.concatenate([test for _, test in folds])
    assert_array_equal(np.sort(tested), np.arange(len(y)))
    for train, test in folds:
        known = np.flatnonzero(y != -1)
        assert_array_equal(train, np.setdiff1d(known, test))
        assert_array_equal(test, np.sort(test))


@LEAST_POPULATED
@EVERY_SEED
def test_each_test_set_has_both_kinds(seed):
    y = random_labels(seed)
    for _, test in split(y, 4, random_state=seed):
        assert {*(y[test] == -1)} == {True, False}


@LEAST_POPULATED
@pytest.mark.parametrize("shuffle", [True, False])
def test_each_test_set_has_both_kinds_if_all_known_classes_are_rare(shuffle):
    y = [7, -1, -1, -1, 8]  # dealt out in this order, both known rows met in one fold
    for _, test in split(y, 2, shuffle=shuffle, random_state=0 if shuffle else None):
        assert {y[row] == -1 for row in test} == {True, False}


@EVERY_SEED
def test_folds_are_stratified(seed):
    y = np.random.RandomState(seed).permutation(np.repeat([-1, 0, 1], [6, 12, 21]))
    for _, test in split(y, random_state=seed):
        assert_array_equal(np.bincount(y[test] + 1), [2, 4, 7])


@EVERY_KIND_OF_LABELS
def test_folds_depend_on_labels_only_by_which_are_equal(y_true, anomaly_label):
    expected = split([0, 0, 1, 1, -1, -1], 2)
    for fold, other in zip(
        split(y_true, 2, anomaly_label=anomaly_label), expected, strict=True
    ):
        assert_array_equal(fold[0], other[0])
        assert_array_equal(fold[1], other[1])


def test_the_same_seed_gives_the_same_folds_and_another_seed_others():
    y = np.repeat([-1, 0], [20, 40])
    first, again, other = (split(y, random_state=seed) for seed in (0, 0, 1))
    assert_array_equal(first[0][1], again[0][1])
    assert not np.array_equal(first[0][1], other[0][1])


def test_without_shuffling_rows_stay_in_order():
    y = np.tile([-1, 0, 0], 20)
    for start, (train, test) in zip(
        (0, 30), split(y, 2, shuffle=False, random_state=None), strict=True
    ):
        half = np.arange(start, start + 30)
        assert_array_equal(test, half)
        assert_array_equal(train, np.setdiff1d(np.flatnonzero(y == 0), half))


def test_folds_leave_the_global_random_stream_as_it_was():
    state = np.random.get_state()[1].copy()
    split(np.repeat([-1, 0], 10))
    assert_array_equal(np.random.get_state()[1], state)


def test_a_split_shows_its_parameters():
    assert repr(NoveltySplit(4, anomaly_label="new", random_state=0)) == (
        "NoveltySplit(anomaly_label='new', n_splits=4, random_state=0, shuffle=True)"
    )
    assert NoveltySplit(4).get_n_splits() == 4


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, 1, 1, -1, -1], r"anomalies in every fold, hence 3 .*got 2\. Label more"),
        ([1, 1, -1, -1, -1], r"known rows in every fold, hence 3 .*got 2\."),
        ([1, 1, 1, 1, 1], r"anomalies .*n_splits=3, anomaly_label=-1.*got 0"),
        (["new"] * 5, "anomalies .*got 0"),
        ([[1, -1]] * 5, "1d array"),
        ([1, 1, 1, -1, -1, -1], "inconsistent numbers of samples"),
        (None, r"y must be given.*got None\. Label them -1"),
    ],
)
def test_labels_that_do_not_fill_the_folds_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        [*NoveltySplit(3).split(np.zeros(5), y)]


@pytest.mark.parametrize("n_splits", [1, 0, 2.5])
def test_a_wrong_number_of_folds_is_refused_as_scikit_learn_does(n_splits):
    with pytest.raises(ValueError) as ours:
        NoveltySplit(n_splits)
    with pytest.raises(ValueError) as theirs:
        StratifiedKFold(n_splits)
    assert str(ours.value) == str(theirs.value)


def test_rare_classes_are_warned_of_as_scikit_learn_does():
    with pytest.warns(UserWarning, match="least populated class in y has only 1"):
        split([0, 0, 0, 1, -1, -1, -1])


def test_a_detector_is_fitted_on_normal_rows_and_predicts_all_out_of_fold(detection):
    X, y = detection
    forest = NeedsNoAnomalies(n_estimators=10, random_state=0)
    predicted = cross_val_predict(forest, X, y, cv=NoveltySplit(3, random_state=0))
    assert (predicted[y == -1] == -1).all()
    with pytest.raises(ValueError, match="fits failed"):
        cross_validate(forest, X, y, cv=KFold(3, shuffle=True), scoring="accuracy")


def test_a_classifier_predicts_names_of_all_out_of_fold(classes):
    X, y = classes
    names = np.array(["a", "b", "c", "new"])[y]
    cv = NoveltySplit(3, anomaly_label="new", random_state=0)
    predicted = cross_val_predict(MixtureClassifier(), X, names, cv=cv)
    assert {*predicted} == {"a", "b", "c"}
    assert known_accuracy(names, predicted, anomaly_label="new") > 0.9


def test_folds_serve_a_grid_search_by_a_scorer_of_scikit_learn_too(detection):
    X, y = detection
    search = GridSearchCV(
        EllipticEnvelope(random_state=0),
        {"contamination": [0.01, 0.5]},
        scoring="accuracy",
        cv=NoveltySplit(3, random_state=0),
        error_score="raise",
    ).fit(X, y)
    assert search.best_params_ == {"contamination": 0.01}
