"""The model card's sections on the data."""

import pytest

from brainmri.reporting import card_data
from brainmri.reporting.documents import as_markdown


def shown(known, images_without, seen, masked):
    test = {"known": known, "images_without": images_without, "seen_in_training": seen}
    test["seen_in_training_masked"] = masked
    part = {"known": 7, "images_without": 0}
    return as_markdown(card_data.patients({"patients": {"train": part, "val": part, "test": test}}), "plots")


@pytest.mark.parametrize(
    ("known", "images_without", "seen", "masked", "said"),
    [
        (5, 0, 0, 0, "None of the 5 known test patients is in training or validation."),
        (5, 0, 3, 1, "Of the 5 known test patients the classifier met 3 in training or validation, the U-Net 1."),
        (5, 0, 0, 2, "Of the 5 known test patients the classifier met 0 in training or validation, the U-Net 2."),
        (0, 9, 0, 0, "No test patient is known. 9 test images without a known patient may be of people in training."),
    ],
)
def test_the_card_says_whether_test_patients_were_learnt_from(known, images_without, seen, masked, said):
    text = shown(known, images_without, seen, masked)
    assert said in text
    assert f"| test | {known} | {images_without} |" in text
