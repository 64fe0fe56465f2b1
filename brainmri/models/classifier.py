"""A trained classifier with the preprocessing and calibration it was trained with, and what it says of images.

It says too how unlike the training images an image is: a network gives every picture a class, and often surely.
"""

import math
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainmri.core.errors import ArtifactError
from brainmri.core.files import read_json, read_record
from brainmri.core.missing import missing
from brainmri.core.quiet_keras import keras
from brainmri.models.model_files import load_model
from brainmri.preprocessing.columns import ENCODED, Encoding, encode, width
from brainmri.preprocessing.image_params import MadeWith
from brainmri.scoring.calibration import Calibration, with_temperature

BATCH = 64  # images at once; fixed, because the last bits of a product depend on it
LIKENESS = "likeness.npz"
_DIRECTIONS = 64  # in which features are told apart; with 32 less was found, with 128 no more
_EACH = 8  # images that a direction needs at least


@dataclass(frozen=True)
class Likeness:
    """What training images are to a network: the features that it ends in, (P,) an image, and how they vary.

    Twice: the features themselves, and the same scaled to length 1. Real scans trained on, drawings of other organs
    stood out by the first, CT by the second (docs/predict.md). Of each a Gaussian about each class, of one covariance
    [1]_, whose variances beyond the largest are taken for equal [2]_: few images do not tell them, and it stays small.

    References
    ----------
    .. [1] Lee et al. 2018, arXiv:1807.03888; scaled to length 1: Mueller and Hein 2025, arXiv:2505.18032.
    .. [2] Tipping and Bishop 1999, doi:10.1111/1467-9868.00196.
    """

    centres: np.ndarray  # (2, C, P), means of the C classes
    axes: np.ndarray  # (2, P, D), directions in which features vary most within a class
    variances: np.ndarray  # (2, D + 1), along each of these, and last in any other
    typical: np.ndarray  # (2,), the median distance of validation images


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


def write_likeness(path: Path, likeness: Likeness) -> None:
    """Write it as `.npz`, the same bytes for the same numbers."""
    np.savez(path, **{part.name: getattr(likeness, part.name).astype(np.float32) for part in fields(likeness)})


def read_likeness(path: Path) -> Likeness:
    """Read what `write_likeness` wrote.

    Raises
    ------
    ArtifactError
        If there is no such file, or it is another.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return Likeness(*(stored[part.name] for part in fields(Likeness)))
    except FileNotFoundError:
        raise missing(path) from None
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{path}: should be what train wrote, received another: {error}; run `dvc repro`") from None


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


def learnt_likeness(features: np.ndarray, numbers: np.ndarray) -> Likeness:
    """Return what training images are, by their features (N, P) and class numbers (N,); `typical` is 1 until measured.

    A class without an image has no centre. Features that never vary count for little, but not for nothing.
    """
    parts = [_gaussian(view, numbers) for view in _both(features)]
    centres, axes, variances = (np.stack(one).astype(np.float32) for one in zip(*parts, strict=True))
    return Likeness(centres, axes, variances, np.ones(2, np.float32))


def _gaussian(features: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the centres (C, P), axes (P, D) and variances (D + 1,) of features (N, P)."""
    classes, place = np.unique(numbers, return_inverse=True)
    centres = np.stack([features[numbers == number].mean(axis=0) for number in classes])
    inner = features - centres[place]
    variances, axes = np.linalg.eigh(inner.T @ inner / len(inner))  # the smallest first
    kept = max(min(_DIRECTIONS, features.shape[1] - 1, len(features) // _EACH), 1)
    rest = max(variances[:-kept].mean() if kept < len(variances) else 0, 1e-6 * variances.mean(), 1e-12)
    return centres, axes[:, -kept:], np.append(np.maximum(variances[-kept:], rest), rest)


def distances(features: np.ndarray, likeness: Likeness) -> np.ndarray:
    """Return how far features (N, P) lie from the nearest class, in standard deviations (Mahalanobis): (2, N)."""
    parts = (likeness.centres, likeness.axes, likeness.variances)
    found = []
    for view, centres, axes, variances in zip(_both(features), *parts, strict=True):
        away = view[:, None] - centres  # (N, C, P)
        along = (away @ axes) ** 2
        across = np.maximum((away**2).sum(axis=2) - along.sum(axis=2), 0) / variances[-1]
        found.append(np.sqrt((along / variances[:-1]).sum(axis=2) + across).min(axis=1))
    return np.stack(found)


def usual_distances(found: np.ndarray) -> np.ndarray:
    """Return the `typical` of validation images of distances (2, N), never 0: a network may see all images alike."""
    usual: np.ndarray = np.maximum(np.median(found, axis=1), 1e-6).astype(np.float32)
    return usual


def unlikeness(found: np.ndarray, likeness: Likeness) -> np.ndarray:
    """Return how unlike training images are those of distances (2, N): (N,), 1 as a middling validation image is."""
    larger: np.ndarray = (found / likeness.typical[:, None]).max(axis=0)
    return larger


def _both(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return features (N, P) as they are, and scaled to length 1 (0 stays 0); float64."""
    features = features.astype(float)
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return features, np.divide(features, length, out=np.zeros_like(features), where=length > 0)
