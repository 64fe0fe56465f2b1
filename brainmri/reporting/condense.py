"""Tables that say a thing once: parts with equal figures share a row, and a column that never differs is a sentence."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from brainmri.reporting.documents import Block, Table, Text
from brainmri.scoring.assessment import PARTS

Rows = Sequence[Sequence[str]]


def distinct_parts(found: Mapping[str, Any]) -> list[str]:
    """Return the parts of a test set, by their names in `PARTS`, that are not the same images as the part before.

    Parameters
    ----------
    found : mapping
        The scores of each part, with its `images`. Each part holds the next, so that equally many are the same ones.
    """
    present = [part for part in PARTS if part in found]
    sizes = [found[part]["images"] for part in present]
    return [part for at, part in enumerate(present) if at == 0 or sizes[at] != sizes[at - 1]]


def equal_parts(
    named: Sequence[tuple[str, Rows]], counts: Collection[int], same: str = "the same images"
) -> list[tuple[str, list[list[str]]]]:
    """Join parts that follow each other and whose rows differ in their counts at most.

    Parameters
    ----------
    named : sequence of (str, rows)
        Each part's title and its rows of cells; each part holds the next, or is the same images seen otherwise.
    counts : collection of int
        The columns that count (images, units). Where they differ, they stand beside each other.
    same : str
        What to say where not even the counts differ.

    Returns
    -------
    list of (str, rows)
        Titles such as `twin-free and neighbour-free: the same images`, or `...: equal scores` where the counts differ.
    """
    groups: list[list[tuple[str, Rows]]] = []
    for title, rows in named:
        if groups and _scores(groups[-1][-1][1], counts) == _scores(rows, counts):
            groups[-1].append((title, rows))
        else:
            groups.append([(title, rows)])
    return [_joined(group, same) for group in groups]


def _scores(rows: Rows, counts: Collection[int]) -> list[list[str]]:
    return [[cell for at, cell in enumerate(row) if at not in counts] for row in rows]


def _joined(group: Sequence[tuple[str, Rows]], same: str) -> tuple[str, list[list[str]]]:
    titles, tables = zip(*group, strict=True)
    joined = [
        [", ".join(dict.fromkeys(cells)) for cells in zip(*rows, strict=True)] for rows in zip(*tables, strict=True)
    ]
    if len(group) == 1:
        return titles[0], joined
    note = same if all(rows == tables[0] for rows in tables) else "equal scores"
    return f"{', '.join(titles[:-1])} and {titles[-1]}: {note}", joined


def table(caption: str, header: Sequence[str], rows: Rows) -> list[Block]:
    """Return a table without the columns that say the same in all of several rows, and a sentence of what they say."""
    same = [at for at in range(1, len(header)) if len(rows) > 1 and len({row[at] for row in rows}) == 1]
    if not same or len(same) == len(header) - 1:
        return [Table(caption, header, rows)]
    shown = [at for at in range(len(header)) if at not in same]
    said = "; ".join(f"{header[at]} = {rows[0][at]}" for at in same)
    lean = Table(caption, [header[at] for at in shown], [[row[at] for at in shown] for row in rows])
    return [lean, Text(f"The same in every row: {said}.")]
