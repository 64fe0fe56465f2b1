"""Slices of a volume as radiologists see them, in 16-bit levels, from a NIfTI file or the files of a DICOM series.

Orientation. Axial slices show the patient from the feet: front at the top, the patient's left on the picture's right.
Coronal ones show the patient from the front: top at the top, the left on the right. Sagittal ones show the patient
from the left: top at the top, front on the picture's left. Slices are counted towards the top, the front, the right.
An oblique slice is turned by right angles alone, so that no pixel is interpolated, and is called by the nearest plane.

Slices are what a DICOM file calls a frame; in NIfTI they lie across the axis of the largest spacing, or are axial
where no spacing is larger than the others by over one per cent.

Levels. A volume's real values become `uint16` by one straight line for all of its slices, `value = level * level_scale
+ level_offset`. Integers that span at most 65,536 numbers keep every difference; where none is negative or above 65,535
they are the levels themselves. All else (floats, 32-bit, scaling that changes from slice to slice) is spread over the
65,536 levels and is off by half of `level_scale` at most. NaN, which SPM writes outside of the field of view, counts
as the lowest value; so does padding, and single extreme values are cut off: `core.levels` says what is either.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import nibabel
import numpy as np
from nibabel import orientations
from nibabel.affines import from_matvec, voxel_sizes

from brainmri.core import kinds
from brainmri.core.errors import InputError
from brainmri.core.levels import own_levels
from brainmri.sources import dicom, nifti, stacks

NAN = float("nan")
# Towards where slices, rows and columns count up: right, left, anterior, posterior, superior, inferior.
SHOWN = {"axial": "SPL", "coronal": "AIL", "sagittal": "RIP"}
_PLANES = ("sagittal", "coronal", "axial")  # across x, y, z
_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM counts to the left and to the back
_LEVELS = 2**16
_PART = 2**22  # voxels that are turned into levels at a time
MAX_SERIES_BYTES = kinds.MAX_PIXEL_BYTES  # of pixels once decoded; they are in memory together
_UNEVEN = 0.05  # how far a slice may be from its place in an even stack, in slice distances: files round positions
_NO_FACTS = {"modality": "", "field_t": NAN, "tr_ms": NAN, "te_ms": NAN}


@dataclass(frozen=True)
class Volume:
    """Slices in order. NaN stands for whatever the files do not tell."""

    levels: np.ndarray  # (D, H, W) uint16
    level_scale: float
    level_offset: float
    affine: np.ndarray  # (4, 4), indices (slice, row, column) to mm: x right, y front, z top; NaN without a whole grid
    spacing_mm: tuple[float, float, float]  # between slices, rows, columns
    plane: str  # axial, coronal, sagittal, or empty
    windows: np.ndarray  # (D, 2) the file's own: levels that become black and white
    facts: dict[str, Any]  # modality, field_t, tr_ms, te_ms
    header: nibabel.Nifti1Header  # geometry of the files' own grid, for `volumes.write_mask`
    back: np.ndarray  # (3, 2) nibabel's orientation transform, from (slice, row, column) to the files' own grid


@dataclass(frozen=True)
class _Place:
    """Where voxels (I, J, K) lie; NaN where the files do not tell."""

    affine: np.ndarray  # (4, 4)
    directions: np.ndarray  # (3, 3) a column for each axis, of any length
    spacing_mm: tuple[float, float, float]
    plane: str


def from_nifti(data: bytes) -> Volume:
    """Return the volume of a NIfTI file; raise `InputError` as `nifti.read_nifti` does."""
    grid = nifti.read_nifti(data)
    nifti.refuse_labels(grid.stored)
    axis, plane = _across(grid)
    _require_few(grid.stored.shape[axis])
    place = _Place(grid.affine, grid.affine[:3, :3], _spacing_mm(grid.affine, axis), plane)
    return _shown(to_levels(grid.stored, grid.slope, grid.intercept), place, grid.header, [grid.window], _NO_FACTS)


def _across(grid: nifti.Grid) -> tuple[int, str]:
    """Return across which axis of a file its slices are laid, and their plane."""
    towards = orientations.io_orientation(grid.affine)[:, 0].astype(int).tolist()
    spacing_mm = voxel_sizes(grid.affine)
    *_, second, largest = np.sort(spacing_mm)
    axis = towards.index(2)
    if grid.stored.shape.count(1) == 1:
        axis = grid.stored.shape.index(1)
    elif largest > 1.01 * second:
        axis = int(np.argmax(spacing_mm))
    return axis, _PLANES[towards[axis]]


def _spacing_mm(affine: np.ndarray, axis: int) -> tuple[float, float, float]:
    """Return the spacing along each axis; across slices that are moved along one another, that of their planes."""
    spacing = voxel_sizes(affine)
    rows, columns = np.delete(affine[:3, :3], axis, axis=1).T
    normal = np.cross(rows, columns)
    between = abs(float(affine[:3, axis] @ normal)) / float(np.linalg.norm(normal))
    if between < (1 - 1e-6) * spacing[axis]:
        spacing[axis] = between
    return float(spacing[0]), float(spacing[1]), float(spacing[2])


def from_dicom(files: Iterable[tuple[str, bytes]]) -> list[Volume]:
    """Return the volumes of one DICOM series, given as (name for messages, bytes), in any order.

    A series may hold several: planes, echoes, times, magnitude and phase; see `stacks.grouped`. Slices are sorted by
    their place along the normal, never by name or number. Slices without a position stay in the order of the files.
    """
    found: list[dicom.Slice] = []
    first, size = "", 0
    for name, data in files:
        try:
            slices = dicom.read_dicom(data)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        size += sum(one.stored.nbytes for one in slices)
        if size > MAX_SERIES_BYTES:
            raise InputError(
                f"{name}: up to this file its series has over {MAX_SERIES_BYTES} bytes of pixels once decoded, which "
                "is too many; split the series"
            )
        first = first or name
        found += slices
    try:
        return [_stacked(stack) for stack in stacks.grouped(found)]
    except InputError as error:
        raise InputError(f"{first}: {error}") from None


def _require_few(slices: int) -> None:
    if slices > kinds.MAX_SLICES:
        raise InputError(
            f"a volume should have at most {kinds.MAX_SLICES} slices, received {slices}; resample or split it"
        )


def _stacked(slices: list[dicom.Slice]) -> Volume:
    _require_few(len(slices))
    normal = np.cross(*slices[0].directions)
    along = np.array([one.position_mm @ normal for one in slices])
    if np.isfinite(along).all():
        slices = [slices[at] for at in np.argsort(along, kind="stable")]
    stored = np.stack([one.stored for one in slices], axis=-1).transpose(1, 0, 2)  # (column, row, slice)
    slope, intercept = slices[0].slope, slices[0].intercept
    if any((one.slope, one.intercept) != (slope, intercept) for one in slices):
        stored = stored * [one.slope for one in slices] + [one.intercept for one in slices]
        slope, intercept = 1.0, 0.0
    stored = _without_padding(slices, stored, slope)
    nifti.refuse_labels(stored)
    place = _stack_place(slices, normal)
    windows = [one.window for one in slices]
    return _shown(to_levels(stored, slope, intercept), place, _header(place, stored.shape), windows, slices[0].facts)


def _without_padding(slices: list[dicom.Slice], stored: np.ndarray, slope: float) -> np.ndarray:
    """Return stored numbers (column, row, slice) in which padding has the lowest real value of the whole volume."""
    if all(one.padding is None for one in slices):
        return stored
    none = np.zeros(slices[0].stored.shape, bool)
    outside = np.stack([none if one.padding is None else one.padding for one in slices], axis=-1).transpose(1, 0, 2)
    if outside.all():
        raise InputError("slices should hold a picture, received padding alone (PixelPaddingValue); remove them")
    real = stored[~outside]
    return np.where(outside, real.max() if slope < 0 else real.min(), stored)


def _stack_place(slices: list[dicom.Slice], normal: np.ndarray) -> _Place:
    """Return where the voxels (column, row, slice) of sorted slices lie."""
    first, directions = slices[0], np.stack([*slices[0].directions, normal], axis=1)
    row_mm, col_mm = first.spacing_mm
    positions = np.array([one.position_mm for one in slices])
    step = normal * first.step_mm
    if len(slices) > 1:
        step = (positions[-1] - positions[0]) / (len(slices) - 1)
        off = np.linalg.norm(positions - positions[0] - np.arange(len(slices))[:, None] * step, axis=1)
        if not off.max() <= _UNEVEN * np.linalg.norm(step) or not step.any():
            step = np.full(3, np.nan)
    affine = np.eye(4)
    affine[:3] = np.column_stack([directions[:, 0] * col_mm, directions[:, 1] * row_mm, step, positions[0]])
    plane = _PLANES[int(np.argmax(np.abs(normal)))] if np.isfinite(normal).all() else ""
    # Slices of a tilted gantry are moved along one another: what lies between them is less than their centres' way.
    between = first.step_mm if len(slices) == 1 else abs(float(step @ normal))
    spacing = (col_mm, row_mm, between)
    return _Place(_TO_RAS @ affine, _TO_RAS[:3, :3] @ directions, spacing, plane)


def _header(place: _Place, shape: tuple[int, ...]) -> nibabel.Nifti1Header:
    header = nibabel.Nifti1Header()
    header.set_data_shape(shape)
    if np.isfinite(place.affine).all():
        header.set_sform(place.affine, code="scanner")
        header.set_qform(place.affine, code="scanner", strip_shears=True)
        header.set_xyzt_units("mm")
    return nifti.geometry(header)


def to_levels(stored: np.ndarray, slope: float, intercept: float) -> tuple[np.ndarray, float, float]:
    """Return values `stored * slope + intercept` as levels, by the rule at the top of this module.

    Returns
    -------
    levels : ndarray, uint16, shape of `stored`
    level_scale, level_offset : float
        `value = level * level_scale + level_offset`, up to the rounding stated there and but for what is cut off.

    Raises
    ------
    InputError
        An infinite value, or none that is a number.
    """
    if stored.dtype.kind == "f":
        stored = _finite(stored)
    if slope < 0:
        stored, slope = np.negative(stored, dtype=np.float64), -slope
    stored = own_levels(stored)
    low, high = float(stored.min()), float(stored.max())
    levels = np.empty_like(stored, np.uint16)
    # Part by part: numbers on the way take four times as much memory as levels.
    step = max(1, stored.shape[-1] * _PART // stored.size)
    parts = [(stored[..., at : at + step], levels[..., at : at + step]) for at in range(0, stored.shape[-1], step)]
    whole = stored.dtype.kind in "iu" or all(bool((part == np.rint(part)).all()) for part, _ in parts)
    if not whole or high - low >= _LEVELS:
        step = (high - low) / (_LEVELS - 1) or 1.0
        for part, own in parts:
            own[...] = np.rint((part.astype(np.float64) - low) / step)
        return levels, slope * step, intercept + low * slope
    base = 0.0 if low >= 0 and high < _LEVELS else low
    for part, own in parts:
        own[...] = part if base == 0 else part - np.float64(base)
    return levels, slope, intercept + base * slope


def _finite(stored: np.ndarray) -> np.ndarray:
    low, high = np.fmin.reduce(stored, axis=None), np.fmax.reduce(stored, axis=None)  # but for NaN
    if not np.isfinite([low, high]).all():
        raise InputError("values should be finite, received infinite ones or no number at all; set them to 0")
    outside = np.isnan(stored)
    return np.where(outside, low, stored) if outside.any() else stored


def _shown(
    levels: tuple[np.ndarray, float, float],
    place: _Place,
    header: nibabel.Nifti1Header,
    windows: list[tuple[float, float]],
    facts: dict[str, Any],
) -> Volume:
    """Turn voxels (I, J, K) into slices as radiologists see them; where the orientation is unknown, as they are."""
    grid, scale, offset = levels
    there, back = _turns(place.directions, place.plane)
    shown = orientations.apply_orientation(grid, there)
    affine = place.affine @ orientations.inv_ornt_aff(there, grid.shape)
    bounds = (np.array(windows) - offset) / scale
    if there[2].tolist() == [0, -1]:
        bounds = bounds[::-1]
    by_axis = dict(zip(there[:, 0].astype(int), place.spacing_mm, strict=True))
    return Volume(
        levels=np.ascontiguousarray(shown),
        level_scale=scale,
        level_offset=offset,
        affine=affine if np.isfinite(affine).all() else np.full((4, 4), np.nan),
        spacing_mm=(by_axis[0], by_axis[1], by_axis[2]),
        plane=place.plane,
        windows=np.broadcast_to(bounds, (len(shown), 2)),
        facts=facts,
        header=header,
        back=back,
    )


def _turns(directions: np.ndarray, plane: str) -> tuple[np.ndarray, np.ndarray]:
    """Return nibabel's orientation transforms from voxels (I, J, K) to shown slices, and back."""
    if not plane:
        own, shown = np.array([[0, 1], [1, 1], [2, 1]]), np.array([[2, 1], [1, 1], [0, 1]])
    else:
        own = orientations.io_orientation(from_matvec(directions))
        shown = orientations.axcodes2ornt(SHOWN[plane])
    return orientations.ornt_transform(own, shown), orientations.ornt_transform(shown, own)


