"""Masks on the pixels of the stored file: the true ones as they were stored, predicted ones brought back to them."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from brainmri.core import shards
from brainmri.core.errors import ArtifactError
from brainmri.core.manifest import read_manifest
from brainmri.preprocessing.masks import read_mask


class NativeTruth(NamedTuple):
    """A true mask as it was stored."""

    mask: np.ndarray  # (H, W) bool
    spacing_mm: tuple[float, float]  # between rows, between columns; NaN where unknown


def from_square(mask: np.ndarray, shape: tuple[int, int], fit: str) -> np.ndarray:
    """Bring a mask from the square grid back to the file's own: the way back of `images.to_square`.

    Parameters
    ----------
    mask : ndarray, shape (S, S), bool
    shape : tuple of int
        H, W of the file.
    fit : {"pad", "stretch"}
        How the image met the square grid.

    Returns
    -------
    ndarray, shape (H, W), bool
        Foreground where the mask, between its pixels interpolated linearly, is one half or more.
    """
    native: np.ndarray = levels_from_square(mask.astype(np.float32), shape, fit) >= 0.5
    return native


def levels_from_square(square: np.ndarray, shape: tuple[int, int], fit: str) -> np.ndarray:
    """Bring levels (S, S) float32, such as a map, from the square grid back to the file's own; see `from_square`."""
    size = len(square)
    if fit == "stretch":
        rows, cols = size, size
    else:
        rows, cols = (max(1, round(side * size / max(shape))) for side in shape)
    top, left = (size - rows) // 2, (size - cols) // 2
    part = square[top : top + rows, left : left + cols]
    finer = cv2.INTER_LINEAR if shape[0] >= rows and shape[1] >= cols else cv2.INTER_AREA
    return np.asarray(cv2.resize(part, (shape[1], shape[0]), interpolation=finer))


def native_truths(raw: Path, index: pd.DataFrame) -> Iterator[NativeTruth | None]:
    """Yield the stored mask of each row of an index, one at a time; None where the image has none.

    Raises
    ------
    ArtifactError
        If `raw` is not the folder that the index was made from.
    """
    manifest = read_manifest(raw).set_index("image_id")
    for image in index.itertuples():
        if image.mask_row < 0:
            yield None
            continue
        if image.image_id not in manifest.index or not manifest.at[image.image_id, "mask_path"]:
            raise ArtifactError(
                f"{raw}: manifest.csv should have a mask for image {image.image_id}, as the index does, received "
                "none; run `dvc repro`"
            )
        row = manifest.loc[image.image_id]
        mask = read_mask(shards.read(raw, row["mask_shard"], f"{row['set']}/{row['mask_path']}")).tumour
        yield NativeTruth(mask, (float(row["voxel_row_mm"]), float(row["voxel_col_mm"])))
