"""How good a table of class probabilities is, in numbers.

What is undefined is decided here, once:

- A class that no image has (support 0) has no precision, recall, F1 or average precision: NaN, written as null, and
  left out of the averages. This is scikit-learn's result for `labels=` the classes that occur.
- A class that occurs but is never predicted has precision and F1 of 0 (scikit-learn's `zero_division=0`).
- A ROC AUC needs images of the class and of others, a specificity images of others; without them it is NaN.
- Rows are weighted, so that one function serves the score (each weight 1) and its bootstrap (`intervals.bootstrap`,
  weights counting how often a row was drawn). A macro average is NaN on a resample that lost one of its classes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from brainmri.scoring.probabilities import ratio, require_probabilities, surprise

RANKINGS = ("auc", "average_precision")  # need no threshold
METRICS = ("precision", "recall", "f1", "specificity", *RANKINGS)


def classification(true: np.ndarray, probabilities: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Score predicted probabilities against the true classes.

    Parameters
    ----------
    true
        `(N,)` integers, positions in `names`.
    probabilities
        `(N, K)` floats in [0, 1], one row an image, each summing to 1; the largest is the prediction.
    names
        The K class names.

    Returns
    -------
    dict
        `images` (N), `accuracy`, `loss` (mean cross-entropy in nats, probabilities below 1e-7 counted as 1e-7);
        `macro` and `weighted` (by support), each with `precision`, `recall`, `f1`, `specificity`, `auc` (ROC, one class
        against the rest) and `average_precision`; `classes`, with the same and `support` for each name.

    Raises
    ------
    ArtifactError
        If the arrays do not fit each other, are empty, or hold something other than probabilities.
    """
    flat = weighted(true, probabilities, names, np.ones((1, len(true))))
    result = nested({key: float(values[0]) for key, values in flat.items()})
    for name, support in zip(names, np.bincount(true, minlength=len(names)), strict=True):
        result["classes"][name]["support"] = int(support)
    return {**result, "images": len(true)}


