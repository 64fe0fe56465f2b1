"""Figures of one scan's quality, all on the square grid and inside the head."""

import math

import cv2
import numpy as np

from brainmri.core.index import QUALITY


def quality(square: np.ndarray, inside: np.ndarray, counts: np.ndarray, counts_256: np.ndarray) -> dict[str, float]:
    """Measure a scan.

    Parameters
    ----------
    square : ndarray, shape (S, S), uint8 or uint16
        The scan before any window.
    inside : ndarray, shape (S, S), bool
        The head; NaN stands for every figure but `head_fraction` where it is empty.
    counts : ndarray, shape (256,) or (65536,)
        How many pixels inside have each level, of `images.level_counts`.
    counts_256 : ndarray, shape (256,)
        The same of the scan in 256 levels, of `images.eight_bit`.

    Returns
    -------
    dict of float
        `snr`: mean over the standard deviation of the noise [1]_. `contrast`:
        (p95 - p5) / (p95 + p5) of the levels. `sharpness`: variance of the Laplacian over the variance of the image.
        `entropy_bits`: Shannon entropy of the levels. `head_fraction`: share of the frame. `clipped_fraction`: share
        of the head at the type's highest level.

    References
    ----------
    .. [1] Immerkaer, J., Comput. Vis. Image Underst. 64 (1996), doi:10.1006/cviu.1996.0060
    """
    mask = inside.view(np.uint8)
    count = cv2.countNonZero(mask)
    if count == 0:
        return dict.fromkeys(QUALITY, float("nan")) | {"head_fraction": 0.0}
    levels = np.arange(len(counts), dtype=np.float64)
    mean = float(counts @ levels) / count
    spread = float(counts @ (levels - mean) ** 2) / count
    p5, p95 = np.cumsum(counts_256).searchsorted((0.05 * count, 0.95 * count)).tolist()
    information = float(counts_256 @ np.log2(np.maximum(counts_256, 1)))
    depth = cv2.CV_16S if square.dtype == np.uint8 else cv2.CV_32F
    # Both second derivatives at once are Immerkaer's kernel, blind to constant, linear and quadratic-saddle structure,
    # so that what is left is mostly noise.
    rough = cv2.norm(cv2.Sobel(square, depth, 2, 2), cv2.NORM_L1, mask) / count
    _, edges = cv2.meanStdDev(cv2.Laplacian(square, depth), mask=mask)
    return {
        "snr": mean / (math.sqrt(math.pi / 2) / 6 * rough) if rough > 0 else float("nan"),
        "contrast": (p95 - p5) / (p95 + p5) if p95 > 0 else 0.0,
        "sharpness": float(edges[0, 0]) ** 2 / spread if spread > 0 else 0.0,
        "entropy_bits": math.log2(count) - information / count,
        "head_fraction": count / square.size,
        "clipped_fraction": float(counts[-1]) / count,
    }
