"""Variants: what is drawn and what each operation does."""

import io

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from brainmri.core.errors import ParamsError
from brainmri.core.params import check
from brainmri.preprocessing.augmentation import VariationParams, copies, draw, vary

NOTHING = {
    "rotation_deg": 0.0, "horizontal_flip": False, "vertical_flip": False, "zoom": 1.0, "shift_rows": 0.0,
    "shift_cols": 0.0, "shear": 0.0, "stretch": 1.0, "coarse": 1.0, "blur_px": 0.0, "gamma": 1.0, "brightness": 1.0,
    "noise": 0.0, "noise_seed": 7, "erase_top": 0.25, "erase_left": 0.5, "erase_height": 0.0, "erase_width": 0.25,
}  # fmt: skip
IMAGE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
OFF = dict.fromkeys(VariationParams.model_fields, 0) | {"horizontal_flip": False, "vertical_flip": False}
STRONG = {
    "rotation_deg": 15, "horizontal_flip": True, "vertical_flip": True, "zoom": 0.25, "shift": 0.25, "shear": 0.2,
    "stretch": 0.3, "coarse": 0.5, "blur_px": 2, "gamma": 0.4, "brightness": 0.2, "noise": 0.1, "erase": 0.5,
}  # fmt: skip


def ranges(base=STRONG, **changes):
    return check(base | changes, VariationParams, "params")


def smooth(rng, side=32):
    return cv2.GaussianBlur(rng.integers(0, 256, (side, side), dtype=np.uint8), (0, 0), 2)[..., None]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, IMAGE),
        ({"horizontal_flip": True}, IMAGE[:, ::-1]),
        ({"vertical_flip": True}, IMAGE[::-1]),
        ({"horizontal_flip": True, "vertical_flip": True}, IMAGE[::-1, ::-1]),
        ({"rotation_deg": 90.0}, np.rot90(IMAGE)),
        ({"rotation_deg": 180.0}, IMAGE[::-1, ::-1]),
        ({"brightness": 2.0}, IMAGE * 2),
        ({"gamma": 2.0}, np.rint((IMAGE / 255) ** 2 * 255)),
        ({"gamma": 2.0, "brightness": 3.0}, np.rint((IMAGE / 255) ** 2 * 255 * 3)),
        ({"shift_cols": 0.25}, np.pad(IMAGE, ((0, 0), (1, 0), (0, 0)))[:, :4]),
        ({"shift_rows": -0.5}, np.pad(IMAGE, ((0, 2), (0, 0), (0, 0)))[2:]),
    ],
)
def test_each_change_alone(change, expected):
    np.testing.assert_array_equal(vary(IMAGE, NOTHING | change), expected)


def test_zoom_enlarges_about_the_centre():
    image = np.zeros((5, 5, 1), np.uint8)
    image[2, 2] = 200
    larger = vary(image, NOTHING | {"zoom": 2.0})
    assert larger[2, 2, 0] == 200
    assert larger[2, 3, 0] == 100
    assert larger.shape == (5, 5, 1)


def test_shear_moves_rows_against_the_centre_row():
    image = np.zeros((5, 5, 1), np.uint8)
    image[:, 2] = 90
    leaning = vary(image, NOTHING | {"shear": 1.0})[..., 0]
    np.testing.assert_array_equal(leaning, 90 * np.eye(5))


def test_stretch_widens_what_it_flattens():
    image = np.zeros((9, 9, 1), np.uint8)
    image[3:6, 3:6] = 100
    wide = vary(image, NOTHING | {"stretch": 4.0})[..., 0]  # twice as wide, half as high
    assert (wide[4] == 100).sum() == 5
    assert (wide[:, 4] == 100).sum() == 1


@given(st.integers(0, 1000))
def test_the_warp_agrees_with_scipy(seed):
    rng = np.random.default_rng(seed)
    image = smooth(rng)
    row = draw(1, ranges(OFF, **{name: STRONG[name] for name in ("rotation_deg", "zoom", "shift", "shear", "stretch")},
                         horizontal_flip=True, vertical_flip=True), rng).iloc[0]  # fmt: skip
    angle, wider = np.deg2rad(row["rotation_deg"]), np.sqrt(row["stretch"])
    # rows and columns: the steps from last to first
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    lean = np.array([[1, 0], [row["shear"], 1]])
    sides = np.diag([1 / wider, wider]) @ np.diag([-1.0 if row[f"{n}_flip"] else 1 for n in ("vertical", "horizontal")])
    back = np.linalg.inv(row["zoom"] * turn @ lean @ sides)
    centre = np.full(2, 31 / 2)
    offset = centre - back @ (centre + 32 * np.array([row["shift_rows"], row["shift_cols"]]))
    padded = np.pad(image[..., 0].astype(float), 40)  # SciPy's own border is not black but cut off
    expected = ndimage.affine_transform(padded, back, offset + 40 - back @ [40, 40], order=1)[40:-40, 40:-40]
    assert np.abs(vary(image, row)[..., 0] - expected).max() < 4  # OpenCV's weights have five bits


