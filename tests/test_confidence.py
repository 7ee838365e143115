"""Scores of logits and embeddings against their formulas, written out in numpy."""

import pickle

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.covariance import LedoitWolf
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.utils import estimator_checks as checks
from torch import nn

from sk_hypersphere import (
    CACClassifier,
    CenterLossClassifier,
    DeepSVDD,
    HypersphereEnsemble,
    IILossClassifier,
    MCHADClassifier,
    SubclusterDetector,
)
from sk_hypersphere.confidence import (
    MahalanobisDistance,
    NeighborDistance,
    energy,
    logits_of,
    msp,
    odin,
)
from sk_hypersphere.modules import ConvNet

CLASSIFIERS = [
    MCHADClassifier,
    CACClassifier,
    CenterLossClassifier,
    IILossClassifier,
    SubclusterDetector,
]

EVERY_CLASSIFIER = pytest.mark.parametrize("make", CLASSIFIERS)
EVERY_TEMPERATURE = pytest.mark.parametrize("temperature", [0.5, 1.0, 1000.0])
EVERY_METRIC = pytest.mark.parametrize("metric", ["euclidean", "cosine"])

# More than one batch of gradients, and no whole number of them.
N_SAMPLES = 700
Y = np.arange(N_SAMPLES) % 3


def samples(*shape):
    """Samples of three classes, float32."""
    X = np.random.RandomState(0).randn(N_SAMPLES, *shape)
    return (X + Y.reshape(-1, *[1] * len(shape))).astype(np.float32)


ROWS, IMAGES = samples(5), samples(2, 4, 4)
BYTES = (40 * IMAGES + 100).clip(0, 255).astype(np.uint8)


def fitted(make, X, y=Y, **params):
    params = {"max_epochs": 1, "random_state": 0, "device": "cpu", **params}
    params["contamination"] = 0.1  # so that all samples are trained on
    if make is SubclusterDetector:
        return make(**params).fit(X, cluster_labels=y)
    return make(**params).fit(X, y)


@pytest.fixture(scope="module")
def on_rows():
    return {make: fitted(make, ROWS) for make in CLASSIFIERS}


@pytest.fixture(scope="module")
def on_images():
    small = {"encoder": ConvNet, "encoder_params": {"channels": (4,)}}
    return {make: fitted(make, IMAGES, **small) for make in CLASSIFIERS}


@pytest.fixture
def classifier(on_rows):
    return on_rows[MCHADClassifier]


@pytest.fixture
def logits():
    return np.random.RandomState(0).normal(0, 3, size=(20, 4))


def linear(weight, y=(0, 1, 2, 0, 1, 2), make=MCHADClassifier):
    """A classifier whose encoder is a certain matrix, not trained any further."""
    encoder = nn.Linear(*weight.shape[::-1], bias=False)
    encoder.weight.data = torch.tensor(weight, dtype=torch.float32)
    X = np.random.RandomState(1).randn(len(y), weight.shape[1])
    return fitted(make, X, np.array(y), encoder=encoder, max_epochs=0)


# Of logits.


@EVERY_TEMPERATURE
def test_msp_is_the_logarithm_of_the_largest_probability(logits, temperature):
    expected = log_softmax(logits / temperature, axis=1).max(axis=1)
    scores = msp(logits, temperature=temperature)
    np.testing.assert_allclose(scores, expected, rtol=1e-12, atol=1e-15)


@EVERY_TEMPERATURE
def test_energy_is_its_formula(logits, temperature):
    expected = temperature * np.log(np.exp(logits / temperature).sum(axis=1))
    scores = energy(logits, temperature=temperature)
    np.testing.assert_allclose(scores, expected, rtol=1e-12)


@pytest.mark.parametrize("score", [msp, energy])
def test_scores_of_logits_take_tensors_and_arrays(score, logits):
    of_tensor = score(torch.from_numpy(logits))
    assert isinstance(of_tensor, torch.Tensor)
    np.testing.assert_array_equal(score(logits), of_tensor.numpy())
    np.testing.assert_array_equal(score(logits.tolist()), of_tensor.numpy())


