"""Losses that training minimizes: functions of distances to centers, and labels.

This folder may import only torch.

A loss is called as ``loss(sq_distances, y)`` with the squared distances of a batch to
every center, (n, k), and one integer label per row, (n,); it returns a scalar. Labels
are clusters or classes in 0..k-1; labels below 0 mark example anomalies, in losses that
have a term for them. A loss whose input is not distances says so in its docstring. A
loss with ``stacks = True`` also takes the stacked batches of m members, (m, n, k) and
(m, n), and returns one loss per member, (m,), because its code counts axes from the
end.
"""

from sk_hypersphere.losses._cac import CACLoss
from sk_hypersphere.losses._center import CenterLoss
from sk_hypersphere.losses._cross_entropy import CrossEntropyLoss
from sk_hypersphere.losses._deep_sad import DeepSADLoss
from sk_hypersphere.losses._deep_svdd import OneClassLoss, SoftBoundaryLoss
from sk_hypersphere.losses._eidn import EIDNLoss
from sk_hypersphere.losses._hsc import FocalLoss, HSCLoss
from sk_hypersphere.losses._ii import IILoss
from sk_hypersphere.losses._isif import ISIFLoss
from sk_hypersphere.losses._mchad import MCHADLoss
from sk_hypersphere.losses._reconstruction import ReconstructionLoss

__all__ = [
    "CACLoss",
    "CenterLoss",
    "CrossEntropyLoss",
    "DeepSADLoss",
    "EIDNLoss",
    "FocalLoss",
    "HSCLoss",
    "IILoss",
    "ISIFLoss",
    "MCHADLoss",
    "OneClassLoss",
    "ReconstructionLoss",
    "SoftBoundaryLoss",
]
