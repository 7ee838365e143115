"""Tests of EIDNEmbedder alone; the contract is in test_common.py."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone, is_outlier_detector
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.metrics import get_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn

from sk_hypersphere import EIDNEmbedder, FitOnNormal
from sk_hypersphere._training.rows import Rows, unwrapped
from sk_hypersphere.modules import MLP, ConvNet

SMALL = {
    "encoder": MLP,
    "max_epochs": 2,
    "steps_per_epoch": 3,
    "batch_size": 16,
    "lr": 1e-2,
    "random_state": 0,
}
LEARNS = {**SMALL, "max_epochs": 10, "steps_per_epoch": 12, "batch_size": 32}
FEW_SAMPLES = pytest.mark.filterwarnings(
    "ignore::sk_hypersphere.exceptions.CalibrationWarning"
)
EVERY_SCORE_RULE = pytest.mark.parametrize("score_rule", ["projection", "norm"])


def draw(n_normal, n_anomalies, seed=0, shift=6):
    """Normal rows around the origin, anomalies beside them, and +1 or -1 for each."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n_normal + n_anomalies, 4)).astype(np.float32)
    X[n_normal:, 0] += shift
    return X, np.repeat([1, -1], [n_normal, n_anomalies])


@pytest.fixture(scope="module")
def data():
    return draw(120, 30)


@pytest.fixture(scope="module")
def new():
    return draw(300, 300, seed=1)


@pytest.fixture(scope="module")
def learned(data):
    return EIDNEmbedder(**LEARNS).fit(*data)


@pytest.fixture(scope="module")
def images():
    """Noise, with anomalies that are bright on the left, and labels."""
    rng = np.random.RandomState(0)
    X = rng.randint(0, 100, (60, 1, 8, 8)).astype(np.uint8)
    X[40:, :, :, :4] += 100
    return X, np.repeat([1, -1], [40, 20])


class Remembers(Callback):
    """Note which rows are trained on."""

    trained_on = None  # of the class, because fit copies callbacks

    def on_train_begin(self, net, X=None, **kwargs):
        type(self).trained_on = unwrapped(X)[1]


class Recorder:
    """An augment that remembers what it was called on."""

    def __init__(self):
        self.batches = []

    def __call__(self, x):
        self.batches.append(x.clone())
        return x

    def __deepcopy__(self, memo):
        return self  # copies share the memory


class Shift(nn.Module):
    """A learnable change, which nothing must learn."""

    def __init__(self):
        super().__init__()
        self.size = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return x + self.size


def recorded_batches(wanted=True):
    """A callback, and the list of labels of batches of training, or of validation."""

    class Batches(Callback):
        seen = []  # of the class, because fit copies callbacks

        def on_batch_begin(self, net, batch=None, training=None, **kwargs):
            if training == wanted:
                self.seen.append(batch[1].numpy())

    return Batches(), Batches.seen


# The embedding


def sq_distances(Z, point):
    return np.sum((Z.astype(np.float64) - point) ** 2, axis=1)


@pytest.mark.parametrize("n_components", [1, 2, 5])
def test_new_rows_are_embedded_near_the_point_of_their_kind(data, new, n_components):
    X, y = new
    Z = EIDNEmbedder(n_components, **LEARNS).fit(*data).transform(X)
    nearer_to_ones = sq_distances(Z, 1) < sq_distances(Z, 0)
    assert nearer_to_ones[y == -1].mean() > 0.75
    assert (~nearer_to_ones[y == 1]).mean() > 0.9


def test_the_points_are_the_origin_and_the_one_vector(data):
    fitted = EIDNEmbedder(3, **SMALL).fit(*data)
    assert fitted.centers_.tolist() == [[0, 0, 0], [1, 1, 1]]
    names = [name for name, _ in fitted.net_.module_.named_parameters()]
    assert all(name.startswith("encoder.") for name in names)


def test_one_anomaly_is_enough(new):
    fitted = EIDNEmbedder(**LEARNS).fit(*draw(120, 1))
    assert fitted.diagnostics_["n_example_anomalies"] == 1
    assert roc_auc_score(new[1], fitted.score_samples(new[0])) > 0.9


