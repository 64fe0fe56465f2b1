"""The table of what `fetch` stored, `data/raw/manifest.csv`: one row an image, sorted by `set` and `path`.

======================== ==============================================================================
image_id                 pseudonym: the first 12 hex digits of the SHA-256 of set, path and content
set                      which of the source's sets it came from: `phantom`, `classes`, `masks` or `manifest`
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

import pandas as pd

from brainmri.core.errors import ArtifactError

COLUMNS = {
    "image_id": str, "set": str, "path": str, "sha256": str, "file_bytes": int, "shard": str,
    "label": str, "split": str, "patient": str, "number": int, "plane": str,
    "voxel_row_mm": float, "voxel_col_mm": float, "mask_path": str, "mask_sha256": str, "mask_shard": str,
    "frame": int, "slice_mm": float, "level_scale": float, "level_offset": float, "window_low": float,
    "window_high": float, "modality": str, "field_t": float, "tr_ms": float, "te_ms": float,
}  # fmt: skip


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


def image_id(set_name: str, path: str, sha256: str) -> str:
    """Return the pseudonym under which an image appears in tables, logs and git."""
    return hashlib.sha256(f"{set_name}\n{path}\n{sha256}".encode()).hexdigest()[:12]


def read_manifest(raw: Path) -> pd.DataFrame:
    """Return `raw/manifest.csv` with the types above; text columns hold empty strings, never NaN."""
    path = raw / "manifest.csv"
    text = {name: str for name, kind in COLUMNS.items() if kind is str}
    numbers = {name: [""] for name, kind in COLUMNS.items() if kind is float}
    try:
        table = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=numbers)
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no such file; run the fetch stage with `dvc repro fetch`") from None
    if list(table.columns) != list(COLUMNS):
        raise ArtifactError(f"{path}: columns should be {list(COLUMNS)}, received {list(table.columns)}")
    return table
