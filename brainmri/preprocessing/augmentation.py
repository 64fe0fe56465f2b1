"""Random variants of a slice: draw the parameters, keep them in a table, apply them with one warp.

Applying is deterministic, so that any variant can be made again from its row. What varies is what differs between
heads and scanners: pose and shape (one affine warp), resolution, sharpness, contrast, brightness and noise; and a
rectangle may be erased [1]_, so that no single place decides.

References
----------
.. [1] Zhong et al. 2020, doi:10.1609/aaai.v34i07.7000
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated

import cv2
import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from brainmri.core.index import Kinds
from brainmri.core.params import Section

Share = Annotated[float, Field(ge=0, lt=1)]

SHARPEST_PX = 0.3  # a Gaussian any narrower changes nothing
SMALLEST_HOLE = 0.05  # share of the side
OFFSETS = 512  # the noise of a variant is cut from a larger field at one of 512 x 512 places
LEVELS_A_DEVIATION = 32  # of that field: uint8 about 128, so that it is cut off at four standard deviations


# The index of the stored variants; behind these stands what `draw` drew for each.
VARIANTS: Kinds = {"row": int, "image_id": str, "label": str}


class VariationParams(Section):
    """How far a variant may be from its image; each of them is off at 0, and every range includes no change."""

    rotation_deg: Annotated[float, Field(ge=0, le=180)]
    horizontal_flip: bool  # left-right, with probability one half
    vertical_flip: bool
    zoom: Share  # factor drawn from 1 / (1 + zoom) to 1 + zoom, as often above one as below
    shift: Share  # share of the side, along rows and along columns
    shear: Share  # columns moved for each row away from the centre, drawn from -shear to shear
    stretch: Share  # width over height, drawn from exp(-stretch) to exp(stretch) at equal area
    coarse: Annotated[float, Field(ge=0, le=0.9)]  # a quarter loses resolution: factor drawn from 1 - coarse to 1
    blur_px: Annotated[float, Field(ge=0, le=10)]  # a half is blurred: sd of the Gaussian drawn from 0.3 to blur_px
    gamma: Share  # exponent of the levels, drawn from exp(-gamma) to exp(gamma)
    brightness: Share  # factor drawn from 1 - brightness to 1 + brightness
    noise: Share  # a half gets Gaussian noise: sd drawn from 0 to noise, share of 255
    erase: Share  # a half loses a rectangle: sides drawn from 0.05 to erase, shares of the image's sides

    @field_validator("blur_px")
    @classmethod
    def _blurs(cls, blur_px: float) -> float:
        if 0 < blur_px < SHARPEST_PX:
            raise ValueError(f"0, or at least {SHARPEST_PX}")
        return blur_px

    @field_validator("erase")
    @classmethod
    def _erases(cls, erase: float) -> float:
        if 0 < erase < SMALLEST_HOLE:
            raise ValueError(f"0, or at least {SMALLEST_HOLE}")
        return erase


def draw(count: int, params: VariationParams, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the parameters of `count` variants: one row each, in six decimals so that a CSV file keeps them exactly.

    Returns
    -------
    DataFrame
        One column a parameter of `vary`: `rotation_deg`, `horizontal_flip`, `vertical_flip`, `zoom`, `shift_rows`,
        `shift_cols`, `shear`, `stretch`, `coarse`, `blur_px`, `gamma`, `brightness`, `noise`, `noise_seed`, and the
        rectangle `erase_top`, `erase_left`, `erase_height`, `erase_width`, all shares of the side.
    """
    p = params

    def spread(reach: float) -> np.ndarray:
        return rng.uniform(-reach, reach, count)

    def sometimes(share: float, low: float, high: float, otherwise: float) -> np.ndarray:
        drawn = rng.uniform(low, high, count)
        return np.where(rng.random(count) < share, drawn, otherwise)

    holed = 0.5 * (p.erase > 0)
    table = pd.DataFrame(
        {
            "rotation_deg": spread(p.rotation_deg),
            "horizontal_flip": p.horizontal_flip & (rng.random(count) < 0.5),
            "vertical_flip": p.vertical_flip & (rng.random(count) < 0.5),
            "zoom": np.exp(spread(math.log1p(p.zoom))),
            "shift_rows": spread(p.shift),
            "shift_cols": spread(p.shift),
            "shear": spread(p.shear),
            "stretch": np.exp(spread(p.stretch)),
            "coarse": sometimes(0.25, 1 - p.coarse, 1, otherwise=1),
            "blur_px": sometimes(0.5 * (p.blur_px > 0), SHARPEST_PX, max(p.blur_px, SHARPEST_PX), otherwise=0),
            "gamma": np.exp(spread(p.gamma)),
            "brightness": 1 + spread(p.brightness),
            "noise": sometimes(0.5, 0, p.noise, otherwise=0),
            "noise_seed": rng.integers(OFFSETS * OFFSETS, size=count),
            "erase_height": sometimes(holed, SMALLEST_HOLE, max(p.erase, SMALLEST_HOLE), otherwise=0),
            "erase_width": rng.uniform(SMALLEST_HOLE, max(p.erase, SMALLEST_HOLE), count),
        }
    )
    table["erase_width"] *= table["erase_height"] > 0
    table["erase_top"] = rng.random(count) * (1 - table["erase_height"])
    table["erase_left"] = rng.random(count) * (1 - table["erase_width"])
    return table.round(6)


