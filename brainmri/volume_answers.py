"""What neighbouring slices know of each other: answers that agree along a volume, and one answer for the patient."""

import numpy as np
from scipy import ndimage

REACH_MM = 2.0  # standard deviation of the smoothing across slices
LEAST_HEAD = 0.5  # slices whose head is smaller than this share of the volume's largest do not speak for the patient


def smoothed(values: np.ndarray, slice_mm: float) -> np.ndarray:
    """Return values (D, ...), float, each the Gaussian mean with those of the slices within a few mm."""
    return ndimage.gaussian_filter1d(values, REACH_MM / slice_mm, axis=0, mode="nearest")


def pooled(probabilities: np.ndarray, head_fractions: np.ndarray) -> np.ndarray:
    """Return the patient's probabilities (K,): the mean of the slices' (D, K) where there is enough of a head."""
    counted = head_fractions >= LEAST_HEAD * head_fractions.max()
    mean: np.ndarray = probabilities[counted].mean(axis=0, dtype=float)
    return mean


def without_lone_slices(masks: np.ndarray) -> np.ndarray:
    """Return masks (D, H, W) bool without components that lie in a single slice; corners that touch join."""
    if len(masks) == 1:
        return masks
    components, _ = ndimage.label(masks, np.ones((3, 3, 3)))
    places = ndimage.find_objects(components)
    deep = np.array([False, *(place[0].stop - place[0].start > 1 for place in places)])
    kept: np.ndarray = deep[components]
    return kept
