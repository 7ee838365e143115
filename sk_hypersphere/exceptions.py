"""What can go wrong in training, by name."""


class CollapseWarning(UserWarning):
    """The encoder maps all training rows to one point, so that all scores are alike."""


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
