"""A slice as people look at it: in a window of levels, a tumour's outline and a map of evidence over it."""

from dataclasses import dataclass

import cv2
import numpy as np
from nibabel import orientations
from scipy import ndimage

from brainmri.prediction.answer import shown
from brainmri.sources.slicing import SHOWN

ORANGE = (255, 176, 0)  # told apart from grey with any colour vision
SIDE_PX = 640  # of the larger side of a picture
LINE_PX = 2


@dataclass(frozen=True)
class Look:
    """How a slice is looked at."""

    window: tuple[float, float]  # levels that are shown black and white
    outline: float = 1.0  # opacity of the outline, 0 to 1
    evidence: float = 0.6  # opacity of the strongest evidence, 0 to 1


def picture(
    levels: np.ndarray,
    look: Look,
    mask: np.ndarray | None = None,
    evidence: np.ndarray | None = None,
    spacing_mm: tuple[float, float] = (1.0, 1.0),
    side_px: int = SIDE_PX,
) -> np.ndarray:
    """Draw one slice, enlarged, with pixels as tall and as wide as they are.

    Parameters
    ----------
    levels : ndarray, shape (H, W)
    look : Look
    mask : ndarray, shape (H, W), bool, optional
    evidence : ndarray, shape (H, W), float32 in [0, 1], optional
    spacing_mm : tuple of float
        Between rows and between columns; only their ratio counts.
    side_px : int
        Of the larger side of the picture.

    Returns
    -------
    ndarray, shape (height, width, 3), uint8, the larger side `side_px`
    """
    sides_mm = [count * mm for count, mm in zip(levels.shape, spacing_mm, strict=True)]
    height, width = (max(1, round(side_px * side / max(sides_mm))) for side in sides_mm)
    grey = _resized(shown(levels, look.window), height, width)
    drawn = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    if evidence is not None:
        heat = _resized(evidence, height, width).clip(0, 1)
        colours = cv2.applyColorMap(np.rint(255 * heat).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
        share = look.evidence * heat[..., None]  # the scan shows through where there is no evidence
        drawn = drawn * (1 - share) + colours * share
    if mask is not None and mask.any():
        large = _resized(mask.astype(np.float32), height, width) >= 0.5
        line = large & ~ndimage.binary_erosion(large, iterations=LINE_PX)
        drawn[line] = (1 - look.outline) * drawn[line] + look.outline * np.array(ORANGE, np.float32)
    return np.rint(drawn).astype(np.uint8)


def in_plane(volume: np.ndarray, own: str, plane: str) -> np.ndarray:
    """Return a volume (D, H, W) of plane `own` as slices of another plane, turned as radiologists see them; a view."""
    turn = orientations.ornt_transform(orientations.axcodes2ornt(SHOWN[own]), orientations.axcodes2ornt(SHOWN[plane]))
    return np.asarray(orientations.apply_orientation(volume, turn))


def spacing_in_plane(spacing_mm: tuple[float, float, float], own: str, plane: str) -> tuple[float, float, float]:
    """Return the spacing between slices, rows and columns of plane `own` as that of another plane."""
    turn = orientations.ornt_transform(orientations.axcodes2ornt(SHOWN[own]), orientations.axcodes2ornt(SHOWN[plane]))
    by_axis = dict(zip(turn[:, 0].astype(int), spacing_mm, strict=True))
    return by_axis[0], by_axis[1], by_axis[2]


def _resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    smaller = height < image.shape[0] and width < image.shape[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=way))
