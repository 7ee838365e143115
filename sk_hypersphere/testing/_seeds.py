"""Seeds: the same one gives the same bits, and global streams are left alone."""

import pickle
import random
from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import torch
from joblib import Parallel, delayed
from sklearn.base import clone

from sk_hypersphere.testing._conditions import has_nets
from sk_hypersphere.testing._registry import law
from sk_hypersphere.testing._trial import (
    assert_same,
    differ,
    fresh,
    in_pipeline,
    own_fit,
    responses,
    shared_fit,
    shared_responses,
)


def pickled(estimator):
    return pickle.loads(pickle.dumps(estimator))


@contextmanager
def threads(n):
    """Give torch a number of threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def streams():
    """State of every global random stream."""
    _, keys, position, *_ = np.random.get_state()
    torch_state = torch.get_rng_state().numpy().tobytes()
    return keys.tobytes(), position, torch_state, random.getstate()


@law(has_nets)
def another_fit_with_the_same_seed_gives_the_same_bits(estimator, X, y):
    again = own_fit(estimator).fit(X, y)
    assert_same(shared_responses(estimator), responses(again, X))


@law(has_nets)
def a_clone_gives_the_same_bits(estimator, X, y):
    again = clone(shared_fit(estimator)).fit(X, y)
    assert_same(shared_responses(estimator), responses(again, X))


@law(has_nets, copied={"deep": deepcopy, "pickle": pickled})
def a_copy_of_a_fitted_model_gives_the_same_bits(estimator, copied, X):
    copy = copied(shared_fit(estimator))
    assert_same(shared_responses(estimator), responses(copy, X))


@law(has_nets, in_a_pipeline=[False, True], prefer=["processes", "threads"])
def fits_side_by_side_give_the_same_bits(estimator, in_a_pipeline, prefer, X, y):
    model = in_pipeline(estimator) if in_a_pipeline else estimator
    alone = shared_responses(model)
    jobs = (delayed(clone(model).fit)(X, y) for _ in range(2))
    for fitted in Parallel(n_jobs=2, prefer=prefer)(jobs):
        assert_same(alone, responses(fitted, X))


@law(has_nets)
def the_number_of_threads_does_not_matter_to_a_fit(estimator, X, y):
    for n in {1, 2} - {torch.get_num_threads()}:
        with threads(n):
            again = responses(fresh(estimator).fit(X, y), X)
        assert_same(shared_responses(estimator), again)


@law(has_nets)
def the_number_of_threads_does_not_matter_to_scores_of_images(estimator, images):
    fitted = shared_fit(estimator, "images")
    for n in (1, 2):
        with threads(n):
            again = responses(fitted, images)
        assert_same(shared_responses(estimator, "images"), again)


@law(has_nets, sets=("random_state",))
def a_random_state_instance_is_a_seed_too(estimator, X, y):
    first, second = (
        fresh(estimator, random_state=np.random.RandomState(5)).fit(X, y)
        for _ in range(2)
    )
    assert_same(responses(first, X), responses(second, X))


@law(has_nets, sets=("random_state",))
def a_random_state_instance_gives_another_model_in_the_next_fit(estimator, X, y):
    fitted = fresh(estimator, random_state=np.random.RandomState(5))
    first = responses(fitted.fit(X, y), X)
    assert differ(first, responses(fitted.fit(X, y), X))


@law(has_nets, sets=("random_state",))
def different_seeds_give_different_models(estimator, X, y):
    other = fresh(estimator, random_state=1).fit(X, y)
    assert differ(shared_responses(estimator), responses(other, X))


@law(has_nets, sets=("random_state",))
def no_seed_gives_different_models(estimator, X, y):
    first, second = (fresh(estimator, random_state=None).fit(X, y) for _ in range(2))
    assert differ(responses(first, X), responses(second, X))


@law(has_nets, sets=("random_state",), random_state=[0, None])
def global_random_streams_are_left_as_they_were(estimator, random_state, X, y):
    before = streams()
    fitted = fresh(estimator, random_state=random_state).fit(X, y)
    assert streams() == before
    responses(fitted, X)
    assert streams() == before


@law(has_nets)
def global_random_streams_have_no_influence(estimator, X, y):
    first = shared_responses(estimator)
    with torch.random.fork_rng():
        torch.rand(3)
        assert_same(first, responses(fresh(estimator).fit(X, y), X))
