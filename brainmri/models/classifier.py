"""A trained classifier with the preprocessing and calibration it was trained with, and what it says of images."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainmri.core.errors import ArtifactError
from brainmri.core.files import read_json, read_record
from brainmri.core.quiet_keras import keras
from brainmri.models.likeness import LIKENESS, Likeness, distances, read_likeness, unlikeness
from brainmri.models.model_files import load_model
from brainmri.preprocessing.columns import ENCODED, Encoding, encode, width
from brainmri.preprocessing.image_params import MadeWith
from brainmri.scoring.calibration import Calibration, with_temperature

BATCH = 64  # images at once; fixed, because the last bits of a product depend on it


@dataclass(frozen=True)
class Classifier:
    """What `models/classifier` holds."""

    model: keras.Model
    classes: list[str]
    image_params: dict[str, Any]  # of `image_params.ImageParams`
    columns: Encoding  # the metadata that the model takes beside the image
    mirror: bool  # the answer is the mean of those to an image and to its left-right mirror image
    temperature: float  # divides the logarithms of the probabilities
    abstain_below: float  # an answer with a lower probability than this is not to be relied on
    # Folders of before this measure have none of it; then images are unlike by NaN, and above it none is.
    unlike_above: float = math.nan  # an image more unlike the training images than this is not to be relied on either
    likeness: Likeness | None = None
    with_features: keras.Model | None = None  # the same network, see `with_features`


def load_classifier(folder: Path) -> Classifier:
    """Load a classifier from the folder that the train stage wrote."""
    return _load(folder, folder)


def load_repeats(folder: Path) -> list[Classifier]:
    """Load the classifier of each seed that `train.repeats` asked for; the first is that of `load_classifier`."""
    parts = sorted(
        (part for part in (folder / "repeats").glob("*") if part.name.isdecimal()), key=lambda part: int(part.name)
    )
    return [_load(folder, part) for part in (folder, *parts)]


def _load(folder: Path, part: Path) -> Classifier:
    made_with = read_record(folder / "preprocess.json", MadeWith)
    calibration = read_record(part / "calibration.json", Calibration)
    columns: Encoding = read_json(folder / "metadata.json", ENCODED)
    beside = [(width(columns),)] if columns else []
    takes = [made_with.params.shape(), *beside]
    model, above = load_model(part / "model.keras", takes, (len(made_with.classes),)), calibration.unlike_above
    return Classifier(
        model,
        made_with.classes,
        made_with.params.model_dump(),
        columns,
        calibration.mirror,
        calibration.temperature,
        calibration.abstain_below,
        *(() if above is None else _measure(above, part / LIKENESS, model)),
    )


def _measure(above: float, path: Path, model: keras.Model) -> tuple[float, Likeness, keras.Model]:
    """Return what `Classifier` holds of how unlike images are; refuse that of another network."""
    likeness, network = read_likeness(path), with_features(model)
    expected, received = network.output_shape[1][-1], likeness.centres.shape[-1]
    if expected != received:
        raise ArtifactError(
            f"{path}: should be of the model beside it, of {expected} features, received {received}; run `dvc repro`"
        )
    return above, likeness, network


def with_features(model: keras.Model) -> keras.Model:
    """Return a classifying network that gives, in the same pass, the features (B, P) before its last layer too."""
    return keras.Model(model.inputs, [model.output, model.layers[-1].input])


def class_probabilities(
    classifier: Classifier, images: np.ndarray, table: pd.DataFrame | None = None, calibrated: bool = True
) -> np.ndarray:
    """Return the probabilities (N, K) of images (N, S, S, C) uint8, batch by batch.

    Parameters
    ----------
    table : DataFrame, N rows, optional
        The index's columns; needed by a classifier that takes metadata.
    calibrated : bool
        Whether the temperature is applied.
    """
    return looked_at(classifier, images, table, calibrated)[0]


def looked_at(
    classifier: Classifier, images: np.ndarray, table: pd.DataFrame | None = None, calibrated: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return what one look at images gives: `class_probabilities` (N, K), of the same arguments, and `unlikeness` (N,).

    The latter is NaN where the classifier does not know its training images.
    """
    if classifier.columns and table is None:
        names = [entry["column"] for entry in classifier.columns]
        raise ArtifactError(f"classifier: it was trained with the columns {names}, received images without them")
    columns = encode(table, classifier.columns) if classifier.columns and table is not None else None
    raw, unlike = np.empty((len(images), len(classifier.classes)), np.float32), np.full(len(images), np.nan)
    for at in range(0, len(images), BATCH):
        part = slice(at, at + BATCH)
        beside = None if columns is None else columns[part]
        if classifier.likeness is None or classifier.with_features is None:
            raw[part] = model_answer(classifier.model, images[part], beside, classifier.mirror)
        else:
            raw[part], found = answer_and_distances(
                classifier.with_features, images[part], beside, classifier.mirror, classifier.likeness
            )
            unlike[part] = unlikeness(found, classifier.likeness)
    return with_temperature(raw, classifier.temperature) if calibrated else raw, unlike


def model_answer(model: keras.Model, images: np.ndarray, columns: np.ndarray | None, mirror: bool) -> np.ndarray:
    """Return the uncalibrated probabilities (B, K) float32 that a model gives to one batch.

    Parameters
    ----------
    images : ndarray, shape (B, S, S, C), uint8
    columns : ndarray, shape (B, M), float32, or None
        Metadata, for a model that takes it.
    mirror : bool
        Whether the answer is the mean of those to each image and to its left-right mirror image.
    """
    given: np.ndarray = by_view(model, images, columns, mirror)[0].mean(axis=0)
    return given


def answer_and_distances(
    model: keras.Model, images: np.ndarray, columns: np.ndarray | None, mirror: bool, likeness: Likeness
) -> tuple[np.ndarray, np.ndarray]:
    """Return `model_answer` of one batch and its `distances`, (2, B), by a model of `with_features`; both are means."""
    given, features = by_view(model, images, columns, mirror)
    return given.mean(axis=0), np.mean([distances(view, likeness) for view in features], axis=0)


def by_view(model: keras.Model, images: np.ndarray, columns: np.ndarray | None, mirror: bool) -> list[np.ndarray]:
    """Return the outputs of a model for one batch, each (V, B, ...): of the images, and of their mirror images."""
    pictures = images.astype(np.float32) / 255
    views = np.concatenate([pictures, pictures[:, :, ::-1]]) if mirror else pictures
    beside = None if columns is None else np.tile(columns, (len(views) // len(pictures), 1))
    # Not `predict`, whose set-up costs more than the network does on one image (benchmarks/bench_predict.py).
    given = model.predict_on_batch(views if beside is None else [views, beside])
    outputs = [np.asarray(one, np.float32) for one in (given if isinstance(given, list) else [given])]
    return [one.reshape(-1, len(pictures), one.shape[1]) for one in outputs]
