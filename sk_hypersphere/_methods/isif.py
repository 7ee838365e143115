"""Invariant and spreading instance features: an embedding of unlabelled samples."""

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from sk_hypersphere._training.schedules import classifier_schedule
from sk_hypersphere.base import _types as t
from sk_hypersphere.base._base import BaseHypersphere, Plan
from sk_hypersphere.base._parameters import store
from sk_hypersphere.losses import ISIFLoss
from sk_hypersphere.modules import (
    AugmentImages,
    AugmentRows,
    TwoViews,
    UnitLength,
)
from sk_hypersphere.modules._augment import own_augment


class ISIFEmbedder(BaseHypersphere):
    r"""Embed unlabelled samples so that what looks alike comes together.

    An encoder :math:`f` gives the embedding :math:`f(x) / \lVert f(x) \rVert`.
    Training compares projections of it,

    .. math::

        z = \frac{g(f(x))}{\lVert g(f(x)) \rVert}

    which should be the same for two random views of a sample, and different for
    different samples: the softmax of :math:`z_i^\top z_j / \tau` recognizes the views
    of a sample among the views of all samples of a batch, by
    :class:`~sk_hypersphere.losses.ISIFLoss`. Samples that the changes of `augment`
    confuse become neighbours: kinds of samples come together, without any labels. With
    ``projection=None``, :math:`g(f) = f`, it is the published method.

    Parameters
    ----------
    augment : callable, "auto" or None, default="auto"
        Makes the views: ``augment(batch)`` returns a changed copy of a float32 tensor,
        (m, n_features) or (m, channels, height, width), of the same shape. It says
        which changes do not matter, so the embedding depends on it most. "auto" is
        :class:`~sk_hypersphere.modules.AugmentImages` for images, which mirrors them,
        and :class:`~sk_hypersphere.modules.AugmentRows` for rows, with their defaults.
        A module is copied, never trained. None changes nothing: samples are only
        spread.

    projection : {"mlp", "linear"} or None, default="mlp"
        The map :math:`g`: a linear map of the positive part of :math:`f(x)`, or of all
        of it, or none. Training removes from the projection the features in which views
        differ; the embedding keeps them, and neighbours score anomalies better.

    temperature : float, default=0.1
        :math:`\tau`, above 0. The lower, the more the nearest of the other samples
        count.

    negative_weight : float, default=1.0
        Weight of the part of the loss that spreads samples, at least 0.

    encoder : nn.Module, class, callable or None, default=None
        Network from a batch of samples to embeddings, (n_samples, n_components). A copy
        of a module is trained, never the module itself; a class or callable is called
        as ``encoder(input_shape, n_components, **encoder_params)``. None is
        :class:`~sk_hypersphere.modules.MLP` for rows and
        :class:`~sk_hypersphere.modules.ConvNet` for images.

    n_components : int or "auto", default=128
        Size of the embedding, for encoders built at fit. "auto" is the default of the
        encoder.

    max_epochs : int or "auto", default="auto"
        Epochs of training. "auto" is 30, or 6 of images, or as many as have 1,000
        batches, but at most 300.

    batch_size : int, default=128
        Largest number of samples in a training batch, at least 2. It has two views of
        each, and a view is recognized among these.

    lr : float or "auto", default="auto"
        Learning rate of Adam. "auto" is 1e-3, and 1e-4 for the last 30 % of the epochs.
        A number is kept throughout, unless a callback changes it.

    weight_decay : float, default=1e-6
        L2 penalty of the weights, at least 0.

    encoder_params : dict, default=None
        Further parameters of the encoder; each is also ``encoder__NAME``.

    net_params : dict, default=None
        Parameters of the skorch net that replace ours; each is also ``net__NAME``.

    callbacks : list of skorch callbacks, default=None
        Called in training. They are copied.

    device : str or torch.device, default="auto"
        Where to compute. "auto" is CUDA where there is one, else the CPU.

    warm_start : bool, default=False
        If True, another `fit` goes on with the encoder and the projection of the last.

    verbose : int, default=0
        1 shows one progress bar for the whole fit, with the loss on it.

    random_state : int, RandomState instance or None, default=None
        Seeds weights, views, order of samples and dropout at fit. An int gives the same
        bits every time, with the same number of torch threads: gradients may be summed
        in that many parts.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The fitted net; ``net_.history`` has the loss of each epoch.

    n_iter_ : int
        Epochs of training.

    diagnostics_ : dict
        "n_trained_parameters", 0 where the encoder has nothing to train;
        "initial_embedding_variance" and "embedding_variance", before and after
        training, in squared units; "collapsed_components", the share of components
        whose variance fell to a millionth.

    input_shape_ : tuple of int
        Shape of one sample.

    n_features_in_ : int
        Number of features; for images, of channels.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where the training data had names.

    See Also
    --------
    SubclusterDetector : Learns sub-clusters that may be found in this embedding.
    sk_hypersphere.confidence.NeighborDistance : Scores embeddings by their neighbours.

    References
    ----------
    .. [1] M. Ye, X. Zhang, P. Yuen and S.-F. Chang. "Unsupervised Embedding Learning
       via Invariant and Spreading Instance Feature". CVPR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_hypersphere import ISIFEmbedder
    >>> X = np.random.default_rng(0).normal(size=(100, 5))
    >>> Z = ISIFEmbedder(n_components=8, random_state=0).fit_transform(X)
    >>> Z.shape, float(np.linalg.norm(Z[0]))
    ((100, 8), 1.0)
    """

    _parameter_constraints: dict = {
        **BaseHypersphere._parameter_constraints,
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "augment": [callable, StrOptions({"auto"}), None],
        "projection": [StrOptions({"mlp", "linear"}), None],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "negative_weight": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        augment: t.Augment | str = "auto",
        *,
        projection: str | None = "mlp",
        temperature: float = 0.1,
        negative_weight: float = 1.0,
        encoder: t.Encoder = None,
        n_components: t.AutoInt = 128,
        max_epochs: t.AutoInt = "auto",
        batch_size: int = 128,
        lr: t.AutoFloat = "auto",
        weight_decay: float = 1e-6,
        encoder_params: t.Params = None,
        net_params: t.Params = None,
        callbacks: t.Callbacks = None,
        device: t.Device = "auto",
        warm_start: bool = False,
        verbose: int = 0,
        random_state: t.Seed = None,
    ) -> None:
        store(locals())

    def _plan(self, encoder, former, X, y, run):
        if len(X) < 2:
            raise ValueError(
                "X must hold two samples at least, to compare them, got "
                f"n_samples={len(X)}. Give more samples."
            )
        return Plan(
            module=TwoViews(encoder, self._make_head(former), self._make_augment(X)),
            loss=ISIFLoss(self.temperature, self.negative_weight),
            schedule=classifier_schedule(X, self.batch_size),
            moves_encoder=True,
        )

    def _make_head(self, former):
        n = self._n_features_out
        layers = {
            "mlp": [nn.ReLU(), nn.Linear(n, n)],
            "linear": [nn.Linear(n, n)],
            None: [],
        }
        head = nn.Sequential(*layers[self.projection], UnitLength())
        # A head that was trained with another projection does not fit.
        goes_on = former is not None and len(former.head) == len(head)
        return former.head if goes_on else head

    def _make_augment(self, X):
        if self.augment is None:
            return nn.Identity()
        default = AugmentRows() if X.ndim == 2 else AugmentImages()
        return own_augment(self._auto("augment", default))