def test_msp_ranks_where_all_probabilities_are_1():
    logits = np.stack([np.arange(40.0, 700.0), np.zeros(660)], axis=1)
    scores = msp(logits)
    assert (np.exp(scores) == 1).all()
    assert (np.diff(scores) > 0).all()


def test_msp_ranks_where_all_probabilities_are_1_over_k():
    largest = np.linspace(0.0, 1e-6, 1000)
    logits = np.stack([largest, *np.zeros((2, 1000))], axis=1)
    assert (np.diff(msp(logits, temperature=1000.0)) > 0).all()


def test_energy_of_large_logits_does_not_overflow():
    np.testing.assert_allclose(energy([[5e4, 0.0], [-5e4, -6e4]]), [5e4, -5e4])


def test_a_single_logit_is_certain():
    assert (msp([[3.0], [-1e9]]) == 0).all()


# Of classifiers.


@EVERY_CLASSIFIER
def test_probabilities_are_the_softmax_of_the_logits(make, on_rows):
    classifier = on_rows[make]
    logits = logits_of(classifier, ROWS)
    assert logits.shape == (N_SAMPLES, 3) and logits.dtype == np.float64
    if hasattr(classifier, "predict_proba"):
        probabilities = classifier.predict_proba(ROWS)
        np.testing.assert_allclose(msp(logits), np.log(probabilities.max(axis=1)))


@EVERY_CLASSIFIER
@pytest.mark.parametrize("kind", ["rows", "images", "bytes"])
def test_odin_without_step_and_temperature_is_msp_to_the_last_bit(make, kind, request):
    models = request.getfixturevalue("on_rows" if kind == "rows" else "on_images")
    X = {"rows": ROWS, "images": IMAGES, "bytes": BYTES}[kind]
    expected = msp(logits_of(models[make], X))
    actual = odin(models[make], X, epsilon=0.0, temperature=1.0)
    np.testing.assert_array_equal(actual, expected)


def naive_odin(weight, centers, X, temperature, epsilon):
    """ODIN of a linear encoder, with the gradient written down."""

    def log_probabilities(x):
        logits = -((x @ weight.T - centers) ** 2).sum(axis=1)
        return log_softmax(logits / temperature)

    scores = []
    for x in X.astype(np.float64):
        log_p = log_probabilities(x)
        slopes = -2 * (x @ weight.T - centers) @ weight  # of each logit, (k, p)
        step = np.sign(slopes[log_p.argmax()] - np.exp(log_p) @ slopes)
        scores.append(log_probabilities(x + epsilon * step).max())
    return scores


@EVERY_TEMPERATURE
@pytest.mark.parametrize("epsilon", [0.0, 0.0014, 0.5, [0.0, 0.1, 0.2, 0.3]])
def test_odin_is_its_formula(temperature, epsilon):
    rng = np.random.RandomState(0)
    weight, X = rng.randn(3, 4).astype(np.float32), rng.randn(50, 4).astype(np.float32)
    model = linear(weight)
    expected = naive_odin(weight, model.centers_, X, temperature, np.array(epsilon))
    actual = odin(model, X, temperature=temperature, epsilon=epsilon)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6 / temperature)


@EVERY_CLASSIFIER
@EVERY_TEMPERATURE
def test_the_step_makes_the_classifier_more_confident(make, temperature, on_rows):
    without, with_step = (
        odin(on_rows[make], ROWS, temperature=temperature, epsilon=epsilon)
        for epsilon in (0.0, 1e-3)
    )
    # A step across a kink of the network may lower it.
    assert np.mean(with_step > without) > 0.98


def test_odin_leaves_no_ties_at_a_high_temperature(classifier):
    scores = odin(classifier, ROWS, temperature=1e6, epsilon=0.0)
    assert len(np.unique(scores)) == len(np.unique(msp(logits_of(classifier, ROWS))))


