"""Masks on the pixels of the stored file."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainmri.core.errors import ArtifactError
from brainmri.core.index import read_split
from brainmri.preprocessing import native
from brainmri.preprocessing.images import mask_to_square


def test_back_from_padding_by_eye():
    mask = np.zeros((4, 4), bool)
    mask[1, 2] = mask[2, 2] = True  # rows 0 and 3 are padding of a file of 2 x 4
    expected = np.array([[0, 0, 1, 0], [0, 0, 1, 0]], bool)
    np.testing.assert_array_equal(native.from_square(mask, (2, 4), "pad"), expected)


def test_back_to_twice_the_pixels():
    mask = np.zeros((4, 4), bool)
    mask[:, 2:] = True
    found = native.from_square(mask, (8, 8), "pad")
    np.testing.assert_array_equal(found, np.arange(8) >= np.full((8, 1), 4))


def test_back_from_stretching():
    mask = np.zeros((4, 4), bool)
    mask[2:] = True
    found = native.from_square(mask, (2, 8), "stretch")
    np.testing.assert_array_equal(found, np.array([[False] * 8, [True] * 8]))


@settings(max_examples=50)
@given(st.integers(40, 150), st.integers(40, 150), st.sampled_from(["pad", "stretch"]), st.integers(0, 99))
def test_there_and_back(height, width, fit, seed):
    rng = np.random.default_rng(seed)
    rows, cols = np.indices((height, width))
    centre, radii = rng.uniform(0.35, 0.65, 2), rng.uniform(0.2, 0.3, 2)
    mask = ((rows / height - centre[0]) / radii[0]) ** 2 + ((cols / width - centre[1]) / radii[1]) ** 2 < 1
    back = native.from_square(mask_to_square(mask, 64, fit), (height, width), fit)
    assert back.shape == mask.shape
    assert 2 * (back & mask).sum() / (back.sum() + mask.sum()) > 0.9


def test_stored_masks_are_those_of_the_split(raw, processed):
    split = read_split(processed / "test")
    for image, truth in zip(split.index.itertuples(), native.native_truths(raw, split.index), strict=True):
        assert truth.mask.shape == (image.height_px, image.width_px)
        np.testing.assert_array_equal(mask_to_square(truth.mask, 32, "pad"), split.masks[image.mask_row].astype(bool))
        assert np.isnan(truth.spacing_mm).all()


def test_no_mask_gives_none(raw, processed):
    index = read_split(processed / "test").index.head(2).assign(mask_row=[-1, 0])
    assert [truth is None for truth in native.native_truths(raw, index)] == [True, False]


def test_a_folder_of_another_set_is_refused(raw):
    index = pd.DataFrame({"image_id": ["nobody"], "mask_row": [0]})
    with pytest.raises(ArtifactError, match="should have a mask for image nobody"):
        list(native.native_truths(raw, index))
