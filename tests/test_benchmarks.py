"""The harness of the benchmarks; the measurements themselves are not repeated."""

import numpy as np
import pytest

from benchmarks.__main__ import parse
from benchmarks.datasets import DATA_VARIABLE, load_mnist, small_digits_task
from benchmarks.report import (
    BLOCK,
    FRONT_PAGE,
    README,
    markdown_table,
    mean_and_spread,
    render_all,
    rewrite_blocks,
)
from benchmarks.results import Results
from benchmarks.tables import TABLES, deep_svdd, multi_radius, speed
from sk_hypersphere import DeepSVDD


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


def test_speed_is_the_median_of_ratios_within_rounds():
    rows = [
        {"case": "c", "contestant": name, "round": str(number), "seconds": seconds}
        for number, times in enumerate([("1", "2"), ("2", "8"), ("1", "3")])
        for name, seconds in zip((speed.BARE, speed.OURS), times, strict=True)
    ]
    *_, ours = speed.render(rows).splitlines()
    assert ours == "| c | sk_hypersphere | 3000 | 3.00 | 2.50 to 3.50 | 3 |"


def test_all_contestants_of_a_training_race_train():
    contestants, _ = speed.train_mlp(n_rows=300, epochs=1)
    assert all(contestant() > 0 for contestant in contestants.values())


def test_the_bare_loop_scores_what_the_estimator_scores():
    X = np.random.default_rng(0).standard_normal((100, 32), dtype=np.float32)
    detector = DeepSVDD(n_components=16, max_epochs=0, random_state=0).fit(X)
    bare = speed.bare_scores(detector.net_.module_, X)
    ours = detector.radii_[0] ** 2 - detector.score_samples(X)
    np.testing.assert_allclose(bare, ours, rtol=1e-5)
