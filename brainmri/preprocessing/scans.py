"""Turn stored files into arrays on the square grid, with everything that preprocessing keeps of each."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from brainmri.core.errors import InputError
from brainmri.core.files import create_array, open_array
from brainmri.core.levels import own_levels
from brainmri.preprocessing import duplicates
from brainmri.preprocessing.decoding import decode
from brainmri.preprocessing.head import head, quality, without_frame
from brainmri.preprocessing.images import (
    ImageParams,
    apply_table,
    eight_bit,
    level_counts,
    mask_to_square,
    to_square,
    window_table,
)
from brainmri.preprocessing.masks import FACTS, read_mask

# One stored image: its row of the manifest, the bytes of its file and of its mask.
StoredImage = tuple[Any, bytes, bytes | None]


@dataclass(frozen=True)
class Scan:
    """One slice on the square grid (S x S pixels)."""

    square: np.ndarray  # (S, S) uint8 or uint16, before any window
    inside: np.ndarray  # (S, S) bool, the head
    channels: np.ndarray  # (S, S, C) uint8, one a window
    mask: np.ndarray | None  # (S, S) bool
    scale: tuple[float, float]  # new pixels per old one, along rows and columns
    facts: dict[str, object]  # mode, size and quality, as in the index
    counts: (
        np.ndarray
    )  # (1 + C, 256), pixels of each level inside the head: before (in 256 levels), and after each window
    mask_facts: dict[str, object] = field(default_factory=dict)  # its values, and in what it is unlikely


@dataclass(frozen=True)
class Scans:
    """Every readable image of a set of N, in the order of the manifest; the arrays may be longer than the table."""

    table: pd.DataFrame  # the manifest's columns, mode, size and quality, and `has_mask`
    images: np.ndarray  # (N, S, S, C) uint8, memory-mapped
    masks: np.ndarray  # (N, S, S) uint8, memory-mapped; zero where there is none
    thumbnails: np.ndarray  # (N, 1024) float32
    histograms: pd.DataFrame  # columns label, stage, level, share
    bad: pd.DataFrame  # columns image_id, reason
    mask_facts: pd.DataFrame  # one row a mask, columns `masks.FACTS`


def read_scan(
    data: bytes, mask_data: bytes | None, params: ImageParams, own_window: tuple[float, float] | None = None
) -> Scan:
    """Decode an image file and its mask, if it has one, and bring both to the square grid.

    `own_window` is that of the scan's own file, see `images.window_table`.

    Raises
    ------
    InputError
        If a file cannot be decoded or the sizes of the two differ; the message gives the reason only.
    """
    grey, mode = decode(data)
    scan = scan_of(grey, mode, params, own_window)
    if mask_data is None:
        return scan
    mask, facts = _mask_of(mask_data, scan, params)
    return replace(scan, mask=mask, mask_facts=facts)


def scan_of(grey: np.ndarray, mode: str, params: ImageParams, own_window: tuple[float, float] | None = None) -> Scan:
    """Bring a decoded slice (H, W), uint8 or uint16, to the square grid; of the rest see `read_scan`."""
    plain = without_frame(own_levels(grey))
    square, scale = to_square(plain, params.size, params.fit, fill=int(plain.min()))
    inside = head(square)
    counts = level_counts(square, inside)
    counts_256 = counts if square.dtype == np.uint8 else level_counts(eight_bit(square), inside)
    table = window_table(square, counts, params, own_window)
    facts = {"mode": mode, "height_px": grey.shape[0], "width_px": grey.shape[1]}
    return Scan(
        square,
        inside,
        apply_table(square, table),
        None,
        scale,
        facts | quality(square, inside, counts, counts_256),
        _stage_counts(counts, counts_256, table),
    )


def _stage_counts(counts: np.ndarray, counts_256: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return the levels inside the head counted before and after each window, (1 + C, 256), from the counts alone."""
    return np.stack([counts_256, *(np.bincount(row, counts, 256) for row in table)])


