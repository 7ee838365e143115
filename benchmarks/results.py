"""Rows of a table in a CSV file, which survives interruptions."""

import csv
import os
from pathlib import Path

import sk_hypersphere

COMMITTED = Path(__file__).with_name("results")


class Results:
    """Finished rows of one table, each on disk as soon as it is added.

    The first row decides the columns. Every value is kept as text, as it will be read
    back. A last line that an interruption has cut short is dropped.

    Parameters
    ----------
    path : Path
        The CSV file; it may not exist yet.

    Attributes
    ----------
    rows : list of dict of str to str
        All rows, oldest first.
    """

    def __init__(self, path):
        self.path = path
        self.rows = []
        if path.exists():
            self._drop_torn_line()
            with path.open(newline="", encoding="utf-8") as file:
                self.rows = list(csv.DictReader(file))

    @property
    def picture(self):
        """The file of the table's picture, if it draws one."""
        return self.path.with_suffix(".png")

    def done(self, **key):
        """Whether there is a row with these values."""
        return any(
            all(row.get(column) == str(value) for column, value in key.items())
            for row in self.rows
        )

    def add(self, **row):
        """Append a row, and the version of the package to it."""
        row |= {"version": sk_hypersphere.__version__}
        row = {column: str(value) for column, value in row.items()}
        if self.rows and row.keys() != self.rows[0].keys():
            raise ValueError(
                f"A row of {self.path.name} must have the columns "
                f"{', '.join(self.rows[0])}, got {', '.join(row)}. Delete the file to "
                "start anew."
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", newline="", encoding="utf-8") as file:
            columns = self.rows[0] if self.rows else row
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            if not self.rows:
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            os.fsync(file.fileno())
        self.rows.append(row)

    def save_picture(self, figure):
        """Save a figure of matplotlib as the table's picture."""
        self.picture.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(self.picture, dpi=120)

    def clear(self):
        """Forget all rows, on disk too."""
        self.path.unlink(missing_ok=True)
        self.rows.clear()

    def _drop_torn_line(self):
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole.count(b"\n") < 2:  # a header without a row is written again
            self.path.unlink()
            self.path.touch()
        elif whole != content:
            self.path.write_bytes(whole)
