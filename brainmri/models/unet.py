"""The U-Net that outlines tumours: its loss, and how a trained one answers; the networks are in `unet_networks.py`.

Input: (N, S, S, C) float32 in [0, 1]. Output: (N, S, S, 1) float32, the probability that a pixel is tumour.
"""

import itertools
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import pandas as pd
from pydantic import Field
from scipy import ndimage

from brainmri.core.files import read_record
from brainmri.core.params import Record, Section
from brainmri.core.quiet_keras import keras, ops
from brainmri.models.model_files import load_model
from brainmri.preprocessing.image_params import MadeWith
from brainmri.scoring.training_scores import dice

BATCH = 64  # images at once; fixed, because the last bits of a product depend on it


@dataclass(frozen=True)
class Cleaning:
    """How probabilities become a mask, in this order."""

    threshold: float  # a pixel is tumour from this probability on
    smallest_px: int  # smaller components are dropped
    largest_only: bool  # all components but the largest are dropped
    fill_holes: bool


class PostProcess(Record):
    """The `postprocess.json` of a U-Net: `Cleaning`, and whether both sides are asked."""

    mirror: bool
    threshold: Annotated[float, Field(ge=0, le=1)]
    smallest_px: Annotated[int, Field(ge=0)]
    largest_only: bool
    fill_holes: bool


class NoUnet(Record):
    """The `skipped.json` in place of a U-Net."""

    reason: str


@dataclass(frozen=True)
class Unet:
    """What `models/unet` holds."""

    model: keras.Model
    image_params: dict[str, Any]  # of `image_params.ImageParams`
    mirror: bool  # the answer is the mean of those to an image and to its left-right mirror image
    cleaning: Cleaning


def dice_cross_entropy(dice_weight: float) -> Callable[[Any, Any], Any]:
    """Return the loss: `dice_weight` times 1 - soft Dice [1]_, plus the rest times the binary cross-entropy.

    The loss takes true masks and probabilities (N, S, S, 1) and returns (N,), one loss an image. Soft Dice is
    (2 Σtp + 1) / (Σt + Σp + 1): the ones make it 1 where both are empty, and let an empty mask teach.

    References
    ----------
    .. [1] Milletari et al. 2016, doi:10.1109/3DV.2016.79
    """

    def loss(true: Any, given: Any) -> Any:
        entropy = ops.mean(ops.binary_crossentropy(true, given), axis=(1, 2, 3))
        return dice_weight * (1 - soft_dice(true, given)) + (1 - dice_weight) * entropy

    return loss


def soft_dice(true: Any, given: Any) -> Any:
    """Return (N,) the soft Dice of true masks and probabilities (N, S, S, 1), 1 where both are empty."""
    axes = (1, 2, 3)
    both = ops.sum(true * given, axis=axes)
    return (2 * both + 1) / (ops.sum(true, axis=axes) + ops.sum(given, axis=axes) + 1)


def clean(probabilities: np.ndarray, cleaning: Cleaning) -> np.ndarray:
    """Make a mask (S, S) bool of probabilities (S, S); components touch at sides and corners."""
    mask: np.ndarray = probabilities >= cleaning.threshold
    _, components, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    sizes = stats[:, cv2.CC_STAT_AREA].copy()
    sizes[0] = 0  # the background
    keep = sizes >= max(1, cleaning.smallest_px)
    if cleaning.largest_only:
        keep &= np.arange(len(sizes)) == sizes.argmax()  # the uppermost of equals
    mask = keep[components]
    return ndimage.binary_fill_holes(mask) if cleaning.fill_holes else mask


def compare_cleanings(truth: np.ndarray, probabilities: np.ndarray, candidates: Section) -> pd.DataFrame:
    """Score every combination of candidates on images with a tumour.

    Parameters
    ----------
    truth : ndarray, shape (N, S, S), bool
        None of them empty.
    probabilities : ndarray, shape (N, S, S), float32
    candidates : Section
        Of `CleaningCandidates`, which stands with the params: a new rule there need not outline anything anew.

    Returns
    -------
    DataFrame
        One row a combination: the fields of `Cleaning` and `dice`, the mean over the images.
    """
    rows = []
    for values in itertools.product(*candidates.model_dump().values()):  # in the order of the fields of `Cleaning`
        cleaning = Cleaning(*values)
        masks = np.stack([clean(each, cleaning) for each in probabilities])
        rows.append({**asdict(cleaning), "dice": dice(truth, masks).mean()})
    return pd.DataFrame(rows)


def best_cleaning(compared: pd.DataFrame) -> Cleaning:
    """Return the cleaning of the highest Dice in a table of `compare_cleanings`, the first of equals."""
    best = compared.loc[compared["dice"].idxmax()]
    return Cleaning(
        float(best["threshold"]), int(best["smallest_px"]), bool(best["largest_only"]), bool(best["fill_holes"])
    )


def load_unet(folder: Path) -> Unet | None:
    """Load the U-Net that the train_unet stage wrote; None where it skipped because there were no masks."""
    if (folder / "skipped.json").exists():
        return None
    params = read_record(folder / "preprocess.json", MadeWith).params
    post = read_record(folder / "postprocess.json", PostProcess)
    model = load_model(folder / "model.keras", [params.shape()], (params.size, params.size, 1))
    return Unet(model, params.model_dump(), post.mirror, Cleaning(**post.model_dump(exclude={"mirror"})))


def why_no_unet(folder: Path) -> str:
    """Return why the train_unet stage trained no U-Net."""
    return read_record(folder / "skipped.json", NoUnet).reason


def unet_probabilities(unet: Unet, images: np.ndarray) -> np.ndarray:
    """Return the tumour probability of each pixel, (N, S, S) float32, of images (N, S, S, C) uint8."""
    return model_probabilities(unet.model, images, unet.mirror)


def model_probabilities(model: keras.Model, images: np.ndarray, mirror: bool) -> np.ndarray:
    """Return (N, S, S) float32 of images (N, S, S, C) uint8; with `mirror` the mean of both sides' answers."""
    answers = np.empty(images.shape[:3], np.float32)
    for at in range(0, len(images), BATCH):
        pictures = images[at : at + BATCH].astype(np.float32) / 255
        answer = np.asarray(model.predict_on_batch(pictures))[..., 0]
        if mirror:
            turned = np.asarray(model.predict_on_batch(pictures[:, :, ::-1]))[:, :, ::-1, 0]
            answer = (answer + turned) / 2
        answers[at : at + BATCH] = answer
    return answers
