"""A method of your own: Deep SVDD whose loss grows like the distance far out."""

import torch

from sk_hypersphere.base import BaseHypersphereDetector, Plan, Schedule, store
from sk_hypersphere.modules import Centers, Hypersphere


class PseudoHuberLoss(torch.nn.Module):
    def forward(self, sq_distances, y):
        return ((sq_distances + 1).sqrt() - 1).mean()


class RobustSVDD(BaseHypersphereDetector):
    r"""Map samples near the vector of ones; distant samples pull with limited force.

    .. math:: s(x) = -\lVert f(x) - \mathbf{1} \rVert^2

    Parameters
    ----------
    encoder, encoder_params, net_params, callbacks, random_state : object, default=None
    n_components, max_epochs, lr, contamination, device : object, default="auto"
    warm_start : bool, default=False
    verbose : int, default=0
    batch_size : int, default=128
        See :class:`~sk_hypersphere.DeepSVDD`.

    Attributes
    ----------
    net_, n_iter_, diagnostics_, offset_, calibration_indices_ : object
    calibration_scores_, input_shape_, n_features_in_, feature_names_in_ : object
        See :class:`~sk_hypersphere.DeepSVDD`.
    """

    def __init__(
        self,
        *,
        encoder=None,
        encoder_params=None,
        net_params=None,
        callbacks=None,
        random_state=None,
        n_components="auto",
        max_epochs="auto",
        lr="auto",
        contamination="auto",
        device="auto",
        warm_start=False,
        verbose=0,
        batch_size=128,
    ):
        store(locals())

    def _plan(self, encoder, former, X, y, run):
        head = Centers(torch.ones(1, self._n_features_out))
        module = former or Hypersphere(encoder, head)
        return Plan(module, PseudoHuberLoss(), Schedule(30, 1e-3), moves_encoder=True)

    def _score(self, output):
        return -output.squeeze(1)
