"""Where thresholds lie, and the promise that they keep on new samples."""

from math import sqrt

import numpy as np
import pytest
from scipy.stats import false_discovery_control
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_hypersphere import (
    HSC,
    DeepSVDD,
    FitOnNormal,
    HypersphereEnsemble,
    MCHADClassifier,
)
from sk_hypersphere.base._threshold import (
    ThresholdRule,
    hold_out,
    n_calibrating,
    n_needed,
)
from sk_hypersphere.exceptions import CalibrationWarning
from sk_hypersphere.metrics import conformal_p_values

SMALL = {"max_epochs": 2, "random_state": 0}
FEW = pytest.mark.filterwarnings("ignore::sk_hypersphere.exceptions.CalibrationWarning")


def normal_rows(n, seed, n_features=4):
    return np.random.RandomState(seed).randn(n, n_features).astype(np.float32)


def draw(y, rate=0.05, fraction="auto", seed=0):
    """Indices of the samples that a rule holds out."""
    rule = ThresholdRule("auto", rate, fraction)
    return rule.draw(np.asarray(y), np.random.RandomState(seed))


def place(scores, rate):
    return ThresholdRule("auto", rate, "auto").place(scores, boundary=None)


def deviation(rate, n_calibrating, n_new):
    """Standard deviation of the share of new samples below a threshold.

    Below the threshold is a part of the distribution that has a beta distribution over
    calibration sets, and the share of new samples is binomial.
    """
    return sqrt(rate * (1 - rate) * (1 / (n_calibrating + 2) + 1 / n_new))


# How many samples calibrate.


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (0.5, 1),
        (0.34, 2),
        (1 / 3, 2),
        (0.3, 3),
        (0.2, 4),
        (0.15, 6),
        (0.1, 9),
        (0.05, 19),
        (0.01, 99),
        (0.005, 199),
        (1e-3, 999),
        (1e-4, 9999),
    ],
)
def test_a_promise_needs_one_sample_less_than_its_inverse(rate, expected):
    assert n_needed(rate) == expected


def test_no_fewer_samples_than_are_needed_could_keep_a_promise():
    for rate in np.random.RandomState(0).uniform(1e-4, 0.5, 1000):
        n = n_needed(rate)
        assert 1 / (n + 1) <= rate < 1 / n  # a new sample is the lowest so often


def test_what_is_needed_is_enough_for_a_place_among_the_scores():
    for rate in (0.5, 0.3, 1 / 3, 0.1, 0.05, 0.01, 0.005, 1e-3):
        scores = np.arange(float(n_needed(rate)))
        assert place(scores, rate) == pytest.approx(rate * (len(scores) + 1) - 1)


