import inspect
import sys

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import pdist
from sklearn.base import BaseEstimator
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_hypersphere import CACClassifier, DeepSAD, DeepSVDD, MCHADClassifier, displays
from sk_hypersphere.base._labels import binary_labels
from sk_hypersphere.displays import EmbeddingDisplay
from sk_hypersphere.exceptions import SupervisionWarning

PUBLIC = [getattr(displays, name) for name in displays.__all__]
SMALL = {"max_epochs": 2, "random_state": 0}
IN_A_PIPELINE = pytest.mark.parametrize(
    "in_a_pipeline",
    [
        lambda estimator: estimator,
        make_pipeline,
        lambda estimator: make_pipeline(StandardScaler(), estimator),
        lambda estimator: make_pipeline(StandardScaler(), make_pipeline(estimator)),
    ],
    ids=["alone", "one step", "two steps", "nested"],
)


class Spheres(BaseEstimator):
    """Identity embedding; a sphere of radius 1 around each given center."""

    def __init__(self, centers):
        self.centers = centers

    def fit(self, X, y=None):
        self.centers_ = np.asarray(self.centers, dtype=float)
        self.radii_ = np.ones(len(self.centers_))
        return self

    def transform(self, X):
        return X

    def predict(self, X):
        gaps = X[:, None] - self.centers_  # (n, k, p)
        inside = np.linalg.norm(gaps, axis=2).min(axis=1) <= self.radii_[0]  # (n,)
        return np.where(inside, 1, -1)


def make_spheres(n_components=2, n_centers=3, n_samples=60):
    X, groups, centers = make_blobs(
        n_samples,
        n_components,
        centers=n_centers,
        cluster_std=0.3,
        random_state=0,
        return_centers=True,
    )
    X[0] = centers[groups[0]] + 5  # (n_components,)
    return Spheres(centers).fit(X), X


def make_labelled():
    """Rows of two kinds, "a" and "b", and ten odd ones."""
    X = np.random.RandomState(0).normal(size=(60, 3))
    X[50:] += 4
    return X, np.repeat(["a", "b", "odd"], [25, 25, 10])


