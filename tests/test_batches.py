"""Batches of rows, without a loader in between."""

import tracemalloc
import warnings
from functools import partial
from math import ceil

import numpy as np
import pytest
import torch
from sklearn import config_context
from torch.utils.data import DataLoader, Subset

from sk_hypersphere._batches import (
    BLOCK_ROWS,
    BatchIterator,
    Rows,
    check_finite,
    even_batches,
    evenly_spaced,
    hold_out,
    inference_batches,
    map_batches,
    mix_outliers,
    paired_triplets,
    random_triplets,
    rows_at_once,
    shuffled,
    with_outliers,
)
from sk_hypersphere.modules import Centers


@pytest.fixture
def rows():
    X = np.arange(20, dtype=np.float32).reshape(10, 2)
    return Rows(X, np.arange(10))


@pytest.mark.parametrize("n", [1, 2, 127, 128, 129, 1000])
@pytest.mark.parametrize("batch_size", [1, 7, 128])
def test_batches_cover_all_rows_and_differ_by_one_at_most(n, batch_size):
    sizes = np.diff(even_batches(n, batch_size))
    assert sizes.sum() == n
    assert sizes.max() <= batch_size
    assert sizes.max() - sizes.min() <= 1


def test_a_shuffled_epoch_has_every_row_once(rows):
    batches = BatchIterator(rows, 3, shuffled, np.random.RandomState(0))
    first = torch.cat([y for _, y in batches]).tolist()
    second = torch.cat([y for _, y in batches]).tolist()
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


# Outliers.


