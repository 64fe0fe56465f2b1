"""Pictures that show scans. They are cached outputs of their stage and never go into git: scans are patients."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

DPI = 140
TRUTH, PREDICTION = "#00c8ff", "#ffb000"  # told apart with any colour vision, and on grey


def grid(
    path: Path, pictures: Sequence[np.ndarray], captions: Sequence[str], title: str, columns: int, empty: str = ""
) -> None:
    """Draw grey pictures in rows of `columns`, each with its caption.

    Parameters
    ----------
    path : Path
        PNG file to write.
    pictures : sequence of ndarray, shape (H, W) or (H, W, 3), uint8
        Three channels are shown as red, green and blue.
    captions : sequence of str
        One a picture, above it.
    title : str
    columns : int
    empty : str
        What to write where there are no pictures.
    """
    rows = max(1, -(-len(pictures) // columns))
    cell = max([1.2, *(picture.shape[1] / DPI for picture in pictures)])  # inches, so that no pixel is lost
    height = cell * max((picture.shape[0] / picture.shape[1] for picture in pictures), default=1)
    letters = max(6.0, 4.5 * cell)  # points: captions keep their share of a cell
    size = (cell * columns, (height + 0.045 * letters) * rows + 0.6)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    for axis, picture, caption in zip(axes.flat, pictures, captions, strict=False):
        axis.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axis.set_title(caption, fontsize=letters, pad=3)
    if not len(pictures):
        axes[0, 0].text(0, 0.5, empty, fontsize=9)
    figure.suptitle(title, fontsize=max(10.0, letters))
    figure.savefig(path, dpi=DPI)
    plt.close(figure)


def outlined(image: np.ndarray, truth: np.ndarray | None, prediction: np.ndarray | None, scale: int = 3) -> np.ndarray:
    """Outline masks on a scan: truth in blue, prediction in orange.

    Parameters
    ----------
    image : ndarray, shape (H, W), uint8
    truth, prediction : ndarray, shape (H, W), bool, or None
    scale : int
        Enlargement, so that a thin outline hides little.

    Returns
    -------
    ndarray, shape (scale * H, scale * W, 3), uint8
    """
    picture = np.repeat(np.kron(image, np.ones((scale, scale), np.uint8))[..., None], 3, axis=2)
    for mask, colour in ((truth, TRUTH), (prediction, PREDICTION)):
        if mask is not None:
            large = np.kron(mask, np.ones((scale, scale), bool))
            picture[large & ~ndimage.binary_erosion(large, iterations=scale - 1)] = [
                int(colour[i : i + 2], 16) for i in (1, 3, 5)
            ]
    return picture