def read_scans(stored: Iterable[StoredImage], count: int, params: ImageParams, folder: Path) -> Scans:
    """Read up to `count` stored images into arrays under `folder`, one at a time; name and keep the bad ones aside."""
    shape = (count, params.size, params.size)
    thumbnails = np.zeros((count, duplicates.SIDE**2), np.float32)
    counts: dict[str, np.ndarray] = {}
    rows: list[dict[str, Any]] = []
    bad: list[dict[str, str]] = []
    mask_facts: list[dict[str, Any]] = []
    images, masks = folder / "images.npy", folder / "masks.npy"
    with _writer(images, (*shape, len(params.windows))) as put_image, _writer(masks, shape) as put_mask:
        for row, data, mask_data in stored:
            try:
                scan = read_scan(data, mask_data, params, _own_window(row))
            except InputError as error:
                bad.append({"image_id": row.image_id, "reason": str(error)})
                continue
            put_image(len(rows), scan.channels)
            if scan.mask is not None:
                put_mask(len(rows), scan.mask)
                mask_facts.append(_mask_row(row) | scan.mask_facts)
            thumbnails[len(rows)] = duplicates.thumbnail(scan.square)
            counts[row.label] = counts.get(row.label, 0) + scan.counts
            rows.append(_index_row(row, scan))
    unread = pd.DataFrame(bad, columns=["image_id", "reason"])
    known = pd.DataFrame(mask_facts, columns=list(FACTS))
    arrays = (open_array(images, (*shape, len(params.windows))), open_array(masks, shape), thumbnails)
    return Scans(pd.DataFrame(rows), *arrays, _histograms(counts), unread, known)


@contextmanager
def _writer(path: Path, shape: tuple[int, ...]) -> Iterator[Callable[[int, np.ndarray], None]]:
    """Create a `uint8` array file of zeros; give `put(at, pixels)`, which writes one row of it.

    Not through a memory map: pages that are written to one count as the process's own until it is closed.
    """
    create_array(path, shape)
    start = path.stat().st_size - math.prod(shape)
    with path.open("r+b") as file:

        def put(at: int, pixels: np.ndarray) -> None:
            file.seek(start + at * pixels.nbytes)
            file.write(pixels.data)

        yield put


def _mask_of(data: bytes, scan: Scan, params: ImageParams) -> tuple[np.ndarray, dict[str, object]]:
    """Return the mask on the square grid, and what is to be known of it."""
    found = read_mask(data)
    shape = (scan.facts["height_px"], scan.facts["width_px"])
    if found.tumour.shape != shape:
        raise InputError(f"mask should have the image's size {shape}, received {found.tumour.shape}")
    square = mask_to_square(found.tumour, params.size, params.fit)
    hull = _hull(scan.inside)
    facts: dict[str, object] = {
        "values": found.values,
        "labels": found.labels,
        "empty": not found.tumour.any(),
        "most_of_head": bool((square & scan.inside).sum() > scan.inside.sum() / 2),
        "outside_head": bool(hull.any() and (square & hull).sum() < square.sum() / 2),
    }
    return square, facts


def _hull(inside: np.ndarray) -> np.ndarray:
    """Return the convex hull of the head, bool: what is dark around a tumour at the base of the skull belongs to it."""
    filled = np.zeros(inside.shape, np.uint8)
    if inside.any():
        cv2.fillConvexPoly(filled, cv2.convexHull(np.argwhere(inside)[:, ::-1].astype(np.int32)), 1)
    return filled.view(bool)


def _mask_row(row: Any) -> dict[str, Any]:
    volume = f"{row.set}/{row.path.rpartition('/')[0]}" if row.frame >= 0 else ""
    return {"image_id": row.image_id, "label": row.label, "volume": volume}


def _own_window(row: Any) -> tuple[float, float] | None:
    return (row.window_low, row.window_high) if row.window_low < row.window_high else None


def _index_row(row: Any, scan: Scan) -> dict[str, Any]:
    carried = ("image_id", "set", "label", "split", "patient", "number", "plane", "file_bytes", "sha256",
               "frame", "slice_mm", "modality", "field_t", "window_low", "window_high")  # fmt: skip
    return (
        {name: getattr(row, name) for name in carried}
        | scan.facts
        | {"voxel_row_mm": row.voxel_row_mm / scan.scale[0], "voxel_col_mm": row.voxel_col_mm / scan.scale[1]}
        | {"has_mask": scan.mask is not None}
    )


def _histograms(counts: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return the histograms in 64 bins of 4 levels; the shares of each label and stage add up to one."""
    parts = []
    for label, stages in sorted(counts.items()):
        for at, stage in enumerate(stages):
            share = stage.reshape(64, 4).sum(axis=1) / stage.sum()
            name = f"window {at}" if at else "before"
            parts.append(pd.DataFrame({"label": label, "stage": name, "level": np.arange(0, 256, 4), "share": share}))
    return pd.concat(parts) if parts else pd.DataFrame(columns=["label", "stage", "level", "share"])
