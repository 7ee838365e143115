"""The harness of the benchmarks; the measurements themselves are not repeated."""

import cProfile
import io
import sys
from argparse import Namespace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import BaseEstimator, OutlierMixin
from skorch.callbacks import Callback
from torch import nn

from benchmarks.__main__ import parse
from benchmarks.cifar10 import FlipAndCrop, NormalizeColors, half_cosine
from benchmarks.datasets import (
    DATA_VARIABLE,
    Split,
    adbench_names,
    few_anomalies_task,
    gaussian_noise,
    gray_center,
    load_colored,
    load_cracks,
    load_letters,
    load_mnist,
    novelty_task,
    small_digits_few_labels,
    small_digits_open_set,
    small_digits_task,
    table_task,
    uniform_noise,
)
from benchmarks.methods import (
    CrossFitted,
    MaximumProbability,
    MeanOfSeeds,
    NeighborDistance,
    ScoreOfRival,
    all_streams_seeded,
    can_run,
    check_finished,
    fit_classifier,
    fit_exposed,
    gradient_boosting,
    logistic_regression,
    novelty_figures,
)
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
from benchmarks.report import (
    BLOCK,
    FRONT_PAGE,
    README,
    column,
    markdown_table,
    mean_and_spread,
    render_all,
    rewrite_blocks,
)
from benchmarks.results import Results
from benchmarks.tables import (
    TABLES,
    deep_svdd,
    eidn,
    eidn_pictures,
    ensembles,
    exposure,
    exposure_cifar10,
    false_alarms,
    finch,
    growth,
    imports,
    loss_curves,
    mchad,
    mchad_cifar10,
    multi_radius,
    profile,
    quickstart,
    speed,
    subclusters,
    subclusters_cifar10,
    tabular,
)
from sk_hypersphere import DeepSVDD, MCHADClassifier
from sk_hypersphere._finch import _first_neighbors
from sk_hypersphere.losses import EIDNLoss
from sk_hypersphere.modules import Centers, Hypersphere, OriginAndOnes


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "table.csv")


def test_a_row_is_on_disk_as_soon_as_it_is_added(results):
    results.add(method="a", seed=0, seconds="1.5")
    assert Results(results.path).rows == results.rows


def test_a_row_carries_the_version_of_the_package(results):
    results.add(method="a")
    assert results.rows[0]["version"]


def test_finished_rows_are_known_after_a_restart(results):
    results.add(method="a", seed=0)
    restarted = Results(results.path)
    assert restarted.done(method="a", seed=0)
    assert not restarted.done(method="a", seed=1)


def test_a_line_cut_short_by_an_interruption_is_measured_again(results):
    results.add(method="a", seed=0)
    whole = results.path.read_bytes()
    results.add(method="b", seed=0)
    results.path.write_bytes(results.path.read_bytes()[:-3])
    restarted = Results(results.path)
    assert not restarted.done(method="b")
    assert results.path.read_bytes() == whole


def test_a_header_without_a_row_is_written_again(results):
    results.path.write_text("method,se")
    restarted = Results(results.path)
    restarted.add(method="a")
    assert Results(results.path).rows == restarted.rows


def test_columns_in_another_order_stay_under_their_names(results):
    results.add(first="1", second="2")
    results.add(second="4", first="3")
    assert [row["first"] for row in Results(results.path).rows] == ["1", "3"]


def test_a_row_with_other_columns_is_refused(results):
    results.add(method="a")
    with pytest.raises(ValueError, match="must have the columns method, version, got"):
        results.add(seed=0)


def test_cleared_results_are_gone_from_disk(results):
    results.add(method="a")
    results.clear()
    assert Results(results.path).rows == []


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_table_says_what_it_is(table):
    assert table.DESCRIPTION.endswith(".")
    assert callable(table.run) and callable(table.render)


def test_every_table_has_a_place_in_the_readme():
    blocks = [block["name"] for block in BLOCK.finditer(README.read_text("utf-8"))]
    assert blocks == list(TABLES)


@pytest.mark.parametrize("page", [README, FRONT_PAGE], ids=["benchmarks", "front"])
def test_the_tables_on_a_page_are_those_of_the_results(page):
    rendered = render_all(TABLES.values(), lambda name: Results.of_table(name).rows)
    text = page.read_text("utf-8")
    assert BLOCK.search(text)
    assert rewrite_blocks(text, rendered) == text


def test_only_the_marked_blocks_are_rewritten():
    text = "before\n<!-- table: a -->\nold\n<!-- end -->\nafter"
    expected = "before\n<!-- table: a -->\nnew\n<!-- end -->\nafter"
    assert rewrite_blocks(text, {"a": "new"}) == expected


def test_a_block_without_a_table_is_an_error():
    with pytest.raises(ValueError, match="'b' that does not exist; there are a"):
        rewrite_blocks("<!-- table: b -->\n<!-- end -->", {"a": "new"})


def test_the_first_column_of_a_table_is_text():
    assert markdown_table(["m", "x"], [["a", 1]]).splitlines() == [
        "| m | x |",
        "| --- | ---: |",
        "| a | 1 |",
    ]


def test_a_single_value_has_no_spread():
    assert mean_and_spread(["1.0"]) == "1.0"
    assert mean_and_spread([1, 3]) == "2.0 ± 1.4"


def test_an_unknown_table_is_answered_with_the_tables_there_are(capsys):
    with pytest.raises(SystemExit):
        parse(["imagenet"])
    assert "'imagenet'; there are quickstart, deep-svdd" in capsys.readouterr().err


def test_groups_of_digits_are_drawn_once_and_for_all():
    assert multi_radius.draw_groups() == [
        *[(0, 1), (6, 7), (2, 3), (0, 9)],
        *[(0, 1, 3), (2, 5, 8), (5, 6, 9), (6, 7, 9), (2, 7, 8)],
        *[(0, 1, 3, 7), (0, 2, 4, 6), (0, 1, 7, 9), (0, 3, 7, 8)],
    ]


def test_a_detector_of_small_digits_sees_normal_ones_only():
    task = small_digits_task((0, 1, 3), seed=0)
    assert set(task.y_train) == {0, 1, 3}
    assert len(task.x_train) + len(task.x_test) == 1797


def test_novelties_among_small_digits_are_in_the_test_only():
    task = small_digits_open_set((0, 1, 2), (6, 7), seed=0)
    assert set(task.y_train) == {0, 1, 2}
    assert set(task.y_test[task.is_known]) == {0, 1, 2}
    assert set(task.y_test[~task.is_known]) == {3, 4, 5, 8, 9}
    assert len(task.x_train) + len(task.x_test) + len(task.examples) == 1797


def test_anomalies_that_are_shown_are_not_tested():
    task = small_digits_few_labels((0, 1), n_labelled=5, seed=0)
    without = small_digits_task((0, 1), seed=0)
    trained, tested = (
        {image.tobytes() for image in images} for images in (task.x_train, task.x_test)
    )
    assert task.is_labelled.sum() == 5 and not trained & tested
    np.testing.assert_array_equal(task.x_train[~task.is_labelled], without.x_train)
    assert np.sum(~task.is_normal) == np.sum(~without.is_normal) - 5


def test_half_of_the_known_small_digits_is_trained_on():
    task = small_digits_open_set((0, 1, 2), (6, 7), seed=0)
    assert task.is_known.sum() - len(task.x_train) in (0, 1)
    trained, tested = (
        {image.tobytes() for image in images} for images in (task.x_train, task.x_test)
    )
    assert not trained & tested


def test_example_anomalies_are_given_to_a_model_in_a_pipeline():
    task = small_digits_open_set((0, 1), (6,), seed=0)
    classifiers = quickstart.make_classifiers(seed=0, device="cpu")
    labels = {
        method: set(quickstart.training_samples(classifier, task)[1])
        for method, classifier in classifiers.items()
    }
    assert labels.pop("MCHADClassifier(outlier_label=-1)") == {0, 1, -1}
    assert all(given == {0, 1} for given in labels.values())


@pytest.mark.parametrize(
    "classifier",
    [quickstart.LinearClassifier(), quickstart.NeighborClassifier(2)],
    ids=lambda classifier: type(classifier).__name__,
)
def test_rivals_score_samples_between_the_classes_lower(classifier):
    X = np.array([[0.0], [1.0], [9.0], [10.0]])
    known, between = classifier.fit(X, [0, 0, 1, 1]).score_samples([[0.0], [5.0]])
    assert known > between


def test_classifiers_stand_in_a_table_of_their_own():
    figures = zip(quickstart.CLASSIFICATION, ("0.99", "0.9", "0.895"), strict=True)
    row = {"method": "Net()", "seed": "0", "clusters": "", "seconds": "2"}
    rows = [row | {"measure": measure, "value": value} for measure, value in figures]
    page = quickstart.render(rows)
    assert page.count("Net()") == 1
    assert "| `Net()` | 99.0 | 90.0 | 89.5 | 2.00 |" in page


def test_mnist_is_read_from_the_folder_that_the_environment_names(
    tmp_path, monkeypatch
):
    images, digits = np.zeros((2, 28, 28), dtype=np.uint8), np.arange(2)
    np.savez(
        tmp_path / "mnist.npz",
        x_train=images,
        y_train=digits,
        x_test=images[:1],
        y_test=digits[:1],
    )
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    mnist = load_mnist()
    assert mnist.x_train.shape == (2, 1, 28, 28)
    assert mnist.y_test.tolist() == [0]


def test_a_mean_over_digits_waits_for_all_of_them():
    rows = [
        {"digit": str(digit), "method": "m", "epochs": "", "seed": "0", "auroc": "90"}
        for digit in range(10)
    ]
    *_, mean = deep_svdd.render(rows).splitlines()
    *_, mean_of_nine = deep_svdd.render(rows[:9]).splitlines()
    assert mean == "| mean | 94.8 | 93.5 | 90.0 |"
    assert mean_of_nine == "| mean | 94.8 | 93.5 |  |"


def test_a_mean_over_groups_stands_beside_the_published_one():
    rows = [
        {
            "group": group,
            "method": "m",
            "epochs": "6 + 8",
            "seed": "0",
            "auroc": auroc,
            "clusters": "2",
            "seconds": "60",
        }
        for group, auroc in (("6 7", "95.0"), ("2 3", "96.0"))
    ]
    assert "| mean of 2 digits | 94.3 | 96.3 | 95.5 |" in multi_radius.render(rows)


