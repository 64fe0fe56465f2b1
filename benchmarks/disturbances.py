"""What befalls a scan without changing what it shows: frames, markers, padding, extreme values, other bit depths.

Each disturbance makes two files of one slice, without and with it; an answer should be the same for both. Used by
`bench_unmoved.py` with trained models and by the tests with the pixels alone.
"""

import io
from collections.abc import Callable

import cv2
import nibabel
import numpy as np

Named = tuple[str, bytes]  # a file's name and content
Disturbance = Callable[[np.ndarray], tuple[Named, Named, int]]  # plain, disturbed, px that it is wider on each side

_AS_SHOWN = np.diag([-1.0, -1.0, 5.0, 1.0])  # axes of a NIfTI file whose slice is shown as it is stored


def picture(pixels: np.ndarray, suffix: str = ".png", *settings: int) -> Named:
    """Return pixels (H, W) as the file of a picture."""
    return f"scan{suffix}", bytes(cv2.imencode(suffix, pixels, settings)[1])


def volume(pixels: np.ndarray) -> Named:
    """Return pixels (H, W) as a NIfTI file of one slice."""
    image = nibabel.Nifti1Image(pixels.T[..., None], _AS_SHOWN)
    image.header.set_xyzt_units("mm")
    place = io.BytesIO()
    image.to_file_map({"image": nibabel.FileHolder(fileobj=place)})
    return "scan.nii", place.getvalue()


def framed(scan: np.ndarray, level: int, width: int) -> np.ndarray:
    """Return a scan whose outermost pixels are a frame."""
    result = np.full_like(scan, level)
    result[width:-width, width:-width] = scan[width:-width, width:-width]
    return result


def lined(scan: np.ndarray) -> np.ndarray:
    """Return a scan with a white rectangle drawn on it, 3 px inside of its border."""
    end = (scan.shape[1] - 4, scan.shape[0] - 4)
    return np.asarray(cv2.rectangle(scan.copy(), (3, 3), end, 255, 1))


def with_label(scan: np.ndarray, level: int) -> np.ndarray:
    """Return a scan with a block in its corner."""
    result = scan.copy()
    result[4:16, 4:16] = level
    return result


def outside(scan: np.ndarray) -> np.ndarray:
    """Return what is outside of a round field of view, (H, W) bool: the corners."""
    height, width = scan.shape
    y, x = np.ogrid[:height, :width]
    round_: np.ndarray = np.hypot(y - height / 2, x - width / 2) > 0.62 * max(height, width)
    return round_


def with_voxel(scan: np.ndarray, value: float) -> np.ndarray:
    """Return a scan as float32 with one extreme voxel in the middle."""
    result = scan.astype(np.float32) * np.float32(1.7)
    result[len(scan) // 2, len(scan) // 2] = value
    return result


def _padded(scan: np.ndarray, value: float, kind: type, write: Callable[[np.ndarray], Named]) -> tuple[Named, Named]:
    deep, gone = scan.astype(kind) * 8, outside(scan)
    return write(np.where(gone, 0, deep).astype(kind)), write(np.where(gone, value, deep).astype(kind))


def _five_per_cent(scan: np.ndarray) -> int:
    return round(0.05 * len(scan))


DISTURBANCES: dict[str, Disturbance] = {
    "white frame of 1 px": lambda s: (picture(s), picture(framed(s, 255, 1)), 0),
    "grey frame of 3 px": lambda s: (picture(s), picture(framed(s, 110, 3)), 0),
    "white frame of 2 px, as JPEG": lambda s: (picture(s), picture(framed(s, 255, 2), ".jpg", 1, 85), 0),
    "white frame of 5 %, added": lambda s: (
        picture(np.pad(s, _five_per_cent(s))),
        picture(np.pad(s, _five_per_cent(s), constant_values=255)),
        _five_per_cent(s),
    ),
    "white line inside the border": lambda s: (picture(s), picture(lined(s)), 0),
    "16 bits of 11": lambda s: (picture(s), picture(s.astype(np.uint16) * 8), 0),
    "saturated label, 16 bits of 11": lambda s: (
        picture(s),
        picture(with_label(s.astype(np.uint16) * 8, 65535)),
        0,
    ),
    "white label on a dark scan, 8 bits": lambda s: (picture(s // 4), picture(with_label(s // 4, 255)), 0),
    "white label on a dark scan, JPEG": lambda s: (picture(s // 4), picture(with_label(s // 4, 255), ".jpg", 1, 85), 0),
    "extreme voxel of 1e6, float NIfTI": lambda s: (picture(s), volume(with_voxel(s, 1e6)), 0),
    "extreme voxel of -1e30, float NIfTI": lambda s: (picture(s), volume(with_voxel(s, -1e30)), 0),
    "padding of -32768, int16 NIfTI": lambda s: (*_padded(s, -32768, np.int16, volume), 0),
    "padding of -1000, float NIfTI": lambda s: (*_padded(s, -1000, np.float32, volume), 0),
    "padding of 63536, 16-bit picture": lambda s: (*_padded(s, 63536, np.uint16, picture), 0),
}
