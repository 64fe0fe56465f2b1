"""Images that a person took out by hand: `exclude.csv`, with the columns image_id and reason."""

import csv
from collections import Counter
from itertools import islice
from pathlib import Path

import pandas as pd

from brainmri.core import kinds
from brainmri.core.errors import InputError

HEADER = ["image_id", "reason"]


def read_exclusions(path: Path, known: pd.Series) -> dict[str, str]:
    """Return the reason for each excluded image id.

    An id is made of the image's set, path and content (`manifest.image_id`), so that a file made for one set of images
    names nothing in another. That is refused rather than ignored: an exclusion without effect would go unseen.

    Parameters
    ----------
    path : Path
        CSV; a header alone excludes nothing.
    known : Series of str
        The ids of the manifest.

    Raises
    ------
    InputError
        No such file, not such a CSV, an empty cell, an id listed twice, or an id that the manifest does not hold.
    """
    rows = _rows(path)
    counts = Counter(name for name, _ in rows)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        raise InputError(f"{path}: each image_id should stand once, received {twice[:3]} more than once")
    unknown = sorted(set(counts) - set(known))
    if unknown:
        raise InputError(
            f"{path}: every image_id should be in the manifest that fetch wrote, received {len(unknown)} that are not "
            f"({', '.join(unknown[:3])}); ids are of one set of images only: take out these lines, or keep them on a "
            "branch that fetches the set they were made for"
        )
    return dict(rows)


def _rows(path: Path) -> list[tuple[str, str]]:
    try:
        kinds.require_small_table(path)
        with path.open(newline="", encoding="utf-8-sig") as file:
            some = islice(csv.reader(file), kinds.MAX_ROWS + 2)
            lines = [(number, [cell.strip() for cell in row]) for number, row in enumerate(some, 1) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path}: not a readable CSV in UTF-8: {error}; it needs the line {','.join(HEADER)}"
        ) from None
    kinds.require_small_table(path, lines[1:])
    if not lines or lines[0][1] != HEADER:
        found = ",".join(lines[0][1]) if lines else "nothing"
        raise InputError(f"{path}: the first line should be {','.join(HEADER)}, received {found}")
    for number, cells in lines[1:]:
        if len(cells) != 2 or not all(cells):
            raise InputError(
                f"{path}: line {number} should hold an image_id and a reason, received {','.join(cells)!r}; "
                "put quotes around a reason with commas"
            )
    return [(cells[0], cells[1]) for _, cells in lines[1:]]
