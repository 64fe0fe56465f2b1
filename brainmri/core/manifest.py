"""The table of what `fetch` stored, `data/raw/manifest.csv`: one row an image, sorted by `set` and `path`.

======================== ==============================================================================
image_id                 pseudonym: the first 12 hex digits of the SHA-256 of set, path and content
set                      which of the source's sets it came from: `phantom`, `classes`, `masks` or `manifest`; or
                         `external-<name>`, one that is scored and never learnt from
path                     place inside the set, with `/`; with `set`, the member's name inside its shard
sha256, file_bytes       of the stored file
shard                    the zip file in `data/raw` that holds it
label                    class name; empty where the source gives none
split                    `train`, `val` or `test` as the source says; empty where it says nothing
patient                  pseudonym; empty where unknown
number                   position in a numbered series (it tells no patient); -1 where there is none
plane                    `axial`, `coronal`, `sagittal`, or empty
voxel_row_mm, voxel_col_mm  distance between rows and between columns; empty where the file does not tell
mask_path, mask_sha256, mask_shard  the tumour mask of the image, stored beside it; empty where there is none
frame                    place in its volume, from 0, of a slice of a DICOM series or NIfTI file; -1 for a picture
slice_mm                 distance between the slices of the volume; empty where unknown or uneven
level_scale, level_offset  value in the file = stored level x scale + offset, the same for all slices of a volume
window_low, window_high  stored levels that the file's own window shows as black and white; empty where it has none
modality, field_t, tr_ms, te_ms  DICOM's code, field strength, repetition and echo time; empty where unknown
======================== ==============================================================================
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from brainmri.core.errors import shown
from brainmri.core.files import read_json
from brainmri.core.index import MAYBE, Kinds, read_table
from brainmri.core.missing import damaged
from brainmri.core.params import OPTIONAL, Record

COLUMNS: Kinds = {
    "image_id": str, "set": str, "path": str, "sha256": str, "file_bytes": int, "shard": str,
    "label": str, "split": str, "patient": str, "number": int, "plane": str,
    "voxel_row_mm": MAYBE, "voxel_col_mm": MAYBE, "mask_path": str, "mask_sha256": str, "mask_shard": str,
    "frame": int, "slice_mm": MAYBE, "level_scale": MAYBE, "level_offset": MAYBE, "window_low": MAYBE,
    "window_high": MAYBE, "modality": str, "field_t": MAYBE, "tr_ms": MAYBE, "te_ms": MAYBE,
}  # fmt: skip


EXTERNAL = "external-"  # begins the name of a set that is scored and never learnt from


@dataclass(frozen=True)
class SourceImage:
    """One image as a source delivers it: the bytes of the file and what is known of it (see the table above)."""

    set: str
    path: str
    data: bytes
    label: str = ""
    split: str = ""
    patient: str = ""
    number: int = -1
    plane: str = ""
    voxel_mm: tuple[float, float] | None = None  # between rows, between columns
    mask_path: str = ""
    mask_data: bytes | None = None  # an image file; what in it is tumour says `preprocessing.masks`
    frame: int = -1
    slice_mm: float | None = None
    level_scale: float | None = None
    level_offset: float | None = None
    window_low: float | None = None
    window_high: float | None = None
    modality: str = ""
    field_t: float | None = None
    tr_ms: float | None = None
    te_ms: float | None = None
    case: str = ""  # whose a DICOM or NIfTI file is by the folder it lies in, where neither source nor file says


class Difference(Record):
    """How many images a place of a known set should have, and how many were found."""

    expected: int
    found: int


class SetFacts(Record):
    """What `summary.json` says of one set."""

    images: int
    masks: int
    patients_in_several_splits: int
    counts: dict[str, dict[str, int]]
    ignored: dict[str, int]
    differences: dict[str, Difference]


class FetchSummary(Record):
    """The `summary.json` that fetch writes beside the manifest."""

    source: str
    simulated: bool
    kaggle: dict[str, str | None] | None
    sets: dict[str, SetFacts]
    external: dict[str, str | None] = OPTIONAL


class ExternalCounts(Record):
    """What `counts.json` says of one external set: how many images there are and what became of them."""

    images: int
    labelled: int
    with_mask: int
    excluded: int
    unreadable: int
    training_twins: dict[str, int]
    training_patients: dict[str, int]
    left: dict[str, int]
    unlabelled: int
    unknown_classes: dict[str, int]
    scored: dict[str, int]
    masked: int
    training_neighbours: dict[str, int]
    patients_seen: int


def external_counts(folder: Path) -> dict[str, Any]:
    """Return `counts.json` of the external sets in a folder, by a set's name; empty where there are none."""
    found: dict[str, Any] = read_json(folder / "counts.json", dict[str, ExternalCounts])
    return found


def image_id(set_name: str, path: str, sha256: str) -> str:
    """Return the pseudonym under which an image appears in tables, logs and git."""
    return hashlib.sha256(f"{set_name}\n{path}\n{sha256}".encode()).hexdigest()[:12]


def read_manifest(raw: Path) -> pd.DataFrame:
    """Return `raw/manifest.csv` with the types above; text columns hold empty strings, never NaN."""
    path = raw / "manifest.csv"
    table = read_table(path, COLUMNS)
    if list(table.columns) != list(COLUMNS):
        raise damaged(path, f"should have the columns {', '.join(COLUMNS)}, received {shown(list(table.columns))}")
    if (twice := table["image_id"].duplicated()).any():
        raise damaged(path, f"each image should stand once, received {shown(table['image_id'][twice].iloc[0])} twice")
    return table
