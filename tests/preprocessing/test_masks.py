"""No part of a tumour is lost for how its mask was saved, and what cannot be meant as a mask is refused."""

import io

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from brainmri.core.errors import ArtifactError, InputError
from brainmri.core.index import read_split
from brainmri.preprocessing import masks
from brainmri.preprocessing.images import mask_to_square

ROWS, COLS = np.mgrid[:96, :96]
TUMOUR = (ROWS - 40) ** 2 + (COLS - 50) ** 2 < 20**2
CORE = (ROWS - 40) ** 2 + (COLS - 50) ** 2 < 14**2
WHOLE, INNER = TUMOUR.astype(np.uint8), CORE.astype(np.uint8)
GREY_LABELS = np.where(CORE, 255, WHOLE * 85).astype(np.uint8)


def saved(pixels, kind="PNG", **options) -> bytes:
    file = io.BytesIO()
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(file, kind, **options)
    return file.getvalue()


def palette(*colours: tuple[int, int, int]) -> Image.Image:
    picture = Image.fromarray(WHOLE + INNER).convert("P")
    picture.putpalette([level for colour in colours for level in colour])
    return picture


def stacked(*channels) -> np.ndarray:
    return np.dstack([channel.astype(np.uint8) for channel in channels])


@pytest.mark.parametrize(
    ("data", "values"),
    [
        (saved(WHOLE * 255), "0, 255"),
        (saved(WHOLE * 255, "TIFF"), "0, 255"),
        (saved(TUMOUR), "0, 255"),
        (saved(WHOLE), "0, 1"),
        (saved(WHOLE * np.uint16(65535)), "0, 65535"),
        (saved(WHOLE * np.uint16(1)), "0, 1"),
        (saved(WHOLE * 255, "JPEG", quality=30), "0 to 255"),
        (saved(WHOLE * 255, "WEBP"), "0"),
        (saved(stacked(WHOLE * 255, 0 * WHOLE, 0 * WHOLE)), "#000000, #ff0000"),
        (saved(stacked(0 * WHOLE, 0 * WHOLE, 0 * WHOLE, WHOLE * 255)), "0, 255 in alpha alone"),
        (saved(stacked(255 * WHOLE, 0 * WHOLE, 0 * WHOLE, 128 * WHOLE)), "#000000, #800000"),
        (saved(stacked(WHOLE * 255, 255 + 0 * WHOLE)), "0, 255"),
    ],
)
def test_one_label_is_the_tumour_however_it_is_saved(data, values):
    found = masks.read_mask(data)
    assert (found.tumour == TUMOUR).all()
    assert values in found.values
    assert not found.labels


@pytest.mark.parametrize(
    ("data", "values"),
    [
        (saved(GREY_LABELS), "0, 85, 255"),
        (saved(GREY_LABELS, "WEBP", lossless=True), "0, 85, 255"),
        (saved(2 * WHOLE + 2 * INNER), "0, 2, 4"),
        (saved(stacked(255 * WHOLE, 255 * INNER, 255 * INNER)), "#000000, #ff0000, #ffffff"),
        (saved(stacked(255 * (WHOLE - INNER), 0 * INNER, 255 * INNER)), "#000000, #0000ff, #ff0000"),
        (saved(palette((0, 0, 0), (255, 0, 0), (0, 0, 60))), "#000000, #00003c, #ff0000"),
        (saved(100 * WHOLE + INNER * (30 + 30 * (ROWS > 40)).astype(np.uint8)), "0, 100, 130, 160"),
    ],
)
def test_several_labels_are_all_of_them_tumour(data, values):
    found = masks.read_mask(data)
    assert (found.tumour == TUMOUR).all()
    assert found.values == values
    assert found.labels


@pytest.mark.parametrize("times", [0.4, 1.5, 2, 3, 4])
@pytest.mark.parametrize("how", [cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA])
def test_soft_edges_are_cut_at_one_half(times, how):
    soft = cv2.resize(WHOLE * 255, None, fx=times, fy=times, interpolation=how)
    found = masks.read_mask(saved(soft))
    assert (found.tumour == (soft > 127)).all()
    assert not found.labels