def test_a_step_for_each_channel_is_that_of_all_where_they_agree(on_images, classifier):
    for model, X in [(classifier, ROWS), (on_images[MCHADClassifier], IMAGES)]:
        each = odin(model, X, epsilon=[0.25] * X.shape[1])
        np.testing.assert_array_equal(each, odin(model, X, epsilon=0.25))


def test_channels_have_their_own_steps(on_images):
    model = on_images[MCHADClassifier]
    scores = [odin(model, IMAGES, epsilon=e) for e in ([0.1, 0.0], [0.0, 0.1], 0.1)]
    assert not any(np.array_equal(scores[i - 1], scores[i]) for i in range(3))


def test_steps_are_in_the_units_of_the_input():
    rng, units = np.random.RandomState(0), np.array([0.25, 1.0, 16.0])
    weight, X = rng.randn(2, 3).astype(np.float32), rng.randn(30, 3)
    expected = odin(linear(weight), X, epsilon=0.25)
    scaled = odin(linear(weight / units), X * units, epsilon=0.25 * units)
    np.testing.assert_array_equal(scaled, expected)  # units are powers of 2


@EVERY_CLASSIFIER
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_callers_may_have_gradients_off(make, context, on_rows):
    expected = odin(on_rows[make], ROWS, epsilon=0.1)
    with context():
        actual = odin(on_rows[make], ROWS, epsilon=0.1)
        assert not torch.is_grad_enabled()
    np.testing.assert_array_equal(actual, expected)


def test_odin_in_inference_mode_leaves_a_model_that_has_gradients(classifier):
    with torch.inference_mode():
        odin(classifier, ROWS, epsilon=[0.1] * 5)
    assert np.isfinite(odin(classifier, ROWS, epsilon=[0.1] * 5)).all()


@EVERY_CLASSIFIER
def test_odin_changes_neither_model_nor_samples(make, on_rows):
    model, X = on_rows[make], ROWS.copy()
    parameters = [*model.net_.module_.parameters()]
    for parameter in parameters:
        parameter.grad = None
    before = [parameter.detach().clone() for parameter in parameters]
    odin(model, X, epsilon=0.5)
    np.testing.assert_array_equal(X, ROWS)
    assert all(parameter.grad is None for parameter in parameters)
    assert all(map(torch.equal, parameters, before))


def test_bytes_are_stepped_from_as_numbers(on_images):
    model = on_images[MCHADClassifier]
    bytes_, before = BYTES.copy(), odin(model, BYTES.astype(np.float32), epsilon=0.5)
    np.testing.assert_array_equal(odin(model, bytes_, epsilon=0.5), before)
    np.testing.assert_array_equal(bytes_, BYTES)


@EVERY_CLASSIFIER
def test_batches_score_as_their_rows_do_alone(make, on_images):
    model = on_images[make]
    every = odin(model, IMAGES, epsilon=0.1)
    parts = [odin(model, part, epsilon=0.1) for part in np.split(IMAGES, [1, 20, 600])]
    np.testing.assert_allclose(np.concatenate(parts), every, rtol=1e-6)


def test_a_sample_on_a_center_has_no_step_rather_than_a_score_of_nan():
    model = linear(np.eye(3), make=CACClassifier)
    X = np.concatenate([model.centers_, [[1.0, 2.0, 3.0]]])
    np.testing.assert_array_equal(logits_of(model, X)[range(3), range(3)], 0.0)
    scores, unmoved = (odin(model, X, epsilon=epsilon) for epsilon in (0.1, 0.0))
    np.testing.assert_array_equal(scores[:3], unmoved[:3])
    assert scores[3] > unmoved[3]


