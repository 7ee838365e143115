"""Cross-entropy of one member, or of several members at once."""

import torch
from torch import Tensor, nn


class CrossEntropyLoss(nn.Module):
    r"""Mean cross-entropy of logits, with smoothed labels.

    .. math::

        \mathcal{L} = -\frac{1}{n} \sum_{i=1}^{n} \sum_k q_{ik} \log
        \frac{e^{a_{ik}}}{\sum_j e^{a_{ij}}}, \qquad
        q_{ik} = (1 - \epsilon) [y_i = k] + \frac{\epsilon}{K}

    where :math:`a_{ik}` is the logit of row :math:`i` for class :math:`k` of
    :math:`K`, :math:`y_i` its class and :math:`\epsilon` the label smoothing.

    It is called as ``loss(logits, y)`` with logits, (n, K), and classes in 0..K-1.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        :math:`\epsilon`, in [0, 1].

    Examples
    --------
    >>> import torch
    >>> CrossEntropyLoss()(torch.zeros(3, 2), torch.tensor([0, 1, 1]))
    tensor(0.6931)
    """

    stacks = True

    def __init__(self, label_smoothing: float = 0.0):
        super().__init__()
        self.loss = nn.CrossEntropyLoss(label_smoothing=label_smoothing)

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        if logits.ndim == 2:
            return self.loss(logits, y)
        pairs = zip(logits, y, strict=True)  # one pair per member
        return torch.stack([self.loss(*pair) for pair in pairs])
