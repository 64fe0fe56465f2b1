"""Evaluate: score the classifier on the test images and on the external sets, once; no choice is made here.

Reads `models/classifier`, `data/processed/test` and `data/processed/external`. Writes `data/evaluation`: `scores.json`
(with 95 % intervals; see `assessment`), `predictions.csv` (a row of calibrated probabilities per image), `pointing.csv`
(a row per image with a tumour mask), the points of the ROC, precision-recall, reliability and coverage-risk curves,
`cases.png` with three wrong and three right answers, `gallery.png` with more of both, and `saliency.png` with where the
evidence lay. Where there are external sets with labels, `scores.json` has theirs under `external`, and `external.csv`
the predictions.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainmri.core.errors import InputError, exit_on_error
from brainmri.core.files import new_directory, write_json, write_table
from brainmri.core.index import Split, read_split
from brainmri.core.manifest import EXTERNAL, external_counts
from brainmri.core.params import load
from brainmri.models.classifier import Classifier, class_probabilities, load_repeats, looked_at
from brainmri.models.model_files import require_same_images
from brainmri.models.saliency import classifier_evidence
from brainmri.reporting import answer_galleries
from brainmri.scoring import assessment, calibration, pointing
from brainmri.scoring.curves import curve_tables
from brainmri.scoring.predictions_table import Answers, cases, class_numbers, read_answers

AT_ONCE = 256  # images in memory; whole batches, because the last bits of a product depend on those


class Params(assessment.EvaluationParams):
    """Section `evaluate`."""


def run(params: Params, model: Path, test: Path, external: Path, out: Path) -> None:
    """Score the classifier in folder `model` on the labelled images of `test` and of `external`; write to `out`."""
    first, *others = load_repeats(model)
    for folder in (test, external):
        require_same_images(folder, first.image_params, first.classes)
    split = read_split(test)
    rows = np.flatnonzero(split.index["label"] != "")
    if not len(rows):
        raise InputError(f"evaluate: {test} should hold labelled images, received none; name a set with classes")
    raw, unlike = look(first, split, rows)
    table = predictions(split.index.iloc[rows], calibration.with_temperature(raw, first.temperature), unlike, first)
    answers = read_answers(table, first.classes)
    print(f"evaluate: {len(table)} test images, accuracy {(table['label'] == table['predicted']).mean():.4f}")
    pointed = point(first, split, params)
    elsewhere = predict_external(first, external)
    with new_directory(out) as folder:
        found = all_scores(table, answers, raw, split.index["patient"].iloc[rows].to_numpy(), first, params)
        if others:
            found["repeats"] = assessment.repeats(
                [answers, *(predict(other, split, rows) for other in others)], assessment.part_rows(table)
            )
        if len(pointed):
            found["pointing"] = pointing.score(pointed, params.seed, params.bootstrap)
        if elsewhere:
            found["external"] = score_external(elsewhere, external_counts(external), first, params)
            write_table(folder / "external.csv", pd.concat([own.assign(set=name) for name, own in elsewhere.items()]))
        write_table(folder / "predictions.csv", table)
        write_table(folder / "pointing.csv", pointed)
        write_json(folder / "scores.json", found)
        for name, points in curve_tables(answers, raw).items():
            write_table(folder / f"{name}.csv", points)
        answer_galleries.draw_cases(folder / "cases.png", split, cases(table.assign(row=rows)))
        shown = answer_galleries.chosen(table, rows, np.random.default_rng(params.seed))
        answer_galleries.gallery(folder / "gallery.png", split, shown)
        table = answer_galleries.explained(shown, pointed)
        answer_galleries.evidence(folder / "saliency.png", split, table, evidence(first, split, table))


def look(classifier: Classifier, split: Split, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `looked_at`, (M, K) uncalibrated and (M,), of `rows` (M,) of a split, which may be larger than memory."""
    nothing = rows[:0]
    parts = [
        looked_at(classifier, split.images[part], split.index.iloc[part], calibrated=False)
        for part in (nothing, *pieces(rows))
    ]
    raw, unlike = (np.concatenate(one) for one in zip(*parts, strict=True))
    return raw, unlike


def pieces(rows: np.ndarray) -> list[np.ndarray]:
    """Return rows (M,) in pieces of so many that their images fit into memory, whole batches each."""
    return [rows[at : at + AT_ONCE] for at in range(0, len(rows), AT_ONCE)]


def predict(classifier: Classifier, split: Split, rows: np.ndarray) -> Answers:
    """Return the answers of a classifier, as its table of `predictions` would hold them."""
    return read_answers(predicted(classifier, split, rows), classifier.classes)


def predicted(classifier: Classifier, split: Split, rows: np.ndarray) -> pd.DataFrame:
    """Return the table of `predictions` of `rows` (M,) of a split."""
    raw, unlike = look(classifier, split, rows)
    probabilities = calibration.with_temperature(raw, classifier.temperature)
    return predictions(split.index.iloc[rows], probabilities, unlike, classifier)


def predict_external(classifier: Classifier, folder: Path) -> dict[str, pd.DataFrame]:
    """Return of each external set with labels the table of `predictions` of the images whose class is known."""
    split = read_split(folder)
    known = split.index["label"].isin(classifier.classes).to_numpy(bool)
    of_set = split.index["set"].to_numpy(str)
    rows = {
        name: np.flatnonzero(known & (of_set == EXTERNAL + name))
        for name, counts in external_counts(folder).items()
        if counts["labelled"]
    }
    return {name: predicted(classifier, split, own) for name, own in rows.items()}


