"""What can go wrong in training, by name, and how it is said."""

import sys
import warnings

# A warning is about the line that called, which is the first outside of these.
OWN_PACKAGES = {"sk_hypersphere", "sklearn", "joblib"}


class CollapseWarning(UserWarning):
    """The encoder maps all training rows to one point, so that all scores are alike."""


class CalibrationWarning(UserWarning):
    """Too few normal samples are held out of training for the promised false alarms."""


class SupervisionWarning(UserWarning):
    """No example anomalies were trained on, where the labels or the loss call for some.

    Labels that do not say which samples are anomalies are not used.
    """


class NonFiniteLossError(ArithmeticError):
    """The loss became infinite or NaN, and training stopped.

    Attributes
    ----------
    net : skorch.NeuralNet
        The net with the weights of the last epoch whose loss was finite.
    """

    def __init__(self, message, net=None):
        super().__init__(message)
        self.net = net


def package_of(frame):
    """The package whose code a frame runs; empty for code without a module."""
    return frame.f_globals.get("__name__", "").partition(".")[0]


def warn_caller(message, category=UserWarning):
    """Warn at the line that called this package, also by way of scikit-learn."""
    frame, level = sys._getframe(1), 2
    while frame and package_of(frame) in OWN_PACKAGES:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
