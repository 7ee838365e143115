"""Heads that map embeddings to squared distances to centers."""

import torch
from torch import Tensor, nn
from torch.nn import functional

# A row at the center is shifted by this much in each component, times the size of the
# center's component if that is above 1. The shift is far below all distances that
# matter, but so large that the gradient of a loss with a pole at the center does not
# dominate all others.
SHIFT = 1e-4


def squared_distances(
    z: Tensor, centers: Tensor, *, dtype: torch.dtype | None = None
) -> Tensor:
    r"""Compute squared Euclidean distances between embeddings and centers.

    .. math::

        d_{ik} = \lVert z_i - c_k \rVert^2
               = \lVert z_i \rVert^2 + \lVert c_k \rVert^2 - 2 z_i^\top c_k

    after embeddings :math:`z_i` and centers :math:`c_k` are shifted so that the centers
    have mean 0. The shift changes no distance, but keeps the digits that the expanded
    form would lose far from the origin. For a single center the differences are squared
    directly. No array of shape (n, k, p) is made.

    Parameters
    ----------
    z : Tensor of shape (n, p)
        Embeddings.

    centers : Tensor of shape (k, p)
        Centers.

    dtype : torch.dtype, default=None
        Type of the result and of the expanded form; None means the type of `z`.

    Returns
    -------
    Tensor of shape (n, k)
        Squared distances in squared units of the embedding, at least 0.

    Examples
    --------
    >>> squared_distances(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2))
    tensor([[25.]])
    """
    dtype = dtype or z.dtype
    if centers.shape[-2] == 1:
        # No digits cancel here, so the type of z is accurate enough, and faster.
        # mse_loss is faster too, because it subtracts and squares at once.
        squares = functional.mse_loss(z, centers.expand_as(z), reduction="none")
        return squares.sum(dim=-1, keepdim=True).to(dtype)  # (n, p) -> (n, 1)
    z, centers = z.to(dtype), centers.to(dtype)
    origin = centers.detach().mean(dim=-2, keepdim=True)  # (1, p)
    z, centers = z - origin, centers - origin
    of_centers = centers.square().sum(dim=-1).unsqueeze(-2)  # (1, k)
    sq_norms = z.square().sum(dim=-1, keepdim=True) + of_centers  # (n, k)
    return (sq_norms - 2 * z @ centers.mT).clamp(min=0)  # (n, k)


class Centers(nn.Module):
    """Centers of hyperspheres: a head that maps embeddings to squared distances.

    In evaluation mode distances are float64, and distances to several centers are
    computed in float64, so that scores keep their last digits.

    Parameters
    ----------
    centers : Tensor of shape (k, p)
        The centers, or their start if they are learnable.

    learnable : bool, default=False
        If True the centers are a parameter, moved by the optimizer; otherwise a
        buffer, which does not change.

    Attributes
    ----------
    centers : Tensor of shape (k, p)
        The centers.

    sq_radii : Tensor of shape (k,)
        Squared radii of the spheres around them, a buffer that starts at 0.

    Examples
    --------
    >>> head = Centers(torch.tensor([[0.0, 0.0], [2.0, 0.0]]))
    >>> head(torch.tensor([[1.0, 1.0]]))
    tensor([[2., 2.]])
    """

    stacks = True
    centers: Tensor
    sq_radii: Tensor

    def __init__(self, centers: Tensor, *, learnable: bool = False):
        super().__init__()
        if learnable:
            self.centers = nn.Parameter(centers)
        else:
            self.register_buffer("centers", centers)
        self.register_buffer("sq_radii", centers.new_zeros(len(centers)))

    @property
    def n_outputs(self) -> int:
        """Number of centers k."""
        return len(self.centers)

    def forward(self, z: Tensor) -> Tensor:
        dtype = None if self.training else torch.float64
        return squared_distances(z, self.centers, dtype=dtype)

    def depths(self, z: Tensor) -> Tensor:
        r"""Compute how deep embeddings are inside the spheres.

        .. math:: \max_k \bigl( R_k^2 - \lVert z_i - c_k \rVert^2 \bigr)

        for embeddings :math:`z_i`, centers :math:`c_k` and radii :math:`R_k`.

        Parameters
        ----------
        z : Tensor of shape (n, p)
            Embeddings.

        Returns
        -------
        Tensor of shape (n,), float64
            Depths in squared units of the embedding; below 0 outside all spheres.

        Examples
        --------
        >>> head = Centers(torch.tensor([[0.0, 0.0], [2.0, 0.0]]))
        >>> head.eval().depths(torch.tensor([[0.0, 1.0]]))
        tensor([-1.], dtype=torch.float64)
        """
        if len(self.centers) > 1:
            return (self.sq_radii - self(z)).amax(dim=1)  # (n, k) -> (n,)
        squares = (z - self.centers).square_()  # (n, p)
        # A product with ones is faster than a sum over few components.
        sq_distances = squares @ squares.new_ones(squares.shape[1])  # (n,)
        return self.sq_radii.double() - sq_distances


