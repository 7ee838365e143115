"""Faults of documentation are named together with their repair."""

import pytest
from sklearn.base import BaseEstimator

from sk_hypersphere.testing._documentation import (
    attribute_faults,
    default_faults,
    fail_for,
    is_default,
    method_faults,
    parameter_faults,
)


class Right(BaseEstimator):
    """A detector whose documentation is complete.

    Parameters
    ----------
    alpha : float
        It has no default.

    beta, gamma : float, default=2.0
        They share an entry.

    kind : "a" or \
            "b", default="a"
        Its type goes over two lines.

    key : callable, default=len
        It has a name.

    **params : dict
        Whatever is left.

    Attributes
    ----------
    offset_ : float
        The threshold.

    See Also
    --------
    sorted : It has a docstring too.
    """

    def __init__(self, alpha, beta=2.0, gamma=2.0, kind="a", key=len, **params):
        pass

    def fit(self, X, y=None):
        """Fit.

        Parameters
        ----------
        X : array
            Samples.

        y : array, default=None
            Labels.
        """
        self.offset_ = 0.5
        return self

    def close(self):
        """Take no parameters."""

    def _hidden(self, x):
        return x


class NoDocstring(BaseEstimator):
    def __init__(self, beta=1.0):
        self.beta = beta


class NoDocstringNorParameters(BaseEstimator):
    def predict(self, X):
        return X


class NoSections(BaseEstimator):
    """A detector."""

    def __init__(self, beta, gamma=2.0, kind="a", encoder=None):
        self.beta = beta

    def fit(self, X, y=None):
        """Fit."""
        self.offset_ = 0.5
        self._hidden_ = None
        return self

    def predict(self, X):
        return X

    def score_samples(self, X):
        """Score.

        Parameters
        ----------
        x : array
            Samples.
        """


class Forgets(BaseEstimator):
    """A detector.

    Parameters
    ----------
    beta : float, default=1.0
        Weight.

    radius : float, default=3.0
        Size.

    former : float, default=9.0
        It has been taken out.

    Attributes
    ----------
    offset_ : float
        The threshold.

    labels_
        It has no type.
    """

    def __init__(self, beta=1.0, gamma=2.0, radius=3.0, encoder=None):
        pass

    def fit(self, X, y=None):
        self.offset_, self.labels_, self.n_iter_ = 0.5, [1], 3
        return self


class Disordered(BaseEstimator):
    """A detector.

    Parameters
    ----------
    alpha, gamma, beta : float
        Weights.
    """

    def __init__(self, alpha, beta, gamma):
        pass


class WrongDefaults(BaseEstimator):
    """A detector.

    Parameters
    ----------
    alpha : float, default=1.0
        It has none.

    beta : float
        It has one.

    gamma : float or None, default=1.0
        It has another.

    lr : float, default=5e-5
        It is right.

    key : callable, default=max
        It has another name.
    """

    def __init__(self, alpha, beta=2.0, gamma=2.0, lr=5e-5, key=min):
        pass


def test_there_is_no_fault_where_all_is_documented():
    assert parameter_faults(Right) == []
    assert default_faults(Right) == []
    assert method_faults(Right) == []
    assert attribute_faults(Right.fit(Right.__new__(Right), None)) == []


@pytest.mark.parametrize(
    ("kind", "faults"),
    [
        (
            NoDocstring,
            [
                "NoDocstring has no docstring: write one that says in its first line "
                "what it is or does; below, write 'Parameters' underlined by dashes, "
                "with an entry for each of: `beta : float, default=1.0`"
            ],
        ),
        (
            NoDocstringNorParameters,
            [
                "NoDocstringNorParameters has no docstring: write one that says in its "
                "first line what it is or does"
            ],
        ),
        (
            NoSections,
            [
                "NoSections: the docstring has no section Parameters; write "
                "'Parameters' underlined by dashes, with an entry for each of: "
                '`beta : TYPE`, `gamma : float, default=2.0`, `kind : str, default="a"`'
                ", `encoder : TYPE, default=None`"
            ],
        ),
        (
            Forgets,
            [
                "the parameter gamma of Forgets is not documented: add `gamma : float, "
                "default=2.0` between `beta` and `radius`",
                "the parameter encoder of Forgets is not documented: add `encoder : "
                "TYPE, default=None` behind `radius`",
                "Forgets: the docstring has an entry for former, which is no "
                "parameter: leave it out, or add the parameter to the signature",
            ],
        ),
        (
            Disordered,
            [
                "Disordered: the docstring should have its parameters in the order of "
                "the signature: write `beta` before `gamma`"
            ],
        ),
    ],
)
def test_a_parameter_that_is_not_documented_is_named_with_its_entry(kind, faults):
    assert parameter_faults(kind) == faults


def test_wrong_defaults_are_named_with_the_right_entry():
    wrong = "and is documented with"
    assert default_faults(WrongDefaults) == [
        f"the parameter alpha of WrongDefaults has no default, {wrong} default=1.0: "
        "write `alpha : float`",
        f"the parameter beta of WrongDefaults has the default 2.0, {wrong} no default: "
        "write `beta : float, default=2.0`",
        f"the parameter gamma of WrongDefaults has the default 2.0, {wrong} "
        "default=1.0: write `gamma : float or None, default=2.0`",
        f"the parameter key of WrongDefaults has the default min, {wrong} default=max: "
        "write `key : callable, default=min`",
    ]


@pytest.mark.parametrize("kind", [NoDocstring, NoSections])
def test_defaults_are_no_matter_where_no_parameter_is_documented(kind):
    assert default_faults(kind) == []


def test_methods_are_named_with_their_class():
    assert method_faults(NoSections) == [
        "NoSections.fit: the docstring has no section Parameters; write 'Parameters' "
        "underlined by dashes, with an entry for each of: `X : TYPE`, `y : TYPE, "
        "default=None`",
        "NoSections.predict has no docstring: write one that says in its first line "
        "what it is or does; below, write 'Parameters' underlined by dashes, with an "
        "entry for each of: `X : TYPE`",
        "the parameter X of NoSections.score_samples is not documented: add `X : TYPE`",
        "NoSections.score_samples: the docstring has an entry for x, which is no "
        "parameter: leave it out, or add the parameter to the signature",
    ]


def test_fitted_attributes_are_named_with_their_entries():
    assert attribute_faults(NoSections(1.0).fit(None)) == [
        "NoSections: the docstring has no section Attributes; write 'Attributes' "
        "underlined by dashes, with an entry for each of: `offset_ : float`"
    ]
    assert attribute_faults(Forgets().fit(None)) == [
        f"the fitted attribute {entry.split()[0]} of Forgets is not documented: add "
        f"`{entry}` to the section Attributes"
        for entry in ("labels_ : list", "n_iter_ : int")
    ]


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("5e-5", 5e-05, True),
        ("'auto'", "auto", True),
        ("(3, 4)", (3, 4), True),
        ("len", len, True),
        ("max", len, False),
        ("nan, as in numpy", 1.0, False),
        ("None", 0, False),
    ],
)
def test_a_default_may_be_written_as_python_reads_it(text, value, expected):
    assert is_default(text, value) is expected


def test_a_test_that_fails_shows_the_faults_and_nothing_else():
    fail_for([])
    with pytest.raises(pytest.fail.Exception, match="^one\ntwo$") as caught:
        fail_for(["one", "two"])
    assert not caught.value.pytrace
