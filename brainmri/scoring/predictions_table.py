"""The table of predictions as numbers: read once, here, and handed to all that scores it.

The table is `predictions.csv` of the evaluate stage: one row an image, with its label, its unit, the predicted class,
and the probability `p_<class>` of each class.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from brainmri.core.errors import ArtifactError, shown
from brainmri.core.index import Kinds, read_table
from brainmri.core.missing import damaged
from brainmri.scoring import scores
from brainmri.scoring.probabilities import class_names

COLUMNS: Kinds = {  # and behind them a column of probabilities for each class
    "image_id": str,
    "label": str,
    "predicted": str,
    "patient": str,
    "unit": int,
    "group": int,
    **dict.fromkeys(("training_twin", "training_neighbour", "abstained"), bool),
}
CASES = 3  # wrong answers that a report begins with, and as many right ones


@dataclass(frozen=True)
class Answers:
    """What a classifier says of N images, beside the truth."""

    true: np.ndarray  # (N,) int, positions in `classes`
    probabilities: np.ndarray  # (N, K), rows sum to 1
    classes: Sequence[str]  # K names
    units: np.ndarray  # (N,), of any type that sorts: the images of a unit are resampled together

    def part(self, rows: np.ndarray) -> "Answers":
        """Return the answers to the images that `rows`, (N,) bool, chooses."""
        return replace(self, true=self.true[rows], probabilities=self.probabilities[rows], units=self.units[rows])


def read_predictions(path: Path) -> pd.DataFrame:
    """Return the table of predictions in a file.

    Raises
    ------
    ArtifactError
        If it is missing or not as it was written, or has labels, answers or probabilities that cannot be.
    """
    table = read_table(path, COLUMNS)
    classes = class_names(table)
    for name in ("label", "predicted"):
        if len(odd := table[name][~table[name].isin(classes)]):
            raise damaged(path, f"{name} should be one of {shown(classes)}, received {shown(odd.iloc[0])}")
    chances = table[[f"p_{name}" for name in classes]].to_numpy(float)
    # As for `probabilities.require_probabilities`.
    if len(chances) and not (abs(chances.sum(axis=1) - 1).max() <= 1e-3 and chances.min() >= 0):
        raise damaged(path, "the probabilities of each row should be at least 0 and sum to 1, received others")
    return table


def read_answers(table: pd.DataFrame, classes: Sequence[str]) -> Answers:
    """Return the rows of a table of predictions as numbers; `classes` are those that it has probabilities of.

    Raises
    ------
    ArtifactError
        If a label is none of the classes.
    """
    probabilities = table[[f"p_{name}" for name in classes]].to_numpy(float)
    return Answers(class_numbers(table["label"], classes), probabilities, classes, table["unit"].to_numpy())


def class_numbers(labels: pd.Series, classes: Sequence[str]) -> np.ndarray:
    """Return the position (N,) in `classes` of each of N labels.

    Raises
    ------
    ArtifactError
        If a label is none of the classes.
    """
    numbers: np.ndarray = pd.Index(list(classes), dtype=object).get_indexer(labels.astype(object))
    if (numbers < 0).any():
        raise ArtifactError(
            f"labels: should each be one of {', '.join(classes)}, received {labels[numbers < 0].iloc[0]!r}; "
            "give every image that is scored one of the model's classes"
        )
    return numbers


def confusion(table: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """Return the (K, K) counts of images: rows are the true class, columns the predicted one."""
    true, predicted = (class_numbers(table[name], classes) for name in ("label", "predicted"))
    return scores.confusion(true, predicted, len(classes))


def cases(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the rows to begin with: three wrong answers, surest first, then three right ones, least sure first.

    The right ones are the one of the lowest, of the middle and of the highest confidence. Nothing is drawn at random,
    so that the picture of the cases and the table of them, made by two stages, show the same.

    Parameters
    ----------
    predictions : DataFrame
        `predictions.csv` of the evaluate stage.

    Returns
    -------
    DataFrame
        The rows of the table, fewer where there are fewer, with their index, and `confidence`: the probability in
        [0, 1] of the answer.
    """
    table = predictions.assign(confidence=predictions.filter(regex="^p_").max(axis=1))
    right = table["label"] == table["predicted"]
    wrong = table[~right].sort_values("confidence", ascending=False, kind="stable").head(CASES)
    sure = table[right].sort_values("confidence", kind="stable")
    spread = np.linspace(0, max(0, len(sure) - 1), min(CASES, len(sure))).astype(int)
    return pd.concat([wrong, sure.iloc[spread]])