@pytest.mark.parametrize(
    "epsilon",
    [-0.1, np.nan, np.inf, None, "small", [0.1, 0.1], [[0.1] * 5], [[1], [1, 2]]],
    ids=str,
)
def test_steps_that_are_none_are_refused(classifier, epsilon):
    message = "epsilon must be a number or one for each of the 5 features, at least 0"
    with pytest.raises(ValueError, match=message):
        odin(classifier, ROWS, epsilon=epsilon)


def test_steps_for_images_are_one_for_each_channel(on_images):
    with pytest.raises(ValueError, match=r"each of the 2 channels.*got \[1, 2, 3\]"):
        odin(on_images[CACClassifier], IMAGES, epsilon=[1, 2, 3])


@pytest.mark.parametrize("function", [logits_of, odin])
def test_what_has_no_logits_is_refused(function):
    for other in (LogisticRegression(), DeepSVDD()):
        message = f"classifier must be .* got {type(other).__name__}, .* Use one"
        with pytest.raises(TypeError, match=message):
            function(other, ROWS)
    with pytest.raises(NotFittedError, match="MCHADClassifier"):
        function(MCHADClassifier(), ROWS)


@pytest.mark.parametrize("function", [logits_of, odin])
def test_samples_of_another_shape_are_refused(function, classifier, on_images):
    with pytest.raises(ValueError, match="expecting 5 features"):
        function(classifier, ROWS[:, :4])
    with pytest.raises(ValueError, match=r"X must hold samples of shape \(2, 4, 4\)"):
        function(on_images[MCHADClassifier], IMAGES[:, :, :3])


# Mahalanobis distance.


def blobs(n=90, p=4):
    """Rows of three classes, whose covariance is no multiple of the identity."""
    rng, y = np.random.RandomState(0), np.arange(n) % 3
    return rng.randn(n, p) @ rng.randn(p, p) + 3 * rng.randn(3, p)[y], y


def test_the_mahalanobis_distance_is_its_formula():
    Z, y = blobs()
    means = np.array([Z[y == k].mean(axis=0) for k in range(3)])
    within = LedoitWolf(assume_centered=True).fit(Z - means[y]).covariance_
    new = 5 * np.random.RandomState(1).randn(20, 4)
    expected = [
        -min((z - m) @ np.linalg.inv(within) @ (z - m) for m in means) for z in new
    ]
    scorer = MahalanobisDistance().fit(Z, y)
    np.testing.assert_allclose(scorer.score_samples(new), expected, rtol=1e-9)
    np.testing.assert_allclose(scorer.means_, means)
    np.testing.assert_allclose(scorer.covariance_, within)


def test_names_of_classes_do_not_matter():
    Z, y = blobs()
    expected = MahalanobisDistance().fit(Z, y).score_samples(Z)
    named = MahalanobisDistance().fit(Z, np.array(["c", "a", "b"])[y])
    np.testing.assert_allclose(named.score_samples(Z), expected)


@pytest.mark.parametrize("shift", [0.0, 10.0, 1e4])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_shift_and_scale_do_not_change_mahalanobis_distances(shift, scale):
    Z, y = blobs()
    expected = MahalanobisDistance().fit(Z, y).score_samples(Z)
    moved = scale * (Z + shift)
    scores = MahalanobisDistance().fit(moved, y).score_samples(moved)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", ["copied", "constant", "dead", "few"])
def test_a_singular_covariance_gives_finite_scores(case):
    Z, y = blobs()
    Z, y = {
        "copied": (np.repeat(Z, 2, axis=1), y),
        "constant": (np.ones_like(Z), y),
        "dead": (Z * [1.0, 1.0, 1.0, 0.0], y),
        "few": (np.eye(3, 50), [0, 1, 2]),
    }[case]
    scorer = MahalanobisDistance().fit(Z, y)
    scores = scorer.score_samples(np.concatenate([Z, Z + 1]))
    assert np.isfinite(scores).all() and (scores <= 0).all()
    assert scores[: len(Z)].mean() > scores[len(Z) :].mean()


# Distance to neighbors.


