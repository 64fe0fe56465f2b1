"""Decode a picture to grey: every bit depth, photometric meaning, transparency and orientation of its format.

The commonest files go to what is fastest: PNG to OpenCV, JPEG to simplejpeg, which gives the pixels that OpenCV does in
the same time, and refuses what is damaged. Deep PNG and TIFF go to imagecodecs, which gives their samples as they are
stored; all else goes to Pillow.
"""

import io
import struct
import zlib
from typing import Any

import cv2
import imagecodecs
import numpy as np
import simplejpeg
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from brainmri.core import kinds
from brainmri.core.errors import InputError

_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_JPEG, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_TIFF = (b"II*\0", b"MM\0*")

# Pillow's names of the commonest formats, by the components of a JPEG and by the bit depth and colour type of a PNG.
_JPEG_MODES = {1: "L", 3: "RGB"}
_PNG_MODES = {b"\x08\x00": "L", b"\x10\x00": "I;16", b"\x08\x02": "RGB"}
_DEEP_MODES = {1: "I;16", 2: "LA", 3: "RGB", 4: "RGBA"}  # by the samples of a pixel

# How a picture is to be turned, by EXIF's Orientation: mirrored left to right first, then by quarters to the left.
_TURNS = {1: (0, 0), 2: (1, 0), 3: (0, 2), 4: (1, 2), 5: (1, 1), 6: (0, 3), 7: (1, 3), 8: (0, 1)}
# What the three raise on damaged files, found by changing bytes (tests/fuzz).
_DAMAGE = (
    *(
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        LookupError,
        RuntimeError,
        AttributeError,
        ArithmeticError,
        EOFError,
    ),
    *(AssertionError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError, cv2.error),
)


def decode(data: bytes) -> tuple[np.ndarray, str]:
    """Decode an image file to grey.

    Returns
    -------
    grey : ndarray, shape (H, W), uint8 or uint16
        Luminance, in the file's own depth, 0 is black; turned as the file says; what is transparent is black.
    mode : str
        Pillow's name of the file's pixel format, such as `L`, `RGB` or `I;16`.

    Raises
    ------
    InputError
        If the bytes are not an image, are cut off or damaged, or announce too many pixels, before these are decoded;
        the message gives the reason only.
    """
    if data.startswith(_PNG) and _PNG_END not in data:
        raise InputError("cannot be decoded: a PNG that is cut off; fetch it anew")  # Pillow may read it all the same
    try:
        mode = _plain_mode(data)
        if mode is not None:
            return (_whole_jpeg if data.startswith(_JPEG) else _by_opencv)(data), mode
        if data.startswith(_PNG) and data[24:25] == b"\x10":
            return _deep_png(data)
        if data.startswith(_TIFF) and (tags := _tiff_tags(data)).get(258, (1,))[0] == 16:
            return _deep_tiff(data, tags)
        return _by_pillow(data)
    except UnidentifiedImageError:
        raise InputError("cannot be decoded: no known image format") from None
    except _DAMAGE as error:
        raise InputError(f"cannot be decoded: {' '.join(str(error).split()) or type(error).__name__}") from None


def _plain_mode(data: bytes) -> str | None:
    """Return the mode of a whole JPEG or PNG of a common format, read off its first bytes; None: others have to look.

    Pillow's own reading of a header takes a third as long as the decoding of a small JPEG.
    """
    if data.startswith(_PNG) and data.endswith(_PNG_END):
        special = any(name in data[: data.find(b"IDAT")] for name in (b"tRNS", b"eXIf", b"acTL"))
        if special or data[12:16] != b"IHDR":
            return None
        kinds.require_few_pixels("a picture", int.from_bytes(data[16:20]), int.from_bytes(data[20:24]))
        return _PNG_MODES.get(data[24:26])
    at = 2 if data.startswith(_JPEG) and data.endswith(_JPEG_END) else len(data)
    while data[at : at + 1] == b"\xff":  # one segment after another, until the one that starts a frame
        if data[at + 1] in (0xC0, 0xC1, 0xC2) and at + 9 < len(data):
            kinds.require_few_pixels(
                "a picture", *(int.from_bytes(data[at + place : at + place + 2]) for place in (7, 5))
            )
            return _JPEG_MODES.get(data[at + 9])
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def _whole_jpeg(data: bytes) -> np.ndarray:
    """Decode a JPEG, or refuse it where codes are missing, too many or damaged.

    OpenCV and Pillow make a picture of such a file without a word: libjpeg goes on with a warning that they pass over.
    """
    try:
        grey = simplejpeg.decode_jpeg(data, "GRAY", strict=True)[..., 0]
    except ValueError:
        raise InputError("cannot be decoded: a JPEG of which a part is missing or damaged; fetch it anew") from None
    if b"Exif\0" not in data[: data.find(_JPEG_SCAN)]:
        return np.ascontiguousarray(grey)
    with Image.open(io.BytesIO(data)) as header:
        return _turned(grey, header.getexif().get(274, 1))