def draw_labels(n_known, n_outliers):
    """Labels in random order, those of outliers -1."""
    labels = np.repeat([0, 1, -1], [n_known // 2, n_known - n_known // 2, n_outliers])
    return np.random.RandomState(0).permutation(labels)


EVERY_MIXTURE = pytest.mark.parametrize(
    ("n_known", "n_outliers"), [(1, 1), (10, 3), (100, 1000), (1000, 1), (129, 40)]
)
EVERY_RATIO = pytest.mark.parametrize("ratio", [0.1, 1, 2.5])


def draw_epoch(n_known, n_outliers, ratio, batch_size=32):
    y = draw_labels(n_known, n_outliers)
    return y, with_outliers(y, batch_size, np.random.RandomState(1), ratio=ratio)


@EVERY_MIXTURE
@EVERY_RATIO
def test_an_epoch_with_outliers_has_every_known_row_once(n_known, n_outliers, ratio):
    y, batches = draw_epoch(n_known, n_outliers, ratio)
    known = [batch[y[batch] >= 0] for batch in batches]
    np.testing.assert_array_equal(
        np.sort(np.concatenate(known)), np.flatnonzero(y >= 0)
    )
    assert len(batches) == ceil(n_known / 32)
    assert max(map(len, known)) <= 32


@EVERY_MIXTURE
@EVERY_RATIO
def test_outliers_at_the_end_of_a_batch_are_a_share_of_its_known_rows(
    n_known, n_outliers, ratio
):
    y, batches = draw_epoch(n_known, n_outliers, ratio)
    for batch in batches:
        n = np.count_nonzero(y[batch] >= 0)
        assert (y[batch[:n]] >= 0).all()
        assert (y[batch[n:]] < 0).all()
        assert len(batch) - n == ceil(ratio * n)


@EVERY_MIXTURE
@EVERY_RATIO
def test_all_outliers_are_drawn_before_one_is_drawn_again(n_known, n_outliers, ratio):
    y, batches = draw_epoch(n_known, n_outliers, ratio)
    drawn = np.concatenate(batches)
    drawn = drawn[y[drawn] < 0]
    for start in range(0, len(drawn), n_outliers):
        one_round = drawn[start : start + n_outliers]
        assert len(np.unique(one_round)) == len(one_round)
    counts = np.bincount(drawn, minlength=len(y))[y < 0]
    assert counts.max() - counts.min() <= 1


def test_a_single_outlier_is_in_every_batch():
    y, batches = draw_epoch(1000, 1, ratio=0.1)
    (outlier,) = np.flatnonzero(y < 0)
    assert len(batches) == 32
    assert all(outlier in batch for batch in batches)


def test_outliers_come_in_random_order_anew_in_every_epoch_and_round():
    y, random_state = draw_labels(60, 20), np.random.RandomState(0)
    (first,) = with_outliers(y, 60, random_state, ratio=1)
    (second,) = with_outliers(y, 60, random_state, ratio=1)
    rounds = {tuple(batch[a : a + 20]) for batch in (first, second) for a in (60, 80)}
    assert len(rounds) == 4
    assert tuple(np.flatnonzero(y < 0)) not in rounds
    assert not np.array_equal(first[:60], second[:60])


@EVERY_RATIO
@pytest.mark.parametrize(("n_known", "n_outliers"), [(100, 0), (0, 100), (1, 0)])
def test_rows_of_one_kind_are_shuffled(n_known, n_outliers, ratio):
    y, batches = draw_epoch(n_known, n_outliers, ratio)
    expected = shuffled(y, 32, np.random.RandomState(1))
    for batch, rows in zip(batches, expected, strict=True):
        np.testing.assert_array_equal(batch, rows)


@EVERY_MIXTURE
def test_batches_with_outliers_are_those_of_the_random_state(n_known, n_outliers):
    _, first = draw_epoch(n_known, n_outliers, ratio=1)
    _, second = draw_epoch(n_known, n_outliers, ratio=1)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_labels_below_minus_1_are_those_of_outliers_too():
    y = np.array([0, -5, 1, -2])
    (batch,) = with_outliers(y, 8, np.random.RandomState(0), ratio=1)
    assert sorted(batch[:2]) == [0, 2] and sorted(batch[2:]) == [1, 3]


# Triplets.


def draw_triplets(y, n_steps, batch_size=64, seed=1):
    """Positives and negatives of an epoch, (n_steps * batch_size,) each."""
    random_state = np.random.RandomState(seed)
    batches = [*random_triplets(y, batch_size, random_state, n_steps=n_steps)]
    positives, negatives = zip(*(np.split(batch, 2) for batch in batches), strict=True)
    return np.concatenate(positives), np.concatenate(negatives)


@EVERY_MIXTURE
@pytest.mark.parametrize("n_steps", [1, 5])
def test_an_epoch_of_triplets_has_n_steps_batches(n_known, n_outliers, n_steps):
    y = draw_labels(n_known, n_outliers)
    batches = [*random_triplets(y, 7, np.random.RandomState(0), n_steps=n_steps)]
    assert [batch.shape for batch in batches] == [(14,)] * n_steps
    assert all(batch.min() >= 0 and batch.max() < len(y) for batch in batches)


@EVERY_MIXTURE
def test_positive_and_negative_are_of_different_kinds(n_known, n_outliers):
    y = draw_labels(n_known, n_outliers)
    positives, negatives = draw_triplets(y, n_steps=20)
    assert ((y[positives] < 0) != (y[negatives] < 0)).all()


@EVERY_MIXTURE
def test_every_other_positive_is_a_normal_row(n_known, n_outliers):
    y = draw_labels(n_known, n_outliers)
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
        assert counts.std() > np.sqrt(expected) / 4  # but not in turn


def test_every_pair_of_rows_of_two_kinds_is_drawn_alike_often():
    y = np.array([0, -1, 1, -1, 0])
    pairs, counts = np.unique(draw_triplets(y, n_steps=100), axis=1, return_counts=True)
    assert pairs.shape == (2, 2 * 3 * 2)
    expected = 6400 / 12
    assert (abs(counts - expected) < 4 * np.sqrt(expected)).all()


@pytest.mark.parametrize(("n_known", "n_outliers"), [(100, 1), (1, 100), (1, 1)])
def test_a_single_row_of_a_kind_is_in_all_triplets(n_known, n_outliers):
    y = draw_labels(n_known, n_outliers)
    rare = np.flatnonzero((y < 0) == (n_outliers == 1))
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


def test_triplets_are_those_of_the_random_state_and_new_in_every_epoch():
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
def test_each_pair_is_a_triplet_both_ways_round(n_known, n_outliers, batch_size):
    y = draw_labels(n_known, n_outliers)
    batches = [*paired_triplets(y, batch_size, None)]
    assert max(map(len, batches)) <= 2 * (batch_size + batch_size % 2)
    for positives, negatives in (np.split(batch, 2) for batch in batches):
        assert ((y[positives] < 0) != (y[negatives] < 0)).all()
        m = len(positives) // 2
        np.testing.assert_array_equal(positives, np.r_[negatives[m:], negatives[:m]])


@EVERY_MIXTURE
def test_every_row_is_in_pairs_as_often_as_any_other_of_its_kind(n_known, n_outliers):
    y = draw_labels(n_known, n_outliers)
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


# Rows.


def test_rows_and_labels_stay_together(rows):
    for X, y in BatchIterator(rows, 4, shuffled, np.random.RandomState(0)):
        assert torch.equal(X[:, 0], 2.0 * y)


def test_a_subset_of_a_subset_is_iterated_over(rows):
    subset = Subset(Subset(rows, [9, 7, 5, 3]), [0, 2])
    (batch,) = BatchIterator(subset, 8)
    assert batch[1].tolist() == [9, 5]


def test_a_subset_of_all_rows_keeps_its_order(rows):
    (batch,) = BatchIterator(Subset(rows, range(9, -1, -1)), 10)
    assert batch[1].tolist() == [*range(9, -1, -1)]


def test_a_torch_loader_gives_the_same_rows(rows):
    X, y = next(iter(DataLoader(rows, batch_size=10)))
    np.testing.assert_array_equal(X, rows.X)
    assert y.tolist() == list(range(10))


def mixed(n_known, n_outliers, shape=(3,)):
    """A batch before and after its outliers were mixed."""
    y = np.repeat([1, -1], [n_known, n_outliers])
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        X = torch.rand(n_known + n_outliers, *shape)
        return X, mix_outliers(X.clone(), y)


@pytest.mark.parametrize("shape", [(1,), (3,), (1, 4, 4)])
def test_mixed_outliers_are_between_two_outliers(shape):
    before, after = mixed(5, 40, shape)
    assert torch.equal(before[:5], after[:5])
    low, high = before[5:].amin(dim=0), before[5:].amax(dim=0)
    assert ((after[5:] >= low) & (after[5:] <= high)).all()
    assert (before[5:] != after[5:]).double().mean() > 0.9


def test_an_outlier_is_mixed_by_one_share_in_all_its_components():
    before, after = mixed(0, 2, shape=(50,))
    way = before[1] - before[0]
    shares = (after[0] - before[0]) / way
    torch.testing.assert_close(shares, shares[0].expand(50), rtol=1e-3, atol=1e-4)
    assert 0 <= shares[0] <= 1


def test_a_single_outlier_is_mixed_with_itself():
    torch.testing.assert_close(*mixed(5, 1))


def test_the_iterator_changes_batches_and_not_the_data(rows):
    before = rows.X.copy()
    y = np.repeat([1, -1], [6, 4])
    iterator = BatchIterator(Rows(rows.X, y), 10, transform=lambda X, labels: X.zero_())
    [(X, _)] = iterator
    assert not X.any()
    np.testing.assert_array_equal(rows.X, before)


@pytest.mark.parametrize("transform", [None, lambda X, y: X + 1])
def test_an_iterator_draws_its_epoch_at_once_or_batch_by_batch_alike(rows, transform):
    class Resident(Rows):
        """Rows that are on their device from the start, as on a CUDA device."""

        def __init__(self, X, y):
            super().__init__(X, y)
            self.resident = torch.from_numpy(X), torch.from_numpy(y)

    for dataset in (rows, Subset(rows, [7, 1, 4, 2])):
        moved = Resident(rows.X, rows.y)
        other = Subset(moved, dataset.indices) if dataset is not rows else moved
        streams = [np.random.RandomState(0) for _ in range(2)]
        epochs = [
            list(BatchIterator(data, 3, shuffled, stream, transform))
            for data, stream in zip((dataset, other), streams, strict=True)
        ]
        for (X, y), (X_other, y_other) in zip(*epochs, strict=True):
            assert torch.equal(X, X_other)
            assert torch.equal(y, y_other)


def test_uint8_becomes_float_in_the_batch_alone():
    rows = Rows(np.full((3, 2), 200, dtype=np.uint8))
    X, _ = rows.take(np.array([0, 2]))
    assert X.dtype == torch.float32
    assert rows.X.dtype == np.uint8


def test_writing_into_a_batch_leaves_the_data_alone(rows):
    before = rows.X.copy()
    X, _ = rows.take(np.arange(10))
    X.zero_()
    np.testing.assert_array_equal(rows.X, before)


@pytest.mark.parametrize("n", [1, 31, 32, 33, 100])
def test_a_function_sees_whole_blocks_and_its_results_do_not(n):
    seen = []

    def double(x):
        seen.append(len(x))
        return 2 * x

    X = np.ones((n, 3), dtype=np.float32)
    result = map_batches(double, X, torch.device("cpu"), batch_size=64)
    assert all(size % BLOCK_ROWS == 0 for size in seen)
    np.testing.assert_array_equal(result, 2 * X)


def test_a_read_only_array_is_not_written_to_and_raises_no_warning():
    X = np.ones((40, 2), dtype=np.float32)
    X.flags.writeable = False
    result = map_batches(torch.Tensor.zero_, X, torch.device("cpu"), 32)
    assert not result.any()
    assert X.all()


def test_an_array_back_to_front_is_taken():
    X = np.arange(40, dtype=np.float32).reshape(20, 2)
    result = map_batches(lambda x: 2 * x, X[::-1, ::-1], torch.device("cpu"), 32)
    np.testing.assert_array_equal(result, 2 * X[::-1, ::-1])


def test_a_column_of_a_record_array_is_taken():
    records = np.zeros(40, dtype=[("kind", "u1"), ("x", "f4", 2)])
    records["x"] = np.arange(80).reshape(40, 2)
    result = map_batches(lambda x: 2 * x, records["x"], torch.device("cpu"), 32)
    np.testing.assert_array_equal(result, 2 * records["x"])


def test_fewer_rows_are_scored_at_once_where_samples_or_layers_are_wide():
    X = np.zeros((5, 3), dtype=np.float32)
    encoder = torch.nn.Linear(3, 700)
    many, learned = (
        Centers(torch.zeros(100_000, 2), learnable=flag) for flag in (False, True)
    )
    assert rows_at_once(X) == 8192
    assert rows_at_once(X, Centers(torch.zeros(1, 2))) == 8192
    assert rows_at_once(X, encoder) == 352  # 11 blocks of 32
    assert rows_at_once(X, encoder, many) == rows_at_once(X, learned) == BLOCK_ROWS
    images = np.zeros((5, 3, 32, 32), np.uint8)
    assert rows_at_once(images, encoder) == 64
    assert rows_at_once(images, encoder, with_gradient=True) == BLOCK_ROWS


def test_a_network_is_applied_to_as_many_rows_as_stay_in_the_cache():
    class Seen(torch.nn.Linear):
        def forward(self, x):
            sizes.append(len(x))
            return super().forward(x)

    sizes, X = [], np.zeros((2000, 3), dtype=np.float32)
    map_batches(Seen(3, 700), X, torch.device("cpu"))
    assert sizes == [352] * 5 + [256]  # 240 and padding


def test_values_of_images_are_looked_at_without_a_copy_of_them_all(tmp_path):
    np.save(tmp_path / "X.npy", np.zeros((2000, 3, 32, 32), dtype=np.float32))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    tracemalloc.start()
    check_finite(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < X.nbytes / 5


def test_evenly_spaced_indices_reach_both_ends():
    assert evenly_spaced(10, 4).tolist() == [0, 3, 6, 9]
    assert evenly_spaced(3, 10).tolist() == [0, 1, 2]


# Values that are not finite.


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_single_value_that_is_not_finite_is_found(bad, order):
    X = np.ones((50, 7), dtype=np.float32, order=order)
    X[49, 3] = bad
    with pytest.raises(ValueError, match="Input X contains (NaN|infinity)"):
        check_finite(X)


def test_large_values_are_finite_though_their_squares_are_not():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_finite(np.full((50, 7), 1e30, dtype=np.float32))


def test_only_the_values_of_a_view_are_looked_at():
    X = np.ones((50, 8), dtype=np.float32)
    X[:, 1] = np.nan
    check_finite(X[:, ::2])
    with pytest.raises(ValueError, match="NaN"):
        check_finite(X[::2])


def test_values_that_are_not_finite_are_found_in_any_batch():
    X = np.ones((100, 3), dtype=np.float32)
    X[99, 2] = np.nan
    first, *_ = (rows for rows, _ in inference_batches(X[:99], torch.device("cpu"), 32))
    assert first == slice(0, 32)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        list(inference_batches(X, torch.device("cpu"), 32))


def test_values_are_not_looked_at_where_they_are_assumed_to_be_finite():
    X = np.full((3, 2), np.nan, dtype=np.float32)
    with config_context(assume_finite=True):
        ((_, batch),) = inference_batches(X, torch.device("cpu"), 32)
    assert batch[:3].isnan().all()


# Samples held out.


@pytest.mark.parametrize("n_drawn", [0, 1, 10, 57, 90])
def test_as_many_rows_are_held_out_as_are_asked_for_and_no_outliers(n_drawn):
    y = np.random.RandomState(0).randint(-1, 3, 160)
    drawn = hold_out(y, n_drawn, np.random.RandomState(0))
    assert len(drawn) == n_drawn
    assert (np.diff(drawn) > 0).all() and drawn.dtype.kind == "i"
    assert (y[drawn] >= 0).all()


def test_rows_are_held_out_of_classes_in_proportion_to_their_size():
    y = np.repeat([0, 1, 2], [600, 300, 100])
    sizes = np.bincount(y[hold_out(y, 100, np.random.RandomState(0))])
    np.testing.assert_allclose(sizes, [60, 30, 10], atol=1)


@pytest.mark.parametrize("n_drawn", [6, 7, 1000])
def test_a_row_of_each_class_is_left_however_many_are_asked_for(n_drawn):
    y = np.array([0, 0, 0, 1, 2, 2, 2, 2, 2, -1, -1])
    drawn = hold_out(y, n_drawn, np.random.RandomState(0))
    assert {*np.delete(y, drawn)} == {-1, 0, 1, 2}
    assert len(drawn) == 6


def test_each_row_is_as_likely_to_be_held_out():
    y, counts = np.zeros(10, dtype=int), np.zeros(10)
    random_state = np.random.RandomState(0)
    for _ in range(2000):
        counts[hold_out(y, 3, random_state)] += 1
    np.testing.assert_allclose(counts / 2000, 0.3, atol=0.04)


def test_where_there_is_nothing_to_hold_out_nothing_is():
    for y in (np.array([-1, -1]), np.array([0, 1]), np.array([0])):
        assert len(hold_out(y, 0, np.random.RandomState(0))) == 0
    assert len(hold_out(np.array([0, 1]), 5, np.random.RandomState(0))) == 0
