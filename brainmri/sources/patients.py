"""Say whose the images of local sets are: by a table of the user's own, and by pseudonyms in place of all names.

The table is a CSV with the column `patient` and one or both of `file` (a path inside a set, or the last part of one)
and `number` (of a masked slice). It is for sets whose layout names no patient: a row for an image whose folder names
one is refused, so that nobody is named twice.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from brainmri.core.errors import InputError
from brainmri.core.manifest import SourceImage
from brainmri.sources import archives, tables

COLUMNS = ("patient", "file", "number")
NOBODY = {"", "-", "?", "n/a", "na", "nan", "none", "null", "unknown"}  # as programs and people write an empty cell

Images = Mapping[str, list[SourceImage]]  # of each set, by its name


def with_patients(images: Images, path: Path) -> dict[str, list[SourceImage]]:
    """Return the images of all sets with the patients of table `path`; without a row they stay of nobody.

    Raises
    ------
    InputError
        What `tables.read_rows` refuses; a row that names an image by both columns or none, no image or several, or one
        whose folder names its patient; a number that is not whole; a patient such as `nan` or `1.2E+11`; an image with
        two patients.
    """
    whole, last = _by_cell(images)
    given: dict[tuple[str, str], tuple[str, int]] = {}
    for line, cell, patient in _rows(path):
        image = _hit(f"{path}: line {line}", cell, whole.get(cell) or last.get(cell) or [])
        known, earlier = given.setdefault((image.set, image.path), (patient, line))
        if known != patient:
            raise InputError(
                f"{path}: line {line}: an image should be of one patient, received for {image.path} another than in "
                f"line {earlier}; keep one of the two rows"
            )
    return {
        name: [replace(image, patient=given.get((name, image.path), (image.patient, 0))[0]) for image in own]
        for name, own in images.items()
    }


def _by_cell(images: Images) -> tuple[dict[str, list[SourceImage]], dict[str, list[SourceImage]]]:
    """Return the images by their path or number, and by the last part of their path, as `_cell` writes both."""
    whole, last = defaultdict(list), defaultdict(list)
    for image in (image for own in images.values() for image in own):
        whole[f"file {image.path}"].append(image)
        last[f"file {PurePosixPath(image.path).name}"].append(image)
        if image.number >= 0:
            whole[f"number {image.number}"].append(image)
    return whole, last


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield line, what names the image, and patient of each row."""
    for line, row in tables.read_rows(path, COLUMNS, COLUMNS[:1], "a table of patients"):
        where = f"{path}: line {line}"
        yield line, _cell(path, where, row), person(where, row["patient"])


def _cell(path: Path, where: str, row: dict[str, str]) -> str:
    file, number = row["file"], row["number"]
    if bool(file) == bool(number):
        raise InputError(
            f"{where}: a row should name an image by file or by number, received {'both' if file else 'neither'}; "
            "fill in one of the two"
        )
    if file:
        return f"file {archives.clean(path, file)}"
    if re.fullmatch("[0-9]{1,9}", number, re.ASCII) is None:
        raise InputError(f"{where}: a number should be whole, such as 7, received {number!r}; write it so")
    return f"number {int(number)}"


def person(where: str, cell: str) -> str:
    """Return a patient as `cell` names one: numbers as a spreadsheet writes them, `7.0` and `007`, are person `7`.

    Raises
    ------
    InputError
        What stands for nobody, or a number that a spreadsheet has rounded, such as `1.23E+11`.
    """
    if cell.lower() in NOBODY:
        raise InputError(
            f"{where}: a patient should be a name or a number, received {cell!r}; correct the row, or where nobody is "
            "known leave a manifest's cell empty, and a table's row out"
        )
    if re.fullmatch(r"-?[0-9]+([.,][0-9]+)?E[+-][0-9]+", cell, re.IGNORECASE | re.ASCII):
        raise InputError(
            f"{where}: a patient should be a name or a whole number, received {cell!r}, rounded by a spreadsheet; save "
            "the column as text"
        )
    number = re.fullmatch(r"[+]?0*([0-9]+)([.,]0{0,2})?", cell, re.ASCII)
    return number[1] if number else unicodedata.normalize("NFC", cell)


def _hit(where: str, cell: str, found: list[SourceImage]) -> SourceImage:
    if not found:
        raise InputError(
            f"{where}: each row should name an image of fetch.local.classes or fetch.local.masks, received {cell}; "
            "write its path inside the set, or drop the row"
        )
    if len(found) > 1:
        raise InputError(
            f"{where}: each row should name one image, received {cell} for {found[0].path} and {found[1].path}; write "
            "the whole path inside the set"
        )
    if found[0].patient:
        raise InputError(f"{where}: {found[0].path} has its patient from its folder; drop the row")
    return found[0]


def pseudonymised(images: Images) -> dict[str, list[SourceImage]]:
    """Replace the patients by p0001 and on, one name over all sets; who is who is kept nowhere."""
    names = sorted({image.patient for own in images.values() for image in own if image.patient})
    pseudonyms = {name: f"p{number:04d}" for number, name in enumerate(names, start=1)} | {"": ""}
    return {name: [replace(image, patient=pseudonyms[image.patient]) for image in own] for name, own in images.items()}