def read_mask(volume: Volume, data: bytes) -> np.ndarray:
    """Read a NIfTI mask that belongs to a volume.

    Returns
    -------
    ndarray, shape (D, H, W), bool
        The mask in the volume's slices: values of 0.5 and above, whatever label they are.

    Raises
    ------
    InputError
        As `nifti.read_nifti`, or the mask lies on another grid: another shape, or a corner that is off by over a tenth
        of the smallest spacing. It may order its axes as it likes.
    """
    grid = nifti.read_nifti(data)
    turn, _ = _turns(grid.affine[:3, :3], volume.plane or "axial")
    mask = orientations.apply_orientation(grid.stored * grid.slope + grid.intercept >= 0.5, turn)
    affine = grid.affine @ orientations.inv_ornt_aff(turn, grid.stored.shape)
    shape = volume.levels.shape
    if mask.shape != shape or not _corners_off(affine, volume.affine, shape) <= 0.1 * min(volume.spacing_mm):
        raise InputError(f"mask should lie on its scan's grid of {shape} voxels, received {mask.shape}, or moved")
    return np.asarray(mask)


def _corners_off(one: np.ndarray, other: np.ndarray, shape: tuple[int, ...]) -> float:
    """Return by how many mm the corners of two grids of one shape differ at most."""
    corners = np.array(np.meshgrid(*((0, side - 1) for side in shape))).reshape(3, -1)
    return float(np.linalg.norm((one - other)[:3] @ np.vstack([corners, np.ones(8)]), axis=0).max())