@FEW_SAMPLES
def test_one_normal_row_is_enough():
    fitted = EIDNEmbedder(**SMALL).fit(*draw(1, 20))
    assert len(fitted.calibration_indices_) == 0
    assert np.isfinite(fitted.offset_)


def test_training_lowers_the_loss(data):
    losses = EIDNEmbedder(**LEARNS).fit(*data).net_.history[:, "train_loss"]
    assert losses[-1] < losses[0] / 2


def test_a_larger_margin_takes_the_kinds_further_apart(data):
    gaps = []
    for margin in (0.0, 10.0):
        fitted = EIDNEmbedder(margin=margin, **LEARNS).fit(*data)
        scores = fitted.score_samples(data[0])
        gaps.append(scores[data[1] == 1].mean() - scores[data[1] == -1].mean())
    assert gaps[1] > 2 * gaps[0]


def test_images_are_learned_from(images):
    X, y = images
    params = {**LEARNS, "encoder": ConvNet, "max_epochs": 4, "lr": 1e-3}
    fitted = EIDNEmbedder(**params).fit(X, y)
    assert roc_auc_score(y, fitted.score_samples(X)) > 0.95


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_rows_of_a_data_frame_have_names(data, library):
    fitted = EIDNEmbedder(3, **SMALL).set_output(transform=library).fit(*data)
    frame = fitted.transform(data[0])
    assert type(frame).__module__.startswith(library)
    assert [*frame.columns] == [f"eidnembedder{i}" for i in range(3)]


# Scores


def naive_scores(fitted, X, score_rule):
    """Minus the projection on the one-vector, or minus the norm, in float64."""
    scores = []
    for z in fitted.transform(X).astype(np.float64):
        if score_rule == "projection":
            scores.append(-np.sum(z) / np.sqrt(len(z)))
        else:
            scores.append(-np.sqrt(np.sum(z**2)))
    return np.array(scores)


@EVERY_SCORE_RULE
@pytest.mark.parametrize("n_components", [1, 2, 5])
def test_the_score_is_its_formula(data, score_rule, n_components):
    X, y = data
    fitted = EIDNEmbedder(n_components, score_rule=score_rule, **SMALL).fit(X, y)
    scores = fitted.score_samples(X)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, naive_scores(fitted, X, score_rule), atol=1e-6)


@EVERY_SCORE_RULE
@pytest.mark.parametrize("factor", [1e-4, 1e6])
def test_the_score_is_its_formula_near_and_far(data, score_rule, factor):
    X, y = data
    encoder = nn.Linear(4, 2, bias=False)
    params = {**SMALL, "encoder": encoder, "score_rule": score_rule, "max_epochs": 1}
    fitted = EIDNEmbedder(**params).fit(X, y)
    np.testing.assert_allclose(
        fitted.score_samples(factor * X),
        naive_scores(fitted, factor * X, score_rule),
        rtol=1e-4,
        atol=1e-4 * factor,
    )


def test_the_score_rule_changes_scores_and_no_bit_of_the_embedding(data):
    X, y = data
    projection, norm = (
        EIDNEmbedder(score_rule=score_rule, **SMALL).fit(X, y)
        for score_rule in ("projection", "norm")
    )
    np.testing.assert_array_equal(projection.transform(X), norm.transform(X))
    assert not np.allclose(projection.score_samples(X), norm.score_samples(X))


def test_another_score_rule_counts_from_the_next_fit_on(data):
    X, y = data
    fitted = EIDNEmbedder(score_rule="projection", **SMALL).fit(X, y)
    before = fitted.decision_function(X)
    fitted.set_params(score_rule="norm")
    np.testing.assert_array_equal(fitted.decision_function(X), before)


@EVERY_SCORE_RULE
def test_anomalies_of_the_kind_that_was_shown_are_found(data, new, score_rule):
    X, y = new
    fitted = EIDNEmbedder(score_rule=score_rule, **LEARNS).fit(*data)
    assert roc_auc_score(y, fitted.score_samples(X)) > 0.93
    assert (fitted.predict(X[y == -1]) == -1).mean() > 0.5
    assert (fitted.predict(X[y == 1]) == 1).mean() > 0.75


# The threshold


