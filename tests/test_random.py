"""Seeds that act within a block, and leave the caller's streams as they were."""

from threading import Thread

import numpy as np
import torch

from sk_hypersphere._random import make_seed, seeded

CPU = torch.device("cpu")


def test_the_stream_within_is_seeded_and_the_one_without_goes_on():
    with torch.random.fork_rng():
        torch.random.manual_seed(3)
        expected = torch.rand(2).tolist()
        torch.random.manual_seed(3)
        got = [torch.rand(1).item()]
        with seeded(0, CPU):
            first = torch.rand(3)
        got.append(torch.rand(1).item())
    with seeded(0, CPU):
        assert torch.equal(first, torch.rand(3))
    assert got == expected


def test_the_stream_is_restored_after_an_error():
    before = torch.get_rng_state()
    try:
        with seeded(0, CPU):
            torch.rand(1)
            raise KeyError
    except KeyError:
        pass
    assert torch.equal(before, torch.get_rng_state())


def test_threads_take_turns_and_draw_the_same():
    drawn = [None] * 8

    def draw(i):
        with seeded(0, CPU):
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
