"""Which grey levels of a scan are the scan's own: padding and single extreme values are told from tissue.

A scanner's file may hold values that nothing was measured for: a constant about a round field of view (-32768, 63536),
a marker burnt in at the type's highest level, one broken voxel. Whatever is scaled from the minimum to the maximum is
dark or empty then. Two rules, repeated until nothing is left to take away:

- the lowest value is padding where a thousandth of the pixels or more have it and the next one is further away than a
  quarter of the range of the rest; the highest is, where it is further away than the whole of that range;
- what is further outside of the range of nearly all (0.1 to 99.9 % of the pixels) than this is wide is an outlier.

Padding becomes the lowest of what is left, as air is; an outlier becomes the nearest of what is left.
"""

import math

import cv2
import numpy as np

_TAIL = 0.001  # share of the pixels that may be outliers at each end, and that padding has at least
_LEAST_LEVELS = 32  # of a picture with fewer levels (a drawing, a mask) nothing is taken away
_SAMPLE = 2**20  # voxels that are looked at of a large volume, evenly spread


def own_levels(values: np.ndarray) -> np.ndarray:
    """Return values, finite and of any shape and type, with padding and outliers brought to the range of the rest.

    Values that have neither come back as they are, the same array.
    """
    low, high, padding = _own_range(*_counted(values))
    if low == -math.inf and high == math.inf:
        return values
    # Of large volumes there is room for one copy.
    inside = (values >= low) & (values <= high)
    low, high = values.max(), values.min()
    low, high = np.min(values, where=inside, initial=low), np.max(values, where=inside, initial=high)
    own = values.clip(low, high)
    own[values >= padding] = low
    return own


def _counted(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values that occur, rising, and how many pixels have each: of all, or of a sample and the extremes."""
    if values.dtype in (np.uint8, np.uint16):
        counts = _level_counts(values)
        levels = np.flatnonzero(counts)
        return levels.astype(np.float64), counts[levels]
    sample = values.flat[:: max(1, values.size // _SAMPLE)]
    levels, counts = np.unique(np.append(sample, (values.min(), values.max())), return_counts=True)
    return levels.astype(np.float64), counts


def _level_counts(values: np.ndarray) -> np.ndarray:
    """Count each level: by OpenCV, in a tenth of NumPy's time, where its float32 counts are exact."""
    if values.size > 2**24:
        return np.bincount(values.ravel())
    levels = np.iinfo(values.dtype).max + 1
    return cv2.calcHist([values.reshape(1, -1)], [0], None, [levels], [0, levels]).ravel().astype(np.int64)


def _own_range(levels: np.ndarray, counts: np.ndarray) -> tuple[float, float, float]:
    """Return the lowest and the highest level of the scan's own, infinite where none is lower or higher.

    The third is the lowest level of padding above them, infinite where there is none.
    """
    least, first, last, padding = _TAIL * counts.sum(), 0, len(levels), math.inf
    while last - first >= _LEAST_LEVELS:
        part, many = levels[first:last], counts[first:last]
        low, high = _most(part, many)
        own = np.flatnonzero((part >= 2 * low - high) & (part <= 2 * high - low))
        if many[0] >= least and part[1] - part[0] > _width(part[1:], many[1:]) / 4:
            first += 1
        elif many[-1] >= least and part[-1] - part[-2] > _width(part[:-1], many[:-1]):
            last -= 1
            padding = float(levels[last])
        elif len(own) < len(part):
            first, last = first + int(own[0]), first + int(own[-1]) + 1
        else:
            break
    return (
        -math.inf if first == 0 else float(levels[first]),
        math.inf if last == len(levels) else float(levels[last - 1]),
        padding,
    )


def _most(levels: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Return the levels between which nearly all pixels are."""
    reached = np.cumsum(counts)
    low, high = reached.searchsorted((_TAIL * reached[-1], (1 - _TAIL) * reached[-1]))
    return float(levels[low]), float(levels[high])


def _width(levels: np.ndarray, counts: np.ndarray) -> float:
    low, high = _most(levels, counts)
    return high - low
