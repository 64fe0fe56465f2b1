"""Turn stored files into arrays on the square grid, with everything that preprocessing keeps of each."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from brainmri.core.errors import InputError
from brainmri.core.files import create_array, open_array
from brainmri.core.levels import own_levels
from brainmri.core.shards import read_images
from brainmri.parallel.pieces import Arrays, Piece, each_piece
from brainmri.preprocessing import duplicates, masks
from brainmri.preprocessing.decoding import decode
from brainmri.preprocessing.head import head, quality, without_frame
from brainmri.preprocessing.image_params import ImageParams
from brainmri.preprocessing.images import (
    apply_table,
    eight_bit,
    level_counts,
    to_square,
    window_table,
)
from brainmri.preprocessing.masks import FACTS

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
    shape = (grey.shape[0], grey.shape[1])
    mask, facts = masks.on_square(mask_data, shape, scan.inside, params)
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


class Rows(NamedTuple):
    """What is kept of some images beside their arrays, in their order."""

    known: list[dict[str, Any]]  # of the readable ones
    bad: list[dict[str, str]]
    mask_facts: list[dict[str, Any]]
    labels: list[str]  # of which there are histograms

    def add(self, other: "Rows") -> None:
        """Add what is kept of the images that follow."""
        self.known.extend(other.known)
        self.bad.extend(other.bad)
        self.mask_facts.extend(other.mask_facts)


def read_set(raw: Path, manifest: pd.DataFrame, params: ImageParams, folder: Path, name: str) -> Scans:
    """Read the images of a manifest of the shards in `raw` as `read_scans` does, here or on a cluster.

    `name` is what the progress bar calls it.
    """
    some = _at_once(params)
    rows = [manifest.iloc[at : at + some] for at in range(0, len(manifest), some)]
    pieces = [Piece((raw, own, params), len(own), _files(raw, own)) for own in rows]
    return _gathered(each_piece(read_piece, pieces, folder, name), len(manifest), params, folder)


def _files(raw: Path, manifest: pd.DataFrame) -> tuple[Path, ...]:
    return tuple(raw / shard for shard in sorted({*manifest["shard"], *manifest["mask_shard"]} - {""}))


def read_piece(raw: Path, manifest: pd.DataFrame, params: ImageParams) -> tuple[Rows, Arrays]:
    """Read the images of some rows of a manifest; return what is kept of them.

    Returns
    -------
    rows : Rows
    arrays : dict
        Of the n readable images `images` (n, S, S, C) uint8 and `thumbnails` (n, 1024) float32; `masks` (m, S, S) uint8
        of those that have one; `counts` (labels, 1 + C, 256), the sums of `Scan.counts` by label.
    """
    return _read(read_images(raw, manifest), len(manifest), params)


def read_scans(stored: Iterable[StoredImage], count: int, params: ImageParams, folder: Path) -> Scans:
    """Read up to `count` stored images into arrays under `folder`, some at a time; keep the bad ones aside, named."""
    return _gathered(_pieces(iter(stored), params), count, params, folder)


def _pieces(stored: Iterator[StoredImage], params: ImageParams) -> Iterator[tuple[Rows, Arrays]]:
    some = _at_once(params)
    while True:
        rows, arrays = _read(islice(stored, some), some, params)
        yield rows, arrays
        if len(rows.known) + len(rows.bad) < some:
            return


def _at_once(params: ImageParams) -> int:
    """Return how many images are read at once: some megabytes of pixels, and half a second of work."""
    return min(256, max(1, 2**20 // params.size**2))


def _read(stored: Iterable[StoredImage], count: int, params: ImageParams) -> tuple[Rows, Arrays]:
    images = np.empty((count, params.size, params.size, len(params.windows)), np.uint8)
    thumbnails = np.empty((count, duplicates.SIDE**2), np.float32)
    found = Rows([], [], [], [])
    masks: list[np.ndarray] = []
    counts: dict[str, np.ndarray] = {}
    for row, data, mask_data in stored:
        try:
            scan = read_scan(data, mask_data, params, _own_window(row))
        except InputError as error:
            found.bad.append({"image_id": row.image_id, "reason": str(error)})
            continue
        images[len(found.known)] = scan.channels
        thumbnails[len(found.known)] = duplicates.thumbnail(scan.square)
        if scan.mask is not None:
            masks.append(scan.mask)
            found.mask_facts.append(_mask_row(row) | scan.mask_facts)
        counts[row.label] = counts.get(row.label, 0) + scan.counts
        found.known.append(_index_row(row, scan))
    found.labels.extend(counts)
    some = slice(len(found.known))
    return found, {
        "images": images[some],
        "thumbnails": thumbnails[some],
        "masks": np.array(masks, np.uint8),
        "counts": np.array([*counts.values()]),
    }


def _gathered(pieces: Iterator[tuple[Rows, Arrays]], count: int, params: ImageParams, folder: Path) -> Scans:
    """Write the arrays of pieces one after the other, and join what else they tell."""
    shape = (count, params.size, params.size)
    thumbnails = np.zeros((count, duplicates.SIDE**2), np.float32)
    counts: dict[str, np.ndarray] = {}
    joined = Rows([], [], [], [])
    images, masks = folder / "images.npy", folder / "masks.npy"
    with _writer(images, (*shape, len(params.windows))) as put_images, _writer(masks, shape) as put_masks:
        for rows, arrays in pieces:
            start = len(joined.known)
            put_images(start, arrays["images"])
            masked = [at for at, row in enumerate(rows.known, start) if row["has_mask"]]
            for at, mask in zip(masked, arrays["masks"], strict=True):
                put_masks(at, mask[None])
            thumbnails[start : start + len(rows.known)] = arrays["thumbnails"]
            for label, own in zip(rows.labels, arrays["counts"], strict=True):
                counts[label] = counts.get(label, 0) + own
            joined.add(rows)
    unread = pd.DataFrame(joined.bad, columns=["image_id", "reason"])
    facts = pd.DataFrame(joined.mask_facts, columns=list(FACTS))
    arrays_of_all = (open_array(images, (*shape, len(params.windows))), open_array(masks, shape), thumbnails)
    return Scans(pd.DataFrame(joined.known), *arrays_of_all, _histograms(counts), unread, facts)


@contextmanager
def _writer(path: Path, shape: tuple[int, ...]) -> Iterator[Callable[[int, np.ndarray], None]]:
    """Create a `uint8` array file of zeros; give `put(at, pixels)`, which writes the rows from `at` on.

    Not through a memory map: pages that are written to one count as the process's own until it is closed.
    """
    create_array(path, shape)
    start, each = path.stat().st_size - math.prod(shape), math.prod(shape[1:])
    with path.open("r+b") as file:

        def put(at: int, pixels: np.ndarray) -> None:
            file.seek(start + at * each)
            file.write(pixels.data)

        yield put


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