def test_what_is_left_of_a_jpeg_that_was_saved_anew_is_no_label():
    noisy = cv2.imdecode(np.frombuffer(saved(WHOLE * 255, "JPEG", quality=95), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert 3 < len(np.unique(noisy)) <= masks.LABELS  # a few values, as labels are
    assert (masks.read_mask(saved(noisy)).tumour == TUMOUR).all()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (saved(255 - WHOLE * 255), "values 0, 255 with all four corners set"),
        (saved(stacked(0 * WHOLE, 0 * WHOLE, 0 * WHOLE, 255 - WHOLE * 255)), "alpha alone with all four corners set"),
        (saved(0 * WHOLE + 255), "values 255, none of them 0"),
        (saved(100 + WHOLE * 100), "values 100, 200, none of them 0"),
        (saved(palette((255, 255, 255), (255, 0, 0), (0, 0, 60))), "#ffffff, none of them 0"),
        (saved(GREY_LABELS, "JPEG"), r"0 to 255 \(\d+ values\) with areas between, as of further labels"),
        (saved(stacked(ROWS, ROWS, ROWS)), "with areas between"),  # a ramp, as a scan may be
        (saved(WHOLE * 3, "JPEG", quality=100), "lossy format should be bright in the tumour, received values 0"),
        (b"x", "mask cannot be decoded"),
    ],
)
def test_what_cannot_be_meant_is_refused(data, reason):
    with pytest.raises(InputError, match=reason):
        masks.read_mask(data)


def test_an_empty_mask_is_no_tumour():
    for data in (saved(0 * WHOLE), saved(0 * WHOLE, "JPEG"), saved(TUMOUR & False), saved(stacked(*[0 * WHOLE] * 4))):
        assert not masks.read_mask(data).tumour.any()


def facts(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(masks.FACTS))


def test_unlikely_masks_are_named_by_what_is_unlikely():
    known = facts(
        ("fine", "glioma", "", "0, 255", False, False, False, False),
        ("labels", "glioma", "", "0, 1, 2", True, False, False, False),
        ("empty", "glioma", "", "0", False, True, False, False),
        ("right", "notumor", "", "0", False, True, False, False),
        ("wrong", "notumor", "", "0, 255", False, False, False, False),
        ("large", "", "", "0, 255", False, False, True, False),
        ("outside", "", "", "0, 255", False, False, False, True),
        (
            "end",
            "glioma",
            "v1",
            "0",
            False,
            True,
            False,
            False,
        ),
        ("middle", "glioma", "v1", "0, 255", False, False, False, False),
        ("alone", "glioma", "v2", "0", False, True, False, False),
    )
    assert list(masks.unlikely(known).values()) == [["labels"], ["empty", "alone"], ["wrong"], ["large"], ["outside"]]
    assert masks.unlikely(known[:1]) == masks.unlikely(facts()) == {}


def test_masks_without_a_single_pixel_are_refused_together():
    empty = ("a", "glioma", "", "0", False, True, False, False)
    with pytest.raises(InputError, match=r"at least one mask should have a pixel, received 2 without \(values 0\)"):
        masks.refuse_all_empty(facts(empty, empty))
    masks.refuse_all_empty(facts(empty, ("b", "glioma", "", "0, 255", False, False, False, False)))
    masks.refuse_all_empty(facts())


def test_stored_masks_are_those_of_the_split(raw, processed):
    split = read_split(processed / "test")
    for image, truth in zip(split.index.itertuples(), masks.native_truths(raw, split.index), strict=True):
        assert truth.mask.shape == (image.height_px, image.width_px)
        np.testing.assert_array_equal(mask_to_square(truth.mask, 32, "pad"), split.masks[image.mask_row].astype(bool))
        assert np.isnan(truth.spacing_mm).all()


def test_no_mask_gives_none(raw, processed):
    index = read_split(processed / "test").index.head(2).assign(mask_row=[-1, 0])
    assert [truth is None for truth in masks.native_truths(raw, index)] == [True, False]


def test_a_folder_of_another_set_is_refused(raw):
    index = pd.DataFrame({"image_id": ["nobody"], "mask_row": [0]})
    with pytest.raises(ArtifactError, match="should have a mask for image nobody"):
        list(masks.native_truths(raw, index))
