"""Losses that training minimizes: functions of distances to centers, and labels.

They may import torch alone.

A loss is called as ``loss(sq_distances, y)`` with the squared distances of a batch to
every center, (n, k), and one integer label a row, (n,); it returns a scalar. Labels are
clusters or classes in 0..k-1; those below 0 are example anomalies, for losses that have
a term for them. A loss that takes something else than distances says so. A loss with
``stacks = True`` also takes a batch of each of several members, (m, n, k) and (m, n),
and returns the loss of each, (m,): its code counts axes from the end.
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
