"""The table "profile" on small data, and its page."""

import cProfile
from functools import partial

import pytest
from torch import nn

from benchmarks.studies import profile


@pytest.fixture(scope="module")
def images_case():
    return profile.fit_case((64, 1, 28, 28), max_epochs=2)


def test_every_floor_of_a_fit_is_found_in_its_profile(images_case):
    ran = cProfile.Profile()
    ran.runcall(images_case.call)
    missing = [
        function
        for functions in images_case.floors.values()
        for function in functions
        if profile.seconds_in(ran, function) <= 0
    ]
    assert missing == []


@pytest.mark.parametrize(
    "make",
    [partial(profile.fit_case, (64, 4), 1), partial(profile.score_case, 64)],
    ids=["fit", "scores"],
)
def test_the_floors_of_a_profile_add_up_to_the_whole(results, make):
    profile.measure(results, "a case", make())
    *floors, whole = (float(row["milliseconds"]) for row in results.rows)
    assert sum(floors) == pytest.approx(whole, abs=0.1)
    assert min(floors) >= 0


def test_layers_share_the_whole_forward_pass(images_case):
    shares = profile.shares(images_case)
    assert sum(shares.values()) == pytest.approx(1)
    assert [name for name in shares if "Conv2d" in name][0].startswith("2. ")


def test_layers_are_no_longer_marked_after_a_block():
    network = nn.Sequential(nn.Linear(2, 3))
    with profile.watched(network):
        assert network._forward_hooks
    assert not network._forward_hooks and not network[0]._forward_pre_hooks
