"""Members side by side are members alone, and what is made of their scores."""

import pickle

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EarlyStopping
from torch import nn

from sk_hypersphere import (
    FINCH,
    HSC,
    CACClassifier,
    CenterLossClassifier,
    DeepSAD,
    DeepSVDD,
    EIDNEmbedder,
    FitOnNormal,
    HypersphereEnsemble,
    IILossClassifier,
    MCHADClassifier,
    SubclusterDetector,
)
from sk_hypersphere._training.random import clone_with_seeds
from sk_hypersphere._training.rows import Rows
from sk_hypersphere.exceptions import CalibrationWarning, NonFiniteLossError

# Members are those of the same samples: none are held out for all of them.
SHORT = {"max_epochs": 2, "batch_size": 32, "contamination": 0.1}
OUTLIER = -1

# With the labels that they take: none, anomalies among them, classes, or both.
SIDE_BY_SIDE = {
    "DeepSVDD": (DeepSVDD(**SHORT), None),
    "DeepSVDD, a lower learning rate at the end": (
        DeepSVDD(**{**SHORT, "max_epochs": 4}),
        None,
    ),
    "DeepSVDD, clusters given": (DeepSVDD(multi_radius=True, **SHORT), None),
    "DeepSVDD, linear": (DeepSVDD(encoder_params={"hidden_units": ()}, **SHORT), None),
    "DeepSVDD, without bias": (DeepSVDD(encoder_params={"bias": False}, **SHORT), None),
    "DeepSVDD, own encoder": (
        DeepSVDD(
            encoder=nn.Sequential(nn.Linear(32, 8), nn.LeakyReLU(), nn.Linear(8, 4)),
            **SHORT,
        ),
        None,
    ),
    "DeepSAD": (DeepSAD(**SHORT), "anomalies"),
    "HSC": (HSC(**SHORT), "anomalies"),
    "HSC, bce": (HSC(loss="bce", **SHORT), "anomalies"),
    "EIDNEmbedder": (EIDNEmbedder(**SHORT), "anomalies"),
    "EIDNEmbedder, random": (EIDNEmbedder(triplets="random", **SHORT), "anomalies"),
    "MCHADClassifier": (MCHADClassifier(**SHORT), "classes"),
    "MCHADClassifier, outliers": (
        MCHADClassifier(anomaly_label=OUTLIER, **SHORT),
        "both",
    ),
    "CACClassifier": (CACClassifier(anomaly_label=OUTLIER, **SHORT), "both"),
    "CenterLossClassifier": (
        CenterLossClassifier(anomaly_label=OUTLIER, **SHORT),
        "both",
    ),
    "IILossClassifier": (IILossClassifier(**SHORT), "classes"),
    "SubclusterDetector": (SubclusterDetector(**SHORT), None),
}

ONE_BY_ONE = {
    "radii that are learned": DeepSVDD("soft-boundary", **SHORT),
    "callbacks": DeepSVDD(callbacks=[EarlyStopping("train_loss")], **SHORT),
    "parameters of the net": DeepSVDD(
        net_params={"optimizer": torch.optim.SGD}, **SHORT
    ),
    "dropout": DeepSVDD(
        encoder=nn.Sequential(nn.Linear(32, 8), nn.Dropout(), nn.Linear(8, 4)), **SHORT
    ),
    "different numbers of spheres": DeepSVDD(multi_radius=True, **SHORT),
    "augmentation": EIDNEmbedder(augment=torch.neg, **SHORT),
}

EVERY_LOOP = pytest.mark.parametrize(
    ("estimator", "kind"), [*SIDE_BY_SIDE.values()], ids=[*SIDE_BY_SIDE]
)
EVERY_ESTIMATOR = pytest.mark.parametrize(
    "estimator", [*ONE_BY_ONE.values()], ids=[*ONE_BY_ONE]
)


