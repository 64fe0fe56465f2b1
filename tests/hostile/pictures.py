"""Pictures."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from hostile.rows import Refused, Result, Row, decoded, predicted, saved
from PIL import Image

TITLE = "Pictures"
INTRO = "As every stage, `brainmri predict`, page and API read them."

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
PNG = bytes(cv2.imencode(".png", GREY)[1])
JPEG = bytes(cv2.imencode(".jpg", GREY)[1])


def made(kind, pixels, mode=None, **how):
    """Return an image file that Pillow writes."""
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(place := io.BytesIO(), kind, **how)
    return place.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def announced(width, height, bits=8, data=b"", adam7=0):
    """Return a grey PNG that says how large it is and holds these rows, or next to nothing."""
    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, bits, 0, 0, 0, adam7))
    return PNG[:8] + header + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def jpeg_of(width, height):
    """Return a JPEG whose header was changed to another size."""
    at = JPEG.index(b"\xff\xc0")
    return JPEG[: at + 5] + struct.pack(">2H", height, width) + JPEG[at + 9 :]


def exif(orientation):
    own = Image.Exif()
    own[274] = orientation
    return own


def shape_of(path: Path):
    mode, levels = decoded(path)
    return [mode, len(levels), len(levels[0]), len({level for row in levels for level in row})]


def png(pixels):
    return saved("a.png", bytes(cv2.imencode(".png", pixels)[1]))


def two(kind):
    return made(kind, GREY, save_all=True, append_images=[Image.fromarray(GREY + 9)])


HALF = np.dstack([np.full((2, 2, 3), 200, np.uint8), np.array([[255, 0], [255, 0]], np.uint8)])
CMYK = made("JPEG", np.full((8, 8, 3), 100, np.uint8), "CMYK")
PALETTE = made("PNG", np.repeat(GREY[..., None], 3, 2), "P")
NAN = made("TIFF", np.full((4, 4), np.nan, np.float32))
NO_HEAD = "read right; `predict` then says that it shows no head"
DEEP = GREY.astype(np.uint16) * 1000
ROWS = [
    Row(
        "no bytes at all",
        saved("a.png", b""),
        predicted,
        Refused(
            "FILE: cannot be decoded: no known image format; bring whole JPEG, PNG, TIFF, BMP or WebP, DICOM or NIfTI files"
        ),
    ),
    Row(
        "text that is called a picture",
        saved("a.jpg", b"Lorem ipsum " * 40),
        predicted,
        Refused(
            "FILE: cannot be decoded: no known image format; bring whole JPEG, PNG, TIFF, BMP or WebP, DICOM or NIfTI files"
        ),
    ),
    Row(
        "HTML page that is called a picture",
        saved("a.png", b"<!DOCTYPE html><html>404</html>"),
        predicted,
        Refused(
            "FILE: cannot be decoded: no known image format; bring whole JPEG, PNG, TIFF, BMP or WebP, DICOM or NIfTI files"
        ),
    ),
    Row(
        "PNG that is cut off",
        saved("a.png", PNG[:-20]),
        predicted,
        Refused(
            "FILE: cannot be decoded: a PNG that is cut off; fetch it anew; bring whole JPEG, PNG, TIFF, BMP or WebP, DICOM or NIfTI files"
        ),
    ),
    Row(
        "JPEG that is cut off",
        saved("a.jpg", JPEG[:-20]),
        predicted,
        Refused(
            "FILE: cannot be decoded: Truncated File Read; bring whole JPEG, PNG, TIFF, BMP or WebP, DICOM or NIfTI files"
        ),
    ),
    Row(
        "JPEG with its end mark and codes missing",
        saved("a.jpg", JPEG[:-30] + b"\xff\xd9"),
        predicted,
        Refused(
            "FILE: cannot be decoded: a JPEG of which a part is missing or damaged; fetch it anew; bring whole JPEG, PNG, TIFF, BMP or WebP, DICOM or NIfTI files"
        ),
    ),
    Row(
        "TIFF of its first 7 bytes (found by fuzzing)",
        saved("a.tif", b"II*\0\x08\0\0"),
        predicted,
        Refused(
            "FILE: cannot be decoded: unpack requires a buffer of 4 bytes; bring whole JPEG, PNG, TIFF, BMP or WebP, DICOM or NIfTI files"
        ),
    ),
    Row(
        "PNG with a changed byte in its pixels",
        saved("a.png", PNG[:45] + b"\x55" + PNG[46:]),
        predicted,
        Refused("FILE: cannot be decoded: damaged; bring whole JPEG, PNG, TIFF, BMP or WebP, DICOM or NIfTI files"),
    ),
    Row("CMYK JPEG", saved("a.jpg", CMYK), shape_of, Result("read right: as luminance", ["CMYK", 8, 8, 1])),
    Row("palette PNG", saved("a.png", PALETTE), shape_of, Result("read right: as luminance", ["P", 6, 8, 2])),
    Row("1 bit", saved("a.png", made("PNG", GREY > 20, "1")), shape_of, Result("read right", ["1", 6, 8, 2])),
    Row(
        "transparent places",
        saved("a.png", made("PNG", HALF)),
        decoded,
        Result("read right: black where it is transparent", ["RGBA", [[200, 0], [200, 0]]]),
    ),
    Row("16 bits", png(DEEP), decoded, Result("read right: in 16 bits", ["I;16", DEEP.tolist()])),
    Row(
        "floats with NaN, as TIFF",
        saved("a.tif", NAN),
        predicted,
        Refused(
            "FILE: cannot be decoded: 8-bit or 16-bit pixels are needed, received Pillow's mode F; bring whole JPEG, PNG, TIFF, BMP or WebP, DICOM or NIfTI files"
        ),
    ),
    Row(
        "interlaced PNG", saved("a.png", announced(1, 1, 8, b"\0\x07", 1)), decoded, Result("read right", ["L", [[7]]])
    ),
    Row(
        "turned by its EXIF orientation",
        saved("a.png", made("PNG", GREY, exif=exif(6))),
        decoded,
        Result("read right: turned as it says", ["L", np.rot90(GREY, 3).tolist()]),
    ),
    Row(
        "animated GIF called .png",
        saved("a.png", two("GIF")),
        predicted,
        Refused("FILE: a picture should have one page, received 2; save each as a file of its own"),
    ),
    Row(
        "animated PNG",
        saved("a.png", two("PNG")),
        predicted,
        Refused("FILE: a picture should have one page, received 2; save each as a file of its own"),
    ),
    Row(
        "TIFF of two pages",
        saved("a.tif", two("TIFF")),
        predicted,
        Refused("FILE: a picture should have one page, received 2; save each as a file of its own"),
    ),
    Row(
        "PostScript called .png",
        saved("a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        predicted,
        Refused(
            "FILE: cannot be decoded: no known image format; bring whole JPEG, PNG, TIFF, BMP or WebP, DICOM or NIfTI files"
        ),
    ),
    Row(
        "PNG that announces 32,000 x 32,000",
        saved("a.png", announced(32000, 32000)),
        predicted,
        Refused(
            "FILE: a picture should have at most 67108864 pixels, and 65535 along a side, received 32000x32000; crop or shrink it"
        ),
    ),
    Row(
        "PNG that announces 2,147,483,647 x 1",
        saved("a.png", announced(2**31 - 1, 1)),
        predicted,
        Refused(
            "FILE: a picture should have at most 67108864 pixels, and 65535 along a side, received 2147483647x1; crop or shrink it"
        ),
    ),
    Row(
        "16-bit PNG that announces 32,000 x 32,000",
        saved("a.png", announced(32000, 32000, 16)),
        predicted,
        Refused(
            "FILE: a picture should have at most 67108864 pixels, and 65535 along a side, received 32000x32000; crop or shrink it"
        ),
    ),
    Row(
        "JPEG that announces 65,000 x 65,000",
        saved("a.jpg", jpeg_of(65000, 65000)),
        predicted,
        Refused(
            "FILE: a picture should have at most 67108864 pixels, and 65535 along a side, received 65000x65000; crop or shrink it"
        ),
    ),
    Row(
        "PNG whose pixels unpack to 16 MiB for 8 x 6",
        saved("a.png", announced(8, 6, 8, bytes(2**24))),
        decoded,
        Result("read right: what is too much is left out", ["L", [[0] * 8] * 6]),
    ),
    Row(
        "PNG whose pixels are too few",
        saved("a.png", announced(8, 6, 8, b"\0")),
        predicted,
        Refused("FILE: cannot be decoded: damaged; bring whole JPEG, PNG, TIFF, BMP or WebP, DICOM or NIfTI files"),
    ),
    Row("picture of 1 x 1", png(GREY[:1, :1]), decoded, Result(NO_HEAD, ["L", [[0]]])),
    Row("picture of 30,000 x 10", png(np.zeros((10, 30000), np.uint8)), shape_of, Result(NO_HEAD, ["L", 10, 30000, 1])),
    Row("constant picture", png(np.full((9, 9), 7, np.uint8)), shape_of, Result(NO_HEAD, ["L", 9, 9, 1])),
]