def _by_opencv(data: bytes) -> np.ndarray:
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    if grey is None:
        raise ValueError("damaged")
    return grey


def _deep_png(data: bytes) -> tuple[np.ndarray, str]:
    """Decode a PNG of 16 bits with colours or transparency."""
    with Image.open(io.BytesIO(data), formats=["PNG"]) as header:
        _require_one_page(header)
        kinds.require_few_pixels("a picture", *header.size)
        turn = header.getexif().get(274, 1)
        mode = str(header.mode)
    samples = imagecodecs.png_decode(data)
    return _turned(_grey(np.atleast_3d(samples), True), turn), mode


def _tiff_tags(data: bytes) -> Any:
    """Return the tags of a TIFF's only page, also where Pillow knows no mode for them."""
    tags = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
    file = io.BytesIO(data)
    file.seek(tags.next)
    tags.load(file)
    return dict(tags) if not tags.next else {}  # Pillow counts the pages


def _deep_tiff(data: bytes, tags: dict[int, Any]) -> tuple[np.ndarray, str]:
    """Decode a TIFF of 16 bits."""
    photometric, kind = tags.get(262, 1), tags.get(339, (1,))[0]
    if photometric not in (0, 1, 2) or kind != 1:
        found = f"samples of kind {kind} and photometric meaning {photometric}"
        raise ValueError(f"grey or RGB pixels of 8 or 16 bits without a sign are needed, received {found}")
    kinds.require_few_pixels("a picture", int(tags.get(256, 0)), int(tags.get(257, 0)))
    if not 0 < tags.get(277, 1) <= len(_DEEP_MODES):
        raise ValueError(f"1 to {len(_DEEP_MODES)} samples a pixel are needed, received {tags[277]}")
    samples = np.atleast_3d(imagecodecs.tiff_decode(data))
    if tags.get(284, 1) == 2 and samples.shape[0] == tags.get(277, 1):
        samples = np.moveaxis(samples, 0, -1)  # stored colour by colour
    if photometric == 0:
        samples[..., 0] = np.iinfo(np.uint16).max - samples[..., 0]
    extra, colours = tags.get(338, ()), 3 if photometric == 2 else 1
    grey = _grey(samples[..., : colours + len(extra)], 2 in extra)
    return _turned(grey, tags.get(274, 1)), _DEEP_MODES.get(samples.shape[-1], "RGB")


def _grey(samples: np.ndarray, alpha: bool) -> np.ndarray:
    """Return samples (H, W, 1 to 4 or more) uint16 as luminance on black; `alpha` is whether they are to be dimmed."""
    colours = 3 if samples.shape[-1] > 2 else 1
    grey = samples[..., 0] if colours == 1 else cv2.cvtColor(np.ascontiguousarray(samples[..., :3]), cv2.COLOR_RGB2GRAY)
    if alpha and samples.shape[-1] > colours:
        for row, opacity in zip(grey, samples[..., colours], strict=True):  # floats are 4 times as large
            row[...] = np.rint(row * (opacity / np.iinfo(np.uint16).max))
    return np.ascontiguousarray(grey)


def _turned(grey: np.ndarray, orientation: int) -> np.ndarray:
    mirrored, quarters = _TURNS.get(orientation, (0, 0))
    return np.ascontiguousarray(np.rot90(grey[:, ::-1] if mirrored else grey, quarters))


def _by_pillow(data: bytes) -> tuple[np.ndarray, str]:
    with Image.open(io.BytesIO(data), formats=kinds.FORMATS) as picture:
        mode = str(picture.mode)
        kinds.require_few_pixels("a picture", *picture.size)
        _require_one_page(picture)
        picture.load()
        turned = ImageOps.exif_transpose(picture)
        if mode.startswith("I;16"):
            return np.asarray(turned).astype(np.uint16), mode
        if mode in ("I", "F"):
            raise ValueError(f"8-bit or 16-bit pixels are needed, received Pillow's mode {mode}")
        return _on_black(turned) if turned.has_transparency_data else np.asarray(turned.convert("L")), mode


def _require_one_page(picture: Image.Image) -> None:
    pages = getattr(picture, "n_frames", 1)
    if pages > 1:
        raise InputError(f"a picture should have one page, received {pages}; save each as a file of its own")


def _on_black(picture: Image.Image) -> np.ndarray:
    """Return a picture with transparent places in grey (H, W) uint8, on black as the background of a scan is."""
    coloured = picture.convert("RGBA")
    black = Image.new("RGBA", coloured.size, (0, 0, 0, 255))
    return np.asarray(Image.alpha_composite(black, coloured).convert("L"))
