"""The detectors in the tables: rivals, and the papers' recipe."""

import importlib
import random
import time
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin, OutlierMixin, clone
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch import NeuralNet
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import MultiStepLR

from sk_hypersphere import (
    CACClassifier,
    CenterLossClassifier,
    DeepSVDD,
    IILossClassifier,
    MCHADClassifier,
)
from sk_hypersphere.confidence import NeighborDistance
from sk_hypersphere.metrics import (
    aupr_in,
    aupr_out,
    conformal_p_values,
    fpr_at_tpr,
)
from sk_hypersphere.modules import ConvNet, MNISTLeNet
from sk_hypersphere.preprocessing import GlobalContrastNormalizer

OUTLIER = -1  # the label of example anomalies, and of outliers in a test

# The models of the MCHAD poster; "G-" learns from example anomalies too. Thresholds are
# not measured, and so no sample is held out for them.
ALL_SAMPLES = {"contamination": 0.05}
EXPOSED = {"anomaly_label": OUTLIER, **ALL_SAMPLES}
POSTER_MODELS = {
    "II": partial(IILossClassifier, **ALL_SAMPLES),
    "CAC": partial(CACClassifier, **ALL_SAMPLES),
    "Center": partial(CenterLossClassifier, **ALL_SAMPLES),
    "MCHAD": partial(MCHADClassifier, **ALL_SAMPLES),
    "G-MCHAD": partial(MCHADClassifier, **EXPOSED),
    "G-Center": partial(CenterLossClassifier, **EXPOSED),
    "G-CAC": partial(CACClassifier, **EXPOSED),
}


def as_rows(images):
    """Images as float32 rows, (n, c, h, w) -> (n, c h w)."""
    return images.reshape(len(images), -1).astype(np.float32)


def on_rows(*steps):
    """A pipeline that takes images and hands rows to its other steps."""
    return make_pipeline(FunctionTransformer(as_rows), *steps)


def pca_and_neighbors(n_components, *steps):
    """A user's first choice: principal components and nearest neighbours."""
    pca = PCA(n_components, svd_solver="covariance_eigh")  # draws no random number
    return on_rows(*steps, pca, NeighborDistance(max_candidates=None))


def mnist_detectors(device, seed):
    """Our defaults and two rivals that a user would try first, with their epochs."""
    params = {"device": device, "random_state": seed}
    return {
        "PCA(50) + 5 neighbours": (pca_and_neighbors(50), ""),
        "contrast + PCA(50) + 5 neighbours": (
            pca_and_neighbors(50, GlobalContrastNormalizer(scale="l2")),
            "",
        ),
        "`DeepSVDD()`": (DeepSVDD(**params), "default"),
        "`DeepSVDD(multi_radius=True)`": (
            DeepSVDD(multi_radius=True, **params),
            "default",
        ),
    }


class Recipe(NamedTuple):
    """Epochs of the papers' recipe: of the autoencoder, of training, before radii."""

    pretrain: int
    train: int
    warm_up: int

    def __str__(self):
        return f"{self.pretrain} + {self.train}"


FULL_RECIPE = Recipe(pretrain=150, train=150, warm_up=10)


class PaperAutoencoder:
    """The papers' LeNet, trained once as an autoencoder; detectors start from it.

    The papers take a learning rate of 1e-4, and 1e-5 from epoch 50 on. The autoencoder
    here has one that rises to 1e-3 and falls, which needs fewer epochs; later steps
    have theirs.

    Attributes
    ----------
    seconds : float
        Seconds of its training.
    """

    def __init__(self, X, recipe, device, seed):
        self.recipe = recipe
        self.params = {
            "batch_size": 200,
            "weight_decay": 1e-6,
            "device": device,
            "random_state": seed,
        }
        detector = DeepSVDD(
            encoder=MNISTLeNet,
            n_components=32,
            pretrain_epochs=recipe.pretrain,
            pretrain_lr=1e-3,
            code_penalty=0,
            max_epochs=0,
            contamination="boundary",
            **self.params,
        )
        model = make_pipeline(GlobalContrastNormalizer(), detector)
        self.seconds = seconds_of(model.fit, X)
        self.encoder = detector.net_.module_.encoder

    def detector(self, objective, **params):
        """A pipeline, not fitted, that goes on from the autoencoder's encoder."""
        return make_pipeline(
            GlobalContrastNormalizer(),
            DeepSVDD(
                objective,
                nu=0.1,
                encoder=deepcopy(self.encoder),
                pretrain_epochs=0,
                max_epochs=self.recipe.train,
                warm_up_epochs=self.recipe.warm_up,
                lr=1e-4,
                callbacks=[LRScheduler(MultiStepLR, milestones=[50])],
                contamination="boundary",  # as in the papers, all samples train
                **self.params,
                **params,
            ),
        )