def fit_as_it_is(Z, y, **params):
    """Fit on rows that are their own embedding."""
    encoder = nn.Linear(Z.shape[1], Z.shape[1], bias=False)
    nn.init.eye_(encoder.weight)
    return EIDNEmbedder(**{**SMALL, "encoder": encoder, "max_epochs": 0, **params}).fit(
        Z, y
    )


@EVERY_SCORE_RULE
@pytest.mark.parametrize("n_components", [1, 2, 5])
def test_the_boundary_parts_kinds_at_their_points_half_way(score_rule, n_components):
    y = np.repeat([1, -1], [80, 20])
    noise = np.random.RandomState(0).normal(scale=0.05, size=(100, n_components))
    Z = (y == -1)[:, None] + noise
    fitted = fit_as_it_is(Z, y, score_rule=score_rule, contamination="boundary")
    assert len(fitted.calibration_indices_) == 0
    assert fitted.offset_ == pytest.approx(-np.sqrt(n_components) / 2)
    np.testing.assert_array_equal(fitted.predict(Z), y)


@EVERY_SCORE_RULE
def test_normal_rows_on_the_wrong_side_of_the_boundary_keep_the_promise(score_rule):
    Z = np.random.RandomState(0).normal(size=(120, 2)) + 3
    y = np.repeat([1, -1], [100, 20])
    fitted = fit_as_it_is(Z, y, score_rule=score_rule, false_alarm_rate=0.1)
    assert fitted.offset_ < -np.sqrt(2) / 2
    held_out = Z[fitted.calibration_indices_]
    assert (fitted.predict(held_out) == -1).sum() == 3  # the third of 33 has rank .088
    on_boundary = fit_as_it_is(Z, y, score_rule=score_rule, contamination="boundary")
    assert (on_boundary.predict(Z) == -1).all()


def test_new_rows_of_kinds_far_apart_are_told_apart():
    fitted = EIDNEmbedder(**LEARNS).fit(*draw(120, 30, shift=12))
    X, y = draw(300, 300, seed=1, shift=12)
    assert fitted.offset_ > -np.sqrt(2) / 2  # normal rows are nearer to their point
    assert np.mean(fitted.predict(X) == y) > 0.95


@EVERY_SCORE_RULE
@pytest.mark.parametrize("shift", [0, 1])
def test_kinds_that_overlap_leave_as_many_outside_as_promised(score_rule, shift):
    X, y = draw(600, 300, shift=shift)
    params = {
        "score_rule": score_rule,
        "calibration_fraction": 0.5,
        "false_alarm_rate": 0.1,
    }
    fitted = EIDNEmbedder(**SMALL, **params).fit(X, y)
    new = draw(3000, 0, seed=2)[0]
    assert np.mean(fitted.predict(new) == -1) < 0.16  # three deviations
    held_out = fitted.predict(X[fitted.calibration_indices_])
    assert np.mean(held_out == -1) <= 0.1


def test_decisions_are_scores_above_the_offset(learned, new):
    X, _ = new
    decisions = learned.decision_function(X)
    np.testing.assert_array_equal(decisions, learned.score_samples(X) - learned.offset_)
    np.testing.assert_array_equal(learned.predict(X), np.where(decisions < 0, -1, 1))


@EVERY_SCORE_RULE
@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_the_false_alarm_rate_is_the_share_of_held_out_rows(score_rule, rate):
    X, y = draw(200, 20)
    params = {"false_alarm_rate": rate, "calibration_fraction": 0.5}
    fitted = EIDNEmbedder(score_rule=score_rule, **params, **SMALL).fit(X, y)
    outside = fitted.predict(X[fitted.calibration_indices_]) == -1
    assert outside.mean() == pytest.approx(rate, abs=0.011)


def test_contamination_counts_normal_training_rows():
    X, y = draw(200, 50)
    fitted = EIDNEmbedder(contamination=0.2, **SMALL).fit(X, y)
    assert len(fitted.calibration_indices_) == 0
    assert (fitted.predict(X[y == 1]) == -1).sum() == 40


