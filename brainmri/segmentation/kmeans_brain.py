"""K-means made to work on real heads: only inside the brain, for several k, and the likeliest of what it finds.

Bright in a whole head are scalp and fat; in the brain they are tumour, vessels and what the brain's border has caught.
So the brain is found first and evened out, its levels are clustered for several numbers of clusters, and every
connected part of the bright clusters is a candidate. A sum of plain facts on a candidate, its logarithms weighted,
decides: how much brighter it is than its surroundings and than brain, how compact and how large, whether the mirrored
place is as bright, whether it lies well inside the brain. Nothing is trained on masks.
"""

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import cv2
import numpy as np
from pydantic import Field

from brainmri.core.errors import InputError
from brainmri.core.params import Section
from brainmri.segmentation.brain import GRID, Brain, BrainParams, Length, convex_hull, disc, find_brain
from brainmri.segmentation.kmeans import LEVELS, kmeans_levels

Clusters = list[Annotated[int, Field(ge=2, le=16)]]
Weight = Annotated[float, Field(ge=0, le=20)]


class Weights(Section):
    """How much each fact counts; 0 leaves it out."""

    contrast: Weight  # to the surroundings
    level: Weight  # above the brain's level
    surroundings: Weight  # that are as bright as brain
    bright_surroundings: Weight
    solidity: Weight  # share of its convex hull that it fills
    elongation: Weight
    area: Weight
    symmetry: Weight  # with the other side of the head
    low: Weight  # in the head
    inside: Weight  # the brain
    evidence: Weight  # of a classifier, where it is given


class KMeansBrainParams(Section):
    """Section `segment.kmeans_brain`; lengths are px of a 128 px image, levels multiples of the brain's own."""

    brain: BrainParams
    region: Annotated[float, Field(gt=0, lt=1)]  # weight of the brain from which a pixel can be tumour
    flatten: Length  # reach over which brightness is evened out
    brighter: Annotated[float, Field(gt=1, le=3)]  # level from which a pixel can be tumour
    clusters: Clusters  # of all levels
    bright_clusters: Clusters  # of the levels that can be tumour, alone
    closings: Annotated[list[Length], Field(min_length=1, max_length=5)]  # radii that close a broken rim
    opening: Length  # radius that cuts off vessels
    smallest_px: Annotated[int, Field(ge=1)]
    typical_px: Annotated[int, Field(ge=1)]
    weights: Weights
    lowest_score: float  # below it, nothing is found


class Candidate(NamedTuple):
    """A place that may be the tumour."""

    score: float
    mask: np.ndarray  # (S, S) bool


class _Slice(NamedTuple):
    """A slice made ready to look for candidates."""

    levels: np.ndarray  # (S, S) uint8, evened out
    brain: Brain
    region: np.ndarray  # (S, S) bool, where a tumour can be
    midline: float  # column
    symmetric: float  # 0 to 1, how alike the two sides are: hardly, in a sagittal slice
    rows: tuple[int, int]  # the brain's first and last
    unit: float  # px of this image per px of a 128 px image


def segment(image: np.ndarray, params: KMeansBrainParams, evidence: np.ndarray | None = None) -> np.ndarray:
    """Return the mask `(S, S)` bool of the likeliest tumour, empty where there is none; see `candidates`."""
    found = candidates(image, params, evidence)
    if not found or found[0].score < params.lowest_score:
        return np.zeros(image.shape, bool)
    return found[0].mask


