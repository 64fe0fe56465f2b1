"""What every judge of class probabilities needs: the check of a table of them, the loss, a ratio that may be empty."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from brainmri.core.errors import ArtifactError

# Keras's floor (`keras.config.epsilon()`), so that the loss here is the one that training prints.
SMALLEST_PROBABILITY = 1e-7


def class_names(table: pd.DataFrame) -> list[str]:
    """Return the classes of a table of predictions, which has a column `p_<class>` for each, in their order."""
    return [name.removeprefix("p_") for name in table.columns if name.startswith("p_")]


def require_probabilities(true: np.ndarray, probabilities: np.ndarray, names: Sequence[str] | range) -> None:
    """Refuse class numbers (N,) and probabilities (N, K) that do not fit each other and the K `names`.

    Raises
    ------
    ArtifactError
        If the arrays do not fit each other, are empty, or hold something other than probabilities.
    """
    expected = (len(true), len(names))
    if not len(true) or probabilities.shape != expected:
        raise ArtifactError(
            f"probabilities: shape should be (images, classes) with at least one image, here {expected}, "
            f"received {probabilities.shape}; run the stage that predicts again"
        )
    if true.min() < 0 or true.max() >= len(names):
        raise ArtifactError(
            f"true classes: should be 0 to {len(names) - 1}, received {true.min()} to {true.max()}; "
            "give every image that is scored one of the model's classes"
        )
    # 1e-3 because 16-bit floats round a row's sum; NaN fails both comparisons.
    if not (abs(probabilities.sum(1, dtype=float) - 1).max() <= 1e-3 and probabilities.min() >= 0):
        raise ArtifactError(
            "probabilities: each row should hold numbers of at least 0 that sum to 1, received "
            f"sums from {probabilities.sum(1).min()} to {probabilities.sum(1).max()} and a smallest number of "
            f"{probabilities.min()}; train the model again"
        )


def surprise(true: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the cross-entropy of each image, (N,) nats; probabilities below 1e-7 count as 1e-7."""
    losses: np.ndarray = -np.log(
        np.clip(probabilities[np.arange(len(true)), true], SMALLEST_PROBABILITY, 1, dtype=float)
    )
    return losses


def ratio(part: np.ndarray, whole: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    """Return `part / whole`, and `otherwise` where `whole` is 0."""
    result: np.ndarray = np.divide(part, whole, out=np.full(np.shape(part), float(otherwise)), where=whole > 0)
    return result
