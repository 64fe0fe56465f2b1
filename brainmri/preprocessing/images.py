"""How a pixel is changed, once `decoding` gave it: bring a slice to the square grid, and masks back; apply the windows.

Prediction uses these same functions with the `ImageParams` that travel inside a model's folder.
"""

import math

import cv2
import numpy as np

from brainmri.preprocessing.image_params import ImageParams


def to_square(image: np.ndarray, size: int, fit: str, fill: int = 0) -> tuple[np.ndarray, tuple[float, float]]:
    """Bring an image to the square grid: averaged when it shrinks, bilinear when it grows.

    What shrinks becomes, bilinearly, a power of two times as large as the result and is then halved by 2x2 means:
    within a level of the exact mean by area (root mean square, real scans) in less than half of its time.

    Parameters
    ----------
    image : ndarray, shape (H, W)
    size : int
        Side of the result, px.
    fit : {"pad", "stretch"}
        `pad` keeps the shape and centres the image on `fill`; `stretch` scales both sides to `size`.
    fill : int
        The level of the background.

    Returns
    -------
    square : ndarray, shape (size, size), dtype of `image`
    scale : tuple of float
        New pixels per old pixel along rows and columns; the voxel size divides by it.
    """
    height, width = image.shape
    if fit == "stretch":
        rows, cols = size, size
    else:
        longest = max(height, width)
        rows, cols = (max(1, round(side * size / longest)) for side in (height, width))
    resized = _shrunk(image, rows, cols) if rows < height and cols < width else _bilinear(image, rows, cols)
    if (rows, cols) != (size, size):
        top, left = (size - rows) // 2, (size - cols) // 2
        resized = cv2.copyMakeBorder(
            resized, top, size - rows - top, left, size - cols - left, cv2.BORDER_CONSTANT, value=fill
        )
    return resized, (rows / height, cols / width)


def _bilinear(image: np.ndarray, rows: int, cols: int) -> np.ndarray:
    return image if image.shape == (rows, cols) else cv2.resize(image, (cols, rows), interpolation=cv2.INTER_LINEAR)


def _shrunk(image: np.ndarray, rows: int, cols: int) -> np.ndarray:
    height, width = image.shape
    times = 2 ** max(1, int(math.log2(min(height / rows, width / cols))))
    image = _bilinear(image, rows * times, cols * times)
    while times > 1:
        times //= 2
        image = cv2.resize(image, (cols * times, rows * times), interpolation=cv2.INTER_AREA)
    return image


def eight_bit(image: np.ndarray) -> np.ndarray:
    """Return an image in 256 levels: as it is if it is uint8, else its own range stretched over them."""
    if image.dtype == np.uint8:
        return image
    return np.asarray(cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX, dtype=cv2.CV_8U))


def mask_to_square(mask: np.ndarray, size: int, fit: str) -> np.ndarray:
    """Bring a mask, shape (H, W), bool, to the square grid; a pixel is foreground where half of its area or more is."""
    square, _ = to_square(mask.astype(np.uint8) * np.uint8(255), size, fit)
    foreground: np.ndarray = square >= 128
    return foreground


def from_square(mask: np.ndarray, shape: tuple[int, int], fit: str) -> np.ndarray:
    """Bring a mask from the square grid back to the file's own: the way back of `to_square`.

    Parameters
    ----------
    mask : ndarray, shape (S, S), bool
    shape : tuple of int
        H, W of the file.
    fit : {"pad", "stretch"}
        How the image met the square grid.

    Returns
    -------
    ndarray, shape (H, W), bool
        Foreground where the mask, between its pixels interpolated linearly, is one half or more.
    """
    native: np.ndarray = levels_from_square(mask.astype(np.float32), shape, fit) >= 0.5
    return native


def levels_from_square(square: np.ndarray, shape: tuple[int, int], fit: str) -> np.ndarray:
    """Bring levels (S, S) float32, such as a map, from the square grid back to the file's own; see `from_square`."""
    size = len(square)
    if fit == "stretch":
        rows, cols = size, size
    else:
        rows, cols = (max(1, round(side * size / max(shape))) for side in shape)
    top, left = (size - rows) // 2, (size - cols) // 2
    part = square[top : top + rows, left : left + cols]
    finer = cv2.INTER_LINEAR if shape[0] >= rows and shape[1] >= cols else cv2.INTER_AREA
    return np.asarray(cv2.resize(part, (shape[1], shape[0]), interpolation=finer))


def level_counts(image: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """Count the pixels of each level inside a head; in the whole frame where that is empty or not given.

    Parameters
    ----------
    image : ndarray, shape (S, S), uint8 or uint16
    inside : ndarray, shape (S, S), bool, or None

    Returns
    -------
    ndarray, shape (256,) or (65536,), float64
        Whole numbers.
    """
    levels = np.iinfo(image.dtype).max + 1
    mask = inside.view(np.uint8) if inside is not None and inside.any() else None
    return cv2.calcHist([image], [0], mask, [levels], [0, levels]).ravel().astype(np.float64)


def window_table(
    square: np.ndarray, counts: np.ndarray, params: ImageParams, own: tuple[float, float] | None = None
) -> np.ndarray:
    """Return what becomes of each level in each window: its low percentile 0, its high one 255, clipped outside.

    Parameters
    ----------
    square : ndarray, shape (S, S), uint8 or uint16
    counts : ndarray
        Its `level_counts` inside the head; not used where `window_source` is `frame`.
    params : ImageParams
    own : pair of float, optional
        The levels that the scan's own file shows as black and white. They replace the first window where
        `window_source` is `dicom`; a scan without keeps its percentiles.

    Returns
    -------
    ndarray, shape (C, 256) or (C, 65536), uint8
        A window without width (a constant image) gives 0 throughout.
    """
    reached = np.cumsum(level_counts(square) if params.window_source == "frame" else counts)
    bounds = reached.searchsorted(np.maximum(np.array(params.windows) * (reached[-1] / 100), 1))  # (C, 2)
    if own is not None and params.window_source == "dicom":
        bounds = np.vstack([own, bounds[1:]])
    low, high = bounds[:, :1], bounds[:, 1:]
    ramps = (np.arange(len(counts)) - low) * (255 / np.maximum(high - low, 1) * (high > low))
    return np.rint(ramps.clip(0, 255)).astype(np.uint8)


def apply_table(square: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Apply the windows of `window_table` to an image (S, S); return (S, S, C) uint8."""
    if square.dtype == np.uint16:
        return np.take(table.T, square, axis=0)
    return cv2.merge([cv2.LUT(square, row) for row in table]).reshape(*square.shape, len(table))
