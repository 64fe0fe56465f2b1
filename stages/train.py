"""Train: fit the classifier on the labelled training images, calibrate it on the validation images.

Reads `data/processed/train`, `data/processed/val` and of `data/augmented` the folder that `train.variants` names; never
the test split. Writes the folder `models/classifier`: `model.keras`, `preprocess.json` (how its input has to be made,
and its classes), `metadata.json` (the columns it takes), `calibration.json`, `likeness.npz` (what the training images
are to the network), `curves.csv`, `versions.json`, and under `repeats/` the same of every further seed. Until it is
done, its checkpoint stands in `.resume/`, which a killed run goes on from.
"""

import argparse
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainmri.core.errors import ArtifactError, InputError, exit_on_error
from brainmri.core.files import new_directory, open_array, read_record, write_json, write_table
from brainmri.core.index import Split, read_split, read_table
from brainmri.core.params import load
from brainmri.core.quiet_keras import keras
from brainmri.learning import training, workers
from brainmri.models import classifier_networks
from brainmri.models.classifier import BATCH, answer_and_distances, by_view, with_features
from brainmri.models.classifier_batches import ImageBatches, targets
from brainmri.models.classifier_params import ClassifierParams
from brainmri.models.likeness import (
    LIKENESS,
    Likeness,
    learnt_likeness,
    unlikeness,
    usual_distances,
    write_likeness,
)
from brainmri.models.model_files import save_model
from brainmri.preprocessing.augmentation import VARIANTS, VariationParams
from brainmri.preprocessing.columns import Encoding, encode, fit_encoding, width
from brainmri.preprocessing.image_params import MadeWith
from brainmri.reporting import live
from brainmri.scoring.calibration import calibrate, unlike_threshold


class Params(ClassifierParams):
    """Section `train`."""


def run(params: Params, train: Path, val: Path, augmented: Path, out: Path, resume_root: Path) -> None:
    """Train a classifier on the folders `train` and `augmented`, choose and calibrate on `val`, write it to `out`."""
    classes = read_record(train / "preprocess.json", MadeWith).classes
    learning, validation = read_split(train), read_split(val)
    encoding = fit_encoding(learning.index[learning.index["label"] != ""], params.metadata)
    data = [folder / name for folder in (train, val) for name in ("images.npy", "index.csv")]
    data += [train / "preprocess.json", *variant_files(augmented, params.variants)]
    resume = training.resume_folder(resume_root, Path(__file__), params.model_dump(), data)
    with new_directory(out) as folder:
        for repeat in range(params.repeats):
            part = folder / f"repeats/{repeat}" if repeat else folder
            part.mkdir(parents=True, exist_ok=True)
            seed = params.seed + repeat
            batches = training_batches(learning, augmented, classes, encoding, params, seed)
            checks = validation_batches(validation, classes, encoding, params)
            show = partial(live.show, resume_root, "train")
            train_one(params, batches, checks, seed, resume / str(repeat), part, show)
        shutil.copyfile(train / "preprocess.json", folder / "preprocess.json")
        write_json(folder / "metadata.json", encoding)
        write_json(folder / "versions.json", {**training.versions(), **workers.provenance()})
    training.forget(resume)
    live.hide(resume_root, "train")


def train_one(
    params: Params,
    batches: ImageBatches,
    checks: ImageBatches,
    seed: int,
    resume: Path,
    folder: Path,
    show: Callable[[list[dict[str, float]]], None] = lambda _: None,
) -> None:
    """Train with one seed; write the model, its calibration and its curves to `folder`; `show` the curves meanwhile."""
    training.make_deterministic(seed, params.precision)
    columns = 0 if batches.columns is None else batches.columns.shape[1]
    model = build(params, batches.arrays[0].shape[1:], checks.targets.onehot.shape[1], columns)
    print(f"train: seed {seed}, {len(batches.rows)} images, {len(checks.rows)} to validate on")
    print(f"train: {model.name} of {model.count_params():,} weights, {params.precision}")
    print("train: curves meanwhile in live/train.csv, and in `dvc plots show`")
    curves = training.fit(model, batches, checks, plan(params), seed, resume, show)
    model = workers.apart(model)
    save_model(model, folder / "model.keras")
    write_table(folder / "curves.csv", pd.DataFrame(curves).astype({"epoch": int}))
    calibration, likeness = calibrated(with_features(model), batches, checks, params)
    write_json(folder / "calibration.json", calibration)
    write_likeness(folder / LIKENESS, likeness)


def calibrated(
    model: keras.Model, batches: ImageBatches, checks: ImageBatches, params: Params
) -> tuple[dict[str, Any], Likeness]:
    """Return what `calibration.json` holds of a model of `with_features`, and what its training images are to it."""
    likeness = learnt(model, batches, params.unlike_images)
    true, (given, away) = checks.targets.onehot.argmax(axis=1), answers(model, checks, params.mirror, likeness)
    likeness = replace(likeness, typical=usual_distances(away))
    unlike = unlikeness(away, likeness)
    found = {"mirror": params.mirror, **calibrate(true, given, params.abstain_risk)}
    found["unlike_above"] = unlike_threshold(unlike, params.unlike_share)
    found["validation"]["unlike"] = int(np.sum(unlike > found["unlike_above"]))
    return found, likeness