def score_external(
    tables: dict[str, pd.DataFrame], counts: dict[str, Any], classifier: Classifier, params: Params
) -> dict[str, Any]:
    """Return of each external set `counts`, `test_patients`, and where an image is left `scores`, `ci95`, `unlike`."""
    found: dict[str, Any] = {}
    for name, table in tables.items():
        patient = table["patient"]
        found[name] = {
            "counts": counts[name],
            "test_patients": {
                "known": len(set(patient) - {""}),
                "seen_in_training": counts[name]["patients_seen"],
                "images_without": int((patient == "").sum()),
            },
        }
        if table.empty:
            print(f"evaluate: external set {name}: nothing to score is left of {counts[name]['images']} images")
            continue
        answers = read_answers(table, classifier.classes)
        found[name] |= {
            "scores": assessment.scored(answers),
            "ci95": assessment.bounds(answers, params.seed, params.bootstrap),
            "unlike": called_unlike(table, classifier),
        }
        print(f"evaluate: external set {name}: {len(table)} images, accuracy {found[name]['scores']['accuracy']:.4f}")
    return found


def predictions(
    index: pd.DataFrame, probabilities: np.ndarray, unlike: np.ndarray, classifier: Classifier
) -> pd.DataFrame:
    """Return one row an image: who it is, its label, the predicted class, its probabilities, whether it is answered."""
    classes = classifier.classes
    columns = ["image_id", "label", "patient", "unit", "group", "training_twin", "training_neighbour"]
    table = index[columns].reset_index(drop=True)
    table.insert(2, "predicted", [classes[at] for at in probabilities.argmax(axis=1)])
    table["unlike"] = unlike.round(6)
    unsure = probabilities.max(axis=1) < classifier.abstain_below
    table["abstained"] = unsure | (table["unlike"] > classifier.unlike_above)
    # Ten digits hold all that float32 tells, so that the scores can be had again from the table alone.
    written = probabilities.astype(float).round(10)
    return table.assign(**{f"p_{name}": written[:, at] for at, name in enumerate(classes)})


def all_scores(
    table: pd.DataFrame,
    answers: Answers,
    raw: np.ndarray,
    patient: np.ndarray,
    classifier: Classifier,
    params: Params,
) -> dict[str, Any]:
    """Score the parts of the test set, its patients, the calibration and the abstention."""
    draws, given = (params.seed, params.bootstrap), ~table["abstained"].to_numpy(bool)
    found = assessment.assess(answers, assessment.part_rows(table), given, *draws)
    if pooled := assessment.patients(answers, patient, *draws):
        found["patients"] = pooled
    found["calibration"] = {
        "temperature": classifier.temperature,
        "abstain_below": classifier.abstain_below,
        "before": calibration.quality(answers.true, raw),
        "after": calibration.quality(answers.true, answers.probabilities),
    }
    found["unlike"] = called_unlike(table, classifier)
    return found


def called_unlike(table: pd.DataFrame, classifier: Classifier) -> dict[str, Any]:
    """Return how many images of a table of `predictions` are called unlike the training images, and above what."""
    unlike, above = table["unlike"].to_numpy(float), classifier.unlike_above
    return {"above": above, "images": len(table), "called": int(np.sum(unlike > above)), "median": np.median(unlike)}


def point(classifier: Classifier, split: Split, params: Params) -> pd.DataFrame:
    """Return one row an image with a tumour mask: the class looked for, whether its evidence peaks in the mask."""
    rows = pointing.candidates(split.index, split.masks, params.saliency, np.random.default_rng(params.seed))
    index = split.index.iloc[rows]
    parts = [point_piece(classifier, split, part) for part in pieces(rows)]
    found = pd.concat(parts, ignore_index=True) if parts else point_piece(classifier, split, rows)
    head = index["head_fraction"].to_numpy(float) * split.masks.shape[1] * split.masks.shape[2]
    area = found.pop("area").to_numpy()
    table = index[["image_id", "label", "unit", "training_twin"]].reset_index(drop=True).assign(row=rows)
    return pd.concat([table, found], axis=1).assign(chance=area / np.fmax(area, head))


def point_piece(classifier: Classifier, split: Split, rows: np.ndarray) -> pd.DataFrame:
    """Return of each of a few rows the class looked for, whether evidence and brightness hit, and the tumour's area."""
    index, images = split.index.iloc[rows], split.images[rows]
    masks = split.masks[index["mask_row"].to_numpy()]
    wanted = pointing.likeliest_tumour(class_probabilities(classifier, images, index), classifier.classes)
    return pd.DataFrame(
        {
            "looked_for": [classifier.classes[at] for at in wanted],
            "hit": pointing.hits(classifier_evidence(classifier, images, index, wanted), masks),
            "brightest": pointing.hits(pointing.brightness(images), masks),
            "area": masks.sum(axis=(1, 2), dtype=float),
        }
    )


def evidence(classifier: Classifier, split: Split, table: pd.DataFrame) -> np.ndarray:
    """Return where the classifier sees evidence for the class `looked_for`, (N, S, S), in each `row` of the split."""
    rows = table["row"].to_numpy()
    wanted = class_numbers(table["looked_for"], classifier.classes)
    return classifier_evidence(classifier, split.images[rows], split.index.iloc[rows], wanted)


def main() -> None:
    """Read the command line and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder that train wrote")
    parser.add_argument("test", type=Path, help="test folder that preprocess wrote")
    parser.add_argument("external", type=Path, help="folder of external sets that preprocess wrote")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    run(load(args.params, "evaluate", Params), args.model, args.test, args.external, args.out)


if __name__ == "__main__":
    exit_on_error(main)
