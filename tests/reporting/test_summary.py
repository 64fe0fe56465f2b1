"""The headline numbers, of metrics as the stages write them."""

import json

import pytest

from brainmri.reporting.summary import headline_numbers
from brainmri.segmentation.methods import METHODS

METRICS = {
    "data": {
        "images": {"train": {"a": 9}, "test": {"a": 2, "b": 1, "unlabelled": 1}},
        "patients": {"test": {"known": 2, "images_without": 1, "seen_in_training": 1}},
    },
    "probe": {
        "metadata": {"whole": {"accuracy": 0.5}, "twin_free": {"accuracy": 0.1}, "reading": "words"},
        "nearest_neighbour": {"whole": {"accuracy": 0.25}, "reading": "words"},
        "reading": "words",
    },
    "classify": {
        "whole": {"accuracy": 2 / 3, "ece": 0.03125, "macro": {"f1": 0.6, "auc": 0.9}},
        "twin_free": {"accuracy": 0.1, "ece": 0.2, "macro": {"f1": 0.3}},
        "validation": {"accuracy": 1.0, "epoch": 3, "loss": 0.1},
    },
    "segment": {name: {"all": {"dice": {"mean": 0.7, "median": 0.8}}, "title": name} for name in METHODS},
}


def changed(part, **values):
    return {**METRICS, part: {**METRICS[part], **values}}


def test_each_number_is_that_of_all_test_images():
    assert headline_numbers(METRICS) == {
        "accuracy": 0.6667,
        "dice_kmeans": 0.7,
        "dice_kmeans_brain": 0.7,
        "dice_unet": 0.7,
        "ece": 0.0312,
        "macro_f1": 0.6,
        "patients_seen": 1,
        "probe_metadata": 0.5,
        "probe_neighbour": 0.25,
        "test_images": 4,
        "test_no_patient": 1,
        "val_accuracy": 1.0,
    }


def test_they_fit_on_a_screen_with_every_method_there_is():
    found = headline_numbers(METRICS)
    assert len(found) <= 12
    assert max(map(len, found)) <= 20
    assert list(found) == sorted(found)


@pytest.mark.parametrize(
    ("metrics", "gone"),
    [
        (changed("segment", unet={"title": "U-Net", "skipped": "no masks"}), "dice_unet"),
        (changed("segment", unet={"title": "U-Net", "images": 4, "images_with_tumour_mask": 0}), "dice_unet"),
        (changed("classify", whole={"accuracy": 1.0, "ece": 0.1, "macro": {"f1": None}}), "macro_f1"),
        (
            changed("data", patients={"test": {"known": 0, "images_without": 4, "seen_in_training": 0}}),
            "patients_seen",
        ),
    ],
)
def test_what_was_not_measured_is_left_out(metrics, gone):
    assert set(headline_numbers(METRICS)) - set(headline_numbers(metrics)) == {gone}


def test_one_image_more_that_is_right_shows_and_the_last_digits_do_not():
    of = {
        right: headline_numbers(changed("classify", whole={"accuracy": right / 9000, "ece": 0, "macro": {"f1": 0}}))
        for right in (8000, 8001, 8001 + 1e-9)
    }
    assert of[8000] != of[8001] == of[8001 + 1e-9]
    assert json.dumps(of[8001]["accuracy"]) == "0.889"