class Center(Centers):
    """A single center that rows can be pushed away from, even from the center itself.

    At the center the gradient of a squared distance is 0. In training, a row that is
    exactly at the center is therefore shifted slightly in the direction of all ones.

    Parameters
    ----------
    center : Tensor of shape (p,)
        The center, which does not change.

    Attributes
    ----------
    centers : Tensor of shape (1, p)
        The center, a buffer.

    sq_radii : Tensor of shape (1,)
        Squared radius of the sphere around it, a buffer that starts at 0.

    Examples
    --------
    >>> z = torch.zeros(1, 2, requires_grad=True)
    >>> Center(torch.zeros(2))(z).sum().backward()
    >>> bool((z.grad > 0).all())
    True
    """

    def __init__(self, center: Tensor):
        super().__init__(center[None])

    def forward(self, z: Tensor) -> Tensor:
        if self.training:
            at_center = (z == self.centers).all(dim=-1, keepdim=True)  # (n, 1)
            shift = SHIFT * self.centers.abs().clamp(min=1)  # (1, p)
            z = torch.where(at_center, z + shift, z)
        return super().forward(z)


class OriginAndOnes(Centers):
    r"""Two fixed centers, the origin and the vector of ones: squared distances to both.

    .. math:: \bigl[\lVert z_i \rVert^2, \lVert z_i - \mathbf{1} \rVert^2\bigr]

    for embeddings :math:`z_i`. Differences are squared directly, so that no digits
    cancel.

    Parameters
    ----------
    n_components : int
        Size of the embedding p.

    Attributes
    ----------
    centers : Tensor of shape (2, p)
        The centers, a buffer.

    sq_radii : Tensor of shape (2,)
        Squared radii of the spheres around them, a buffer that starts at 0.

    Examples
    --------
    >>> OriginAndOnes(2)(torch.tensor([[3.0, 1.0]]))
    tensor([[10.,  4.]])
    """

    def __init__(self, n_components: int):
        super().__init__(
            torch.stack([torch.zeros(n_components), torch.ones(n_components)])
        )

    def forward(self, z: Tensor) -> Tensor:
        if not self.training:
            z = z.double()
        to_origin, to_ones = z.square().sum(dim=-1), (z - 1).square().sum(dim=-1)
        return torch.stack([to_origin, to_ones], dim=-1)  # (n, 2)


class CentersAndLogits(Centers):
    r"""Learned centers and a linear classifier: squared distances, then logits.

    .. math::

        \bigl[\lVert z_i - c_k \rVert^2\bigr]_k, \qquad
        \bigl[w_k^\top z_i + b_k\bigr]_k

    for embeddings :math:`z_i`, centers :math:`c_k`, and weights :math:`w_k` and biases
    :math:`b_k`. The classifier starts with :math:`w_k = 2 c_k` and
    :math:`b_k = -\lVert c_k \rVert^2`, so that the nearest center has the largest logit
    at the start.

    Parameters
    ----------
    centers : Tensor of shape (k, p)
        Start of the centers.

    Attributes
    ----------
    centers : Tensor of shape (k, p)
        The centers, a parameter.

    sq_radii : Tensor of shape (k,)
        Squared radii of the spheres around them, a buffer that starts at 0.

    classifier : nn.Linear
        Maps embeddings to logits.

    Examples
    --------
    >>> head = CentersAndLogits(torch.tensor([[0.0, 0.0], [2.0, 0.0]]))
    >>> head(torch.tensor([[1.0, 1.0]])).shape
    torch.Size([1, 4])
    """

    def __init__(self, centers: Tensor):
        super().__init__(centers, learnable=True)
        n_centers, n_components = centers.shape
        self.classifier = nn.Linear(n_components, n_centers)
        with torch.no_grad():
            self.classifier.weight.copy_(2 * centers)
            self.classifier.bias.copy_(-centers.square().sum(dim=1))

    @property
    def n_outputs(self) -> int:
        """Number of distances and logits, 2 k."""
        return 2 * len(self.centers)

    def forward(self, z: Tensor) -> Tensor:
        return torch.cat([super().forward(z), self.classifier(z)], dim=-1)  # (n, 2 k)
