"""The square grid, the way back from it, and the windows."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainmri.core.errors import ParamsError
from brainmri.core.params import check
from brainmri.preprocessing import image_params, images

PARAMS = {"size": 32, "fit": "pad", "window_source": "percentile", "windows": [[1, 99], [50, 99.8]]}


def params(**changes):
    return check(PARAMS | changes, image_params.ImageParams, "params")


def test_eight_bit_uses_all_levels_of_a_narrow_16_bit_image():
    image = np.array([[1000, 1100], [1200, 1510]], np.uint16)
    np.testing.assert_array_equal(images.eight_bit(image), [[0, 50], [100, 255]])


def test_to_square_averages_by_area():
    image = np.array([[0, 100, 10, 10], [100, 200, 10, 10], [8, 8, 0, 0], [8, 8, 0, 4]], np.uint8)
    square, scale = images.to_square(image, 2, "pad")
    np.testing.assert_array_equal(square, [[100, 10], [8, 1]])
    assert scale == (0.5, 0.5)


@pytest.mark.parametrize(("height", "width"), [(224, 224), (256, 256), (512, 512), (300, 224), (129, 700), (1000, 990)])
def test_to_square_is_close_to_the_exact_mean_by_area(height, width):
    noise = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), 2)
    square, _ = images.to_square(image, 128, "stretch")
    exact = cv2.resize(image, (128, 128), interpolation=cv2.INTER_AREA).astype(float)
    assert np.sqrt(np.mean((square - exact) ** 2)) < 0.1 * exact.std()


def test_to_square_pads_and_does_not_squash():
    square, scale = images.to_square(np.full((4, 8), 7, np.uint8), 4, "pad")
    np.testing.assert_array_equal(square, [[0] * 4, [7] * 4, [7] * 4, [0] * 4])
    assert scale == (0.5, 0.5)


def test_to_square_pads_with_the_level_of_the_background():
    square, _ = images.to_square(np.full((4, 8), 7, np.uint8), 4, "pad", fill=3)
    np.testing.assert_array_equal(square, [[3] * 4, [7] * 4, [7] * 4, [3] * 4])


def test_to_square_stretches_when_told():
    square, scale = images.to_square(np.full((4, 8), 7, np.uint8), 4, "stretch")
    np.testing.assert_array_equal(square, np.full((4, 4), 7))
    assert scale == (1.0, 0.5)


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from(["pad", "stretch"]))
def test_to_square_is_always_square_and_keeps_a_flat_image_flat(height, width, fit):
    square, scale = images.to_square(np.full((height, width), 9, np.uint8), 16, fit)
    assert square.shape == (16, 16)
    assert set(np.unique(square)) <= {0, 9}
    assert scale[0] > 0
    assert scale[1] > 0
    assert abs(np.count_nonzero(square) - scale[0] * height * scale[1] * width) < 1e-6


def test_mask_is_foreground_from_half_of_the_area_on():
    mask = np.zeros((4, 4), bool)
    mask[0, 0] = mask[0, 3] = mask[1, 3] = True  # a quarter of the first block, half of the second
    np.testing.assert_array_equal(images.mask_to_square(mask, 2, "pad"), [[False, True], [False, False]])


def windowed(square, inside, made_with):
    """Apply the windows of a square to it."""
    counts = images.level_counts(square, inside)
    return images.apply_table(square, images.window_table(square, counts, made_with))


def test_windows_map_their_percentiles_to_0_and_255():
    square = np.arange(100, dtype=np.uint8).reshape(10, 10)
    channels = windowed(square, np.ones((10, 10), bool), params(windows=[[10, 90]]))
    flat = channels[..., 0].ravel()
    assert channels.shape == (10, 10, 1)
    assert flat[9] == 0  # the level that a tenth of the pixels reach
    assert flat[89] == 255
    assert flat[49] == round(255 * 40 / 80)


def test_windows_look_inside_the_head_only():
    square = np.zeros((10, 10), np.uint8)
    square[5:] = np.arange(50).reshape(5, 10) + 100
    inside = square > 0
    percentile = windowed(square, inside, params(windows=[[0, 100]]))
    frame = windowed(square, inside, params(windows=[[0, 100]], window_source="frame"))
    assert percentile[5, 0, 0] == 0
    assert frame[5, 0, 0] == round(255 * 100 / 149)


def test_windows_do_not_depend_on_depth():
    square = np.random.default_rng(1).integers(0, 200, (16, 16)).astype(np.uint8)
    inside = np.ones((16, 16), bool)
    deep = windowed(square.astype(np.uint16) * 257, inside, params())
    np.testing.assert_allclose(deep.astype(int), windowed(square, inside, params()).astype(int), atol=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_windows_agree_with_numpy(dtype):
    square = np.random.default_rng(1).integers(0, 200, (16, 16)).astype(dtype)
    channels = windowed(square, square > 20, params())
    for channel, shares in enumerate(PARAMS["windows"]):
        low, high = np.percentile(square[square > 20], shares, method="inverted_cdf").astype(float)
        expected = np.clip(np.rint(255 * (square - low) / (high - low)), 0, 255)
        np.testing.assert_array_equal(channels[..., channel], expected)


def test_a_constant_image_windows_to_0():
    assert not windowed(np.full((8, 8), 77, np.uint8), np.zeros((8, 8), bool), params()).any()


def test_a_window_without_width_is_0_throughout():
    square = np.full((10, 10), 50, np.uint8)
    square[0] = 200
    assert not windowed(square, np.ones((10, 10), bool), params(windows=[[10, 60]])).any()


def test_params_refuse_a_window_upside_down():
    with pytest.raises(ParamsError, match=r"windows should be pairs with the low percentile below the high one"):
        params(windows=[[99, 1]])


def test_params_name_every_problem_at_once():
    with pytest.raises(ParamsError, match=r"size should be greater than or equal to 16, received 4.*fit should be"):
        params(size=4, fit="squash")


def test_back_from_padding_by_eye():
    mask = np.zeros((4, 4), bool)
    mask[1, 2] = mask[2, 2] = True  # rows 0 and 3 are padding of a file of 2 x 4
    expected = np.array([[0, 0, 1, 0], [0, 0, 1, 0]], bool)
    np.testing.assert_array_equal(images.from_square(mask, (2, 4), "pad"), expected)


def test_back_to_twice_the_pixels():
    mask = np.zeros((4, 4), bool)
    mask[:, 2:] = True
    found = images.from_square(mask, (8, 8), "pad")
    np.testing.assert_array_equal(found, np.arange(8) >= np.full((8, 1), 4))


def test_back_from_stretching():
    mask = np.zeros((4, 4), bool)
    mask[2:] = True
    found = images.from_square(mask, (2, 8), "stretch")
    np.testing.assert_array_equal(found, np.array([[False] * 8, [True] * 8]))


@settings(max_examples=50)
@given(st.integers(40, 150), st.integers(40, 150), st.sampled_from(["pad", "stretch"]), st.integers(0, 99))
def test_there_and_back(height, width, fit, seed):
    rng = np.random.default_rng(seed)
    rows, cols = np.indices((height, width))
    centre, radii = rng.uniform(0.35, 0.65, 2), rng.uniform(0.2, 0.3, 2)
    mask = ((rows / height - centre[0]) / radii[0]) ** 2 + ((cols / width - centre[1]) / radii[1]) ** 2 < 1
    back = images.from_square(images.mask_to_square(mask, 64, fit), (height, width), fit)
    assert back.shape == mask.shape
    assert 2 * (back & mask).sum() / (back.sum() + mask.sum()) > 0.9