def test_held_out_rows_are_normal_and_not_trained_on():
    X, y = draw(300, 10)
    order = np.random.RandomState(0).permutation(len(X))
    X, y = X[order], y[order]
    fitted = EIDNEmbedder(callbacks=[Remembers()], **SMALL).fit(X, y)
    held_out = fitted.calibration_indices_
    assert len(held_out) == 100 and (y[held_out] == 1).all()
    np.testing.assert_array_equal(
        np.sort(np.r_[held_out, Remembers.trained_on]), np.arange(310)
    )


# Labels


def test_labels_of_every_convention_give_the_same_bits(data):
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
        (np.where(is_anomaly, "bad", np.resize(["cat", "dog"], len(y))), "bad"),
        (np.where(is_anomaly, -1, np.arange(len(y)) % 3), None),
    ]
    fits = [
        EIDNEmbedder(anomaly_label=anomaly_label, **SMALL).fit(X, labels)
        for labels, anomaly_label in conventions
    ]
    for fitted in fits:
        np.testing.assert_array_equal(fitted.score_samples(X), fits[0].score_samples(X))
        assert fitted.offset_ == fits[0].offset_


REFUSED = {
    "no labels": (lambda y: None, None, "requires y to be passed"),
    "three classes": (lambda y: np.arange(len(y)) % 3, None, "got 0, 1, 2 and"),
    "text": (lambda y: np.where(y < 0, "bad", "good"), None, "got 'good', 'bad' and"),
    "normal rows": (lambda y: np.ones(len(y)), None, "anomaly_label=None, so that non"),
    "rows of 0": (np.zeros_like, None, "normal samples and anomalies, .* got 0 and"),
    "no such label": (lambda y: y, 7, "got 1, -1 and anomaly_label=7"),
    "anomalies": (lambda y: -np.ones(len(y)), None, "got 150 labels that all are -1"),
    "anomalies by name": (lambda y: np.full(len(y), "bad"), "bad", "all are 'bad'"),
    "missing": (lambda y: np.where(y < 0, np.nan, 1), None, "NaN"),
    "too few": (lambda y: y[1:], None, "inconsistent numbers of samples"),
}


@pytest.mark.parametrize(
    ("make_labels", "anomaly_label", "message"), REFUSED.values(), ids=REFUSED
)
def test_labels_that_do_not_name_both_kinds_are_refused(
    data, make_labels, anomaly_label, message
):
    X, y = data
    embedder = EIDNEmbedder(anomaly_label=anomaly_label, **SMALL)
    with pytest.raises(ValueError, match=message):
        embedder.fit(X, make_labels(y))
    with pytest.raises(NotFittedError):
        check_is_fitted(embedder)
    assert vars(embedder).keys() == embedder.get_params(deep=False).keys()


def test_refused_labels_leave_the_former_fit(data):
    X, y = data
    fitted = EIDNEmbedder(**SMALL).fit(X, y)
    before = fitted.transform(X)
    with pytest.raises(ValueError, match="Label some, or set anomaly_label"):
        fitted.fit(X, np.ones(len(X)))
    np.testing.assert_array_equal(fitted.transform(X), before)


def test_labels_are_required_by_fit_transform_and_fit_predict_too(data):
    for method in ("fit_transform", "fit_predict"):
        message = "requires y to be passed|required positional argument: 'y'"
        with pytest.raises((ValueError, TypeError), match=message):
            getattr(EIDNEmbedder(**SMALL), method)(data[0])


def test_fit_transform_and_fit_predict_learn_from_labels(data):
    X, y = data
    fitted = EIDNEmbedder(**SMALL).fit(X, y)
    transformed = EIDNEmbedder(**SMALL).fit_transform(X, y)
    np.testing.assert_array_equal(transformed, fitted.transform(X))
    predicted = EIDNEmbedder(**SMALL).fit_predict(X, y)
    np.testing.assert_array_equal(predicted, fitted.predict(X))


# Batches


@FEW_SAMPLES
@pytest.mark.parametrize("n_normal", [5, 400])
@pytest.mark.parametrize("steps_per_epoch", [1, 7])
def test_an_epoch_has_so_many_batches_of_triplets(n_normal, steps_per_epoch):
    callback, seen = recorded_batches()
    params = {"steps_per_epoch": steps_per_epoch, "callbacks": [callback]}
    fitted = EIDNEmbedder(**{**SMALL, **params}).fit(*draw(n_normal, 3))
    assert fitted.n_iter_ == 2 and len(seen) == 2 * steps_per_epoch
    for labels in seen:
        assert len(labels) == 2 * 16
        assert ((labels[:16] < 0) != (labels[16:] < 0)).all()


