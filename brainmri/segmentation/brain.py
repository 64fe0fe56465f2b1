"""Where the brain is in a slice of a head: away from scalp and skull, from face and neck.

No training and no template: brain is the largest thing in a head that is of one brightness, of little texture and
without dents. Where to cut depends on the slice, so that several ways are tried and weighed against each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from brainmri.core.params import Section
from brainmri.preprocessing.head import head

GRID = 128  # lengths in params are pixels of a square of this side
Share = Annotated[float, Field(gt=0, le=1)]
Length = Annotated[float, Field(gt=0, le=32)]


class BrainParams(Section):
    """How the brain is told from the rest; levels are multiples of the brain's own."""

    levels: Annotated[list[float], Field(min_length=2, max_length=2)]  # of tissue
    textures: Annotated[list[float], Field(min_length=1, max_length=5)]  # highest standard deviation about a pixel
    even: Annotated[float, Field(gt=0)]  # standard deviation that is counted as brain when ways are compared
    openings: Annotated[list[Length], Field(min_length=1, max_length=9)]  # radii that cut brain from the rest, px
    rim: Length  # of the head, never brain, px
    gap: Length  # over which parts of the brain are joined, px
    joined: Share  # tissue that a hull about joined parts holds at least
    smallest: Share  # of the head, below which a brain is unlikely


@dataclass(frozen=True)
class Brain:
    """What `find_brain` found in an image (S, S)."""

    level: float  # of most of the brain
    inside: np.ndarray  # (S, S) bool, the head without its rim
    hull: np.ndarray  # (S, S) bool, the likeliest brain
    weight: np.ndarray  # (S, S) float32 in [0, 1], share of the ways, weighed, in which a pixel is brain


def find_brain(image: np.ndarray, params: BrainParams) -> Brain | None:
    """Find the brain of a slice.

    Brain-like tissue is opened by discs of several radii, its main part joined with its neighbours by a convex hull,
    so that a tumour at the brain's border stays in. Each hull is weighed by how even it is, how large, and how high in
    the head it lies: faces and necks are uneven and lie low.

    Parameters
    ----------
    image
        `(S, S)` uint8.
    params
        See `BrainParams`.

    Returns
    -------
    Brain or None
        None where there is no head or no tissue in it.
    """
    unit = len(image) / GRID
    outside = cv2.distanceTransform(np.pad(head(image), 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    smooth = cv2.GaussianBlur(image, (0, 0), unit).astype(np.float32)
    level = brain_level(smooth, outside)
    if level == 0:
        return None
    inside = outside > params.rim * unit
    tissue = inside & (smooth > params.levels[0] * level)
    like = tissue & (smooth < params.levels[1] * level)
    texture = _deviation(smooth) / level
    rows = np.flatnonzero(outside.any(1))
    hulls, weights = [], []
    for limit in params.textures:
        for hull in _hulls((like & (texture < limit)).astype(np.uint8), tissue, rows, unit, params):
            grown = (cv2.dilate(hull, disc(2 * unit)) > 0) & inside
            share = grown.sum() / (outside > 0).sum()
            even = (like & (texture < params.even))[hull > 0].mean()
            height = 1.3 - _height(grown, rows)
            hulls.append(grown)
            # The powers decide how sharply ways are told apart.
            weights.append((share**0.5 * min(1, share / params.smallest) ** 2 * even**3 * height**2) ** 4)
    if not weights or max(weights) == 0:
        return None
    wide = [cv2.dilate(hull.astype(np.uint8), disc(2 * unit)).astype(np.float32) for hull in hulls]
    weight = cv2.GaussianBlur(np.average(wide, axis=0, weights=weights).astype(np.float32), (0, 0), unit) * inside
    return Brain(level, inside, hulls[int(np.argmax(weights))], weight)


def brain_level(smooth: np.ndarray, outside: np.ndarray) -> float:
    """Return the commonest level of the inner part of a head, 0 where there is none.

    Parameters
    ----------
    smooth
        `(S, S)` float32 levels from 0 to 255.
    outside
        `(S, S)` float32, distance to what is not head, px.
    """
    values = smooth[(outside > 0.3 * outside.max()) & (smooth > 20)]  # air is darker
    if not values.size:
        return 0.0
    counts = np.bincount(values.astype(int), minlength=256).astype(np.float32)[None]
    counts = cv2.GaussianBlur(counts, (0, 0), 5, borderType=cv2.BORDER_CONSTANT)[0]
    middle = float(np.median(values))
    low = int(0.7 * middle)  # a peak far from the middle is a large tumour's, or of saturated fat
    return float(low + counts[low : int(1.4 * middle) + 1].argmax())


def disc(radius: float) -> np.ndarray:
    """Return a disc of a radius of at least 1 px, rounded, as a structuring element."""
    side = 2 * max(1, round(radius)) + 1
    element: np.ndarray = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return element


def convex_hull(mask: np.ndarray) -> np.ndarray:
    """Return the convex hull of a mask (S, S) uint8, not empty, as such a mask."""
    points = cv2.findNonZero(mask)
    hull: np.ndarray = cv2.fillConvexPoly(np.zeros_like(mask), cv2.convexHull(points), 1)
    return hull


def _deviation(levels: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the 5x5 levels about each pixel."""
    mean = cv2.blur(levels, (5, 5))
    deviation: np.ndarray = np.sqrt(np.maximum(cv2.blur(levels * levels, (5, 5)) - mean**2, 0))
    return deviation


def _height(mask: np.ndarray, rows: np.ndarray) -> float:
    """Return how far down in the head a mask's middle lies: 0 at the top row, 1 at the bottom row."""
    return (float(np.nonzero(mask)[0].mean()) - rows[0]) / len(rows) if mask.any() else 1.0


def _hulls(
    like: np.ndarray, tissue: np.ndarray, rows: np.ndarray, unit: float, params: BrainParams
) -> Iterator[np.ndarray]:
    """Yield `(S, S)` uint8 the hull of the main part of `like`, for each radius of opening that leaves one."""
    for radius in params.openings:
        opened = cv2.morphologyEx(like, cv2.MORPH_OPEN, disc(radius * unit))
        count, parts, stats, centres = cv2.connectedComponentsWithStats(opened, connectivity=4)
        if count > 1:
            areas = stats[1:, cv2.CC_STAT_AREA]
            main = int(np.argmax(areas * (1.4 - (centres[1:, 1] - rows[0]) / len(rows))))
            hull = convex_hull((parts == main + 1).astype(np.uint8))
            for other in np.argsort(-areas, kind="stable")[:12]:
                if other != main and areas[other] > 0.03 * areas[main]:
                    hull = _joined(hull, (parts == other + 1).astype(np.uint8), tissue, unit, params)
            yield hull


def _joined(hull: np.ndarray, part: np.ndarray, tissue: np.ndarray, unit: float, params: BrainParams) -> np.ndarray:
    """Return the hull about both, if the part is near and little but tissue lies between them; else the hull alone."""
    if not (cv2.dilate(hull, disc(params.gap * unit)) & part).any():
        return hull
    both = convex_hull(hull | part)
    return both if tissue[both > 0].mean() > params.joined else hull
