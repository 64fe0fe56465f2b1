"""The table of who is what, `data/processed/<split>/index.csv`: one row an image, in the order of the arrays.

============================== ========================================================================
image_id, label, set, patient  as in the manifest
number, plane, file_bytes      as in the manifest
group                          images that are twins of one another share a group, across all splits
neighbour_group                the same for images that look like neighbouring slices of one patient, twins among them
unit                           what was kept together when splits were drawn: a patient, or a group of neighbours
mask_row                       row in `masks.npy`; -1 where the image has no mask
mode, height_px, width_px      of the file
voxel_row_mm, voxel_col_mm     on the square grid; empty where the file does not tell
frame, slice_mm, modality, field_t, window_low, window_high  as in the manifest
training_twin                  whether a twin stands in the source's training part (before any was dropped)
training_neighbour             the same of a neighbour
snr ... clipped_fraction       see `head.quality`
============================== ========================================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainmri.core.errors import one_line, shown
from brainmri.core.files import open_array
from brainmri.core.missing import damaged, missing

QUALITY = ("snr", "contrast", "sharpness", "entropy_bits", "head_fraction", "clipped_fraction")
TEXT = ("image_id", "label", "set", "patient", "plane", "mode", "modality")
NAMES = (*TEXT, "split", "predicted", "method", "stage", "when")  # the latter in tables that later stages make
PROBABILITY = "p_"  # begins the name of a column of probabilities, which a class's name ends

Kinds = Mapping[str, Any]  # what stands in each column: `str`, `int`, `float`, `bool`; `MAYBE` is a number or nothing
MAYBE = float | None
COLUMNS: Kinds = {
    "image_id": str, "label": str, "set": str, "patient": str, "number": int, "plane": str, "file_bytes": int,
    "group": int, "neighbour_group": int, "unit": int, "mask_row": int, "mode": str, "height_px": int, "width_px": int,
    "voxel_row_mm": MAYBE, "voxel_col_mm": MAYBE, "training_twin": bool, "training_neighbour": bool,
    "frame": int, "slice_mm": MAYBE, "modality": str, "field_t": MAYBE, "window_low": MAYBE, "window_high": MAYBE,
    **dict.fromkeys(QUALITY, MAYBE),
}  # fmt: skip


RULES = {str: "text", int: "whole numbers", float: "numbers", MAYBE: "numbers or nothing", bool: "True or False"}


@dataclass(frozen=True)
class Split:
    """One folder of `data/processed`: arrays on disk and the table that says what their rows are."""

    index: pd.DataFrame  # (N rows)
    images: np.ndarray  # (N, S, S, C) uint8, memory-mapped
    masks: np.ndarray  # (M, S, S) uint8 0 or 1, memory-mapped; row `mask_row` of the index


def read_table(path: Path, kinds: Kinds) -> pd.DataFrame:
    """Return a table that a stage wrote; ids and names stay text, even `1`, `NA` or empty; other empty cells are NaN.

    Parameters
    ----------
    kinds : mapping
        The columns that it should have, and what should stand in them. It may have more: those of `NAMES` are text,
        those of probabilities numbers, and of the others nothing is asked.

    Raises
    ------
    ArtifactError
        If there is no such file, or it is not as it was written.
    """
    try:
        header = list(_csv(path, nrows=0))
        kinds = {name: float for name in header if name.startswith(PROBABILITY)} | dict(kinds)
        if lacking := [name for name in kinds if name not in header]:
            raise damaged(path, f"should have the columns {', '.join(kinds)}, received none called {shown(lacking)}")
        _require_whole_lines(path)
        table = _typed(path, header, kinds)
    except FileNotFoundError:
        raise missing(path) from None
    except (ValueError, OSError, OverflowError) as error:  # pandas' own errors are ValueErrors
        raise damaged(path, f"not a readable table: {one_line(error)}") from None
    if not isinstance(table.index, pd.RangeIndex):
        raise damaged(path, f"rows should have the {len(header)} cells of the header, received more")
    if bad := _bad_cell(table, kinds):
        raise damaged(path, bad)
    return table


def _csv(path: Path, **options: Any) -> pd.DataFrame:
    table: pd.DataFrame = pd.read_csv(path, keep_default_na=False, **options)
    return table


def _typed(path: Path, header: list[str], kinds: Kinds) -> pd.DataFrame:
    """Return the table with the types that it should have; where a cell has another, as text that tells which."""
    # A class may be called `None` or `NA`: only numbers may be missing.
    texts = [name for name in header if kinds.get(name, str if name in NAMES else None) is str]
    numbers = {name: [""] for name in header if name not in texts}
    # What pandas is told it need not guess. Numbers it has to: whole ones stay whole.
    known = dict.fromkeys(texts, str) | {name: kind for name, kind in kinds.items() if kind in (int, bool)}
    try:
        with np.errstate(invalid="ignore"):  # NumPy warns of a number that is no whole one before pandas refuses it
            return _csv(path, dtype=known, na_values=numbers)
    except (ValueError, TypeError, OverflowError):
        return _csv(path, dtype=str)


def _require_whole_lines(path: Path) -> None:
    """Refuse a file that does not end with a line: the number in the last cell may have been cut short."""
    with path.open("rb") as file:
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            raise ValueError("it should end with a whole line, received part of one")


def _bad_cell(table: pd.DataFrame, kinds: Kinds) -> str:
    """Return what is wrong with the first column that holds something other than it should; empty where none does."""
    for name, kind in kinds.items():
        if len(table) and not _fits(table[name], kind):
            cells = table[name].astype(str)
            wrong = cells[[not _is(cell, kind) for cell in cells]]
            received = shown(wrong.iloc[0]) if len(wrong) else "another"
            return f"column {name} should hold {RULES[kind]} in every row, received {received}"
    return ""


def _fits(column: pd.Series, kind: Any) -> bool:
    if kind is str:
        return not column.isna().any()  # a line that lacks its last cells
    if kind in (int, bool):
        return column.dtype == kind
    numbers = column.dtype.kind in "if" and not np.isinf(column).any()
    return numbers and (kind is MAYBE or not column.isna().any())


def _is(cell: str, kind: Any) -> bool:
    """Return whether a cell of a table that did not fit is what it should be; slow, and asked but then."""
    if kind in (str, bool):
        return cell in ("True", "False") if kind is bool else cell != "nan"
    try:
        return (kind is MAYBE and cell in ("", "nan")) or np.isfinite(int(cell) if kind is int else float(cell))
    except ValueError:
        return False


def read_index(folder: Path) -> pd.DataFrame:
    """Return `folder/index.csv`; text columns hold empty strings, never NaN."""
    return read_table(folder / "index.csv", COLUMNS)


def read_split(folder: Path) -> Split:
    """Open one split of `data/processed`, checked for arrays and table that fit each other."""
    index = read_index(folder)
    images = open_array(folder / "images.npy", (len(index), None, None, None))
    masks = open_array(folder / "masks.npy", (None, *images.shape[1:3]))
    rows = index["mask_row"].to_numpy()
    if len(rows) and not (rows.min() >= -1 and rows.max() < len(masks)):
        raise damaged(
            folder / "index.csv",
            f"column mask_row should hold -1 or a row of masks.npy, which has {len(masks)}, received {rows.min()} to "
            f"{rows.max()}",
        )
    return Split(index, images, masks)
