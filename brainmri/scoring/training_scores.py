"""What training chooses by: the Dice coefficient, and the epoch that is kept.

In a file of its own, so that what trains on it need not run again when another measure changes.
"""

from collections.abc import Sequence

import numpy as np

from brainmri.core.index import Kinds

# Of a classifier's `curves.csv`.
CURVES: Kinds = {"epoch": int, "loss": float, "accuracy": float, "val_loss": float, "val_accuracy": float}


def kept_epoch(val_loss: Sequence[float]) -> int:
    """Return the place, from 0, of the epoch whose weights are kept: the lowest validation loss, the first of equals.

    Parameters
    ----------
    val_loss : sequence of float, shape (E,)
        Cross-entropy on the validation images, an entry an epoch.
    """
    return int(np.argmin(val_loss))


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
