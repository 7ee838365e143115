"""Warnings and errors of this package."""

import sys
import warnings
from types import FrameType
from typing import Any

# A warning points to the innermost line of code outside of these packages.
OWN_PACKAGES = {"sk_hypersphere", "sklearn", "joblib"}


class CollapseWarning(UserWarning):
    """The encoder maps all training rows to one point, so that all scores are alike."""


class CalibrationWarning(UserWarning):
    """Too few normal samples are held out for the promised false alarm rate."""


class SupervisionWarning(UserWarning):
    """Training used no example anomalies, although the labels or the loss need some.

    Labels that do not say which samples are anomalies are not used.
    """


class NonFiniteLossError(ArithmeticError):
    """The loss became infinite or NaN, and training stopped.

    Attributes
    ----------
    net : skorch.NeuralNet
        The net with the weights of the last epoch whose loss was finite.
    """

    # The type of `net` is Any, because only `_training` may import skorch.
    def __init__(self, message: str, net: Any = None):
        super().__init__(message)
        self.net = net


def package_of(frame: FrameType) -> str:
    """Return the package whose code a frame runs; empty for code without a module."""
    return frame.f_globals.get("__name__", "").partition(".")[0]


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called this package, directly or through scikit-learn."""
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame and package_of(frame) in OWN_PACKAGES:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
