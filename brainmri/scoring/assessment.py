"""What a table of predictions says of a classifier: on all images and on those unlike any in training, and how surely.

The table is read once, by `predictions_table.read_answers`; its parts are boolean rows of those numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from brainmri.core.params import Section, Seed
from brainmri.scoring import calibration, intervals, scores
from brainmri.scoring.predictions_table import Answers
from brainmri.scoring.probabilities import ratio

FEW_IMAGES = 30  # with fewer of a class its figures are shown with their interval, but claim nothing
COVERAGES = (0.8, 0.9, 0.95, 1.0)
# The parts of a test set that are scored and what they are called; each holds those after it.
PARTS = {"whole": "whole test set", "twin_free": "twin-free", "neighbour_free": "neighbour-free"}


class EvaluationParams(Section):
    """Section `evaluate` of `params.yaml`; here, without Keras, so that params are checked in a moment."""

    seed: Seed
    bootstrap: Annotated[int, Field(ge=100, le=100_000)]
    saliency: Annotated[int, Field(ge=0, le=100_000)]


def part_rows(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the rows, (N,) bool, of the parts that are scored: `whole`, `twin_free` and `neighbour_free`.

    Neighbour-free images have neither a twin in training nor an image that looks like a neighbouring slice. A part
    without images is left out.
    """
    seen, near = table["training_twin"].to_numpy(bool), table["training_neighbour"].to_numpy(bool)
    found = {"whole": np.ones(len(table), bool), "twin_free": ~seen, "neighbour_free": ~seen & ~near}
    return {name: rows for name, rows in found.items() if rows.any()}


