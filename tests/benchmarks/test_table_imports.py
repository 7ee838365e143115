"""The table "imports" on small data, and its page."""

from small import options

from benchmarks.studies import imports


def test_imports_are_timed_within_rounds(results, monkeypatch):
    monkeypatch.setattr(imports, "LIBRARIES", "import csv")
    monkeypatch.setattr(imports, "OURS", "import csv, json")
    imports.run(results, options(), n_rounds=1)
    assert len(results.rows) == 2
    libraries, ours = (int(row["modules"]) for row in results.rows)
    assert ours > libraries
    *_, line = imports.render(results.rows).splitlines()
    assert line.startswith("| `import csv, json` |") and line.endswith("| 1 |")