def race_rows(case, *contestants):
    """Rows of a race, given names and the seconds of each round."""
    return [
        {
            "case": case,
            "contestant": name,
            "round": str(number),
            "seconds": seconds,
            "peak_mib": "",
        }
        for name, times in contestants
        for number, seconds in enumerate(times)
    ]


def test_speed_is_the_median_of_ratios_within_rounds():
    rows = race_rows("c", (BARE, "121"), (OURS, "283"), ("rival", "446"))
    *_, ours, rival = speed.render(rows).splitlines()
    ratio = "3.00 (2.50 to 3.50)"
    assert ours == f"| c | sk_hypersphere | 3000 | {ratio} | 1.00 (1.00 to 1.00) | 3 |"
    assert "| 4000 | 4.00 (3.00 to 5.00) | 2.00 (1.25 to 2.00) |" in rival


def test_races_without_ours_are_compared_with_the_first_alone():
    rows = race_rows("search", ("sequential", "44"), ("n_jobs=2", "22"))
    *_, parallel = speed.render(rows).splitlines()
    assert parallel == "| search | n_jobs=2 | 2000 | 0.50 (0.50 to 0.50) |  | 2 |"


def test_memory_is_a_table_of_its_own():
    rows = race_rows("c", (BARE, "1"), (OURS, "2"))
    rows += race_rows("fitting", (OURS, "1")) + race_rows("fitting", ("rival", "1"))
    rows[2]["peak_mib"], rows[3]["peak_mib"] = "32", "320"
    *_, memory = speed.render(rows).split("\n\n")
    assert (
        memory.splitlines()[0]
        == "| peak above the input, MiB | sk_hypersphere | rival |"
    )
    assert memory.splitlines()[-1] == "| fitting | 32 | 320 |"


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
        partial(deep_svdd_races.score_by_default, 1000, 32),
        partial(deep_svdd_races.score_by_default, 100, 1, 28, 28),
        partial(odin_races.on_rows, n_rows=1000),
        partial(odin_races.on_images, n_rows=1000),
    ],
    ids=lambda race: f"{race.func.__module__}.{race.func.__name__}{race.args}",
)
def test_all_contestants_of_a_race_finish(race):
    contestants, _ = race()
    assert {BARE, OURS} <= contestants.keys()
    assert all(np.isfinite(contestant()) for contestant in contestants.values())


@pytest.mark.parametrize(
    "race",
    [
        partial(deep_svdd_races.train_lenet, 60, batch_size=30),
        partial(mchad_races.on_images, 16, batch_size=8, depth=10, widen_factor=1),
    ],
    ids=["LeNet", "WRN"],
)
def test_options_of_the_net_take_part_in_races_on_a_device(race):
    compiler = {"compile": True, "compile__backend": "eager"}
    net_params = {"bfloat16": {"autocast": torch.bfloat16}, "compiled": compiler}
    contestants, _ = race(epochs=2, n_skipped=1, net_params=net_params)
    assert [*contestants] == [BARE, OURS, f"{OURS}, bfloat16", f"{OURS}, compiled"]
    assert all(contestant() > 0 for contestant in contestants.values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without CUDA")
def test_races_on_a_device_that_is_absent_are_small_and_named_after_the_cpu(capsys):
    races = speed.races_on_device("cuda")
    assert "no CUDA device" in capsys.readouterr().out
    assert all(case.endswith(", on cpu") for case in races)
    assert any("WRN-40-2, 64 x" in case for case in races)


def test_a_race_is_run_once_and_goes_on_after_an_interruption(results):
    runs = []
    contestants = {name: lambda name=name: runs.append(name) or 1.0 for name in "ab"}
    race = speed.Race(lambda: (contestants, 1), n_rounds=2)
    speed.run_race(results, "case", race, times=1)
    speed.run_race(results, "case", race, times=1)
    assert len(results.rows) == 4
    assert sorted(runs) == sorted("ab" * (2 + 2))  # each race warms up


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


def save_letters(folder):
    letters = np.arange(26).repeat(2)
    images = np.full((52, 28, 28), 200, dtype=np.uint8)
    images[:, 0, 0] = letters  # so that an image can be told by its first pixel
    np.savez(folder / "emnist_letters_10k.npz", x=images, y=letters)


def save_colored(folder, name, images):
    """One part, "test", as packed JPEG images, which keeps a single color exactly."""
    files = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, format="JPEG")
        files.append(file.getvalue())
    np.savez(
        folder / f"{name}.jpeg.npz",
        test_jpeg=np.frombuffer(b"".join(files), dtype=np.uint8),
        test_offsets=np.cumsum([0, *map(len, files)]),
        y_test=np.arange(len(images), dtype=np.uint8),
    )


def gray_images():
    """Three images of 32 x 32 pixels: black, gray and white."""
    return np.full((3, 32, 32, 3), 255, dtype=np.uint8) // np.array(
        [255, 2, 1], dtype=np.uint8
    ).reshape(-1, 1, 1, 1)


def test_every_letter_is_either_exposed_or_unseen(tmp_path, monkeypatch):
    save_letters(tmp_path)
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    exposed, unseen = load_letters()
    assert exposed.shape == unseen.shape == (26, 1, 28, 28)
    first, second = ({*images[:, 0, 0, 0].tolist()} for images in (exposed, unseen))
    assert first == {*range(13)} and second == {*range(13, 26)}


def test_packed_images_are_decoded_with_channels_first(tmp_path, monkeypatch):
    images = gray_images()
    save_colored(tmp_path, "cifar10", images)
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    decoded, classes = load_colored("cifar10", "test")
    np.testing.assert_array_equal(decoded, images.transpose(0, 3, 1, 2))
    assert decoded.dtype == np.uint8 and classes.tolist() == [0, 1, 2]


def test_unpacked_images_are_preferred(tmp_path, monkeypatch):
    save_colored(tmp_path, "cifar10", gray_images())
    plain = gray_images()[:1]
    np.savez(tmp_path / "cifar10.npz", x_test=plain, y_test=np.array([7]))
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    images, classes = load_colored("cifar10", "test")
    assert images.shape == (1, 3, 32, 32) and classes.tolist() == [7]


def test_data_that_only_a_folder_has_asks_for_the_folder(monkeypatch):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(ValueError, match=f"{DATA_VARIABLE} must name, got none"):
        load_letters()


def test_grey_images_are_the_middle_by_their_brightness():
    images = np.zeros((2, 3, 32, 32), dtype=np.uint8)
    images[0, 1, 2, 2] = 100  # green, in the first pixel that is left
    images[1, :, :2] = 255  # in what is cut off
    gray = gray_center(images)
    assert gray.shape == (2, 1, 28, 28) and gray.dtype == np.uint8
    assert gray[0, 0, 0, 0] == 59 and gray[0].sum() == 59
    assert not gray[1].any()


@pytest.mark.parametrize("draw", [uniform_noise, gaussian_noise])
def test_noise_is_the_same_every_time(draw):
    noise = draw((50, 1, 8, 8))
    assert noise.dtype == np.uint8
    np.testing.assert_array_equal(noise, draw((50, 1, 8, 8)))
    assert (noise != draw((50, 1, 8, 8), seed=1)).any()


def test_gaussian_noise_is_clipped_at_both_ends():
    noise = gaussian_noise((100, 1, 10, 10))
    for end in (0, 255):  # what lies beyond one standard deviation
        assert np.mean(noise == end) == pytest.approx(0.16, abs=0.02)


def test_figures_are_in_percent_and_found_outliers_count():
    figures = novelty_figures(np.array([3.0, 2.0, 1.0, 0.0]), np.array([0.5, -1.0]))
    assert figures["auroc"] == "87.50"
    assert figures["fpr95"] == "25.00"


def images_of_bars(n=64):
    """Images of a vertical and of a horizontal bar, and which it is."""
    random_state = np.random.RandomState(0)
    images = random_state.randint(50, size=(n, 1, 8, 8)).astype(np.uint8)
    labels = np.arange(n) % 2
    images[labels == 0, :, :, 3:5] += 150
    images[labels == 1, :, 3:5] += 150
    return images, np.array(["vertical", "horizontal"])[labels]


def test_the_softmax_baseline_learns_two_shapes():
    images, names = images_of_bars()
    model = MaximumProbability(max_epochs=10, device="cpu").fit(images, names)
    assert (model.predict(images) == names).all()
    scores = model.score_samples(images)
    assert scores.shape == (64,) and (scores <= 0).all()


def test_example_anomalies_go_to_models_that_take_them():
    images, names = images_of_bars()
    given = {"max_epochs": 1, "device": "cpu", "random_state": 0}
    models = {"without": MCHADClassifier(**given), "exposed": MCHADClassifier(**given)}
    models["exposed"].set_params(outlier_label="other")
    for model in models.values():
        fit_classifier(model, images, names, exposure=images[:8])
    losses = [model.net_.history[0, "train_loss"] for model in models.values()]
    assert losses[0] != losses[1]
    assert models["exposed"].classes_.tolist() == ["horizontal", "vertical"]


