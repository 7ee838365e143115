"""Parameters: stored unchanged, open to searches, and known by their former names."""

import inspect

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from sk_hypersphere import (
    HSC,
    CACClassifier,
    CenterLossClassifier,
    DeepSAD,
    EIDNEmbedder,
    IILossClassifier,
    MCHADClassifier,
    SubclusterDetector,
)
from sk_hypersphere.base import store
from sk_hypersphere.metrics import (
    NoveltySplit,
    aupr_in,
    aupr_out,
    fpr_at_tpr,
    known_accuracy,
    make_novelty_scorer,
    oscr,
)

RENAMED = [
    (cls, former, name, value)
    for classes, former, name, value in [
        (
            (MCHADClassifier, CACClassifier, CenterLossClassifier, IILossClassifier),
            "outlier_label",
            "anomaly_label",
            -1,
        ),
        (
            (MCHADClassifier, CACClassifier, CenterLossClassifier, DeepSAD, HSC),
            "outlier_ratio",
            "anomaly_ratio",
            0.5,
        ),
        ((EIDNEmbedder,), "scorer", "score_rule", "norm"),
        ((SubclusterDetector,), "scorer", "score_rule", "msp"),
    ]
    for cls in classes
]
EVERY_NAME = pytest.mark.parametrize(
    ("cls", "former", "name", "value"),
    RENAMED,
    ids=[f"{cls.__name__}-{former}" for cls, former, *_ in RENAMED],
)


@EVERY_NAME
def test_a_former_name_works_and_the_warning_names_the_new_one(
    cls, former, name, value
):
    message = f"{former} of {cls.__name__} is now called {name}"
    with pytest.warns(FutureWarning, match=message) as caught:
        estimator = cls(**{former: value})
    assert estimator.get_params()[name] == value
    assert former not in estimator.get_params()
    with pytest.warns(FutureWarning, match=message):
        assert getattr(estimator, former) == value
    with pytest.warns(FutureWarning, match=message):
        changed = cls().set_params(**{former: value})
    assert changed.get_params()[name] == value
    with pytest.warns(FutureWarning, match=message):
        setattr(changed, former, None)
    assert getattr(changed, name) is None
    assert [warning.filename for warning in caught] == [__file__]


@EVERY_NAME
def test_signatures_have_present_names_alone(cls, former, name, value):
    parameters = inspect.signature(cls).parameters
    assert name in parameters and former not in parameters
    assert getattr(clone(cls(**{name: value})), name) == value


def test_a_parameter_under_both_names_is_refused():
    with pytest.raises(TypeError, match="must be given anomaly_label once"):
        MCHADClassifier(anomaly_label=1, outlier_label=1)


def test_an_unknown_parameter_is_refused_in_the_words_of_python():
    with pytest.raises(TypeError, match="unexpected keyword argument 'outlier'"):
        MCHADClassifier(outlier=1)
    with pytest.raises(AttributeError, match="no attribute 'scorer'"):
        MCHADClassifier().scorer  # noqa: B018


def test_formerly_positional_parameters_work_and_are_to_be_named():
    message = r"EIDNEmbedder takes keywords: write margin=0\.2, steps_per_epoch=3"
    with pytest.warns(FutureWarning, match=message):
        embedder = EIDNEmbedder(4, 0.2, 3, triplets="random")
    params = embedder.get_params()
    assert params["n_components"] == 4 and params["triplets"] == "random"
    assert params["margin"] == 0.2 and params["steps_per_epoch"] == 3
    kmeans, pca = KMeans(2), PCA(2)
    with pytest.warns(FutureWarning, match="write embedder=.*, score_rule='msp'"):
        detector = SubclusterDetector(kmeans, pca, "msp")
    assert detector.clusterer is kmeans and detector.embedder is pca
    assert detector.score_rule == "msp"
    with pytest.warns(FutureWarning), pytest.raises(TypeError, match="positional"):
        EIDNEmbedder(4, 0.2, 3, "random")


def test_the_former_attribute_of_sub_clusters_is_the_fitted_distance():
    X = np.random.RandomState(0).randn(60, 3)
    detector = SubclusterDetector(KMeans(2, n_init=1), max_epochs=1).fit(X)
    with pytest.warns(FutureWarning, match="is now called distance_"):
        assert detector.scorer_ is detector.distance_


Y = ["new", "old", "old", "new"]
SCORES = [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    "call",
    [
        lambda **label: fpr_at_tpr(Y, SCORES, **label),
        lambda **label: aupr_in(Y, SCORES, **label),
        lambda **label: aupr_out(Y, SCORES, **label),
        lambda **label: oscr(Y, Y, SCORES, **label),
        lambda **label: known_accuracy(Y, Y, **label),
        lambda **label: repr(make_novelty_scorer("auroc", **label)),
        lambda **label: repr(NoveltySplit(2, **label)),
    ],
)
def test_metrics_take_the_former_name_of_the_label(call):
    with pytest.warns(FutureWarning, match="is now called anomaly_label"):
        former = call(outlier_label="new")
    assert former == call(anomaly_label="new")


@pytest.mark.parametrize(
    ("former", "name"), [("outlier", "anomaly"), ("inlier", "normal")]
)
def test_sides_of_a_detection_are_known_by_their_former_names(former, name):
    label = {"anomaly_label": "new"}
    with pytest.warns(FutureWarning, match=f"Write positive='{name}'"):
        area = fpr_at_tpr(Y, SCORES, positive=former, **label)
    assert area == fpr_at_tpr(Y, SCORES, positive=name, **label)


def test_arguments_are_stored_as_they_are():
    class Base:
        def __init__(self, size, *, names=()):
            store(locals())

    class Derived(Base):
        def __init__(self, size, *, names=(), more=None):
            super().__init__(size, names=names)
            store(locals())

    names = ["a"]
    derived = Derived(3, names=names, more=names)
    assert vars(derived) == {"size": 3, "names": names, "more": names}
    assert derived.names is names
