"""The pages equal what the committed results render, and their links lead to files."""

import re
from argparse import Namespace

import pytest

from benchmarks.registry import GROUPS, TABLES
from benchmarks.report import (
    BLOCK,
    INDEX,
    PAGES,
    markdown_table,
    mean_and_spread,
    new_figure,
    render_pages,
    render_table,
    rewrite_blocks,
    write_report,
)
from benchmarks.results import COMMITTED


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_table_says_what_it_is(table):
    assert table.DESCRIPTION.endswith(".")
    assert callable(table.run) and callable(table.render)


def test_every_table_has_a_page_with_its_block_and_a_line_in_the_index():
    assert {page.stem for page in PAGES.iterdir()} == {*TABLES}
    for name in TABLES:
        page = (PAGES / f"{name}.md").read_text("utf-8")
        assert [block["name"] for block in BLOCK.finditer(page)] == [name]
    index = INDEX.read_text("utf-8")
    assert [block["name"] for block in BLOCK.finditer(index)] == [
        f"index-{group}" for group in GROUPS
    ]
    assert all(f"`python -m benchmarks {name}`" in index for name in TABLES)


def test_pages_equal_what_the_committed_results_render():
    stale = [
        page.name
        for page, text in render_pages(GROUPS).items()
        if page.read_text("utf-8") != text
    ]
    assert stale == []  # `python -m benchmarks --render` writes them anew


@pytest.mark.parametrize(
    "page", [INDEX, *sorted(PAGES.iterdir())], ids=lambda page: page.stem
)
def test_links_and_pictures_of_a_page_lead_to_files(page):
    text = page.read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if ":" not in link]
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []
    pictured = (COMMITTED / f"{page.stem}.png").exists()
    assert pictured == (f"](../results/{page.stem}.png)" in text)


def test_a_table_that_is_not_measured_names_its_command():
    table = Namespace(NAME="a", render=None, render_summary=None)
    for part in ("render", "render_summary"):
        assert render_table(table, [], part).endswith("`python -m benchmarks a`")


def test_a_report_has_the_picture_that_lies_beside_it(results):
    table = Namespace(NAME="a", DESCRIPTION="A table.", render=lambda rows: "| rows |")
    results.add(method="m")
    results.save_picture(new_figure(1, 1))
    write_report(table, results)
    report = results.path.with_suffix(".md").read_text("utf-8")
    assert report == "# a\n\nA table.\n\n![a](table.png)\n\n| rows |\n"


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
