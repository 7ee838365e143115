"""scikit-learn's own checks, also some that it does not make by itself."""

import os
import unittest
from functools import partial

import pytest
import sklearn
from sklearn.utils import estimator_checks as checks
from sklearn.utils.fixes import parse_version

from sk_hypersphere.testing._conditions import always, has_transform
from sk_hypersphere.testing._registry import law

# The labels of checks are no supervision, and some of their data are a few samples.
WITHOUT_SUPERVISION = "ignore::sk_hypersphere.exceptions.SupervisionWarning"
FEW_SAMPLES = "ignore::sk_hypersphere.exceptions.CalibrationWarning"
# Some hand arrays to models fitted on data frames, and the other way round.
FEATURE_NAMES = "ignore:X .* feature names:UserWarning"

TRANSFORMER_CHECKS = [
    checks.check_transformer_get_feature_names_out,
    checks.check_transformer_get_feature_names_out_pandas,
    checks.check_get_feature_names_out_error,
    checks.check_set_output_transform,
    checks.check_set_output_transform_pandas,
    checks.check_global_output_transform_pandas,
    checks.check_set_output_transform_polars,
    checks.check_global_set_output_transform_polars,
    checks.check_inplace_ensure_writeable,
]


def name_of(check):
    """The name of a check with the keywords that are bound to it."""
    keywords = getattr(check, "keywords", {})
    bound = ",".join(f"{key}={value}" for key, value in keywords.items())
    return getattr(check, "func", check).__name__ + (f"({bound})" if bound else "")


def checks_of(estimator):
    """The checks that scikit-learn makes of an estimator, behind their names."""
    return [
        (name_of(check), partial(check, instance))
        for instance, check in checks.estimator_checks_generator(estimator)
    ]


@law(always, ignore=(WITHOUT_SUPERVISION, FEW_SAMPLES), check=checks_of)
def scikit_learn_check_passes_and_is_not_skipped(estimator, check):
    try:
        check()
    except unittest.SkipTest as skip:
        pytest.fail(f"skipped: {skip}")


@law(always)
def arrays_of_another_namespace_are_among_the_checks(estimator):
    assert os.environ.get("SCIPY_ARRAY_API") == "1", (
        "a check of scikit-learn skips itself unless the environment has "
        'SCIPY_ARRAY_API=1: write os.environ["SCIPY_ARRAY_API"] = "1" at the top of '
        "conftest.py, before scipy is imported"
    )
    if parse_version(sklearn.__version__) < parse_version("1.9"):
        return  # older versions, such as 1.6, do not try all estimators with it
    names = [name.partition("(")[0] for name, _ in checks_of(estimator)]
    assert "check_array_api_input" in names


@law(always)
def wrong_parameters_are_refused_with_a_sentence(estimator):
    checks.check_param_validation(type(estimator).__name__, estimator)


@law(always)
def column_names_are_remembered_and_checked(estimator):
    checks.check_dataframe_column_names_consistency(type(estimator).__name__, estimator)


@law(has_transform, ignore=(FEATURE_NAMES, FEW_SAMPLES), check=TRANSFORMER_CHECKS)
def check_of_transformers_passes(estimator, check):
    check(type(estimator).__name__, estimator)
