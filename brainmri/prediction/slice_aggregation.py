"""From the answers of a volume's slices to one of the whole: smoothed along it, pooled for the patient, specks dropped.

Chosen on 32 simulated volumes of axial, coronal and sagittal slices of 2 to 5 mm, of patients that networks trained on
the simulated set had not seen. The patient's class was right in 32 of 32; in 31 by the likeliest 4 mm (6 to 20 do as
well as 10), in 29 where slices of air count, in 8 by the mean over all slices. The mean Dice of the 24 with a tumour,
by `unet` and `kmeans_brain`: 0.932 and 0.70; without smoothing 0.931 and 0.70; gated slice by slice 0.929 and 0.73;
gated by the patient's class alone 0.932 and 0.43. On 12 more at 1.5 mm every class was right too, and gating slice by
slice lost parts of two gliomas, 0.03 of the U-Net's Dice.
"""

import cv2
import numpy as np
from scipy import ndimage

REACH_MM = 2.0  # standard deviation of the smoothing across slices
SLAB_MM = 10.0  # of slices that speak for the patient
LEAST_TISSUE = 0.5  # slices with less than this share of the fullest slice's tissue do not speak for the patient


def smoothed(values: np.ndarray, slice_mm: float) -> np.ndarray:
    """Return values (D, ...), float, each the Gaussian mean with those of the slices within a few mm."""
    reach = min(REACH_MM / slice_mm, len(values))
    return ndimage.gaussian_filter1d(values, reach, axis=0, mode="nearest")


def tissue(pictures: np.ndarray) -> np.ndarray:
    """Return the share (D,) of each picture (D, H, W) uint8 that is bright, above Otsu's threshold of all of them.

    Of all, because a slice of air has a threshold of its own too.
    """
    threshold, _ = cv2.threshold(pictures.reshape(-1, 1), 0, 255, cv2.THRESH_OTSU)
    return np.array([(picture > threshold).mean() for picture in pictures])


def spoken_for(probabilities: np.ndarray, tissue_shares: np.ndarray, slice_mm: float, no_tumour: int | None) -> slice:
    """Return the slices whose means are the patient's: the slab in which a tumour is likeliest.

    Most slices of a patient with a tumour show none, so that a mean over all of them would say so.

    Parameters
    ----------
    probabilities : ndarray, shape (D, K)
        Of each slice.
    tissue_shares : ndarray, shape (D,)
        Of `tissue`: slices with little of the head, which no training image shows, are left out.
    slice_mm : float
        Distance between slices.
    no_tumour : int or None
        Which class means no tumour; without such a class the mean over all slices is the answer.
    """
    counted = np.flatnonzero(tissue_shares >= LEAST_TISSUE * tissue_shares.max())
    first, end = int(counted[0]), int(counted[-1]) + 1
    if no_tumour is None:
        return slice(first, end)
    clear = probabilities[first:end, no_tumour].astype(float)
    count = int(np.clip(round(SLAB_MM / slice_mm), 1, len(clear)))
    first += int(np.argmin([clear[at : at + count].mean() for at in range(len(clear) - count + 1)]))
    return slice(first, first + count)


def consistent(masks: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """Return masks (D, H, W) bool without the components that neighbouring slices or the classifier speak against.

    Dropped is what lies in a single slice of several, and what lies in none but slices that are `clear` (D,) bool, in
    which the classifier sees no tumour. Corners that touch join.
    """
    components, _ = ndimage.label(masks, np.ones((3, 3, 3)))
    slices = [place[0] for place in ndimage.find_objects(components)]
    deep = np.array([False, *(place.stop - place.start > 1 or len(masks) == 1 for place in slices)])
    seen = np.zeros(len(deep), bool)
    seen[np.unique(components[~clear])] = True
    kept: np.ndarray = (deep & seen)[components]
    return kept
