"""What neighbouring slices know of each other: answers that agree along a volume, and one answer for the patient."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

REACH_MM = 2.0  # standard deviation of the smoothing across slices
EXTENT_MM = 12.0  # of the slices that speak for the patient
LEAST_HEAD = 0.5  # slices whose head is smaller than this share of the volume's largest do not speak for the patient


def smoothed(values: np.ndarray, slice_mm: float) -> np.ndarray:
    """Return values (D, ...), float, each the Gaussian mean with those of the slices within a few mm."""
    return ndimage.gaussian_filter1d(values, REACH_MM / slice_mm, axis=0, mode="nearest")


def pooled(
    probabilities: np.ndarray, head_fractions: np.ndarray, slice_mm: float, clear: int | None = None
) -> np.ndarray:
    """Return the patient's probabilities (K,): those of the `EXTENT_MM` of neighbouring slices that are least clear.

    A tumour shows in a few slices of a head; in the mean over all of them it would be outvoted by those beside it.
    Slices with little of a head do not count.

    Parameters
    ----------
    probabilities : ndarray, shape (D, K)
    head_fractions : ndarray, shape (D,)
        Share of each slice that is head.
    slice_mm : float
        Between slices.
    clear : int, optional
        Number of the class without a tumour. Where there is none, all slices count alike.
    """
    counted = probabilities[head_fractions >= LEAST_HEAD * head_fractions.max()].astype(float)
    size = len(counted) if clear is None else min(len(counted), max(1, round(EXTENT_MM / slice_mm)))
    means = sliding_window_view(counted, size, axis=0).mean(axis=-1)
    found: np.ndarray = means[0 if clear is None else means[:, clear].argmin()]
    return found


def without_lone_slices(masks: np.ndarray) -> np.ndarray:
    """Return masks (D, H, W) bool without components that lie in a single slice; corners that touch join."""
    if len(masks) == 1:
        return masks
    components, _ = ndimage.label(masks, np.ones((3, 3, 3)))
    places = ndimage.find_objects(components)
    deep = np.array([False, *(place[0].stop - place[0].start > 1 for place in places)])
    kept: np.ndarray = deep[components]
    return kept
