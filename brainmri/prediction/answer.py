"""Answer for one scan: read, prepare, classify and outline it; the class, the mask and its size come back.

For programs, the command `brainmri predict`, the page and the API alike. Not for clinical use.
"""

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainmri.core.errors import InputError, ParamsError
from brainmri.core.labels import NO_TUMOUR, NOT_CLINICAL
from brainmri.prediction import slice_aggregation, volume_masks
from brainmri.prediction.inputs import Input, Named, read_one
from brainmri.prediction.trained_models import Models
from brainmri.prediction.volume_masks import Measures
from brainmri.preprocessing.head import shows_head
from brainmri.preprocessing.image_params import ImageParams
from brainmri.preprocessing.images import from_square, levels_from_square
from brainmri.preprocessing.scans import scan_of
from brainmri.segmentation.methods import AUTO, METHODS, NONE, chosen, without_outline

UNSURE = "The outline is unsure: the classifier abstains, and cannot tell whether there is a tumour of a kind it knows."
UNLIKE = (
    "This picture is unlike the images that the classifier learnt from ({unlike:.2f}; 1 is usual, above {above:.2f} is "
    "unlike), so it abstains. Photographs, other organs and other kinds of scan are so."
)
UNMEASURED = "These models cannot tell whether a scan is unlike what they learnt from: they were trained before that."
AT_ONCE = 64  # slices that the networks get, so that memory stays flat


@dataclass(frozen=True)
class Answer:
    """What is said of one scan. An image has D = 1."""

    scan: Input  # its name, kind and levels (D, H, W)
    label: str  # the likeliest class
    probabilities: dict[str, float]  # calibrated, by class; of a volume pooled over its slices
    slice_probabilities: np.ndarray  # (D, K) float32, calibrated, each slice by itself
    abstain: bool  # not to be relied on: the likeliest class is not likely enough, or the scan is unlike
    unlike: float  # how unlike the training images, 1 is usual; of a volume its slices' mean; NaN where not known
    unlike_above: float  # the classifier's: above it a scan is unlike
    method: str  # of `segmentation.methods`, or none
    gated: bool  # the mask was emptied because the classifier is sure that there is no tumour
    mask: np.ndarray | None  # (D, H, W) bool, on the file's own pixels; None where nothing was outlined
    unsure: np.ndarray | None  # likewise, the part of it that is there because the classifier abstains
    area_mm2: float | None  # of an image's mask, where the file states its spacing
    measures: Measures | None  # of a volume's mask
    window: tuple[float, float]  # levels to show as black and white
    facts: dict[str, Any]  # of the scan and its acquisition; None where unknown; nothing that names a person
    inputs: np.ndarray  # (D, S, S, C) uint8, what the networks saw
    table: pd.DataFrame  # D rows, the columns of the index that a classifier may take
    seconds: dict[str, float] = field(default_factory=dict)  # by step
    remarks: tuple[str, ...] = ()  # sentences that belong to the answer; that on an unlike scan is the first

    @property
    def is_unlike(self) -> bool:
        """Whether it is unlike the images that the classifier learnt from."""
        return self.unlike > self.unlike_above

    @property
    def unsure_outline(self) -> bool:
        """Whether any part of the outline is unsure."""
        return self.unsure is not None and bool(self.unsure.any())


def answer(given: Path | Named | Input, models: Models, method: str = AUTO, gate: bool = True) -> Answer:
    """Answer for one scan: a picture, a NIfTI file, a DICOM file or series; in a folder or archive or by itself.

    The slices of a volume are classified and outlined one by one; `slice_aggregation` makes them agree. The volume's
    probabilities are those of the 10 mm in which a tumour is likeliest.

    Parameters
    ----------
    given : Path, (name, content) or Input
        See `inputs.opened`; an upload is given as its name and content.
    models : Models
        May be shared between threads.
    method : str
        How the tumour is outlined: one of `segmentation.methods.choices`.
    gate : bool
        Whether the mask is emptied where the classifier sees no tumour and does not abstain; of a volume in parts, see
        `slice_aggregation`.

    Raises
    ------
    InputError
        If it cannot be read, holds none or several scans, or no slice of it can show a head.
    ParamsError
        For an unknown method, or the U-Net where there is none.
    """
    remark, method = without_outline(method, models.tools), chosen(method, models.tools)
    watch = _Watch()
    scan = given if isinstance(given, Input) else read_one(given)
    watch.lap("read")
    inputs, table = prepared(scan, models.image_params)
    _require_head(scan.name, table)
    watch.lap("prepare")
    by_slice, unlike = _classified(inputs, table, models)
    classes, window = models.classifier.classes, display_window(scan)
    no_tumour = classes.index(NO_TUMOUR) if NO_TUMOUR in classes else None
    part, above = _spoken_for(scan, by_slice, window, no_tumour), models.classifier.unlike_above
    overall, apart = by_slice[part].astype(float).mean(axis=0), float(unlike[part].mean())
    label = classes[int(overall.argmax())]
    abstain = bool(overall.max() < models.classifier.abstain_below or apart > above)
    watch.lap("classify")
    gated = gate and label == NO_TUMOUR and not abstain and method != NONE
    mask = unsure = np.zeros(scan.levels.shape, bool) if gated else None
    if method != NONE and not gated:
        clear = _called_clear(scan, by_slice, unlike, models) & gate
        mask, unsure = _outlined(scan, inputs, models, method, clear)
        unsure = mask if abstain else unsure
    if method != NONE:
        watch.lap("outline")
    return Answer(
        scan=scan,
        label=label,
        probabilities={name: float(share) for name, share in zip(classes, overall, strict=True)},
        slice_probabilities=by_slice,
        abstain=abstain,
        unlike=apart,
        unlike_above=above,
        method=method,
        gated=gated,
        mask=mask,
        unsure=unsure,
        area_mm2=_area_mm2(scan, mask),
        measures=_measures(scan, mask),
        window=window,
        facts=_facts(scan),
        inputs=inputs,
        table=table,
        seconds=watch.seconds,
        remarks=tuple(
            filter(None, [_said_of(apart, above), remark, UNSURE if unsure is not None and unsure.any() else ""])
        ),
    )


