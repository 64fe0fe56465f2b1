"""How two sets of answers to the same images differ: paired intervals over units, and McNemar's test.

Each resample of units scores both, so that what is easy or hard for both cancels. A difference is always B - A.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import binomtest

from brainmri.scoring import calibration, intervals, scores
from brainmri.scoring.predictions_table import Answers, read_answers
from brainmri.scoring.probabilities import class_names


@dataclass(frozen=True)
class Pairs:
    """The rows that two tables share, in the order of their ids, and the ids that only one has."""

    a: pd.DataFrame  # (N rows)
    b: pd.DataFrame  # (N rows), of the same images
    only_a: list[str]
    only_b: list[str]


def pair(a: pd.DataFrame, b: pd.DataFrame) -> Pairs:
    """Pair the rows of two tables by `image_id`, which is unique in each."""
    a, b = a.set_index("image_id", drop=False), b.set_index("image_id", drop=False)
    shared = sorted(set(a.index) & set(b.index))
    only_a, only_b = sorted(set(a.index) - set(shared)), sorted(set(b.index) - set(shared))
    return Pairs(a.loc[shared], b.loc[shared], only_a, only_b)


def joint_units(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return `(N,)` integers: images that either revision keeps together, `(N,)` units each, share one.

    Units are numbered anew whenever the data change, so equal numbers of two revisions mean nothing.
    """
    (names_a, at_a), (names_b, at_b) = (np.unique(units, return_inverse=True) for units in (a, b))
    nodes = len(names_a) + len(names_b)
    edges = coo_array((np.ones(len(a)), (at_a, len(names_a) + at_b)), shape=(nodes, nodes))
    component: np.ndarray = connected_components(edges, directed=False)[1]
    return component[at_a]


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> dict[str, float]:
    """Test whether A and B, right or wrong on the same images, `(N,)` bool each, are right equally often.

    Returns
    -------
    dict
        `only_a_right`, `only_b_right`: images; `p`: exact, two-sided; 1 where no image tells the two apart. It takes
        each image for independent of the others; where units hold several, p comes out too small.

    References
    ----------
    McNemar 1947, doi:10.1007/BF02295996.
    """
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    p = binomtest(only_b, only_a + only_b).pvalue if only_a + only_b else 1.0
    return {"only_a_right": only_a, "only_b_right": only_b, "p": float(p)}


def classification(a: pd.DataFrame, b: pd.DataFrame, seed: int, repeats: int) -> dict[str, Any]:
    """Compare two tables of predictions of the same images with the same labels, in the same order.

    Returns
    -------
    dict
        `images`, `units`, `same` (whether every probability is equal), `mcnemar`, and `scores`: for accuracy, loss,
        ECE, macro F1, and F1 and recall of each class that occurs, `a`, `b`, `difference`, and the `low` and `high` of
        its 95 % interval (None where there is none).
    """
    units = joint_units(a["unit"].to_numpy(), b["unit"].to_numpy())
    models = [read_answers(table, class_names(table)) for table in (a, b)]
    names = [name for name in dict.fromkeys([*class_names(a), *class_names(b)]) if (a["label"] == name).any()]

    def both(weights: np.ndarray) -> list[dict[str, np.ndarray]]:
        return [_scores(model, names, weights) for model in models]

    def difference(weights: np.ndarray) -> dict[str, np.ndarray]:
        of_a, of_b = both(weights)
        return {key: of_b[key] - of_a[key] for key in of_a}

    found = intervals.bootstrap(units, difference, np.random.default_rng(seed), repeats)
    ones = [{key: float(value[0]) for key, value in part.items()} for part in both(np.ones((1, len(a))))]
    first, second = models
    same = first.classes == second.classes and np.array_equal(first.probabilities, second.probabilities)
    answers = [table[name].to_numpy() for table, name in ((a, "label"), (a, "predicted"), (b, "predicted"))]
    # One and the same model: zero is what the difference is, and not what a small sample happens to show.
    few = {} if same else disagreements(answers[0], answers[1], answers[2], names, units)
    rows = {key: _row(ones[0][key], ones[1][key], found[key], few.get(key)) for key in found}
    right = [(table["label"] == table["predicted"]).to_numpy() for table in (a, b)]
    return {"images": len(a), "units": len(np.unique(units)), "same": same, "mcnemar": mcnemar(*right), "scores": rows}


