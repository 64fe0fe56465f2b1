"""The pointing game on masks of a few pixels."""

import numpy as np
import pandas as pd
import pytest

from brainmri.scoring import pointing


def test_the_peak_itself_has_to_lie_in_the_mask():
    evidence = np.zeros((3, 2, 2), np.float32)
    evidence[0, 0, 1], evidence[1, 1, 1] = 1, 1
    evidence[:2, 0, 0] = 0.5
    masks = np.zeros((3, 2, 2), np.uint8)
    masks[:, 0] = 1
    # The third has no evidence at all: its first pixel lies in the mask, but it points at nothing.
    assert pointing.hits(evidence, masks).tolist() == [True, False, False]


def test_the_brightest_spot_is_not_a_single_bright_pixel():
    images = np.zeros((1, 64, 64, 3), np.uint8)
    images[0, 10, 10, 0], images[0, 40:44, 40:44, 0], images[0, 20:30, 20:30, 1] = 255, 150, 255
    found = pointing.brightness(images)[0]
    assert 40 <= found.argmax() // 64 < 44


def test_no_images_have_no_hits():
    assert pointing.hits(np.empty((0, 2, 2)), np.empty((0, 2, 2))).tolist() == []


def test_the_likeliest_tumour_is_the_predicted_class_unless_none_is_predicted():
    probabilities = np.array([[0.6, 0.3, 0.1], [0.1, 0.7, 0.2]])
    assert pointing.likeliest_tumour(probabilities, ["glioma", "notumor", "pituitary"]).tolist() == [0, 2]


def test_candidates_have_a_tumour_in_their_mask():
    index = pd.DataFrame({"mask_row": [0, -1, 1, 2, 3], "label": ["glioma", "glioma", "glioma", "notumor", ""]})
    masks = np.zeros((4, 2, 2), np.uint8)
    masks[[0, 2, 3], 0, 0] = 1
    assert pointing.candidates(index, masks, 9, np.random.default_rng(0)).tolist() == [0, 4]


@pytest.mark.parametrize(("limit", "count"), [(0, 0), (3, 3), (10, 10), (11, 10)])
def test_candidates_are_at_most_so_many_and_the_same_each_time(limit, count):
    index, masks = pd.DataFrame({"mask_row": np.arange(10), "label": ""}), np.ones((10, 2, 2), np.uint8)
    first, second = (pointing.candidates(index, masks, limit, np.random.default_rng(3)).tolist() for _ in "12")
    assert first == second == sorted(set(first))
    assert len(first) == count


def test_scores_by_hand():
    table = pd.DataFrame(
        {
            "hit": [True, True, False, False],
            "unit": [0, 0, 1, 2],
            "training_twin": [False, True, False, False],
            "chance": [0.1, 0.3, 0.1, 0.1],
            "brightest": [True, False, False, False],
        }
    )
    found = pointing.score(table, 0, 200)
    assert (found["all"]["images"], found["all"]["hits"], found["all"]["chance"]) == (4, 0.5, pytest.approx(0.15))
    assert (found["twin_free"]["images"], found["twin_free"]["hits"]) == (3, pytest.approx(1 / 3))
    assert (found["all"]["brightest"], found["twin_free"]["brightest"]) == (0.25, pytest.approx(1 / 3))
    assert found["all"]["ci95"]["hits"]["low"] < 0.5 < found["all"]["ci95"]["hits"]["high"]


def test_a_part_without_images_is_left_out():
    table = pd.DataFrame({"hit": [True], "unit": [0], "training_twin": [True], "chance": [0.1], "brightest": [True]})
    assert list(pointing.score(table, 0, 100)) == ["all"]
