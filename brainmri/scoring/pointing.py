"""The pointing game: whether the place where a classifier sees most evidence lies inside the tumour.

Zhang et al. 2018, Top-down neural attention by excitation backprop, doi:10.1007/s11263-017-1059-x; here without their
tolerance of 15 px: the peak itself has to lie in the mask.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from brainmri.core import labels
from brainmri.scoring import intervals
from brainmri.scoring.assessment import written


def candidates(index: pd.DataFrame, masks: np.ndarray, limit: int, rng: np.random.Generator) -> np.ndarray:
    """Return the rows (M,), rising, of at most `limit` images with a tumour in their mask, drawn where there are more.

    Images of the class without a tumour are none of them, whatever their mask holds.
    """
    rows = np.flatnonzero((index["mask_row"] >= 0) & (index["label"] != labels.NO_TUMOUR))
    rows = np.array([row for row in rows if masks[index["mask_row"].iat[row]].any()], int)
    return np.sort(rng.choice(rows, limit, replace=False)) if len(rows) > limit else rows


def likeliest_tumour(probabilities: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Return the likeliest class (N,) but that without a tumour: the predicted one, unless no tumour is predicted."""
    tumour = np.array([name != labels.NO_TUMOUR for name in classes])
    found: np.ndarray = np.where(tumour, probabilities, -1).argmax(axis=1)
    return found


def hits(evidence: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return (N,) bool: whether the peak of the evidence (N, S, S) lies in the mask (N, S, S).

    Of several equal peaks the first in reading order counts. Evidence that is 0 everywhere is a miss.
    """
    flat, inside = (array.reshape(len(array), np.prod(array.shape[1:])) for array in (evidence, masks > 0))
    peak = flat.argmax(axis=1)[:, None]
    found: np.ndarray = (np.take_along_axis(inside, peak, axis=1) & (np.take_along_axis(flat, peak, axis=1) > 0))[:, 0]
    return found


def brightness(images: np.ndarray) -> np.ndarray:
    """Return the first window of images (N, S, S, C) uint8, smoothed by S / 64 px: what points without a classifier."""
    first = images[..., 0].astype(np.float32)
    smooth: np.ndarray = ndimage.gaussian_filter(first, (0, first.shape[1] / 64, first.shape[2] / 64))
    return smooth


def score(table: pd.DataFrame, seed: int, resamples: int) -> dict[str, Any]:
    """Score rows with `hit`, `brightest`, `chance` (share of the head in the mask), `unit` and `training_twin`.

    Returns
    -------
    dict
        `all` and `twin_free`, each with `images`, `hits` (a share), its `ci95`, and `chance`: how often a point drawn
        anywhere in the head would hit; `brightest`: how often the brightest spot does. Only hits beyond both speak for
        the classifier. A part without images is left out.
    """
    seen = table["training_twin"].to_numpy(bool)
    found = {"all": table, "twin_free": table[~seen]}
    return {name: _scored(part, seed, resamples) for name, part in found.items() if len(part)}


def _scored(part: pd.DataFrame, seed: int, resamples: int) -> dict[str, Any]:
    hit, units = part["hit"].to_numpy(bool), part["unit"].to_numpy()

    def statistic(weights: np.ndarray) -> Mapping[str, np.ndarray]:
        return {"hits": weights @ hit / weights.sum(axis=1)}

    trials = {"hits": (len(np.unique(units)), len(np.unique(units[~hit])))}
    ends = intervals.bootstrap(units, statistic, np.random.default_rng(seed), resamples, trials)
    plain = {name: part[name].mean() for name in ("chance", "brightest")}
    return {"images": len(part), "hits": hit.mean(), "ci95": written(ends), **plain}
