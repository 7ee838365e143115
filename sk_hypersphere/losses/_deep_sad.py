"""Loss of deep semi-supervised anomaly detection."""

import torch
from torch import Tensor, nn


class DeepSADLoss(nn.Module):
    r"""Pull rows to the center and push known anomalies away from it.

    .. math::

        \mathcal{L} = \frac{1}{n} \Bigl[ \sum_{i:\, y_i = 0} d_i^2
        + \eta \sum_{i:\, y_i > 0} (d_i^2 + \epsilon)
        + \eta \sum_{i:\, y_i < 0} \frac{1}{d_i^2 + \epsilon} \Bigr]

    where :math:`n` is the number of rows in the batch and
    :math:`d_i^2 = \lVert f(x_i) - c \rVert^2` the squared distance of row :math:`i`,
    embedded by the encoder :math:`f`, to the center :math:`c`. Its label :math:`y_i` is
    0 for unlabelled rows, above 0 for known normal rows, and below 0 for known
    anomalies.

    Parameters
    ----------
    eta : float, default=1.0
        Weight :math:`\eta` of a labelled row, relative to an unlabelled row.

    epsilon : float, default=1e-6
        The number :math:`\epsilon` that is added to squared distances, above 0. An
        anomaly at the center costs :math:`\eta / \epsilon`.

    References
    ----------
    .. [1] L. Ruff et al. "Deep Semi-Supervised Anomaly Detection". ICLR 2020.

    Examples
    --------
    >>> import torch
    >>> sq_distances = torch.tensor([[1.0], [4.0], [0.25]])
    >>> DeepSADLoss()(sq_distances, torch.tensor([0, 1, -1])).item()
    3.0
    """

    stacks = True

    def __init__(self, eta: float = 1.0, epsilon: float = 1e-6):
        super().__init__()
        self.eta = eta
        self.epsilon = epsilon

    def forward(self, sq_distances: Tensor, y: Tensor) -> Tensor:
        sq_distances = sq_distances.squeeze(-1)  # (n, 1) -> (n,)
        raised = sq_distances + self.epsilon
        labelled = self.eta * torch.where(y > 0, raised, 1 / raised)
        return torch.where(y == 0, sq_distances, labelled).mean(dim=-1)