def test_an_epoch_has_by_default_more_batches_the_more_rows():
    lengths = []
    for n_normal in (20, 200):
        callback, seen = recorded_batches()
        params = {"steps_per_epoch": None, "callbacks": [callback], "max_epochs": 1}
        params["contamination"] = "boundary"
        EIDNEmbedder(**{**SMALL, **params}).fit(*draw(n_normal, 3))
        lengths.append(len(seen))
    assert 1 <= lengths[0] < lengths[1]


@pytest.mark.parametrize("steps_per_epoch", [0, 2.5, "auto"])
def test_wrong_numbers_of_steps_are_refused(data, steps_per_epoch):
    params = {**SMALL, "steps_per_epoch": steps_per_epoch}
    with pytest.raises(ValueError, match="'steps_per_epoch' parameter .* must be"):
        EIDNEmbedder(**params).fit(*data)


# Augmentation


def test_batches_of_training_are_augmented_and_nothing_else(data):
    X, y = data
    augment = Recorder()
    fitted = EIDNEmbedder(augment=augment, **SMALL).fit(X, y)
    assert len(augment.batches) == 2 * 3
    for batch in augment.batches:
        assert batch.dtype == torch.float32 and batch.shape == (32, 4)
    fitted.transform(X)
    fitted.score_samples(X)
    fitted.predict(X)
    assert len(augment.batches) == 2 * 3


def test_images_of_bytes_are_augmented_as_floats(images):
    augment = Recorder()
    params = {**SMALL, "encoder": ConvNet, "augment": augment}
    EIDNEmbedder(**params).fit(*images)
    assert augment.batches[0].dtype == torch.float32
    assert augment.batches[0].shape == (32, 1, 8, 8)
    assert augment.batches[0].max() > 100


def test_rows_held_out_by_a_split_are_not_augmented(data):
    augment = Recorder()
    split = {"net__train_split": ValidSplit(5, stratified=True)}
    EIDNEmbedder(augment=augment, **SMALL).set_params(**split).fit(*data)
    assert len(augment.batches) == 2 * 3


def test_what_is_augmented_is_what_is_learned_from(data):
    X, y = data
    plain = EIDNEmbedder(**SMALL).fit(X, y).transform(X)
    same = EIDNEmbedder(augment=nn.Identity(), **SMALL).fit(X, y).transform(X)
    other = EIDNEmbedder(augment=torch.neg, **SMALL).fit(X, y).transform(X)
    np.testing.assert_array_equal(same, plain)
    assert not np.allclose(other, plain)


def test_an_augment_that_writes_into_its_batch_leaves_rows_untouched(data):
    X, y = data
    before = X.copy()
    EIDNEmbedder(augment=torch.Tensor.zero_, **SMALL).fit(X, y)
    np.testing.assert_array_equal(X, before)


def test_a_given_augment_module_is_untouched(data):
    augment = Shift()
    fitted = EIDNEmbedder(augment=augment, **SMALL).fit(*data)
    assert augment.training and augment.size.item() == 1.0
    assert augment.size.requires_grad and augment.size.grad is None
    own = fitted.net_.module_.augment
    assert own is not augment and own.size.item() == 1.0


def test_an_embedder_with_an_augment_is_pickled(data):
    X, y = data
    fitted = EIDNEmbedder(augment=Shift(), **SMALL).fit(X, y)
    loaded = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))


@pytest.mark.parametrize(
    "augment",
    [lambda x: x[1:], lambda x: x[:, :1], lambda x: x.numpy(), lambda x: None],
    ids=["fewer rows", "fewer features", "an array", "nothing"],
)
def test_an_augment_that_returns_something_else_is_refused(data, augment):
    embedder = EIDNEmbedder(augment=augment, **SMALL)
    with pytest.raises(ValueError, match="augment must return a tensor of shape"):
        embedder.fit(*data)
    with pytest.raises(NotFittedError):
        check_is_fitted(embedder)