def prepared(scan: Input, params: ImageParams) -> tuple[np.ndarray, pd.DataFrame]:
    """Return what a network sees of each slice, (D, S, S, C) uint8, and D rows of what the index would say of it."""
    images = np.zeros((len(scan.levels), params.size, params.size, len(params.windows)), np.uint8)
    rows = []
    volume = scan.volume
    for at, levels in enumerate(scan.levels):
        low, high = volume.windows[at] if volume else (math.nan, math.nan)
        slice_ = scan_of(levels, scan.mode, params, (low, high) if low < high else None)
        images[at] = slice_.channels
        _, row_mm, col_mm = volume.spacing_mm if volume else (math.nan,) * 3
        place = {"voxel_row_mm": row_mm / slice_.scale[0], "voxel_col_mm": col_mm / slice_.scale[1]}
        rows.append(slice_.facts | place | {"plane": volume.plane if volume else ""})
    return images, pd.DataFrame(rows)


def evidence(found: Answer, models: Models, label: str | None = None, at: int = 0) -> np.ndarray:
    """Return where the classifier sees evidence for a class, (H, W) float32 in [0, 1], on the file's own pixels.

    Parameters
    ----------
    label : str, optional
        A class of the classifier; the answer's own by default.
    at : int
        Which slice.
    """
    from brainmri.models.saliency import classifier_evidence

    classes = models.classifier.classes
    label = found.label if label is None else label
    if label not in classes or not 0 <= at < len(found.inputs):
        raise ParamsError(
            f"evidence: should be asked of a class in {', '.join(classes)} and a slice from 0 to "
            f"{len(found.inputs) - 1}, received {label!r} and {at}"
        )
    part, number = slice(at, at + 1), np.array([classes.index(label)])
    with models.lock:
        square = classifier_evidence(models.classifier, found.inputs[part], found.table.iloc[part], number)[0]
    return levels_from_square(square, found.scan.levels.shape[1:], models.image_params.fit)


def as_dict(found: Answer) -> dict[str, Any]:
    """Return an answer ready for JSON; unknown numbers are None. Masks and levels are left out."""
    mask: dict[str, Any] | None = None
    if found.mask is not None:
        mask = {"method": found.method, "gated": found.gated, "unsure": found.unsure_outline}
        if found.measures is None:
            mask |= {"pixels": int(found.mask.sum()), "area_mm2": found.area_mm2}
        else:
            centroid = [_known(value) for value in found.measures.centroid_mm]
            mask |= {
                "voxels": int(found.mask.sum()),
                "volume_ml": found.measures.volume_ml,
                "largest_diameter_mm": _known(found.measures.largest_diameter_mm),
                "centroid_mm": None if None in centroid else centroid,
            }
    volume: dict[str, Any] = {}
    if found.scan.kind == "volume" and found.scan.volume is not None:
        volume = {
            "slice_probabilities": [[round(float(share), 6) for share in row] for row in found.slice_probabilities],
            "affine": found.scan.volume.affine.tolist(),
        }
    return {
        "name": found.scan.name,
        "kind": found.scan.kind,
        "class": found.label,
        "probabilities": {name: round(share, 6) for name, share in found.probabilities.items()},
        "abstain": found.abstain,
        "unlike": _rounded(found.unlike),
        "unlike_above": _rounded(found.unlike_above),
        "remarks": list(found.remarks),
        "mask": mask,
        **volume,
        "scan": found.facts,
        "seconds": {name: round(spent, 4) for name, spent in found.seconds.items()},
        "note": NOT_CLINICAL,
    }


def display_window(scan: Input) -> tuple[float, float]:
    """Return the levels to show as black and white: the file's own window if all slices share one, else nearly all."""
    if scan.volume is not None and (scan.volume.windows == scan.volume.windows[0]).all():
        low, high = scan.volume.windows[0]
        return float(low), float(high)
    low, high = np.percentile(scan.levels, [0.5, 99.8])
    return float(low), float(max(high, low + 1))


