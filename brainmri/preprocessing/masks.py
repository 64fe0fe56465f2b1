"""What the pixels of a mask file mean: the one place where it becomes tumour and no tumour.

Black is no tumour. In a file with a few values, such as 0, 85 and 255 or black, red and blue, each other value is a
label, and every label is tumour. In a file with many values, or two with soft edges between them, the tumour is what
is above half of the highest; levels between may lie along edges alone, because a whole area of them could be another
label that half of the highest would lose. What is set in all four corners is taken for inverted, and refused.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from brainmri.core import kinds, shards
from brainmri.core.errors import ArtifactError, InputError
from brainmri.core.labels import NO_TUMOUR
from brainmri.core.manifest import read_manifest
from brainmri.preprocessing.decoding import decode
from brainmri.preprocessing.image_params import ImageParams
from brainmri.preprocessing.images import mask_to_square

LABELS = 16  # a file with more values has soft edges, or is no mask
_SAY = "save it as PNG with 0 outside and 255 inside the tumour"
_SHOWN = 6  # values, in a sentence

# Of each mask: its image, of a slice of a volume which; and what `Mask` and the image on the square grid tell.
FACTS = ("image_id", "label", "volume", "values", "labels", "empty", "most_of_head", "outside_head")


class Mask(NamedTuple):
    """A mask as it is in its file."""

    tumour: np.ndarray  # (H, W) bool
    values: str  # what the file holds, for people: `0, 255`, `#000000, #ff0000` or `0 to 255 (87 values)`
    labels: bool  # whether it holds several labels, all of them tumour


class NativeTruth(NamedTuple):
    """A true mask as it was stored."""

    mask: np.ndarray  # (H, W) bool
    spacing_mm: tuple[float, float]  # between rows, between columns; NaN where unknown


def read_mask(data: bytes) -> Mask:
    """Decode a mask file and say where it is tumour, by the rule at the top of this module.

    Raises
    ------
    InputError
        If the file cannot be decoded, or its values cannot be meant as a mask; the message gives the reason only.
    """
    try:
        grey, mode = decode(data)
    except InputError as error:
        raise InputError(f"mask {error}") from None
    plain = mode == "1" or (mode[0] in "LIF" and "A" not in mode)
    levels, values, count = (grey, *_listed(grey)) if plain else _coloured(data)
    tumour, apart = _tumour(levels, values, _is_lossy(data))
    if tumour[[0, 0, -1, -1], [0, -1, 0, -1]].all():
        raise InputError(
            f"mask should be 0 outside of the tumour, received values {values} with all four corners set, as if "
            f"inverted; {_SAY}"
        )
    return Mask(tumour, values, apart and count > 2)


def on_square(
    data: bytes, shape: tuple[int, int], inside: np.ndarray, params: ImageParams
) -> tuple[np.ndarray, dict[str, object]]:
    """Return the mask in a file on the square grid, (S, S) bool, and what is to be known of it, see `FACTS`.

    Parameters
    ----------
    data : bytes
        The mask's file.
    shape : tuple of int
        H, W of the image.
    inside : ndarray, shape (S, S), bool
        The head.
    params : ImageParams

    Raises
    ------
    InputError
        As `read_mask`, and if the mask has another size than the image.
    """
    found = read_mask(data)
    if found.tumour.shape != shape:
        raise InputError(f"mask should have the image's size {shape}, received {found.tumour.shape}")
    square = mask_to_square(found.tumour, params.size, params.fit)
    hull = _hull(inside)
    facts: dict[str, object] = {
        "values": found.values,
        "labels": found.labels,
        "empty": not found.tumour.any(),
        "most_of_head": bool((square & inside).sum() > inside.sum() / 2),
        "outside_head": bool(hull.any() and (square & hull).sum() < square.sum() / 2),
    }
    return square, facts


def _hull(inside: np.ndarray) -> np.ndarray:
    """Return the convex hull of the head, bool: what is dark around a tumour at the base of the skull belongs to it."""
    filled = np.zeros(inside.shape, np.uint8)
    if inside.any():
        cv2.fillConvexPoly(filled, cv2.convexHull(np.argwhere(inside)[:, ::-1].astype(np.int32)), 1)
    return filled.view(bool)


def _is_lossy(data: bytes) -> bool:
    """Return whether a file is a JPEG or a lossy WebP, whose pixels are only near the values that were meant."""
    return data.startswith(b"\xff\xd8") or (data[8:12] == b"WEBP" and b"VP8 " in data[12:64])


def _coloured(data: bytes) -> tuple[np.ndarray, str, int]:
    """Return the brightest of the three colours on black, uint8, and the values; where all is black, the opacity."""
    with Image.open(io.BytesIO(data), formats=kinds.FORMATS) as picture:
        pixels = np.array(ImageOps.exif_transpose(picture).convert("RGBA"))
    opacity, colours = pixels[..., 3], pixels[..., :3]
    if opacity.min() < 255:
        for row, own in zip(colours, opacity, strict=True):  # the floats of all would be 4 times as large
            row[...] = (row * (own[..., None] / np.float32(255))).round()
    if not colours.any() and opacity.min() < opacity.max():
        values, count = _listed(opacity)
        return opacity, f"{values} in alpha alone", count
    if (colours == colours[..., :1]).all():
        return colours[..., 0], *_listed(colours[..., 0])
    codes = colours[..., 0].astype(np.uint32)
    for other in (1, 2):
        codes = codes * np.uint32(256) + colours[..., other]
    return colours.max(axis=2), *_listed(codes, "#{:06x}")


def _listed(pixels: np.ndarray, form: str = "{}") -> tuple[str, int]:
    """Return the values of pixels for people, and how many they are."""
    found = _values(pixels)
    shown = [form.format(value) for value in found[[*range(min(len(found), _SHOWN)), -1]]]
    text = ", ".join(shown[:-1]) if len(found) <= _SHOWN else f"{shown[0]} to {shown[-1]} ({len(found)} values)"
    return text, len(found)


def _values(pixels: np.ndarray) -> np.ndarray:
    """Return the sorted values of pixels; of levels by counting, which takes a tenth of the time of sorting."""
    if pixels.dtype.itemsize > 2:
        return np.unique(pixels)
    return np.flatnonzero(np.bincount(pixels.ravel()))


def _tumour(levels: np.ndarray, values: str, lossy: bool) -> tuple[np.ndarray, bool]:
    """Return where levels (H, W) are tumour, and whether each value, not only what is above a half, was taken so."""
    found = _values(levels)
    if found[0] > 0 and (len(found) <= 2 or found[0] >= found[-1] / 8):
        raise InputError(f"mask should be 0 outside of the tumour, received values {values}, none of them 0; {_SAY}")
    if lossy and 0 < found[-1] <= 127:
        raise InputError(f"mask in a lossy format should be bright in the tumour, received values {values}; {_SAY}")
    if len(found) <= 2 or (not lossy and _are_labels(levels, found)):
        return levels > 0, True
    _refuse_areas_between(levels, values)
    return levels > found[-1] // 2, False


def _are_labels(levels: np.ndarray, found: np.ndarray) -> bool:
    """Return whether each value is a label: few values, of which one between fills 2x2 pixels or is the only one.

    Soft edges, as resizing makes them, have one value after another between, and none of them on a block of pixels.
    Values near 0 or the highest do not count: they are what is left of a JPEG that was saved anew.
    """
    if found[0] > 0 or len(found) > LABELS:
        return False
    corner = levels[:-1, :-1]
    block = (corner == levels[1:, :-1]) & (corner == levels[:-1, 1:]) & (corner == levels[1:, 1:])
    return len(found) == 3 or bool((block & _between(corner, found[-1])).any())


def _between(levels: np.ndarray, high: int) -> np.ndarray:
    return np.asarray((levels > high / 16) & (levels < high * 15 / 16))


def _refuse_areas_between(levels: np.ndarray, values: str) -> None:
    """Refuse levels between 1/16 and 15/16 of the highest that fill an area: flat on 3x3 pixels, or any on 5x5."""
    high = int(levels.max())
    between = _between(levels, high).astype(np.uint8)
    three, five = np.ones((3, 3), np.uint8), np.ones((5, 5), np.uint8)
    edge = {"borderType": cv2.BORDER_CONSTANT, "borderValue": 0}
    flat = cv2.dilate(levels, three).astype(int) - cv2.erode(levels, three) <= high / 8
    if (flat & (cv2.erode(between, three, **edge) > 0)).any() or cv2.erode(between, five, **edge).any():
        raise InputError(
            f"mask should be dark or bright but for its edges, received values {values} with areas between, as of "
            f"further labels or of a scan; {_SAY}"
        )


def unlikely(facts: pd.DataFrame) -> dict[str, list[str]]:
    """Return which masks a person should look at: the ids of their images, by what is unlikely of them.

    An empty mask says that there is no tumour, which is right for many slices: of a volume it is unlikely in all of
    them, of a picture where its label names a tumour, or where it has none.

    Parameters
    ----------
    facts : DataFrame
        `scans.Scans.mask_facts`.
    """
    empty, none = facts["empty"].astype(bool), facts["label"] == NO_TUMOUR
    whole = empty.groupby(facts["volume"].where(facts["volume"] != "", facts["image_id"])).transform("all").astype(bool)
    kinds = {
        "hold several labels, all of them taken for tumour": facts["labels"].astype(bool),
        "have no pixel, which says that there is no tumour": empty & whole & ~none,
        f"outline a tumour where the label is {NO_TUMOUR}": ~empty & none,
        "cover over half of the head": facts["most_of_head"].astype(bool),
        "lie for the most part outside of the head": facts["outside_head"].astype(bool),
    }
    return {kind: facts["image_id"][rows].tolist() for kind, rows in kinds.items() if rows.any()}


def refuse_all_empty(facts: pd.DataFrame) -> None:
    """Raise `InputError` where there are masks, and not one of them has a pixel."""
    if len(facts) and facts["empty"].all():
        values = "; ".join(sorted(set(facts["values"])))
        raise InputError(
            f"preprocess: at least one mask should have a pixel, received {len(facts)} without (values {values}); look "
            "how they were saved, or bring the images without masks"
        )


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