class MaximumProbability(ClassifierMixin, BaseEstimator):
    """The default encoder with an output for each class, and cross-entropy.

    Optimizer, learning rates and sizes of batches are the defaults of our classifiers.
    Samples score the logarithm of their largest probability: the same ranking, without
    ties at 1.
    """

    def __init__(self, max_epochs=30, device="auto", random_state=0):
        self.max_epochs = max_epochs
        self.device = device
        self.random_state = random_state

    def fit(self, X, y):
        self.classes_, labels = np.unique(y, return_inverse=True)
        lower = LRScheduler(MultiStepLR, milestones=[round(0.7 * self.max_epochs)])
        self.net_ = NeuralNet(
            ConvNet,
            nn.CrossEntropyLoss,
            module__input_shape=X.shape[1:],
            module__n_components=len(self.classes_),
            optimizer=torch.optim.Adam,
            optimizer__weight_decay=5e-5,
            lr=1e-3,
            max_epochs=self.max_epochs,
            batch_size=128,
            iterator_train__shuffle=True,
            train_split=None,
            callbacks=[lower],
            device=resolved(self.device),
            verbose=0,
        )
        with all_streams_seeded(self.random_state):
            self.net_.fit(X.astype(np.float32), labels)
        return self

    def _logits(self, X):
        return self.net_.forward(X.astype(np.float32)).double().numpy()

    def predict(self, X):
        return self.classes_[self._logits(X).argmax(axis=1)]

    def score_samples(self, X):
        return log_softmax(self._logits(X), axis=1).max(axis=1)


