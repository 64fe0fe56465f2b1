"""Decoding, the square grid, the head and the windows."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from brainmri.core.errors import InputError, ParamsError
from brainmri.core.params import check
from brainmri.preprocessing import images

PARAMS = {"size": 32, "fit": "pad", "window_source": "percentile", "windows": [[1, 99], [50, 99.8]]}


def encoded(array, suffix=".png"):
    return cv2.imencode(suffix, array)[1].tobytes()


def params(**changes):
    return check(PARAMS | changes, images.ImageParams, "params")


def test_decode_gives_back_the_pixels_of_a_lossless_file():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    decoded, mode = images.decode(encoded(grey))
    np.testing.assert_array_equal(decoded, grey)
    assert mode == "L"


def test_decode_keeps_16_bits():
    grey = np.array([[0, 1000], [40000, 65535]], np.uint16)
    decoded, _ = images.decode(encoded(grey))
    np.testing.assert_array_equal(decoded, grey)


def test_decode_of_colour_agrees_with_pillow():
    rgb = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG")
    decoded, mode = images.decode(file.getvalue())
    expected = np.asarray(Image.open(file).convert("L")).astype(int)
    assert mode == "RGB"
    assert np.abs(decoded.astype(int) - expected).max() <= 1


MODES = {
    "PNG": ["1", "L", "I;16", "P", "RGB", "LA", "RGBA"],
    "JPEG": ["L", "RGB", "CMYK"],
    "BMP": ["1", "L", "P", "RGB"],
    "TIFF": ["1", "L", "I;16", "P", "RGB", "RGBA", "CMYK"],
}


@pytest.mark.parametrize(("form", "mode"), [(form, mode) for form, modes in MODES.items() for mode in modes])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_mode_is_what_pillow_says(form, mode, progressive):
    rng = np.random.default_rng(0)
    deep = Image.fromarray(rng.integers(0, 60000, (9, 7)).astype(np.uint16))
    plain = Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8))
    file = io.BytesIO()
    (deep if mode == "I;16" else plain.convert(mode)).save(file, form, progressive=progressive)
    expected = Image.open(file).mode
    assert images.decode(file.getvalue())[1] == expected
    assert images._plain_mode(file.getvalue()) in (expected, None)


def test_a_common_file_is_read_without_pillow(monkeypatch):
    monkeypatch.setattr(Image, "open", None)
    grey = np.zeros((3, 3), np.uint8)
    modes = [images.decode(encoded(a, s))[1] for a in (grey, np.dstack([grey] * 3)) for s in (".png", ".jpg")]
    assert modes == ["L", "L", "RGB", "RGB"]


def test_a_transparent_colour_in_a_png_is_black():
    file = io.BytesIO()
    Image.fromarray(np.array([[10, 200]], np.uint8)).save(file, "PNG", transparency=200)
    decoded, _ = images.decode(file.getvalue())
    np.testing.assert_array_equal(decoded, [[10, 0]])


def test_what_is_transparent_is_black():
    picture = np.full((2, 2, 4), 255, np.uint8)
    picture[0, :, 3] = 0
    decoded, mode = images.decode(encoded(picture))
    np.testing.assert_array_equal(decoded, [[0, 0], [255, 255]])
    assert mode == "RGBA"


def test_eight_bit_uses_all_levels_of_a_narrow_16_bit_image():
    image = np.array([[1000, 1100], [1200, 1510]], np.uint16)
    np.testing.assert_array_equal(images.eight_bit(image), [[0, 50], [100, 255]])


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_decode_refuses_a_file_that_is_cut_off(suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    whole = encoded(noise, suffix)
    with pytest.raises(InputError, match="cannot be decoded"):
        images.decode(whole[: len(whole) // 2])


@pytest.mark.parametrize("kind", ["TIFF", "GIF"])
def test_decode_refuses_several_pages(kind):
    first, second = (Image.fromarray(np.full((8, 8), level, np.uint8)) for level in (10, 200))
    first.save(file := io.BytesIO(), kind, save_all=True, append_images=[second])
    with pytest.raises(InputError, match=r"^a picture should have one page, received 2; save each"):
        images.decode(file.getvalue())


def test_decode_refuses_what_is_no_image():
    with pytest.raises(InputError, match="no known image format"):
        images.decode(b"Lorem ipsum")


@given(st.binary(max_size=200))
def test_decode_never_fails_otherwise(data):
    with pytest.raises(InputError, match="cannot be decoded"):
        images.decode(data)


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


def test_head_is_the_largest_thing_with_its_holes_filled():
    frame = np.zeros((40, 40), np.uint8)
    frame[8:32, 8:32] = 200
    frame[14:26, 14:26] = 0  # a hole
    frame[0:3, 0:3] = 255  # a label in the corner
    inside = images.head(frame)
    assert inside[16:24, 16:24].all()
    assert not inside[:4, :4].any()
    assert abs(int(inside.sum()) - 24 * 24) < 110  # the blur moves the border by a pixel at most


def test_head_keeps_dark_tissue_and_leaves_a_label_below_it():
    frame = np.zeros((40, 40), np.uint8)
    frame[5:30, 5:30] = 60  # below the threshold between the background and what is bright, above half of it
    frame[10:25, 10:25] = 200
    frame[36:39, 36:39] = 255
    inside = images.head(frame)
    assert inside[6:29, 6:29].all()
    assert not inside[34:].any()


def test_head_of_a_constant_image_is_empty():
    assert not images.head(np.full((20, 20), 50, np.uint8)).any()


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
