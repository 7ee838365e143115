"""What can go wrong in training, by name."""


class CollapseWarning(UserWarning):
    """The encoder maps all training rows to one point, so that all scores are alike."""


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
