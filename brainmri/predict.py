"""How a scan gets its answer: a trained model together with the preprocessing it was trained with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from brainmri.errors import ArtifactError
from brainmri.files import read_json
from brainmri.model_files import load_model

BATCH = 64  # images at once; fixed, because the last bits of a product depend on it


@dataclass(frozen=True)
class Classifier:
    """What `models/classifier` holds."""

    model: keras.Model
    classes: list[str]
    image_params: dict[str, Any]  # of `images.ImageParams`


def load_classifier(folder: Path) -> Classifier:
    """Load a classifier from the folder that the train stage wrote."""
    made_with = read_json(folder / "preprocess.json")
    return Classifier(load_model(folder / "model.keras"), made_with["classes"], made_with["params"])


def require_same_images(classifier: Classifier, folder: Path) -> None:
    """Refuse images that were not made as those the model was trained on.

    Raises
    ------
    ArtifactError
        If classes or image params of `folder` differ from the model's.
    """
    made_with = read_json(folder / "preprocess.json")
    if made_with != {"classes": classifier.classes, "params": classifier.image_params}:
        raise ArtifactError(
            f"{folder}: images should be made with the params the model was trained with "
            f"({classifier.classes}, {classifier.image_params}), received {made_with}; run `dvc repro`"
        )


def class_probabilities(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """Return the probabilities (N, K) float32 of images (N, S, S, C) uint8, batch by batch."""
    batches = [
        np.asarray(classifier.model.predict_on_batch(images[at : at + BATCH].astype(np.float32) / 255))
        for at in range(0, len(images), BATCH)
    ]
    return np.concatenate(batches) if batches else np.empty((0, len(classifier.classes)), np.float32)
