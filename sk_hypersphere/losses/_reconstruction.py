"""Loss of the autoencoder that pre-trains an encoder."""

from torch import Tensor, nn


class ReconstructionLoss(nn.Module):
    r"""Reconstruct the input from a small code.

    .. math::

        \mathcal{L} = \frac{1}{n} \sum_{i=1}^{n} \Bigl[
        \lVert \hat{x}_i - x_i \rVert^2 + \beta \lVert z_i \rVert^2 \Bigr]

    where :math:`n` is the number of rows in the batch, :math:`x_i` an input,
    :math:`\hat{x}_i` its reconstruction, :math:`z_i` its code and :math:`\beta` the
    penalty of a large code. The penalty is needed if noise of fixed size is added to
    the code: without it the code would grow until the noise no longer matters. With
    unit noise the loss is, up to constants, the evidence bound of a variational
    autoencoder of fixed variance.

    Parameters
    ----------
    code_penalty : float, default=0.0
        The penalty :math:`\beta`, at least 0.

    Examples
    --------
    >>> import torch
    >>> residual, code = torch.tensor([[1.0, 1.0]]), torch.tensor([[2.0]])
    >>> ReconstructionLoss(code_penalty=0.5)((residual, code)).item()
    4.0
    """

    def __init__(self, code_penalty: float = 0.0):
        super().__init__()
        self.code_penalty = code_penalty

    def forward(self, output: tuple[Tensor, Tensor], y: Tensor | None = None) -> Tensor:
        residual, code = output
        error = residual.flatten(1).square().sum(dim=1)  # (n, ...) -> (n,)
        return (error + self.code_penalty * code.square().sum(dim=1)).mean()