def plan(params: Params) -> training.Plan:
    """Return how long the network learns, how fast, and when it stops."""
    return training.Plan(params.epochs, params.learning_rate, params.schedule, params.warmup_epochs, params.patience)


def build(params: Params, input_shape: tuple[int, int, int], classes: int, columns: int) -> keras.Model:
    """Return the compiled, untrained network that the params name."""
    with workers.scope():
        model = classifier_networks.build(params.architecture, params, input_shape, classes, params.dropout, columns)
        optimizer = training.adamw(params.learning_rate, params.weight_decay, params.averaging)
        model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    return model


def variant_files(augmented: Path, variants: str) -> list[Path]:
    """Return the files of `augmented` that are read where `train.variants` is so."""
    folder = augmented / variants
    files = sorted(folder.glob("*"))
    if not files:
        raise ArtifactError(f"{folder}: should hold what augment wrote, received nothing; run `dvc repro augment`")
    return files


def training_batches(
    split: Split, augmented: Path, classes: list[str], encoding: Encoding, params: Params, seed: int
) -> ImageBatches:
    """Return the labelled training images, varied anew each epoch or with their stored variants behind them."""
    labelled = np.flatnonzero(split.index["label"] != "")
    if params.variants == "fresh":
        ranges = read_record(augmented / "fresh/ranges.json", VariationParams)
        return _batches([split.images], labelled, split.index.iloc[labelled], classes, encoding, params, seed, ranges)
    stored = augmented / "stored"
    table = read_table(stored / "index.csv", VARIANTS)
    variants = open_array(stored / "images.npy", (len(table), *split.images.shape[1:]))
    if len(table) and not table["row"].between(0, len(split.images) - 1).all():
        raise ArtifactError(
            f"{stored / 'index.csv'}: each row should be of one of the {len(split.images)} training images, received "
            f"{table['row'].min()} to {table['row'].max()}; run `dvc repro augment`"
        )
    rows = np.concatenate([labelled, len(split.images) + np.arange(len(variants))])
    table = split.index.iloc[np.concatenate([labelled, table["row"].to_numpy(int)])]
    return _batches([split.images, variants], rows, table, classes, encoding, params, seed)


def validation_batches(split: Split, classes: list[str], encoding: Encoding, params: Params) -> ImageBatches:
    """Return the labelled validation images in their own order, neither smoothed nor weighted."""
    labelled = np.flatnonzero(split.index["label"] != "")
    plain = params.model_copy(update={"label_smoothing": 0.0, "class_balance": 0.0})
    return _batches([split.images], labelled, split.index.iloc[labelled], classes, encoding, plain, None)


def _batches(
    arrays: list[np.ndarray],
    rows: np.ndarray,
    table: pd.DataFrame,
    classes: list[str],
    encoding: Encoding,
    params: Params,
    seed: int | None,
    ranges: VariationParams | None = None,
) -> ImageBatches:
    if not len(rows):
        raise InputError("train: training and validation need labelled images, received none; see fetch.local in docs/")
    numbers = np.array([classes.index(label) for label in table["label"]])
    wanted = targets(numbers, len(classes), params.label_smoothing, params.class_balance)
    columns = encode(table, encoding) if width(encoding) else None
    return ImageBatches(arrays, rows, wanted, params.batch_size, seed, ranges, columns)


def learnt(model: keras.Model, batches: ImageBatches, most: int) -> Likeness:
    """Return what at most so many training images, as they are and of all classes in proportion, are to a model."""
    numbers = batches.targets.onehot.argmax(axis=1)
    originals = np.flatnonzero(batches.rows < len(batches.arrays[0]))  # stored variants stand behind them
    by_class = originals[np.argsort(numbers[originals], kind="stable")]
    chosen = by_class[np.linspace(0, len(by_class) - 1, min(most, len(by_class))).astype(int)]
    features = [by_view(model, *inputs, mirror=False)[1][0] for inputs in pieces(batches, chosen)]
    return learnt_likeness(np.concatenate(features), numbers[chosen])


def answers(
    model: keras.Model, batches: ImageBatches, mirror: bool, likeness: Likeness
) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities (N, K) and distances (2, N) of the images of `batches`, made as prediction makes them."""
    inputs = pieces(batches, np.arange(len(batches.rows)))
    parts = [answer_and_distances(model, *own, mirror, likeness) for own in inputs]
    given, away = zip(*parts, strict=True)
    return np.concatenate(given), np.concatenate(away, axis=1)


def pieces(batches: ImageBatches, chosen: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yield images (B, S, S, C) uint8 and columns (B, M) of some of the rows (M,) of `batches`, a batch at a time."""
    for at in range(0, len(chosen), BATCH):
        part = chosen[at : at + BATCH]
        yield batches.arrays[0][batches.rows[part]], None if batches.columns is None else batches.columns[part]


def main() -> None:
    """Read the command line and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path, help="training folder that preprocess wrote")
    parser.add_argument("val", type=Path, help="validation folder that preprocess wrote")
    parser.add_argument("augmented", type=Path, help="folder that augment wrote")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    params = load(args.params, "train", Params)
    with workers.joined(args.out, args.params.parent) as (out, root):
        run(params, args.train, args.val, args.augmented, out, root)


if __name__ == "__main__":
    exit_on_error(main)
