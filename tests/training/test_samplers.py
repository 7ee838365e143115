"""Samplers: the rows in the batches of an epoch, and how often each is drawn."""

import tracemalloc
from functools import partial
from math import ceil

import numpy as np
import pytest
import torch

from sk_hypersphere._training.samplers import (
    even_batches,
    mix_anomalies,
    paired_triplets,
    random_triplets,
    shuffled,
    with_anomalies,
)


@pytest.mark.parametrize("n", [1, 2, 127, 128, 129, 1000])
@pytest.mark.parametrize("batch_size", [1, 7, 128])
def test_batches_cover_all_rows_and_differ_by_one_at_most(n, batch_size):
    sizes = np.diff(even_batches(n, batch_size))
    assert sizes.sum() == n
    assert sizes.max() <= batch_size
    assert sizes.max() - sizes.min() <= 1


def draw_labels(n_known, n_anomalies):
    """Labels in random order; anomalies have the label -1."""
    labels = np.repeat([0, 1, -1], [n_known // 2, n_known - n_known // 2, n_anomalies])
    return np.random.RandomState(0).permutation(labels)


EVERY_MIXTURE = pytest.mark.parametrize(
    ("n_known", "n_anomalies"), [(1, 1), (10, 3), (100, 1000), (1000, 1), (129, 40)]
)


EVERY_RATIO = pytest.mark.parametrize("ratio", [0.1, 1, 2.5])


def draw_epoch(n_known, n_anomalies, ratio, batch_size=32):
    y = draw_labels(n_known, n_anomalies)
    return y, with_anomalies(y, batch_size, np.random.RandomState(1), ratio=ratio)


@EVERY_MIXTURE
@EVERY_RATIO
def test_an_epoch_with_anomalies_has_every_known_row_once(n_known, n_anomalies, ratio):
    y, batches = draw_epoch(n_known, n_anomalies, ratio)
    known = [batch[y[batch] >= 0] for batch in batches]
    np.testing.assert_array_equal(
        np.sort(np.concatenate(known)), np.flatnonzero(y >= 0)
    )
    assert len(batches) == ceil(n_known / 32)
    assert max(map(len, known)) <= 32


@EVERY_MIXTURE
@EVERY_RATIO
def test_anomalies_at_the_end_of_a_batch_are_a_share_of_its_known_rows(
    n_known, n_anomalies, ratio
):
    y, batches = draw_epoch(n_known, n_anomalies, ratio)
    for batch in batches:
        n = np.count_nonzero(y[batch] >= 0)
        assert (y[batch[:n]] >= 0).all()
        assert (y[batch[n:]] < 0).all()
        assert len(batch) - n == ceil(ratio * n)


@EVERY_MIXTURE
@EVERY_RATIO
def test_all_anomalies_are_drawn_before_one_is_drawn_again(n_known, n_anomalies, ratio):
    y, batches = draw_epoch(n_known, n_anomalies, ratio)
    drawn = np.concatenate(batches)
    drawn = drawn[y[drawn] < 0]
    for start in range(0, len(drawn), n_anomalies):
        one_round = drawn[start : start + n_anomalies]
        assert len(np.unique(one_round)) == len(one_round)
    counts = np.bincount(drawn, minlength=len(y))[y < 0]
    assert counts.max() - counts.min() <= 1


def test_a_single_anomaly_is_in_every_batch():
    y, batches = draw_epoch(1000, 1, ratio=0.1)
    (anomaly,) = np.flatnonzero(y < 0)
    assert len(batches) == 32
    assert all(anomaly in batch for batch in batches)


def test_anomalies_come_in_random_order_anew_in_every_epoch_and_round():
    y, random_state = draw_labels(60, 20), np.random.RandomState(0)
    (first,) = with_anomalies(y, 60, random_state, ratio=1)
    (second,) = with_anomalies(y, 60, random_state, ratio=1)
    rounds = {tuple(batch[a : a + 20]) for batch in (first, second) for a in (60, 80)}
    assert len(rounds) == 4
    assert tuple(np.flatnonzero(y < 0)) not in rounds
    assert not np.array_equal(first[:60], second[:60])


@EVERY_RATIO
@pytest.mark.parametrize(("n_known", "n_anomalies"), [(100, 0), (0, 100), (1, 0)])
def test_rows_of_one_kind_are_shuffled(n_known, n_anomalies, ratio):
    y, batches = draw_epoch(n_known, n_anomalies, ratio)
    expected = shuffled(y, 32, np.random.RandomState(1))
    for batch, rows in zip(batches, expected, strict=True):
        np.testing.assert_array_equal(batch, rows)


@EVERY_MIXTURE
def test_equal_random_states_draw_equal_batches_with_anomalies(n_known, n_anomalies):
    _, first = draw_epoch(n_known, n_anomalies, ratio=1)
    _, second = draw_epoch(n_known, n_anomalies, ratio=1)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_labels_below_minus_1_mark_anomalies_too():
    y = np.array([0, -5, 1, -2])
    (batch,) = with_anomalies(y, 8, np.random.RandomState(0), ratio=1)
    assert sorted(batch[:2]) == [0, 2] and sorted(batch[2:]) == [1, 3]


def draw_triplets(y, n_steps, batch_size=64, seed=1):
    """Positives and negatives of an epoch, (n_steps * batch_size,) each."""
    random_state = np.random.RandomState(seed)
    batches = [*random_triplets(y, batch_size, random_state, n_steps=n_steps)]
    positives, negatives = zip(*(np.split(batch, 2) for batch in batches), strict=True)
    return np.concatenate(positives), np.concatenate(negatives)


@EVERY_MIXTURE
@pytest.mark.parametrize("n_steps", [1, 5])
def test_an_epoch_of_triplets_has_n_steps_batches(n_known, n_anomalies, n_steps):
    y = draw_labels(n_known, n_anomalies)
    batches = [*random_triplets(y, 7, np.random.RandomState(0), n_steps=n_steps)]
    assert [batch.shape for batch in batches] == [(14,)] * n_steps
    assert all(batch.min() >= 0 and batch.max() < len(y) for batch in batches)


@EVERY_MIXTURE
def test_positive_and_negative_are_of_different_kinds(n_known, n_anomalies):
    y = draw_labels(n_known, n_anomalies)
    positives, negatives = draw_triplets(y, n_steps=20)
    assert ((y[positives] < 0) != (y[negatives] < 0)).all()


@EVERY_MIXTURE
def test_every_other_positive_is_a_normal_row(n_known, n_anomalies):
    y = draw_labels(n_known, n_anomalies)
    positives, _ = draw_triplets(y, n_steps=100)
    deviation = np.sqrt(len(positives)) / 2
    assert abs((y[positives] >= 0).sum() - len(positives) / 2) < 3 * deviation


@pytest.mark.parametrize("side", [0, 1], ids=["positives", "negatives"])
def test_rows_of_triplets_are_drawn_alike_often_again_and_again(side):
    y = draw_labels(20, 5)
    drawn = draw_triplets(y, n_steps=400)[side]
    for kind in (np.flatnonzero(y >= 0), np.flatnonzero(y < 0)):
        counts = np.bincount(drawn[np.isin(drawn, kind)], minlength=len(y))[kind]
        expected = len(drawn) / 2 / len(kind)
        assert (abs(counts - expected) < 4 * np.sqrt(expected)).all()
        assert counts.std() > np.sqrt(expected) / 4  # rows are not drawn in turn


def test_every_pair_of_rows_of_two_kinds_is_drawn_alike_often():
    y = np.array([0, -1, 1, -1, 0])
    pairs, counts = np.unique(draw_triplets(y, n_steps=100), axis=1, return_counts=True)
    assert pairs.shape == (2, 2 * 3 * 2)
    expected = 6400 / 12
    assert (abs(counts - expected) < 4 * np.sqrt(expected)).all()


@pytest.mark.parametrize(("n_known", "n_anomalies"), [(100, 1), (1, 100), (1, 1)])
def test_a_single_row_of_a_kind_is_in_all_triplets(n_known, n_anomalies):
    y = draw_labels(n_known, n_anomalies)
    rare = np.flatnonzero((y < 0) == (n_anomalies == 1))
    positives, negatives = draw_triplets(y, n_steps=3)
    assert (np.isin(positives, rare) | np.isin(negatives, rare)).all()


@pytest.mark.parametrize(
    "sampler", [lambda *args: random_triplets(*args, n_steps=2), paired_triplets]
)
@pytest.mark.parametrize(
    ("y", "shown"),
    [
        ([0, 1, 0], "3 normal samples and 0 anomalies"),
        ([-1, -1], "0 normal samples and 2 anomalies"),
        ([], "0 normal samples and 0 anomalies"),
    ],
)
def test_triplets_of_one_kind_are_refused(sampler, y, shown):
    labels = np.array(y, dtype=np.int64)
    with pytest.raises(ValueError, match=f"{shown}.*stratified=True"):
        next(sampler(labels, 8, np.random.RandomState(0)))


def test_triplets_follow_the_random_state_and_are_new_in_every_epoch():
    y = draw_labels(50, 20)
    first, again, other = (draw_triplets(y, 3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    random_state = np.random.RandomState(0)
    epochs = [[*random_triplets(y, 8, random_state, n_steps=2)] for _ in range(2)]
    assert not np.array_equal(*epochs)


def test_triplets_leave_the_global_random_streams_alone():
    def states():
        return np.random.get_state()[1].copy(), torch.random.get_rng_state().clone()

    before = states()
    draw_triplets(draw_labels(50, 20), n_steps=3)
    np.testing.assert_array_equal(before[0], states()[0])
    assert torch.equal(before[1], states()[1])


@pytest.mark.parametrize(
    "sampler", [partial(random_triplets, n_steps=100), paired_triplets]
)
def test_triplets_need_memory_in_proportion_to_the_rows_alone(sampler):
    y = draw_labels(50_000, 50_000)
    tracemalloc.start()
    try:
        batches = sampler(y, 128, np.random.RandomState(0))
        n_rows = sum(map(len, batches))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert n_rows >= 100 * 256
    assert peak < 5 * y.nbytes


@EVERY_MIXTURE
@pytest.mark.parametrize("batch_size", [1, 2, 7, 64])
def test_each_pair_is_a_triplet_both_ways_round(n_known, n_anomalies, batch_size):
    y = draw_labels(n_known, n_anomalies)
    batches = [*paired_triplets(y, batch_size, None)]
    assert max(map(len, batches)) <= 2 * (batch_size + batch_size % 2)
    for positives, negatives in (np.split(batch, 2) for batch in batches):
        assert ((y[positives] < 0) != (y[negatives] < 0)).all()
        m = len(positives) // 2
        np.testing.assert_array_equal(positives, np.r_[negatives[m:], negatives[:m]])


@EVERY_MIXTURE
def test_every_row_is_in_pairs_as_often_as_any_other_of_its_kind(n_known, n_anomalies):
    y = draw_labels(n_known, n_anomalies)
    rows = np.concatenate([*paired_triplets(y, 16, None)])
    counts = np.bincount(rows, minlength=len(y))
    for kind in (y < 0, y >= 0):
        assert counts[kind].min() > 0
        assert counts[kind].max() - counts[kind].min() <= 2


def test_pairs_are_the_same_ones_every_time():
    y, random_state = draw_labels(100, 30), np.random.RandomState(0)
    before = random_state.get_state()[1].copy()
    first, second = ([*paired_triplets(y, 16, random_state)] for _ in range(2))
    for batch, again in zip(first, second, strict=True):
        np.testing.assert_array_equal(batch, again)
    np.testing.assert_array_equal(random_state.get_state()[1], before)


def mixed(n_known, n_anomalies, shape=(3,)):
    """A batch before and after its anomalies were mixed."""
    y = np.repeat([1, -1], [n_known, n_anomalies])
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        X = torch.rand(n_known + n_anomalies, *shape)
        return X, mix_anomalies(X.clone(), y)


@pytest.mark.parametrize("shape", [(1,), (3,), (1, 4, 4)])
def test_mixed_anomalies_are_between_two_anomalies(shape):
    before, after = mixed(5, 40, shape)
    assert torch.equal(before[:5], after[:5])
    low, high = before[5:].amin(dim=0), before[5:].amax(dim=0)
    assert ((after[5:] >= low) & (after[5:] <= high)).all()
    assert (before[5:] != after[5:]).double().mean() > 0.9


def test_an_anomaly_is_mixed_by_one_share_in_all_its_components():
    before, after = mixed(0, 2, shape=(50,))
    way = before[1] - before[0]
    shares = (after[0] - before[0]) / way
    torch.testing.assert_close(shares, shares[0].expand(50), rtol=1e-3, atol=1e-4)
    assert 0 <= shares[0] <= 1


def test_a_single_anomaly_is_mixed_with_itself():
    torch.testing.assert_close(*mixed(5, 1))
