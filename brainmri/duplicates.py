"""Find twins: images that are the same picture, perhaps re-encoded, rescaled, slightly cropped or mirrored.

A thumbnail of 32x32 px, its mean removed and its norm one, is compared with every other by inner product, as it is and
mirrored left to right. Above 0.98 two slices of the public sets are one picture to the eye; slices of different
patients at the same level stay below. Slices of one patient that look different are not found: nothing in the pixels
tells them, so that a set without pairs is *twin-free*, which is less than free of leaks.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SIDE = 32  # px
BLOCK = 2048  # rows compared at a time: a block of similarities is at most BLOCK x N float32


def thumbnail(square: np.ndarray) -> np.ndarray:
    """Return a (1024,) float32 vector of mean 0 and norm 1 from a grey image; zeros from a constant one."""
    small = cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    norm = float(np.linalg.norm(small))
    return small / norm if norm > 0 else np.zeros_like(small)


def twin_pairs(thumbnails: np.ndarray, threshold: float, mirror: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every pair of rows whose similarity is above `threshold`.

    Exact: all pairs are compared, a block of rows at a time, so that memory grows with N and never with N squared.

    Parameters
    ----------
    thumbnails : ndarray, shape (N, 1024), float32
        Of `thumbnail`.
    threshold : float
        In (0, 1).
    mirror : bool
        Whether a picture and its left-right mirror image count as one.

    Returns
    -------
    first, second : ndarray, shape (P,), int
        Rows with `first < second`, sorted.
    similarity : ndarray, shape (P,), float32
        The larger of the direct and the mirrored inner product.
    """
    found = [block for block in _blocks(thumbnails, threshold, mirror) if len(block[0])]
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    first, second, similarity = (np.concatenate(part) for part in zip(*found, strict=True))
    return first, second, similarity


def _blocks(thumbnails: np.ndarray, threshold: float, mirror: bool) -> Iterator[tuple[np.ndarray, ...]]:
    count = len(thumbnails)
    flipped = thumbnails.reshape(count, SIDE, SIDE)[:, :, ::-1].reshape(count, -1) if mirror else None
    for start in range(0, count, BLOCK):
        rows = thumbnails[start : start + BLOCK]
        similarity = rows @ thumbnails[start:].T
        if flipped is not None:
            similarity = np.maximum(similarity, rows @ flipped[start:].T)
        first, second = np.nonzero(similarity > threshold)
        later = second > first  # both are counted from `start`: keep each pair once, and no row with itself
        first, second = first[later], second[later]
        yield first + start, second + start, similarity[first, second]


def groups(count: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return a group number for each of `count` rows: rows joined by a chain of pairs share one."""
    links = coo_array((np.ones(len(first), bool), (first, second)), shape=(count, count))
    numbers: np.ndarray = connected_components(links, directed=False)[1]
    return numbers