def interrupt_in_epoch(number):
    class Interrupt(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == number:
                raise KeyboardInterrupt

    return Interrupt()


def test_an_interrupted_training_is_no_result():
    images, names = images_of_bars()
    model = MCHADClassifier(
        max_epochs=2, device="cpu", callbacks=[interrupt_in_epoch(2)]
    )
    with pytest.raises(KeyboardInterrupt):
        fit_classifier(model, images, names, exposure=images)


def claim_rows(**figures):
    """Rows of two seeds, of accuracy, AUROC and errors found, by model."""
    return [
        {
            "model": model,
            "seed": seed,
            "epochs": str(mchad.EPOCHS),
            "outliers": outliers,
            "accuracy": str(accuracy),
            "auroc": str(auroc),
            "aupr_in": "1",
            "aupr_out": "1",
            "fpr95": "1",
            "error_auroc": str(errors),
        }
        for model, (accuracy, auroc, errors) in figures.items()
        for seed in "01"
        for outliers in mchad.OUTLIER_SETS
    ]


def test_claims_are_judged_by_the_rows():
    rows = claim_rows(
        **{
            "softmax": (99, 95, 96),
            "MCHAD": (98.6, 94, 91),
            "G-MCHAD": (98, 97, 91),
            "G-MCHAD, alpha = 0": (98.5, 96, 91),
        }
    )
    lines = mchad.claims_table(rows).splitlines()[2:]
    assert [line.split(" | ")[-4:] for line in lines] == [
        ["98.60", "99.00", "yes", "2 of 2 |"],
        ["94.00", "95.00", "no", "0 of 2 |"],
        ["97.00", "94.00", "yes", "2 of 2 |"],
        ["98.00", "98.60", "no", "0 of 2 |"],
        ["97.00", "96.00", "yes", "2 of 2 |"],
        ["98.00", "98.50", "no", "0 of 2 |"],
        ["91.00", "90.00", "yes", "2 of 2 |"],
    ]


def test_a_claim_waits_for_all_sets_of_outliers():
    rows = claim_rows(softmax=(99, 95, 96), MCHAD=(99, 97, 96))[:-1]
    assert "| 1 of 1 |" in mchad.claims_table(rows)
    assert "2 of" not in mchad.claims_table(rows)


def test_the_poster_stands_beside_our_rows_on_cifar():
    row = {"model": "MCHAD", "seed": "0", "epochs": "60", "device": "GPU"}
    figures = dict.fromkeys(mchad_cifar10.FIGURES, "90.0")
    rows = [
        row | figures | {"outliers": outliers}
        for outliers in mchad_cifar10.OUTLIER_SETS
    ]
    page = mchad_cifar10.render(rows)
    assert "| published, MCHAD | 94.84 | 94.33 | 95.95 | 89.94 | 15.81 |" in page
    assert "| MCHAD | 90.00 | 90.00 | 90.00 | 90.00 | 90.00 |" in page
    assert "G-MCHAD" not in page


def test_images_are_flipped_and_shifted_in_training_only():
    image = torch.arange(1.0, 33.0).reshape(1, 2, 4, 4)
    images = image.expand(200, 2, 4, 4)
    augment = FlipAndCrop(padding=1)
    assert augment.eval()(images) is images
    padded = torch.nn.functional.pad(image[0], [1] * 4)
    possible = {
        tuple(view[:, top : top + 4, left : left + 4].flatten().tolist())
        for view in (padded, padded.flip(2))
        for top in range(3)
        for left in range(3)
    }
    shown = {tuple(image.flatten().tolist()) for image in augment.train()(images)}
    assert shown == possible


def test_flips_and_shifts_draw_from_the_stream_of_torch_alone():
    images = torch.rand(20, 3, 8, 8)
    augment = FlipAndCrop()
    before = np.random.get_state()[1].copy()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = augment(images)
        torch.manual_seed(0)
        assert torch.equal(augment(images), first)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_an_interrupted_network_goes_on_as_if_nothing_had_happened(tmp_path):
    size = mchad_cifar10.SMOKE._replace(epochs=3)
    random_state = np.random.RandomState(0)
    images = random_state.randint(256, size=(32, 3, 8, 8)).astype(np.uint8)
    labels = np.arange(32) % 2

    def fit(path, *callbacks):
        model = mchad_cifar10.make_model("G-MCHAD", size, path, "cpu", seed=0)
        model.set_params(callbacks=[*model.callbacks, *callbacks], verbose=0)
        fit_classifier(model, images, labels, exposure=images[:5])
        return model

    straight = fit(tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "interrupted", interrupt_in_epoch(3))
    resumed = fit(tmp_path / "interrupted")
    assert len(resumed.net_.history) == 3
    assert resumed.net_.max_epochs == 1  # two were done before
    np.testing.assert_array_equal(
        resumed.score_samples(images), straight.score_samples(images)
    )
    assert mchad_cifar10.seconds_trained(resumed) > 0


def exposure_rows(**values):
    """Rows of two seeds, one digit each, by method and number of letters."""
    return [
        {
            "digit": "5",
            "method": method,
            "exposure": str(count),
            "seed": seed,
            "epochs": "default",
            "auroc": str(value),
        }
        for method, by_count in values.items()
        for count, value in by_count.items()
        for seed in "01"
    ]


def test_letters_are_drawn_by_the_seed_and_more_include_fewer():
    letters = np.arange(100)
    few, many, other = (
        exposure.draw_letters(letters, count, seed)
        for count, seed in ((8, 0), (32, 0), (32, 1))
    )
    assert len(few) == 8 and len({*many}) == 32
    assert {*few} < {*many} and {*many} != {*other}


def test_every_number_of_letters_is_tried_with_every_seed():
    curves = [
        fit
        for fit in exposure.plan(exposure.FULL_SIZE, n_seeds=3)
        if fit.method == "`HSC()`" and fit.exposure < exposure.FULL_SIZE.n_letters
    ]
    assert len(curves) == len({*curves}) == 3 * 3 * 6


def test_a_curve_passes_where_it_stays_above():
    by_count = {0: [90], 1: [96], 8: [94], 32: [95.5, 96.5], 128: [97]}
    assert exposure.passing_count(by_count, rival=95) == "32"
    assert exposure.passing_count(by_count, rival=93) == "1"
    assert exposure.passing_count(by_count, rival=80) == "0"
    assert exposure.passing_count(by_count, rival=97) == "not reached"


def test_numbers_of_letters_stand_in_the_order_of_their_size():
    counts = {1024: 99, 0: 50, 8: 97, 10_000: 99.5}
    rows = exposure_rows(**{"`HSC()`": counts, "`DeepSVDD()`": {0: 95}})
    page = exposure.render(rows)
    assert "| letters shown | 0 | 8 | 1,024 |" in page
    assert "| `HSC()` | 50.0 ± 0.0 | 97.0 ± 0.0 | 99.0 ± 0.0 |" in page
    assert "| `DeepSVDD()`, 95.0 | 8 |" in page
    assert "| mean | 95.0 | 99.5 |" in page


def test_the_curves_are_drawn_as_far_as_they_are_known(tmp_path, monkeypatch):
    picture = tmp_path / "exposure.png"
    monkeypatch.setattr(exposure, "PICTURE", picture)
    exposure.draw(exposure_rows(**{"`HSC()`": {10_000: 99}}))
    assert not picture.exists()
    exposure.draw(exposure_rows(**{"`HSC()`": {0: 90, 8: 97, 10_000: 99}}))
    assert picture.exists()


def test_the_published_numbers_stand_beside_ours():
    row = {"method": "HSC", "seed": "0", "epochs": "200", "device": "GPU"}
    rows = [row | {"class": name, "auroc": "96.5"} for name in exposure_cifar10.CLASSES]
    page = exposure_cifar10.render(rows)
    assert "| cat | 89.8 | 96.5 |" in page
    assert "| mean | 95.9 | 96.5 |" in page and "Deep SAD" not in page
    assert "| mean | 95.9 |  |" in exposure_cifar10.render(rows[:9])


def test_published_means_are_those_of_the_classes():
    for method, published in exposure_cifar10.PUBLISHED_MEANS.items():
        values = [line[method] for line in exposure_cifar10.PUBLISHED.values()]
        assert np.mean(values) == pytest.approx(published, abs=0.1)


def test_the_learning_rate_falls_in_two_steps():
    rates = [exposure_cifar10.two_steps(n_done, 200) for n_done in (0, 99, 100, 150)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5])


def test_the_published_network_takes_images_of_cifar():
    encoder = exposure_cifar10.make_encoder((3, 32, 32), 256).eval()
    images = torch.full((2, 3, 32, 32), 200.0)
    assert encoder(images).shape == (2, 256)
    n_weights = sum(weights.numel() for weights in encoder.parameters())
    assert n_weights == 1_440_512


def test_pixels_are_noisy_in_training_only():
    noise, images = exposure_cifar10.PixelNoise(), torch.zeros(10, 3, 32, 32)
    assert noise.train()(images).std().item() == pytest.approx(0.255, rel=0.05)
    assert torch.equal(noise.eval()(images), images)


@pytest.mark.parametrize("method", ["HSC", "BCE", "Deep SAD"])
def test_an_interrupted_detector_goes_on_as_if_nothing_had_happened(method, tmp_path):
    random_state = np.random.RandomState(0)
    images = random_state.randint(256, size=(32, 3, 8, 8)).astype(np.uint8)

    def fit(path, *callbacks):
        size = exposure_cifar10.SMOKE
        detector = exposure_cifar10.make_detector(method, size, path, "cpu", seed=0)
        detector.set_params(callbacks=[*detector.callbacks, *callbacks], verbose=0)
        fit_exposed(detector, images[:24], images[24:])
        check_finished(detector, size.epochs)
        return detector

    straight = fit(tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "interrupted", interrupt_in_epoch(3))
    resumed = fit(tmp_path / "interrupted")
    assert resumed.net_.max_epochs == 1  # two were done before
    np.testing.assert_array_equal(
        resumed.score_samples(images), straight.score_samples(images)
    )


def test_only_tables_with_a_small_run_have_one(capsys):
    assert parse(["mchad-cifar10", "--smoke"]).smoke
    for arguments in (["--smoke"], ["speed", "--smoke"]):
        with pytest.raises(SystemExit):
            parse(arguments)
        assert "--smoke needs names of tables" in capsys.readouterr().err


@pytest.fixture(scope="module")
def curves():
    panels = loss_curves.make_panels()
    return {curve.loss: curve.value for panel in panels for curve in panel.curves}


