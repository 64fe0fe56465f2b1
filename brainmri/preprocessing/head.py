"""Find the head in a slice; take away the frame that somebody drew about it; tell what shows no head at all."""

import cv2
import numpy as np
import pandas as pd

from brainmri.preprocessing.images import eight_bit

_FRAME = 1 / 8  # of a picture's range, by which a frame is above the darkest; of that, how much it varies along a line
_LEAST, _MOST = 0.03, 0.9  # share of the frame; a head is rather a label below it, and the background's noise above it
# A picture without background (share of the frame), of nothing but noise: variance of the Laplacian over that of the
# picture, see `quality.quality`. White noise has 20 in pixels of its own and 7.5 where resized from 100 to 128 px.
_NO_BACKGROUND, _NOISE = 0.97, 6.0


def without_frame(image: np.ndarray) -> np.ndarray:
    """Return an image (H, W) whose frame, white or grey, is background; an image without one as it is, the same array.

    A side has a frame where its first line that is not dark, in its outer tenth, is of one level. The frame is as wide
    as lines stay bright, nine tenths of their pixels above half of that level; and a line wider where the next one is
    still too bright throughout, as resizing mixes it with the frame.
    """
    low, high = int(image.min()), int(image.max())
    widths = [_frame_width(np.rot90(image, turn), low, high - low) for turn in range(4)]
    if not any(widths):
        return image
    framed = image.copy()
    for turn, width in enumerate(widths):
        np.rot90(framed, turn)[:width] = low
    return framed


def _frame_width(image: np.ndarray, low: int, width_levels: int) -> int:
    """Return how many lines an image (H, W) begins with that are a frame, or dark and outside of one."""
    tenth = image.shape[1] // 10
    lines = (np.sort(line)[[tenth, -1 - tenth]].astype(int) - low for line in image)
    at, (least, most) = next(
        ((at, ends) for at, ends in enumerate(lines) if ends[1] > _FRAME * width_levels or 10 * at > len(image)),
        (0, (0, 0)),
    )
    if least <= _FRAME * width_levels or most - least > _FRAME * least:
        return 0
    inner, next_least = next(((at, ends[0]) for at, ends in enumerate(lines, at + 1) if 2 * ends[0] <= least), (at, 0))
    return inner + int(next_least > _FRAME * least) if inner > at else len(image)


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


def shows_head(table: pd.DataFrame) -> pd.Series:
    """Return for each row of a table whether its slice can show a head: a constant one cannot, nor one of noise alone.

    The table has the figures of `quality.quality`, and `height_px` and `width_px` of the file.
    """
    sides = table[["height_px", "width_px"]]
    padded = sides.max(axis=1) / sides.min(axis=1)
    noise = (table["head_fraction"] * padded > _NO_BACKGROUND) & (table["sharpness"] > _NOISE)
    return (table["head_fraction"] > 0) & ~noise
