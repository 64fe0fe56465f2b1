"""Figures of one scan's quality, all on the square grid and inside the head."""

import cv2
import numpy as np

COLUMNS = ("snr", "contrast", "sharpness", "entropy_bits", "head_fraction", "clipped_fraction")

# Immerkaer's kernel: blind to constant, linear and quadratic-saddle structure, so that what is left is mostly noise.
_NOISE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


def quality(square: np.ndarray, levels: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """Measure a scan.

    Parameters
    ----------
    square : ndarray, shape (S, S), uint8 or uint16
        The scan before any window.
    levels : ndarray, shape (S, S), uint8
        The same in 256 levels, of `images.eight_bit`.
    inside : ndarray, shape (S, S), bool
        The head; NaN stands for every figure but `head_fraction` where it is empty.

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
    count = int(np.count_nonzero(inside))
    if count == 0:
        return dict.fromkeys(COLUMNS, float("nan")) | {"head_fraction": 0.0}
    top = np.iinfo(square.dtype).max
    values = square[inside]
    shares = np.bincount(levels[inside], minlength=256) / count
    p5, p95 = np.searchsorted(np.cumsum(shares), (0.05, 0.95))
    frame = square.astype(np.float32)
    noise = np.sqrt(np.pi / 2) / 6 * np.abs(cv2.filter2D(frame, -1, _NOISE)[inside]).mean()
    spread = float(values.var())
    present = shares[shares > 0]
    return {
        "snr": float(values.mean() / noise) if noise > 0 else float("nan"),
        "contrast": float((p95 - p5) / (p95 + p5)) if p95 > 0 else 0.0,
        "sharpness": float(cv2.Laplacian(frame, cv2.CV_32F)[inside].var() / spread) if spread > 0 else 0.0,
        "entropy_bits": float(-(present * np.log2(present)).sum()),
        "head_fraction": count / square.size,
        "clipped_fraction": float(np.count_nonzero(values == top) / count),
    }