@pytest.fixture(scope="module")
def X():
    """Three blobs, and a few rows far off."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(160, 32)) + 3 * rng.normal(size=(3, 32))[np.arange(160) % 3]
    X[-16:] += 9
    return X.astype(np.float32)


@pytest.fixture(scope="module")
def labels():
    is_anomaly = np.arange(160) >= 144
    classes = np.arange(160) % 3
    return {
        None: None,
        "anomalies": np.where(is_anomaly, -1, 1),
        "classes": classes,
        "both": np.where(is_anomaly, OUTLIER, classes),
    }


def params_of(estimator):
    """Further arguments of `fit`: clusters, where there have to be as many."""
    takes_clusters = getattr(estimator, "multi_radius", False) or hasattr(
        estimator, "min_cluster_size"
    )
    return {"cluster_labels": np.arange(160) % 3} if takes_clusters else {}


def alone(estimator, n_members, X, y, **params):
    """Members as they are without an ensemble."""
    random_state = np.random.RandomState(0)
    members = [
        clone_with_seeds(estimator, random_state, overwrite=True)
        for _ in range(n_members)
    ]
    return [member.fit(X, y, **params) for member in members]


def shared_a_loop(ensemble):
    """Whether members were trained in the same epochs, which took the same time."""
    durations = {tuple(m.net_.history[:, "dur"]) for m in ensemble.estimators_}
    return len(durations) == 1


def weights(member):
    return member.net_.module_.state_dict()


# Members.


@EVERY_LOOP
def test_members_side_by_side_are_members_alone(estimator, kind, X, labels):
    y, params = labels[kind], params_of(estimator)
    ensemble = HypersphereEnsemble(estimator, 3, random_state=0).fit(X, y, **params)
    assert shared_a_loop(ensemble)
    for member, other in zip(
        ensemble.estimators_, alone(estimator, 3, X, y, **params), strict=True
    ):
        losses = [model.net_.history[:, "train_loss"] for model in (member, other)]
        np.testing.assert_allclose(*losses, rtol=1e-5)
        torch.testing.assert_close(weights(member), weights(other), rtol=0, atol=1e-5)
        scores = [model.score_samples(X) for model in (member, other)]
        np.testing.assert_allclose(*scores, rtol=1e-3, atol=1e-5)
        assert member.offset_ == pytest.approx(other.offset_, rel=1e-3, abs=1e-5)


@EVERY_ESTIMATOR
def test_members_that_cannot_share_a_loop_are_trained_one_by_one(estimator, X, labels):
    y = labels["anomalies"]
    ensemble = HypersphereEnsemble(estimator, 3, random_state=0).fit(X, y)
    assert not shared_a_loop(ensemble)
    for member, other in zip(
        ensemble.estimators_, alone(estimator, 3, X, y), strict=True
    ):
        np.testing.assert_array_equal(member.score_samples(X), other.score_samples(X))


def test_images_are_learned_one_by_one():
    images = np.random.RandomState(0).randint(0, 256, (40, 1, 8, 8)).astype(np.uint8)
    estimator = DeepSVDD(max_epochs=1, pretrain_epochs=1, contamination=0.1)
    ensemble = HypersphereEnsemble(estimator, 2, random_state=0).fit(images)
    assert not shared_a_loop(ensemble)
    for member, other in zip(
        ensemble.estimators_, alone(estimator, 2, images, None), strict=True
    ):
        expected = other.score_samples(images)
        np.testing.assert_array_equal(member.score_samples(images), expected)


def test_batches_of_unequal_size_do_not_stop_members_from_sharing(X, labels):
    estimator = DeepSVDD(**{**SHORT, "batch_size": 48})  # 40 a batch, and 39 or 40
    ensemble = HypersphereEnsemble(estimator, 2, random_state=0).fit(X[:119])
    assert shared_a_loop(ensemble)
    for member, other in zip(
        ensemble.estimators_, alone(estimator, 2, X[:119], None), strict=True
    ):
        torch.testing.assert_close(weights(member), weights(other), rtol=0, atol=1e-5)


def test_training_goes_on_after_the_loop_as_if_alone(X):
    ensemble = HypersphereEnsemble(DeepSVDD(**SHORT), 2, random_state=0).fit(X)
    others = alone(DeepSVDD(**SHORT), 2, X, None)
    for model in (*ensemble.estimators_, *others):
        model.net_.partial_fit(Rows(X), np.zeros(len(X)), epochs=1)
    for member, other in zip(ensemble.estimators_, others, strict=True):
        torch.testing.assert_close(weights(member), weights(other), rtol=0, atol=1e-5)


def test_members_differ_by_all_their_seeds(X):
    estimator = DeepSVDD(
        multi_radius=True, clusterer=KMeans(3, n_init=1, random_state=0), **SHORT
    )
    estimator.set_params(random_state=0)
    ensemble = HypersphereEnsemble(estimator, 3, random_state=0).fit(X)
    for name in ("random_state", "clusterer__random_state"):
        seeds = {member.get_params()[name] for member in ensemble.estimators_}
        assert len(seeds) == 3, name


@pytest.mark.parametrize(
    "estimator", [DeepSVDD(**SHORT), DeepSVDD("soft-boundary", **SHORT)]
)
@pytest.mark.parametrize("bootstrap", [False, True])
def test_the_number_of_jobs_does_not_matter(estimator, bootstrap, X):
    first, second = (
        HypersphereEnsemble(
            estimator, 3, bootstrap=bootstrap, n_jobs=n_jobs, random_state=0
        ).fit(X)
        for n_jobs in (None, 2)
    )
    np.testing.assert_array_equal(first.score_samples(X), second.score_samples(X))


def test_the_given_estimator_is_not_fitted(X):
    estimator = DeepSVDD(random_state=5, **SHORT)
    HypersphereEnsemble(estimator, 2).fit(X)
    assert not hasattr(estimator, "net_") and estimator.random_state == 5


def test_members_learn_from_the_array_that_is_given(X):
    ensemble = HypersphereEnsemble(DeepSVDD(**SHORT), 3, random_state=0).fit(X)
    frame = HypersphereEnsemble(DeepSVDD(**SHORT), 3, random_state=0)
    frame.fit(X.astype(np.float64))
    np.testing.assert_array_equal(ensemble.score_samples(X), frame.score_samples(X))


def test_infinite_losses_in_a_shared_loop_are_an_error_that_leaves_no_trace(X):
    ensemble = HypersphereEnsemble(DeepSVDD(lr=1e38, max_epochs=9), 2, random_state=0)
    before = vars(ensemble).copy()
    with pytest.raises(NonFiniteLossError, match="smaller lr") as caught:
        ensemble.fit(X)
    parameters = caught.value.net.module_.encoder.parameters()
    assert all(value.isfinite().all() for value in parameters)
    assert vars(ensemble) == before


def test_one_bar_counts_the_epochs_of_all_members(X, capsys):
    HypersphereEnsemble(DeepSVDD(verbose=1, **SHORT), 3, random_state=0).fit(X)
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "6/6" in err and "loss=" in err


# Bootstrap.


def test_a_bootstrap_draws_with_replacement_and_differs_between_members(X):
    plain, drawn = (
        HypersphereEnsemble(
            IsolationForest(n_estimators=5, max_samples=1.0),
            3,
            bootstrap=bootstrap,
            random_state=0,
        ).fit(X)
        for bootstrap in (False, True)
    )
    assert not np.array_equal(plain.score_samples(X), drawn.score_samples(X))


def test_a_bootstrap_is_the_fit_of_what_was_drawn(X):
    ensemble = HypersphereEnsemble(
        DeepSVDD(**SHORT), 2, bootstrap=True, random_state=0
    ).fit(X)
    assert shared_a_loop(ensemble)
    sizes = [len(np.unique(m.score_samples(X))) for m in ensemble.estimators_]
    assert sizes == [160, 160]
    distinct = [m.diagnostics_["n_distinct_scores"] for m in ensemble.estimators_]
    assert all(80 < number < 120 for number in distinct)  # 63 % of 160 are expected


def test_a_bootstrap_keeps_every_class_and_all_anomalies(X, labels):
    y = np.r_[np.zeros(80, dtype=int), np.ones(79, dtype=int), 2]  # one of the last
    estimator = MCHADClassifier(**SHORT)
    ensemble = HypersphereEnsemble(estimator, 5, bootstrap=True, random_state=0)
    ensemble.fit(X, y)
    assert all((member.classes_ == [0, 1, 2]).all() for member in ensemble.estimators_)
    ensemble = HypersphereEnsemble(HSC(**SHORT), 5, bootstrap=True, random_state=0)
    ensemble.fit(X, labels["anomalies"])
    counts = {m.diagnostics_["n_example_anomalies"] for m in ensemble.estimators_}
    assert counts == {16}


def test_labels_that_a_detector_ignores_do_not_change_a_bootstrap(X, labels):
    first, second = (
        HypersphereEnsemble(DeepSVDD(**SHORT), 2, bootstrap=True, random_state=0)
        .fit(X, y)
        .score_samples(X)
        for y in (None, labels["anomalies"])
    )
    np.testing.assert_array_equal(first, second)


# Scores.


@pytest.fixture(scope="module")
def ensemble(X):
    return HypersphereEnsemble(DeepSVDD(**SHORT), 4, random_state=0).fit(X)


def test_scores_are_means_of_decisions_in_interquartile_ranges(ensemble, X):
    scaled = []
    for member in ensemble.estimators_:
        scores = member.score_samples(X)
        low, high = np.quantile(scores, [0.25, 0.75])
        scaled.append((scores - member.offset_) / (high - low))
    np.testing.assert_allclose(ensemble.score_samples(X), np.mean(scaled, axis=0))
    np.testing.assert_allclose(ensemble.score_std(X), np.std(scaled, axis=0))


def test_a_unit_of_a_member_does_not_matter(X):
    """A member that scores in other units has the same say."""
    ensemble = HypersphereEnsemble(DeepSVDD(**SHORT), 2, random_state=0).fit(X)
    before = ensemble.score_samples(X)
    member = ensemble.estimators_[0]
    with torch.no_grad():
        for values in (
            *member.net_.module_.encoder[-1].parameters(),
            member.net_.module_.head.centers,
        ):
            values.mul_(8)  # all embeddings
        member.net_.module_.head.sq_radii.mul_(64)
    member.offset_ *= 64
    ensemble._set_scales(X)
    np.testing.assert_allclose(ensemble.score_samples(X), before, rtol=1e-4, atol=1e-4)


def test_a_single_member_ranks_as_it_does_alone_and_agrees_with_itself(X):
    ensemble = HypersphereEnsemble(DeepSVDD(**SHORT), 1, random_state=0).fit(X)
    (member,) = ensemble.estimators_
    np.testing.assert_array_equal(ensemble.predict(X), member.predict(X))
    order = [np.argsort(model.score_samples(X)) for model in (ensemble, member)]
    np.testing.assert_array_equal(*order)
    assert (ensemble.score_std(X) == 0).all()


def test_members_disagree_most_about_what_they_have_not_seen(ensemble, X):
    assert ensemble.score_std(X + 50).min() > ensemble.score_std(X).max()


# The threshold.


CALIBRATED = {**SHORT, "contamination": "auto"}
CALIBRATED_ESTIMATORS = {
    "DeepSVDD": (DeepSVDD(**CALIBRATED), None),
    "HSC": (HSC(**CALIBRATED), "anomalies"),
    "MCHADClassifier": (
        MCHADClassifier(anomaly_label=OUTLIER, **CALIBRATED),
        "both",
    ),
    "IsolationForest": (IsolationForest(n_estimators=5), None),
    "FitOnNormal": (FitOnNormal(DeepSVDD(**CALIBRATED)), "anomalies"),
}
EVERY_CALIBRATED = pytest.mark.parametrize(
    ("estimator", "kind"),
    [*CALIBRATED_ESTIMATORS.values()],
    ids=[*CALIBRATED_ESTIMATORS],
)


@EVERY_CALIBRATED
@pytest.mark.parametrize("bootstrap", [False, True])
def test_the_same_samples_are_held_out_of_all_members(
    estimator, kind, bootstrap, X, labels
):
    y = labels[kind]
    ensemble = HypersphereEnsemble(estimator, 3, bootstrap=bootstrap, random_state=0)
    held_out = ensemble.fit(X, y).calibration_indices_
    n_normal = 160 if kind is None else 144
    assert len(held_out) == n_normal // 3
    assert kind is None or (labels["anomalies"][held_out] == 1).all()
    other = X.copy()
    other[held_out] -= 40
    again = clone(ensemble).fit(other, y)
    np.testing.assert_array_equal(again.calibration_indices_, held_out)
    for ours, theirs in zip(ensemble.estimators_, again.estimators_, strict=True):
        np.testing.assert_array_equal(ours.score_samples(X), theirs.score_samples(X))


@EVERY_CALIBRATED
def test_the_threshold_is_that_of_the_mean_scores_held_out(estimator, kind, X, labels):
    ensemble = HypersphereEnsemble(estimator, 3, random_state=0).fit(X, labels[kind])
    scores = ensemble.score_samples(X[ensemble.calibration_indices_])
    np.testing.assert_array_equal(ensemble.calibration_scores_, np.sort(scores))
    assert ensemble.offset_ == np.quantile(scores, 0.05, method="weibull")
    m = len(scores)
    expected = [(1 + np.sum(scores <= s)) / (m + 1) for s in ensemble.score_samples(X)]
    np.testing.assert_allclose(ensemble.p_values(X), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "estimator",
    [DeepSVDD(**CALIBRATED), FitOnNormal(DeepSVDD(**CALIBRATED))],
    ids=["DeepSVDD", "FitOnNormal"],
)
def test_members_hold_nothing_out_themselves(estimator, X):
    ensemble = HypersphereEnsemble(estimator, 2, false_alarm_rate=0.1).fit(X)
    for member in ensemble.estimators_:
        member = getattr(member, "estimator_", member)
        assert member.contamination == 0.1
        assert len(member.calibration_indices_) == 0
        n_trained_on = 160 - len(ensemble.calibration_indices_)
        assert member.cluster_sizes_.sum() == n_trained_on
    given = getattr(estimator, "estimator", estimator)
    assert given.contamination == "auto" and not hasattr(given, "net_")


def test_the_promise_is_that_of_the_estimator_unless_it_has_its_own(X):
    estimator = DeepSVDD(false_alarm_rate=0.2, **CALIBRATED)
    for own, expected in [(None, 0.2), (0.1, 0.1)]:
        ensemble = HypersphereEnsemble(estimator, 2, false_alarm_rate=own)
        scores = ensemble.fit(X).calibration_scores_
        assert ensemble.offset_ == np.quantile(scores, expected, method="weibull")


def test_the_share_held_out_is_that_of_the_estimator(X):
    estimator = DeepSVDD(calibration_fraction=0.25, **CALIBRATED)
    ensemble = HypersphereEnsemble(estimator, 2).fit(X)
    assert len(ensemble.calibration_indices_) == 40


def test_a_promise_does_not_count_where_a_share_of_the_training_samples_is_set(X):
    first, second = (
        HypersphereEnsemble(
            DeepSVDD(**SHORT), 2, false_alarm_rate=rate, random_state=0
        ).fit(X)
        for rate in (None, 0.3)
    )
    assert first.offset_ == second.offset_
    assert len(second.calibration_indices_) == 0
    with pytest.raises(ValueError, match='contamination="auto"'):
        second.p_values(X)


def test_a_share_is_that_of_the_samples_that_are_not_labelled_anomalies(X, labels):
    y = labels["anomalies"]
    estimator = HSC(**{**SHORT, "contamination": 0.25})
    ensemble = HypersphereEnsemble(estimator, 3, random_state=0).fit(X, y)
    scores = ensemble.score_samples(X[y == 1])
    assert ensemble.offset_ == np.percentile(scores, 25)


@pytest.mark.parametrize(
    ("make", "kind"), [(DeepSVDD, None), (DeepSAD, "anomalies"), (HSC, "anomalies")]
)
def test_the_boundary_of_the_members_is_that_of_the_ensemble(make, kind, X, labels):
    estimator = make(**{**SHORT, "contamination": "boundary"})
    ensemble = HypersphereEnsemble(estimator, 2, random_state=0).fit(X, labels[kind])
    assert ensemble.offset_ == 0
    assert len(ensemble.calibration_indices_) == 0
    for member in ensemble.estimators_:
        assert member.contamination == "boundary"


def test_too_few_samples_for_a_promise_are_warned_of_once(X):
    ensemble = HypersphereEnsemble(DeepSVDD(**CALIBRATED), 3, random_state=0)
    with pytest.warns(CalibrationWarning, match="got 10 of 20") as caught:
        ensemble.fit(X[:20])
    assert [warning.filename for warning in caught] == [__file__]
    assert ensemble.offset_ == ensemble.calibration_scores_[0]


def test_a_wrong_promise_is_refused(X):
    for rate in (0.0, 0.6, "auto"):
        with pytest.raises(ValueError, match="'false_alarm_rate' parameter of Hyper"):
            HypersphereEnsemble(DeepSVDD(**SHORT), 2, false_alarm_rate=rate).fit(X)


@pytest.mark.parametrize("contamination", [0.05, 0.1, 0.3])
def test_as_many_training_samples_are_outside_as_members_say(contamination, X):
    estimator = DeepSVDD(**{**SHORT, "contamination": contamination})
    ensemble = HypersphereEnsemble(estimator, 5, random_state=0).fit(X)
    scores = ensemble.score_samples(X)
    assert ensemble.offset_ == np.percentile(scores, 100 * contamination)
    assert np.mean(ensemble.predict(X) == -1) == pytest.approx(contamination, abs=0.01)


@pytest.mark.parametrize(
    "X",
    [np.zeros((30, 2)), np.r_[np.zeros((29, 2)), [[9.0, 9.0]]]],
    ids=["all", "most"],
)
def test_rows_that_are_alike_give_finite_scores(X):
    ensemble = HypersphereEnsemble(DeepSVDD(**SHORT), 2, random_state=0).fit(X)
    assert np.isfinite(ensemble.score_samples(X)).all()
    assert (ensemble.scales_ > 0).all()


def test_an_ensemble_ranks_better_than_its_members_do_on_average():
    X, y = load_digits(return_X_y=True)
    X = X / 16
    is_normal = np.isin(y, [0, 1, 3])
    training = np.flatnonzero(is_normal)[::2]
    test = np.setdiff1d(np.arange(len(X)), training)
    ensemble = HypersphereEnsemble(DeepSVDD(max_epochs=10), 5, random_state=0)
    ensemble.fit(X[training])
    of_members = [
        roc_auc_score(is_normal[test], member.score_samples(X[test]))
        for member in ensemble.estimators_
    ]
    together = roc_auc_score(is_normal[test], ensemble.score_samples(X[test]))
    assert together > np.mean(of_members)


# Detectors and classifiers.


def test_any_detector_with_a_threshold_can_be_a_member(X):
    forest = IsolationForest(n_estimators=5)
    ensemble = HypersphereEnsemble(forest, 3, random_state=0).fit(X[:144])
    assert (ensemble.predict(X[144:]) == -1).all()


def test_what_has_no_scores_is_refused(X):
    with pytest.raises(ValueError, match="'fit' and 'score_samples'"):
        HypersphereEnsemble(FINCH()).fit(X)


def test_a_pipeline_is_refused_with_a_hint(X):
    pipeline = make_pipeline(StandardScaler(), DeepSVDD(**SHORT))
    with pytest.raises(ValueError, match="in front of the ensemble"):
        HypersphereEnsemble(pipeline, 2).fit(X)


def test_it_is_a_step_of_a_pipeline(X):
    ensemble = HypersphereEnsemble(DeepSVDD(**SHORT), 2, random_state=0)
    pipeline = make_pipeline(StandardScaler(), ensemble).fit(X)
    scaled = StandardScaler().fit_transform(X)
    expected = ensemble.fit(scaled).predict(scaled)
    np.testing.assert_array_equal(pipeline.predict(X), expected)


def test_parameters_of_members_are_set_through_it(X):
    ensemble = HypersphereEnsemble(DeepSVDD(), 2, random_state=0)
    ensemble.set_params(estimator__encoder__hidden_units=(7,), estimator__max_epochs=1)
    for member in ensemble.fit(X).estimators_:
        assert member.net_.module_.encoder[0].out_features == 7


@pytest.fixture(scope="module")
def classifier(X, labels):
    estimator = MCHADClassifier(max_epochs=12, lr=1e-2, anomaly_label=OUTLIER)
    return HypersphereEnsemble(estimator, 3, random_state=0).fit(X, labels["both"])


def test_a_class_is_that_of_the_largest_mean_decision(classifier, X):
    decisions = np.mean(
        [m.decision_function(X) for m in classifier.estimators_], axis=0
    )
    np.testing.assert_allclose(classifier.decision_function(X), decisions)
    np.testing.assert_array_equal(classifier.predict(X), decisions.argmax(axis=1))


def test_probabilities_are_geometric_means_of_those_of_members(classifier, X):
    X = X / 5  # where they are not all 0 and 1
    logs = [np.log(member.predict_proba(X)) for member in classifier.estimators_]
    expected = np.exp(np.mean(logs, axis=0))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.predict_proba(X), expected, rtol=1e-6)


def test_two_classes_have_one_decision(X):
    y = np.where(np.arange(160) % 3 == 0, "a", "b")
    ensemble = HypersphereEnsemble(MCHADClassifier(**SHORT), 2, random_state=0).fit(
        X, y
    )
    decisions = ensemble.decision_function(X)
    assert decisions.shape == (160,)
    expected = np.where(decisions > 0, "b", "a")
    np.testing.assert_array_equal(ensemble.predict(X), expected)
    likely = ensemble.classes_[ensemble.predict_proba(X).argmax(axis=1)]
    np.testing.assert_array_equal(likely, expected)


def test_a_single_class_is_predicted_everywhere(X):
    y = np.zeros(160, dtype=int)
    ensemble = HypersphereEnsemble(MCHADClassifier(**SHORT), 2, random_state=0).fit(
        X, y
    )
    assert (ensemble.predict(X) == 0).all() and (ensemble.predict_proba(X) == 1).all()


def test_outliers_are_detected_and_rejected_if_asked(classifier, X, labels):
    is_outlier = labels["both"] == OUTLIER
    detected = classifier.detect(X) == -1
    assert detected[is_outlier].all() and detected[~is_outlier].mean() < 0.3
    rejecting = HypersphereEnsemble(classifier.estimator, 3, random_state=0).set_params(
        estimator__reject=True
    )
    predicted = rejecting.fit(X, labels["both"]).predict(X)
    np.testing.assert_array_equal(predicted == OUTLIER, detected)


def test_outliers_count_in_the_accuracy_only_if_they_can_be_predicted(
    classifier, X, labels
):
    y = labels["both"]
    right = classifier.predict(X) == y
    assert classifier.score(X, y) == right[y != OUTLIER].mean()


def test_detectors_have_no_probabilities_and_classifiers_no_fit_predict(
    ensemble, classifier
):
    for name in ("predict_proba", "detect", "score", "classes_"):
        assert not hasattr(ensemble, name), name
        assert hasattr(classifier, name), name
    assert hasattr(ensemble, "fit_predict") and not hasattr(classifier, "fit_predict")


def test_clusters_told_reach_the_members(X):
    clusters = np.arange(160) % 3
    ensemble = HypersphereEnsemble(
        DeepSVDD(multi_radius=True, **SHORT), 2, bootstrap=True, random_state=0
    )
    for member in ensemble.fit(X, cluster_labels=clusters).estimators_:
        assert len(member.centers_) == 3


def test_metadata_reaches_the_members_by_routing(X):
    estimator = DeepSVDD(multi_radius=True, **SHORT)
    with config_context(enable_metadata_routing=True):
        estimator.set_fit_request(cluster_labels=True)
        ensemble = HypersphereEnsemble(estimator, 2, random_state=0)
        pipeline = make_pipeline(StandardScaler(), ensemble)
        pipeline.fit(X, cluster_labels=np.arange(160) % 3)
    for member in pipeline[-1].estimators_:
        assert len(member.centers_) == 3


def test_a_pickled_copy_gives_the_same_bits(ensemble, classifier, X):
    for fitted in (ensemble, classifier):
        copied = pickle.loads(pickle.dumps(fitted))
        np.testing.assert_array_equal(fitted.score_samples(X), copied.score_samples(X))


def test_no_group_that_is_known_is_held_out_as_a_whole():
    X = np.random.RandomState(3).randn(300, 4)
    groups = np.arange(300) // 2
    detector = DeepSVDD(multi_radius=True, max_epochs=0)
    ensemble = HypersphereEnsemble(detector, n_members=2, random_state=0)
    ensemble.fit(X, cluster_labels=groups)
    assert [len(member.centers_) for member in ensemble.estimators_] == [150, 150]
    assert len(ensemble.calibration_indices_) == 100


@pytest.mark.parametrize(
    ("params", "n_held_out"),
    [({"false_alarm_rate": 0.2}, 100), ({"contamination": 0.2}, 0)],
    ids=["promise", "contamination"],
)
def test_the_rule_of_what_a_wrapper_wraps_is_that_of_the_ensemble(params, n_held_out):
    X = np.random.RandomState(3).randn(300, 4)
    wrapped = FitOnNormal(DeepSVDD(max_epochs=1, **params))
    ensemble = HypersphereEnsemble(wrapped, n_members=2, random_state=0).fit(X)
    held_out = ensemble.calibration_indices_
    assert len(held_out) == n_held_out
    placing = held_out if n_held_out else slice(None)
    share = np.mean(ensemble.predict(X[placing]) == -1)
    assert share == pytest.approx(0.2, abs=0.011)


@pytest.mark.parametrize("wrap", [lambda e: e, FitOnNormal], ids=["alone", "wrapped"])
@pytest.mark.parametrize(
    "params",
    [{"false_alarm_rate": 0.0}, {"calibration_fraction": 1.0}, {"contamination": "no"}],
    ids=lambda params: [*params][0],
)
def test_a_wrong_rule_of_the_estimator_is_refused_by_its_name(wrap, params):
    ensemble = HypersphereEnsemble(wrap(DeepSVDD(**params)), n_members=2)
    with pytest.raises(ValueError, match=f"The '{[*params][0]}' parameter of"):
        ensemble.fit(np.random.RandomState(0).randn(60, 4))
