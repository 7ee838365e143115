"""What is minimised: functions of squared distances to the centers and labels.

A loss is called as ``loss(sq_distances, y)`` with the squared distances of a batch to
every center, (n, k), and one integer label a row, (n,); it returns a scalar.
"""

from sk_hypersphere.losses._deep_svdd import OneClassLoss, SoftBoundaryLoss
from sk_hypersphere.losses._reconstruction import ReconstructionLoss

__all__ = ["OneClassLoss", "ReconstructionLoss", "SoftBoundaryLoss"]
