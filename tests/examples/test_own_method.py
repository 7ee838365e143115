"""The worked method of CONTRIBUTING.md keeps the contract of all estimators."""

import pickle
from pathlib import Path

import numpy as np
from sklearn.model_selection import GridSearchCV

import own_method
from own_method import RobustSVDD
from sk_hypersphere.testing import contract_tests

PATH = Path(own_method.__file__)


test_contract = contract_tests(RobustSVDD(max_epochs=2))


def test_a_method_has_sixty_lines_at_most():
    assert len(PATH.read_text().splitlines()) <= 60


def test_it_finds_anomalies_in_a_grid_search_and_in_a_pickle():
    rng = np.random.RandomState(0)
    X = np.r_[rng.randn(200, 4), rng.randn(20, 4) + 8].astype(np.float32)
    y = np.repeat([1, -1], [200, 20])
    order = rng.permutation(220)
    grid = {"encoder__hidden_units": [(8,), (32,)]}
    detector = RobustSVDD(max_epochs=5, random_state=0)
    search = GridSearchCV(detector, grid, scoring="roc_auc", cv=2)
    search.fit(X[order], y[order])
    assert search.best_score_ > 0.9
    copy = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(copy.score_samples(X), search.score_samples(X))


def test_contributing_shows_the_example_as_it_is():
    page = (PATH.parents[1] / "CONTRIBUTING.md").read_text()
    block = page.partition("<!-- example -->\n")[2].partition("<!-- end -->")[0]
    assert block == f"```python\n{PATH.read_text()}```\n"
