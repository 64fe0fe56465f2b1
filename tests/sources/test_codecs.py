"""Compressed DICOM is decoded exactly, and a stream that does not fit its header is refused."""

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless
from scan_files import dataset, written

from brainmri.core.errors import InputError
from brainmri.sources.dicom import read_dicom

SMOOTH = (np.add.outer(np.arange(24), np.arange(16)) * 90).astype(np.uint16)  # to 3420: 12 bits


def compressed(stream, syntax, pixels, **elements):
    file = dataset(pixels, **elements)
    file.file_meta.TransferSyntaxUID = syntax
    file.PixelData = encapsulate([stream])
    file["PixelData"].is_undefined_length = True
    file["PixelData"].VR = "OB"
    return written(file)


def lossless(pixels):
    return imagecodecs.jpeg8_encode(pixels, lossless=True, bitspersample=pixels.dtype.itemsize * 8)


@pytest.mark.parametrize("syntax", [JPEGLossless, JPEGLosslessSV1])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16])
def test_lossless_jpeg_keeps_every_pixel(syntax, kind):
    pixels = np.random.default_rng(0).integers(np.iinfo(kind).min, np.iinfo(kind).max, (24, 16), kind)
    data = compressed(lossless(pixels.view(f"u{pixels.dtype.itemsize}")), syntax, pixels)
    np.testing.assert_array_equal(read_dicom(data)[0].stored, pixels)


def test_lossless_jpeg_ls_keeps_every_pixel():
    data = compressed(imagecodecs.jpegls_encode(SMOOTH), JPEGLSLossless, SMOOTH)
    np.testing.assert_array_equal(read_dicom(data)[0].stored, SMOOTH)


def test_twelve_bit_jpeg_is_read():
    stream = imagecodecs.jpeg8_encode(SMOOTH, 100, bitspersample=12)
    found = read_dicom(compressed(stream, JPEGExtended12Bit, SMOOTH, BitsStored=12, HighBit=11))[0].stored
    assert np.abs(found.astype(int) - SMOOTH).max() <= 4


def test_colour_lossless_jpeg_is_not_taken_for_ybr():
    colours = np.random.default_rng(0).integers(0, 256, (24, 16, 3), np.uint8)
    stream = imagecodecs.jpeg8_encode(colours, lossless=True, colorspace="RGB", outcolorspace="RGB")
    elements = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    found = read_dicom(compressed(stream, JPEGLossless, colours[..., 0], **elements))[0].stored
    np.testing.assert_array_equal(found, np.rint(colours @ [0.299, 0.587, 0.114]))


@pytest.mark.parametrize("shape", [(24, 8), (8, 24), (400, 400)])
def test_a_stream_of_another_size_than_announced_is_refused(shape):
    data = compressed(lossless(np.zeros(shape, np.uint16)), JPEGLossless, SMOOTH)
    with pytest.raises(InputError, match=r"pixels cannot be decoded \(JPEG Lossless"):
        read_dicom(data)


def test_a_stream_with_other_bits_than_announced_is_refused():
    data = compressed(lossless(SMOOTH.astype(np.uint8)), JPEGLossless, SMOOTH)
    with pytest.raises(InputError, match="pixels cannot be decoded"):
        read_dicom(data)