@pytest.mark.parametrize(
    ("loss", "distance", "expected"),
    [
        ("SoftBoundaryLoss, R = 1, ν = 0.1", 0.5, 1),
        ("SoftBoundaryLoss, R = 1, ν = 0.1", 2, 1 + (4 - 1) / 0.1),
        ("OneClassLoss", 3, 9),
        ("MCHADLoss, compactness, r = 0", 3, 9),
        ("MCHADLoss, compactness, r = 1", 3, 9 - 1),
        ("CACLoss, anchor", 3, 3),
        ("MCHADLoss, variation", 3, np.log1p(np.exp(9 - 1))),
        ("CenterLoss, cross-entropy", 3, np.log1p(np.exp((9 - 1) / 2))),
        ("CACLoss, tuplet", 3, np.log1p(np.exp(3 - 1))),
        ("CACLoss, tuplet", 6, np.log1p(np.exp(6 - 2))),
        ("MCHADLoss, outliers, r = 0, m = 2", 0, 4),
        ("MCHADLoss, outliers, r = 1, m = 1", 1, 4 - 1),
        ("IILoss, samples 2 from their mean", 3, 4 - 9),
        ("IILoss, samples at their mean", 3, -9),
        ("HSCLoss, normal, squared", 3, 9),
        ("HSCLoss, normal, pseudo-huber", 3, np.sqrt(9 + 1) - 1),
        ("DeepSADLoss, no label", 3, 9),
        ("HSCLoss, anomaly, squared", 1, -np.log(1 - np.exp(-1))),
        ("HSCLoss, anomaly, pseudo-huber", 1, -np.log(1 - np.exp(1 - np.sqrt(2)))),
        ("HSCLoss, anomaly, pseudo-huber", 0, -np.log(1e-7)),
        ("DeepSADLoss, anomaly, ε = 0.1", 2, 1 / (4 + 0.1)),
        ("DeepSADLoss, anomaly, ε = 1e-6", 0, 1e6),
    ],
)
def test_a_curve_is_the_loss_computed_by_hand(curves, loss, distance, expected):
    assert curves[loss](distance) == pytest.approx(expected)


@pytest.mark.parametrize("panel", loss_curves.make_panels(), ids=lambda p: p.title)
def test_names_of_curves_stand_inside_their_panel(panel):
    low, high = panel.limits
    for curve in panel.curves:
        x, y = curve.name_at
        assert 0 < x < panel.farthest and low < y < high


@pytest.mark.parametrize("panel", loss_curves.make_panels(), ids=lambda p: p.title)
def test_a_band_ends_around_a_line_of_its_panel(panel):
    ends = {curve.loss: curve.value(panel.farthest) for curve in panel.curves}
    for band in (c for c in panel.curves if c.style is loss_curves.BAND):
        lines = [ends[c.loss] for c in panel.curves if c.style is loss_curves.LINE]
        assert any(ends[band.loss] == pytest.approx(end, rel=0.01) for end in lines)


def test_values_of_a_curve_stand_below_their_distances():
    rows = [
        {"panel": "P", "loss": "L", "distance": str(d / 2), "value": str(d)}
        for d in range(9)
    ]
    *_, last = loss_curves.render(rows).splitlines()
    assert last == "| L | 0.00 | 2.00 | 4.00 | 6.00 | 8.00 |"


def save_table(folder, name, n_normal, n_anomalies):
    """A table of one feature, which tells rows apart: below 0 in anomalies."""
    (folder / "adbench").mkdir(exist_ok=True)
    X = np.concatenate([np.arange(n_normal), -1 - np.arange(n_anomalies)])[:, None]
    np.savez(folder / "adbench" / f"{name}.npz", X=X.astype(np.float32), y=X[:, 0] < 0)


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """A folder with two tables of 100 rows, 20 of them anomalies."""
    for name in ("b", "a"):
        save_table(tmp_path, name, n_normal=80, n_anomalies=20)
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))


def test_tables_are_found_in_the_folder(tables):
    assert adbench_names() == ["a", "b"]


def test_a_table_is_split_by_the_share_of_anomalies(tables):
    task = table_task("a", seed=0, labelled_share=0.1)
    assert task.x_train.shape == (60, 1) and task.x_test.shape == (40, 1)
    assert (task.x_train < 0).sum() == 12 and (~task.is_normal).sum() == 8
    assert not {*task.x_train[:, 0]} & {*task.x_test[:, 0]}
    np.testing.assert_array_equal(task.is_normal, task.x_test[:, 0] >= 0)


def test_normal_rows_of_a_table_are_trained_on_without_labels(tables):
    task = table_task("a", seed=0)
    assert task.x_train.shape == (48, 1) and (task.x_train >= 0).all()
    assert not task.is_labelled.any()


@pytest.mark.parametrize(("share", "n_labelled"), [(0.01, 1), (0.25, 3), (1.0, 12)])
def test_a_share_of_the_anomalies_is_labelled(tables, share, n_labelled):
    task = table_task("a", seed=0, labelled_share=share)
    assert task.is_labelled.sum() == n_labelled
    assert (task.x_train[task.is_labelled] < 0).all()


def test_the_test_rows_of_a_table_do_not_depend_on_the_labels(tables):
    tests = [table_task("a", 0, share).x_test for share in (None, 0.01, 0.1)]
    for x_test in tests[1:]:
        np.testing.assert_array_equal(x_test, tests[0])


def test_seeds_split_a_table_differently(tables):
    first, other = (table_task("a", seed).x_test for seed in (0, 1))
    assert {*first[:, 0]} != {*other[:, 0]}
    np.testing.assert_array_equal(table_task("a", 0).x_test, first)


def test_of_a_large_table_some_rows_are_drawn(tables):
    task = table_task("a", seed=0, labelled_share=0.1, max_rows=50)
    assert len(task.x_train) + len(task.x_test) == 50


def test_labelled_anomalies_do_not_move_the_scaler(tables):
    task = tabular.standardize(table_task("a", seed=0, labelled_share=1.0))
    unlabelled = task.x_train[~task.is_labelled]
    assert unlabelled.mean() == pytest.approx(0, abs=1e-12)
    assert unlabelled.std() == pytest.approx(1)
    assert task.x_train[task.is_labelled].max() < unlabelled.min()


def test_methods_are_told_about_labelled_rows_in_their_own_words(tables):
    task = table_task("a", seed=0, labelled_share=0.25)
    (X,) = tabular.training_rows(task, labels=None)
    assert len(X) == 60 - 3
    X, y = tabular.training_rows(task, labels=(-1, 1))
    assert len(X) == 60
    np.testing.assert_array_equal(y == -1, task.is_labelled)
    assert set(y) == {-1, 1}


@pytest.mark.parametrize("labelled", tabular.SHARES)
def test_every_method_scores_the_rows_of_a_table(tables, labelled):
    share = tabular.SHARES[labelled]
    task = tabular.standardize(table_task("a", seed=0, labelled_share=share))
    for name, method in tabular.methods_of(labelled).items():
        if name not in tabular.PEERS:
            detector = method.make("cpu", 0)
            detector.fit(*tabular.training_rows(task, method.labels))
            scores = detector.score_samples(task.x_test)
            assert scores.shape == (40,) and np.isfinite(scores).all(), name


def test_an_interrupted_table_is_not_measured_twice(tables, results, monkeypatch):
    monkeypatch.setattr(tabular, "SMOKE", tabular.Size(("a", "b"), 1, max_rows=100))
    options = parse(["tabular", "--smoke", "--only", "nei", "--device", "cpu"])
    tabular.run(results, options)
    rows = [*results.rows]
    assert len(rows) == 2 * 4  # tables, and normal rows only or one of three shares
    assert {row["method"] for row in rows} == {"5 neighbours"}
    tabular.run(results, options)
    assert results.rows == rows


def test_scores_of_seeds_count_alike_whatever_their_unit():
    class Detector(NeighborDistance):
        def __init__(self, n_neighbors=1, random_state=0):
            super().__init__(n_neighbors)
            self.random_state = random_state

        def score_samples(self, X):
            return super().score_samples(X) * 10.0**self.random_state

    X = np.random.RandomState(0).standard_normal((30, 2))
    many = MeanOfSeeds(Detector(n_neighbors=2), random_state=1).fit(X)
    assert [member.random_state for member in many.members_] == [5, 6, 7, 8, 9]
    one = Detector(n_neighbors=2, random_state=5).fit(X)
    scores = one.score_samples(X)
    expected = (scores - scores.mean()) / scores.std()
    np.testing.assert_allclose(many.score_samples(X), expected)


@pytest.mark.parametrize("make", [logistic_regression, gradient_boosting])
def test_a_classifier_of_anomalies_scores_them_lower(make):
    X = np.arange(100.0)[:, None]
    rival = ScoreOfRival(make).fit(X, X[:, 0] > 80)
    normal, abnormal = rival.score_samples([[10.0], [95.0]])
    assert normal > abnormal


