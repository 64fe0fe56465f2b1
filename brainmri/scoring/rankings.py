"""How well scores put images of a class before others: areas, and the points of the curves that are drawn of them."""

from collections.abc import Callable

import numpy as np

from brainmri.scoring.probabilities import ratio

# Whether each image is of the class (N,) and how likely it is said to be (N,), to the x and y of a curve.
Points = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def ranking_scores(true: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return `auc` (ROC, one class against the rest) and `average_precision`, each (R, K).

    `true` is (N,), `probabilities` (N, K), `weights` (R, N): see `scores.weighted`. NaN where a class has no image, and
    for the AUC where it has them all.
    """
    areas, precisions = [], []
    for k in range(probabilities.shape[1]):
        hits, false_alarms = _passing(true == k, probabilities[:, k], weights)
        new_hits = np.diff(hits, axis=1, prepend=0)
        new_false_alarms = np.diff(false_alarms, axis=1, prepend=0)
        # Trapezoids: half of a tie counts as ranked right, as in the Mann-Whitney statistic.
        under = (new_false_alarms * (hits - new_hits / 2)).sum(1)
        areas.append(ratio(under, hits[:, -1] * false_alarms[:, -1]))
        precision = ratio(hits, hits + false_alarms, otherwise=0)
        precisions.append(ratio((new_hits * precision).sum(1), hits[:, -1]))
    return {"auc": np.stack(areas, 1), "average_precision": np.stack(precisions, 1)}


def roc_points(positive: np.ndarray, score: np.ndarray, limit: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rates, each `(M,)` with M at most `limit`, from (0, 0) to (1, 1).

    `positive` is `(N,)` bool, `score` `(N,)`, higher meaning more likely positive. Empty arrays if `positive` is all
    true or all false: there is no curve to draw.
    """
    hits, false_alarms = _passing(positive, score, np.ones((1, len(score))))
    if not hits[0, -1] or not false_alarms[0, -1]:
        return np.empty(0), np.empty(0)
    return thinned(_from(0, false_alarms[0] / false_alarms[0, -1]), _from(0, hits[0] / hits[0, -1]), limit)


def pr_points(positive: np.ndarray, score: np.ndarray, limit: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Return recall and precision, each `(M,)` with M at most `limit`, from recall 0 (precision 1 by convention) to 1.

    Arguments as for `roc_points`. Empty arrays if `positive` is all false.
    """
    hits, false_alarms = _passing(positive, score, np.ones((1, len(score))))
    if not hits[0, -1]:
        return np.empty(0), np.empty(0)
    return thinned(_from(0, hits[0] / hits[0, -1]), _from(1, hits[0] / (hits[0] + false_alarms[0])), limit)


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


def _passing(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of positives and of negatives at or above each distinct score, falling: two `(R, T)`."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.diff(score[order], append=-np.inf))
    ranked = weights[:, order]
    hits = np.cumsum(ranked * positive[order], axis=1)[:, ends]
    return hits, np.cumsum(ranked, axis=1)[:, ends] - hits


def _from(start: float, values: np.ndarray) -> np.ndarray:
    return np.concatenate([[start], values])
