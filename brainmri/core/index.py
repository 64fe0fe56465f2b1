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

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from brainmri.core.errors import ArtifactError
from brainmri.core.files import open_array
from brainmri.core.missing import missing

QUALITY = ("snr", "contrast", "sharpness", "entropy_bits", "head_fraction", "clipped_fraction")
TEXT = ("image_id", "label", "set", "patient", "plane", "mode", "modality")
NAMES = (*TEXT, "split", "predicted", "method", "stage", "when")  # the latter in tables that later stages make
COLUMNS = (
    *("image_id", "label", "set", "patient", "number", "plane", "file_bytes"),
    *("group", "neighbour_group", "unit", "mask_row", "mode", "height_px", "width_px", "voxel_row_mm", "voxel_col_mm"),
    *("training_twin", "training_neighbour"),
    *("frame", "slice_mm", "modality", "field_t", "window_low", "window_high"),
    *QUALITY,
)


@dataclass(frozen=True)
class Split:
    """One folder of `data/processed`: arrays on disk and the table that says what their rows are."""

    index: pd.DataFrame  # (N rows)
    images: np.ndarray  # (N, S, S, C) uint8, memory-mapped
    masks: np.ndarray  # (M, S, S) uint8 0 or 1, memory-mapped; row `mask_row` of the index


def read_table(path: Path) -> pd.DataFrame:
    """Return a table that a stage wrote; ids and names stay text, even `1`, `NA` or empty; other empty cells are NaN.

    Raises
    ------
    ArtifactError
        If there is no such file.
    """
    try:
        # A class may be called `None` or `NA`: only numbers may be missing.
        numbers = {name: [""] for name in pd.read_csv(path, nrows=0).columns if name not in NAMES}
        return pd.read_csv(path, dtype=dict.fromkeys(NAMES, str), keep_default_na=False, na_values=numbers)
    except FileNotFoundError:
        raise missing(path) from None


def read_index(folder: Path) -> pd.DataFrame:
    """Return `folder/index.csv`; text columns hold empty strings, never NaN."""
    return read_table(folder / "index.csv")


def read_split(folder: Path) -> Split:
    """Open one split of `data/processed`, checked for arrays and table of equal length."""
    split = Split(read_index(folder), open_array(folder / "images.npy"), open_array(folder / "masks.npy"))
    if len(split.index) != len(split.images):
        raise ArtifactError(
            f"{folder}: index.csv and images.npy should have as many rows, "
            f"received {len(split.index)} and {len(split.images)}"
        )
    return split
