"""A trained classifier with the preprocessing and calibration it was trained with, and what it says of images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainmri.core.errors import ArtifactError
from brainmri.core.files import read_json, read_record
from brainmri.core.quiet_keras import keras
from brainmri.models.model_files import load_model
from brainmri.preprocessing.columns import ENCODED, Encoding, encode, width
from brainmri.preprocessing.images import MadeWith
from brainmri.scoring.calibration import Calibration, with_temperature

BATCH = 64  # images at once; fixed, because the last bits of a product depend on it


@dataclass(frozen=True)
class Classifier:
    """What `models/classifier` holds."""

    model: keras.Model
    classes: list[str]
    image_params: dict[str, Any]  # of `images.ImageParams`
    columns: Encoding  # the metadata that the model takes beside the image
    mirror: bool  # the answer is the mean of those to an image and to its left-right mirror image
    temperature: float  # divides the logarithms of the probabilities
    abstain_below: float  # an answer with a lower probability than this is not to be relied on


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
    return Classifier(
        load_model(part / "model.keras", takes, (len(made_with.classes),)),
        made_with.classes,
        made_with.params.model_dump(),
        columns,
        calibration.mirror,
        calibration.temperature,
        calibration.abstain_below,
    )


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
    if classifier.columns and table is None:
        names = [entry["column"] for entry in classifier.columns]
        raise ArtifactError(f"classifier: it was trained with the columns {names}, received images without them")
    columns = encode(table, classifier.columns) if classifier.columns and table is not None else None
    answers = [
        model_answer(
            classifier.model,
            images[at : at + BATCH],
            None if columns is None else columns[at : at + BATCH],
            classifier.mirror,
        )
        for at in range(0, len(images), BATCH)
    ]
    raw = np.concatenate(answers) if answers else np.empty((0, len(classifier.classes)), np.float32)
    return with_temperature(raw, classifier.temperature) if calibrated else raw


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
    pictures = images.astype(np.float32) / 255
    views = np.concatenate([pictures, pictures[:, :, ::-1]]) if mirror else pictures
    beside = None if columns is None else np.tile(columns, (len(views) // len(pictures), 1))
    # Not `predict`, whose set-up costs more than the network does on one image (benchmarks/bench_predict.py).
    given = np.asarray(model.predict_on_batch(views if beside is None else [views, beside]))
    mean: np.ndarray = given.reshape(-1, len(pictures), given.shape[1]).mean(axis=0)
    return mean