def candidates(image: np.ndarray, params: KMeansBrainParams, evidence: np.ndarray | None = None) -> list[Candidate]:
    """List what may be the tumour in a slice, the likeliest first.

    Parameters
    ----------
    image
        `(S, S)` uint8.
    params
        See `KMeansBrainParams`.
    evidence
        `(S, S)` in [0, 1], how much each pixel speaks for a tumour, such as a classifier's map; None without.

    Returns
    -------
    list of Candidate
        Empty where no brain is found, or nothing in it is bright.

    Raises
    ------
    InputError
        If the image is not square and 8-bit grey, or the evidence of another shape.
    """
    if image.dtype != np.uint8 or image.ndim != 2 or image.shape[0] != image.shape[1]:
        raise InputError(f"image: should be square and 8-bit grey, (S, S) uint8, received {image.dtype} {image.shape}")
    if evidence is not None and evidence.shape != image.shape:
        raise InputError(f"evidence: should have the image's shape {image.shape}, received {evidence.shape}")
    scan = _ready(image, params)
    if scan is None:
        return []
    found = [
        Candidate(_score(mask, threshold, scan, params, evidence), mask) for mask, threshold in _bright(scan, params)
    ]
    return sorted(found, key=lambda each: -each.score)


def _ready(image: np.ndarray, params: KMeansBrainParams) -> _Slice | None:
    brain = find_brain(image, params.brain)
    if brain is None or not brain.hull.any():
        return None
    unit = len(image) / GRID
    levels = np.clip(_flattened(image, brain, params.flatten * unit, unit), 0, LEVELS - 1).astype(np.uint8)
    rows, columns = np.nonzero(brain.hull)
    midline = float(columns.mean())
    smooth = cv2.GaussianBlur(levels, (0, 0), 3 * unit)
    other = cv2.warpAffine(smooth, np.array([[-1, 0, 2 * midline], [0, 1, 0]]), levels.shape)
    pair = smooth[brain.inside].astype(float), other[brain.inside].astype(float)
    alike = np.corrcoef(*pair)[0, 1] if all(side.std() for side in pair) else 0.0
    symmetric = float(np.clip((alike - 0.4) / 0.4, 0, 1))
    region = brain.weight > params.region
    return _Slice(levels, brain, region, midline, symmetric, (int(rows.min()), int(rows.max())), unit)


def _flattened(image: np.ndarray, brain: Brain, reach: float, unit: float) -> np.ndarray:
    """Divide by the level of the brain about each pixel: coils shade an image, and the middle of a head is darker."""
    smooth = cv2.GaussianBlur(image, (0, 0), unit).astype(np.float32)
    plain = brain.hull & (smooth > 0.6 * brain.level) & (smooth < 1.25 * brain.level)  # not tumour, not water
    weight = plain.astype(np.float32)
    some = 0.05  # far from any plain brain its overall level stands
    about = (cv2.GaussianBlur(smooth * weight, (0, 0), reach) + some * brain.level) / (
        cv2.GaussianBlur(weight, (0, 0), reach) + some
    )
    flat: np.ndarray = cv2.GaussianBlur(image, (0, 0), 0.6 * unit).astype(np.float32) * (brain.level / about)
    return flat


def thresholds(counts: np.ndarray, lowest: float, params: KMeansBrainParams) -> list[int]:
    """Return the levels above `lowest` at which a cluster of a histogram `(256,)` begins, rising, 3 or more apart."""
    bright = np.where(np.arange(LEVELS) > lowest, counts, 0)
    borders: set[int] = set()
    for histogram, numbers in ((counts, params.clusters), (bright, params.bright_clusters)):
        for k in numbers if histogram.any() else ():
            _, labels = kmeans_levels(histogram, k)
            borders |= {int(level) + 1 for level in np.flatnonzero(np.diff(labels))}
    ranked = sorted(level for level in borders if level > lowest)
    return [level for at, level in enumerate(ranked) if at == 0 or level - ranked[at - 1] > 2]