def weighted(
    true: np.ndarray, probabilities: np.ndarray, names: Sequence[str], weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Return each score of `classification` for each of R rows of image weights.

    `weights` is `(R, N)`, at least 0; each result is `(R,)`, under keys such as `accuracy`, `macro.f1` and
    `classes.glioma.recall`, which `nested` unfolds.
    """
    require_probabilities(true, probabilities, names)
    tables = _confusions(true, probabilities.argmax(1), len(names), weights)
    total = weights.sum(1)
    result = {
        "accuracy": ratio(np.trace(tables, axis1=1, axis2=2), total),
        "loss": ratio(weights @ surprise(true, probabilities), total),
    }
    scores = _threshold_scores(tables) | _ranking_scores(true, probabilities, weights)
    occurs = np.bincount(true, minlength=len(names)) > 0
    support = tables.sum(2)
    for metric, values in scores.items():  # (R, K)
        result[f"macro.{metric}"] = values[:, occurs].mean(1)
        result[f"weighted.{metric}"] = np.where(support > 0, values * support, 0).sum(1) / total
        result |= {f"classes.{name}.{metric}": values[:, k] for k, name in enumerate(names)}
    return result


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Unfold keys such as `classes.glioma.f1` into nested dictionaries; class names may hold dots themselves."""
    result: dict[str, Any] = {}
    for key, value in flat.items():
        head, *middle = key.split(".")
        place, last = result, head
        if middle:
            place, last = result.setdefault(head, {}), middle.pop()
        if middle:
            place = place.setdefault(".".join(middle), {})
        place[last] = value
    return result


def trials(
    true: np.ndarray, probabilities: np.ndarray, names: Sequence[str], groups: np.ndarray
) -> dict[str, tuple[int, int]]:
    """Return, for each score that is a share, how many groups bear on it and how many of those hold a mistake.

    `intervals.bootstrap` needs them where mistakes are too few to resample. `groups` is `(N,)`. A macro average over K
    classes counts as K times its rarest class with the mistakes of its best: of all that could have shown no mistake by
    luck, the lowest average has its mistakes in the rarest class. By the same argument the smaller side bounds a ROC
    AUC or average precision of exactly 1; where those are below 1, and for the loss, nothing is returned.
    """
    predicted = probabilities.argmax(1)
    wrong = predicted != true
    everything = np.ones(len(true), bool)
    result = {"accuracy": _count(everything, wrong, groups)}
    for metric in METRICS:
        mistaken = wrong & (metric not in RANKINGS)
        parts = {
            # Of the images of other classes, only those called k are mistakes of k's specificity.
            f"classes.{names[k]}.{metric}": _count(
                rows, mistaken & (predicted == k) if metric == "specificity" else mistaken, groups
            )
            for k in np.unique(true)
            if (rows := _bearing(metric, true == k, predicted == k, probabilities[:, k])) is not None
        }
        if len(parts) == len(np.unique(true)):
            sizes, mistakes = zip(*parts.values(), strict=True)
            result[f"macro.{metric}"] = (len(parts) * min(sizes), min(mistakes))
            result[f"weighted.{metric}"] = _count(everything, mistaken, groups)
        result |= parts
    return result


def confusion(true: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Return the `(classes, classes)` counts of images: rows are the true class, columns the predicted one."""
    table: np.ndarray = _confusions(true, predicted, classes, np.ones((1, len(true))))[0]
    return table.astype(int)


def _confusions(true: np.ndarray, predicted: np.ndarray, classes: int, weights: np.ndarray) -> np.ndarray:
    cells = np.eye(classes * classes)[true * classes + predicted]  # (N, K * K), so one product serves all R
    tables: np.ndarray = (weights @ cells).reshape(-1, classes, classes)
    return tables


def _threshold_scores(tables: np.ndarray) -> dict[str, np.ndarray]:
    hits = np.diagonal(tables, axis1=1, axis2=2)  # (R, K), like all below
    support, predicted = tables.sum(2), tables.sum(1)
    others = tables.sum((1, 2))[:, None] - support
    return {
        "precision": np.where(support > 0, ratio(hits, predicted, otherwise=0), np.nan),
        "recall": ratio(hits, support),
        "f1": np.where(support > 0, ratio(2 * hits, support + predicted), np.nan),
        "specificity": ratio(others - (predicted - hits), others),
    }


def _ranking_scores(true: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return `auc` (ROC, one class against the rest) and `average_precision`, each (R, K).

    `true` is (N,), `probabilities` (N, K), `weights` (R, N): see `weighted`. NaN where a class has no image, and
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


def _passing(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of positives and of negatives at or above each distinct score, falling: two `(R, T)`."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.diff(score[order], append=-np.inf))
    ranked = weights[:, order]
    hits = np.cumsum(ranked * positive[order], axis=1)[:, ends]
    return hits, np.cumsum(ranked, axis=1)[:, ends] - hits


def _bearing(metric: str, is_true: np.ndarray, is_predicted: np.ndarray, score: np.ndarray) -> np.ndarray | None:
    """Return the `(N,)` rows on which a class's score rests; None for a ranking that is not perfect."""
    if metric in RANKINGS:
        if is_true.all() or score[is_true].min() <= score[~is_true].max():
            return None
        return is_true if 2 * np.count_nonzero(is_true) <= len(is_true) else ~is_true
    rows: dict[str, np.ndarray] = {
        "precision": is_predicted,
        "recall": is_true,
        "f1": is_true | is_predicted,
        "specificity": ~is_true,
    }
    return rows[metric]


def _count(members: np.ndarray, wrong: np.ndarray, groups: np.ndarray) -> tuple[int, int]:
    return len(np.unique(groups[members])), len(np.unique(groups[members & wrong]))
