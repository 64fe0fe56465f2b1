"""The head is found beside frames, labels and padding; a picture that can show none is told."""

import cv2
import numpy as np
import pandas as pd
import pytest

from brainmri.preprocessing.head import head, shows_head, without_frame
from brainmri.preprocessing.image_params import ImageParams
from brainmri.preprocessing.scans import scan_of

PARAMS = ImageParams(size=32, fit="pad", window_source="percentile", windows=[[1, 99]])


def scan():
    """Draw a head of 24x24 px, levels about 100, in a frame of 40x40."""
    frame = np.zeros((40, 40), np.uint8)
    frame[8:32, 8:32] = np.random.default_rng(0).integers(80, 121, (24, 24))
    return frame


def test_head_is_the_largest_thing_with_its_holes_filled():
    frame = np.zeros((40, 40), np.uint8)
    frame[8:32, 8:32] = 200
    frame[14:26, 14:26] = 0  # a hole
    frame[0:3, 0:3] = 255  # a label in the corner
    inside = head(frame)
    assert inside[16:24, 16:24].all()
    assert not inside[:4, :4].any()
    assert abs(int(inside.sum()) - 24 * 24) < 110  # the blur moves the border by a pixel at most


def test_head_keeps_dark_tissue_and_leaves_a_label_below_it():
    frame = np.zeros((40, 40), np.uint8)
    frame[5:30, 5:30] = 60  # below the threshold between the background and what is bright, above half of it
    frame[10:25, 10:25] = 200
    frame[36:39, 36:39] = 255
    inside = head(frame)
    assert inside[6:29, 6:29].all()
    assert not inside[34:].any()


def test_head_of_a_constant_image_is_empty():
    assert not head(np.full((20, 20), 50, np.uint8)).any()


def test_head_is_found_below_a_label_that_outshines_it():
    frame = np.zeros((128, 128), np.uint8)
    frame[30:100, 30:100] = 12
    frame[4:16, 4:16] = np.random.default_rng(0).integers(200, 255, (12, 12))
    inside = head(frame)
    assert inside[32:98, 32:98].all()
    assert not inside[:25].any()


def test_head_is_found_on_a_grey_background():
    noise = np.random.default_rng(0).integers(-5, 6, (40, 40))
    found = head((scan() + 60 + noise).astype(np.uint8))
    assert np.count_nonzero(found != head(scan())) < 8  # at its corners


@pytest.mark.parametrize("level", [40, 110, 255])
@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_frame_becomes_background(level, width):
    framed = np.full((40, 40), level, np.uint8)
    framed[width:-width, width:-width] = scan()[width:-width, width:-width]
    np.testing.assert_array_equal(without_frame(framed), scan())


def test_a_frame_of_one_side_and_a_line_inside_the_border_become_background():
    bar = np.hstack([np.full((40, 6), 255, np.uint8), scan()])
    np.testing.assert_array_equal(without_frame(bar)[:, 6:], scan())
    assert not without_frame(bar)[:, :6].any()
    lined = cv2.rectangle(scan(), (2, 2), (37, 37), 255, 1)
    np.testing.assert_array_equal(without_frame(lined), scan())


def test_a_frame_that_went_through_jpeg_becomes_background():
    framed = np.pad(np.kron(scan(), np.ones((4, 4), np.uint8)), 3, constant_values=255)
    decoded = cv2.imdecode(cv2.imencode(".jpg", framed, (cv2.IMWRITE_JPEG_QUALITY, 80))[1], 0)
    found = without_frame(decoded)
    assert not found[:3].any()
    assert not found[:, -3:].any()
    assert max(found[:6].max(), found[:, :6].max(), found[-6:].max(), found[:, -6:].max()) < 32  # what JPEG left of it


def test_an_image_without_a_frame_comes_back_as_it_is():
    tight = scan()[8:32, 8:32]  # tissue up to the border
    for image in (scan(), tight, np.full((40, 40), 9, np.uint8)):
        assert without_frame(image) is image


def test_tissue_that_fills_a_line_at_the_border_is_no_frame():
    neck = scan()
    neck[30:] = np.linspace(70, 110, 40).astype(np.uint8)  # no one level
    assert without_frame(neck) is neck


@pytest.mark.parametrize("shape", [(100, 100), (128, 128), (236, 200)])
def test_a_constant_picture_and_noise_show_no_head(shape):
    params = PARAMS.model_copy(update={"size": 128})
    noise = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    pictures = [np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8), noise, cv2.resize(scan(), (128, 128))]
    facts = pd.DataFrame([scan_of(picture, "L", params).facts for picture in pictures])
    assert shows_head(facts).tolist() == [False, False, False, True]


def test_a_slice_that_is_not_square_is_padded_with_its_own_background():
    wide = np.full((20, 40), 1000, np.uint16)
    wide[5:15, 10:30] = 1500
    assert scan_of(wide, "I;16", PARAMS).square.min() == 1000