def parts(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the tables of the parts, see `part_rows`."""
    return {name: table[rows] for name, rows in part_rows(table).items()}


def assess(
    answers: Answers, rows: Mapping[str, np.ndarray], given: np.ndarray, seed: int, resamples: int
) -> dict[str, Any]:
    """Score a test set, all that its table of predictions tells.

    Parameters
    ----------
    answers : Answers
        Of N images.
    rows : mapping
        `part_rows` of the table.
    given : ndarray, shape (N,), bool
        Which images are answered, not abstained from.
    seed, resamples : int
        Of the intervals.

    Returns
    -------
    dict
        `scored` of each part under its name, `bounds` of each under `ci95`, and `abstention`.
    """
    chosen = {name: answers.part(part) for name, part in rows.items()}
    return {
        **{name: scored(part) for name, part in chosen.items()},
        "ci95": {name: bounds(part, seed, resamples) for name, part in chosen.items()},
        "abstention": abstention(answers, given, seed, resamples),
    }


def scored(answers: Answers) -> dict[str, Any]:
    """Return `scores.classification`, with `ece`, `units`, and for each class whether it bears a `claim`."""
    true, probabilities = answers.true, answers.probabilities
    result = scores.classification(true, probabilities, answers.classes)
    for found in result["classes"].values():
        found["claim"] = found["support"] >= FEW_IMAGES
    ece = calibration.reliability(true, probabilities)["ece"]
    return {**result, "ece": ece, "units": len(np.unique(answers.units))}


def bounds(answers: Answers, seed: int, resamples: int) -> dict[str, Any]:
    """Return the 95 % interval of each score, nested as `scored` has them; whole units are resampled."""
    true, probabilities, classes = answers.true, answers.probabilities, answers.classes
    found = intervals.bootstrap(
        answers.units,
        lambda weights: scores.weighted(true, probabilities, classes, weights),
        np.random.default_rng(seed),
        resamples,
        scores.trials(true, probabilities, classes, answers.units),
    )
    return written(found)


def patients(answers: Answers, patient: np.ndarray, seed: int, resamples: int) -> dict[str, Any]:
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
    labels = pd.Series(answers.true[patient != ""]).groupby(patient[patient != ""]).nunique()
    kept = np.isin(patient, labels.index[labels == 1])
    if not kept.any():
        return {}
    pooled = _pooled(answers.part(kept), patient[kept])
    found, ends = (
        scores.classification(pooled.true, pooled.probabilities, pooled.classes),
        bounds(pooled, seed, resamples),
    )
    return {
        "patients": len(pooled.true),
        "images": int(kept.sum()),
        "mixed": int((labels > 1).sum()),
        "accuracy": found["accuracy"],
        "macro": {"f1": found["macro"]["f1"]},
        "ci95": {"accuracy": ends["accuracy"], "macro": {"f1": ends["macro"]["f1"]}},
    }


def _pooled(answers: Answers, patient: np.ndarray) -> Answers:
    """Return one answer a patient, in the order of their names: the mean over its images, which share a label."""
    first = np.unique(patient, return_index=True)[1]
    means = pd.DataFrame(answers.probabilities).groupby(patient).mean().to_numpy()
    return replace(answers, true=answers.true[first], probabilities=means, units=answers.units[first])


def abstention(answers: Answers, given: np.ndarray, seed: int, resamples: int) -> dict[str, Any]:
    """Score the answers that are given, where the classifier may abstain.

    Parameters
    ----------
    given : ndarray, shape (N,), bool
        Which images are answered.

    Returns
    -------
    dict
        `coverage`, the share of images answered; `accuracy` of these (NaN if there are none); `ci95` of both; and
        `risk`: the share of wrong answers when the most confident 80, 90, 95 and 100 % of the images are answered.
    """
    true, units = answers.true, answers.units
    right = answers.probabilities.argmax(axis=1) == true

    def statistic(weights: np.ndarray) -> Mapping[str, np.ndarray]:
        answered = weights @ given
        return {"coverage": answered / weights.sum(axis=1), "accuracy": ratio(weights @ (given & right), answered)}

    trials = {
        "coverage": (len(np.unique(units)), len(np.unique(units[~given]))),
        "accuracy": (len(np.unique(units[given])), len(np.unique(units[given & ~right]))),
    }
    found = intervals.bootstrap(units, statistic, np.random.default_rng(seed), resamples, trials)
    point = statistic(np.ones((1, len(true))))
    coverage, risk, _ = calibration.coverage_risk(true, answers.probabilities)
    at = np.searchsorted(coverage, np.array(COVERAGES) - 1e-9)  # the first point that answers at least so many
    risks = {f"at_{100 * share:.0f}": risk[place] for share, place in zip(COVERAGES, at, strict=True)}
    return {**{name: float(values[0]) for name, values in point.items()}, "ci95": written(found), "risk": risks}


def repeats(runs: Sequence[Answers], rows: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Compare the classifiers of several seeds by their answers to the same images.

    Parameters
    ----------
    runs : sequence of Answers
        One a seed.
    rows : mapping
        `part_rows` of the table of the images.

    Returns
    -------
    dict
        `seeds`, their number, and for each part `runs` (named 0, 1, ...), their `mean` and `sd` (n - 1) of `accuracy`,
        `ece`, `macro.f1` and `classes.<name>.f1`. The spread is that of training alone: the images are the same.
    """
    result: dict[str, Any] = {"seeds": len(runs)}
    for name, part in rows.items():
        result[name] = spread([_headline(scored(answers.part(part))) for answers in runs])
    return result


def spread(runs: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Return `runs` (named 0, 1, ...) of the same scores, their `mean` and `sd` (n - 1), each nested at its dots."""
    found = pd.DataFrame(runs)
    return {
        "runs": {str(at): scores.nested(dict(row)) for at, row in enumerate(found.to_dict("records"))},
        "mean": scores.nested(found.mean().to_dict()),
        "sd": scores.nested(found.std(ddof=1).to_dict()),
    }


def _headline(found: Mapping[str, Any]) -> dict[str, float]:
    by_class = {f"classes.{name}.f1": own["f1"] for name, own in found["classes"].items()}
    return {"accuracy": found["accuracy"], "ece": found["ece"], "macro.f1": found["macro"]["f1"], **by_class}


def written(found: Mapping[str, intervals.Interval]) -> dict[str, Any]:
    """Return intervals as they are written: nested, and without the count of dropped resamples where there are none."""
    plain = {
        key: {name: value for name, value in ends.items() if name != "dropped" or value} for key, ends in found.items()
    }
    return scores.nested(plain)
