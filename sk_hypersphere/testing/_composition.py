"""Composition with scikit-learn: pipelines, searches, data frames, tags."""

from importlib import import_module

import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from sk_hypersphere.testing._conditions import embeds, has_decisions, has_nets
from sk_hypersphere.testing._registry import law
from sk_hypersphere.testing._scikit_learn import WITHOUT_SUPERVISION
from sk_hypersphere.testing._trial import (
    assert_same,
    fresh,
    in_pipeline,
    named_rows,
    own_fit,
    responses,
    shared_fit,
    shared_responses,
    shuffled_rows,
)

# Parameters that a grid search tries, where an estimator has them.
GRID = {"encoder__hidden_units": [(4,), (16,)], "nu": [0.05, 0.5]}


@law(has_nets)
def a_pipeline_is_its_steps_one_after_the_other(estimator, X, y):
    scaled = StandardScaler().fit_transform(X)
    alone = responses(fresh(estimator).fit(scaled, y), scaled)
    for name in ("detect", "p_values"):  # no pipeline hands them on
        alone.pop(name, None)
    assert_same(shared_responses(in_pipeline(estimator)), alone)


@law(has_decisions, sets=("encoder_params",))
def a_grid_search_finds_the_same_alone_and_with_two_jobs(estimator, X, y):
    known = estimator.get_params()
    grid = {key: GRID[key] for key in GRID if "__" in key or key in known}
    alone, together = (
        GridSearchCV(
            fresh(estimator),
            grid,
            scoring="accuracy" if is_classifier(estimator) else "roc_auc",
            cv=2,
            n_jobs=n_jobs,
            error_score="raise",
        ).fit(shuffled_rows(X), shuffled_rows(y))
        for n_jobs in (None, 2)
    )
    scores = alone.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(scores, together.cv_results_["mean_test_score"])
    assert alone.best_params_ == together.best_params_


@law(has_nets)
def named_columns_may_not_change_their_order(estimator):
    fitted = shared_fit(estimator, "named rows")
    assert [*fitted.feature_names_in_] == [*"abcd"]
    with pytest.raises(ValueError, match="feature names should match"):
        responses(fitted, named_rows()[[*"bacd"]])


@law(embeds, library=["pandas", "polars"])
def set_output_gives_a_data_frame(estimator, library, X):
    fitted = own_fit(estimator).set_output(transform=library)
    frame = fitted.transform(X)
    assert isinstance(frame, import_module(library).DataFrame)
    assert [*frame.columns] == [*fitted.get_feature_names_out()]
    fitted.set_output(transform="default")
    np.testing.assert_array_equal(frame.to_numpy(), fitted.transform(X))


@law(has_nets, ignore=(WITHOUT_SUPERVISION,))
def labels_are_needed_only_where_the_tags_say_so(estimator, X):
    if get_tags(estimator).target_tags.required:
        with pytest.raises(ValueError, match="requires y"):
            fresh(estimator).fit(X, None)
    else:
        check_is_fitted(fresh(estimator).fit(X))
