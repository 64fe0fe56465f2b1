"""Read NIfTI files, and FreeSurfer's MGH: the voxels, where they lie, and nothing else (texts may name a person).

Labels are told from scans by their voxels, as names and headers rarely say it. See `refuse_labels`.
"""

import gzip
import io
import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import nibabel
import numpy as np
from nibabel import imageglobals, orientations
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from brainmri.core import kinds
from brainmri.core.errors import InputError

MAX_BYTES = kinds.MAX_PIXEL_BYTES + 2**20  # once unpacked, with a header and what stands between it and the voxels
_SURELY_LABELS, _MOST_LABELS, _VOXELS_A_LABEL, _ALIKE = 16, 2048, 1000, 0.75  # see `refuse_labels`
_GEOMETRY = (
    *("pixdim", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y"),
    *("qoffset_z", "srow_x", "srow_y", "srow_z", "xyzt_units"),
)
_MM = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}
# What nibabel raises on damaged files, found by flipping bytes.
_DAMAGE = (
    *(ValueError, TypeError, LookupError, AttributeError, RuntimeError, OSError, EOFError, ArithmeticError),
    *(MemoryError, struct.error, zlib.error, HeaderDataError, ImageFileError, WrapStructError),
)


@dataclass(frozen=True)
class Grid:
    """The voxels of a file; a voxel's real value is `stored * slope + intercept`."""

    stored: np.ndarray  # (I, J, K), as the file orders them
    slope: float
    intercept: float
    affine: np.ndarray  # (4, 4) float64, voxel indices to mm: x right, y front, z top
    window: tuple[float, float]  # real values to show as black and white; NaN where the file names none
    header: nibabel.Nifti1Header  # the geometry alone, as the file has it


def read_nifti(data: bytes) -> Grid:
    """Read a file of NIfTI-1, NIfTI-2 or MGH, as it is or compressed with gzip.

    Raises
    ------
    InputError
        No NIfTI file, damage, several volumes, colours or complex numbers, no orientation (neither qform nor sform), a
        spacing of 0, or too many bytes; the message gives the reason only.
    """
    with _explained():
        data = _unpacked(data)
        image = _as_nifti(data) if kinds.is_mgh(data) else _kind(data).from_bytes(data)
        _refuse(image, len(data))
        stored = _voxels(image, data)
        slope, intercept = (float(getattr(image.dataobj, name, usual)) for name, usual in (("slope", 1), ("inter", 0)))
        return Grid(stored, slope, intercept, _affine_mm(image), _window(image.header), geometry(image.header))


def _voxels(image: nibabel.Nifti1Image, data: bytes) -> np.ndarray:
    """Return the stored numbers (I, J, K): of a NIfTI file the bytes at hand, because nibabel would copy them."""
    shape, place = (*image.shape, 1, 1, 1)[:3], image.dataobj
    if isinstance(place, np.ndarray):
        return place.reshape(shape)
    return np.ndarray(shape, place.dtype, data, place.offset, order="F")


