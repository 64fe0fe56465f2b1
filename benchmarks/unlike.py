"""Whether a classifier abstains from what it has not learnt: 300 pictures without a head, and CT slices.

Each picture goes the way that prediction goes. The table says of each kind how many are refused because no head is
seen, and of the others how many are unlike the training images by the classifier's own measure, how many have no class
that is likely enough, and how many are answered, which should not be. Beneath stand test images: all should be.

    python -m benchmarks.unlike --classifier models/classifier --processed data/processed --sartaj sartaj.zip

A classifier of before the measure gets it from the training and validation images of `--processed`, in memory.
"""

import argparse
import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from benchmarks import nonheads
from benchmarks.common import PARAMS, table
from brainmri.core.index import read_split
from brainmri.core.params import check
from brainmri.models.classifier import Classifier, load_classifier, looked_at, with_features
from brainmri.prediction.answer import prepared
from brainmri.prediction.inputs import Named, read_one
from brainmri.preprocessing.head import shows_head
from brainmri.preprocessing.image_params import ImageParams
from brainmri.sources import archives
from stages import train

# The CT slices among the no-tumour images of the Sartaj set, found by looking at all 500: bone is white. Of 57 files 21
# pictures are different ones.
CT = {
    "Testing/no_tumor/image({}).jpg": [
        *(1, 13, 14, 15, 16, 36, 38, 41, 43, 44, 45, 49, 51, 52, 53, 55, 56, 57, 58, 59, 60, 62, 67, 83, 84, 89, 90, 92)
    ],
    "Training/no_tumor/image ({}).jpg": [42, 54, 55, 56, 57],
    "Training/no_tumor/image({}).jpg": [
        *(11, 13, 16, 18, 19, 20, 24, 248, 26, 27, 28, 30, 31, 32, 33, 34, 35, 37, 42, 58, 59, 64, 65, 67)
    ],
}


class Seen(NamedTuple):
    """What becomes of N pictures."""

    headless: np.ndarray  # (N,) bool
    unlike: np.ndarray  # (N,)
    confidence: np.ndarray  # (N,)


def measured(classifier: Classifier, processed: Path) -> Classifier:
    """Return a classifier with the measure of how unlike images are, made of a set's training and validation images."""
    if classifier.likeness is not None:
        return classifier
    params = check(PARAMS["train"] | {"mirror": classifier.mirror}, train.Params, "train")
    of = (classifier.classes, classifier.columns, params)
    batches = train.validation_batches(read_split(processed / "train"), *of)
    checks = train.validation_batches(read_split(processed / "val"), *of)
    model = with_features(classifier.model)
    found, likeness = train.calibrated(model, batches, checks, params)
    print(f"measure made of {len(batches.rows)} training and {len(checks.rows)} validation images\n")
    return dataclasses.replace(classifier, unlike_above=found["unlike_above"], likeness=likeness, with_features=model)


def seen(classifier: Classifier, files: Iterable[Named]) -> Seen:
    """Return what becomes of the files of pictures."""
    params = check(classifier.image_params, ImageParams, "preprocess.json")
    made = [prepared(read_one(file), params) for file in files]
    facts = pd.concat([own for _, own in made], ignore_index=True)
    given, unlike = looked_at(classifier, np.concatenate([images for images, _ in made]), facts)
    return Seen(~shows_head(facts).to_numpy(bool), unlike, given.max(axis=1))


def seen_of_test(classifier: Classifier, processed: Path) -> Seen:
    """Return what becomes of a set's labelled test images."""
    split = read_split(processed / "test")
    rows = np.flatnonzero(split.index["label"] != "")
    parts = [looked_at(classifier, split.images[at], split.index.iloc[at]) for at in np.array_split(rows, 8)]
    given, unlike = (np.concatenate(one) for one in zip(*parts, strict=True))
    return Seen(~shows_head(split.index.iloc[rows]).to_numpy(bool), unlike, given.max(axis=1))


def row(name: str, found: Seen, classifier: Classifier) -> list[str]:
    """Return a row of the table."""
    there = ~found.headless
    unlike = there & (found.unlike > classifier.unlike_above)
    unsure = there & (found.confidence < classifier.abstain_below)
    counts = (found.headless, unlike, unsure, unsure & ~unlike, there & ~unlike & ~unsure)
    return [name, str(len(there)), *(str(int(one.sum())) for one in counts), f"{np.median(found.unlike):.2f}"]


def run(classifier: Classifier, processed: Path, sartaj: Path | None, each: int) -> str:
    """Return the table for a classifier that has the measure."""
    kinds = {
        name: seen(classifier, [("picture.png", bytes(cv2.imencode(".png", one)[1])) for one in pictures])
        for name, pictures in nonheads.drawn(each).items()
    }
    kinds["all without a head"] = Seen(*(np.concatenate(one) for one in zip(*kinds.values(), strict=True)))
    if sartaj is not None:
        names = [pattern.format(number) for pattern, numbers in CT.items() for number in numbers]
        with archives.opened(sartaj) as archive:
            kinds["CT of heads"] = seen(classifier, [(name, archive.read(name)) for name in names])
    kinds["test images"] = seen_of_test(classifier, processed)
    header = ["pictures", "of", "no head seen", "unlike", "not sure", "not sure alone", "answered", "median unlike"]
    return table(header, [row(name, found, classifier) for name, found in kinds.items()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classifier", type=Path, default=Path("models/classifier"), help="folder that train wrote")
    parser.add_argument("--processed", type=Path, default=Path("data/processed"), help="what preprocess wrote for it")
    parser.add_argument("--sartaj", type=Path, help="the Sartaj set, an archive or a folder, for its CT slices")
    parser.add_argument("--each", type=int, default=30, help="pictures of each of the ten kinds")
    args = parser.parse_args()
    classifier = measured(load_classifier(args.classifier), args.processed)
    print(f"unlike above {classifier.unlike_above:.3f}, not sure below {classifier.abstain_below:.3f}\n")
    print(run(classifier, args.processed, args.sartaj, args.each))


if __name__ == "__main__":
    main()
