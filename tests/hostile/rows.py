"""What a row of docs/hostile.md is, and the ways of reading that rows give their inputs to.

Each other module of this folder is a part of the page: TITLE, INTRO (a sentence or two, may be empty) and ROWS.
`tests/test_hostile.py` makes, reads and judges every row, and holds the page equal to them.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from brainmri.core.errors import BrainMRIError, InputError
from brainmri.prediction.inputs import opened
from brainmri.preprocessing.decoding import decode
from brainmri.sources import local


class Refused(NamedTuple):
    """One of our errors leaves, and says this: FILE stands for the path that was made, `...` for a library's words."""

    sentence: str


class Result(NamedTuple):
    """What comes back equals `value`; the page says what that is, such as `read right: 8-bit grey`."""

    said: str
    value: Any


class Row(NamedTuple):
    """One kind of hostile input."""

    kind: str  # what it is, for people
    make: Callable[[Path], Path]  # writes it into an empty folder; returns what is to be read
    read: Callable[[Path], Any]
    outcome: Refused | Result


def saved(name: str, data: bytes | Callable[[], bytes]) -> Callable[[Path], Path]:
    """Return a `make` that writes one file; bytes that take time or memory to make are given as a function."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data() if callable(data) else data)
        return folder / name

    return make


def decoded(path: Path) -> list[Any]:
    """Read a picture as every stage and `predict` do; return its mode and grey levels, as lists."""
    grey, mode = decode(path.read_bytes())
    return [mode, grey.tolist()]


def predicted(path: Path) -> list[str]:
    """Read what `brainmri predict` would answer for; return a line for each scan, each refusal, and what is counted."""
    lines = []
    with opened(path) as found:
        for item in found.items:
            try:
                scans = item.read()
            except InputError as error:
                if len(found.items) == 1:
                    raise
                lines.append(str(error).replace(f"{path}/", ""))
                continue
            for scan in scans:
                name = "FILE" if scan.name == str(path) else scan.name.removeprefix(f"{path}/")
                lines.append(f"{name} {scan.levels.shape} {scan.mode}")
        lines += [f"{count} {kind}" for kind, count in found.ignored.items()]
    return lines


def fetched(path: Path) -> list[str]:
    """Read a set or a manifest as `fetch` does; return a line for each image, and what is counted."""
    opening = local.opened_manifest(path) if path.suffix == ".csv" else local.opened_layout(path, "classes")
    with opening as source:
        lines = [f"{image.path} {image.label}" for image in local.stream(source)]
        return lines + [f"{count} {kind}" for kind, count in source.ignored.items()]


def wrong(row: Row, path: Path) -> str:
    """Return what of a row's outcome did not come about; nothing where all did."""
    try:
        found = row.read(path)
    except Exception as error:
        return _not_said(row.outcome, error, path)
    if isinstance(row.outcome, Refused):
        return f"should be refused, was read: {found!r:.500}"
    return "" if found == row.outcome.value else f"should be {row.outcome.value!r:.500}, was {found!r:.500}"


def _not_said(outcome: Refused | Result, error: Exception, path: Path) -> str:
    said = str(error).replace(str(path), "FILE").replace(str(path.parent), "FOLDER")
    if not isinstance(error, BrainMRIError):
        return f"no error of ours: {type(error).__name__}: {said}"
    if isinstance(outcome, Result):
        return f"should be read, was refused: {said}"
    if "\n" in said or "Traceback" in said:
        return f"no sentence: {said}"
    pattern = ".+".join(re.escape(part) for part in outcome.sentence.split("..."))
    return "" if re.fullmatch(pattern, said) else f"should say: {outcome.sentence}\nsaid:       {said}"


def section(title: str, intro: str, rows: list[Row]) -> str:
    """Return a part of the page as Markdown."""
    lines = [f"## {title}", "", *([intro, ""] if intro else []), "| kind | what happens |", "| --- | --- |"]
    for row in rows:
        said = row.outcome.said if isinstance(row.outcome, Result) else f"refused: {row.outcome.sentence}"
        lines.append(f"| {_cell(row.kind)} | {_cell(said)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
