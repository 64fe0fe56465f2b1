"""Random variants of a slice: draw the parameters, keep them in a table, apply them with one warp.

Applying is deterministic, so that any variant can be made again from its row.
"""

from collections.abc import Mapping
from typing import Annotated

import cv2
import numpy as np
import pandas as pd
from pydantic import Field

from brainmri.params import Section

Share = Annotated[float, Field(ge=0, lt=1)]


class VariationParams(Section):
    """How far a variant may be from its image; every range is symmetric about no change."""

    rotation_deg: Annotated[float, Field(ge=0, le=180)]
    horizontal_flip: bool  # left-right, with probability one half
    vertical_flip: bool
    brightness: Share  # factor drawn from 1 - brightness to 1 + brightness
    zoom: Share  # factor drawn from 1 - zoom to 1 + zoom
    shift: Share  # share of the side, along rows and along columns


def draw(count: int, params: VariationParams, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the parameters of `count` variants: one row each, every column uniform over its range."""
    p = params
    return pd.DataFrame(
        {
            "rotation_deg": rng.uniform(-p.rotation_deg, p.rotation_deg, count),
            "horizontal_flip": p.horizontal_flip & (rng.random(count) < 0.5),
            "vertical_flip": p.vertical_flip & (rng.random(count) < 0.5),
            "brightness": rng.uniform(1 - p.brightness, 1 + p.brightness, count),
            "zoom": rng.uniform(1 - p.zoom, 1 + p.zoom, count),
            "shift_rows": rng.uniform(-p.shift, p.shift, count),
            "shift_cols": rng.uniform(-p.shift, p.shift, count),
        }
    )


def vary(image: np.ndarray, row: Mapping[str, float]) -> np.ndarray:
    """Apply one row of `draw` to an image: one warp for all geometry, then the brightness.

    Parameters
    ----------
    image : ndarray, shape (H, W, C), uint8
    row : mapping
        One row of the table that `draw` returns.

    Returns
    -------
    ndarray, shape (H, W, C), uint8
        Black where the warp reaches outside the image.
    """
    height, width = image.shape[:2]
    warped = cv2.warpAffine(image, matrix((height, width), row), (width, height), flags=cv2.INTER_LINEAR)
    levels = np.arange(256) * row["brightness"]
    brightened: np.ndarray = cv2.LUT(warped, np.clip(np.rint(levels), 0, 255).astype(np.uint8))
    return brightened.reshape(image.shape)  # OpenCV drops a single channel


def matrix(size_hw: tuple[int, int], row: Mapping[str, float]) -> np.ndarray:
    """Return the (2, 3) matrix, in x, y order, of the flips, zoom and rotation about the centre, then the shift."""
    height, width = size_hw
    centre = ((width - 1) / 2, (height - 1) / 2)
    warp = cv2.getRotationMatrix2D(centre, row["rotation_deg"], row["zoom"])
    warp[:, 2] += row["shift_cols"] * width, row["shift_rows"] * height
    flip = np.eye(3)
    if row["horizontal_flip"]:
        flip[0] = -1, 0, width - 1
    if row["vertical_flip"]:
        flip[1] = 0, -1, height - 1
    combined: np.ndarray = warp @ flip
    return combined


def copies(labels: pd.Series, count: int, balance: bool) -> np.ndarray:
    """Return for each image how many variants to make.

    `count` each; with `balance`, images of the smaller classes get more, until originals and variants of each class
    together are as many as those of the largest class (the first images of a class get one more where it must be).
    """
    result = np.full(len(labels), count)
    if balance and len(labels):
        sizes = labels.value_counts()
        goal = int(sizes.max()) * (1 + count)
        for label, size in sizes.items():
            each, rest = divmod(goal - int(size), int(size))
            result[np.flatnonzero(labels == label)] = each + (np.arange(size) < rest)
    return result
