"""The Dice coefficient, in a file of its own: what trains on it need not run again when another measure changes."""

import numpy as np


def dice(truth: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the Dice coefficient [1]_ of N masks in [0, 1], (N,); NaN, not scored, where truth and mask are empty.

    Parameters
    ----------
    truth, masks : ndarray, shape (N, H, W) or (N, D, H, W), bool

    References
    ----------
    .. [1] Dice 1945, doi:10.2307/1932409.
    """
    axes = tuple(range(1, truth.ndim))
    sizes = (truth.sum(axis=axes) + masks.sum(axis=axes)).astype(float)
    sizes[sizes == 0] = np.nan
    scores: np.ndarray = 2 * (truth & masks).sum(axis=axes) / sizes
    return scores
