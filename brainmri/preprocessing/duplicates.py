"""Find pictures that are the same, or nearly: copies (twins), and slices that look like neighbours in one head.

Two thumbnails of 32x32 px are made of each image, their mean removed and their norm one, and compared with those of
every other by inner product, as they are and mirrored left to right:

- the plain one, of the whole frame: finds what was re-encoded, rescaled or mirrored;
- the centred one, moved to the centre of mass of the picture and scaled by its spread (image moments [1]_): finds small
  crops as well, which move a skull's edge by a pixel and so escape the first, and tells neighbours from strangers best.

What the thresholds are worth, with the figures, stands in docs/twins.md. Slices of one patient that look different are
not found: nothing in the pixels tells them, so that a set without pairs is *twin-free*, which is less than free of
leaks.

References
----------
.. [1] Hu 1962, doi:10.1109/TIT.1962.1057692
"""

import hashlib
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SIDE = 32  # px
REACH = 2.2  # a centred thumbnail shows so many standard deviations of brightness to each side: the head and its rim
FREQUENCIES = 16  # rows and columns of the cosine transform that the first comparison uses
BLOCK = 2048  # rows compared at a time: memory is a few blocks of BLOCK x BLOCK float32, whatever N
EXACT_AT_ONCE = 8192  # pairs compared in full at a time
ROUNDING = 1e-4  # float32 sums of the first comparison may be so far off


def thumbnail(square: np.ndarray) -> np.ndarray:
    """Return a (1024,) float32 vector of mean 0 and norm 1 from a grey image; zeros from a constant one."""
    small = cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    norm = float(np.linalg.norm(small))
    return small / norm if norm > 0 else np.zeros_like(small)


def centred_thumbnail(window: np.ndarray) -> np.ndarray:
    """Return the `thumbnail` of a picture that was moved and scaled by its own centre of mass and spread.

    `window` is (S, S) uint8 whose background is 0, as the windows of `images.window_table` leave it; a constant one
    gives zeros.
    """
    if window.min() == window.max():
        return np.zeros(SIDE**2, np.float32)
    moments = cv2.moments(window)
    mass = moments["m00"]
    spread = max(np.sqrt((moments["mu20"] + moments["mu02"]) / (2 * mass)), 1.0)  # px; 1 for a single bright pixel
    grid = 2 * SIDE  # twice as fine, then averaged, so that no detail falls between the pixels
    scale = grid / (2 * REACH * spread)
    middle = grid / 2 - 0.5
    x, y = moments["m10"] / mass, moments["m01"] / mass
    to_grid = np.array([[scale, 0, middle - scale * x], [0, scale, middle - scale * y]])
    return thumbnail(cv2.warpAffine(window, to_grid, (grid, grid), flags=cv2.INTER_LINEAR))


def of_windows(images: np.ndarray, make: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the thumbnails (N, 1024) float32 that `make` gives of the first window of images (N, S, S, C) uint8."""
    made = np.zeros((len(images), SIDE**2), np.float32)
    for at, image in enumerate(images):
        made[at] = make(np.ascontiguousarray(image[..., 0]))
    return made


def similar_pairs(thumbnails: np.ndarray, threshold: float, mirror: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every pair of rows whose similarity is above `threshold`.

    Exact, without computing all products in full: the low frequencies of the cosine transform, which is orthonormal,
    give a part of the inner product, and the rest is at most the product of the norms of what they leave out
    (Cauchy and Schwarz). Only pairs that this bound lets pass are compared in full. Mirroring turns the sign of the
    odd columns' coefficients, so that one product serves both the picture and its mirror image.

    Parameters
    ----------
    thumbnails : ndarray, shape (N, 1024), float32
        Of norm 1 or 0.
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
    even, odd = _low_frequencies(thumbnails)
    parts = [
        _compared(thumbnails, first, second, threshold, mirror)
        for first, second in _candidates(even, odd, threshold - ROUNDING, mirror)
    ]
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    first, second, similarity = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.lexsort((second, first))
    return first[order], second[order], similarity[order]


def _low_frequencies(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients of even columns, with the norm of all that is left out behind them, and of odd ones."""
    count, half = len(thumbnails), FREQUENCIES**2 // 2
    even, odd = np.empty((count, half + 1), np.float32), np.empty((count, half), np.float32)
    for start in range(0, count, BLOCK):
        rows = slice(start, start + BLOCK)
        pictures = thumbnails[rows].reshape(-1, SIDE, SIDE)
        low = dctn(pictures, axes=(1, 2), norm="ortho")[:, :FREQUENCIES, :FREQUENCIES]
        even[rows, :half] = low[:, :, ::2].reshape(-1, half)
        odd[rows] = low[:, :, 1::2].reshape(-1, half)
        rest = (pictures**2).sum((1, 2)) - (low**2).sum((1, 2))
        even[rows, half] = np.sqrt(np.maximum(rest, 0))
    return even, odd


def _candidates(
    even: np.ndarray, odd: np.ndarray, bound: float, mirror: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the pairs of rows, block by block, whose similarity may be above `bound`."""
    for top in range(0, len(even), BLOCK):
        for left in range(top, len(even), BLOCK):
            most = even[top : top + BLOCK] @ even[left : left + BLOCK].T
            turned = odd[top : top + BLOCK] @ odd[left : left + BLOCK].T
            most += np.abs(turned, out=turned) if mirror else turned
            first, second = np.divmod(np.flatnonzero(most > bound), most.shape[1])
            later = second + left > first + top  # each pair once, and no row with itself
            for start in range(0, int(later.sum()), EXACT_AT_ONCE):
                part = slice(start, start + EXACT_AT_ONCE)
                yield first[later][part] + top, second[later][part] + left


def _compared(
    thumbnails: np.ndarray, first: np.ndarray, second: np.ndarray, threshold: float, mirror: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    one, other = (thumbnails[rows].reshape(-1, SIDE, SIDE) for rows in (first, second))
    similarity = np.einsum("nhw,nhw->n", one, other)
    if mirror:
        similarity = np.maximum(similarity, np.einsum("nhw,nhw->n", one, other[:, :, ::-1]))
    kept = similarity > threshold
    return first[kept], second[kept], similarity[kept]


def equal_pairs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of rows with equal `values` (N,): each with the first of its kind, so that N stay below N pairs."""
    _, start, kind = np.unique(values, return_index=True, return_inverse=True)
    second = np.flatnonzero(start[kind] != np.arange(len(values)))
    return start[kind][second], second


def digest(pixels: np.ndarray) -> str:
    """Return the SHA-256 of an array's pixels: equal for pictures that are equal pixel by pixel."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


def groups(count: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return a group number for each of `count` rows: rows joined by a chain of pairs share one."""
    links = coo_array((np.ones(len(first), bool), (first, second)), shape=(count, count))
    numbers: np.ndarray = connected_components(links, directed=False)[1]
    return numbers
