"""Results as Markdown: tables, pages, and the marked blocks in them."""

import re
from pathlib import Path
from statistics import mean, stdev

from benchmarks.results import COMMITTED, Results

ROOT = Path(__file__).parent
INDEX, FRONT_PAGE, PAGES = ROOT / "README.md", ROOT.parent / "README.md", ROOT / "pages"

BLOCK = re.compile(
    r"(?P<start><!-- table: (?P<name>\S+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL
)


def render_table(table, rows, render="render"):
    """The results of a table, by one of its functions, or the command to make them."""
    if not rows:
        return f"Not measured yet: `python -m benchmarks {table.NAME}`"
    return getattr(table, render)(rows)


def render_all(groups):
    """The texts in all marked blocks, by the names of the blocks.

    Parameters
    ----------
    groups : dict of str to tuple of modules
        Tables by their groups. A group has a block index-GROUP, a table a block NAME,
        and a table with ``render_summary(rows)`` a block NAME-summary too.
    """
    rendered = {}
    for group, tables in groups.items():
        rendered[f"index-{group}"] = "\n".join(map(render_link, tables))
        for table in tables:
            rows = Results(COMMITTED / f"{table.NAME}.csv").rows
            rendered[table.NAME] = render_table(table, rows)
            if hasattr(table, "render_summary"):
                summary = render_table(table, rows, "render_summary")
                rendered[f"{table.NAME}-summary"] = summary
    return rendered


def render_link(table):
    """A line of the index."""
    link = f"[{table.NAME}](pages/{table.NAME}.md)"
    return f"- {link}, `python -m benchmarks {table.NAME}`: {table.DESCRIPTION}"


def render_pages(groups):
    """Text of the front page, the index and every page, by the path of its file."""
    rendered = render_all(groups)
    return {
        page: rewrite_blocks(page.read_text(encoding="utf-8"), rendered)
        for page in (FRONT_PAGE, INDEX, *sorted(PAGES.iterdir()))
    }


def write_report(table, results):
    """Write a table beside its results, with the picture if there is one."""
    parts = [f"# {table.NAME}", table.DESCRIPTION, render_table(table, results.rows)]
    if results.picture.exists():
        parts.insert(2, f"![{table.NAME}]({results.picture.name})")
    text = "\n\n".join(parts)
    results.path.with_suffix(".md").write_text(f"{text}\n", encoding="utf-8")


def new_figure(*inches):
    """An empty figure of a width and a height."""
    from matplotlib.figure import Figure  # few tables draw

    return Figure(inches, layout="constrained")


def rewrite_blocks(text, rendered):
    """Fill the marked blocks of a text, given their new texts by their names."""

    def fill(block):
        name = block["name"]
        if name not in rendered:
            raise ValueError(
                f"A page has a block for a table {name!r} that does not exist; "
                f"there are {', '.join(rendered)}. Rename or remove the block."
            )
        return f"{block['start']}{rendered[name]}\n{block['end']}"

    return BLOCK.sub(fill, text)


def markdown_table(header, rows):
    """A table whose first column is text; the others are set to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def mean_and_spread(values, digits=1):
    """Mean, and standard deviation where there are several values."""
    values = [float(value) for value in values]
    if not values:
        return ""
    text = f"{mean(values):.{digits}f}"
    return f"{text} ± {stdev(values):.{digits}f}" if len(values) > 1 else text


def mean_of_complete_seeds(rows, name, n_rows, digits=1):
    """Mean of a column for each seed that has so many rows, then as above."""
    by_seed = {}
    for row in rows:
        by_seed.setdefault(row["seed"], []).append(float(row[name]))
    means = [mean(values) for values in by_seed.values() if len(values) == n_rows]
    return mean_and_spread(means, digits)


def unique(values):
    """Different values in the order in which they first appear."""
    return list(dict.fromkeys(values))


def select(rows, **key):
    """Rows with these values."""
    return [row for row in rows if all(row[name] == key[name] for name in key)]


def column(rows, name):
    return [row[name] for row in rows]


def without_rows(rows, peers):
    """A sentence on the peers that have no rows, if there are any."""
    absent = [name for name in peers if not select(rows, method=name)]
    if not absent:
        return []
    return [f"Not installed where this was measured: {', '.join(absent)}."]
