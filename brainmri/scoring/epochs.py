"""Which epoch of a training is kept."""

from collections.abc import Sequence

import numpy as np


def kept_epoch(val_loss: Sequence[float]) -> int:
    """Return the place, from 0, of the epoch whose weights are kept: the lowest validation loss, the first of equals.

    Parameters
    ----------
    val_loss : sequence of float, shape (E,)
        Cross-entropy on the validation images, an entry an epoch.
    """
    return int(np.argmin(val_loss))
