"""Losses that separate normal rows from anomalies by a distance or a logit."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

# Smaller evidence is raised to this value, so that its logarithm and gradient stay
# within float32.
LEAST_EVIDENCE = 1e-7


def pseudo_huber(sq_distances: Tensor) -> Tensor:
    r"""Return about half the squared distance near the center, the distance far away.

    .. math:: h(d^2) = \sqrt{d^2 + 1} - 1 = \frac{d^2}{\sqrt{d^2 + 1} + 1}

    The second form is computed, because it keeps the digits of small distances.
    """
    return sq_distances / ((sq_distances + 1).sqrt() + 1)


def squared(sq_distances: Tensor) -> Tensor:
    """Return the squared distance itself."""
    return sq_distances


RADIAL_FUNCTIONS = {"pseudo-huber": pseudo_huber, "squared": squared}


def log_1m_exp(q: Tensor) -> Tensor:
    r"""Compute the logarithm of :math:`1 - e^{-q}`, accurate for small and large q.

    Below `LEAST_EVIDENCE`, value and slope are those at `LEAST_EVIDENCE`. The slope,
    about :math:`1 / q`, must neither overflow nor vanish at 0, where anomalies are
    pushed away.
    """
    q = q + (LEAST_EVIDENCE - q.detach()).clamp(min=0)
    # The branch that `where` drops must be finite too, because it enters the gradient.
    small = (-torch.expm1(-q.clamp(max=math.log(2)))).log()
    large = (-(-q.clamp(min=math.log(2))).exp()).log1p()
    return torch.where(q < math.log(2), small, large)


class HSCLoss(nn.Module):
    r"""Cross-entropy of a probability that falls with the distance to the center.

    .. math::

        \mathcal{L} = \frac{1}{n} \Bigl[ \sum_{i:\, y_i \ge 0} q_i
        - \sum_{i:\, y_i < 0} \log\bigl(1 - e^{-q_i}\bigr) \Bigr],
        \qquad q_i = h\bigl(\lVert f(x_i) - c \rVert^2\bigr)

    where :math:`n` is the number of rows in the batch, :math:`f` the encoder, :math:`c`
    the center, :math:`h` the radial function, and :math:`y_i < 0` marks example
    anomalies. :math:`e^{-q}` is the probability that a row is normal, and :math:`q` the
    evidence that it is not.

    Parameters
    ----------
    radial : {"pseudo-huber", "squared"}, default="pseudo-huber"
        The function :math:`h`: "pseudo-huber" is :math:`\sqrt{d^2 + 1} - 1`, with which
        far rows do not dominate the loss; "squared" is :math:`d^2`.

    Attributes
    ----------
    boundary : float
        Evidence at which both probabilities are one half, :math:`\log 2`.

    References
    ----------
    .. [1] L. Ruff et al. "Rethinking Assumptions in Deep Anomaly Detection". 2020.

    Examples
    --------
    >>> import math
    >>> import torch
    >>> loss = HSCLoss("squared")
    >>> sq_distances = torch.tensor([[0.5], [math.log(2)]])
    >>> loss(sq_distances, torch.tensor([0, -1])).item()  # mean of 0.5 and log 2
    0.596...
    """

    stacks = True

    boundary = math.log(2)

    def __init__(self, radial: str = "pseudo-huber"):
        super().__init__()
        if radial not in RADIAL_FUNCTIONS:
            raise ValueError(
                f"radial must be one of {', '.join(RADIAL_FUNCTIONS)}, got {radial!r}."
            )
        self.radial = radial

    def evidence(self, sq_distances: Tensor) -> Tensor:
        """Compute how abnormal rows are, (n, 1) -> (n,); at least 0."""
        return RADIAL_FUNCTIONS[self.radial](sq_distances.squeeze(-1))

    def forward(self, sq_distances: Tensor, y: Tensor) -> Tensor:
        q = self.evidence(sq_distances)  # (n,)
        return torch.where(y < 0, -log_1m_exp(q), q).mean(dim=-1)


class FocalLoss(nn.Module):
    r"""Cross-entropy of a logit in which well classified rows count less.

    .. math::

        \mathcal{L} = -\frac{1}{n} \sum_{i=1}^{n} (1 - p_i)^\gamma \log p_i,
        \qquad p_i = \begin{cases}
        \sigma(-a_i) & y_i \ge 0 \\ \sigma(a_i) & y_i < 0 \end{cases}

    where :math:`n` is the number of rows in the batch, :math:`a_i` the logit of row
    :math:`i` being an anomaly, :math:`\sigma` the logistic function, and
    :math:`y_i < 0` marks example anomalies. It takes logits, (n, 1), instead of
    distances, and is plain binary cross-entropy if :math:`\gamma` is 0.

    Parameters
    ----------
    gamma : float, default=2.0
        Exponent :math:`\gamma`, at least 0. The larger it is, the less well classified
        rows count.

    Attributes
    ----------
    boundary : float
        Logit at which both probabilities are one half, 0.

    References
    ----------
    .. [1] T.-Y. Lin et al. "Focal Loss for Dense Object Detection". ICCV 2017.

    Examples
    --------
    >>> import torch
    >>> logits = torch.zeros(2, 1)
    >>> FocalLoss(gamma=1.0)(logits, torch.tensor([0, -1])).item()  # log(2) / 2
    0.346...
    """

    stacks = True

    boundary = 0.0

    def __init__(self, gamma: float = 2.0):
        super().__init__()
        self.gamma = gamma

    def evidence(self, logits: Tensor) -> Tensor:
        """Compute how abnormal rows are, (n, 1) -> (n,)."""
        return logits.squeeze(-1)

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        a = self.evidence(logits)  # (n,)
        correct = torch.where(y < 0, a, -a)  # logit of the correct answer
        # The power of 1 - p comes from log(1 - p), so it has a slope if p rounds to 1.
        weights = (self.gamma * functional.logsigmoid(-correct)).exp()
        return -(weights * functional.logsigmoid(correct)).mean(dim=-1)
