"""Smooth functions of a place in millimetres, kept as lattices of values and read off between the nodes."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

COLUMNS = 1024  # of the map handed to OpenCV, whose images may be at most 32,767 pixels on a side


@dataclass(frozen=True)
class Lattice:
    """Values on a regular grid of points.

    Attributes
    ----------
    mosaic : (Z * Y, X, C) float32
        The layers of constant z under each other, so that OpenCV's fast two-dimensional remap can read them.
    shape : (X, Y, Z)
    origin_mm : place of node (0, 0, 0)
    step_mm : distance between neighbouring nodes, the same along every axis
    periodic : whether the values repeat beyond the last node (which then equals the first) or stay as at the border
    """

    mosaic: np.ndarray
    shape: tuple[int, int, int]
    origin_mm: np.ndarray
    step_mm: float
    periodic: bool = False


def lattice(values: np.ndarray, origin_mm: np.ndarray, step_mm: float, periodic: bool = False) -> Lattice:
    """Return the `(X, Y, Z, C)` array `values` as a lattice; a periodic one gets its first nodes again at the end."""
    values = np.asarray(values, np.float32)
    if periodic:
        values = np.pad(values, ((0, 1), (0, 1), (0, 1), (0, 0)), mode="wrap")
    width, height, depth, channels = values.shape
    mosaic = np.ascontiguousarray(values.transpose(2, 1, 0, 3)).reshape(depth * height, width, channels)
    return Lattice(mosaic, (width, height, depth), np.asarray(origin_mm, np.float32), step_mm, periodic)


def sample(field: Lattice, points_mm: np.ndarray) -> np.ndarray:
    """Return the field's values at places, interpolated trilinearly.

    Parameters
    ----------
    points_mm : (..., 3) array of x, y, z

    Returns
    -------
    (..., C) float32. OpenCV rounds in-plane weights to 1/32: a value may be off by 1/64 of the step between two nodes.
    """
    count = points_mm[..., 0].size
    rows = max(1, -(-count // COLUMNS))
    flat = np.zeros((3, rows * COLUMNS), np.float32)
    flat[:, :count] = points_mm.reshape(-1, 3).T
    x, y, z = _nodes(field, flat).reshape(3, rows, COLUMNS)
    layer = np.minimum(np.floor(z), field.shape[2] - 2)
    row = y + layer * field.shape[1]
    values, above = _read(field, x, row), _read(field, x, row + field.shape[1])
    above -= values
    above *= (z - layer)[..., None]
    values += above
    channels = values.shape[-1]
    return values.reshape(-1, channels)[:count].reshape(*points_mm.shape[:-1], channels)


def noise(rng: np.random.Generator, nodes: int, channels: int) -> Lattice:
    """Return a periodic field of smooth noise with mean 0 and standard deviation 1, one millimetre between its nodes.

    Neighbouring hills lie about five nodes apart; divide the points by a factor to stretch them.
    """
    values = rng.standard_normal((nodes, nodes, nodes, channels), dtype=np.float32)
    values = ndimage.gaussian_filter(values, (1.2, 1.2, 1.2, 0), mode="wrap", truncate=3)
    return lattice(values / values.std(), np.zeros(3), 1.0, periodic=True)


def step(distance: np.ndarray, width: float = 1.0) -> np.ndarray:
    """Return 0 below -`width`, 1 above `width` and a straight ramp between: an edge without jaggies."""
    return np.clip(0.5 + distance / (2 * width), 0, 1)


def _nodes(field: Lattice, places_mm: np.ndarray) -> np.ndarray:
    """Return where `(3, N)` places lie, counted in nodes."""
    place = (places_mm - field.origin_mm[:, None]) / np.float32(field.step_mm)
    last = np.array(field.shape, np.float32)[:, None] - 1
    if field.periodic:
        place -= np.floor(place / last) * last  # several times as fast as np.mod
    return np.asarray(np.clip(place, 0, last, out=place))


def _read(field: Lattice, x: np.ndarray, row: np.ndarray) -> np.ndarray:
    values = cv2.remap(field.mosaic, x, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return values.reshape(*x.shape, -1)
