"""What is trained: encoders from samples to embeddings, and heads upon them."""

from sk_hypersphere.modules._autoencoder import AutoEncoder
from sk_hypersphere.modules._centers import Centers, squared_distances
from sk_hypersphere.modules._contrast import ContrastNorm
from sk_hypersphere.modules._conv import ConvNet
from sk_hypersphere.modules._hypersphere import Hypersphere
from sk_hypersphere.modules._lenet import CIFARLeNet, MNISTLeNet
from sk_hypersphere.modules._mlp import MLP

__all__ = [
    "AutoEncoder",
    "CIFARLeNet",
    "Centers",
    "ContrastNorm",
    "ConvNet",
    "Hypersphere",
    "MLP",
    "MNISTLeNet",
    "squared_distances",
]
