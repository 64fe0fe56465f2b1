"""K-means on the 256 levels of an 8-bit image, exactly, and the seed's segmentation made of it.

Pixels of one level always share a cluster, so that the problem is one of at most 256 weighted points on a line. There
an optimal cluster is a run of neighbouring levels, and dynamic programming over the ends of the runs finds the optimum
(Wang and Song 2011, doi:10.32614/RJ-2011-015), where the usual iteration from random starts finds some local one.
Nothing is random, so nothing is seeded.
"""

from typing import Annotated

import cv2
import numpy as np
from pydantic import Field, field_validator

from brainmri.core.errors import InputError, ParamsError
from brainmri.core.params import Section

LEVELS = 256


class KMeansParams(Section):
    """Section `segment.kmeans`: the seed's method."""

    k: Annotated[int, Field(ge=2, le=16)]
    kernel: Annotated[int, Field(ge=1, le=63)]
    erosions: Annotated[int, Field(ge=0, le=20)]
    dilations: Annotated[int, Field(ge=0, le=20)]

    @field_validator("kernel")
    @classmethod
    def _odd(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError("odd, so that it has a centre")
        return kernel


def kmeans_levels(counts: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Cluster the levels of a histogram so that the summed squared distance of pixels to their centre is the least.

    Parameters
    ----------
    counts
        `(256,)` how many pixels have each level; at least one is above 0.
    k
        Number of clusters, at least 1.

    Returns
    -------
    centers
        `(m,)` mean level of each cluster, rising. m is `k`, or the number of levels that occur if that is smaller: each
        is then a cluster of its own.
    labels
        `(256,)` the cluster of each level, rising from 0. A level that no pixel has goes with the next lower that does,
        or with the darkest cluster. Of several optimal solutions the one with the lower borders is returned.

    Raises
    ------
    ParamsError
        If `k` is below 1.
    InputError
        If the histogram is not of 256 levels or is empty.
    """
    if k < 1:
        raise ParamsError(f"k should be at least 1, received {k}")
    if counts.shape != (LEVELS,) or not counts.any():
        raise InputError(f"histogram: should count at least one pixel over {LEVELS} levels, received {counts.shape}")
    levels = np.flatnonzero(counts)
    mass = np.concatenate([[0.0], np.cumsum(counts[levels])])
    moment = np.concatenate([[0.0], np.cumsum(counts[levels] * levels, dtype=float)])
    starts = _starts(mass, moment, min(k, len(levels)))
    ends = [*starts[1:], len(levels)]
    centers = (moment[ends] - moment[starts]) / (mass[ends] - mass[starts])
    labels = np.searchsorted(levels[starts], np.arange(LEVELS), side="right") - 1
    return centers, np.maximum(labels, 0)


def segment(image: np.ndarray, k: int, kernel: int, erosions: int, dilations: int) -> np.ndarray:
    """Segment by the seed's method: the brightest of k clusters of the whole frame, eroded, then dilated.

    Parameters
    ----------
    image
        `(H, W)` uint8.
    k
        Number of clusters, at least 2.
    kernel
        Side of the square structuring element, px, odd. What lies outside the frame neither erodes nor grows.
    erosions, dilations
        How often each is applied, at least 0.

    Returns
    -------
    np.ndarray
        `(H, W)` bool. Empty for a constant image, in which nothing is brighter than the rest. With fewer than `k`
        levels, the brightest level alone is the foreground.

    Raises
    ------
    ParamsError
        If a parameter is outside its range.
    InputError
        If the image is not 8-bit grey.
    """
    _check(image, k, kernel, erosions, dilations)
    centers, labels = kmeans_levels(np.bincount(image.ravel(), minlength=LEVELS), k)
    if len(centers) == 1:
        return np.zeros(image.shape, bool)
    # Clusters are runs of levels, so the brightest is everything from its first level on.
    foreground = cv2.threshold(image, int(np.searchsorted(labels, len(centers) - 1)) - 1, 1, cv2.THRESH_BINARY)[1]
    square = np.ones((kernel, kernel), np.uint8)
    opened = cv2.dilate(cv2.erode(foreground, square, iterations=erosions), square, iterations=dilations)
    mask: np.ndarray = opened.view(bool)
    return mask


def _starts(mass: np.ndarray, moment: np.ndarray, k: int) -> list[int]:
    """Return the first point of each of `k` runs; `mass` and `moment` are cumulated from 0, `(points + 1,)`.

    The spread within clusters is the whole spread less the gain, the sum over clusters of moment² / mass. `best[j]` is
    the highest gain of the first j points in the clusters so far. The last cluster ends at the last point, so it needs
    one row only, and k = 2 needs no table of all runs.
    """
    points = len(mass) - 1
    if k == 1:
        return [0]
    best = np.full(points + 1, -np.inf)
    best[1:] = moment[1:] ** 2 / mass[1:]
    splits = []
    if k > 2:
        gains = _gains(mass, moment)
    for _ in range(k - 2):
        table = best + gains  # a row for each end, a column for each split before it
        splits.append(table.argmax(1))
        best = table[np.arange(points + 1), splits[-1]]
    last = best[:-1] + (moment[-1] - moment[:-1]) ** 2 / (mass[-1] - mass[:-1])
    starts = [int(last.argmax())]
    for split in reversed(splits):
        starts.append(int(split[starts[-1]]))
    return [0, *reversed(starts)]


def _gains(mass: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """Return `(points + 1, points + 1)` the gain of the run from the column's point up to, not with, the row's."""
    weight = mass[:, None] - mass
    none = weight <= 0
    weight[none] = 1  # not divided by 0
    gains: np.ndarray = (moment[:, None] - moment) ** 2 / weight
    gains[none] = -np.inf
    return gains


def _check(image: np.ndarray, k: int, kernel: int, erosions: int, dilations: int) -> None:
    if image.dtype != np.uint8 or image.ndim != 2 or not image.size:
        raise InputError(f"image: should be 8-bit grey, (H, W) uint8, received {image.dtype} {image.shape}")
    if k < 2 or kernel < 1 or kernel % 2 == 0 or erosions < 0 or dilations < 0:
        raise ParamsError(
            "k should be at least 2, kernel odd and above 0, erosions and dilations at least 0, "
            f"received k={k}, kernel={kernel}, erosions={erosions}, dilations={dilations}"
        )