def resolved(device):
    """The device that "auto" stands for here, or else the device itself."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def fit_classifier(model, X, y, exposure):
    """Fit, with example anomalies where the model takes them; return the seconds."""
    if getattr(model, "anomaly_label", None) is not None:
        X = np.concatenate([X, exposure])
        y = np.concatenate([y, np.full(len(exposure), model.anomaly_label)])
    seconds = seconds_of(model.fit, X, y)
    check_finished(model, model.max_epochs)
    return seconds


def fit_exposed(detector, normal, exposure):
    """Fit on normal samples and example anomalies; return the seconds."""
    X = np.concatenate([normal, exposure])
    y = np.repeat([1, OUTLIER], [len(normal), len(exposure)])
    return seconds_of(detector.fit, X, y)


def check_finished(model, n_epochs):
    """Interrupt if training ended early, before so many epochs.

    A callback that raises KeyboardInterrupt ends training early, for skorch. Here none
    does: it is the user's.
    """
    if sum("dur" in epoch for epoch in model.net_.history) < n_epochs:
        raise KeyboardInterrupt


def novelty_figures(known_scores, outlier_scores):
    """How well scores separate two sets of samples, in percent, as text.

    Scores are the lower, the more abnormal. FPR95 is the share of known samples called
    outliers where 95 % of the outliers are found, as on the poster of MCHAD.
    """
    y_true = np.repeat([0, OUTLIER], [len(known_scores), len(outlier_scores)])
    scores = np.concatenate([known_scores, outlier_scores])
    figures = {
        "auroc": roc_auc_score(y_true != OUTLIER, scores),
        "aupr_in": aupr_in(y_true, scores),
        "aupr_out": aupr_out(y_true, scores),
        "fpr95": fpr_at_tpr(y_true, scores),
    }
    return {name: percent(value) for name, value in figures.items()}


def novelty_rows(model, x_test, y_test, outlier_sets):
    """Accuracy and figures of a fitted classifier for each set of outliers, by name."""
    scores = model.score_samples(x_test)
    right = model.predict(x_test) == y_test
    for name, outliers in outlier_sets.items():
        yield {
            "outliers": name,
            "accuracy": percent(right.mean()),
            **novelty_figures(scores, model.score_samples(outliers)),
            # Wrong predictions should score lower than right ones.
            "error_auroc": percent(roc_auc_score(right, scores)),
        }


def percent(value):
    return f"{100 * value:.2f}"


def seconds_of(function, *args, **kwargs):
    start = time.perf_counter()
    function(*args, **kwargs)
    return time.perf_counter() - start


def auroc(task, scores):
    """Area under the ROC curve in percent; scores are the higher the more normal."""
    return 100 * roc_auc_score(task.is_normal, scores)


def fits(estimator, X, n_members, random_state):
    """Fits of an estimator that differ by their seed; no two states share one."""
    first = n_members * random_state
    seeds = range(first, first + n_members)
    return [clone(estimator).set_params(random_state=seed).fit(X) for seed in seeds]


# `HypersphereEnsemble` gives its members other seeds and divides by another spread, so
# that it would not reproduce the committed rows.
class MeanOfSeeds(OutlierMixin, BaseEstimator):
    """Average the scores of detectors that differ by their seed.

    Members score in units of their own. They are brought to mean 0 and standard
    deviation 1 over the training rows before they are averaged.
    """

    def __init__(self, estimator, n_members=5, random_state=0):
        self.estimator = estimator
        self.n_members = n_members
        self.random_state = random_state

    def fit(self, X, y=None):
        self.members_ = fits(self.estimator, X, self.n_members, self.random_state)
        scores = self._member_scores(X)
        self.means_ = scores.mean(axis=1, keepdims=True)
        self.scales_ = scores.std(axis=1, keepdims=True)
        return self

    def score_samples(self, X):
        return ((self._member_scores(X) - self.means_) / self.scales_).mean(axis=0)

    def _member_scores(self, X):
        return np.stack([member.score_samples(X) for member in self.members_])


class CrossFitted(OutlierMixin, BaseEstimator):
    """A detector that learns from all rows, and others that calibrate it.

    Each of these is fitted without a fold of the rows, which it scores. The scores of
    a fold are brought to the median and the interquartile range that the training rows
    have with the detector of all rows, for networks score in units of their own.

    Parameters
    ----------
    estimator : estimator
        With parameters `contamination` and `random_state`.

    false_alarm_rate : float, default=0.05
        Of the calibration scores, so many are below the threshold.

    n_folds : int, default=5

    random_state : int, default=0
        Seeds the fits and draws the folds.
    """

    def __init__(self, estimator, false_alarm_rate=0.05, n_folds=5, random_state=0):
        self.estimator = estimator
        self.false_alarm_rate = false_alarm_rate
        self.n_folds = n_folds
        self.random_state = random_state

    def fit(self, X, y=None):
        self.model_ = self._fit_without_calibration(X)
        center, width = _center_and_width(self.model_.score_samples(X))
        folds = KFold(self.n_folds, shuffle=True, random_state=self.random_state)
        scores = []
        for train, left in folds.split(X):
            model = self._fit_without_calibration(X[train])
            fold_center, fold_width = _center_and_width(model.score_samples(X[train]))
            standardized = (model.score_samples(X[left]) - fold_center) / fold_width
            scores.append(center + width * standardized)
        self.calibration_scores_ = np.sort(np.concatenate(scores))
        self.offset_ = np.quantile(
            self.calibration_scores_, self.false_alarm_rate, method="weibull"
        )
        return self

    def _fit_without_calibration(self, X):
        detector = clone(self.estimator).set_params(
            contamination=self.false_alarm_rate, random_state=self.random_state
        )
        return detector.fit(X)

    def score_samples(self, X):
        return self.model_.score_samples(X)

    def predict(self, X):
        return np.where(self.score_samples(X) < self.offset_, -1, 1)

    def p_values(self, X):
        return conformal_p_values(self.calibration_scores_, self.score_samples(X))


def _center_and_width(scores):
    """Median and interquartile range."""
    low, middle, high = np.percentile(scores, [25, 50, 75])
    return middle, high - low


class NearestAndDeep(OutlierMixin, BaseEstimator):
    """Distance to the nearest training row, and half of that to centers of DeepSVDD.

    Each distance is divided by its mean over the training rows, for which the nearest
    row is another one; that to the centers is the mean over detectors that differ by
    their seed.
    """

    def __init__(self, device="auto", n_members=5, random_state=0):
        self.device = device
        self.n_members = n_members
        self.random_state = random_state

    def fit(self, X, y=None):
        self.nearest_ = NeighborDistance(1, max_candidates=None).fit(X)
        self.mean_ = self.nearest_.score_samples(X).mean()
        detector = DeepSVDD(contamination="boundary", device=self.device)
        self.members_ = fits(detector, X, self.n_members, self.random_state)
        self.means_ = [center_distances(member, X).mean() for member in self.members_]
        return self

    def score_samples(self, X):
        nearest = self.nearest_.score_samples(X) / self.mean_
        deep = [
            center_distances(member, X) / mean
            for member, mean in zip(self.members_, self.means_, strict=True)
        ]
        return -nearest - 0.5 * np.mean(deep, axis=0)


def center_distances(detector, X):
    """Distances to the one center of a DeepSVDD."""
    sq_distances = detector.radii_[0] ** 2 - detector.score_samples(X)
    return np.sqrt(sq_distances.clip(min=0))


class ScoreOfRival(OutlierMixin, BaseEstimator):
    """Score rows by a rival whose own scores are the higher, the more abnormal.

    So do classifiers whose positive class is the anomaly, and PyOD and DeepOD.

    Parameters
    ----------
    make : callable
        Makes the rival from a number of features and a seed.

    random_state : int, default=0
        The seed. Rivals that draw from global streams find them seeded.
    """

    def __init__(self, make, random_state=0):
        self.make = make
        self.random_state = random_state

    def fit(self, X, y=None):
        with all_streams_seeded(self.random_state):
            self.rival_ = self.make(X.shape[1], self.random_state)
            self.rival_.fit(X, y)
        return self

    def score_samples(self, X):
        with all_streams_seeded(self.random_state):  # DeepOD draws here too
            return -self.rival_.decision_function(X)


@contextmanager
def all_streams_seeded(seed):
    """Seed the global streams of Python, numpy and torch, and restore them after."""
    python, legacy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)


@contextmanager
def one_thread():
    """Let torch compute on one thread, as the networks here are too small for more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def logistic_regression(n_features, seed):
    """Anomalies against the rest, both with the same weight in the loss."""
    return LogisticRegression(C=1e-3, class_weight="balanced", max_iter=1000)


