"""Probe: score classifiers that cannot know what a tumour is, to see what the set gives away.

Reads `data/processed/{train,val,test}`; no TensorFlow. Writes `data/probes`: `scores.json` (a nearest neighbour on
thumbnails and a model of metadata, with 95 % intervals and what they mean) and `predictions.csv`.
"""

import argparse
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from brainmri.core.errors import InputError, exit_on_error
from brainmri.core.files import new_directory, read_record, write_json, write_table
from brainmri.core.index import read_split
from brainmri.core.params import Section, Seed, load
from brainmri.models import probes
from brainmri.preprocessing.duplicates import of_windows, thumbnail
from brainmri.preprocessing.image_params import MadeWith
from brainmri.scoring import assessment, intervals, scores
from brainmri.scoring.predictions_table import Answers, class_numbers

SHOWN = {"accuracy": "accuracy", "macro.f1": "macro_f1", "macro.recall": "macro_recall"}  # of `scores.weighted`
AT_ONCE = 64  # images in memory
NAMES = {"nearest_neighbour": "Nearest neighbour on thumbnails", "metadata": "Metadata alone"}


class Params(Section):
    """Section `probe`."""

    seed: Seed
    bootstrap: Annotated[int, Field(ge=100, le=100_000)]
    iterations: Annotated[int, Field(ge=1, le=1000)]


def run(params: Params, train: Path, val: Path, test: Path, out: Path) -> None:
    """Fit the probes on folder `train`, score them on folder `test`, write to `out`; `val` tells what gives it away."""
    classes = read_record(train / "preprocess.json", MadeWith).classes
    tables, thumbnails, figures = {}, {}, {}
    for name, folder in (("train", train), ("val", val), ("test", test)):
        tables[name], thumbnails[name], figures[name], groups = labelled(folder)
    fitted, tested = tables["train"], tables["test"]
    true = {name: class_numbers(rows["label"], classes) for name, rows in tables.items()}
    row, similarity = probes.nearest(thumbnails["train"], thumbnails["test"])
    table, seen, unseen = (figures[name] for name in ("train", "val", "test"))
    every = [column for columns in groups.values() for column in columns]
    model = probes.MetadataProbe(every, params.iterations, params.seed).fit(table, true["train"])
    found = {
        "nearest_neighbour": np.eye(len(classes))[true["train"][row]],
        "metadata": model.probabilities(unseen, len(classes)),
    }
    validation = {
        "accuracy": float((model.probabilities(seen, len(classes)).argmax(1) == true["val"]).mean()),
        "groups": probes.by_group((table, true["train"]), (seen, true["val"]), groups, params.iterations, params.seed),
    }
    result = all_scores(found, true["test"], tested, classes, validation, params)
    predictions = tested[["image_id", "label", "unit", "group", "training_twin", "training_neighbour"]].assign(
        nearest_image_id=fitted["image_id"].to_numpy()[row],
        nearest_similarity=similarity.astype(float).round(6),
        **{f"predicted_{name}": [classes[at] for at in answers.argmax(1)] for name, answers in found.items()},
    )
    with new_directory(out) as folder:
        write_json(folder / "scores.json", result)
        write_table(folder / "predictions.csv", predictions)
    print(result["reading"])


def labelled(folder: Path) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame, dict[str, list[str]]]:
    """Return of the labelled rows of a split the table, the thumbnails, and what `probes.features` gives.

    The images, which may be larger than memory, are read in pieces.
    """
    split = read_split(folder)
    rows = np.flatnonzero(split.index["label"] != "")
    if not len(rows):
        raise InputError(f"probe: {folder} should hold labelled images, received none; name a set with classes")
    table = split.index.iloc[rows].reset_index(drop=True)
    thumbnails, figures = [], []
    for at in range(0, len(rows), AT_ONCE):
        images = split.images[rows[at : at + AT_ONCE]]
        thumbnails.append(of_windows(images, thumbnail))
        found, groups = probes.features(table.iloc[at : at + AT_ONCE], images)
        figures.append(found)
    return table, np.concatenate(thumbnails), pd.concat(figures), groups


def all_scores(
    found: dict[str, np.ndarray],
    true: np.ndarray,
    table: pd.DataFrame,
    classes: list[str],
    validation: dict[str, Any],
    params: Params,
) -> dict[str, Any]:
    """Score each probe on the whole test set, on its twin-free and on its neighbour-free images."""
    units, parts = table["unit"].to_numpy(), assessment.part_rows(table)
    strongest = max(validation["groups"], key=lambda name: validation["groups"][name]["alone"])
    result: dict[str, Any] = {}
    for name, probabilities in found.items():
        answers = Answers(true, probabilities, classes, units)
        scored = {part: part_scores(answers.part(rows), params) for part, rows in parts.items()}
        by = strongest if name == "metadata" else ""
        said = probes.reading(NAMES[name], scored["whole"], scored.get("twin_free"), by)
        result[name] = {**scored, "reading": said}
    result["metadata"]["validation"] = validation
    return {**result, "reading": " ".join(result[name]["reading"] for name in found)}


def part_scores(answers: Answers, params: Params) -> dict[str, Any]:
    """Return a probe's scores with 95 % intervals, beside what chance and the commonest class give."""
    true, probabilities, classes, units = answers.true, answers.probabilities, answers.classes, answers.units

    def shown(weights: np.ndarray) -> dict[str, np.ndarray]:
        every = scores.weighted(true, probabilities, classes, weights)
        return {name: every[key] for key, name in SHOWN.items()}

    trials = scores.trials(true, probabilities, classes, units)
    found = intervals.bootstrap(
        units,
        shown,
        np.random.default_rng(params.seed),
        params.bootstrap,
        {name: trials[key] for key, name in SHOWN.items() if key in trials},
    )
    support = np.bincount(true)
    return {
        **{name: float(values[0]) for name, values in shown(np.ones((1, len(true)))).items()},
        "ci95": {name: {"low": bounds["low"], "high": bounds["high"]} for name, bounds in found.items()},
        "chance": 1 / np.count_nonzero(support),
        "commonest_class": classes[int(support.argmax())],
        "commonest_share": float(support.max() / len(true)),
        "images": len(true),
        "units": len(np.unique(units)),
    }


def main() -> None:
    """Read the command line and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("train", "val", "test"):
        parser.add_argument(name, type=Path, help=f"{name} folder that preprocess wrote")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    run(load(args.params, "probe", Params), args.train, args.val, args.test, args.out)


if __name__ == "__main__":
    exit_on_error(main)
