"""Results as Markdown, and their place in both README.md."""

import re
from pathlib import Path
from statistics import mean, stdev

README = Path(__file__).with_name("README.md")
FRONT_PAGE = Path(__file__).parent.parent / "README.md"

BLOCK = re.compile(
    r"(?P<start><!-- table: (?P<name>\S+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL
)


def render_table(table, rows):
    """The results of a table, or the command that makes them."""
    if not rows:
        return f"Not measured yet: `python -m benchmarks {table.NAME}`"
    return table.render(rows)


def render_all(tables, rows_of):
    """What stands in each marked block, by its name.

    Parameters
    ----------
    tables : iterable of modules
        The tables; one with ``render_summary(rows)`` has a block NAME-summary too.

    rows_of : callable
        Rows of a table, given its name.
    """
    rendered = {}
    for table in tables:
        rows = rows_of(table.NAME)
        rendered[table.NAME] = render_table(table, rows)
        if hasattr(table, "render_summary"):
            rendered[f"{table.NAME}-summary"] = table.render_summary(rows)
    return rendered


def rewrite_blocks(text, rendered):
    """Fill the marked blocks of a text, given what stands in each by its name."""

    def fill(block):
        name = block["name"]
        if name not in rendered:
            raise ValueError(
                f"README.md has a block for a table {name!r} that does not exist; "
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


def mean_of_complete_seeds(rows, name, n_rows):
    """Mean of a column for each seed that has so many rows, then as above."""
    by_seed = {}
    for row in rows:
        by_seed.setdefault(row["seed"], []).append(float(row[name]))
    return mean_and_spread(
        mean(values) for values in by_seed.values() if len(values) == n_rows
    )


def unique(values):
    """Different values in the order in which they first appear."""
    return list(dict.fromkeys(values))


def select(rows, **key):
    """Rows with these values."""
    return [row for row in rows if all(row[name] == key[name] for name in key)]


def column(rows, name):
    return [row[name] for row in rows]
