"""The points of the curves that are drawn of answers: ROC, precision-recall, reliability, coverage-risk."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from brainmri.core.index import MAYBE, Kinds
from brainmri.scoring import calibration
from brainmri.scoring.predictions_table import Answers

POINTS: dict[str, Kinds] = {  # what stands in the table of each curve
    "roc": {"label": str, "false_positive_rate": float, "true_positive_rate": float},
    "precision_recall": {"label": str, "recall": float, "precision": float},
    "reliability": {"when": str, "low": float, "high": float, "confidence": MAYBE, "accuracy": MAYBE, "count": int},
    "coverage_risk": {"coverage": float, "risk": float},
}
# Whether each image is of the class (N,) and how likely it is said to be (N,), to the x and y of a curve.
Points = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def curve_tables(answers: Answers, raw: np.ndarray) -> dict[str, pd.DataFrame]:
    """Return the tables of a test set's curves.

    Parameters
    ----------
    answers : Answers
        To N images, after calibration.
    raw : ndarray, shape (N, K)
        The probabilities before calibration.

    Returns
    -------
    dict
        `roc` (label, false_positive_rate, true_positive_rate), `precision_recall` (label, recall, precision),
        `reliability` (when: before or after; see `calibration.reliability`) and `coverage_risk` (coverage, risk).
    """
    true, probabilities = answers.true, answers.probabilities
    coverage, risk, _ = calibration.coverage_risk(true, probabilities)
    coverage, risk = thinned(coverage, risk, limit=200)
    return {
        "roc": _by_class(roc_points, answers, "false_positive_rate", "true_positive_rate"),
        "precision_recall": _by_class(pr_points, answers, "recall", "precision"),
        "reliability": pd.concat([_bins("before", true, raw), _bins("after", true, probabilities)]),
        "coverage_risk": pd.DataFrame({"coverage": coverage, "risk": risk}),
    }


def roc_points(positive: np.ndarray, score: np.ndarray, limit: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rates, each `(M,)` with M at most `limit`, from (0, 0) to (1, 1).

    `positive` is `(N,)` bool, `score` `(N,)`, higher meaning more likely positive. Empty arrays if `positive` is all
    true or all false: there is no curve to draw.
    """
    if positive.all() or not positive.any():
        return np.empty(0), np.empty(0)
    false_alarms, hits, _ = roc_curve(positive, score, drop_intermediate=False)  # `thinned` knows what can go
    return thinned(false_alarms, hits, limit)


def pr_points(positive: np.ndarray, score: np.ndarray, limit: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Return recall and precision, each `(M,)` with M at most `limit`, from recall 0 (precision 1 by convention) to 1.

    Arguments as for `roc_points`. Empty arrays if `positive` is all false.
    """
    if not positive.any():
        return np.empty(0), np.empty(0)
    precision, recall, _ = precision_recall_curve(positive, score)
    return thinned(recall[::-1], precision[::-1], limit)


def thinned(x: np.ndarray, y: np.ndarray, limit: int, tolerance: float = 1e-3) -> tuple[np.ndarray, np.ndarray]:
    """Keep the points of a curve that its shape needs: both ends, then always the one that is drawn most wrongly.

    Stops at `limit` points, or when no point is off by more than `tolerance` (a third of a pixel on a plot of 300 px).
    """
    along = np.cumsum(np.hypot(np.diff(x, prepend=x[0]), np.diff(y, prepend=y[0])))
    kept = [0, len(x) - 1]
    while len(kept) < limit:
        drawn_x, drawn_y = (np.interp(along, along[kept], values[kept]) for values in (x, y))
        error = np.maximum(abs(drawn_x - x), abs(drawn_y - y))
        if error.max() <= tolerance:
            break
        kept = sorted([*kept, int(error.argmax())])
    return x[kept], y[kept]


def _by_class(points: Points, answers: Answers, x: str, y: str) -> pd.DataFrame:
    tables = []
    for at, label in enumerate(answers.classes):
        across, up = points(answers.true == at, answers.probabilities[:, at])
        tables.append(pd.DataFrame({"label": label, x: across, y: up}))
    return pd.concat(tables)


def _bins(when: str, true: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    found = calibration.reliability(true, probabilities)
    return pd.DataFrame({"when": when, **{name: values for name, values in found.items() if name != "ece"}})
