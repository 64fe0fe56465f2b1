"""Columns of the index as numbers for a network: scaled as in training, and saying where a value is missing."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Discriminator, Field, Tag

from brainmri.core.errors import InputError
from brainmri.core.params import Record

# What may be chosen: figures of the scan, never who it is of, what it is called or which set it came from.
NUMBERS = (
    *("voxel_row_mm", "voxel_col_mm", "height_px", "width_px"),
    *("snr", "contrast", "sharpness", "entropy_bits", "head_fraction", "clipped_fraction"),
)
WORDS = ("plane", "mode")


class EncodedNumber(Record):
    """A column of numbers in the `metadata.json` of a model."""

    column: Annotated[str, Field(pattern=f"^({'|'.join(NUMBERS)})$")]
    mean: float
    sd: Annotated[float, Field(gt=0)]


class EncodedWord(Record):
    """A column of words in it."""

    column: Annotated[str, Field(pattern=f"^({'|'.join(WORDS)})$")]
    values: list[str]


# What the file holds; the two are told apart by what they hold.
ENCODED = list[
    Annotated[
        Annotated[EncodedWord, Tag("word")] | Annotated[EncodedNumber, Tag("number")],
        Discriminator(lambda entry: "word" if isinstance(entry, dict) and "values" in entry else "number"),
    ]
]
Encoding = list[dict[str, Any]]  # one entry a column; what `encode` needs, as it stands in a model's folder


def without_values(table: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return those of `columns` that no row has a value for."""
    return [name for name in columns if not (table[name] != "" if name in WORDS else table[name].notna()).any()]


def fit_encoding(table: pd.DataFrame, columns: Sequence[str]) -> Encoding:
    """Learn from training rows how to write `columns`: mean and spread of numbers, the values of words.

    Raises
    ------
    InputError
        If no row has a value for one of them: there is nothing to learn from it.
    """
    if lacking := without_values(table, columns):
        raise InputError(
            "train.metadata: every column should have a value in one training image at least, received none of "
            f"{', '.join(lacking)}; leave it out"
        )
    encoding: Encoding = []
    for name in columns:
        if name in WORDS:
            encoding.append({"column": name, "values": sorted(value for value in table[name].unique() if value)})
        else:
            values = table[name].to_numpy(float)
            values = values[np.isfinite(values)]
            mean, spread = float(values.mean()), float(values.std())
            encoding.append({"column": name, "mean": mean, "sd": spread if spread > 0 else 1.0})
    return encoding


def width(encoding: Encoding) -> int:
    """Return how many numbers `encode` makes of a row."""
    return sum(len(entry["values"]) if "values" in entry else 2 for entry in encoding)


def encode(table: pd.DataFrame, encoding: Encoding) -> np.ndarray:
    """Return (N, M) float32: of a number its z-score, clipped to 5, and 1 where it is missing; of a word one of K.

    A missing number is 0, the mean; a word that training did not hold is all zeros.
    """
    parts = []
    for entry in encoding:
        column = table[entry["column"]]
        if "values" in entry:
            parts.append(np.stack([column == value for value in entry["values"]], 1).reshape(len(table), -1))
        else:
            values = column.to_numpy(float)
            known = np.isfinite(values)
            score = np.clip((np.where(known, values, entry["mean"]) - entry["mean"]) / entry["sd"], -5, 5)
            parts.append(np.stack([score, ~known], 1))
    return np.concatenate(parts, axis=1).astype(np.float32) if parts else np.empty((len(table), 0), np.float32)
