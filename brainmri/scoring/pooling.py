"""Cross-validation: the answers and outlines of every fold as one out-of-fold table each, and what they say.

The tables are `predictions.csv` of the evaluate stage and `rows.csv` of the segment stage, one a fold: each image is
answered for, and outlined, by networks that have learnt from nobody of its fold.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from brainmri.core.errors import InputError
from brainmri.scoring import assessment
from brainmri.scoring.mask_scores import by_kind, summarise
from brainmri.scoring.predictions_table import Answers, read_answers
from brainmri.scoring.probabilities import class_names

NEEDED = ("image_id", "label", "predicted", "patient", "unit")


def pool(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all folds as one table, with `fold`, counted from 0, in front.

    Parameters
    ----------
    tables : sequence of DataFrame
        One a fold, with the columns `NEEDED` and `p_<class>`; `patient` is empty where it is not known. `unit` is what
        was kept together, and the same number means the same unit in all of them, as in folds of one draw.

    Raises
    ------
    InputError
        If a column is missing, the classes differ, or an image, a patient or a unit is in the test part of two folds.
    """
    for table in tables:
        lacking = sorted(set(NEEDED) - set(table.columns))
        if lacking:
            raise InputError(
                f"pool: predictions should have the columns {list(NEEDED)}, received none called {lacking}; run "
                "`dvc repro` with this version"
            )
    classes = [class_names(table) for table in tables]
    if any(names != classes[0] for names in classes):
        raise InputError(f"pool: folds should be of the same classes, received {classes}; pool runs of one set")
    pooled = pd.concat([table.assign(fold=at) for at, table in enumerate(tables)], ignore_index=True)
    _require_apart(pooled)
    return pooled[["fold", *(name for name in pooled if name != "fold")]]


def _require_apart(pooled: pd.DataFrame) -> None:
    twice = pooled["image_id"][pooled["image_id"].duplicated()]
    if len(twice):
        raise InputError(
            f"pool: each image should be tested in one fold, received {len(twice)} again, such as {twice.iloc[0]}; "
            "give each fold once"
        )
    _require_one_fold(pooled, "patient")
    _require_one_fold(pooled, "unit")


def _require_one_fold(pooled: pd.DataFrame, column: str) -> None:
    rows = pooled[pooled[column].astype(str) != ""]
    shared = rows.groupby(column)["fold"].nunique() > 1
    if shared.any():
        raise InputError(
            f"pool: each {column} should be tested in one fold, received {shared.sum()} in several, such as "
            f"{column} {shared.idxmax()}; pool the folds of one draw"
        )


def score(pooled: pd.DataFrame, seed: int, resamples: int) -> dict[str, Any]:
    """Score an out-of-fold table as the evaluate stage scores a test set, and tell the spread from fold to fold.

    Returns
    -------
    dict
        `folds`, their number; `whole` as in `assessment.scored`, and under `ci95` its `bounds`, by resampling units,
        which are patients where they are known; `patients` as in `assessment.patients`, where any is known;
        `test_patients`: `known`, and the `images_without` a known one; and `by_fold`: `runs`, their `mean` and `sd`
        (n - 1) of accuracy, ECE and macro F1. The mean weighs folds alike, `whole` weighs images alike. `abstention`,
        as in `assessment.abstention`, where the table has `abstained`: each fold by its own threshold.
    """
    answers, patient = read_answers(pooled, class_names(pooled)), pooled["patient"].to_numpy(str)
    found: dict[str, Any] = {
        "folds": pooled["fold"].nunique(),
        "whole": assessment.scored(answers),
        "ci95": {"whole": assessment.bounds(answers, seed, resamples)},
        "test_patients": {"known": len(set(patient) - {""}), "images_without": int((patient == "").sum())},
        "by_fold": _by_fold(answers, pooled["fold"].to_numpy()),
    }
    if by_patient := assessment.patients(answers, patient, seed, resamples):
        found["patients"] = by_patient
    if "abstained" in pooled:
        given = pooled["abstained"].astype(str).to_numpy() != "True"  # a text where it was read from a file
        found["abstention"] = assessment.abstention(answers, given, seed, resamples)
    return found


def _by_fold(answers: Answers, fold: np.ndarray) -> dict[str, Any]:
    each = [assessment.scored(answers.part(fold == number)) for number in np.unique(fold)]
    found = assessment.spread(
        [{"accuracy": own["accuracy"], "ece": own["ece"], "macro.f1": own["macro"]["f1"]} for own in each]
    )
    for run, own in zip(found["runs"].values(), each, strict=True):
        run |= {"images": own["images"], "units": own["units"]}
    return found


def pool_outlines(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all folds' outlines as one table, with `fold`, counted from 0, in front.

    Parameters
    ----------
    tables : sequence of DataFrame
        One a fold, rows of `mask_scores.score_rows` with `method`; `unit` as in `pool`.

    Raises
    ------
    InputError
        If a unit is in the test part of two folds.
    """
    pooled = pd.concat([table.assign(fold=at) for at, table in enumerate(tables)], ignore_index=True)
    _require_one_fold(pooled, "unit")
    return pooled[["fold", *(name for name in pooled if name != "fold")]]


def score_outlines(pooled: pd.DataFrame, size_bounds_px: Sequence[int], seed: int, resamples: int) -> dict[str, Any]:
    """Score out-of-fold outlines as the segment stage scores those of a test set, without the classifier's gate.

    Returns
    -------
    dict
        By method `mask_scores.summarise` and `by_kind`, `native` likewise, and `by_fold`, the mean Dice: `runs`, one a
        fold that has a tumour in truth, their `mean` and `sd` (n - 1).
    """
    return {
        str(method): {
            **summarise(table, seed, resamples),
            **by_kind(table, size_bounds_px, seed, resamples),
            "native": summarise(table, seed, resamples, prefix="native_"),
            "by_fold": _dice_by_fold(table),
        }
        for method, table in pooled.groupby("method")
    }


def _dice_by_fold(table: pd.DataFrame) -> dict[str, Any]:
    means = table[table["truth_px"] > 0].groupby("fold")["dice"].mean()
    return {
        "runs": {str(fold): {"dice": mean} for fold, mean in means.items()},
        "mean": {"dice": means.mean()},
        "sd": {"dice": means.std(ddof=1)},
    }


def pool_probe(folds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the accuracy of a probe on all folds: `accuracy` of each weighed by its `images`, and their sum."""
    images = np.array([own["images"] for own in folds])
    accuracy = np.array([own["accuracy"] for own in folds]) @ images / images.sum()
    return {"accuracy": float(accuracy), "images": int(images.sum())}