def naive_distances(A, B, metric):
    if metric == "euclidean":
        return np.array([[np.sqrt(((a - b) ** 2).sum()) for b in B] for a in A])
    cosines = [[a @ b / np.sqrt((a @ a) * (b @ b)) for b in B] for a in A]
    return 1 - np.array(cosines)


def mean_of_nearest(distances, n_neighbors):
    return np.sort(distances, axis=1)[:, :n_neighbors].mean(axis=1)


EVERY_SIZE = pytest.mark.parametrize("p", [2, 40])  # searched by a tree, and without


@EVERY_METRIC
@EVERY_SIZE
@pytest.mark.parametrize("n_neighbors", [1, 3, 29])
def test_new_rows_count_their_nearest_neighbors(metric, p, n_neighbors):
    Z, new = np.split(np.random.RandomState(0).randn(40, p), [30])
    scorer = NeighborDistance(n_neighbors, metric=metric).fit(Z)
    expected = -mean_of_nearest(naive_distances(new, Z, metric), n_neighbors)
    np.testing.assert_allclose(scorer.score_samples(new), expected, rtol=1e-10)


@EVERY_METRIC
@EVERY_SIZE
@pytest.mark.parametrize("n_neighbors", [1, 3, 29])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_rows_do_not_count_themselves(metric, p, n_neighbors, dtype):
    Z = np.random.RandomState(0).randn(30, p).astype(dtype)
    distances = naive_distances(*[Z.astype(np.float64)] * 2, metric)
    np.fill_diagonal(distances, np.inf)  # leave one out
    scorer = NeighborDistance(n_neighbors, metric=metric).fit(Z)
    scores = scorer.score_samples(Z)
    assert scores.dtype == np.float64
    expected = -mean_of_nearest(distances, n_neighbors)
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)


@EVERY_METRIC
@EVERY_SIZE
def test_of_copies_all_but_one_count(metric, p):
    Z = np.random.RandomState(0).randn(10, p)
    Z = np.concatenate([Z, Z[:3], Z[:1]])  # the first row three times
    distances = naive_distances(Z, Z, metric)
    np.fill_diagonal(distances, np.inf)
    scores = NeighborDistance(3, metric=metric).fit(Z).score_samples(Z)
    expected = -mean_of_nearest(distances, 3)
    np.testing.assert_allclose(scores, expected, rtol=1e-6, atol=1e-7)


@EVERY_SIZE
def test_rows_of_the_same_direction_are_not_the_same_row(p):
    Z = np.random.RandomState(0).randn(8, p)
    Z = np.concatenate([Z, 2 * Z, 3 * Z])
    distances = naive_distances(Z, Z, "cosine")
    np.fill_diagonal(distances, np.inf)
    scores = NeighborDistance(4, metric="cosine").fit(Z).score_samples(Z)
    np.testing.assert_allclose(scores, -mean_of_nearest(distances, 4), rtol=1e-6)


@EVERY_METRIC
def test_with_few_rows_all_others_count(metric):
    Z = np.random.RandomState(0).randn(4, 3)
    few, many = (NeighborDistance(m, metric=metric).fit(Z) for m in (3, 100))
    np.testing.assert_array_equal(many.score_samples(Z), few.score_samples(Z))


@EVERY_METRIC
def test_neighbors_are_looked_for_among_rows_spread_evenly_over_all(metric):
    Z, new = np.split(np.random.RandomState(0).randn(50, 3), [40])
    few = NeighborDistance(2, metric=metric, max_candidates=14).fit(Z)
    kept = Z[::3]
    np.testing.assert_array_equal(few.embeddings_, kept)
    alone = NeighborDistance(2, metric=metric).fit(kept)
    np.testing.assert_array_equal(few.score_samples(new), alone.score_samples(new))
    assert (few.score_samples(new) <= scores_among_all(Z, new, metric)).all()