@pytest.mark.parametrize(
    ("n_normal", "rate", "expected"),
    [
        (0, 0.05, 0),
        (1, 0.05, 0),
        (2, 0.05, 1),
        (3, 0.05, 1),
        (19, 0.05, 9),  # a half, which is not enough
        (37, 0.05, 18),
        (38, 0.05, 19),  # a half, which is
        (57, 0.05, 19),
        (60, 0.05, 20),  # a third
        (300, 0.05, 100),
        (600, 0.05, 200),
        (999, 0.05, 200),
        (1005, 0.05, 201),  # a fifth
        (10_000, 0.05, 2000),
        (1_000_000, 0.05, 2000),
        (100, 0.01, 50),
        (197, 0.01, 98),
        (198, 0.01, 99),
        (300, 0.01, 100),
        (1998, 1e-3, 999),
        (6000, 1e-3, 1200),
        (10_000, 1e-4, 5000),
        (100_000, 1e-4, 9999),  # more than 2,000, because they are needed
        (10, 0.5, 3),
    ],
)
def test_so_many_samples_calibrate_where_it_is_left_open(n_normal, rate, expected):
    assert n_calibrating(n_normal, rate) == expected


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.05, 0.01, 1e-3, 1e-4])
def test_the_number_that_calibrates_keeps_its_bounds(rate):
    numbers = [n_calibrating(n, rate) for n in range(30_000)]
    assert (np.diff(numbers) >= 0).all()
    for n_normal, number in enumerate(numbers):
        assert number <= n_normal // 2
        assert number >= min(n_needed(rate), n_normal // 2)
        assert number >= min(200, n_normal // 3)
        if number > n_needed(rate):
            assert number <= max(n_normal // 5, 200) and number <= 2000


# Which samples calibrate.


@FEW
@pytest.mark.parametrize("fraction", ["auto", 0.1, 0.99])
def test_anomalies_never_calibrate_and_something_is_left_to_train_on(fraction):
    random_state = np.random.RandomState(0)
    for n_normal in (*range(8), 30, 500):
        for n_classes in (1, 3):
            classes = np.arange(n_normal) % n_classes
            y = random_state.permutation(np.r_[classes, np.full(20, -1)])
            drawn = draw(y, fraction=fraction)
            assert (y[drawn] >= 0).all() and (np.diff(drawn) > 0).all()
            left = np.delete(y, drawn)
            assert np.sum(left == -1) == 20
            assert np.sum(left >= 0) >= min(n_normal, 2)
            assert {*left} == {*y}  # one of each class


@FEW
def test_one_of_each_class_is_left_where_there_are_many():
    y = np.r_[np.arange(100), np.arange(10)]
    drawn = draw(y, fraction=0.9)
    assert {*np.delete(y, drawn)} == {*range(100)}
    assert len(drawn) == 10


@pytest.mark.parametrize(("fraction", "expected"), [("auto", 100), (0.5, 150)])
def test_as_many_are_drawn_as_the_parameters_say(fraction, expected):
    y = np.r_[np.zeros(300, dtype=int), np.full(50, -1)]
    assert len(draw(y, fraction=fraction)) == expected


@FEW
def test_three_normal_samples_are_the_fewest_of_which_one_calibrates():
    numbers = [len(draw(np.zeros(n, dtype=int), fraction=0.99)) for n in range(5)]
    assert numbers == [0, 0, 0, 1, 2]


def test_a_seed_draws_the_same_samples_and_another_draws_others():
    y = np.zeros(300, dtype=int)
    np.testing.assert_array_equal(draw(y, seed=1), draw(y, seed=1))
    assert not np.array_equal(draw(y, seed=1), draw(y, seed=2))


@pytest.mark.parametrize("contamination", [0.1, 0.5, "boundary"])
def test_nothing_is_drawn_where_training_samples_place_the_threshold(contamination):
    rule = ThresholdRule(contamination, 0.05, "auto")
    random_state = np.random.RandomState(0)
    assert len(rule.draw(np.zeros(3, dtype=int), random_state)) == 0  # no warning
    assert random_state.randint(1000) == np.random.RandomState(0).randint(1000)


# Where the threshold is placed.


def test_the_boundary_and_percentiles_are_taken_as_they_are():
    scores = np.random.RandomState(0).randn(77)
    boundary = ThresholdRule("boundary", 0.05, "auto").place(scores, boundary=-0.25)
    assert boundary == -0.25
    share = ThresholdRule(0.3, 0.05, "auto").place(scores, boundary=-0.25)
    assert share == np.percentile(scores, 30)


def test_the_threshold_lies_between_the_scores_next_to_its_place():
    scores = np.array([9.0, 1.0, 4.0, 2.0, 7.0])  # sorted: 1, 2, 4, 7, 9
    # place α (5 + 1) = 1, 2, 2.5 and 3, counted from 1
    for rate, expected in [(1 / 6, 1.0), (2 / 6, 2.0), (2.5 / 6, 3.0), (0.5, 4.0)]:
        assert place(scores, rate) == pytest.approx(expected)


def test_too_few_scores_place_the_threshold_at_the_lowest():
    for m in range(1, 19):
        scores = np.random.RandomState(m).randn(m)
        assert place(scores, 0.05) == scores.min()


@pytest.mark.parametrize(
    ("m", "rate"),
    [
        (1, 0.5),
        (19, 0.05),
        (20, 0.05),  # at place 1.05
        (27, 0.05),  # at place 1.4
        (33, 0.1),  # at place 3.4
        (99, 0.05),
        (150, 0.01),  # at place 1.51
        (12, 0.5),  # at place 6.5
    ],
)
def test_new_samples_fall_below_exactly_as_often_as_promised_on_average(m, rate):
    """For uniform scores, the share that falls below is the threshold itself."""
    rng = np.random.default_rng(0)
    shares = np.array([place(rng.uniform(size=m), rate) for _ in range(4000)])
    error = shares.std() / sqrt(len(shares))
    assert shares.mean() == pytest.approx(rate, abs=3 * error)


@pytest.mark.parametrize("m", [19, 27])
def test_a_percentile_of_few_samples_promises_too_little(m):
    """That is why it is not what numpy takes by default."""
    rng = np.random.default_rng(0)
    shares = [np.percentile(rng.uniform(size=m), 5) for _ in range(4000)]
    assert np.mean(shares) > 1.3 * 0.05


# P-values.


def naive_p_values(calibration_scores, scores):
    """The formula in float64, sample by sample."""
    p_values = []
    for score in scores:
        n_lower = 0
        for calibration_score in calibration_scores:
            if float(calibration_score) <= float(score):
                n_lower += 1
        p_values.append((1 + n_lower) / (len(calibration_scores) + 1))
    return np.array(p_values)


@pytest.mark.parametrize("m", [1, 2, 19, 200])
def test_p_values_are_those_of_the_formula_also_among_ties(m):
    rng = np.random.default_rng(m)
    for low, high in [(0, 3), (-50, 50)]:  # many ties, and few
        calibration_scores, scores = rng.integers(low, high, m), np.arange(-55, 55)
        p_values = conformal_p_values(calibration_scores, scores)
        assert p_values.dtype == np.float64
        np.testing.assert_array_equal(
            p_values, naive_p_values(calibration_scores, scores)
        )
    p_values = conformal_p_values(rng.normal(size=m), [-99.0, 99.0])
    np.testing.assert_allclose(p_values, [1 / (m + 1), 1])


def test_p_values_take_any_kind_of_numbers_and_leave_them_as_they_are():
    calibration_scores = np.array([3, -1, 2], dtype=np.float32)
    scores = np.array([2.0, 0.0])
    expected = [0.75, 0.5]
    for make in (np.asarray, list, np.ndarray.tolist):
        p_values = conformal_p_values(make(calibration_scores), make(scores))
        np.testing.assert_array_equal(p_values, expected)
    assert calibration_scores.tolist() == [3, -1, 2]


@pytest.mark.parametrize(
    ("calibration_scores", "scores", "message"),
    [
        ([], [1.0], "calibration_scores must hold one score at least, got none"),
        ([1.0, np.nan], [1.0], "calibration_scores contains NaN"),
        ([1.0], [np.nan], "Input scores contains NaN"),
        ([None], [1.0], "calibration_scores contains NaN"),
        ([1.0], [np.inf], "Input scores contains infinity"),
        (["low"], [1.0], "could not convert string to float: 'low'"),
        ([[1.0, 2.0]], [1.0], r"calibration_scores must be one-dim.*shape \(1, 2\)"),
        ([1.0], 1.0, r"scores must be one-dimensional, .* of shape \(\)"),
    ],
    ids=["none", "NaN", "NaN to judge", "None", "inf", "text", "2d", "0d"],
)
def test_scores_that_are_no_numbers_are_refused(calibration_scores, scores, message):
    with pytest.raises(ValueError, match=message):
        conformal_p_values(calibration_scores, scores)


def test_normal_samples_have_low_p_values_no_more_often_than_by_chance():
    rng = np.random.default_rng(0)
    for rate in (0.05, 0.1, 0.3):
        low = [
            np.mean(
                conformal_p_values(rng.normal(size=39), rng.normal(size=50)) <= rate
            )
            for _ in range(1000)
        ]
        error = np.std(low) / sqrt(len(low))
        assert np.mean(low) == pytest.approx(rate, abs=3 * error)  # 40 rate is whole


def test_alarms_are_the_samples_whose_p_value_is_at_most_the_promise():
    """Where the place is between two scores, also some that lie between these."""
    rate = 0.107
    fitted = DeepSVDD(false_alarm_rate=rate, **SMALL).fit(normal_rows(300, seed=0))
    new = normal_rows(4000, seed=1)
    assert len(fitted.calibration_scores_) == 100  # place 10.8
    alarms, low = fitted.predict(new) < 0, fitted.p_values(new) <= rate
    assert alarms[low].all() and low.sum() > 50
    between = fitted.score_samples(new[alarms & ~low])
    lower, upper = fitted.calibration_scores_[[9, 10]]
    assert ((lower <= between) & (between < upper)).all()


def test_discoveries_among_p_values_hold_few_false_ones():
    rng = np.random.default_rng(0)
    false_shares, found = [], []
    for _ in range(200):
        calibration_scores = rng.normal(size=400)
        scores = np.r_[rng.normal(size=300), rng.normal(-4, 1, size=30)]
        p_values = conformal_p_values(calibration_scores, scores)
        alarms = false_discovery_control(p_values) <= 0.1
        false_shares.append(alarms[:300].sum() / max(alarms.sum(), 1))
        found.append(alarms[300:].mean())
    error = np.std(false_shares) / sqrt(len(false_shares))
    assert np.mean(false_shares) < 0.1 + 3 * error
    assert np.mean(found) > 0.7


def test_planted_anomalies_are_discovered_with_few_false_ones():
    fitted = DeepSVDD(random_state=0).fit(normal_rows(2500, seed=0))
    new = np.concatenate([normal_rows(950, seed=1), normal_rows(50, seed=2) + 6])
    alarms = false_discovery_control(fitted.p_values(new)) <= 0.1
    assert alarms[950:].all()
    assert alarms[:950].sum() <= 15  # 5 or 6 are expected
    usual = fitted.predict(new) < 0
    assert usual[:950].sum() > 2 * alarms[:950].sum()


@pytest.mark.parametrize("contamination", [0.1, "boundary"])
def test_p_values_without_calibration_are_refused_with_a_way_out(contamination):
    X = normal_rows(100, seed=0)
    fitted = DeepSVDD(contamination=contamination, **SMALL).fit(X)
    with pytest.raises(ValueError) as caught:
        fitted.p_values(X)
    message = str(caught.value)
    assert message.startswith("p_values needs calibration scores, but this DeepSVDD")
    assert 'Fit it with contamination="auto"' in message and message.endswith(".")
    fitted.set_params(contamination="auto")
    with pytest.raises(ValueError, match='contamination="auto"'):
        fitted.p_values(X)  # it was not fitted with it
    assert (fitted.fit(X).p_values(X) > 0).all()


def test_p_values_before_a_fit_are_refused():
    with pytest.raises(NotFittedError):
        DeepSVDD().p_values(normal_rows(2, seed=0))


# Too few samples.


def caught_at_fit(estimator, X, y=None):
    with pytest.warns(CalibrationWarning) as caught:
        estimator.fit(X, y)
    assert len(caught) == 1
    return caught[0]


# And how many example anomalies they are shown, which do not calibrate.
MODELS = {
    "detector": (DeepSVDD(**SMALL), 0),
    "pipeline": (make_pipeline(StandardScaler(), DeepSVDD(**SMALL)), 0),
    "ensemble": (HypersphereEnsemble(DeepSVDD(**SMALL), 2), 0),
    "forests": (HypersphereEnsemble(IsolationForest(n_estimators=5), 2), 0),
    "on normal rows": (FitOnNormal(DeepSVDD(**SMALL)), 10),
    "classifier": (MCHADClassifier(anomaly_label=-1, **SMALL), 10),
    "semi-supervised": (HSC(**SMALL), 10),
}
EVERY_MODEL = pytest.mark.parametrize(
    ("model", "n_anomalies"), MODELS.values(), ids=MODELS
)


def with_labels(n_normal, n_anomalies):
    y = np.repeat([1, -1], [n_normal, n_anomalies])
    return normal_rows(len(y), seed=0), y


@EVERY_MODEL
def test_a_warning_says_how_many_are_needed_and_is_about_the_line_that_called(
    model, n_anomalies
):
    record = caught_at_fit(clone(model), *with_labels(30, n_anomalies))
    message = str(record.message)
    assert "false_alarm_rate=0.05 needs 19 normal samples at least" in message
    assert "got 15 of 30" in message
    assert "1 in 16 new normal samples will fall on average" in message
    assert "(38 are enough where" in message
    assert record.filename == __file__


@EVERY_MODEL
def test_nothing_is_warned_of_where_the_promise_can_be_kept(model, n_anomalies):
    clone(model).fit(*with_labels(38, n_anomalies))  # a warning is an error here


def test_a_rule_warns_at_the_line_that_draws():
    with pytest.warns(CalibrationWarning, match="needs 99 .* got 30 of 60") as caught:
        draw(np.zeros(60, dtype=int), rate=0.01)
    assert [record.filename for record in caught] == [__file__]


def test_as_many_as_a_warning_calls_enough_are_enough():
    for rate in (0.5, 0.3, 0.05, 0.01, 0.005):
        enough = 2 * n_needed(rate) + (n_needed(rate) == 1)  # 2 are left to train on
        y = np.zeros(enough, dtype=int)
        assert len(draw(y, rate)) >= n_needed(rate)  # no warning
        with pytest.warns(CalibrationWarning, match=f"needs {n_needed(rate)} normal"):
            draw(y[:-1], rate)


def test_too_small_a_fraction_is_warned_of():
    with pytest.warns(CalibrationWarning, match="got 18 of 180"):
        draw(np.zeros(180, dtype=int), fraction=0.1)
    assert len(draw(np.zeros(190, dtype=int), fraction=0.1)) == 19


def test_with_too_few_samples_the_threshold_is_the_lowest_calibration_score():
    fitted = DeepSVDD(**SMALL)
    caught_at_fit(fitted, normal_rows(30, seed=0))
    assert len(fitted.calibration_scores_) == 15
    assert fitted.offset_ == fitted.calibration_scores_.min()


def test_with_one_or_two_samples_the_threshold_is_placed_on_them():
    for n in (1, 2):
        fitted, X = DeepSVDD(**SMALL), normal_rows(n, seed=0)
        message = str(caught_at_fit(fitted, X).message)
        assert f"got 0 of {n}" in message and "promises nothing" in message
        assert np.isfinite(fitted.offset_)
        with pytest.raises(ValueError, match="p_values needs calibration scores"):
            fitted.p_values(X)


def test_sixty_normal_samples_keep_the_default_promise_without_a_warning():
    shares = []
    for seed in range(100):
        X, new = normal_rows(60, 2 * seed, 20), normal_rows(1000, 2 * seed + 1, 20)
        detector = DeepSVDD(max_epochs=5, lr=1e-2, random_state=seed)
        fitted = detector.fit(X)
        assert len(fitted.calibration_scores_) == 20
        shares.append(np.mean(fitted.predict(new) == -1))
    error = np.std(shares) / sqrt(len(shares))
    assert np.mean(shares) == pytest.approx(0.05, abs=3 * error)


# The promise.


def test_a_detector_that_overfits_keeps_the_promise_and_a_share_does_not():
    X, new = normal_rows(400, seed=0, n_features=20), normal_rows(4000, 1, 20)
    detector = DeepSVDD(max_epochs=60, lr=1e-2, random_state=0)
    promised = detector.fit(X).predict(new) == -1
    m = len(detector.calibration_scores_)
    assert m == 133
    assert promised.mean() == pytest.approx(0.05, abs=3 * deviation(0.05, m, len(new)))
    share = detector.set_params(contamination=0.05).fit(X)
    assert np.mean(share.predict(X) == -1) == pytest.approx(0.05)
    assert np.mean(share.predict(new) == -1) > 0.5  # ten times as many


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_a_detector_of_another_package_keeps_the_promise_in_an_ensemble(rate):
    X, new = normal_rows(1000, seed=0), normal_rows(4000, seed=1)
    forest = IsolationForest(n_estimators=20)
    ensemble = HypersphereEnsemble(forest, 3, false_alarm_rate=rate, random_state=0)
    share = np.mean(ensemble.fit(X).predict(new) == -1)
    m = len(ensemble.calibration_scores_)
    assert m == 200
    assert share == pytest.approx(rate, abs=3 * deviation(rate, m, len(new)))
    assert ensemble.p_values(new).mean() == pytest.approx(0.5, abs=0.07)


def test_a_promise_can_be_changed_after_a_fit():
    """The calibration scores have all that it takes."""
    X, new = normal_rows(1000, seed=0), normal_rows(1000, seed=1)
    first, second = (
        DeepSVDD(false_alarm_rate=rate, **SMALL).fit(X) for rate in (0.05, 0.2)
    )
    np.testing.assert_array_equal(first.calibration_scores_, second.calibration_scores_)
    assert place(first.calibration_scores_, 0.2) == second.offset_
    assert np.mean(first.predict(new) == -1) < np.mean(second.predict(new) == -1)


# A budget of alarms.

BUDGET = 50 / 10_000


def test_a_budget_is_a_promise_where_there_are_samples_enough():
    detector = DeepSVDD(false_alarm_rate=BUDGET, **SMALL)
    message = str(caught_at_fit(detector, normal_rows(397, seed=0)).message)
    assert "false_alarm_rate=0.005 needs 199 normal samples" in message
    assert "got 198 of 397" in message and "398 are enough" in message
    assert detector.offset_ == detector.calibration_scores_[0]
    detector.fit(normal_rows(398, seed=0))  # no warning
    assert len(detector.calibration_scores_) == 199
    assert detector.offset_ == pytest.approx(detector.calibration_scores_[0])


def test_a_budget_that_is_promised_holds_on_new_samples():
    detector = DeepSVDD(false_alarm_rate=BUDGET, **SMALL).fit(normal_rows(5000, seed=0))
    n_alarms = np.sum(detector.predict(normal_rows(10_000, seed=1)) == -1)
    m = len(detector.calibration_scores_)
    assert m == 1000
    assert n_alarms == pytest.approx(50, abs=3e4 * deviation(BUDGET, m, 10_000))


def test_a_budget_for_given_cases_is_kept_exactly():
    detector = DeepSVDD(**SMALL).fit(normal_rows(500, seed=0))
    scores = detector.score_samples(normal_rows(10_000, seed=1))
    threshold = np.partition(scores, 50)[50]
    assert np.sum(scores < threshold) == 50
    np.testing.assert_array_equal(
        np.sort(np.argsort(scores)[:50]), np.flatnonzero(scores < threshold)
    )


# Thresholds of scikit-learn, around a classifier of anomalies and all else.


def cases(n_normal, n_anomalies, seed):
    X = normal_rows(n_normal + n_anomalies, seed)
    X[n_normal:, 0] += 3
    return X, np.repeat(["normal", "anomaly"], [n_normal, n_anomalies])


@pytest.fixture(scope="module")
def classifier():
    model = MCHADClassifier(max_epochs=10, lr=1e-2, random_state=0)
    return model.fit(*cases(400, 60, seed=0))


def test_a_fixed_threshold_keeps_a_budget_exactly(classifier):
    X, _ = cases(950, 50, seed=1)
    decisions = classifier.decision_function(X)
    assert classifier.classes_.tolist() == ["anomaly", "normal"]
    assert np.sum(classifier.predict(X) == "anomaly") != 50
    threshold = np.partition(decisions, 50)[50]
    fixed = FixedThresholdClassifier(
        FrozenEstimator(classifier),
        threshold=threshold,
        response_method="decision_function",
    ).fit(X, ["anomaly", "normal"] * 500)  # which is not learned from
    predicted = fixed.predict(X)
    assert np.sum(predicted == "anomaly") == 50
    np.testing.assert_array_equal(
        np.flatnonzero(predicted == "anomaly"), np.sort(np.argsort(decisions)[:50])
    )
    # Of cases that come one by one, each is judged as in the crowd.
    np.testing.assert_array_equal(
        np.concatenate([fixed.predict(X[:1]), fixed.predict(X[1:])]), predicted
    )


def test_a_fixed_threshold_fits_a_classifier_of_its_own(classifier):
    X, y = cases(400, 60, seed=0)
    fixed = FixedThresholdClassifier(
        classifier, threshold=0.9, pos_label="anomaly", response_method="predict_proba"
    ).fit(X, y)
    assert fixed.estimator_ is not classifier
    new, _ = cases(950, 50, seed=1)
    sure = classifier.predict_proba(new)[:, 0] >= 0.9
    assert 0 < sure.sum() < np.sum(classifier.predict(new) == "anomaly")
    np.testing.assert_array_equal(fixed.predict(new) == "anomaly", sure)


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_a_threshold_is_tuned_by_cross_validation(classifier, in_pipeline):
    model = clone(classifier)
    if in_pipeline:
        model = make_pipeline(StandardScaler(), model)
    tuned = TunedThresholdClassifierCV(
        model,
        scoring="balanced_accuracy",
        response_method="decision_function",
        cv=3,
        random_state=0,
    ).fit(*cases(400, 60, seed=0))
    new, y = cases(950, 50, seed=1)
    decisions = tuned.estimator_.decision_function(new)
    expected = np.where(decisions >= tuned.best_threshold_, "normal", "anomaly")
    np.testing.assert_array_equal(tuned.predict(new), expected)
    assert tuned.best_threshold_ > 0  # anomalies are few, and count as much as the rest
    assert balanced_accuracy_score(y, expected) > 0.8


def test_a_threshold_is_tuned_for_a_classifier_that_is_fitted(classifier):
    X, y = cases(950, 50, seed=1)
    tuned = TunedThresholdClassifierCV(
        classifier,
        scoring="balanced_accuracy",
        response_method="decision_function",
        cv="prefit",
        refit=False,
    ).fit(X, y)
    own = balanced_accuracy_score(y, classifier.predict(X))
    assert balanced_accuracy_score(y, tuned.predict(X)) >= own


@pytest.mark.parametrize("n_drawn", [0, 1, 10, 57, 90])
def test_as_many_rows_are_held_out_as_are_asked_for_and_no_anomalies(n_drawn):
    y = np.random.RandomState(0).randint(-1, 3, 160)
    drawn = hold_out(y, n_drawn, np.random.RandomState(0))
    assert len(drawn) == n_drawn
    assert (np.diff(drawn) > 0).all() and drawn.dtype.kind == "i"
    assert (y[drawn] >= 0).all()


def test_rows_are_held_out_of_classes_in_proportion_to_their_size():
    y = np.repeat([0, 1, 2], [600, 300, 100])
    sizes = np.bincount(y[hold_out(y, 100, np.random.RandomState(0))])
    np.testing.assert_allclose(sizes, [60, 30, 10], atol=1)


@pytest.mark.parametrize("n_drawn", [6, 7, 1000])
def test_a_row_of_each_class_is_left_however_many_are_asked_for(n_drawn):
    y = np.array([0, 0, 0, 1, 2, 2, 2, 2, 2, -1, -1])
    drawn = hold_out(y, n_drawn, np.random.RandomState(0))
    assert {*np.delete(y, drawn)} == {-1, 0, 1, 2}
    assert len(drawn) == 6


def test_each_row_is_as_likely_to_be_held_out():
    y, counts = np.zeros(10, dtype=int), np.zeros(10)
    random_state = np.random.RandomState(0)
    for _ in range(2000):
        counts[hold_out(y, 3, random_state)] += 1
    np.testing.assert_allclose(counts / 2000, 0.3, atol=0.04)


def test_where_there_is_nothing_to_hold_out_nothing_is():
    for y in (np.array([-1, -1]), np.array([0, 1]), np.array([0])):
        assert len(hold_out(y, 0, np.random.RandomState(0))) == 0
    assert len(hold_out(np.array([0, 1]), 5, np.random.RandomState(0))) == 0