def legend_of(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


@pytest.mark.parametrize("cls", PUBLIC)
def test_a_display_stores_its_keyword_arguments_as_they_are(cls):
    parameters = inspect.signature(cls).parameters.values()
    values = {parameter.name: object() for parameter in parameters}
    assert {parameter.kind for parameter in parameters} == {
        inspect.Parameter.KEYWORD_ONLY
    }
    assert vars(cls(**values)) == values


@pytest.mark.parametrize("cls", PUBLIC)
def test_from_estimator_draws_on_the_given_axes(cls):
    _, ax = pyplot.subplots()
    display = cls.from_estimator(*make_spheres(), ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert ax.has_data()


@pytest.mark.parametrize("cls", PUBLIC)
def test_plot_makes_a_new_figure_where_no_axes_are_given(cls):
    display = cls.from_estimator(*make_spheres())
    first = display.figure_
    assert display.plot() is display
    assert display.figure_ is not first


@pytest.mark.parametrize("cls", PUBLIC)
def test_plot_says_how_to_install_matplotlib(cls, monkeypatch):
    display = cls.from_estimator(*make_spheres())
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'sk-hypersphere\[plot\]'"):
        display.plot()


@pytest.mark.parametrize("n_components", [1, 2, 5])
def test_every_center_gets_its_sphere(n_components):
    estimator, X = make_spheres(n_components)
    display = EmbeddingDisplay.from_estimator(estimator, X)
    assert [circle.radius for circle in display.spheres_] == [1.0, 1.0, 1.0]
    assert_allclose(
        [circle.center for circle in display.spheres_],
        display.center_markers_.get_offsets(),
    )


def test_an_estimator_without_radii_gets_no_spheres():
    estimator, X = make_spheres()
    del estimator.radii_
    display = EmbeddingDisplay.from_estimator(estimator, X, np.ones(60))
    assert display.spheres_ == []
    assert len(display.center_markers_.get_offsets()) == 3


def test_an_estimator_without_centers_gets_samples_alone():
    _, X = make_spheres(5)
    display = EmbeddingDisplay.from_estimator(PCA(3).fit(X), X)
    assert display.center_markers_ is None
    assert legend_of(display) == ["sample (60)"]


def test_only_the_largest_clusters_are_drawn():
    estimator, X = make_spheres(n_centers=50)
    estimator.cluster_sizes_ = np.arange(50)
    display = EmbeddingDisplay.from_estimator(estimator, X, max_spheres=2)
    assert_array_equal(
        display.center_markers_.get_offsets(), estimator.centers_[[49, 48]]
    )
    assert len(display.spheres_) == 2
    assert legend_of(display)[-1] == "center and sphere (2 of 50)"


def test_thirty_spheres_are_drawn_by_default():
    display = EmbeddingDisplay.from_estimator(*make_spheres(n_centers=50))
    assert len(display.spheres_) == 30


def test_without_cluster_sizes_the_rows_nearest_to_each_center_are_counted():
    estimator = Spheres([[0.0, 0.0], [9.0, 9.0]]).fit(None)
    X = np.array([[9.0, 8.5], [9.0, 9.5], [0.0, 0.5]])
    display = EmbeddingDisplay.from_estimator(estimator, X)
    assert_array_equal(display.cluster_sizes, [1, 2])


def test_predicted_anomalies_are_drawn_apart():
    display = EmbeddingDisplay.from_estimator(*make_spheres())
    assert len(display.anomalies_.get_offsets()) == 1
    assert len(display.normals_.get_offsets()) == 59
    colors = [display.normals_.get_facecolor(), display.anomalies_.get_facecolor()]
    assert [to_hex(color[0]) for color in colors] == ["#0072b2", "#d55e00"]
    assert legend_of(display)[:2] == ["predicted normal (59)", "predicted anomaly (1)"]


@pytest.mark.parametrize(
    "labels", [[1, 1, -1], [0, 0, 1], [1, 0, -1], [False, False, True]]
)
def test_labels_name_the_anomalies(labels):
    estimator, X = make_spheres(n_samples=3)
    display = EmbeddingDisplay.from_estimator(estimator, X, labels)
    assert_array_equal(display.is_anomaly, [False, False, True])


def test_one_label_means_no_anomalies():
    estimator, X = make_spheres()
    display = EmbeddingDisplay.from_estimator(estimator, X, np.ones(60))
    assert display.anomalies_ is None


def test_a_label_that_is_given_names_the_anomalies():
    estimator, X = make_spheres(n_samples=3)
    for labels, label in [(["good", "good", "bad"], "bad"), ([3, -1, 4], 4)]:
        display = EmbeddingDisplay.from_estimator(
            estimator, X, labels, anomaly_label=label
        )
        assert_array_equal(display.is_anomaly, [False, False, True])
        assert legend_of(display)[:2] == ["normal (2)", "anomaly (1)"]


@pytest.mark.parametrize("labels", [["good", "bad", "good"], [0, 1, 2]])
def test_samples_are_drawn_alike_and_a_warning_says_so_if_labels_say_nothing(labels):
    estimator, X = make_spheres(n_samples=3)
    with pytest.warns(SupervisionWarning, match="Set anomaly_label") as caught:
        display = EmbeddingDisplay.from_estimator(estimator, X, labels)
    assert [warning.filename for warning in caught] == [__file__]
    assert display.anomalies_ is None
    assert legend_of(display)[0] == "sample (3)"


def test_no_sample_is_an_anomaly_and_a_warning_says_so_without_the_label_given():
    estimator, X = make_spheres(n_samples=3)
    with pytest.warns(SupervisionWarning, match="anomaly_label='bad'"):
        display = EmbeddingDisplay.from_estimator(
            estimator, X, ["good", "fine", "good"], anomaly_label="bad"
        )
    assert display.anomalies_ is None


@pytest.mark.parametrize(
    "labels",
    [[1, 1, -1], [0, 1, -1], [0, 0, 1], [True, False, True], [2, 3, 2], [1, 1, 1]],
)
def test_labels_mean_what_they_mean_to_detectors(labels):
    estimator, X = make_spheres(n_samples=3)
    display = EmbeddingDisplay.from_estimator(estimator, X, labels)
    assert_array_equal(display.is_anomaly, binary_labels(labels) < 0)


def test_labels_that_are_all_those_of_anomalies_are_refused():
    estimator, X = make_spheres(n_samples=3)
    with pytest.raises(ValueError, match="must hold samples that are not anomalies"):
        EmbeddingDisplay.from_estimator(estimator, X, [-1, -1, -1])


def test_missing_labels_are_refused():
    estimator, X = make_spheres(n_samples=3)
    with pytest.raises(ValueError, match="must hold a label for every sample"):
        EmbeddingDisplay.from_estimator(estimator, X, ["good", "bad", None])


@IN_A_PIPELINE
def test_anomalies_have_the_label_that_the_detector_names(in_a_pipeline):
    X, labels = make_labelled()
    detector = in_a_pipeline(DeepSAD(anomaly_label="odd", **SMALL)).fit(X, labels)
    display = EmbeddingDisplay.from_estimator(detector, X, labels)
    assert_array_equal(display.is_anomaly, labels == "odd")
    other = EmbeddingDisplay.from_estimator(detector, X, labels, anomaly_label="a")
    assert_array_equal(other.is_anomaly, labels == "a")


@IN_A_PIPELINE
def test_anomalies_have_the_anomaly_label_of_a_classifier(in_a_pipeline):
    X, labels = make_labelled()
    classifier = in_a_pipeline(MCHADClassifier(anomaly_label="odd", **SMALL))
    display = EmbeddingDisplay.from_estimator(classifier.fit(X, labels), X, labels)
    assert_array_equal(display.is_anomaly, labels == "odd")


@IN_A_PIPELINE
@pytest.mark.parametrize("make_classifier", [MCHADClassifier, CACClassifier])
def test_all_labels_of_a_classifier_without_an_anomaly_label_are_classes(
    make_classifier, in_a_pipeline
):
    X, _ = make_labelled()
    labels = np.arange(len(X)) % 4 - 1
    classifier = in_a_pipeline(make_classifier(**SMALL)).fit(X, labels)
    display = EmbeddingDisplay.from_estimator(classifier, X, labels)
    assert display.anomalies_ is None
    assert legend_of(display)[0] == "normal (60)"
    assert len(display.center_markers_.get_offsets()) == 4
    marked = EmbeddingDisplay.from_estimator(classifier, X, labels, anomaly_label=2)
    assert_array_equal(marked.is_anomaly, labels == 2)


@pytest.mark.parametrize(
    "steps",
    [[], [StandardScaler()], [StandardScaler(), PCA(2)]],
    ids=["alone", "two steps", "three steps"],
)
def test_a_classifier_detects_anomalies_where_there_are_no_labels(steps):
    X, _ = make_labelled()
    classes = np.where(np.arange(len(X)) % 2, 1, -1)  # classes that look like verdicts
    pipeline = make_pipeline(*steps, MCHADClassifier(contamination=0.2, **SMALL))
    display = EmbeddingDisplay.from_estimator(pipeline.fit(X, classes), X)
    for step in steps:
        X = step.transform(X)
    detected = pipeline[-1].detect(X) < 0
    assert 0 < detected.sum() < 30
    assert_array_equal(display.is_anomaly, detected)
    assert legend_of(display)[1] == f"predicted anomaly ({detected.sum()})"
    assert_array_equal(
        EmbeddingDisplay.from_estimator(pipeline[-1], X).is_anomaly, detected
    )


def test_classes_that_a_classifier_predicts_are_no_anomalies():
    X, _ = make_labelled()
    classes = np.where(np.arange(len(X)) % 2, 1, -1)
    classifier = LinearDiscriminantAnalysis().fit(X, classes)
    display = EmbeddingDisplay.from_estimator(classifier, X)
    assert legend_of(display) == ["sample (60)"]


def test_a_pipeline_that_passes_its_input_through_is_drawn():
    _, X = make_spheres()
    pipeline = make_pipeline(StandardScaler(), "passthrough").fit(X)
    display = EmbeddingDisplay.from_estimator(pipeline, X)
    assert_allclose(display.embedding, StandardScaler().fit_transform(X))


def test_labels_of_another_length_are_refused():
    estimator, X = make_spheres(n_samples=3)
    for labels in ([1, -1], [0, 0]):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            EmbeddingDisplay.from_estimator(estimator, X, labels)


def test_an_estimator_without_an_embedding_is_refused():
    _, X = make_spheres()
    with pytest.raises(TypeError, match="must have a transform.*IsolationForest has"):
        EmbeddingDisplay.from_estimator(IsolationForest(), X)


def test_a_negative_number_of_spheres_is_refused():
    with pytest.raises(ValueError, match="max_spheres == -1, must be >= 0"):
        EmbeddingDisplay.from_estimator(*make_spheres(), max_spheres=-1)


def test_a_plane_in_many_dimensions_is_shown_without_distortion():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(6, 2)))[0]  # (6, 2), orthonormal
    X = rng.normal(size=(20, 2)) @ basis.T  # (20, 6)
    display = EmbeddingDisplay.from_estimator(Spheres(X[:3]).fit(X), X)
    assert_allclose(pdist(display.embedding), pdist(X))
    assert_allclose(display.centers, display.embedding[:3], atol=1e-12)