def refuse_labels(stored: np.ndarray) -> None:
    """Refuse the numbers of a label map, a mask or an atlas, which is no scan; raise `InputError`.

    It has over a thousand voxels for each different number, and at most 16 of these; or at most 2,048, and three in
    four voxels that are not of the commonest number have the same number as the voxel before them in a row. Noise keeps
    scans from that: of 1,484 slices of public sets in 8 bits the most uniform has 61 %, the fewest numbers are 128.
    """
    every = max(1, stored.size // 2**16) | 1  # odd, so that it is not always the same column
    sampled, counts = np.unique(stored.ravel(order="K")[::every], return_counts=True)
    if len(sampled) > _MOST_LABELS:
        return
    inside = stored[1:] != sampled[np.argmax(counts)]
    alike = np.count_nonzero(inside & (stored[1:] == stored[:-1])) / max(1, int(inside.sum()))
    if len(sampled) > _SURELY_LABELS and alike < _ALIKE:
        return  # nearly all scans; to count their numbers would take longer than to read them
    number = len(np.unique(stored))
    few = number <= _SURELY_LABELS or (number <= _MOST_LABELS and alike >= _ALIKE)
    if few and 1 < number <= stored.size // _VOXELS_A_LABEL:
        raise InputError(
            f"should be a scan, received labels or a mask: {number} different numbers in {stored.size} voxels, in "
            "patches of one number; name it as the mask of its scan, or remove it"
        )


def geometry(header: nibabel.Nifti1Header) -> nibabel.Nifti1Header:
    """Return a new header of the same kind that has nothing of `header` but where the voxels lie."""
    own = type(header)()
    for name in _GEOMETRY:
        own[name] = header[name]
    return own


@contextmanager
def _explained() -> Iterator[None]:
    level = imageglobals.logger.level
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            imageglobals.logger.setLevel(100)  # what it mends or finds wrong is said by our own sentence
            yield
    except _DAMAGE:
        raise InputError("a NIfTI file, but damaged or cut off; check the file or fetch it anew") from None
    finally:
        imageglobals.logger.setLevel(level)


def _unpacked(data: bytes) -> bytes:
    if data[:2] == b"\x1f\x8b":
        with gzip.open(io.BytesIO(data)) as file:
            data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InputError(
            f"a NIfTI file should have at most {MAX_BYTES} bytes once unpacked, received more; crop or split it"
        )
    return data


def _as_nifti(data: bytes) -> nibabel.Nifti1Image:
    """Return an MGH file as NIfTI: the voxels as they are, and where they lie."""
    if data[28:30] == b"\0\0":  # nibabel would take FreeSurfer's usual axes
        raise InputError("an MGH file without orientation (its flag for that is 0); convert the scan anew")
    image = nibabel.MGHImage.from_bytes(data)
    kinds.require_few_pixels("a volume", *image.shape)
    if math.prod(image.shape) * image.get_data_dtype().itemsize > len(data):
        raise EOFError
    voxels = np.asanyarray(image.dataobj)
    own = nibabel.Nifti1Image(voxels.astype(voxels.dtype.newbyteorder("=")), image.affine)
    own.header.set_xyzt_units("mm")
    return own


def _kind(data: bytes) -> type[nibabel.Nifti1Image]:
    if data[344:347] == b"n+1":
        return nibabel.Nifti1Image
    if data[4:7] == b"n+2":
        return nibabel.Nifti2Image
    raise InputError("no NIfTI file: a single file with the mark n+1 or n+2 is needed; convert it with nibabel")


def _refuse(image: nibabel.Nifti1Image, size: int) -> None:
    header, shape, kind = image.header, image.shape, image.get_data_dtype()
    if kind.fields is not None or kind.kind not in "iuf":
        raise InputError("a NIfTI file of colours or complex numbers; one real number a voxel is needed")
    if len(shape) < 2 or any(side < 1 for side in shape) or any(side > 1 for side in shape[3:]):
        raise InputError(f"a NIfTI file should hold one volume, received the shape {shape}; write each to its own file")
    kinds.require_few_pixels("a volume", *shape)
    if math.prod(shape) * kind.itemsize + int(header["vox_offset"]) > size:
        raise EOFError
    if header["qform_code"] <= 0 and header["sform_code"] <= 0:
        raise InputError("a NIfTI file without orientation (qform_code and sform_code are 0); convert the scan anew")
    if not _spans_volume(image.affine):
        raise InputError("a NIfTI file whose affine spans no volume (a spacing of 0?); convert the scan anew")


def _spans_volume(affine: np.ndarray) -> bool:
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    flat = abs(np.linalg.det(affine[:3, :3])) <= 1e-6 * np.prod(sides)
    # Next to nothing, such as 1e-310 mm, is a volume and no direction.
    return bool(np.isfinite(affine).all() and not flat and np.isfinite(orientations.io_orientation(affine)).all())


def _affine_mm(image: nibabel.Nifti1Image) -> np.ndarray:
    affine = np.array(image.affine, np.float64)
    affine[:3] *= _MM[image.header.get_xyzt_units()[0]]
    return affine


def _window(header: nibabel.Nifti1Header) -> tuple[float, float]:
    low, high = float(header["cal_min"]), float(header["cal_max"])
    return (low, high) if np.isfinite([low, high]).all() and low < high else (float("nan"), float("nan"))
