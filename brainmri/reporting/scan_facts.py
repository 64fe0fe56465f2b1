"""The metadata of a set as a table: what its files say of themselves and how good they are, by split and class."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from brainmri.core.index import MAYBE, QUALITY, Kinds

WORDS = ("mode", "plane", "modality")
NUMBERS = ("height_px", "width_px", "voxel_row_mm", "voxel_col_mm", "slice_mm", "field_t", "file_bytes", *QUALITY)
NOT_TOLD = "not told"
# What stands in the table, `metadata.csv`.
FACTS: Kinds = {
    "split": str,
    "label": str,
    "images": int,
    **dict.fromkeys(NUMBERS, MAYBE),
    **dict.fromkeys(WORDS, str),
}


def scan_facts(splits: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Summarise the index of each split, a row a split and class; no row tells of a single image.

    Parameters
    ----------
    splits : mapping of str to DataFrame
        Name of a split to its `index.csv`.

    Returns
    -------
    DataFrame
        `split`, `label` (`unlabelled` where there is none), `images`; of each number in `NUMBERS` its median over the
        images whose file tells it (NaN where none does); of each word in `WORDS` what occurs and how often, such as
        `axial 30, coronal 28`.
    """
    rows = [
        {
            "split": split,
            "label": str(label) or "unlabelled",
            "images": len(part),
            **{name: _median(part[name]) for name in NUMBERS},
            **{name: _tally(part[name]) for name in WORDS},
        }
        for split, table in splits.items()
        for label, part in table.groupby("label")
    ]
    return pd.DataFrame(rows, columns=["split", "label", "images", *NUMBERS, *WORDS])


def _median(column: pd.Series) -> float:
    values = column.to_numpy(float)
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _tally(column: pd.Series) -> str:
    found = column.replace("", NOT_TOLD).value_counts().sort_index()
    return ", ".join(f"{name} {count}" for name, count in found.items())
