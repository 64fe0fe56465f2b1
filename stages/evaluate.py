"""Evaluate: score the classifier on the test images, once; no choice is made here.

Reads `models/classifier` and `data/processed/test`. Writes `data/evaluation`: `scores.json` (with 95 % intervals),
`predictions.csv` (a row of probabilities per image), the points of the ROC, precision-recall and reliability curves,
and `gallery.png` with right and wrong predictions.
"""

import argparse
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from brainmri import galleries, intervals, scores
from brainmri.errors import InputError, exit_on_error
from brainmri.files import new_directory, write_json, write_table
from brainmri.index import read_split
from brainmri.params import Section, Seed, load
from brainmri.predict import class_probabilities, load_classifier, require_same_images


class Params(Section):
    """Section `evaluate`."""

    seed: Seed
    bootstrap: Annotated[int, Field(ge=100, le=100_000)]


def run(params: Params, model: Path, test: Path, out: Path) -> None:
    """Score the classifier in folder `model` on the labelled images of folder `test`; write to `out`."""
    classifier = load_classifier(model)
    require_same_images(classifier, test)
    split = read_split(test)
    rows = np.flatnonzero(split.index["label"] != "")
    if not len(rows):
        raise InputError(f"evaluate: {test} should hold labelled images, received none; name a set with classes")
    # Ten digits hold all that float32 tells, so that the scores can be had again from the table alone.
    probabilities = class_probabilities(classifier, split.images[rows]).astype(float).round(10)
    table = predictions(split.index.iloc[rows], probabilities, classifier.classes)
    print(f"evaluate: {len(table)} test images, accuracy {(table['label'] == table['predicted']).mean():.4f}")
    with new_directory(out) as folder:
        write_table(folder / "predictions.csv", table)
        write_json(folder / "scores.json", all_scores(table, classifier.classes, params))
        write_curves(folder, table, classifier.classes)
        draw_gallery(folder / "gallery.png", split.images, rows, table, np.random.default_rng(params.seed))


def predictions(index: pd.DataFrame, probabilities: np.ndarray, classes: list[str]) -> pd.DataFrame:
    """Return one row an image: who it is, its label, the predicted class and the probability of each class."""
    table = index[["image_id", "label", "unit", "group", "training_twin"]].reset_index(drop=True)
    table.insert(2, "predicted", [classes[at] for at in probabilities.argmax(axis=1)])
    return table.assign(**{f"p_{name}": probabilities[:, at] for at, name in enumerate(classes)})


def all_scores(table: pd.DataFrame, classes: list[str], params: Params) -> dict[str, Any]:
    """Score the whole test set, and the images without a twin in training alone."""
    result: dict[str, Any] = {"ci95": {}}
    for name, part in (("whole", table), ("twin_free", table[~table["training_twin"]])):
        if part.empty:
            continue
        true, probabilities = true_and_probabilities(part, classes)
        units = part["unit"].to_numpy()
        found = intervals.bootstrap(
            units,
            lambda weights, t=true, p=probabilities: scores.weighted(t, p, classes, weights),  # type: ignore[misc]
            np.random.default_rng(params.seed),
            params.bootstrap,
            scores.trials(true, probabilities, classes, units),
        )
        result[name] = scores.classification(true, probabilities, classes)
        result[name]["ece"] = scores.reliability(true, probabilities)["ece"]
        result[name]["units"] = len(np.unique(units))
        result["ci95"][name] = scores.nested({key: interval(bounds) for key, bounds in found.items()})
    return result


def interval(bounds: intervals.Interval) -> dict[str, float]:
    """Return an interval as it is written: without the count of dropped resamples where there were none."""
    return {name: value for name, value in bounds.items() if name != "dropped" or value}  # type: ignore[misc]


def true_and_probabilities(table: pd.DataFrame, classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return class numbers (N,) and probabilities (N, K) of the rows of `predictions`."""
    true = np.array([classes.index(label) for label in table["label"]])
    return true, table[[f"p_{name}" for name in classes]].to_numpy()


def write_curves(folder: Path, table: pd.DataFrame, classes: list[str]) -> None:
    """Write the points of the curves that the report draws, one table each."""
    true, probabilities = true_and_probabilities(table, classes)
    for name, points, columns in (
        ("roc", scores.roc_points, ("false_positive_rate", "true_positive_rate")),
        ("precision_recall", scores.pr_points, ("recall", "precision")),
    ):
        parts = []
        for at, label in enumerate(classes):
            x, y = points(true == at, probabilities[:, at])
            parts.append(pd.DataFrame({"label": label, columns[0]: x, columns[1]: y}))
        write_table(folder / f"{name}.csv", pd.concat(parts))
    bins = scores.reliability(true, probabilities)
    write_table(folder / "reliability.csv", pd.DataFrame({key: v for key, v in bins.items() if key != "ece"}))


def draw_gallery(
    path: Path, images: np.ndarray, rows: np.ndarray, table: pd.DataFrame, rng: np.random.Generator
) -> None:
    """Draw up to 16 wrong predictions, the most confident first, then 16 right ones at random."""
    confidence = table.filter(like="p_").max(axis=1)
    wrong = table.index[table["label"] != table["predicted"]]
    wrong = confidence[wrong].sort_values(ascending=False, kind="stable").index[:16]
    right = table.index[table["label"] == table["predicted"]].to_numpy()
    right = np.sort(rng.choice(right, min(16, len(right)), replace=False))
    shown = [*wrong, *right]
    captions = [f"{table.at[at, 'label']}\n→ {table.at[at, 'predicted']} {confidence[at]:.2f}" for at in shown]
    title = f"Test images: label → prediction. First {len(wrong)} wrong, most confident first, then {len(right)} right"
    galleries.grid(path, [images[rows[at], ..., 0] for at in shown], captions, title, 8)


def main() -> None:
    """Read the command line and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder that train wrote")
    parser.add_argument("test", type=Path, help="test folder that preprocess wrote")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    run(load(args.params, "evaluate", Params), args.model, args.test, args.out)


if __name__ == "__main__":
    exit_on_error(main)
