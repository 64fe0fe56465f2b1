"""The methods that outline a tumour: the one list of them, each with its title, its function and what it needs.

Stage, prediction, page, API, model card and results read this list. To add a method: its params in `MethodParams` (and
in section `segment` of params.yaml), its function, and its entry in `METHODS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import AfterValidator

from brainmri.core.errors import ParamsError
from brainmri.core.params import Section
from brainmri.segmentation import kmeans, kmeans_brain
from brainmri.segmentation.kmeans import KMeansParams
from brainmri.segmentation.kmeans_brain import KMeansBrainParams

if TYPE_CHECKING:
    from brainmri.models.unet import Unet


class MethodParams(Section):
    """What the methods take from section `segment`."""

    kmeans: KMeansParams
    kmeans_brain: KMeansBrainParams


@dataclass(frozen=True)
class Tools:
    """What the methods work with."""

    params: MethodParams
    unet: "Unet | None" = None


@dataclass(frozen=True)
class Method:
    """One way to outline a tumour.

    `shares` takes images (N, S, S, C) uint8, the tools, and None or how much each pixel speaks for a tumour
    (N, S, S) in [0, 1]; it returns how much each pixel is tumour, (N, S, S) float32 in [0, 1]. `masks` makes masks
    (N, S, S) bool of such shares.
    """

    title: str  # as people read it
    shares: Callable[[np.ndarray, Tools, np.ndarray | None], np.ndarray]
    masks: Callable[[np.ndarray, Tools], np.ndarray]
    needs_unet: bool = False
    takes_evidence: bool = False


def _kmeans(images: np.ndarray, tools: Tools, _: np.ndarray | None) -> np.ndarray:
    own = tools.params.kmeans.model_dump()
    return _by_slice(images, lambda picture, _: kmeans.segment(picture, **own))


def _kmeans_brain(images: np.ndarray, tools: Tools, evidence: np.ndarray | None) -> np.ndarray:
    own = tools.params.kmeans_brain
    return _by_slice(
        images,
        lambda picture, at: kmeans_brain.segment(picture, own, None if evidence is None else evidence[at]),
    )


def _by_slice(images: np.ndarray, segment: Callable[[np.ndarray, int], np.ndarray]) -> np.ndarray:
    """Return 0 and 1 of a method that outlines one slice at a time, in its first window."""
    found = np.zeros(images.shape[:3], np.float32)
    for at, image in enumerate(images):
        found[at] = segment(np.ascontiguousarray(image[..., 0]), at)
    return found


def _above_half(shares: np.ndarray, _: Tools) -> np.ndarray:
    return shares > 0.5


def _unet(images: np.ndarray, tools: Tools, _: np.ndarray | None) -> np.ndarray:
    from brainmri.models.unet import unet_probabilities  # brings TensorFlow, which takes seconds

    return unet_probabilities(_required("unet", tools), images)


def _cleaned(shares: np.ndarray, tools: Tools) -> np.ndarray:
    from brainmri.models.unet import clean

    cleaning = _required("unet", tools).cleaning
    masks = np.zeros(shares.shape, bool)
    for at, each in enumerate(shares):
        masks[at] = clean(each, cleaning)
    return masks


def _required(name: str, tools: Tools) -> "Unet":
    if tools.unet is None:
        raise ParamsError(
            f"method {name} needs a trained U-Net, received none (the training set had no masks, or no folder was "
            f"named); use {' or '.join(usable(tools))}, or train one"
        )
    return tools.unet


METHODS = {
    "kmeans": Method("K-means on the whole slice", _kmeans, _above_half),
    "kmeans_brain": Method("K-means inside the brain", _kmeans_brain, _above_half, takes_evidence=True),
    "unet": Method("U-Net", _unet, _cleaned, needs_unet=True),
}
NONE = "none"  # asks for no outline
AUTO = "auto"  # asks for the best that the tools are enough for, see `chosen`
BEST = "unet"  # docs/segmentation.md has the figures


def _known(name: str) -> str:
    if name not in METHODS:
        raise ValueError(f"one of {', '.join(METHODS)}")
    return name


MethodName = Annotated[str, AfterValidator(_known)]  # in params


def choices() -> list[str]:
    """Return all that an outline can be asked for by, the default first."""
    return [AUTO, *reversed(METHODS), NONE]


def usable(tools: Tools) -> list[str]:
    """Return the names of the methods that these tools are enough for, the last of the list first."""
    return [name for name, method in reversed(METHODS.items()) if tools.unet is not None or not method.needs_unet]


def chosen(name: str, tools: Tools) -> str:
    """Return the method that a name asks for, or `NONE`.

    `AUTO` is the U-Net where there is one, and otherwise none: K-means finds something bright in every head, so that
    nobody should get its outline without having asked for it.

    Raises
    ------
    ParamsError
        If the method is unknown, or needs a U-Net where there is none.
    """
    if name not in choices():
        raise ParamsError(f"method should be one of {', '.join(choices())}, received {name!r}")
    if name == AUTO:
        return BEST if BEST in usable(tools) else NONE
    if name != NONE and METHODS[name].needs_unet:
        _required(name, tools)
    return name


def without_outline(name: str, tools: Tools) -> str:
    """Return a sentence on why nothing is outlined though nobody asked for that; empty where it does not apply."""
    if name != AUTO or chosen(name, tools) != NONE:
        return ""
    return f"These models have no U-Net, so nothing is outlined; {' and '.join(usable(tools))} need none."


def outline(name: str, images: np.ndarray, tools: Tools, evidence: np.ndarray | None = None) -> np.ndarray:
    """Return the masks (N, S, S) bool that a method gives of images (N, S, S, C) uint8, slice by slice."""
    method = METHODS[name]
    return method.masks(method.shares(images, tools, evidence), tools)