def test_rivals_draw_the_same_and_leave_the_global_streams_alone():
    class Drawing:
        def __init__(self, n_features, seed):
            torch.manual_seed(99)

        def fit(self, X, y):
            self.drawn = np.random.rand(), torch.rand(1).item()

        def decision_function(self, X):
            return -np.array([*self.drawn])

    def streams():
        return np.random.get_state()[1].copy(), torch.get_rng_state().numpy()

    X, before = np.zeros((2, 1)), streams()
    first, again = (ScoreOfRival(Drawing, 1).fit(X).score_samples(X) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    for state, expected in zip(streams(), before, strict=True):
        np.testing.assert_array_equal(state, expected)


def test_a_peer_without_its_package_cannot_run():
    def make(n_features, seed):
        raise ModuleNotFoundError

    assert not can_run(make)
    assert can_run(logistic_regression)


def table_rows(labelled, seeds="0", **aurocs):
    """Rows of tables A, b and so on, by method."""
    return [
        {
            "labelled": labelled,
            "table": table,
            "method": method,
            "seed": seed,
            "auroc": str(auroc),
            "seconds": "2",
        }
        for method, values in aurocs.items()
        for table, auroc in zip("Abc", values, strict=False)
        for seed in seeds
    ]


def test_a_mean_over_tables_waits_for_all_of_them():
    rows = table_rows("5 %", seeds="01", m=(90, 80))
    assert tabular.mean_cell(rows, "5 %", "m") == "85.0 ± 0.0"
    assert tabular.mean_cell(rows[:-1], "5 %", "m") == "85.0"
    assert tabular.mean_cell(rows, "1 %", "m") == ""


def test_tables_stand_below_each_other_with_their_mean():
    rows = table_rows("5 %", m=(90, 80), n=(70, 60))
    page = tabular.tables_table(rows, "5 %", ["n", "m", "absent"])
    assert page.splitlines() == [
        "| table | n | m |",
        "| --- | ---: | ---: |",
        "| A | 70.0 | 90.0 |",
        "| b | 60.0 | 80.0 |",
        "| mean | 65.0 | 85.0 |",
    ]


def test_shares_of_labelled_anomalies_stand_beside_each_other():
    rows = [
        *table_rows(tabular.NORMAL_ROWS, **{tabular.SVDD: (99, 99)}),
        *table_rows("1 %", **{tabular.SVDD: (70, 60)}),
        *table_rows("10 %", **{tabular.SVDD: (90, 80)}),
    ]
    *_, last = tabular.shares_table(rows).splitlines()
    assert last == "| `DeepSVDD()` | 65.0 |  | 85.0 | 2.00 |"


def test_wins_are_counted_by_table():
    rows = table_rows(
        tabular.NORMAL_ROWS,
        **{
            tabular.SVDD_MEAN: (90, 80, 70),
            tabular.NEIGHBORS: (85, 80, 75),
            tabular.NEAREST: (89, 79, 69),
        },
    )
    page = tabular.render(rows)
    assert (
        "Of 3 tables, mean of 5 `DeepSVDD()` is above 5 neighbours on 1 (+0.0 on "
        "average) and above nearest row on 3 (+1.0 on average)."
    ) in page


def test_peers_that_were_not_measured_are_named():
    rows = table_rows(tabular.NORMAL_ROWS, **{tabular.PYOD_SVDD: (90, 80)})
    assert tabular.render(rows).endswith(
        "Not installed where this was measured: DeepOD DeepSVDD, DeepOD DeepSAD."
    )


def test_the_summary_of_tables_has_a_column_for_each_protocol():
    rows = [
        *table_rows(tabular.NORMAL_ROWS, **{tabular.SVDD: (99, 99)}),
        *table_rows("5 %", **{tabular.SVDD: (70, 60), tabular.SAD: (90, 80)}),
    ]
    assert tabular.render_summary(rows).splitlines()[2:] == [
        "| `DeepSVDD()` | 99.0 |  | 65.0 |  |",
        "| `DeepSAD()` |  |  | 85.0 |  |",
    ]
    assert "python -m benchmarks tabular" in tabular.render_summary([])


# Sub-clusters


def tiny_mnist(n=400):
    """Noise in the shape of MNIST, as many images of each class."""
    random_state = np.random.RandomState(0)
    images = random_state.randint(256, size=(2 * n, 1, 8, 8)).astype(np.uint8)
    labels = np.arange(2 * n) % 10
    return Split(images[:n], labels[:n], images[n:], labels[n:])


def measured_subclusters(**key):
    scores = dict(zip(subclusters.SCORERS, "96 95 94 93 99".split(), strict=True))
    return key | scores | {"seed": "0", "seconds": "1"}


def test_sub_clusters_are_measured_once_by_every_method(results, monkeypatch):
    monkeypatch.setattr(subclusters, "load_mnist", tiny_mnist)
    monkeypatch.setattr(subclusters, "load_cifar10", tiny_mnist)
    options = Namespace(smoke=True, seeds=None, only="", device="cpu")
    subclusters.run(results, options)
    size, methods = subclusters.SMOKE, subclusters.METHODS
    n_tasks = len(size.ks) + len(size.digits)
    n_splits, n_candidates = 2 * len(size.n_clusters), len(subclusters.N_CANDIDATES)
    assert len(results.rows) == (
        n_tasks * len(methods) + n_splits + n_candidates * len(size.digits)
    )
    before = [*results.rows]
    subclusters.run(results, options)
    assert results.rows == before
    page = subclusters.render(before)
    assert all(f"| {method}, " in page for method in methods)


def test_published_sub_clusters_stand_beside_ours_on_mnist():
    rows = [
        measured_subclusters(test="2", case=f"{k}", method="labelled sub-clusters")
        for k in subclusters.KS
    ]
    page = subclusters.render(rows)
    assert "| published, MSP | 97 | 95 | 93 | 94 | 94.8 |" in page
    assert "| labelled sub-clusters, knn | 99.0 | 99.0 | 99.0 | 99.0 | 99.0 |" in page
    assert "Test 3" not in page


def test_finer_sub_clusters_are_parts_of_the_coarser():
    task = tiny_mnist(600)
    normal = task.y_train < 8
    X, y = task.x_train[normal], task.y_train[normal]
    labels = [subclusters.clusters_of(n, X, y) for n in subclusters.N_CLUSTERS]
    assert [len(np.unique(column)) for column in labels] == [2, 4, 8, 16]
    for coarse, fine in zip(labels, labels[1:], strict=False):
        assert all(len(np.unique(coarse[fine == k])) == 1 for k in np.unique(fine))


def test_images_of_other_classes_are_not_tested_on():
    task = novelty_task(tiny_mnist(), [0, 1], [5])
    assert {*task.y_train} == {0, 1}
    assert len(task.x_test) == 3 * 40 and task.is_normal.sum() == 2 * 40


# Sub-clusters, on CIFAR-10


def tiny_cifar(n=40):
    """Noise in the shape of CIFAR-10, as many images of each class."""
    random_state = np.random.RandomState(0)
    images = random_state.randint(256, size=(2 * n, 3, 8, 8)).astype(np.uint8)
    labels = np.arange(2 * n) % 10
    return Split(images[:n], labels[:n], images[n:], labels[n:])


def subcluster_rows(names):
    row = {"test": "3", "seed": "0", "epochs": "200", "device": "GPU", "odin": "84.0"}
    row |= {"msp": "78.0", "energy": "79.0", "knn": "80.0", "accuracy": "95.0"}
    return [row | {"task": name} for name in names]


def test_the_published_sub_clusters_stand_beside_ours():
    rows = subcluster_rows(subclusters_cifar10.CLASSES)
    page = subclusters_cifar10.render(rows)
    assert "| cat | 79 | 78.0 | 80 | 84.0 | 79.0 | 80.0 | 95.0 |" in page
    assert "| mean | 77 | 78.0 | 83 | 84.0 | 79.0 | 80.0 | 95.0 |" in page
    assert "Test 2" not in page
    assert "| mean | 77 |  | 83 |  |  |  |  |" in subclusters_cifar10.render(rows[:9])


@pytest.mark.parametrize("test", ["2", "3"])
def test_published_means_of_sub_clusters_are_those_of_the_tasks(test):
    values = [*subclusters_cifar10.PUBLISHED[test].values()]
    published = subclusters_cifar10.PUBLISHED_MEANS[test]
    assert np.mean(values, axis=0) == pytest.approx(published, abs=1)


def test_published_tasks_are_those_that_are_measured():
    tasks = subclusters_cifar10.plan(subclusters_cifar10.FULL_SIZE)
    measured = [(task.test, task.name) for task in tasks]
    published = subclusters_cifar10.PUBLISHED
    assert measured == [(test, name) for test in published for name in published[test]]


def test_no_class_is_both_normal_and_an_anomaly():
    first, *_, last = subclusters_cifar10.plan(subclusters_cifar10.FULL_SIZE)
    assert (first.normal, first.anomalies) == ([0, 1], [5, 6, 7, 8, 9])
    assert (last.normal, last.anomalies) == ([*range(9)], [9])


def test_only_normal_classes_are_trained_on():
    size = subclusters_cifar10.FULL_SIZE
    task = subclusters_cifar10.plan(size)[0]
    split = subclusters_cifar10.images_of(task, tiny_cifar(), size)
    assert {*split.y_train} == {0, 1}
    assert {*split.y_test} == {0, 1, 5, 6, 7, 8, 9}


def test_the_learning_rate_falls_as_half_a_cosine():
    rates = [half_cosine(n_done, 0.1, 200) for n_done in (0, 100, 200)]
    assert rates == pytest.approx([0.1, 0.05, 0])


def test_the_classifier_of_sub_clusters_is_the_published_network():
    with torch.device("meta"):  # counts weights without drawing them
        encoder = subclusters_cifar10.make_encoder(
            (3, 32, 32), 32, depth=28, widen_factor=10
        )
        head = torch.nn.Linear(640, 10)
    modules = encoder, head
    n_weights = sum(p.numel() for module in modules for p in module.parameters())
    assert n_weights == 36_479_194


def test_odin_steps_as_far_as_its_published_code():
    normalize = NormalizeColors()
    images = torch.zeros(1, 3, 1, 1)
    step = normalize(images + subclusters_cifar10.EPSILON) - normalize(images)
    published = 0.0014 / (torch.tensor([63.0, 62.1, 66.7]) / 255)
    torch.testing.assert_close(step.flatten(), published)


def test_an_interrupted_classifier_of_sub_clusters_goes_on_as_before(tmp_path):
    size = subclusters_cifar10.SMOKE._replace(epochs=3)
    images, labels, *_ = tiny_cifar()

    def fit(path, *callbacks):
        detector = subclusters_cifar10.make_detector(size, path, "cpu", seed=0)
        detector.set_params(callbacks=[*detector.callbacks, *callbacks], verbose=0)
        detector.fit(images, cluster_labels=labels)
        check_finished(detector, size.epochs)
        return detector

    straight = fit(tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "interrupted", interrupt_in_epoch(3))
    resumed = fit(tmp_path / "interrupted")
    assert resumed.net_.max_epochs == 1  # two were done before
    np.testing.assert_array_equal(
        resumed.score_samples(images), straight.score_samples(images)
    )


def test_a_fit_is_a_row_with_all_scores_and_is_not_repeated(tmp_path, monkeypatch):
    images, labels, *_ = tiny_cifar()
    images = images.transpose(0, 2, 3, 1)  # as they lie in the file
    np.savez(
        tmp_path / "cifar10.npz",
        **Split(images, labels, images, labels)._asdict(),
    )
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    options = Namespace(smoke=True, seeds=None, only="airplane", device="cpu")
    results = Results(tmp_path / "results" / "table.csv")
    for _ in range(2):
        subclusters_cifar10.run(results, options)
    (row,) = results.rows
    assert (row["test"], row["task"]) == ("3", "airplane")
    for name in ("msp", "odin", "energy", "knn", "accuracy"):
        assert 0 <= float(row[name]) <= 100
    assert [*results.path.parent.iterdir()] == [results.path]


# EIDN

EIDN_LOADERS = {
    "load_mnist": lambda: tiny_mnist(1000),
    "load_cifar10": lambda: tiny_mnist(1000),
    "load_cracks": lambda seed: tiny_mnist(1000),
}


@pytest.fixture
def tiny_eidn(monkeypatch):
    for name, load in EIDN_LOADERS.items():
        monkeypatch.setattr(eidn, name, load)


def test_anomalies_are_shown_to_every_method_once(results, tiny_eidn):
    options = Namespace(smoke=True, seeds=1, only="", device="cpu")
    eidn.run(results, options)
    tests = {row["test"] for row in results.rows}
    assert tests == {*eidn.CLASSES, "unseen", "cracks"} | {
        f"{data}, reduced" for data in eidn.CLASSES
    }
    n_in_full, n_in_brief = len(eidn.EMBEDDERS + eidn.RIVALS), 2
    n_reduced = len(eidn.CLASSES) * len(eidn.REDUCERS) * len(eidn.DETECTORS)
    n_brief = (len(eidn.SHARES) - 1) * n_in_brief
    n_on_cracks_only = 1
    n_full = 4 * n_in_full - 3 * n_on_cracks_only
    assert len(results.rows) == n_full + n_brief + n_reduced
    before = [*results.rows]
    eidn.run(results, options)
    assert results.rows == before
    page = eidn.render(before)
    assert all(f"| {method} |" in page for method in eidn.EMBEDDERS + eidn.RIVALS)


def test_detectors_behind_a_reducer_are_not_measured_twice(results, tiny_eidn):
    options = Namespace(smoke=True, seeds=1, only="LDA", device="cpu")
    eidn.run(results, options)
    finished = [*results.rows]
    results.clear()
    results.add(**{k: v for k, v in finished[0].items() if k != "version"})
    eidn.run(results, options)
    times = {"seconds": "0"}
    assert [row | times for row in results.rows] == [row | times for row in finished]


def test_a_reducer_is_measured_alone(results, tiny_eidn):
    eidn.run(results, Namespace(smoke=True, seeds=1, only="LDA", device="cpu"))
    methods = [f"LDA + {detector}" for detector in eidn.DETECTORS]
    assert column(results.rows, "method") == methods * len(eidn.CLASSES)


def test_published_means_are_those_of_the_published_classes():
    for published in eidn.PUBLISHED.values():
        for values, mean_of_all in published.values():
            ours = np.mean([float(value) for value in values])
            assert len(values) == 10
            assert ours == pytest.approx(float(mean_of_all), abs=0.1)


def test_shown_anomalies_are_few_and_drawn_by_the_seed():
    split = tiny_mnist()
    first, again, other = (
        few_anomalies_task(split, [0], [1, 2], [3], share=0.1, seed=seed)
        for seed in (0, 0, 1)
    )
    assert first.is_labelled.sum() == 4 and (~first.is_labelled).sum() == 40
    np.testing.assert_array_equal(first.x_train, again.x_train)
    assert not np.array_equal(first.x_train, other.x_train)
    assert first.is_normal.sum() == len(first.x_test) / 2 == 40


def test_cracks_are_split_anew_from_all_images(tmp_path, monkeypatch):
    images = np.arange(20, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    labels = np.arange(20) % 2
    parts = Split(images[:15], labels[:15], images[15:], labels[15:])
    np.savez(tmp_path / "concrete_crack.npz", **parts._asdict())
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    split = load_cracks(seed=0)
    assert split.x_train.shape == (16, 3, 1, 1)
    every = np.concatenate([split.x_train, split.x_test])[:, 0, 0, 0]
    assert sorted(every) == [*range(20)]
    kinds = np.concatenate([split.y_train, split.y_test])
    np.testing.assert_array_equal(kinds, every % 2)


# EIDN in two dimensions


def options_for_pictures(**changed):
    return Namespace(
        **{"smoke": True, "seeds": 1, "only": "", "device": "cpu"} | changed
    )


def test_each_embedding_is_measured_once(results, monkeypatch):
    monkeypatch.setattr(eidn_pictures, "load_mnist", tiny_mnist)
    eidn_pictures.run(results, options_for_pictures())
    names = [row["embedding"] for row in results.rows]
    assert names == list(eidn_pictures.EMBEDDINGS)
    before = [*results.rows]
    eidn_pictures.run(results, options_for_pictures(seeds=2, only="PCA"))
    assert [*results.rows[: len(before)]] == before
    assert [row["embedding"] for row in results.rows[len(before) :]] == ["PCA"]
    page = eidn_pictures.render(results.rows)
    assert all(f"| {name} |" in page for name in names)


def test_embeddings_are_drawn_over_the_epochs_and_side_by_side(
    results, tmp_path, monkeypatch
):
    picture = tmp_path / "eidn-pictures.png"
    monkeypatch.setattr(eidn_pictures, "load_mnist", tiny_mnist)
    monkeypatch.setattr(eidn_pictures, "PICTURE", picture)
    monkeypatch.setattr(eidn_pictures, "FULL_SIZE", eidn_pictures.SMOKE)
    eidn_pictures.run(results, options_for_pictures(smoke=False))
    assert picture.exists()


def test_snapshots_are_the_embeddings_of_each_epoch():
    task = eidn_pictures.task_of(
        tiny_mnist(), (0,), (1,), (1,), eidn_pictures.SMOKE, seed=0
    )
    watch = eidn_pictures.Snapshots(task.x_test)
    embedder = eidn_pictures.make_embedder(
        eidn_pictures.SMOKE, options_for_pictures(), 0, callbacks=[watch]
    )
    eidn_pictures.fit(embedder, task)
    points = eidn_pictures.points_by_epoch(embedder)
    assert len(points) == 1 + embedder.n_iter_
    np.testing.assert_array_equal(points[-1], embedder.transform(task.x_test))
    assert np.abs(points[0] - points[-1]).max() > 0


def test_the_last_epoch_has_a_panel_however_many_there_are():
    assert list(eidn_pictures.shown_epochs(18)) == [0, 1, 2, 5, 18]
    assert list(eidn_pictures.shown_epochs(5)) == [0, 1, 2, 5]
    assert eidn_pictures.shown_epochs(2)[2] == "after 2 epochs"


def test_new_kinds_of_anomalies_are_in_the_test_only():
    mnist, size = tiny_mnist(), eidn_pictures.SMOKE
    task = eidn_pictures.task_of(mnist, (0,), (1,), (9,), size, seed=0)
    shown, tested = (
        {image.tobytes() for image in images}
        for images in (task.x_train[task.is_labelled], task.x_test[~task.is_normal])
    )
    ones = {image.tobytes() for image in mnist.x_train[mnist.y_train == 1]}
    nines = {image.tobytes() for image in mnist.x_test[mnist.y_test == 9]}
    assert shown and shown <= ones
    assert len(tested) == size.n_shown and tested <= nines


def test_distances_of_anomalies_are_in_units_of_those_of_normal_images():
    points = np.array([[-2.0, 0.0], [2.0, 0.0], [0.0, 6.0]])
    task = Namespace(is_normal=np.array([True, True, False]))
    embedded = eidn_pictures.Embedded(points, [], None, seconds=1.0)
    row = eidn_pictures.figures(task, embedded)
    assert float(row["distance"]) == 3 and float(row["auroc"]) == 100


@pytest.fixture
def tiny_growth(monkeypatch, tmp_path):
    """Every measurement is made once, in this process."""
    monkeypatch.setattr(growth, "PICTURE", tmp_path / "growth.png")
    monkeypatch.setattr(growth, "LEAST_SECONDS", 1e-9)
    monkeypatch.setattr(
        growth, "in_own_process", lambda function, *args: function(*args)
    )
    return {"sizes": (300, 600), "n_centers": (2, 3), "rows_with_centers": 300}


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are Linux's")
def test_growth_is_measured_once_and_drawn(results, tiny_growth):
    options = Namespace(only="MCHAD")
    growth.run(results, options, **tiny_growth)
    rows = [*results.rows]
    growth.run(results, options, **tiny_growth)
    assert results.rows == rows
    assert column(rows, "rows") == ["300", "600", "300", "300"]
    assert column(rows, "centers") == ["10", "10", "2", "3"]
    assert growth.PICTURE.stat().st_size > 0
    assert "an array of shape (300, k, 16) would be" in growth.render(rows)


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are Linux's")
@pytest.mark.parametrize("name", growth.ROWS)
def test_every_model_can_grow(name, tiny_growth):
    row = growth.measure(growth.ROWS[name], n_rows=300, n_centers=10)
    assert 0 < float(row["epoch_seconds"]) < float(row["fit_seconds"])


def test_an_exponent_is_that_of_the_last_two_decades():
    sizes = [1, 10, 100, 1000]
    assert growth.exponent(sizes, [7, 2, 20, 200]) == pytest.approx(1)
    assert growth.exponent(sizes, [7, 1, 100, 10_000]) == pytest.approx(2)


@pytest.fixture(scope="module")
def images_case():
    return profile.fit_case((64, 1, 28, 28), max_epochs=2)


def test_every_floor_of_a_fit_is_found_in_its_profile(images_case):
    ran = cProfile.Profile()
    ran.runcall(images_case.call)
    floors = images_case.floors(profile.Times(ran))
    assert [name for name, seconds in floors.items() if seconds <= 0] == []


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


def test_imports_are_timed_within_rounds(results, monkeypatch):
    monkeypatch.setattr(imports, "LIBRARIES", "import csv")
    monkeypatch.setattr(imports, "OURS", "import csv, json")
    imports.run(results, Namespace(), n_rounds=1)
    assert len(results.rows) == 2
    libraries, ours = (int(row["modules"]) for row in results.rows)
    assert ours > libraries
    *_, line = imports.render(results.rows).splitlines()
    assert line.startswith("| `import csv, json` |") and line.endswith("| 1 |")


# Ensembles


def test_members_and_ensembles_are_measured_once(results, monkeypatch, tables):
    small = ensembles.SMOKE._replace(tables=("a",), max_rows=100)
    monkeypatch.setattr(ensembles, "SMOKE", small)
    options = Namespace(smoke=True, seeds=None, only="", device="cpu")
    ensembles.run(results, options)
    rows = [*results.rows]
    n_scored = small.n_members + 1
    assert len(rows) == 2 * len(ensembles.MODELS) * small.n_seeds * n_scored
    assert all(0 <= float(row["auroc"]) <= 100 for row in rows)
    ensembles.run(results, options)
    assert results.rows == rows


def test_spread_of_members_stands_beside_that_of_ensembles():
    rows = [
        {"data": data, "model": "m", "scored_by": scored_by, "auroc": auroc}
        for data, aurocs in [("a", "60 80 71 73"), ("b", "50 50 90 92")]
        for scored_by, auroc in zip(
            ["a member 0", "a member 1", "ten members", "ten members"],
            aurocs.split(),
            strict=True,
        )
    ]
    assert ensembles.render(rows).splitlines() == [
        "|  | m, a member | m, ten members |",
        "| --- | ---: | ---: |",
        "| a | 70.0 ± 14.1 | 72.0 ± 1.4 |",
        "| b | 50.0 ± 0.0 | 91.0 ± 1.4 |",
        "| mean | 60.0 ± 7.1 | 81.5 ± 1.4 |",
    ]


# FINCH


def finch_row(**changes):
    row = {
        "rows": "20000",
        "metric": "cosine",
        "package": finch.OURS,
        "neighbors": finch.EXACT,
        "seconds": "2.00",
        "warm_up": "0.1",
        "peak_mib": "1",
        "clusters": "9 3",
        "found": "",
        "rand": "",
    }
    return {**row, **changes}


@pytest.fixture
def small_finch(tmp_path, monkeypatch):
    """The table of FINCH has a single measurement, of ours."""
    monkeypatch.setattr(finch, "PICTURE", tmp_path / "finch.png")
    monkeypatch.setattr(finch, "N_ROWS", {"euclidean": (600,)})
    monkeypatch.setattr(finch, "METRICS", ("euclidean",))
    monkeypatch.setattr(finch, "_installed", lambda *packages: [finch.OURS])


def test_finch_is_measured_in_a_process_of_its_own_and_drawn(
    small_finch, results, monkeypatch
):
    finch.run(results, Namespace(full=False))
    (row,) = results.rows
    assert float(row["seconds"]) > 0 and float(row["peak_mib"]) >= 0
    assert row["clusters"].split() == sorted(row["clusters"].split(), key=int)[::-1]
    assert f"| {row['clusters']} |" in finch.render(results.rows)
    with Image.open(finch.PICTURE) as picture:
        assert picture.width > 500
    monkeypatch.setattr(finch, "_outcome", None)  # what is done is not measured again
    finch.run(results, Namespace(full=False))


def test_exact_finch_that_takes_long_is_run_where_all_is_asked_for(
    small_finch, results, monkeypatch
):
    monkeypatch.setattr(finch, "EXPECTED_LIMIT", -1)  # so that all takes too long
    finch.run(results, Namespace(full=True))
    (row,) = results.rows
    assert float(row["seconds"]) > 0


def test_exact_finch_that_would_take_too_long_is_not_run():
    rows = [finch_row(), finch_row(package=finch.THEIRS, seconds="out of memory")]
    key = {"rows": 1_000_000, "metric": "cosine", "neighbors": finch.EXACT}
    expected = finch._expected_seconds(rows, {**key, "package": finch.OURS})
    assert expected == 50**2 * 2
    outcome = finch._outcome("no file", key, expected, finch.EXPECTED_LIMIT)
    assert outcome["seconds"] == "not run: about 83 minutes"
    assert finch._expected_seconds(rows, {**key, "package": finch.THEIRS}) == 0
    key["neighbors"] = finch.APPROXIMATE
    assert finch._expected_seconds(rows, {**key, "package": finch.OURS}) == 0


def test_partitions_of_finch_agree_whatever_their_labels():
    exact = np.array([[0, 0], [0, 0], [1, 0], [1, 0], [2, 1], [2, 1]])
    renamed = np.array([2, 0, 1])[exact]
    coarser = np.array([[0, 0], [0, 0], [0, 0], [0, 0], [1, 1], [1, 1]])
    assert finch._agreement(exact, renamed) == "all the same"
    assert finch._agreement(exact, renamed[:, :1]) == "1.000"
    assert float(finch._agreement(exact, coarser)) < 0.9
    assert finch._agreement(None, exact) == ""


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_the_share_of_neighbours_found_is_that_of_the_exact_ones(metric):
    X = finch._make_rows(300)
    nearest = _first_neighbors(X, metric)
    assert finch._share_found(X, metric, nearest) == 1
    nearest[:150] = (nearest[:150] + 1) % 300
    assert finch._share_found(X, metric, nearest) == 0.5


# False alarms


class Fixed(OutlierMixin, BaseEstimator):
    """Scores are the rows themselves; those below -5 are predicted to be abnormal."""

    def __init__(self, calibration_scores=(-9.0, -1.0, 0.0, 1.0)):
        self.calibration_scores = calibration_scores

    def fit(self, X, y=None):
        self.calibration_scores_ = np.sort(self.calibration_scores)
        return self

    def score_samples(self, X):
        return X[:, 0]

    def predict(self, X):
        return np.where(X[:, 0] < -5, -1, 1)

    def p_values(self, X):
        return np.where(X[:, 0] < -5, 0.001, 0.5)


class InOwnUnits(OutlierMixin, BaseEstimator):
    """Minus the distance to the mean, times the number of rows, plus that number."""

    def __init__(self, contamination="auto", random_state=None):
        self.contamination = contamination
        self.random_state = random_state

    def fit(self, X, y=None):
        assert self.contamination != "auto" and self.random_state is not None
        self.mean_, self.unit_ = X.mean(axis=0), len(X)
        return self

    def score_samples(self, X):
        return self.unit_ * (1 - np.linalg.norm(X - self.mean_, axis=1))


def fixed_task(n_normal=95, n_anomalies=20):
    """Normal rows 0, 1 and so on; anomalies far below."""
    X = np.concatenate([np.arange(n_normal), -10.0 - np.arange(n_anomalies)])[:, None]
    return false_alarms.Task(X[:0], None, X, X[:, 0] >= 0)


def test_the_own_promise_is_judged_by_what_a_model_predicts():
    task = fixed_task()
    task.x_test[[0, 1], 0] = -15, -2  # both are normal
    scores = np.arange(-3, 96.0)  # of which 1 % is below -3, 5 % below 1, 10 % below 6
    row = false_alarms.figures(
        Fixed(scores), false_alarms.below_calibration, task, seed=0
    )
    shares = [float(row[name]) for name in false_alarms.PROMISES]
    below_6 = [-15, -2, 2, 3, 4, 5]
    expected = [100 / 95, 100 / 95, 100 * len(below_6) / 95]
    assert shares == pytest.approx(expected, abs=0.01)
    assert row["n_calibration"] == 99 and float(row["auroc"]) < 100


def test_a_classifier_is_judged_by_whom_it_detects():
    task = false_alarms.known_digits((0, 1), seed=0, size=false_alarms.SMOKE)
    assert set(task.y_train) == {0, 1} and not set(task.y_train) & {8, 9}
    model = MCHADClassifier(max_epochs=1, device="cpu", random_state=0)
    model.fit(task.x_train, task.y_train)
    alarms = false_alarms.own_alarms(model, task.x_test)
    np.testing.assert_array_equal(alarms, model.detect(task.x_test) == -1)


def test_an_estimator_keeps_its_promise_by_the_same_quantile_as_the_table():
    X = np.random.RandomState(0).standard_normal((300, 3))
    how = false_alarms.ours(DeepSVDD)
    model = how.make("cpu", 0, max_epochs=1).fit(X)
    own = false_alarms.own_alarms(model, X)
    derived = how.alarms(model, X, X, false_alarms.PROMISE)
    np.testing.assert_array_equal(own, derived)
    assert 0 < own.sum() < how.alarms(model, X, X, 0.3).sum()


@pytest.mark.parametrize("name", [*false_alarms.RIVALS])
@pytest.mark.parametrize("promise", false_alarms.PROMISES.values())
def test_a_rival_with_another_promise_is_the_one_fitted_with_it(name, promise):
    if name in false_alarms.PEERS and not can_run(false_alarms.PEERS[name]):
        pytest.skip(f"{name} is not installed")
    X, new = np.random.RandomState(0).standard_normal((2, 200, 3))
    method = false_alarms.RIVALS[name]
    model = method.make("cpu", 0).fit(X)
    if name in false_alarms.PEERS:
        other = method.make("cpu", 0)
        other.make = partial(other.make.func, contamination=promise)
    else:
        of_promise = "nu" if name == false_alarms.ONE_CLASS_SVM else "contamination"
        other = method.make("cpu", 0).set_params(**{of_promise: promise})
    expected = false_alarms.own_alarms(other.fit(X), new)
    np.testing.assert_array_equal(method.alarms(model, X, new, promise), expected)
    assert expected.any()


def test_rivals_of_images_get_principal_components_and_keep_their_threshold():
    images = np.random.RandomState(0).randint(256, size=(80, 1, 8, 8), dtype=np.uint8)
    for name in ("PCA(50) + IsolationForest", "PCA(50) + LocalOutlierFactor"):
        method = false_alarms.OF_IMAGES[name]
        model = method.make("cpu", 0).fit(images)
        assert model[-1].n_features_in_ == 50
        own = false_alarms.own_alarms(model, images)
        alarms = method.alarms(model, images, images, false_alarms.PROMISE)
        np.testing.assert_array_equal(alarms, own)


def test_discoveries_are_made_among_few_anomalies_drawn_by_the_seed():
    task = fixed_task(n_normal=95, n_anomalies=20)  # of which 5 are tested
    p_values = np.where(task.is_normal, 0.5, 0.001)
    found = false_alarms.discoveries(task, p_values, seed=0)
    assert found == {"power": 1, "fdp": 0}
    p_values[:3] = 0.001  # three false among eight
    assert false_alarms.discoveries(task, p_values, seed=0)["fdp"] == 3 / 8
    p_values[95:105] = 0.5
    powers = {
        false_alarms.discoveries(task, p_values, seed)["power"] for seed in range(5)
    }
    assert len(powers) > 1 and powers <= {0, 0.2, 0.4, 0.6, 0.8, 1}
    nothing = false_alarms.discoveries(task, np.full(115, 0.5), seed=0)
    assert nothing == {"power": 0, "fdp": 0}


@pytest.mark.parametrize("n_missing", [0, 1])
def test_too_few_calibration_samples_discover_nothing(n_missing):
    n_calibrating = false_alarms.ENOUGH_TO_DISCOVER - n_missing
    task = fixed_task(n_normal=19 * 181, n_anomalies=181)
    p_values = np.where(task.is_normal, 0.5, 1 / (1 + n_calibrating))
    p_values[:19] = p_values[-1]  # as many false ones as by chance
    power = false_alarms.discoveries(task, p_values, seed=0)["power"]
    assert power == (0 if n_missing else 1)


def test_scores_of_folds_are_brought_to_the_units_of_the_detector_of_all_rows():
    rows = np.random.RandomState(0).standard_normal((2000, 2))
    X, new = rows[:1000], rows[1000:]
    model = CrossFitted(InOwnUnits(), random_state=0).fit(X)
    scores = model.model_.score_samples(X)
    assert model.calibration_scores_.shape == (1000,)
    for share in (0.02, 0.05, 0.5, 0.75):
        calibrated = np.quantile(model.calibration_scores_, share)
        assert calibrated == pytest.approx(np.quantile(scores, share), abs=30)
    assert np.mean(model.predict(new) < 0) == pytest.approx(0.05, abs=0.02)
    np.testing.assert_array_equal(model.predict(new) < 0, model.p_values(new) < 0.05)


def test_calibration_scores_are_of_detectors_that_have_not_seen_the_rows():
    class KnowsRows(InOwnUnits):
        def fit(self, X, y=None):
            self.known_ = X[:, 0]
            return super().fit(X)

        def score_samples(self, X):
            is_known = np.isin(X[:, 0], self.known_)
            return super().score_samples(X) + 100 * self.unit_ * is_known

    X = np.random.RandomState(0).standard_normal((50, 2))
    model = CrossFitted(KnowsRows(), random_state=0).fit(X)
    assert model.calibration_scores_.max() < model.score_samples(X).min()


def test_rows_are_drawn_by_the_seed_where_few_are_trained_on(tables):
    size = false_alarms.SMOKE
    first, again, other = (
        false_alarms.table_of_rows("a", seed, size, n_rows=10) for seed in (0, 0, 1)
    )
    assert first.x_train.shape == (10, 1) and first.y_train is None
    assert first.x_train.mean() == pytest.approx(0)  # standardized by these alone
    np.testing.assert_array_equal(first.x_train, again.x_train)
    assert not np.array_equal(first.x_train, other.x_train)
    assert len(false_alarms.table_of_rows("a", 0, size).x_train) == 48


def test_hidden_anomalies_have_no_label(tables):
    task = false_alarms.table_of_rows("a", 0, false_alarms.SMOKE, labelled_share=0.25)
    assert sorted(task.y_train) == [-1] * 3 + [0] * 57
    assert np.sum(task.x_train[task.y_train == 0] < task.x_train[:, 0].max()) == 56


def test_every_setting_of_false_alarms_is_measured_once(results, tmp_path, monkeypatch):
    save_table(tmp_path, "a", n_normal=400, n_anomalies=40)
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    monkeypatch.setattr(false_alarms, "load_mnist", lambda: tiny_mnist(1200))
    size = false_alarms.SMOKE._replace(tables=("a",), max_rows=440)
    monkeypatch.setattr(false_alarms, "SMOKE", size)
    options = Namespace(smoke=True, seeds=None, only="", device="cpu")
    false_alarms.run(results, options)
    rows = [*results.rows]
    for data, setting in false_alarms.SETTINGS.items():
        measured = {row["method"] for row in rows if row["data"] == data}
        assert {*setting.methods} - measured <= {*false_alarms.PEERS}
    keys = [(row["data"], row["table"], row["method"]) for row in rows]
    assert len(keys) == len({*keys})
    for row in rows:
        shares = [float(row[name]) for name in false_alarms.PROMISES]
        assert 0 <= min(shares) and max(shares) <= 100
        assert all(
            bool(row["n_calibration"]) == bool(row[name])
            for name in ("bh_power", "bh_fdp")
        )
    false_alarms.run(results, options)
    assert results.rows == rows
    page = false_alarms.render(rows)
    assert all(f"**{data}**, 1 task, 1 seed." in page for data in false_alarms.SETTINGS)


def test_settings_of_false_alarms_can_be_chosen(results, tables, monkeypatch):
    monkeypatch.setattr(false_alarms, "figures", lambda *args: dict(FIGURES))
    options = Namespace(smoke=False, seeds=2, only="digits of 8 x 8", device="cpu")
    false_alarms.run(results, options)
    assert {row["data"] for row in results.rows} == {false_alarms.DIGITS}
    assert {row["table"] for row in results.rows} == {"0 1 3", "2 5 8", "4 6 7 9"}
    first = false_alarms.FIRST_SEED
    assert {row["seed"] for row in results.rows} == {str(first), str(first + 1)}


FIGURES = {
    "far01": "1",
    "far05": "5",
    "far10": "10",
    "auroc": "90",
    "bh_power": "40",
    "bh_fdp": "8",
    "n_calibration": "200",
    "fit_seconds": "2",
    "score_seconds": "0.5",
}


def false_alarm_rows(method, shares, data=false_alarms.NORMAL_ROWS, **changed):
    """Rows of tables a, b and so on, of two seeds, by false alarms at 5 %."""
    key = {"data": data, "method": method}
    return [
        {**key, "table": table, "seed": seed, **FIGURES, "far05": str(share), **changed}
        for table, share in zip("abc", shares, strict=False)
        for seed in ("30", "31")
    ]


RIVAL = {"bh_power": "", "bh_fdp": "", "n_calibration": ""}


def test_tables_with_too_many_false_alarms_are_counted_and_the_worst_is_named():
    rows = [
        *false_alarm_rows(false_alarms.SVDD, (4, 9.9, 10)),
        *false_alarm_rows(false_alarms.FOREST, (6, 10.1, 40), **RIVAL),
    ]
    methods = [false_alarms.FOREST, "absent", false_alarms.SVDD]
    spread = "± 0.0"
    assert false_alarms.setting_table(rows, methods).splitlines()[2:] == [
        f"| IsolationForest | 1.0 {spread} | 18.7 {spread} | 10.0 {spread} | 40.0 (c) "
        f"| 2 | 90.0 {spread} |  |  | 2.00 | 0.500 |",
        f"| `DeepSVDD()` | 1.0 {spread} | 8.0 {spread} | 10.0 {spread} | 10.0 (c) "
        f"| 0 | 90.0 {spread} | 40.0 {spread} | 8.0 {spread} | 2.00 | 0.500 |",
    ]


def test_a_mean_of_false_alarms_waits_for_all_tables():
    rows = false_alarm_rows("m", (4, 6))
    assert false_alarms.mean_cell(rows, "m", "far05") == "5.0 ± 0.0"
    assert false_alarms.mean_cell(rows[:-1], "m", "far05") == "5.0"


def test_what_became_of_a_promise_is_said_of_ours_and_of_rivals():
    rows = [
        *false_alarm_rows(false_alarms.SVDD, (4, 6)),
        *false_alarm_rows(false_alarms.MANY, (5, 7)),
        *false_alarm_rows(false_alarms.FOREST, (8, 9), **RIVAL),
    ]
    alike = "Thresholds of ours are placed by 200 samples."
    assert false_alarms.promises_in_words(rows).endswith(alike)
    for row in rows[:8]:
        row["n_calibration"] = "40" if row["table"] == "a" else "200"
    assert false_alarms.promises_in_words(rows) == (
        "A promise of 5 % became 5.0 to 6.0 % with ours and 8.5 % with rivals, on "
        "average over tasks. Thresholds of ours are placed by 40 to 200 samples; on 1 "
        "task by fewer than 180, with which hardly anything can be discovered."
    )


def test_ways_to_choose_calibration_samples_stand_beside_the_default():
    cross = f"{false_alarms.SVDD}, {false_alarms.CROSS}"
    tenth = f"{false_alarms.SVDD}, {false_alarms.TENTH}"
    changed = {"auroc": "91.5", "bh_power": "45", "fit_seconds": "12"}
    rows = [
        *false_alarm_rows(false_alarms.SVDD, (4, 11)),
        *false_alarm_rows(cross, (4, 6), **changed),
        *false_alarm_rows(tenth, (4,)),  # not all of it is measured
    ]
    page = false_alarms.render(rows)
    assert (
        f"- {cross}: AUROC +1.50 and discoveries +5.0 beside the default, 6.0 times "
        "its seconds to fit, 0 tasks above 10 % rather than 1."
    ) in page
    assert f"- {tenth}:" not in page
    before, after = page.split("How calibration samples are chosen")
    assert f"| {cross} |" in after and cross not in before
    assert "A promise of 5 % became 7.5 % with ours, on average" in before


def test_the_summary_of_false_alarms_is_a_sentence():
    rows = [
        *false_alarm_rows(false_alarms.FOREST, (6, 20), **RIVAL),
        *false_alarm_rows(false_alarms.SVDD, (4, 6)),
        *false_alarm_rows(false_alarms.SVDD, (50, 60), data=false_alarms.FEW_ROWS),
    ]
    assert false_alarms.render_summary(rows) == (
        "New normal rows called anomalies where 5 % were promised, 2 tables of "
        "ADBench: `DeepSVDD()` 5.0 %, at worst 6.0 (b); IsolationForest 13.0 %, at "
        "worst 20.0 (b)."
    )
    assert "python -m benchmarks false-alarms" in false_alarms.render_summary([])


def test_false_alarms_say_which_peer_was_not_measured():
    rows = false_alarm_rows(false_alarms.SVDD, (4, 6))
    absent = "Not installed where this was measured: PyOD DeepSVDD."
    assert false_alarms.render(rows).endswith(absent)
    rows += false_alarm_rows(false_alarms.PYOD_SVDD, (4, 6), **RIVAL)
    assert "Not installed" not in false_alarms.render(rows)
