"""The detectors in the tables: rivals, and the papers' recipe."""

import time
from copy import deepcopy
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import MultiStepLR

from sk_hypersphere import DeepSVDD
from sk_hypersphere.modules import MNISTLeNet
from sk_hypersphere.preprocessing import GlobalContrastNormalizer


class NeighborDistance(OutlierMixin, BaseEstimator):
    """Score rows by their mean distance to the nearest training rows."""

    def __init__(self, n_neighbors=5):
        self.n_neighbors = n_neighbors

    def fit(self, X, y=None):
        self.neighbors_ = NearestNeighbors(n_neighbors=self.n_neighbors).fit(X)
        return self

    def score_samples(self, X):
        return -self.neighbors_.kneighbors(X)[0].mean(axis=1)


def as_rows(images):
    """Images as float32 rows, (n, c, h, w) -> (n, c h w)."""
    return images.reshape(len(images), -1).astype(np.float32)


def on_rows(*steps):
    """A pipeline that takes images and hands rows to its other steps."""
    return make_pipeline(FunctionTransformer(as_rows), *steps)


def pca_and_neighbors(n_components, *steps):
    """What a user would try first: principal components and nearest neighbours."""
    pca = PCA(n_components, svd_solver="covariance_eigh")  # draws no random number
    return on_rows(*steps, pca, NeighborDistance())


def mnist_detectors(device, seed):
    """Our defaults and what a user would try first, with the epochs of each."""
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
    here has one that rises to 1e-3 and falls, which needs fewer epochs; what follows
    has theirs.

    Attributes
    ----------
    seconds : float
        What it took.
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
                **self.params,
                **params,
            ),
        )


def seconds_of(function, *args, **kwargs):
    start = time.perf_counter()
    function(*args, **kwargs)
    return time.perf_counter() - start


def auroc(task, scores):
    """Area under the ROC curve in percent; scores are the higher the more normal."""
    return 100 * roc_auc_score(task.is_normal, scores)
