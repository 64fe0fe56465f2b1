"""Read a CSV of a user's own: UTF-8, commas, known columns, no row with too many cells."""

import csv
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from brainmri.core import kinds
from brainmri.core.errors import InputError


def read_rows(path: Path, columns: Sequence[str], needed: Sequence[str], what: str) -> list[tuple[int, dict[str, str]]]:
    """Return each row as (line number, cells by column); absent columns are empty.

    Parameters
    ----------
    path : Path
    columns, needed : sequence of str
        The columns that may occur, and those of them that must.
    what : str
        What the file is, for people, such as `a manifest`.

    Raises
    ------
    InputError
        No such file, not a CSV in UTF-8, unknown or missing columns, no row, or a row with too many cells.
    """
    try:
        kinds.require_small_table(path)
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True, restkey="", restval="")
            _check_columns(path, list(reader.fieldnames or []), columns, needed)
            some = islice(reader, kinds.MAX_ROWS + 1)
            rows = [(reader.line_num, _cells(path, reader.line_num, row, columns)) for row in some]
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"{path}: no such file; {what} is a CSV with a column {needed[0]}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a readable CSV in UTF-8: {error}; save it anew as CSV (UTF-8)") from None
    kinds.require_small_table(path, rows)
    if not rows:
        raise InputError(f"{path}: lists no image; {what} needs at least one row")
    return rows


def _check_columns(path: Path, found: list[str], columns: Sequence[str], needed: Sequence[str]) -> None:
    if set(found) - set(columns) or set(needed) - set(found) or len(set(found)) < len(found):
        others = [name for name in columns if name not in needed]
        raise InputError(
            f"{path}: columns should be {' and '.join(needed)} and any of {', '.join(others)}, once each and separated "
            f"by commas, received {', '.join(map(repr, found)) or 'none'}"
        )


def _cells(path: Path, line: int, row: dict[str, str], columns: Sequence[str]) -> dict[str, str]:
    if "" in row:
        raise InputError(f"{path}: line {line} has more cells than the header; put quotes around cells with commas")
    return {name: (row.get(name) or "").strip() for name in columns}
