"""Padding is found, and bits above BitsStored are no part of a number, however a file is compressed."""

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless
from scan_files import dataset, dicom_bytes, written

from brainmri.core.errors import InputError
from brainmri.sources.dicom import read_dicom
from brainmri.sources.slicing import from_dicom

PIXELS = np.array([[-2000, 5, 7], [9, -2000, -1990]], np.int16)


def padding_of(pixels, **elements):
    (found,) = read_dicom(dicom_bytes(pixels, **elements))
    return None if found.padding is None else found.padding.astype(int).tolist()


def test_padding_is_one_number_or_a_range():
    assert padding_of(PIXELS) is None
    assert padding_of(PIXELS, PixelPaddingValue=-2000) == [[1, 0, 0], [0, 1, 0]]
    assert padding_of(PIXELS, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1990) == [[1, 0, 0], [0, 1, 1]]
    assert padding_of(PIXELS, PixelPaddingValue=-1990, PixelPaddingRangeLimit=-2000) == [[1, 0, 0], [0, 1, 1]]


def test_padding_is_found_whatever_sign_its_number_is_written_with():
    unsigned = PIXELS.view(np.uint16)
    for pixels in (PIXELS, unsigned):
        for number, form in ((-2000, "SS"), (63536, "US")):
            file = dataset(pixels)
            file.add_new("PixelPaddingValue", form, number)
            assert read_dicom(written(file))[0].padding.astype(int).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_padding_is_found_where_the_number_has_no_form_of_its_own():
    file = dataset(PIXELS, PixelPaddingValue=-2000)
    file.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    assert read_dicom(written(file))[0].padding.astype(int).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_padding_that_the_stored_bits_cannot_hold_is_found_in_whole_words():
    pixels = np.array([[63536, 2096], [3, 4]], np.uint16)  # 63536 is 2096 in 12 bits, which here is a true level
    elements = {"BitsStored": 12, "HighBit": 11, "PixelPaddingValue": 63536}
    assert padding_of(pixels, **elements) == [[1, 0], [0, 0]]
    with_overlay = np.array([[0x8005, 2096], [3, 5]], np.uint16)
    assert padding_of(with_overlay, BitsStored=12, HighBit=11, PixelPaddingValue=5) == [[1, 0], [0, 1]]


@pytest.mark.parametrize("number", [-32768, 0, 5000])
def test_padding_counts_as_the_lowest_value_of_its_whole_volume(number):
    slices = [np.array([[number, 20, 30], [40, number, 60 + at]], np.int16) for at in range(3)]
    slices[1][0, 1] = -7
    place = [{"ImagePositionPatient": [0, 0, 4 * at], "PixelPaddingValue": number} for at in range(3)]
    (volume,) = from_dicom([(f"{at}", dicom_bytes(slices[at], **place[at])) for at in range(3)])
    values = volume.levels * volume.level_scale + volume.level_offset
    assert values[:, 0, 0].tolist() == [-7, -7, -7]
    assert (values.min(), values.max()) == (-7, 62)


def test_padding_is_the_darkest_where_dark_is_stored_as_large():
    pixels = np.array([[0, 100], [200, 255]], np.uint8)
    (turned,) = from_dicom([("x", dicom_bytes(pixels, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=0))])
    assert turned.levels[0].tolist() == [[0, 155], [55, 0]]  # without a rule it would be the brightest, 255
    (falling,) = from_dicom([("x", dicom_bytes(pixels, RescaleSlope="-1", RescaleIntercept="0", PixelPaddingValue=0))])
    assert falling.levels[0].tolist() == [[0, 155], [55, 0]]


def test_padding_alone_is_no_picture():
    with pytest.raises(InputError, match=r"^x: slices should hold a picture, received padding alone"):
        from_dicom([("x", dicom_bytes(np.full((2, 2), 9, np.uint16), PixelPaddingValue=9))])


def ljpeg(pixels):
    return imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1, bitspersample=16)


ENCODERS = {
    JPEG2000Lossless: lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat="j2k"),
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEGLosslessSV1: ljpeg,
}


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", [None, RLELossless, *ENCODERS])
def test_an_overlay_above_the_stored_bits_changes_no_number(syntax, signed):
    numbers = np.arange(64 * 64).reshape(64, 64) % 4096
    words = numbers.astype(np.uint16)
    words[10:20, 10:20] |= 0x8000
    file = dataset(words.view(np.int16) if signed else words, BitsStored=12, HighBit=11)
    if syntax == RLELossless:
        file.compress(syntax)
    elif syntax:
        file.file_meta.TransferSyntaxUID = syntax
        file.PixelData = encapsulate([ENCODERS[syntax](words)])
    expected = np.where(numbers >= 2048, numbers - 4096, numbers) if signed else numbers
    np.testing.assert_array_equal(read_dicom(written(file))[0].stored, expected)
