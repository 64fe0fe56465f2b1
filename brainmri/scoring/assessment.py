"""What a table of predictions says of a classifier: on all images and on those unlike any in training, and how surely.

The table is `predictions.csv` of the evaluate stage: one row an image, with its label, its unit, whether a twin or a
neighbour of it stands in training, and the probability `p_<class>` of each class.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from brainmri.scoring import calibration, intervals, scores
from brainmri.scoring.probabilities import ratio

FEW_IMAGES = 30  # with fewer of a class its figures are shown with their interval, but claim nothing
COVERAGES = (0.8, 0.9, 0.95, 1.0)
# The parts of a test set that are scored and what they are called; each holds those after it.
PARTS = {"whole": "whole test set", "twin_free": "twin-free", "neighbour_free": "neighbour-free"}


def parts(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the parts that are scored: `whole`, `twin_free` and `neighbour_free`; an empty one is left out.

    Neighbour-free images have neither a twin in training nor an image that looks like a neighbouring slice.
    """
    seen, near = table["training_twin"].to_numpy(bool), table["training_neighbour"].to_numpy(bool)
    found = {"whole": table, "twin_free": table[~seen], "neighbour_free": table[~seen & ~near]}
    return {name: part for name, part in found.items() if len(part)}


def true_and_probabilities(table: pd.DataFrame, classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return class numbers (N,) and probabilities (N, K) of the rows of the table."""
    true = np.array([classes.index(label) for label in table["label"]], int)
    return true, table[[f"p_{name}" for name in classes]].to_numpy(float)


def scored(table: pd.DataFrame, classes: Sequence[str]) -> dict[str, Any]:
    """Return `scores.classification` of the rows, with `ece`, and for each class whether it bears a `claim`."""
    true, probabilities = true_and_probabilities(table, classes)
    result = scores.classification(true, probabilities, classes)
    for found in result["classes"].values():
        found["claim"] = found["support"] >= FEW_IMAGES
    return {**result, "ece": calibration.reliability(true, probabilities)["ece"], "units": table["unit"].nunique()}


def bounds(table: pd.DataFrame, classes: Sequence[str], seed: int, resamples: int) -> dict[str, Any]:
    """Return the 95 % interval of each score of the rows, nested as `scored` has them; whole units are resampled."""
    true, probabilities = true_and_probabilities(table, classes)
    units = table["unit"].to_numpy()
    found = intervals.bootstrap(
        units,
        lambda weights: scores.weighted(true, probabilities, classes, weights),
        np.random.default_rng(seed),
        resamples,
        scores.trials(true, probabilities, classes, units),
    )
    return written(found)


def patients(
    table: pd.DataFrame, patient: np.ndarray, classes: Sequence[str], seed: int, resamples: int
) -> dict[str, Any]:
    """Score patients instead of images: the class with the highest mean probability over a patient's images.

    The mean of probabilities, not of their logarithms: slices of one patient are no independent witnesses, and in the
    mean of logarithms a single slice that is sure and wrong (often one that misses the tumour) outvotes all others.

    Parameters
    ----------
    patient : ndarray, shape (N,), str
        Empty where it is not known; such images are left out.

    Returns
    -------
    dict
        `patients`, their `images`, `mixed` (patients left out because their images bear several labels), `accuracy`,
        `macro.f1` and `ci95` of both. Empty if no patient is known.
    """
    known = table.assign(patient=patient)[patient != ""]
    labels = known.groupby("patient")["label"].nunique()
    kept = known[known["patient"].isin(labels.index[labels == 1])]
    if kept.empty:
        return {}
    columns = [f"p_{name}" for name in classes]
    pooled = kept.groupby("patient").agg({"label": "first", "unit": "first", **dict.fromkeys(columns, "mean")})
    true, probabilities = true_and_probabilities(pooled, classes)
    found, ends = scores.classification(true, probabilities, classes), bounds(pooled, classes, seed, resamples)
    return {
        "patients": len(pooled),
        "images": len(kept),
        "mixed": int((labels > 1).sum()),
        "accuracy": found["accuracy"],
        "macro": {"f1": found["macro"]["f1"]},
        "ci95": {"accuracy": ends["accuracy"], "macro": {"f1": ends["macro"]["f1"]}},
    }


def abstention(
    true: np.ndarray, probabilities: np.ndarray, given: np.ndarray, units: np.ndarray, seed: int, resamples: int
) -> dict[str, Any]:
    """Score the answers that are given, where the classifier may abstain.

    Parameters
    ----------
    true, probabilities
        `(N,)` and `(N, K)`.
    given : ndarray, shape (N,), bool
        Which images are answered.

    Returns
    -------
    dict
        `coverage`, the share of images answered; `accuracy` of these (NaN if there are none); `ci95` of both; and
        `risk`: the share of wrong answers when the most confident 80, 90, 95 and 100 % of the images are answered.
    """
    right = probabilities.argmax(axis=1) == true

    def statistic(weights: np.ndarray) -> Mapping[str, np.ndarray]:
        answered = weights @ given
        return {"coverage": answered / weights.sum(axis=1), "accuracy": ratio(weights @ (given & right), answered)}

    trials = {
        "coverage": (len(np.unique(units)), len(np.unique(units[~given]))),
        "accuracy": (len(np.unique(units[given])), len(np.unique(units[given & ~right]))),
    }
    found = intervals.bootstrap(units, statistic, np.random.default_rng(seed), resamples, trials)
    point = statistic(np.ones((1, len(true))))
    coverage, risk, _ = calibration.coverage_risk(true, probabilities)
    at = np.searchsorted(coverage, np.array(COVERAGES) - 1e-9)  # the first point that answers at least so many
    risks = {f"at_{100 * share:.0f}": risk[place] for share, place in zip(COVERAGES, at, strict=True)}
    return {**{name: float(values[0]) for name, values in point.items()}, "ci95": written(found), "risk": risks}


def repeats(tables: Sequence[pd.DataFrame], classes: Sequence[str]) -> dict[str, Any]:
    """Compare the classifiers of several seeds, each with its own table of predictions of the same images.

    Returns
    -------
    dict
        `seeds`, their number, and for each part `runs` (named 0, 1, ...), their `mean` and `sd` (n - 1) of `accuracy`,
        `ece`, `macro.f1` and `classes.<name>.f1`. The spread is that of training alone: the images are the same.
    """
    result: dict[str, Any] = {"seeds": len(tables)}
    for name in parts(tables[0]):
        runs = pd.DataFrame([_headline(scored(parts(table)[name], classes)) for table in tables])
        result[name] = {
            "runs": {str(at): scores.nested(dict(row)) for at, row in enumerate(runs.to_dict("records"))},
            "mean": scores.nested(runs.mean().to_dict()),
            "sd": scores.nested(runs.std(ddof=1).to_dict()),
        }
    return result


def _headline(found: Mapping[str, Any]) -> dict[str, float]:
    by_class = {f"classes.{name}.f1": own["f1"] for name, own in found["classes"].items()}
    return {"accuracy": found["accuracy"], "ece": found["ece"], "macro.f1": found["macro"]["f1"], **by_class}


def written(found: Mapping[str, intervals.Interval]) -> dict[str, Any]:
    """Return intervals as they are written: nested, and without the count of dropped resamples where there are none."""
    plain = {
        key: {name: value for name, value in ends.items() if name != "dropped" or value} for key, ends in found.items()
    }
    return scores.nested(plain)
