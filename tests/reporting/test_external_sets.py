"""The section on other sets, of figures made by hand."""

import pytest

from brainmri.reporting import external_sets
from brainmri.reporting.documents import Table
from brainmri.reporting.summary import _mean_dice

ENDS = {"low": 0.25, "high": 0.75}
COUNTS = {
    "images": 9, "excluded": 1, "unreadable": 1, "training_twins": {"glioma": 2}, "training_patients": {"notumor": 1},
    "unlabelled": 0, "unknown_classes": {"cyst": 1}, "scored": {"glioma": 3},
}  # fmt: skip
SCORES = {
    "accuracy": 0.5, "macro": {"f1": 0.375}, "ece": 0.125,
    "classes": {"glioma": {"recall": 0.5, "support": 3}, "notumor": {"recall": None, "support": 0}},
}  # fmt: skip
BOUNDS = {"accuracy": ENDS, "macro": {"f1": ENDS}, "classes": {"glioma": {"recall": ENDS}, "notumor": {"recall": ENDS}}}
TOLD = {"known": 2, "seen_in_training": 0, "images_without": 1}
DICE = {"dice": {"mean": 0.625, "mean_ci95": ENDS}}
OUTLINES = {
    "kmeans": {"title": "K-means", "all": DICE, "glioma": DICE, "images_with_tumour_mask": 3, "by_size": {}},
    "unet": {"title": "U-Net", "skipped": "no masks"},
}  # fmt: skip


@pytest.fixture
def metrics():
    classify = {"a": {"counts": COUNTS, "test_patients": TOLD, "scores": SCORES, "ci95": BOUNDS}}
    segment = {**OUTLINES, "external": {"a": OUTLINES}}
    return {"data": {"external": {"a": COUNTS}}, "classify": {"external": classify}, "segment": segment}


def row(metrics):
    (table,) = (block for block in external_sets.section(metrics) if isinstance(block, Table))
    return dict(zip(table.header, table.rows[0], strict=True))


def test_a_set_has_its_counts_scores_and_dice(metrics):
    assert row(metrics) == {
        "Set": "a",
        "Images": "9",
        "Twins of training left out": "2",
        "Images of its patients left out": "1",
        "Left out for other reasons": "3",
        "Scored": "3",
        "Known patients": "2, 0 of them in training; 1 images of nobody known",
        "Accuracy": "0.500 (0.250 to 0.750)",
        "Macro F1": "0.375 (0.250 to 0.750)",
        "ECE": "0.125",
        "Recall by class": "glioma 0.500 (0.250 to 0.750)",
        "Dice, K-means": "0.625 (0.250 to 0.750) of 3 (glioma 0.625)",
        "Dice, U-Net": "not scored",
    }


@pytest.mark.parametrize("gone", [{"counts": COUNTS, "test_patients": TOLD}, None])
def test_a_set_of_which_nothing_is_scored_says_so(metrics, gone):
    metrics["classify"]["external"] = {"a": gone} if gone else {}
    metrics["segment"]["external"] = {}
    found = row(metrics)
    assert found["Accuracy"] == found["Recall by class"] == found["Dice, K-means"] == "not scored"


def test_without_external_sets_there_is_no_section():
    assert external_sets.section({"data": {}, "classify": {}, "segment": OUTLINES}) == []


def test_the_dice_of_external_sets_is_no_headline_number():
    assert _mean_dice({**OUTLINES, "external": {"all": DICE}}) == {"dice_kmeans": 0.625}