def gradient_boosting(n_features, seed):
    """Anomalies against the rest, both with the same weight in the loss.

    Large leaves and splits that see a part of the features keep it from learning a few
    anomalies by heart.
    """
    return HistGradientBoostingClassifier(
        class_weight="balanced",
        min_samples_leaf=50,
        max_features=0.3,
        random_state=seed,
    )


# PyOD and DeepOD have their own networks by default; these parameters are as ours.
PEER_EPOCHS = 30
PEER_BATCH_SIZE = 128


def pyod_deep_svdd(n_features, seed, epochs=PEER_EPOCHS, **params):
    module = importlib.import_module("pyod.models.deep_svdd")
    return module.DeepSVDD(
        n_features,
        epochs=epochs,
        batch_size=PEER_BATCH_SIZE,
        verbose=0,
        random_state=seed,
        **params,
    )


def deepod_detector(name, n_features, seed, epochs=PEER_EPOCHS, **params):
    module = importlib.import_module("deepod.models.tabular")
    return getattr(module, name)(
        epochs=epochs,
        batch_size=PEER_BATCH_SIZE,
        device="cpu",
        verbose=0,
        random_state=seed,
        **params,
    )


def can_run(make):
    """Whether a rival's package, and all that it needs, is installed."""
    with all_streams_seeded(0):
        try:
            make(2, 0)
        except ImportError:
            return False
    return True


def absent_peers(peers):
    """Names of the peers, of callables by their names, that cannot run; say so."""
    absent = [name for name, make in peers.items() if not can_run(make)]
    if absent:
        print(f"Not installed, so not measured: {', '.join(absent)}.", flush=True)
    return absent
