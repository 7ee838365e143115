"""The command line, and the folder in which it leaves results."""

from fnmatch import fnmatch

import pytest

from benchmarks import __main__ as command
from benchmarks.results import COMMITTED


def test_an_unknown_table_is_answered_with_the_tables_there_are(capsys):
    with pytest.raises(SystemExit):
        command.parse(["imagenet"])
    assert "'imagenet'; there are quickstart, tabular" in capsys.readouterr().err


def test_only_tables_with_a_small_run_have_one(capsys):
    assert command.parse(["mchad-cifar10", "--smoke"]).smoke
    for arguments in (["--smoke"], ["speed", "--smoke"]):
        with pytest.raises(SystemExit):
            command.parse(arguments)
        assert "--smoke needs names of tables" in capsys.readouterr().err


def test_results_go_to_a_new_folder_whose_name_is_printed(
    tmp_path, monkeypatch, capsys
):
    before = {path: path.read_bytes() for path in COMMITTED.iterdir()}
    monkeypatch.chdir(tmp_path)
    command.main(["quickstart", "--only", "PCA", "--seeds", "1"])
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in folder.iterdir()} == {
        "quickstart.csv",
        "quickstart.md",
    }
    printed = capsys.readouterr().out
    assert f"--output {folder.name} " in printed and str(folder) in printed
    assert {path: path.read_bytes() for path in COMMITTED.iterdir()} == before


def test_git_ignores_the_default_folder():
    lines = (COMMITTED.parent.parent / ".gitignore").read_text().splitlines()
    assert any(fnmatch(f"{command.new_folder()}/", line) for line in lines)


def test_the_same_folder_is_gone_on_with(tmp_path, tables, capsys):
    folder = tmp_path / "new" / "folder"
    given = ["tabular", "--only", "5 nei", "--seeds", "1", "--output", str(folder)]
    command.main(given)
    rows = (folder / "tabular.csv").read_bytes()
    assert rows.count(b"5 neighbours") == 2 * 4  # tables, and shares of labels
    command.main(given)
    assert (folder / "tabular.csv").read_bytes() == rows


def test_maintainers_commit_rows_and_render_pages(tmp_path, tables, monkeypatch):
    page = tmp_path / "page.md"
    monkeypatch.setattr(command, "COMMITTED", tmp_path / "results")
    monkeypatch.setattr(command, "render_pages", lambda groups: {page: "rendered"})
    command.main(["tabular", "--only", "5 nei", "--seeds", "1", "--commit"])
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["tabular.csv"]
    assert page.read_text() == "rendered"


def test_results_have_one_place(capsys):
    with pytest.raises(SystemExit):
        command.parse(["--commit", "--output", "folder"])
    assert "not allowed with argument" in capsys.readouterr().err