def shown(levels: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Return levels (..., H, W) as a picture, uint8: black up to the low end of a window, white from its high end."""
    low, high = window
    return np.rint((levels.astype(np.float32) - low).clip(0, high - low) * (255 / (high - low))).astype(np.uint8)


def _require_head(name: str, table: pd.DataFrame) -> None:
    if not shows_head(table).any():
        raise InputError(f"{name}: should show a head, received nothing but one level or noise; bring a slice of one")


def _said_of(unlike: float, above: float) -> str:
    """Return the sentence on how unlike the training images a scan is, where there is one to be said."""
    if math.isnan(above):
        return UNMEASURED
    return UNLIKE.format(unlike=unlike, above=above) if unlike > above else ""


def _classified(inputs: np.ndarray, table: pd.DataFrame, models: Models) -> tuple[np.ndarray, np.ndarray]:
    """Return the calibrated probabilities (D, K) of slices, and how unlike the training images each is, (D,)."""
    from brainmri.models.classifier import looked_at

    parts = []
    for at in range(0, len(inputs), AT_ONCE):
        part = slice(at, at + AT_ONCE)
        with models.lock:
            parts.append(looked_at(models.classifier, inputs[part], table.iloc[part]))
    by_slice, unlike = (np.concatenate(one) for one in zip(*parts, strict=True))
    return by_slice, unlike


def _spoken_for(scan: Input, by_slice: np.ndarray, window: tuple[float, float], no_tumour: int | None) -> slice:
    """Return the slices whose means are those of the whole scan."""
    if scan.volume is None or len(by_slice) == 1:
        return slice(0, 1)
    tissue = slice_aggregation.tissue(np.stack([shown(levels, window) for levels in scan.levels]))
    return slice_aggregation.spoken_for(by_slice, tissue, scan.volume.spacing_mm[0], no_tumour)


def _called_clear(scan: Input, by_slice: np.ndarray, unlike: np.ndarray, models: Models) -> np.ndarray:
    """Return whether each slice, its neighbours heard, is called free of a tumour: surely, and with doubts (2, D)."""
    if scan.volume is not None and len(by_slice) > 1:
        by_slice = slice_aggregation.smoothed(by_slice, scan.volume.spacing_mm[0])
    classes = models.classifier.classes
    clear = by_slice.argmax(axis=1) == (classes.index(NO_TUMOUR) if NO_TUMOUR in classes else -1)
    doubts = (by_slice.max(axis=1) < models.classifier.abstain_below) | (unlike > models.classifier.unlike_above)
    return np.stack([clear & ~doubts, clear & doubts])


def _outlined(
    scan: Input, inputs: np.ndarray, models: Models, name: str, called_clear: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mask (D, H, W) bool on the scan's own pixels, and which part of it is unsure.

    What lies in slices alone that are surely called clear is dropped, see `slice_aggregation.consistent`; what would be
    dropped if doubts did not count is kept, and unsure.
    """
    method, tools = METHODS[name], models.tools
    parts = []
    for at in range(0, len(inputs), AT_ONCE):
        with models.lock if method.needs_unet else nullcontext():
            parts.append(method.shares(inputs[at : at + AT_ONCE], tools, None))
    shares = np.concatenate(parts)
    if scan.volume is not None and len(shares) > 1:
        shares = slice_aggregation.smoothed(shares, scan.volume.spacing_mm[0])
    masks = method.masks(shares, tools)
    kept, sure = (
        slice_aggregation.consistent(masks, free) for free in (called_clear[0], called_clear[0] | called_clear[1])
    )
    return _native(kept, scan, models), _native(kept & ~sure, scan, models)


def _native(masks: np.ndarray, scan: Input, models: Models) -> np.ndarray:
    """Return masks (D, S, S) bool on the scan's own pixels."""
    native = np.zeros(scan.levels.shape, bool)
    for at in np.flatnonzero(masks.any(axis=(1, 2))):
        native[at] = from_square(masks[at], scan.levels.shape[1:], models.image_params.fit)
    return native


def _area_mm2(scan: Input, mask: np.ndarray | None) -> float | None:
    if mask is None or scan.volume is None or scan.kind == "volume":
        return None
    _, row_mm, col_mm = scan.volume.spacing_mm
    return _known(float(mask.sum()) * row_mm * col_mm)


def _measures(scan: Input, mask: np.ndarray | None) -> Measures | None:
    if mask is None or scan.volume is None or scan.kind == "image":
        return None
    return volume_masks.measure(mask, scan.volume.affine)


def _facts(scan: Input) -> dict[str, Any]:
    slices, height, width = scan.levels.shape
    known: dict[str, Any] = {"mode": scan.mode, "slices": slices, "height_px": height, "width_px": width}
    if scan.volume is None:
        return known
    slice_mm, row_mm, col_mm = (_known(value) for value in scan.volume.spacing_mm)
    spacing = {"voxel_row_mm": row_mm, "voxel_col_mm": col_mm, "slice_mm": slice_mm}
    facts = {
        name: _known(value) if isinstance(value, float) else value or None for name, value in scan.volume.facts.items()
    }
    return known | {"plane": scan.volume.plane or None} | spacing | facts


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


class _Watch:
    """Seconds by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[step], self._last = now - self._last, now
