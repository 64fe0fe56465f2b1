"""How a pixel is changed: decode a file to grey, bring it to the square grid, find the head, apply the windows.

Prediction uses these same functions with the `ImageParams` that travel inside a model's folder.
"""

import io
import math
from typing import Annotated, Literal

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError
from pydantic import Field, field_validator

from brainmri.core.errors import InputError
from brainmri.core.params import Section

Percentile = Annotated[float, Field(ge=0, le=100)]

Window = Annotated[list[Percentile], Field(min_length=2, max_length=2)]  # the percentiles that become 0 and 1


class ImageParams(Section):
    """What turns a scan into a network's input; a model only ever sees images made with one set of these."""

    size: Annotated[int, Field(ge=16, le=1024)]  # side of the square grid, px
    fit: Literal["pad", "stretch"]  # how a non-square image meets the square grid
    # Percentiles inside the head, or of the whole frame; or the scan's own window first and percentiles for the rest.
    window_source: Literal["percentile", "frame", "dicom"]
    windows: Annotated[list[Window], Field(min_length=1, max_length=8)]  # one a channel

    @field_validator("windows")
    @classmethod
    def _low_below_high(cls, windows: list[list[float]]) -> list[list[float]]:
        if any(low >= high for low, high in windows):
            raise ValueError("pairs with the low percentile below the high one")
        return windows


# The last bytes of a whole file. OpenCV decodes a cut-off JPEG without complaint, so that files without these
# are decoded once more by Pillow, which refuses them.
_TAILS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}

# Pillow's names of the formats in which a pixel can be transparent.
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")

# Its names of the commonest formats, by the components of a JPEG and by the bit depth and colour type of a PNG.
_JPEG_MODES = {1: "L", 3: "RGB"}
_PNG_MODES = {b"\x08\x00": "L", b"\x10\x00": "I;16", b"\x08\x02": "RGB"}


