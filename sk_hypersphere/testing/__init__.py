"""The contract of all estimators, as a test that any package can run on its own.

It may import everything, and pytest.
"""

try:
    import pytest
except ImportError as error:
    raise ImportError(
        "sk_hypersphere.testing makes tests for pytest, which is not installed. "
        'Install it with:\n\n    pip install "sk-hypersphere[test]"'
    ) from error

from sk_hypersphere.testing._registry import FILES_OF_LAWS, cases_of
from sk_hypersphere.testing._trial import label, seeded

__all__ = ["contract_tests"]

# They are imported when a contract is made, so that asserts in them explain themselves.
pytest.register_assert_rewrite(*FILES_OF_LAWS)


def contract_tests(*estimators, scikit_learn_checks=True, expected_failures=None):
    """A test that tries estimators with the contract that all of this package keep.

    The contract is scikit-learn's own checks, of which none may be skipped, and laws
    about seeds, scores, the promises of thresholds, kinds of input, failed fits and
    documentation. A law is tried with an estimator that has the parameters and methods
    it is about.

    Each pair of an estimator and a law is a test of its own, and its id is a sentence:
    ``test_contract[MyDetector-a_clone_gives_the_same_bits]``.

    Parameters
    ----------
    *estimators : estimators
        Copies of them are fitted, with ``random_state=0``. Give them few epochs, or the
        contract takes minutes; classifiers need enough to separate blobs.

    scikit_learn_checks : bool, default=True
        False leaves out the checks of scikit-learn. They label classes with any
        integers, so that they are no use for a classifier whose anomalies are -1.

    expected_failures : dict, default=None
        Reasons, by the names of the laws and checks that the estimators are known to
        fail. These tests are marked as expected failures, which have to fail.

    Returns
    -------
    test : function
        Assign it to a name that pytest collects.

    Raises
    ------
    TypeError
        If a class is given in place of an estimator.

    ValueError
        If there is no estimator, or no law or check has a name that is expected to
        fail.

    Notes
    -----
    Warnings fail where the configuration of pytest has ``filterwarnings = error``.
    One check of scikit-learn needs the environment variable ``SCIPY_ARRAY_API=1``
    before scipy is imported: set it at the top of ``conftest.py``.

    Examples
    --------
    In a file of tests:

    >>> from sk_hypersphere import DeepSVDD
    >>> from sk_hypersphere.testing import contract_tests
    >>> test_contract = contract_tests(DeepSVDD(max_epochs=2))

    An estimator is tried with several settings, and passes all but one law:

    >>> test_contract = contract_tests(
    ...     DeepSVDD(max_epochs=2),
    ...     DeepSVDD(max_epochs=2, nu=0.2),
    ...     expected_failures={"nothing_is_printed_by_default": "It says hello."},
    ... )
    """
    check_estimators(estimators)
    cases = [
        (label(estimator, estimators), case)
        for estimator in estimators
        for case in cases_of(seeded(estimator), scikit_learn_checks)
    ]
    reasons = expected_failures or {}
    check_names(reasons, {name for _, case in cases for name in case.names})
    tests = [case.as_param(name, reasons) for name, case in cases]

    @pytest.mark.parametrize("case", tests)
    def test_contract(case, request):
        __tracebackhide__ = True
        case.run(request)

    return test_contract


def check_estimators(estimators):
    """Refuse arguments that would make a test of nothing."""
    if not estimators:
        raise ValueError(
            "contract_tests must be given one estimator at least, got none. Write "
            "contract_tests(MyDetector())."
        )
    for estimator in estimators:
        if isinstance(estimator, type):
            raise TypeError(
                f"contract_tests takes estimators, got the class {estimator.__name__}. "
                f"Write {estimator.__name__}()."
            )


def check_names(reasons, known):
    """Refuse names of failures that no case has."""
    for name in reasons:
        if name not in known:
            raise ValueError(
                "expected_failures must name laws or checks that the estimators are "
                f"tried with, got {name!r}. Copy the name from the id of a test."
            )
