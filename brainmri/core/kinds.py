"""Tell what a file is by its first bytes, and how large it may be; its name counts only where they say nothing.

Scanners, browsers and people give names as they like: DICOM as `IM0001`, `x.MR` or `x.img`, JPEG as `x.jfif`, NIfTI as
`scan.nii (1).gz`. And a DICOM file that is called `x.png` must not pass for a picture: pictures are stored as they
came, with whoever is named in their header.

Reading any one file takes a memory that is known before: what is beyond the numbers below is refused by what its header
announces, before anything is decoded, and streams are cut there. What that comes to was measured, see docs/hostile.md.
"""

import math
import re
import struct
import zlib
from collections.abc import Sized
from pathlib import Path, PurePosixPath

from brainmri.core.errors import InputError

MAX_FILE_BYTES = 2**28  # of a file as it lies there, or in an archive; a slice of MRI has kilobytes, rarely megabytes
MAX_PIXELS = 2**26  # of a picture, a volume, a DICOM file: 8192 x 8192, or 512 x 512 x 256
MAX_SIDE = 2**16 - 1  # of pixels along one side, as JPEG and DICOM have at most
MAX_PIXEL_BYTES = 8 * MAX_PIXELS  # of these once decoded: a number has up to 8 bytes, a colour 4 times 2
MAX_SLICES = 4096  # of a volume: each is an image by itself to whoever stores, classifies or outlines it
MAX_TABLE_BYTES, MAX_ROWS = 2**27, 10**6  # of a CSV of a user's own
MAX_FRAMES = 2**13  # of a DICOM file, which may hold many volumes

PICTURE, DICOM, VOLUME = "picture", "DICOM", "NIfTI"  # VOLUME is MGH, too: one file with one volume
PAIR = "half of a pair"  # .hdr of Analyze or NIfTI, whose voxels lie in an .img beside it
HEAD_BYTES = 4096  # to recognise a file by; of one that is packed with gzip they unpack to more than a header

IMAGE_SUFFIXES = (".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
# What Pillow calls the formats of pictures; it knows dozens more, one of them a program that it would run.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
VOLUME_SUFFIXES = (".nii", ".nii.gz", ".mgh", ".mgz")
ENDINGS = (
    f"images end in {', '.join(IMAGE_SUFFIXES)}, or are JPEG, PNG, TIFF, WebP, DICOM, NIfTI or MGH by their first bytes"
)
NO_PAIR = (
    "an .hdr whose voxels lie in an .img beside it (Analyze, or NIfTI in two files), which is not read; make one file "
    "of them with `nib-convert x.hdr x.nii`, a command of nibabel"
)
NUMBERED = "*.0"

_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*")
_MGH_TYPES = (0, 1, 3, 4)  # uint8, int32, float32, int16


def kind(name: str, head: bytes) -> str:
    """Return `PICTURE`, `DICOM`, `VOLUME`, `PAIR`, or an empty string for a file that is none of these.

    Parameters
    ----------
    name : str
        Of the file, with or without folders; what it ends in decides where the bytes do not.
    head : bytes
        The first `HEAD_BYTES` of the file, or more.
    """
    return of_content(head) or _of_suffix(name.lower())


def of_content(head: bytes) -> str:
    """Return what the first bytes of a file are the mark of, as `kind` does; empty where they are none."""
    if head[128:132] == b"DICM":
        return DICOM
    if head.startswith(_PICTURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return PICTURE
    return _of_header(unpacked(head, HEAD_BYTES) if head[:2] == b"\x1f\x8b" else head)


def unpacked(head: bytes, most: int) -> bytes:
    """Return up to `most` bytes of what the beginning of a gzip file unpacks to; what is damaged ends it."""
    try:
        return zlib.decompressobj(31).decompress(head, most)
    except zlib.error:
        return b""


def _of_header(head: bytes) -> str:
    if head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0" or is_mgh(head):
        return VOLUME
    sizes = [struct.unpack(f"{order}i36xh", head[:42]) for order in "<>"] if len(head) >= 42 else []
    return PAIR if any(size == 348 and 1 <= axes <= 7 for size, axes in sizes) else ""


def is_mgh(head: bytes) -> bool:
    """Return whether (unpacked) bytes begin as FreeSurfer's MGH does: version 1, sides, frames, type; big-endian."""
    if len(head) < 30:
        return False
    version, *sides, kind_of_voxel, _, has_place = struct.unpack(">7ih", head[:30])
    return version == 1 and min(sides) > 0 and kind_of_voxel in _MGH_TYPES and has_place in (0, 1)


def _of_suffix(name: str) -> str:
    for suffixes, own in ((IMAGE_SUFFIXES, PICTURE), (DICOM_SUFFIXES, DICOM), (VOLUME_SUFFIXES, VOLUME)):
        if name.endswith(suffixes):
            return own
    return ""


def require_few_pixels(what: str, *sides: int) -> None:
    """Raise `InputError` for more than `MAX_PIXELS` pixels, or a longer side than `MAX_SIDE`; `what` has them."""
    if math.prod(sides) > MAX_PIXELS or max(sides) > MAX_SIDE:
        received = "x".join(str(side) for side in sides)
        raise InputError(
            f"{what} should have at most {MAX_PIXELS} pixels, and {MAX_SIDE} along a side, received {received}; crop "
            "or shrink it"
        )


def require_small_table(path: Path, rows: Sized = ()) -> None:
    """Raise `InputError` for a CSV of too many bytes, or rows."""
    size = path.stat().st_size
    if size > MAX_TABLE_BYTES or len(rows) > MAX_ROWS:
        raise InputError(
            f"{path}: a table should have at most {MAX_ROWS} rows and {MAX_TABLE_BYTES} bytes, received "
            f"{'more rows' if len(rows) > MAX_ROWS else f'{size} bytes'}; bring a part of it"
        )


def litter(name: str) -> str:
    """Return under which heading a file is counted that is none whatever it holds: of operating systems, and hidden."""
    path = PurePosixPath(name)
    if "__MACOSX" in path.parts:
        return "__MACOSX"
    if path.name in {".DS_Store", "Thumbs.db", "DICOMDIR"}:
        return path.name
    return "hidden" if any(part.startswith(".") for part in path.parts) else ""


def ignored_as(name: str) -> str:
    """Return the heading under which a file that is no image is counted.

    File names may name a person, so files are counted by kind: the litter of operating systems by its own name, other
    hidden files together, the rest by suffix (`*.txt`), digits as `*.0`: they may end an identifier.
    """
    suffix = PurePosixPath(name).suffix.lower()
    return litter(name) or (NUMBERED if re.fullmatch(r"\.[0-9]+", suffix) else f"*{suffix}")
