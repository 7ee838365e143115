"""Contestants of the table of speed do the same work."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.methods import all_streams_seeded
from benchmarks.races import deep_svdd as deep_svdd_races
from benchmarks.races import eidn as eidn_races
from benchmarks.races import ensemble as ensemble_races
from benchmarks.races import mchad as mchad_races
from benchmarks.races import odin as odin_races
from benchmarks.races.common import (
    BARE,
    OURS,
    PEERS,
    adam,
    installed_peers,
    normal_samples,
)
from sk_hypersphere import DeepSVDD, MCHADClassifier
from sk_hypersphere.losses import EIDNLoss
from sk_hypersphere.modules import Centers, Hypersphere, OriginAndOnes


@pytest.mark.parametrize(
    "race",
    [
        partial(deep_svdd_races.train_mlp, n_rows=300, epochs=1),
        partial(deep_svdd_races.train_lenet, n_rows=300, epochs=1),
        partial(deep_svdd_races.fit_rows, n_rows=100, epochs=2),
        partial(mchad_races.on_rows, n_rows=300, epochs=1),
        partial(eidn_races.on_rows, n_rows=300, epochs=1, n_steps=2),
        partial(eidn_races.on_rows, "random", n_rows=300, epochs=1, n_steps=2),
        partial(eidn_races.on_images, n_rows=300, epochs=1, n_steps=2),
        partial(deep_svdd_races.score_rows, n_rows=1000),
        partial(deep_svdd_races.score_by_default, 512, 1000, 32),
        partial(deep_svdd_races.score_by_default, 64, 100, 1, 28, 28),
        partial(odin_races.on_rows, n_rows=1000),
        partial(odin_races.on_images, n_rows=1000),
    ],
    ids=lambda race: f"{race.func.__module__}.{race.func.__name__}{race.args}",
)
def test_all_contestants_of_a_race_finish(race):
    contestants, _ = race()
    assert {BARE, OURS} <= contestants.keys()
    assert all(np.isfinite(contestant()) for contestant in contestants.values())


BFLOAT16 = {"autocast": torch.bfloat16}
COMPILED = {"compile": True, "compile__backend": "eager"}


@pytest.mark.parametrize(
    ("race", "net_params"),
    [
        (
            partial(deep_svdd_races.train_lenet, 60, batch_size=30),
            {"bfloat16": BFLOAT16, "compiled": COMPILED},
        ),
        (
            partial(mchad_races.on_images, 16, batch_size=8, depth=10, widen_factor=1),
            {"bfloat16": BFLOAT16},  # it takes seconds to compile
        ),
    ],
    ids=["LeNet", "WRN"],
)
def test_options_of_the_net_take_part_in_races_on_a_device(race, net_params):
    contestants, _ = race(epochs=2, n_skipped=1, net_params=net_params)
    assert [*contestants] == [BARE, OURS, *(f"{OURS}, {name}" for name in net_params)]
    assert all(contestant() > 0 for contestant in contestants.values())


@pytest.mark.parametrize("network", ensemble_races.NETWORKS)
def test_members_side_by_side_race_against_members_one_after_the_other(network):
    contestants, _ = ensemble_races.fit(network, n_rows=40, epochs=1)
    assert [*contestants] == [ensemble_races.ALONE, OURS]
    assert all(contestant() > 0 for contestant in contestants.values())


def test_a_grid_search_has_as_many_fits_as_its_case_says():
    contestants, _ = deep_svdd_races.search_grid(n_rows=60, epochs=1)
    assert [*contestants] == ["sequential", "n_jobs=2"]
    assert contestants["sequential"]() > 0


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
def test_pages_of_a_memory_map_count_as_input():
    n_rows = 200_000  # 24 MiB
    _, peak = deep_svdd_races.measure_memory(OURS, "score", True, n_rows)
    assert 0 < peak < 24


@pytest.mark.parametrize("name", PEERS)
def test_peers_have_a_network_of_the_size_of_ours(name):
    if name not in installed_peers():
        pytest.skip(f"{name} is not installed")
    X = normal_samples(50, 7)
    peer = PEERS[name](7, 0, epochs=1)
    with all_streams_seeded(0):
        peer.fit(X)
    net = getattr(peer, "model_", None) or peer.net
    ours = deep_svdd_races.on_rows(max_epochs=0).fit(X).net_.module_.encoder
    shapes = [
        [tuple(weight.shape) for weight in module.parameters() if weight.ndim == 2]
        for module in (net, ours)
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("triplets", ["all", "random"])
def test_the_bare_loop_pays_for_triplets_what_the_loss_does(triplets):
    is_anomaly = torch.arange(20) >= 18
    draw = eidn_races.draw_kinds if triplets == "all" else eidn_races.draw_triplets
    batch = draw(len(is_anomaly), 2, n_steps=1, batch_size=6)[0]
    positives, negatives = is_anomaly[batch].chunk(2)
    assert torch.equal(positives, ~negatives)
    z = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))[batch]
    loss = EIDNLoss(eidn_races.MARGIN, triplets)
    ours = loss(OriginAndOnes(2)(z), -is_anomaly[batch].long())
    if triplets == "all":
        bare = eidn_races.cost_of_all(z)
    else:
        bare = eidn_races.cost_of_random(z, positives.float()[:, None])
    torch.testing.assert_close(bare, ours)


def test_the_bare_loop_pays_for_classes_what_the_loss_does():
    X = normal_samples(30, 4)
    y = np.arange(30) % 3
    classifier = MCHADClassifier(max_epochs=0, contamination=0.05, random_state=0)
    module = classifier.fit(X, y).net_.module_.train()
    batch = torch.arange(0, 30, 2)
    x, labels = torch.from_numpy(X), torch.from_numpy(y)
    ours = classifier.net_.criterion_(module(x[batch]), labels[batch])
    bare = mchad_races.mchad(module, x[batch], batch, labels=labels)
    torch.testing.assert_close(bare, ours)


def test_the_bare_loop_exempts_learned_centers_from_weight_decay_as_ours_does():
    module = Hypersphere(
        torch.nn.Linear(3, 2), Centers(torch.ones(2, 2), learnable=True)
    )
    decays = {
        tuple(parameter.shape): group["weight_decay"]
        for group in adam(module).param_groups
        for parameter in group["params"]
    }
    assert decays == {(2, 3): 1e-6, (2,): 1e-6, (2, 2): 0.0}


def test_the_bare_loop_scores_what_the_estimator_scores():
    X = np.random.default_rng(0).standard_normal((100, 32), dtype=np.float32)
    detector = DeepSVDD(n_components=16, max_epochs=0, random_state=0).fit(X)
    bare = deep_svdd_races.bare_scores(detector.net_.module_, X)
    ours = detector.radii_[0] ** 2 - detector.score_samples(X)
    np.testing.assert_allclose(bare, ours, rtol=1e-5)