def vary(image: np.ndarray, row: Mapping[str, float]) -> np.ndarray:
    """Apply one row of `draw` to an image: one warp for all geometry, then resolution, levels, noise and the hole.

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
    varied = cv2.warpAffine(image, matrix((height, width), row), (width, height), flags=cv2.INTER_LINEAR)
    if row["coarse"] < 1:
        few = max(1, round(width * row["coarse"])), max(1, round(height * row["coarse"]))
        varied = cv2.resize(cv2.resize(varied, few, interpolation=cv2.INTER_LINEAR), (width, height))
    if row["blur_px"] > 0:
        varied = cv2.GaussianBlur(varied, (0, 0), row["blur_px"])
    if row["gamma"] != 1 or row["brightness"] != 1:
        varied = cv2.LUT(varied, _levels(row["gamma"], row["brightness"]))
    varied = varied.reshape(image.shape)  # OpenCV drops a single channel
    if row["noise"] > 0:
        varied = _with_noise(varied, row["noise"], int(row["noise_seed"]))
    if row["erase_height"] > 0:
        top, left = round(height * row["erase_top"]), round(width * row["erase_left"])
        varied[top : top + round(height * row["erase_height"]), left : left + round(width * row["erase_width"])] = 0
    return varied


def matrix(size_hw: tuple[int, int], row: Mapping[str, float]) -> np.ndarray:
    """Return the (2, 3) matrix, in x, y order: flips, stretch, shear, rotation, zoom about the centre; then the shift.

    Written out, because products of such small matrices in NumPy take as long as the warp itself.
    """
    height, width = size_hw
    wider = math.sqrt(row["stretch"])
    x, y = (-wider if row["horizontal_flip"] else wider), (-1 / wider if row["vertical_flip"] else 1 / wider)
    cosine = row["zoom"] * math.cos(math.radians(row["rotation_deg"]))
    sine = row["zoom"] * math.sin(math.radians(row["rotation_deg"]))
    shear = row["shear"]
    xx, xy = cosine * x, (cosine * shear + sine) * y
    yx, yy = -sine * x, (cosine - sine * shear) * y
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    to_x = centre_x - xx * centre_x - xy * centre_y + row["shift_cols"] * width
    to_y = centre_y - yx * centre_x - yy * centre_y + row["shift_rows"] * height
    return np.array([[xx, xy, to_x], [yx, yy, to_y]])


_RAMP = np.linspace(0, 1, 256)


def _levels(gamma: float, brightness: float) -> np.ndarray:
    """Return what becomes of each of the 256 levels."""
    return np.minimum(np.rint(_RAMP**gamma * (255 * brightness)), 255).astype(np.uint8)


@lru_cache(maxsize=4)
def _noise_field(shape: tuple[int, int, int]) -> np.ndarray:
    """Return the field that noise is cut from; every channel gets the same, being a window of the same slice."""
    height, width, channels = shape
    field = np.random.default_rng(0).normal(128, LEVELS_A_DEVIATION, (height + OFFSETS, width + OFFSETS, 1))
    return np.repeat(np.clip(np.rint(field), 0, 255).astype(np.uint8), channels, axis=2)


def _with_noise(image: np.ndarray, deviation: float, seed: int) -> np.ndarray:
    height, width, channels = image.shape
    top, left = divmod(seed, OFFSETS)
    field = _noise_field((height, width, channels))[top : top + height, left : left + width]
    gain = deviation * 255 / LEVELS_A_DEVIATION
    return cv2.addWeighted(image, 1, field, gain, -128 * gain).reshape(image.shape)


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