def test_the_axes_tell_the_variance_they_show():
    X = np.diag([3.0, 1.0, 0.0])
    X = np.vstack([X, -X])
    display = EmbeddingDisplay.from_estimator(PCA(3).fit(X), X)
    assert display.axis_labels == (
        "principal component 1 (90 % of variance)",
        "principal component 2 (10 % of variance)",
    )


def test_a_line_is_drawn_at_height_zero():
    display = EmbeddingDisplay.from_estimator(*make_spheres(n_components=1))
    assert_array_equal(display.embedding[:, 1], np.zeros(60))
    assert display.axis_labels == ("component 1", "")


def test_one_sample_of_many_dimensions_is_drawn():
    X = np.ones((1, 4))
    display = EmbeddingDisplay.from_estimator(PCA(3).fit(np.eye(4)), X)
    assert_array_equal(display.normals_.get_offsets(), [[0, 0]])


def test_a_collapsed_embedding_is_drawn_as_one_point():
    X = np.ones((10, 4))
    display = EmbeddingDisplay.from_estimator(Spheres(X[:1]).fit(X), X)
    assert_allclose(display.embedding, np.zeros((10, 2)), atol=1e-12)
    assert display.axis_labels[0] == "principal component 1 (0 % of variance)"


def test_spheres_are_round_and_inside_the_picture():
    display = EmbeddingDisplay.from_estimator(*make_spheres())
    display.figure_.canvas.draw()
    box = display.ax_.get_window_extent()
    for circle in display.spheres_:
        extent = circle.get_window_extent()
        assert extent.width == pytest.approx(extent.height)
        assert box.x0 <= extent.x0 <= extent.x1 <= box.x1
        assert box.y0 <= extent.y0 <= extent.y1 <= box.y1


def test_the_last_step_of_a_pipeline_gives_centers_and_spheres():
    estimator, X = make_spheres()
    pipeline = make_pipeline(StandardScaler(), estimator).fit(X)
    display = EmbeddingDisplay.from_estimator(pipeline, X)
    assert len(display.spheres_) == 3


def test_scatter_keywords_reach_the_samples():
    estimator, X = make_spheres()
    display = EmbeddingDisplay.from_estimator(estimator, X, scatter_kwargs={"s": 50})
    assert_array_equal(display.normals_.get_sizes(), [50])


def test_deep_svdd_is_drawn_with_its_centers_and_spheres():
    _, X = make_spheres(n_components=4)
    detector = DeepSVDD(multi_radius=True, max_epochs=2, random_state=0).fit(X)
    display = EmbeddingDisplay.from_estimator(detector, X)
    n_drawn = min(30, len(detector.centers_))
    assert len(display.spheres_) == n_drawn
    assert display.embedding.shape == (60, 2)


def test_the_former_name_of_the_markers_of_centers_warns():
    display = EmbeddingDisplay.from_estimator(*make_spheres())
    with pytest.warns(FutureWarning, match="is now called center_markers_"):
        assert display.centers_ is display.center_markers_
