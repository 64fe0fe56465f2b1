"""Decoders that pydicom lacks without GPL: JPEG lossless, JPEG-LS and 12-bit JPEG, by libjpeg-turbo and CharLS.

pydicom's own use of Pillow does the rest (8-bit JPEG, JPEG 2000). This is a plugin as pydicom's guide describes it:
https://pydicom.github.io/pydicom/stable/guides/decoding/decoder_plugins.html
"""

import imagecodecs
import numpy as np
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder
from pydicom.uid import JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEGLSNearLossless

_DECODERS = {
    JPEGExtended12Bit: imagecodecs.jpeg8_decode,
    JPEGLossless: imagecodecs.jpeg8_decode,
    JPEGLosslessSV1: imagecodecs.jpeg8_decode,
    JPEGLSLossless: imagecodecs.jpegls_decode,
    JPEGLSNearLossless: imagecodecs.jpegls_decode,
}
DECODER_DEPENDENCIES = dict.fromkeys(_DECODERS, ("imagecodecs",))  # pydicom asks every plugin for it


def is_available(uid: str) -> bool:
    """Return whether this plugin decodes a transfer syntax."""
    return uid in _DECODERS


def decode_frame(src: bytes, runner: DecodeRunner) -> bytearray:
    """Return the pixels of one compressed frame, colours by pixel; pydicom makes an array of them."""
    shape = (runner.rows, runner.columns, runner.samples_per_pixel)
    # A place of the announced size: a stream that holds another picture fails before memory is taken for it.
    pixels = np.empty(shape[: 3 if shape[2] > 1 else 2], np.uint8 if runner.bits_stored <= 8 else np.uint16)
    pixels = _DECODERS[runner.transfer_syntax](src, out=pixels)
    runner.set_option("bits_allocated", pixels.dtype.itemsize * 8)
    if shape[2] > 1:
        runner.set_option("planar_configuration", 0)
    return bytearray(pixels.tobytes())


def register() -> None:
    """Add the plugin to pydicom, once."""
    for uid in _DECODERS:
        decoder = get_decoder(uid)
        if "imagecodecs" not in decoder.available_plugins:
            decoder.add_plugin("imagecodecs", (__name__, decode_frame.__name__))