# Searches and pipelines


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_a_grid_search_finds_a_margin_by_the_area_under_the_curve(data, in_pipeline):
    X, y = data
    model, name = EIDNEmbedder(**LEARNS), "margin"
    if in_pipeline:
        model, name = make_pipeline(StandardScaler(), model), "eidnembedder__margin"
    search = GridSearchCV(
        model,
        {name: [0.1, 0.5]},
        scoring="roc_auc",
        cv=StratifiedKFold(2, shuffle=True, random_state=0),
        error_score="raise",
    ).fit(X, y)
    assert (search.cv_results_["mean_test_score"] > 0.9).all()


def draw_ring(n_normal, n_anomalies, n_new_anomalies, seed):
    """A blob; two arcs of a ring around it, of which one alone is labelled -1."""
    rng = np.random.RandomState(seed)
    blob = rng.normal(scale=0.3, size=(n_normal, 2))
    angles = np.concatenate(
        [
            rng.uniform(0, 1.5 * np.pi, n_anomalies),
            rng.uniform(1.5 * np.pi, 2 * np.pi, n_new_anomalies),
        ]
    )
    ring = 3 * np.c_[np.cos(angles), np.sin(angles)]
    X = np.concatenate([blob, ring + rng.normal(scale=0.1, size=ring.shape)])
    y = np.repeat([1, -1], [n_normal, n_anomalies + n_new_anomalies])
    return X.astype(np.float32), y


class Watched(IsolationForest):
    """A forest that keeps what it was fitted on."""

    def fit(self, X, y=None, sample_weight=None):
        self.seen_ = X
        return super().fit(X)


def test_a_forest_behind_it_learns_from_the_embedding_of_normal_rows():
    X, y = draw_ring(150, 60, 0, seed=0)
    forest = Watched(n_estimators=20, random_state=0)
    model = make_pipeline(EIDNEmbedder(**LEARNS), FitOnNormal(forest)).fit(X, y)
    np.testing.assert_array_equal(
        model[-1].estimator_.seen_, model[0].transform(X[y == 1])
    )
    X, y = draw_ring(200, 150, 50, seed=1)  # some from where none was shown
    assert roc_auc_score(y, model.score_samples(X)) > 0.95
    assert (model.predict(X[y == -1]) == -1).mean() > 0.9


def test_a_pipeline_with_a_forest_is_searched_through():
    X, y = draw_ring(100, 40, 0, seed=0)
    forest = IsolationForest(n_estimators=10, random_state=0)
    search = GridSearchCV(
        make_pipeline(EIDNEmbedder(**LEARNS), FitOnNormal(forest)),
        {"eidnembedder__margin": [0.2], "fitonnormal__estimator__max_samples": [9, 50]},
        scoring="roc_auc",
        cv=StratifiedKFold(2, shuffle=True, random_state=0),
        error_score="raise",
    ).fit(X, y)
    assert (search.cv_results_["mean_test_score"] > 0.8).all()
    best = search.best_estimator_[-1].estimator_
    chosen = search.best_params_["fitonnormal__estimator__max_samples"]
    assert best.max_samples == chosen


def test_it_is_an_outlier_detector_to_scikit_learn_once_it_is_fitted(learned, new):
    assert is_outlier_detector(learned)
    assert is_outlier_detector(make_pipeline(StandardScaler(), learned))
    assert not is_outlier_detector(clone(learned))
    X, y = new
    area = roc_auc_score(y, learned.decision_function(X))
    assert get_scorer("roc_auc")(learned, X, y) == pytest.approx(area)


# Validation and warm start


def test_the_validation_loss_depends_on_the_weights_alone(data):
    split = {"net__train_split": ValidSplit(5, stratified=True)}
    params = {**SMALL, "warm_start": True, "contamination": "boundary"}
    fitted = EIDNEmbedder(**params).set_params(**split).fit(*data)
    fitted.set_params(lr=1e-30, max_epochs=3, weight_decay=0.0, random_state=1)
    losses = fitted.fit(*data).net_.history[:, "valid_loss"]
    assert len({*losses}) == 1 and np.isfinite(losses[0]) and losses[0] > 0
    train_losses = fitted.net_.history[:, "train_loss"]
    assert len({*train_losses}) == 3  # other triplets each time


