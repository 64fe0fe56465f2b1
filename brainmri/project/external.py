"""Score a trained classifier on a set from elsewhere: made as its own images were, without those it was trained on."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainmri.core.errors import InputError
from brainmri.core.index import read_split
from brainmri.core.manifest import read_manifest
from brainmri.core.params import check
from brainmri.core.shards import read_images
from brainmri.models.classifier import Classifier, class_probabilities, load_classifier
from brainmri.preprocessing import leakage, splits
from brainmri.preprocessing.duplicates import of_windows, thumbnail
from brainmri.preprocessing.images import ImageParams
from brainmri.preprocessing.scans import Scans, read_scans
from brainmri.scoring import assessment
from brainmri.scoring.predictions_table import read_answers

COLUMNS = ("support", "precision", "recall", "f1", "auc")  # of the printed table


def score(
    model: Path, train: Path, raw: Path, scratch: Path, twin: float, neighbour: float, seed: int, resamples: int
) -> dict[str, Any]:
    """Return the scores of the classifier in folder `model` on the labelled images that fetch stored in `raw`.

    Images with a twin among the training images of folder `train` are left out and counted, and so are images that
    cannot be read, have no label, or have one that the model does not know.

    Parameters
    ----------
    scratch : Path
        Folder for the arrays.
    twin, neighbour : float
        As in `leakage.find`; mirror images count. Groups of neighbours are resampled together where no patient is
        named.
    seed, resamples : int
        Of the 95 % intervals.

    Returns
    -------
    dict
        `classes`, those of the model; `counts`; `scores` as in `assessment.scored`, and `ci95` beside them.

    Raises
    ------
    InputError
        If no image is left to score.
    """
    classifier = load_classifier(model)
    manifest = read_manifest(raw)
    params = check(classifier.image_params, ImageParams, where=f"{model / 'preprocess.json'}: params")
    scans = read_scans(read_images(raw, manifest), len(manifest), params, scratch)
    table = marked(scans, train, twin, neighbour) if len(scans.table) else _no_rows(manifest)
    known = table["label"].isin(classifier.classes)
    scored = table[known & ~table["training_twin"]]
    counts = {
        "images": len(manifest),
        "unreadable": len(scans.bad),
        "unlabelled": int((table["label"] == "").sum()),
        "unknown_classes": leakage.counts(table["label"][~known & (table["label"] != "")]),
        "training_twins": leakage.counts(table["label"][known & table["training_twin"]]),
        "training_neighbours": leakage.counts(scored["label"][scored["training_neighbour"]]),  # they stay
        "scored": leakage.counts(scored["label"]),
    }
    if scored.empty:
        raise InputError(
            f"external: the set should hold images of the model's classes ({', '.join(classifier.classes)}) that are "
            f"no copies of its training images, received {counts}; bring others, or name classes as the model does"
        )
    answers = read_answers(predictions(classifier, scans, scored), classifier.classes)
    return {
        "classes": classifier.classes,
        "counts": counts,
        "scores": assessment.scored(answers),
        "ci95": assessment.bounds(answers, seed, resamples),
    }


def marked(scans: Scans, train: Path, twin: float, neighbour: float) -> pd.DataFrame:
    """Return the table of the scans with `unit`, `training_twin` and `training_neighbour`, seen from folder `train`.

    Of the training images the windows are stored, not the files: both sides are compared by their first window.
    """
    learnt = read_split(train)
    own = learnt.index.assign(split="train", sha256="of training " + learnt.index["image_id"])
    others = scans.table.assign(split="test")
    images = np.concatenate([learnt.images[..., :1], scans.images[: len(others), ..., :1]])
    both = pd.concat([own, others], ignore_index=True)
    found = leakage.find(both, of_windows(images, thumbnail), images, twin, neighbour, mirror=True)[0]
    table = leakage.mark(found).iloc[len(own) :].reset_index(drop=True)
    return table.assign(unit=splits.units(table))


def predictions(classifier: Classifier, scans: Scans, rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row an image: its label, its unit and the probability of each class."""
    found = class_probabilities(classifier, scans.images[rows.index.to_numpy()], rows)
    names = [f"p_{name}" for name in classifier.classes]
    answers = pd.DataFrame(found.astype(float).round(10), columns=names)
    return pd.concat([rows[["image_id", "label", "unit"]].reset_index(drop=True), answers], axis=1)


def as_table(result: dict[str, Any]) -> str:
    """Return the scores as text, a line each, with their intervals."""
    found, ends = result["scores"], result["ci95"]
    lines = [f"{name}: {value}" for name, value in result["counts"].items()]
    lines += [
        f"{name}: {value:.3f} ({bounds['low']:.3f} to {bounds['high']:.3f})"
        for name, value, bounds in (
            ("accuracy", found["accuracy"], ends["accuracy"]),
            ("macro F1", found["macro"]["f1"], ends["macro"]["f1"]),
        )
    ]
    rows = {name: [own[key] for key in COLUMNS] for name, own in found["classes"].items()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
    return "\n".join([*lines, table.to_string(float_format="{:.3f}".format)])


def _no_rows(manifest: pd.DataFrame) -> pd.DataFrame:
    return manifest.iloc[:0].assign(training_twin=False, training_neighbour=False)