def scores_among_all(Z, new, metric):
    scorer = NeighborDistance(2, metric=metric, max_candidates=None).fit(Z)
    assert len(scorer.embeddings_) == len(Z)
    return scorer.score_samples(new)


def test_embeddings_of_two_rows_at_least_are_remembered():
    with pytest.raises(ValueError, match=r"minimum of 2 is required"):
        NeighborDistance().fit([[1.0, 2.0]])
    np.testing.assert_array_equal(
        NeighborDistance().fit([[0.0], [2.0]]).score_samples([[0.0], [3.0]]), [-2, -1]
    )


@pytest.mark.parametrize("make", [MahalanobisDistance, NeighborDistance])
def test_scorers_of_embeddings_say_what_they_cannot_do(make):
    Z, y = blobs()
    with pytest.raises(NotFittedError, match=make.__name__):
        make().score_samples(Z)
    with pytest.raises(ValueError, match="expecting 4 features"):
        make().fit(Z, y).score_samples(Z[:, :3])


@pytest.mark.parametrize(
    "params", [{"n_neighbors": 0}, {"metric": "manhattan"}, {"max_candidates": 1}]
)
def test_parameters_out_of_range_are_refused(params):
    with pytest.raises(ValueError, match=f"The '{[*params][0]}' parameter"):
        NeighborDistance(**params).fit(blobs()[0])


def test_a_training_row_is_known_again_with_rounding_errors():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(50, 16)).astype(np.float32)
    scorer = NeighborDistance(3).fit(Z)
    nearly = Z * (1 + rng.uniform(-1e-5, 1e-5, Z.shape)).astype(np.float32)
    np.testing.assert_allclose(
        scorer.score_samples(nearly), scorer.score_samples(Z), rtol=1e-4
    )


@pytest.mark.parametrize("temperature", [0, -1.0, np.nan, np.inf, "1"])
def test_a_wrong_temperature_is_refused_with_a_sentence(temperature):
    for function in (msp, energy):
        with pytest.raises(ValueError, match="temperature must be a number above 0"):
            function([[1.0, 2.0]], temperature=temperature)


def test_measurements_are_no_classes_to_the_mahalanobis_distance():
    with pytest.raises(ValueError, match="y must hold classes"):
        MahalanobisDistance().fit(np.eye(4), [0.1, 0.2, 0.3, 0.4])


def test_the_step_of_odin_does_not_vanish_where_the_classifier_is_sure():
    encoder = torch.nn.Linear(2, 2)
    X = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    params = {"encoder": encoder, "max_epochs": 0, "random_state": 0}
    classifier = MCHADClassifier(**params).fit(X, X[:, 0] > 0)
    far = 20 * X
    near = odin(classifier, far, temperature=1.0, epsilon=0)
    moved = odin(classifier, far, temperature=1.0, epsilon=0.1)
    assert (moved[near < 0] > near[near < 0]).all() and (near < 0).any()


# Checks that are scikit-learn's own


@checks.parametrize_with_checks([NeighborDistance(), MahalanobisDistance()])
def test_scorers_of_embeddings_pass_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


# Scores do not depend on other samples


