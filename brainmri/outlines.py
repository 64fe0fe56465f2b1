"""The tumour's outline on the square grid, by the method one asks for."""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from brainmri import kmeans, kmeans_brain
from brainmri.errors import ArtifactError, ParamsError
from brainmri.models import Models

Method = Literal["unet", "kmeans_brain", "kmeans", "none"]
METHODS: tuple[Method, ...] = get_args(Method)


def require_method(method: str, models: Models) -> None:
    """Refuse a method that is unknown, or needs a U-Net where there is none."""
    if method not in METHODS:
        raise ParamsError(f"method should be one of {', '.join(METHODS)}, received {method!r}")
    if method == "unet" and models.unet is None:
        raise ArtifactError(
            "method unet needs a trained U-Net, received none (the training set had no masks, or no folder was named); "
            "use kmeans_brain or train one"
        )


def shares(method: Method, images: np.ndarray, models: Models) -> np.ndarray:
    """Return how much each pixel is tumour, (N, S, S) float32 in [0, 1], of images (N, S, S, C) uint8.

    Probabilities of the U-Net; 0 or 1 of the others.
    """
    if method == "unet":
        from brainmri.unet import unet_probabilities

        require_method(method, models)
        assert models.unet is not None
        with models.lock:
            return unet_probabilities(models.unet, images)
    segment: dict[Method, Callable[[np.ndarray], np.ndarray]] = {
        "kmeans": lambda picture: kmeans.segment(picture, **models.kmeans.model_dump()),
        "kmeans_brain": lambda picture: kmeans_brain.segment(picture, models.kmeans_brain),
        "none": lambda picture: np.zeros(picture.shape, bool),
    }
    found = np.zeros(images.shape[:3], np.float32)
    for at, image in enumerate(images):
        found[at] = segment[method](np.ascontiguousarray(image[..., 0]))
    return found


def masks(method: Method, given: np.ndarray, models: Models) -> np.ndarray:
    """Return the masks (N, S, S) bool of such shares: the U-Net's cleaned as its training chose, others above half."""
    if method != "unet" or models.unet is None:
        return given > 0.5
    from brainmri.unet import clean

    return np.stack([clean(each, models.unet.cleaning) for each in given])