def test_validation_takes_each_normal_row_both_ways(data):
    callback, seen = recorded_batches(wanted=False)
    split = {"net__train_split": ValidSplit(5, stratified=True)}
    params = {"max_epochs": 1, "contamination": "boundary", "callbacks": [callback]}
    EIDNEmbedder(**{**SMALL, **params}).set_params(**split).fit(*data)
    for labels in seen:
        positives, negatives = np.split(labels, 2)
        assert ((positives < 0) != (negatives < 0)).all()
    assert sum((labels >= 0).sum() for labels in seen) == 2 * 120 / 5


def test_a_split_that_leaves_out_one_kind_is_refused():
    X, y = draw(60, 6)  # anomalies last, of which the last fifth is made
    embedder = EIDNEmbedder(**SMALL).set_params(net__train_split=ValidSplit(5))
    message = "train_split must leave normal samples and anomalies.*stratified=True"
    with pytest.raises(ValueError, match=message):
        embedder.fit(X, y)
    with pytest.raises(NotFittedError):
        check_is_fitted(embedder)


def test_a_warm_start_goes_on(data):
    fitted = EIDNEmbedder(warm_start=True, **LEARNS).fit(*data)
    first, before = fitted.net_.history[0, "train_loss"], fitted.transform(data[0])
    fitted.set_params(max_epochs=0).fit(*data)
    np.testing.assert_array_equal(fitted.transform(data[0]), before)
    fitted.set_params(max_epochs=1, lr=1e-4).fit(*data)
    assert fitted.net_.history[0, "train_loss"] < first


def test_the_net_itself_predicts_one_row_a_sample(data):
    split = {"net__train_split": ValidSplit(5, stratified=True)}
    fitted = EIDNEmbedder(**SMALL).set_params(**split).fit(*data)
    outputs = fitted.net_.forward(Rows(data[0], data[1]))
    sq_norms = np.square(fitted.transform(data[0])).sum(axis=1)
    np.testing.assert_allclose(outputs[:, 0], sq_norms, rtol=1e-5)


# Triplets, margin and length


def test_random_triplets_give_another_model_than_all(data):
    every, random = (
        EIDNEmbedder(triplets=triplets, **SMALL).fit(*data).transform(data[0])
        for triplets in ("all", "random")
    )
    assert not np.array_equal(every, random)


@pytest.mark.parametrize("n_components", [1, 3])
def test_the_margin_is_by_default_as_wide_as_the_centers_are_apart(data, n_components):
    params = {**SMALL, "n_components": n_components}
    auto, given = (
        EIDNEmbedder(margin=margin, **params).fit(*data).transform(data[0])
        for margin in ("auto", float(n_components))
    )
    np.testing.assert_array_equal(auto, given)


@pytest.mark.parametrize(("n", "n_epochs"), [(100, 50), (640, 13), (50_000, 10)])
def test_rows_train_for_fifty_batches_in_ten_epochs_or_more(n, n_epochs):
    X, y = draw(n - 10, 10)
    assert EIDNEmbedder(random_state=0).fit(X, y).n_iter_ == n_epochs


def test_with_augment_training_is_twice_as_long(data):
    lengths = [
        EIDNEmbedder(augment=augment, random_state=0).fit(*data).n_iter_
        for augment in (None, torch.clone)
    ]
    assert lengths[1] == 2 * lengths[0]


@pytest.mark.parametrize("score_rule", ["projection", "norm"])
def test_scores_keep_their_digits_however_far_out_a_row_is(data, score_rule):
    fitted = EIDNEmbedder(score_rule=score_rule, **LEARNS).fit(*data)
    far = np.float32([[10.0**k, 0, 0, 0] for k in (3, 17, 30)])
    Z = fitted.transform(far).astype(np.float64)
    projections, norms = Z.sum(axis=1) / np.sqrt(Z.shape[1]), np.linalg.norm(Z, axis=1)
    expected = -projections if score_rule == "projection" else -norms
    np.testing.assert_allclose(fitted.score_samples(far), expected, rtol=1e-6)
    assert len(np.unique(expected)) == 3
