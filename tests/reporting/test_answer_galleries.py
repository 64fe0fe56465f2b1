"""Which answers are shown, and that heat, outline and peak are drawn where they belong."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from brainmri.core.index import Split
from brainmri.reporting import answer_galleries
from brainmri.scoring.predictions_table import cases


def answers(count):
    at = np.arange(count)
    return pd.DataFrame(
        {
            "label": np.where(at % 2 == 0, "a", "b"),
            "predicted": "a",
            "p_a": 0.5 + at / 100,
            "p_b": 0.5 - at / 100,
        }
    )


def test_wrong_answers_come_first_the_surest_at_the_top():
    found = answer_galleries.chosen(answers(6), 10 + np.arange(6), np.random.default_rng(0))
    assert found["row"].tolist() == [15, 13, 11, 10, 12, 14]
    assert found["confidence"].iloc[0] == 0.55


def test_sixteen_of_each_are_shown_and_the_same_every_time():
    table = answers(80)[: 2 * 20 * 2].assign(p_a=0.6, p_b=0.4)
    first, second = (answer_galleries.chosen(table, np.arange(80), np.random.default_rng(1)) for _ in "12")
    assert (first["label"] != first["predicted"]).sum() == (first["label"] == first["predicted"]).sum() == 16
    assert first["row"].tolist() == second["row"].tolist()


def test_heat_outline_and_peak_are_drawn_where_they_are():
    masks = np.zeros((1, 32, 32), np.uint8)
    masks[0, 20:30, 20:30] = 1
    images = np.full((1, 32, 32, 3), 100, np.uint8)
    split = Split(pd.DataFrame({"mask_row": [0]}), images, masks)
    heat = np.zeros((32, 32), np.float32)
    heat[8, 6] = 1
    picture = answer_galleries._heated(split, 0, heat)
    assert picture.shape == (96, 96, 3)
    assert (picture[8 * 3 + 1, 6 * 3 + 1] != 100).any()  # the heat
    assert (picture[8 * 3 - 6, 6 * 3] == 255).all()  # the square about it
    assert picture[60, 75].tolist() == [0, 0xC8, 0xFF]  # the outline
    assert (picture[75, 75] == 100).all()
    assert (picture[50, 10] == 100).all()


def test_a_gallery_is_drawn_with_the_answers(tmp_path):
    split = Split(pd.DataFrame(), np.full((6, 16, 16, 3), 90, np.uint8), np.empty((0, 16, 16), np.uint8))
    shown = answer_galleries.chosen(answers(6), np.arange(6), np.random.default_rng(0))
    answer_galleries.gallery(tmp_path / "a.png", split, shown)
    assert plt.imread(tmp_path / "a.png").std() > 0.01


def test_the_first_cases_are_drawn_whole_and_say_what_was_wrong(tmp_path, monkeypatch):
    split = Split(pd.DataFrame(), np.full((6, 16, 16, 3), 90, np.uint8), np.empty((0, 16, 16), np.uint8))
    drawn = {}
    monkeypatch.setattr(answer_galleries.galleries, "grid", lambda path, *given: drawn.update({path.name: given}))
    answer_galleries.draw_cases(tmp_path / "a.png", split, cases(answers(6).assign(row=np.arange(6))))
    pictures, captions, _, columns = drawn["a.png"]
    assert captions[0] == "wrong: b\n→ a 0.55"
    assert captions[5] == "right: a\n→ a 0.54"
    assert [picture.shape for picture in pictures] == [(48, 48, 3)] * 6
    assert columns == 3
