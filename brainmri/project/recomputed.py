"""Whether the metrics in git are those of the rows in git: what the report would write of the files beside them."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainmri.core.errors import ArtifactError, ParamsError
from brainmri.core.files import read_json
from brainmri.core.index import read_table
from brainmri.core.missing import read_lock
from brainmri.core.params import check_section
from brainmri.reporting import summary
from brainmri.scoring import assessment, calibration, training_scores
from brainmri.scoring.curves import POINTS, curve_tables
from brainmri.scoring.predictions_table import Answers, read_answers, read_predictions
from brainmri.scoring.probabilities import class_names
from brainmri.scoring.records import Classify

METRICS, ROWS, CURVES = "metrics/classify.json", "plots/predictions.csv", "plots/curves.csv"
SUMMARY = "metrics/summary.json"
OPTIONAL = (*assessment.PARTS, "patients")  # of classify.json, where there are such images
TOLERANCE = 1e-6  # of the value; the rows have ten digits, and another processor adds up in another order


def problems(root: Path) -> list[str]:
    """Return a sentence for each file in which the metrics or curves are not those of the files beside it.

    Recomputed are scores (of patients too), intervals, abstention, calibration and the points of the curves, from
    `plots/predictions.csv` and `plots/curves.csv`; and the headline numbers, from the other metrics. What needs more
    than these rows (pointing, segmentation, probes) is not.
    """
    run = read_lock(root / "dvc.lock").get("evaluate")
    missing = [name for name in (METRICS, SUMMARY, ROWS, CURVES) if not (root / name).exists()]
    if missing or run is None:
        return [f"{name}: no such file; run `dvc repro`" for name in missing]
    try:
        used = run.get("params", {}).get("params.yaml", {})
        params = check_section(used, "evaluate", assessment.EvaluationParams, root / "dvc.lock")
        return _unlike_rows(root, params)
    except (ArtifactError, ParamsError) as error:
        return [f"metrics, plots: should hold what the report stage wrote, received: {error}"]


def _unlike_rows(root: Path, used: assessment.EvaluationParams) -> list[str]:
    rows = read_predictions(root / ROWS)
    answers = read_answers(rows, class_names(rows))
    expected = {**scores(rows, answers, used.seed, used.bootstrap), "validation": validation(root / CURVES)}
    found = read_json(root / METRICS, Classify)
    wrong = [
        *unlike(expected, found),
        *(f"{part} should not be there" for part in OPTIONAL if part in {*found} - {*expected}),
    ]
    said = [f"{METRICS}: {wrong[0]}, by the rows of {ROWS} and {CURVES}; run `dvc repro report`"] if wrong else []
    return (said or _summary_problems(root)) + _curve_problems(root, answers)


def _summary_problems(root: Path) -> list[str]:
    metrics = {name: read_json(root / f"metrics/{name}.json", kind) for name, kind in summary.METRICS.items()}
    expected = summary.headline_numbers(metrics)
    found = read_json(root / SUMMARY, summary.Summary)
    wrong = [*unlike(expected, found), *(f"{name} should not be there" for name in found if name not in expected)]
    return [f"{SUMMARY}: {wrong[0]}, by the metrics beside it; run `dvc repro report`"] if wrong else []


def scores(rows: pd.DataFrame, answers: Answers, seed: int, resamples: int) -> dict[str, Any]:
    """Return what `metrics/classify.json` holds of a table of predictions, as the evaluate stage computes it."""
    given = ~rows["abstained"].to_numpy(bool)
    patients = assessment.patients(answers, rows["patient"].to_numpy(str), seed, resamples)
    return {
        **assessment.assess(answers, assessment.part_rows(rows), given, seed, resamples),
        **({"patients": patients} if patients else {}),
        "calibration": {"after": calibration.quality(answers.true, answers.probabilities)},
    }


def validation(curves: Path) -> dict[str, float]:
    """Return the epoch that was kept and its scores, as the report stage takes them from the curves."""
    table = read_table(curves, training_scores.CURVES)
    kept = table.iloc[training_scores.kept_epoch(table["val_loss"])]
    return {"epoch": int(kept["epoch"]), "loss": kept["val_loss"], "accuracy": kept["val_accuracy"]}


def unlike(expected: Any, found: Any, name: str = "") -> Iterator[str]:
    """Yield a clause for each value of `expected` that `found` has not; what `found` has beside is not looked at."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            inside = found.get(key) if isinstance(found, dict) else None
            yield from unlike(value, inside, f"{name}.{key}" if name else str(key))
    elif not _same(expected, found):
        yield f"{name} should be {expected}, received {found}"


def _same(expected: Any, found: Any) -> bool:
    if isinstance(expected, float | np.floating) and not math.isfinite(expected):
        return found is None  # as JSON has it
    if isinstance(found, int | float) and not isinstance(found, bool):
        return math.isclose(expected, found, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(expected == found)


def _curve_problems(root: Path, answers: Answers) -> list[str]:
    made = curve_tables(answers, answers.probabilities)
    found = []
    for name, table in made.items():
        path = f"plots/{name}.csv"
        written = read_table(root / path, POINTS[name])
        if "when" in table:  # the rows hold the probabilities after calibration alone
            table, written = (one[one["when"] == "after"] for one in (table, written))
        if not _same_table(table, written):
            found.append(f"{path}: should be drawn from the rows of {ROWS}, received another; run `dvc repro report`")
    return found


def _same_table(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    if list(a.columns) != list(b.columns) or len(a) != len(b):
        return False
    numbers = [name for name in a.columns if pd.api.types.is_numeric_dtype(a[name])]
    text = [name for name in a.columns if name not in numbers]
    close = np.allclose(a[numbers].to_numpy(float), b[numbers].to_numpy(float), TOLERANCE, TOLERANCE, equal_nan=True)
    return close and bool((a[text].to_numpy(str) == b[text].to_numpy(str)).all())