def masked_pair(a: pd.DataFrame, b: pd.DataFrame) -> Pairs:
    """Pair the images with a tumour in the truth of both that both have scored, of two tables of one method."""
    return pair(*(table[(table["truth_px"] > 0) & table["dice"].notna()] for table in (a, b)))


def dice(a: pd.DataFrame, b: pd.DataFrame, seed: int, repeats: int) -> dict[str, Any]:
    """Compare the mean Dice of two tables of one method: `images`, `units` and what `classification` gives a score.

    Counted are the images of `masked_pair`.
    """
    pairs = masked_pair(a, b)
    if pairs.a.empty:
        return {"images": 0, "units": 0, **_row(np.nan, np.nan, intervals.Interval(low=np.nan, high=np.nan, dropped=0))}
    units = joint_units(pairs.a["unit"].to_numpy(), pairs.b["unit"].to_numpy())
    change = (pairs.b["dice"] - pairs.a["dice"]).to_numpy()

    def mean(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"dice": weights @ change / weights.sum(1)}

    found = intervals.bootstrap(units, mean, np.random.default_rng(seed), repeats)["dice"]
    row = _row(float(pairs.a["dice"].mean()), float(pairs.b["dice"].mean()), found)
    return {"images": len(change), "units": len(np.unique(units)), **row}


def disagreements(
    true: np.ndarray, first: np.ndarray, second: np.ndarray, names: Sequence[str], units: np.ndarray
) -> dict[str, tuple[int, int, int]]:
    """Return, for each score that is a share, how many units bear on it, and in how many B did worse, and better.

    Arrays are `(N,)`: label, class predicted by A and by B, unit. As in `scores.trials`, a macro average over K classes
    counts as K times its rarest class: an unseen change does most to it there.
    """
    result = {"accuracy": _counted(np.ones(len(true), bool), first == true, second == true, units)}
    for name in names:
        is_a, is_b, truth = first == name, second == name, true == name
        result[f"classes.{name}.recall"] = _counted(truth, is_a, is_b, units)
        result[f"classes.{name}.f1"] = _counted(truth | is_a | is_b, is_a == truth, is_b == truth, units)
    size = len(names) * min(result[f"classes.{name}.f1"][0] for name in names)
    return result | {"macro.f1": (size, *result["accuracy"][1:])}


def joined(interval: intervals.Interval, difference: float, size: int, worse: int, better: int) -> intervals.Interval:
    """Widen the interval of a difference where fewer than 5 of `size` units tell A and B apart.

    Resampling cannot show a change that the sample lacks: without any it gives [0, 0], however few the units. The
    shares of units that got worse and better each get Wilson's interval, and their difference gets the one that
    Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I, makes of two such intervals.
    """
    if worse + better >= intervals.FEW_MISTAKES or np.isnan(interval["low"]) or size == 0:
        return interval
    fell, rose = (binomtest(n, size).proportion_ci(method="wilson") for n in (worse, better))
    low = difference - np.hypot(better / size - rose.low, fell.high - worse / size)
    high = difference + np.hypot(rose.high - better / size, worse / size - fell.low)
    low, high = max(-1.0, min(interval["low"], low)), min(1.0, max(interval["high"], high))
    return intervals.Interval(low=float(low), high=float(high), dropped=interval["dropped"])


def _scores(answers: Answers, names: Sequence[str], weights: np.ndarray) -> dict[str, np.ndarray]:
    every = scores.weighted(answers.true, answers.probabilities, answers.classes, weights)
    # A resample's ECE is on average above that of its sample, for A and B alike; most of it cancels in the difference.
    every["ece"] = calibration.ece(answers.true, answers.probabilities, weights)
    by_class = [f"classes.{name}.{key}" for name in names for key in ("f1", "recall")]
    return {key: every[key] for key in ("accuracy", "macro.f1", "loss", "ece", *by_class)}


def _counted(bearing: np.ndarray, right_a: np.ndarray, right_b: np.ndarray, units: np.ndarray) -> tuple[int, int, int]:
    worse, better = bearing & right_a & ~right_b, bearing & right_b & ~right_a
    size, fell, rose = (len(np.unique(units[rows])) for rows in (bearing, worse, better))
    return size, fell, rose


def _row(
    a: float, b: float, interval: intervals.Interval, few: tuple[int, int, int] | None = None
) -> dict[str, float | None]:
    bounds = joined(interval, b - a, *few) if few else interval
    values = {"a": a, "b": b, "difference": b - a, "low": bounds["low"], "high": bounds["high"]}
    return {name: float(value) if np.isfinite(value) else None for name, value in values.items()}
