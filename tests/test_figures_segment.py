"""The chart of Dice by method."""

import cv2
import numpy as np
import pandas as pd

from brainmri import figures_segment


def chart(path, table):
    figures_segment.dice_by_method(path, table, "simulated data")
    return cv2.imread(str(path))


def test_chart_shows_the_values_and_is_the_same_twice(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"method": ["kmeans"] * 40 + ["unet"] * 40, "dice": rng.random(80)})
    first = chart(tmp_path / "a.png", table)
    assert first.std() > 10
    chart(tmp_path / "b.png", table)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    other = chart(tmp_path / "c.png", table.assign(dice=table["dice"] / 2))
    assert (first != other).any()


def test_no_rows_and_rows_that_are_not_scored(tmp_path):
    assert chart(tmp_path / "a.png", pd.DataFrame({"method": [], "dice": []})) is not None
    assert chart(tmp_path / "b.png", pd.DataFrame({"method": ["kmeans"], "dice": [np.nan]})) is not None
