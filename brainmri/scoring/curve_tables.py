"""The points of the curves that are drawn of a classifier's answers, one table a curve."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from brainmri.scoring import calibration, rankings


def curve_tables(
    true: np.ndarray, raw: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """Return the tables of a test set's curves.

    Parameters
    ----------
    true : ndarray, shape (N,), int
    raw, probabilities : ndarray, shape (N, K)
        Before and after calibration.

    Returns
    -------
    dict
        `roc` (label, false_positive_rate, true_positive_rate), `precision_recall` (label, recall, precision),
        `reliability` (when: before or after; see `calibration.reliability`) and `coverage_risk` (coverage, risk).
    """
    coverage, risk, _ = calibration.coverage_risk(true, probabilities)
    coverage, risk = rankings.thinned(coverage, risk, limit=200)
    return {
        "roc": _by_class(
            rankings.roc_points, true, probabilities, classes, "false_positive_rate", "true_positive_rate"
        ),
        "precision_recall": _by_class(rankings.pr_points, true, probabilities, classes, "recall", "precision"),
        "reliability": pd.concat([_bins("before", true, raw), _bins("after", true, probabilities)]),
        "coverage_risk": pd.DataFrame({"coverage": coverage, "risk": risk}),
    }


def _by_class(
    points: rankings.Points, true: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], x: str, y: str
) -> pd.DataFrame:
    drawn = [points(true == at, probabilities[:, at]) for at in range(len(classes))]
    return pd.concat([pd.DataFrame({"label": label, x: a, y: b}) for label, (a, b) in zip(classes, drawn, strict=True)])


def _bins(when: str, true: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    found = calibration.reliability(true, probabilities)
    return pd.DataFrame({"when": when, **{name: values for name, values in found.items() if name != "ece"}})
