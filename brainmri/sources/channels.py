"""Take one channel of pictures that hold a sequence in each, as `fetch` stores it: PNG in grey, and nothing else.

A channel is chosen where bytes are read, not in preprocess: whoever decodes `data/raw` later cannot tell three
sequences from a picture in colours, and would mix them to grey.
"""

import io
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from brainmri.core import kinds
from brainmri.core.errors import InputError, ParamsError

BITS_PER_SAMPLE = 258  # the tag of TIFF
# What Pillow raises on damage.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    struct.error,
    EOFError,
    ArithmeticError,
    RuntimeError,
)


def chosen(path: Path, channels: Sequence[str], channel: str | None) -> str:
    """Return the channel to store of set `path`; raise `ParamsError` if it has no such one, or none was named."""
    if channel is None or channel not in channels:
        raise ParamsError(
            f"{path}: its pictures hold {', '.join(channels)}, so fetch.channel should be one of them, received "
            f"{'null' if channel is None else repr(channel)}; name the one to store"
        )
    return channel


def stored_path(path: str, channel: str) -> str:
    """Return the path inside the set of a picture's channel, such as `a/a_1.tif/flair.png`."""
    return f"{path}/{channel}.png"


def reader(
    read: Callable[[str], bytes], channels: Sequence[str], channel: str, paths: Sequence[str]
) -> Callable[[str], bytes]:
    """Return a `read` that gives one channel for the stored paths of the pictures `paths`, all else as it is."""
    pictures = {stored_path(path, channel): path for path in paths}
    at = channels.index(channel)

    def read_channel(name: str) -> bytes:
        if name not in pictures:
            return read(name)
        try:
            return one_channel(read(pictures[name]), at)
        except InputError as error:
            raise InputError(f"{pictures[name]}: {error}") from None

    return read_channel


def one_channel(data: bytes, at: int) -> bytes:
    """Return channel `at`, from 0, of an 8-bit picture of three channels as PNG; equal pixels give equal bytes.

    Raises
    ------
    InputError
        If the bytes are no picture of one page with three channels of 8 bits; the message gives the reason only.
    """
    try:
        with Image.open(io.BytesIO(data), formats=kinds.FORMATS) as picture:
            kinds.require_few_pixels("a picture", *picture.size)
            mode, levels = picture.mode, np.asarray(picture)
            pages = getattr(picture, "n_frames", 1)
            depth = max(getattr(picture, "tag_v2", {}).get(BITS_PER_SAMPLE, (8,)))  # Pillow cuts 16 bits to 8 unasked
    except UnidentifiedImageError:
        raise InputError("cannot be decoded: no known image format; mend or remove it") from None
    except (*UNREADABLE, Image.DecompressionBombError) as error:
        raise InputError(f"cannot be decoded: {' '.join(str(error).split())}; mend or remove it") from None
    if mode != "RGB" or depth != 8 or pages != 1:
        raise InputError(
            f"a picture should have 3 channels of 8 bits and one page, received mode {mode}, {depth} bits and {pages} "
            "page(s); mend or remove it"
        )
    return bytes(cv2.imencode(".png", np.ascontiguousarray(levels[:, :, at]))[1])