def test_coarse_loses_detail_and_keeps_the_mean():
    stripes = np.tile(np.array([0, 200], np.uint8), (32, 16))[..., None]
    coarse = vary(stripes, NOTHING | {"coarse": 0.5})
    assert coarse.std() < 0.2 * stripes.std()
    assert coarse.mean() == pytest.approx(100, abs=2)


def test_blur_agrees_with_scipy():
    image = smooth(np.random.default_rng(0))
    expected = ndimage.gaussian_filter(image[..., 0].astype(float), 1.0, mode="mirror", truncate=3)
    np.testing.assert_allclose(vary(image, NOTHING | {"blur_px": 1.0})[..., 0], expected, atol=1)


def test_noise_has_the_deviation_it_was_given_and_is_the_same_in_every_window():
    grey = np.full((64, 64, 3), 128, np.uint8)
    noisy = vary(grey, NOTHING | {"noise": 0.05})
    assert noisy.std() == pytest.approx(0.05 * 255, rel=0.05)
    assert noisy.mean() == pytest.approx(128, abs=0.5)
    np.testing.assert_array_equal(noisy[..., 0], noisy[..., 2])
    assert (noisy != vary(grey, NOTHING | {"noise": 0.05, "noise_seed": 8})).mean() > 0.8


def test_erase_blackens_its_rectangle_and_nothing_else():
    expected = IMAGE + 1
    expected[1:3, 2:3] = 0
    np.testing.assert_array_equal(vary(IMAGE + 1, NOTHING | {"erase_height": 0.5}), expected)


def test_brightness_saturates():
    assert vary(np.full((2, 2, 3), 200, np.uint8), NOTHING | {"brightness": 1.5}).max() == 255


def test_draws_stay_in_range_and_repeat():
    drawn = draw(500, ranges(), np.random.default_rng(3))
    assert drawn["rotation_deg"].between(-15, 15).all()
    assert drawn["zoom"].between(0.8, 1.25).all()
    assert 0.4 < (drawn["zoom"] > 1).mean() < 0.6
    assert drawn[["shift_rows", "shift_cols"]].abs().max().max() <= 0.25
    assert drawn["shear"].abs().max() <= 0.2
    assert drawn[["stretch", "gamma"]].apply(np.log).abs().max().tolist() == pytest.approx([0.3, 0.4], abs=0.01)
    assert 0.4 < drawn["horizontal_flip"].mean() < 0.6
    pd.testing.assert_frame_equal(drawn, draw(500, ranges(), np.random.default_rng(3)))


@pytest.mark.parametrize(
    ("name", "off", "share", "low", "high"),
    [
        ("coarse", 1, 0.25, 0.5, 1),
        ("blur_px", 0, 0.5, 0.3, 2),
        ("noise", 0, 0.5, 0, 0.1),
        ("erase_height", 0, 0.5, 0.05, 0.5),
    ],
)
def test_what_happens_sometimes_happens_as_often_as_said(name, off, share, low, high):
    drawn = draw(2000, ranges(), np.random.default_rng(0))
    happened = drawn[name][drawn[name] != off]
    assert len(happened) / 2000 == pytest.approx(share, abs=0.04)
    assert happened.between(low, high).all()


def test_the_hole_lies_inside_the_image():
    drawn = draw(500, ranges(), np.random.default_rng(0))
    assert (drawn["erase_top"] + drawn["erase_height"]).max() <= 1 + 1e-6
    assert (drawn["erase_left"] + drawn["erase_width"]).max() <= 1 + 1e-6


def test_a_csv_file_keeps_what_was_drawn_exactly():
    drawn = draw(1000, ranges(), np.random.default_rng(0))
    read = pd.read_csv(io.StringIO(drawn.to_csv(index=False)))
    pd.testing.assert_frame_equal(read, drawn, check_exact=True)


@given(st.integers(0, 1000), st.integers(1, 4))
def test_a_row_makes_the_same_bytes_again_even_out_of_a_csv_file(seed, channels):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (9, 13, channels), dtype=np.uint8)
    before = image.copy()
    drawn = draw(1, ranges(), rng)
    once = vary(image, drawn.iloc[0])
    assert once.shape == image.shape
    assert once.dtype == np.uint8
    np.testing.assert_array_equal(image, before)
    read = pd.read_csv(io.StringIO(drawn.to_csv(index=False))).to_dict("records")[0]
    np.testing.assert_array_equal(once, vary(image, read))


@given(st.integers(0, 1000))
def test_with_everything_off_nothing_changes(seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(vary(image, draw(1, ranges(OFF), rng).iloc[0]), image)


def test_ranges_too_small_to_mean_anything_are_refused():
    with pytest.raises(
        ParamsError, match=r"blur_px should be 0, or at least 0\.3.*erase should be 0, or at least 0\.05"
    ):
        ranges(blur_px=0.1, erase=0.01)


def test_copies_without_balance():
    assert copies(pd.Series(["a", "b"]), 3, balance=False).tolist() == [3, 3]


def test_balance_makes_all_classes_as_large_as_the_largest():
    labels = pd.Series(["a"] * 10 + ["b"] * 3 + ["c"])
    made = copies(labels, 1, balance=True)
    totals = (made + 1).tolist()
    assert [sum(totals[:10]), sum(totals[10:13]), totals[13]] == [20, 20, 20]
    assert made[:10].tolist() == [1] * 10
