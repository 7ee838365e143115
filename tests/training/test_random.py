"""Random seeds within blocks, which leave the caller's streams unchanged."""

from threading import Thread

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_hypersphere._training.random import TorchStream, clone_with_seeds, make_seed

CPU = torch.device("cpu")


def test_the_stream_within_is_seeded_and_the_one_without_goes_on():
    with torch.random.fork_rng():
        torch.random.manual_seed(3)
        expected = torch.rand(2).tolist()
        torch.random.manual_seed(3)
        got = [torch.rand(1).item()]
        with TorchStream(0, CPU).active():
            first = torch.rand(3)
        got.append(torch.rand(1).item())
    with TorchStream(0, CPU).active():
        assert torch.equal(first, torch.rand(3))
    assert got == expected


def test_a_stream_goes_on_where_its_last_block_ended():
    stream, other = TorchStream(0, CPU), TorchStream(1, CPU)
    with stream.active():
        drawn = [torch.rand(2)]
    with other.active():
        torch.rand(1)
    with stream.active():
        drawn.append(torch.rand(2))
    with TorchStream(0, CPU).active():
        assert torch.equal(torch.cat(drawn), torch.cat([torch.rand(2), torch.rand(2)]))


def test_the_stream_is_restored_after_an_error():
    before = torch.get_rng_state()
    try:
        with TorchStream(0, CPU).active():
            torch.rand(1)
            raise KeyError
    except KeyError:
        pass
    assert torch.equal(before, torch.get_rng_state())


def test_threads_take_turns_and_draw_the_same():
    drawn = [None] * 8

    def draw(i):
        with TorchStream(0, CPU).active():
            drawn[i] = [torch.rand(1).item() for _ in range(200)]

    threads = [Thread(target=draw, args=(i,)) for i in range(len(drawn))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(numbers == drawn[0] for numbers in drawn)


def test_no_seed_means_a_new_one_and_the_global_stream_is_left():
    before = np.random.get_state()[1].copy()
    assert make_seed(None) != make_seed(None)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


def test_a_random_state_gives_the_next_of_its_seeds():
    stream = np.random.RandomState(0)
    seeds = [make_seed(stream), make_seed(stream)]
    stream = np.random.RandomState(0)
    assert seeds == [make_seed(stream), make_seed(stream)]
    assert seeds[0] != seeds[1]


def nested(*, outer=None, inner=None):
    """A pipeline in a pipeline, each with a part that draws."""
    return make_pipeline(
        make_pipeline(StandardScaler(), PCA(2, random_state=inner)),
        KMeans(2, random_state=outer),
    )


SEEDS = ["kmeans__random_state", "pipeline__pca__random_state"]


def test_parts_without_a_seed_are_given_one_each():
    copies = [clone_with_seeds(nested(), np.random.RandomState(s)) for s in (0, 0, 1)]
    first, again, other = ([c.get_params()[name] for name in SEEDS] for c in copies)
    assert len({*first, *other}) == 4
    assert all(isinstance(seed, int) and 0 <= seed < 2**31 for seed in first)
    assert first == again


def test_seeds_that_were_given_are_kept():
    copy = clone_with_seeds(nested(outer=0, inner=7), np.random.RandomState(3))
    assert [copy.get_params()[name] for name in SEEDS] == [0, 7]
    copy = clone_with_seeds(nested(outer=5), np.random.RandomState(3))
    outer, inner = (copy.get_params()[name] for name in SEEDS)
    assert outer == 5 and inner is not None


def test_the_original_of_a_copy_is_given_no_seed():
    original = nested()
    copy = clone_with_seeds(original, np.random.RandomState(0))
    assert copy is not original
    assert [original.get_params()[name] for name in SEEDS] == [None, None]


def test_an_estimator_that_draws_nothing_is_copied():
    stream = np.random.RandomState(0)
    copy = clone_with_seeds(StandardScaler(with_mean=False), stream)
    assert copy.get_params() == StandardScaler(with_mean=False).get_params()
    assert stream.randint(1000) == np.random.RandomState(0).randint(1000)


def test_a_frozen_estimator_stays_as_it_was_fitted():
    X = np.random.RandomState(0).randn(10, 3)
    fitted = PCA(2).fit(X)
    copy = clone_with_seeds(FrozenEstimator(fitted), np.random.RandomState(0))
    np.testing.assert_array_equal(copy.transform(X), fitted.transform(X))
    assert fitted.random_state is None
    steps = make_pipeline(FrozenEstimator(fitted), KMeans(2))
    copy = clone_with_seeds(steps, np.random.RandomState(0))
    assert copy[0].estimator is fitted and copy[1].random_state is not None