def _bright(scan: _Slice, params: KMeansBrainParams) -> Iterator[tuple[np.ndarray, int]]:
    """Yield `(S, S)` bool each bright part of the region, holes filled, and the threshold it is above."""
    size = int(scan.brain.hull.sum())
    counts = np.bincount(scan.levels[scan.region], minlength=LEVELS)
    seen = set()
    for threshold in thresholds(counts, params.brighter * scan.brain.level, params):
        hot = ((scan.levels >= threshold) & scan.region).astype(np.uint8)
        for closing in params.closings:
            filled = _filled(cv2.morphologyEx(hot, cv2.MORPH_CLOSE, disc(closing * scan.unit)), 0.2 * size)
            opened = cv2.morphologyEx(filled, cv2.MORPH_OPEN, disc(params.opening * scan.unit))
            count, parts, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
            for part in range(1, count):
                area, box = stats[part, cv2.CC_STAT_AREA], tuple(stats[part])
                # Another closing mostly finds the same parts again.
                if params.smallest_px * scan.unit**2 <= area <= 0.3 * size and box not in seen:
                    seen.add(box)
                    yield parts == part, threshold


def _filled(mask: np.ndarray, largest: float) -> np.ndarray:
    """Fill the holes of the parts (uint8) whose outline encloses less than `largest` px."""
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    small = [outline for outline in outlines if cv2.contourArea(outline) < largest]
    filled: np.ndarray = cv2.drawContours(mask.copy(), small, -1, 1, cv2.FILLED)
    return filled


def _score(
    mask: np.ndarray, threshold: int, scan: _Slice, params: KMeansBrainParams, evidence: np.ndarray | None
) -> float:
    """Return the weighted sum of the facts on a candidate; each is 0 or a little above at best, and negative else."""
    weights, level, area = params.weights, scan.brain.level, np.count_nonzero(mask)
    rows, columns = np.nonzero(mask)
    pad = round(6 * scan.unit)
    box = np.s_[max(0, rows.min() - pad) : rows.max() + pad + 1, max(0, columns.min() - pad) : columns.max() + pad + 1]
    part, levels = mask[box].astype(np.uint8), scan.levels[box] / level
    ring = (cv2.dilate(part, disc(4 * scan.unit)) - cv2.dilate(part, disc(scan.unit))) > 0
    rim = (part - cv2.erode(part, disc(2 * scan.unit), borderValue=0)) > 0
    about = levels[ring] if ring.any() else levels.ravel()
    brightness = levels[rim].mean()
    _, sides, _ = cv2.minAreaRect(cv2.findNonZero(part))
    top, bottom = scan.rows
    total = (
        weights.contrast * np.log(np.clip(brightness - about.mean(), 0.02, 1.5))
        + weights.level * np.log(np.clip(brightness - 1, 0.02, 1))
        + weights.surroundings * np.log(((about > 0.6) & (about < 1.4)).mean() + 0.1)
        - weights.bright_surroundings * (about > 1.4).mean()
        + weights.solidity * np.log(area / convex_hull(part).sum())
        + weights.elongation * np.log((min(sides) + 1) / (max(sides) + 1))
        - weights.area * (np.log(area / scan.unit**2 / params.typical_px) / 1.4) ** 2 / 2  # 4-fold is common
        + weights.symmetry * np.log(1 - 0.9 * _mirrored(mask, threshold, scan))
        - weights.low * max(0.0, min(1.0, (rows.mean() - top) / (bottom - top + 1)) - 0.6) / 0.4
        + weights.inside * np.log(scan.brain.weight[mask].mean() + 1e-6)  # closing can lead outside
    )
    return float(total if evidence is None else total + weights.evidence * np.log(evidence[mask].mean() + 0.05))


def _mirrored(mask: np.ndarray, threshold: int, scan: _Slice) -> float:
    """Return the share of a candidate, 0 to 1, whose place on the other side is as bright and not the candidate."""
    rows, columns = np.nonzero(mask)
    across = np.rint(2 * scan.midline - columns).astype(int)
    within = (across >= 0) & (across < mask.shape[1])
    place = rows[within], across[within]
    near = cv2.dilate(mask.astype(np.uint8), disc(3 * scan.unit))[place] > 0
    bright = (scan.levels[place] >= threshold) & ~near
    return scan.symmetric * float(bright.sum()) / len(rows)