@pytest.mark.parametrize(
    "scorer",
    [MahalanobisDistance(), NeighborDistance(), NeighborDistance(metric="cosine")],
    ids=["mahalanobis", "euclidean", "cosine"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_score_of_an_embedding_does_not_depend_on_the_others(scorer, dtype):
    rng = np.random.default_rng(0)
    Z, new = (rng.normal(size=(n, 16)).astype(dtype) for n in (200, 100))
    scorer = clone(scorer).fit(Z, rng.integers(3, size=200))
    scores = scorer.score_samples(new)
    for n in (1, 5, 33):
        np.testing.assert_array_equal(scorer.score_samples(new[:n]), scores[:n])


@EVERY_METRIC
def test_distances_keep_their_digits_where_embeddings_are_close(metric):
    rng = np.random.default_rng(0)
    Z = (1 + 1e-3 * rng.normal(size=(100, 32))).astype(np.float32)
    distances = cdist(Z[50:].astype(np.float64), Z[:50].astype(np.float64), metric)
    expected = -np.sort(distances, axis=1)[:, :3].mean(axis=1)
    # The search may take another of neighbours that are equally near.
    scores = NeighborDistance(3, metric=metric).fit(Z[:50]).score_samples(Z[50:])
    np.testing.assert_allclose(scores, expected, rtol=1e-3)


def test_copies_are_at_distance_0():
    X = np.repeat(np.random.default_rng(0).normal(size=(40, 6)), 10, axis=0)
    assert (NeighborDistance().fit(X).score_samples(X) == 0).all()


def test_odin_takes_a_classifier_that_was_loaded_in_inference_mode():
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    fitted = MCHADClassifier(max_epochs=1, random_state=0).fit(X, X[:, 0] > 0)
    pickled = pickle.dumps(fitted)
    with torch.inference_mode():
        loaded = pickle.loads(pickled)
        scores = odin(loaded, X)
    np.testing.assert_array_equal(scores, odin(fitted, X))
    np.testing.assert_array_equal(odin(loaded, X), scores)


# Ensembles of classifiers


@pytest.fixture(scope="module")
def ensemble():
    member = MCHADClassifier(max_epochs=1, contamination=0.1)
    return HypersphereEnsemble(member, n_members=2, random_state=0).fit(ROWS, Y)


def test_logits_of_an_ensemble_are_the_means_of_its_members(ensemble):
    of_members = [logits_of(member, ROWS) for member in ensemble.estimators_]
    logits = logits_of(ensemble, ROWS)
    np.testing.assert_allclose(logits, np.mean(of_members, axis=0), rtol=1e-12)
    np.testing.assert_allclose(logits, ensemble.decision_function(ROWS), rtol=1e-12)


def test_odin_of_an_ensemble_without_a_step_is_the_largest_probability(ensemble):
    expected = np.log(ensemble.predict_proba(ROWS).max(axis=1))
    scores = odin(ensemble, ROWS, temperature=1.0, epsilon=0)
    np.testing.assert_allclose(scores, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(msp(logits_of(ensemble, ROWS)), scores, atol=1e-12)


def test_odin_of_an_ensemble_steps_by_the_gradient_of_the_mean(ensemble):
    step = 1e-3
    scores = odin(ensemble, ROWS, temperature=1.0, epsilon=step)
    before = odin(ensemble, ROWS, temperature=1.0, epsilon=0)
    assert np.mean(scores > before) > 0.99
    # No other step of that length in the axes gains more, to first order.
    rng = np.random.RandomState(0)
    for _ in range(5):
        moved = ROWS + step * rng.choice([-1, 1], size=ROWS.shape)
        gained = msp(logits_of(ensemble, moved.astype(np.float32)))
        assert np.mean(gained <= scores + 1e-5) > 0.99


def test_ensembles_of_detectors_have_no_logits():
    detector = DeepSVDD(max_epochs=0, contamination=0.1)
    fitted = HypersphereEnsemble(detector, n_members=2).fit(ROWS)
    for function in (logits_of, odin):
        with pytest.raises(TypeError, match="got HypersphereEnsemble, which has no"):
            function(fitted, ROWS)


def test_odin_compiles_nothing(on_rows):
    """Calling a compiled module would compile it for evaluation; `forward` does not."""
    for make in (MCHADClassifier, SubclusterDetector):
        module = on_rows[make].net_.module_
        expected = odin(on_rows[make], ROWS)

        def fail(*args):
            raise AssertionError("a compiled module was called")

        module._compiled_call_impl = fail
        np.testing.assert_array_equal(odin(on_rows[make], ROWS), expected)
        np.testing.assert_array_equal(
            logits_of(on_rows[make], ROWS[:3]), logits_of(on_rows[make], ROWS)[:3]
        )
        module._compiled_call_impl = None
