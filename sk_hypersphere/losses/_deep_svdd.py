"""Losses of Deep SVDD, with one sphere or many."""

import torch
from torch import Tensor, nn

from sk_hypersphere.losses._terms import to_own_center


class OneClassLoss(nn.Module):
    r"""Pull every row to the center of its cluster.

    .. math::

        \mathcal{L} = \frac{1}{n} \sum_{i=1}^{n} \lVert f(x_i) - c_{y_i} \rVert^2

    where :math:`n` is the number of rows in the batch, :math:`f` the encoder,
    :math:`y_i` the cluster of row :math:`i` and :math:`c_k` the center of cluster
    :math:`k`. One cluster gives the objective of One-Class Deep SVDD [1]_; its weight
    decay belongs to the optimizer.

    References
    ----------
    .. [1] L. Ruff et al. "Deep One-Class Classification". ICML 2018.

    Examples
    --------
    >>> import torch
    >>> sq_distances = torch.tensor([[1.0, 9.0], [4.0, 2.0]])
    >>> OneClassLoss()(sq_distances, torch.tensor([0, 1])).item()
    1.5
    """

    stacks = True

    def forward(self, sq_distances: Tensor, y: Tensor) -> Tensor:
        if sq_distances.shape[-1] == 1:
            # A plain mean needs one operation less in the backward pass.
            return sq_distances.mean(dim=(-2, -1))
        return to_own_center(sq_distances, y).mean(dim=-1)


class SoftBoundaryLoss(nn.Module):
    r"""Penalize the volume of the spheres, and rows outside their own sphere.

    .. math::

        \mathcal{L} = \frac{1}{K} \sum_{k=1}^{K} \Bigl[ R_k^2 + \frac{1}{\nu\, n_k}
        \sum_{i:\, y_i = k} \max\bigl(0, \lVert f(x_i) - c_k \rVert^2 - R_k^2\bigr)
        \Bigr]

    where :math:`K` is the number of clusters present in the batch, :math:`n_k` the
    number of its rows in cluster :math:`k`, :math:`y_i` the cluster of row :math:`i`,
    :math:`f` the encoder, :math:`c_k` and :math:`R_k` the center and the radius of
    cluster :math:`k`, and :math:`1 / \nu` the weight of rows outside. All clusters have
    the same weight, whatever their size. One cluster gives the soft boundary of [1]_;
    several give the loss of [2]_, as in its pseudo-code.

    The radii are not learned by gradient: for fixed distances the best
    :math:`R_k^2` is their :math:`(1 - \nu)` quantile, which the training loop writes
    into `sq_radii` between epochs. With radii of 0 the loss is the mean squared
    distance divided by :math:`\nu`.

    Parameters
    ----------
    n_centers : int, default=1
        Number of clusters k.

    nu : float, default=0.1
        Upper bound of the fraction of rows outside their sphere, in (0, 1].

    Attributes
    ----------
    sq_radii : Tensor of shape (k,)
        Squared radii, a buffer that starts at 0.

    References
    ----------
    .. [1] L. Ruff et al. "Deep One-Class Classification". ICML 2018.
    .. [2] S. Trivedi and S. Thirimanne. "Multi Radius Deep One-Class Classification".
       York University, 2022.

    Examples
    --------
    >>> import torch
    >>> loss = SoftBoundaryLoss(nu=0.5)
    >>> loss.sq_radii.fill_(1.0)
    tensor([1.])
    >>> loss(torch.tensor([[0.5], [3.0]]), torch.tensor([0, 0])).item()
    3.0
    """

    sq_radii: Tensor

    def __init__(self, n_centers: int = 1, nu: float = 0.1):
        super().__init__()
        self.nu = nu
        self.register_buffer("sq_radii", torch.zeros(n_centers))

    def forward(self, sq_distances: Tensor, y: Tensor) -> Tensor:
        excess = to_own_center(sq_distances, y) - self.sq_radii[y]  # (n,)
        # Unlike index_add, bincount and boolean indices would wait for a CUDA device.
        counts = y.new_zeros(len(self.sq_radii)).index_add(0, y, torch.ones_like(y))
        present = counts > 0
        outside = (excess.clamp(min=0) / counts[y]).sum() / self.nu
        return (self.sq_radii.where(present, 0).sum() + outside) / present.sum()
