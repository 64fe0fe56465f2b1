"""What the card says of scores: each figure once, and no chart that shows nothing."""

from pathlib import Path

import pandas as pd
import pytest

from brainmri.reporting import card_data, card_scores
from brainmri.reporting.documents import Picture, Table, Text

PLOTS = Path("plots")
ENDS = {"low": 0.8, "high": 1.0}
KEYS = ("precision", "recall", "specificity", "f1", "auc", "average_precision")


def part(images, accuracy=0.9, auc=0.95, average_precision=0.9):
    own = {**dict.fromkeys(KEYS, accuracy), "auc": auc, "average_precision": average_precision}
    by_class = {name: {**own, "support": images // 2, "claim": True} for name in "ab"}
    macro = {"f1": accuracy, "auc": auc}
    return {"images": images, "units": images, "accuracy": accuracy, "macro": macro, "ece": 0.1, "classes": by_class}


def scores(**found):
    ends = {"accuracy": ENDS, "macro": {"f1": ENDS, "auc": ENDS}, "classes": {"a": {"f1": ENDS}, "b": {"f1": ENDS}}}
    return {**found, "ci95": dict.fromkeys(found, ends)}


def tables(blocks):
    return [block for block in blocks if isinstance(block, Table)]


def pictures(blocks):
    return [block.path.name for block in blocks if isinstance(block, Picture)]


def said(blocks):
    return " ".join(block.text for block in blocks if isinstance(block, Text))


def predictions(answers, twin=False):
    """Return a table of answers, each written as label and predicted class."""
    table = pd.DataFrame({"label": [a[0] for a in answers], "predicted": [a[1] for a in answers]})
    table = table.assign(image_id=[f"i{at}" for at in range(len(table))], p_a=0.7, p_b=0.3, abstained=False)
    return table.assign(training_twin=twin, training_neighbour=False)


def test_parts_that_are_the_same_images_stand_in_one_row():
    found = scores(whole=part(10), twin_free=part(8, 0.8), neighbour_free=part(8, 0.8))
    [table] = tables(card_scores.at_a_glance(found, PLOTS))
    assert [row[0] for row in table.rows] == ["whole test set", "twin-free and neighbour-free: the same images"]
    named = [table.caption for table in tables(card_scores.by_class(found, "ab", PLOTS))]
    assert named == ["By class, whole test set", "By class, twin-free and neighbour-free: the same images"]


def test_probes_say_equal_parts_once():
    own = {"images": 8, "chance": 0.25, **dict.fromkeys(("accuracy", "macro_f1", "macro_recall"), 0.5)}
    own["ci95"] = dict.fromkeys(("accuracy", "macro_f1", "macro_recall"), ENDS)
    probe = {"metadata": {"whole": {**own, "images": 9, "accuracy": 0.4}, "twin_free": own, "neighbour_free": own}}
    [table] = tables(card_data.probes({**probe, "reading": "So it is."}))
    assert [row[0] for row in table.rows] == [
        "metadata, whole test set", "metadata, twin-free and neighbour-free: the same images",
    ]  # fmt: skip


def test_a_gate_that_changes_nothing_has_no_row_of_its_own():
    means = {key: {"mean": 0.9, "mean_ci95": ENDS} for key in card_scores.MEASURES}
    false = {"images": 3, "share_with_any": 0.0}
    own = {"all": means, "images_with_tumour_mask": 5, "false_positive_area_px": false}
    unet = {**own, "images_with_tumour_mask": 6, "twin_free": {**own, "gated": own}, "title": "U-Net"}
    closed = {**own, "false_positive_area_px": {**false, "share_with_any": 0.5}}
    kmeans = {**own, "twin_free": {**own, "gated": closed}, "title": "K-means"}
    [table] = tables(card_scores.outlines({"unet": unet, "kmeans": kmeans}, PLOTS))
    assert [(row[0], row[1]) for row in table.rows] == [
        ("U-Net, on the grid, twin-free and gated twin-free: equal scores", "6, 5"),
        ("K-means, on the grid and twin-free: no difference", "5"),
        ("K-means, gated twin-free", "5"),
    ]


@pytest.mark.parametrize(
    ("areas", "shown", "sentence"),
    [
        ((0.9995, 0.9995), [], "The ROC and precision-recall curves are not shown: all areas under them are above"),
        ((0.9995, 0.95), ["precision_recall.png"], "The ROC curves are not shown"),
        ((0.999, 0.999), ["roc.png", "precision_recall.png"], ""),
        ((None, None), ["roc.png", "precision_recall.png"], ""),
    ],
)  # fmt: skip
def test_curves_of_full_areas_give_way_to_a_sentence(areas, shown, sentence):
    blocks = card_scores.by_class(scores(whole=part(10, 0.9, *areas)), "ab", PLOTS)
    assert pictures(blocks) == shown
    assert sentence in said(blocks)
    assert ("not shown" in said(blocks)) == bool(sentence)


def test_a_chart_of_confusion_is_shown_where_it_has_more_than_the_table():
    answers = ["aa", "ab", "bb"]
    assert pictures(card_scores.confusion(predictions(answers), "ab", PLOTS)) == []
    apart = predictions(answers, twin=[True, False, False])
    assert pictures(card_scores.confusion(apart, "ab", PLOTS)) == ["confusion.png"]
    counts = {name: table.to_numpy().tolist() for name, table in card_scores.confusions(apart, "ab").items()}
    assert counts == {"whole": [[1, 1], [0, 1]], "twin_free": [[0, 1], [0, 1]]}
    assert list(card_scores.confusions(apart[:1], "ab")) == ["whole"]


def test_without_a_wrong_answer_no_risk_is_drawn():
    quality = {"ece": 0.1, "loss": 0.2, "brier": 0.3}
    fitted = {"temperature": 1.0, "abstain_below": 0.5, "before": quality, "after": quality}
    given = {"coverage": 0.9, "accuracy": 1.0, "ci95": {"coverage": ENDS, "accuracy": ENDS}}
    found = {**scores(whole=part(10, 1.0)), "calibration": fitted, "abstention": given}
    assert pictures(card_scores.calibration(found, PLOTS)) == ["reliability.png"]
    found["whole"] = part(10, 0.9)
    assert pictures(card_scores.calibration(found, PLOTS)) == ["reliability.png", "coverage_risk.png"]