def _plain_mode(data: bytes) -> str | None:
    """Return the mode of a whole JPEG or PNG of a common format, read off its first bytes; None: Pillow has to look.

    Pillow's own reading of a header takes a third as long as the decoding of a small JPEG.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data.endswith(_TAILS["PNG"]):
        return None if b"tRNS" in data[: data.find(b"IDAT")] else _PNG_MODES.get(data[24:26])
    at = 2 if data.startswith(b"\xff\xd8") and data.endswith(_TAILS["JPEG"]) else len(data)
    while data[at : at + 1] == b"\xff":  # one segment after another, until the one that starts a frame
        if data[at + 1] in (0xC0, 0xC1, 0xC2) and at + 9 < len(data):
            return _JPEG_MODES.get(data[at + 9])
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def _on_black(picture: Image.Image) -> np.ndarray:
    """Return a picture with transparent places in grey (H, W) uint8, on black as the background of a scan is."""
    coloured = picture.convert("RGBA")
    black = Image.new("RGBA", coloured.size, (0, 0, 0, 255))
    return np.asarray(Image.alpha_composite(black, coloured).convert("L"))


def _look_closely(data: bytes) -> tuple[str, np.ndarray | None]:
    """Return the mode that Pillow finds, and the picture where it is transparent; refuse several and what is cut."""
    try:
        with Image.open(io.BytesIO(data)) as header:
            mode = str(header.mode)
            pages = getattr(header, "n_frames", 1)
            if pages > 1:
                raise InputError(f"a picture should have one page, received {pages}; save each as a file of its own")
            tail = _TAILS.get(str(header.format))
            if mode in _WITH_ALPHA or "transparency" in header.info:
                return mode, _on_black(header)
            if tail is None or not data.rstrip(b"\0").endswith(tail):
                header.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "no known image format" if isinstance(error, UnidentifiedImageError) else str(error)
        raise InputError(f"cannot be decoded: {reason}") from None
    return mode, None


def decode(data: bytes) -> tuple[np.ndarray, str]:
    """Decode an image file to grey.

    Returns
    -------
    grey : ndarray, shape (H, W), uint8 or uint16
        Luminance, in the file's own depth; what is transparent is black.
    mode : str
        Pillow's name of the file's pixel format, such as `L`, `RGB` or `I;16`.

    Raises
    ------
    InputError
        If the bytes are not an image, or are cut off; the message gives the reason only.
    """
    mode = _plain_mode(data)
    if mode is None:
        mode, grey = _look_closely(data)
        if grey is not None:
            return grey, mode
    try:
        grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    except cv2.error as error:
        raise InputError(f"cannot be decoded: {error.err}") from None
    if grey is None or grey.dtype not in (np.uint8, np.uint16):
        found = "nothing" if grey is None else f"pixels of type {grey.dtype}"
        raise InputError(f"cannot be decoded: 8-bit or 16-bit pixels are needed, received {found}")
    return grey, mode


def to_square(image: np.ndarray, size: int, fit: str) -> tuple[np.ndarray, tuple[float, float]]:
    """Bring an image to the square grid: averaged when it shrinks, bilinear when it grows.

    What shrinks becomes, bilinearly, a power of two times as large as the result and is then halved by 2x2 means:
    within a level of the exact mean by area (root mean square, real scans) in less than half of its time.

    Parameters
    ----------
    image : ndarray, shape (H, W)
    size : int
        Side of the result, px.
    fit : {"pad", "stretch"}
        `pad` keeps the shape and centres the image on black; `stretch` scales both sides to `size`.

    Returns
    -------
    square : ndarray, shape (size, size), dtype of `image`
    scale : tuple of float
        New pixels per old pixel along rows and columns; the voxel size divides by it.
    """
    height, width = image.shape
    if fit == "stretch":
        rows, cols = size, size
    else:
        longest = max(height, width)
        rows, cols = (max(1, round(side * size / longest)) for side in (height, width))
    resized = _shrunk(image, rows, cols) if rows < height and cols < width else _bilinear(image, rows, cols)
    if (rows, cols) != (size, size):
        top, left = (size - rows) // 2, (size - cols) // 2
        resized = cv2.copyMakeBorder(
            resized, top, size - rows - top, left, size - cols - left, cv2.BORDER_CONSTANT, value=0
        )
    return resized, (rows / height, cols / width)


def _bilinear(image: np.ndarray, rows: int, cols: int) -> np.ndarray:
    return image if image.shape == (rows, cols) else cv2.resize(image, (cols, rows), interpolation=cv2.INTER_LINEAR)


def _shrunk(image: np.ndarray, rows: int, cols: int) -> np.ndarray:
    height, width = image.shape
    times = 2 ** max(1, int(math.log2(min(height / rows, width / cols))))
    image = _bilinear(image, rows * times, cols * times)
    while times > 1:
        times //= 2
        image = cv2.resize(image, (cols * times, rows * times), interpolation=cv2.INTER_AREA)
    return image


def eight_bit(image: np.ndarray) -> np.ndarray:
    """Return an image in 256 levels: as it is if it is uint8, else its own range stretched over them."""
    if image.dtype == np.uint8:
        return image
    return np.asarray(cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX, dtype=cv2.CV_8U))


def mask_to_square(mask: np.ndarray, size: int, fit: str) -> np.ndarray:
    """Bring a mask, shape (H, W), bool, to the square grid; a pixel is foreground where half of its area or more is."""
    square, _ = to_square(mask.astype(np.uint8) * np.uint8(255), size, fit)
    foreground: np.ndarray = square >= 128
    return foreground


def head(square: np.ndarray) -> np.ndarray:
    """Find the head: the largest connected thing brighter than the background, with its holes filled.

    Half of Otsu's threshold [1]_ keeps dark tissue (CSF, bone) that the threshold itself would give to the background;
    a mean over 3x3 pixels before it keeps noise out of the outline.

    Parameters
    ----------
    square : ndarray, shape (S, S), uint8 or uint16

    Returns
    -------
    ndarray, shape (S, S), bool
        All False for a constant image.

    References
    ----------
    .. [1] Otsu, N., IEEE Trans. Syst. Man Cybern. 9 (1979), doi:10.1109/TSMC.1979.4310076
    """
    smooth = eight_bit(cv2.blur(square, (3, 3)))
    low, high, _, _ = cv2.minMaxLoc(smooth)
    if low == high:
        return np.zeros(square.shape, bool)
    otsu, _ = cv2.threshold(smooth, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    _, bright = cv2.threshold(smooth, otsu // 2, 1, cv2.THRESH_BINARY)
    outlines, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    filled = np.zeros(square.shape, np.uint8)
    cv2.drawContours(filled, [max(outlines, key=cv2.contourArea)], 0, 1, thickness=cv2.FILLED)
    return filled.view(bool)


def level_counts(image: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """Count the pixels of each level inside a head; in the whole frame where that is empty or not given.

    Parameters
    ----------
    image : ndarray, shape (S, S), uint8 or uint16
    inside : ndarray, shape (S, S), bool, or None

    Returns
    -------
    ndarray, shape (256,) or (65536,), float64
        Whole numbers.
    """
    levels = np.iinfo(image.dtype).max + 1
    mask = inside.view(np.uint8) if inside is not None and inside.any() else None
    return cv2.calcHist([image], [0], mask, [levels], [0, levels]).ravel().astype(np.float64)


def window_table(
    square: np.ndarray, counts: np.ndarray, params: ImageParams, own: tuple[float, float] | None = None
) -> np.ndarray:
    """Return what becomes of each level in each window: its low percentile 0, its high one 255, clipped outside.

    Parameters
    ----------
    square : ndarray, shape (S, S), uint8 or uint16
    counts : ndarray
        Its `level_counts` inside the head; not used where `window_source` is `frame`.
    params : ImageParams
    own : pair of float, optional
        The levels that the scan's own file shows as black and white. They replace the first window where
        `window_source` is `dicom`; a scan without keeps its percentiles.

    Returns
    -------
    ndarray, shape (C, 256) or (C, 65536), uint8
        A window without width (a constant image) gives 0 throughout.
    """
    reached = np.cumsum(level_counts(square) if params.window_source == "frame" else counts)
    bounds = reached.searchsorted(np.maximum(np.array(params.windows) * (reached[-1] / 100), 1))  # (C, 2)
    if own is not None and params.window_source == "dicom":
        bounds = np.vstack([own, bounds[1:]])
    low, high = bounds[:, :1], bounds[:, 1:]
    ramps = (np.arange(len(counts)) - low) * (255 / np.maximum(high - low, 1) * (high > low))
    return np.rint(ramps.clip(0, 255)).astype(np.uint8)


def apply_table(square: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Apply the windows of `window_table` to an image (S, S); return (S, S, C) uint8."""
    if square.dtype == np.uint16:
        return np.take(table.T, square, axis=0)
    return cv2.merge([cv2.LUT(square, row) for row in table]).reshape(*square.shape, len(table))
