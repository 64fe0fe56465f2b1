"""Outline some images of a set by a method: a piece of the segment stage, here or at a worker of a cluster."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from brainmri.core.files import open_array
from brainmri.core.labels import NO_TUMOUR
from brainmri.parallel.pieces import Arrays, Piece
from brainmri.segmentation.methods import METHODS, Tools, outline
from brainmri.segmentation.segment_params import SegmentParams

if TYPE_CHECKING:
    from brainmri.models.classifier import Classifier
    from brainmri.models.unet import Unet

AT_ONCE = 64  # images of a piece: memory stays flat, and the networks get the batches that they would get of all


def pieces(
    name: str, params: SegmentParams, images: Path, index: pd.DataFrame, unet: Path, guide: Path | None
) -> list[Piece]:
    """Return the pieces of a set for `outline_piece`, in its order.

    Parameters
    ----------
    name : str
        Of the method.
    images : Path
        The array of pictures (M, S, S, C) uint8.
    index : DataFrame
        Of the images to outline, whose row labels are their rows in that array, without a gap.
    unet : Path
        Folder of the U-Net.
    guide : Path, optional
        Folder of a classifier, whose evidence the method takes into account.
    """
    reads = [images, *([unet / "model.keras"] if METHODS[name].needs_unet else [])]
    reads += [guide / "model.keras"] if guide else []
    parts = [index.iloc[at : at + AT_ONCE] for at in range(0, len(index), AT_ONCE)]
    return [Piece((name, params, images, part, unet, guide), len(part), tuple(reads)) for part in parts]


def outline_piece(
    name: str, params: SegmentParams, images: Path, index: pd.DataFrame, unet: Path, guide: Path | None
) -> tuple[None, Arrays]:
    """Return nothing, and as `masks` (n, S, S) uint8 what a method outlines on the images of a piece."""
    pictures = open_array(images, (None,) * 4)[index.index[0] : index.index[-1] + 1]
    tools = Tools(params, kept_unet(unet) if METHODS[name].needs_unet else None)
    evidence = tumour_evidence(kept_classifier(guide), pictures, index) if guide else None
    return None, {"masks": outline(name, pictures, tools, evidence).view(np.uint8)}


def tumour_evidence(classifier: "Classifier", images: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """Return where the classifier sees evidence for the likeliest kind of tumour, (n, S, S), in images of an index."""
    from brainmri.models.classifier import class_probabilities
    from brainmri.models.saliency import classifier_evidence

    tumours = np.array([at for at, name in enumerate(classifier.classes) if name != NO_TUMOUR])
    likeliest = class_probabilities(classifier, images, table)[:, tumours].argmax(axis=1)
    return classifier_evidence(classifier, images, table, tumours[likeliest])


def kept_unet(folder: Path) -> "Unet | None":
    """Load the U-Net of a folder, once in this process; None where none was trained."""
    return _unet(folder, _changed(folder))


def kept_classifier(folder: Path) -> "Classifier":
    """Load the classifier of a folder, once in this process."""
    return _classifier(folder, _changed(folder))


def _changed(folder: Path) -> int:
    return folder.stat().st_mtime_ns if folder.is_dir() else 0


@lru_cache(maxsize=1)
def _unet(folder: Path, _: int) -> "Unet | None":
    from brainmri.models.unet import load_unet  # brings TensorFlow, which K-means does without

    return load_unet(folder)


@lru_cache(maxsize=1)
def _classifier(folder: Path, _: int) -> "Classifier":
    from brainmri.models.classifier import load_classifier

    return load_classifier(folder)
