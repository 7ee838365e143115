"""Networks: encoders map samples to embeddings, heads map embeddings to outputs.

This folder may import only torch.
"""

from sk_hypersphere.modules._augment import AugmentImages, AugmentRows
from sk_hypersphere.modules._augmented import Augmented
from sk_hypersphere.modules._autoencoder import AutoEncoder
from sk_hypersphere.modules._centers import (
    Center,
    Centers,
    CentersAndLogits,
    OriginAndOnes,
    squared_distances,
)
from sk_hypersphere.modules._contrast import ContrastNorm
from sk_hypersphere.modules._conv import ConvNet
from sk_hypersphere.modules._dropout_conv import DropoutConvNet
from sk_hypersphere.modules._hypersphere import Hypersphere
from sk_hypersphere.modules._lenet import CIFARLeNet, MNISTLeNet
from sk_hypersphere.modules._mlp import MLP
from sk_hypersphere.modules._two_views import TwoViews
from sk_hypersphere.modules._unit_length import UnitLength
from sk_hypersphere.modules._unit_variance import UnitVariance
from sk_hypersphere.modules._wide_resnet import WideResNet

__all__ = [
    "AugmentImages",
    "AugmentRows",
    "Augmented",
    "AutoEncoder",
    "CIFARLeNet",
    "Center",
    "Centers",
    "CentersAndLogits",
    "ContrastNorm",
    "ConvNet",
    "DropoutConvNet",
    "Hypersphere",
    "MLP",
    "MNISTLeNet",
    "OriginAndOnes",
    "TwoViews",
    "UnitLength",
    "UnitVariance",
    "WideResNet",
    "squared_distances",
]
