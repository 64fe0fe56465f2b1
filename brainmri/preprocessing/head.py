"""Find the head in a slice, without the frame that somebody drew about it; measure it; tell what shows no head."""

import math

import cv2
import numpy as np
import pandas as pd

from brainmri.core.index import QUALITY
from brainmri.preprocessing.images import eight_bit

_FRAME = 1 / 8  # of a picture's range, by which a frame is above the darkest; of that, how much it varies along a line
_LEAST, _MOST = 0.03, 0.9  # share of the frame; a head is rather a label below it, and the background's noise above it
# A picture without background (share of the frame), of nothing but noise: variance of the Laplacian over that of the
# picture, see `quality`. White noise has 20 in pixels of its own and 7.5 where resized from 100 to 128 px.
_NO_BACKGROUND, _NOISE = 0.97, 6.0


def without_frame(image: np.ndarray) -> np.ndarray:
    """Return an image (H, W) whose frame, white or grey, is background; an image without one as it is, the same array.

    A side has a frame where its first line that is not dark, in its outer tenth, is of one level. The frame is as wide
    as lines stay bright, nine tenths of their pixels above half of that level; and a line wider where the next one is
    still too bright throughout, as resizing mixes it with the frame.
    """
    low, high = int(image.min()), int(image.max())
    bright = (image > low + int(_FRAME * (high - low))).view(np.uint8)
    rows, columns = (cv2.reduce(bright, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel() for axis in (1, 0))
    counts = (rows, columns[::-1], rows[::-1], columns)  # of each side's lines, as `rot90` brings it to the top
    widths = [_frame_width(np.rot90(image, turn), count, low) for turn, count in enumerate(counts)]
    if not any(widths):
        return image
    framed = image.copy()
    for turn, width in enumerate(widths):
        np.rot90(framed, turn)[:width] = low
    return framed


def _frame_width(image: np.ndarray, bright: np.ndarray, low: int) -> int:
    """Return how many lines an image (H, W) begins with that are a frame, or dark and outside of one.

    `bright` (H,) is how many pixels of each line are above the share of its range that a frame is.
    """
    tenth = image.shape[1] // 10
    outer = bright[: len(image) // 10 + 2]
    first = int((outer > tenth).argmax())
    if outer[first] <= tenth:
        return 0
    lines = (np.sort(line)[[tenth, -1 - tenth]].astype(int) - low for line in image[first:])
    least, most = next(lines)
    if outer[first] < image.shape[1] - tenth or most - least > _FRAME * least:
        return 0
    ends = ((at, own_least) for at, (own_least, _) in enumerate(lines, first + 1) if 2 * own_least <= least)
    inner, next_least = next(ends, (first, 0))
    return inner + int(next_least > _FRAME * least) if inner > first else len(image)


def head(square: np.ndarray) -> np.ndarray:
    """Find the head: the largest connected thing brighter than the background, with its holes filled.

    Half of Otsu's threshold [1]_, counted from the darkest level where the background is grey, keeps dark tissue (CSF,
    bone) that the threshold itself would give to the background; a mean over 3x3 pixels before it keeps noise out of
    the outline. Where the largest thing is too small for a head, a label may have set the threshold: what is brighter
    is capped and the rest looked at once more.

    Parameters
    ----------
    square : ndarray, shape (S, S), uint8 or uint16

    Returns
    -------
    ndarray, shape (S, S), bool
        All False for a constant image.

    References
    ----------
    .. [1] Otsu, N., IEEE Trans. Syst. Man Cybern. 9 (1979), doi:10.1109/TSMC.1979.4310076
    """
    smooth = eight_bit(cv2.blur(square, (3, 3)))
    found, threshold = _largest(smooth)
    if 0 < np.count_nonzero(found) < _LEAST * found.size:
        other, _ = _largest(np.minimum(smooth, threshold // 2))
        if _LEAST <= np.count_nonzero(other) / other.size < _MOST:
            return other
    return found


def _largest(smooth: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the largest thing (S, S) bool above half of Otsu's threshold, filled, and that threshold."""
    filled = np.zeros(smooth.shape, np.uint8)
    low, high, _, _ = cv2.minMaxLoc(smooth)
    if low == high:
        return filled.view(bool), 0
    otsu, _ = cv2.threshold(smooth, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    background = int(low) if 3 * low > otsu else 0
    _, bright = cv2.threshold(smooth, (background + int(otsu)) // 2, 1, cv2.THRESH_BINARY)
    outlines, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(filled, [max(outlines, key=cv2.contourArea)], 0, 1, thickness=cv2.FILLED)
    return filled.view(bool), int(otsu)


def quality(square: np.ndarray, inside: np.ndarray, counts: np.ndarray, counts_256: np.ndarray) -> dict[str, float]:
    """Measure the quality of a scan, on the square grid and inside the head.

    Parameters
    ----------
    square : ndarray, shape (S, S), uint8 or uint16
        The scan before any window.
    inside : ndarray, shape (S, S), bool
        The head; NaN stands for every figure but `head_fraction` where it is empty.
    counts : ndarray, shape (256,) or (65536,)
        How many pixels inside have each level, of `images.level_counts`.
    counts_256 : ndarray, shape (256,)
        The same of the scan in 256 levels, of `images.eight_bit`.

    Returns
    -------
    dict of float
        `snr`: mean over the standard deviation of the noise [1]_. `contrast`:
        (p95 - p5) / (p95 + p5) of the levels. `sharpness`: variance of the Laplacian over the variance of the image.
        `entropy_bits`: Shannon entropy of the levels. `head_fraction`: share of the frame. `clipped_fraction`: share
        of the head at the type's highest level.

    References
    ----------
    .. [1] Immerkaer, J., Comput. Vis. Image Underst. 64 (1996), doi:10.1006/cviu.1996.0060
    """
    mask = inside.view(np.uint8)
    count = cv2.countNonZero(mask)
    if count == 0:
        return dict.fromkeys(QUALITY, float("nan")) | {"head_fraction": 0.0}
    levels = np.arange(len(counts), dtype=np.float64)
    mean = float(counts @ levels) / count
    spread = float(counts @ (levels - mean) ** 2) / count
    p5, p95 = np.cumsum(counts_256).searchsorted((0.05 * count, 0.95 * count)).tolist()
    information = float(counts_256 @ np.log2(np.maximum(counts_256, 1)))
    depth = cv2.CV_16S if square.dtype == np.uint8 else cv2.CV_32F
    # Both second derivatives at once are Immerkaer's kernel, blind to constant, linear and quadratic-saddle structure,
    # so that what is left is mostly noise.
    rough = cv2.norm(cv2.Sobel(square, depth, 2, 2), cv2.NORM_L1, mask) / count
    _, edges = cv2.meanStdDev(cv2.Laplacian(square, depth), mask=mask)
    return {
        "snr": mean / (math.sqrt(math.pi / 2) / 6 * rough) if rough > 0 else float("nan"),
        "contrast": (p95 - p5) / (p95 + p5) if p95 > 0 else 0.0,
        "sharpness": float(edges[0, 0]) ** 2 / spread if spread > 0 else 0.0,
        "entropy_bits": math.log2(count) - information / count,
        "head_fraction": count / square.size,
        "clipped_fraction": float(counts[-1]) / count,
    }


def shows_head(table: pd.DataFrame) -> pd.Series:
    """Return for each row of a table whether its slice can show a head: a constant one cannot, nor one of noise alone.

    The table has the figures of `quality`, and `height_px` and `width_px` of the file.
    """
    sides = table[["height_px", "width_px"]]
    padded = sides.max(axis=1) / sides.min(axis=1)
    noise = (table["head_fraction"] * padded > _NO_BACKGROUND) & (table["sharpness"] > _NOISE)
    return (table["head_fraction"] > 0) & ~noise
