"""Default encoder for rows of a table."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from sk_hypersphere.modules._autoencoder import AutoEncoder


def dense(sizes: Sequence[int], bias: bool) -> nn.Sequential:
    """Chain linear layers of the given sizes, with a ReLU between each two."""
    layers = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out, bias=bias), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


class MLP(nn.Sequential):
    r"""Multi-layer perceptron, by default shallow and wide.

    .. math::

        f(x) = W_2 \max(0, W_1 x + b_1) + b_2

    with one hidden layer; :math:`W_l` and :math:`b_l` are the weights and biases of
    layer :math:`l`.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample, (n_features,).

    n_components : int
        Size of the embedding p.

    hidden_units : sequence of int, default=(512,)
        Sizes of the hidden layers; empty gives a linear map.

    bias : bool, default=True
        Whether layers have a bias. With a bias the encoder can map every sample to
        the center and so collapse the hypersphere, given enough epochs or weight
        decay; with the default numbers of epochs it scores better on tables.

    Examples
    --------
    >>> import torch
    >>> MLP((3,), 2, hidden_units=(8, 8))(torch.zeros(5, 3)).shape
    torch.Size([5, 2])
    """

    default_n_components = 64
    # Many centers follow the data, and more components keep more of its distances.
    many_centers_n_components = 256

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_components: int,
        *,
        hidden_units: Sequence[int] = (512,),
        bias: bool = True,
    ):
        if len(input_shape) != 1:
            raise ValueError(
                "MLP encodes rows of shape (n_samples, n_features), got samples of "
                f"shape {tuple(input_shape)}. Flatten them, or use ConvNet for images."
            )
        sizes = (*input_shape, *hidden_units, n_components)
        super().__init__(*dense(sizes, bias))
        self.sizes = sizes

    def make_autoencoder(self, noise: float) -> AutoEncoder:
        """Return this encoder with its mirror image as decoder."""
        return AutoEncoder(self, dense(self.sizes[::-1], bias=True), noise=noise)
