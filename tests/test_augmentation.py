"""Variants: what is drawn and what a warp does."""

import numpy as np
import pandas as pd
import pytest

from brainmri.augmentation import VariationParams, copies, draw, vary
from brainmri.params import check

NOTHING = {
    "rotation_deg": 0.0, "horizontal_flip": False, "vertical_flip": False,
    "brightness": 1.0, "zoom": 1.0, "shift_rows": 0.0, "shift_cols": 0.0,
}  # fmt: skip
IMAGE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


def ranges(**changes):
    values = {"rotation_deg": 15, "horizontal_flip": True, "vertical_flip": True,
              "brightness": 0.2, "zoom": 0.1, "shift": 0.25}  # fmt: skip
    return check(values | changes, VariationParams, "params")


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


def test_brightness_saturates():
    assert vary(np.full((2, 2, 3), 200, np.uint8), NOTHING | {"brightness": 1.5}).max() == 255


def test_draws_stay_in_range_and_repeat():
    drawn = draw(500, ranges(), np.random.default_rng(3))
    assert drawn["rotation_deg"].between(-15, 15).all()
    assert drawn["zoom"].between(0.9, 1.1).all()
    assert drawn[["shift_rows", "shift_cols"]].abs().max().max() <= 0.25
    assert 0.4 < drawn["horizontal_flip"].mean() < 0.6
    pd.testing.assert_frame_equal(drawn, draw(500, ranges(), np.random.default_rng(3)))


def test_no_flip_is_drawn_where_it_is_off():
    assert not draw(100, ranges(vertical_flip=False), np.random.default_rng(0))["vertical_flip"].any()


def test_copies_without_balance():
    assert copies(pd.Series(["a", "b"]), 3, balance=False).tolist() == [3, 3]


def test_balance_makes_all_classes_as_large_as_the_largest():
    labels = pd.Series(["a"] * 10 + ["b"] * 3 + ["c"])
    made = copies(labels, 1, balance=True)
    totals = (made + 1).tolist()
    assert [sum(totals[:10]), sum(totals[10:13]), totals[13]] == [20, 20, 20]
    assert made[:10].tolist() == [1] * 10
