"""Decoders that pydicom lacks without GPL: JPEG lossless, JPEG-LS and 12-bit JPEG, by libjpeg-turbo and CharLS.

RLE is here too: pydicom's own unpacks whatever there is, 64 times as much as it was, and slowly. Its use of Pillow does
the rest (8-bit JPEG, JPEG 2000). This is a plugin as pydicom's guide describes it:
https://pydicom.github.io/pydicom/stable/guides/decoding/decoder_plugins.html
"""

import imagecodecs
import numpy as np
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder
from pydicom.uid import (
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

_DECODERS = {
    JPEGExtended12Bit: imagecodecs.jpeg8_decode,
    JPEGLossless: imagecodecs.jpeg8_decode,
    JPEGLosslessSV1: imagecodecs.jpeg8_decode,
    JPEGLSLossless: imagecodecs.jpegls_decode,
    JPEGLSNearLossless: imagecodecs.jpegls_decode,
}
DECODER_DEPENDENCIES = dict.fromkeys([*_DECODERS, RLELossless], ("imagecodecs",))  # pydicom asks every plugin for it


def is_available(uid: str) -> bool:
    """Return whether this plugin decodes a transfer syntax."""
    return uid in DECODER_DEPENDENCIES


def decode_frame(src: bytes, runner: DecodeRunner) -> bytearray:
    """Return the pixels of one compressed frame, colours by pixel; pydicom makes an array of them."""
    if runner.transfer_syntax == RLELossless:
        runner.set_option("planar_configuration", 1)
        return _runs(src, runner)
    shape = (runner.rows, runner.columns, runner.samples_per_pixel)
    # A place of the announced size: a stream that holds another picture fails before memory is taken for it.
    pixels = np.empty(shape[: 3 if shape[2] > 1 else 2], np.uint8 if runner.bits_stored <= 8 else np.uint16)
    pixels = _DECODERS[runner.transfer_syntax](src, out=pixels)
    runner.set_option("bits_allocated", pixels.dtype.itemsize * 8)
    if shape[2] > 1:
        runner.set_option("planar_configuration", 0)
    return bytearray(pixels.tobytes())


def _runs(src: bytes, runner: DecodeRunner) -> bytearray:
    """Return the pixels of a frame packed by RLE, colour by colour; what unpacks to more than they have fails."""
    of_number = runner.bits_allocated // 8
    size = runner.rows * runner.columns * runner.samples_per_pixel * of_number
    return bytearray(imagecodecs.dicomrle_decode(src, f"<u{of_number}", out=size))


def register() -> None:
    """Add the plugin to pydicom, once; it has RLE for itself."""
    for uid in DECODER_DEPENDENCIES:
        decoder = get_decoder(uid)
        if "imagecodecs" not in decoder.available_plugins:
            decoder.add_plugin("imagecodecs", (__name__, decode_frame.__name__))
    if "pydicom" in get_decoder(RLELossless).available_plugins:
        get_decoder(RLELossless).remove_plugin("pydicom")
