"""The cases that a report begins with: a few answers that were wrong, and a few that were right."""

import numpy as np
import pandas as pd

CASES = 3  # wrong ones, and as many right ones


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
