"""What is said of a table of predictions, on tables small enough to count by hand."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score

from brainmri.core.files import write_json
from brainmri.scoring import assessment
from brainmri.scoring.predictions_table import Answers, read_answers

CLASSES = ["a", "b"]


def answers(labels, first, units=None, twins=(), neighbours=()):
    """Return a table of predictions: label and probability of class a of each row."""
    at = np.arange(len(labels))
    return pd.DataFrame(
        {
            "label": list(labels),
            "unit": at if units is None else units,
            "training_twin": np.isin(at, twins),
            "training_neighbour": np.isin(at, neighbours),
            "p_a": first,
            "p_b": 1 - np.array(first),
        }
    )


def read(table):
    return read_answers(table, CLASSES)


def many(images, seed, accuracy=0.8):
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random(images) < 0.5, "a", "b")
    right = rng.random(images) < accuracy
    sure = rng.uniform(0.55, 1, images)
    return answers(labels, np.where((labels == "a") == right, sure, 1 - sure), units=np.arange(images) // 2)


def test_neighbour_free_images_have_neither_twin_nor_neighbour():
    table = answers("aabb", [0.9] * 4, twins=[0], neighbours=[1])
    found = assessment.part_rows(table)
    assert {name: np.flatnonzero(rows).tolist() for name, rows in found.items()} == {
        "whole": [0, 1, 2, 3], "twin_free": [1, 2, 3], "neighbour_free": [2, 3],
    }  # fmt: skip


def test_a_part_without_images_is_left_out():
    assert list(assessment.part_rows(answers("ab", [0.9, 0.1], twins=[0], neighbours=[1]))) == ["whole", "twin_free"]


def test_scores_agree_with_scikit_learn_and_few_images_claim_nothing():
    table = many(80, 0)
    table = table[(table["label"] == "a") | (np.arange(80) < 40)]
    found = assessment.scored(read(table))
    predicted = np.where(table["p_a"] > 0.5, "a", "b")
    assert found["accuracy"] == accuracy_score(table["label"], predicted)
    assert found["macro"]["f1"] == pytest.approx(f1_score(table["label"], predicted, average="macro"))
    assert found["units"] == table["unit"].nunique()
    supports = {name: found["classes"][name]["support"] for name in CLASSES}
    assert supports["a"] >= 30 > supports["b"]
    assert {name: found["classes"][name]["claim"] for name in CLASSES} == {"a": True, "b": False}


def test_thirty_images_are_enough_to_claim():
    table = answers("a" * 30 + "b" * 29, [0.9] * 59)
    claims = {name: found["claim"] for name, found in assessment.scored(read(table))["classes"].items()}
    assert claims == {"a": True, "b": False}


def test_each_part_is_scored_on_its_own_rows():
    table = many(120, 3).assign(training_twin=np.arange(120) < 40, training_neighbour=np.arange(120) < 70)
    given = np.arange(120) % 3 > 0
    found = assessment.assess(read(table), assessment.part_rows(table), given, 0, 100)
    predicted = np.where(table["p_a"] > 0.5, "a", "b")
    for name, first in (("whole", 0), ("twin_free", 40), ("neighbour_free", 70)):
        assert found[name]["images"] == 120 - first
        assert found[name]["units"] == 60 - first // 2
        assert found[name]["accuracy"] == accuracy_score(table["label"][first:], predicted[first:])
        ends = found["ci95"][name]["accuracy"]
        assert ends["low"] < found[name]["accuracy"] < ends["high"]
    assert found["abstention"]["accuracy"] == accuracy_score(table["label"][given], predicted[given])


def test_intervals_hold_the_score_and_widen_with_units():
    table = pd.concat([many(100, 1)] * 4, ignore_index=True)  # four images alike in each unit
    narrow, wide = (
        assessment.bounds(read(table.assign(unit=units)), 0, 300)["accuracy"]
        for units in (np.arange(400), np.arange(400) % 100)
    )
    point = assessment.scored(read(table))["accuracy"]
    assert narrow["low"] < point < narrow["high"]
    assert wide["high"] - wide["low"] > 1.5 * (narrow["high"] - narrow["low"])


def test_a_sure_and_wrong_slice_does_not_outvote_its_patient():
    # Mean probability of a: 0.6. Mean logarithm would choose b.
    table = answers("aaabb", [0.9, 0.9, 1e-9, 0.2, 0.1])
    found = assessment.patients(read(table), np.array(["p", "p", "p", "q", "q"]), 0, 100)
    assert (found["patients"], found["images"], found["mixed"]) == (2, 5, 0)
    assert found["accuracy"] == found["macro"]["f1"] == 1
    assert found["ci95"]["accuracy"]["low"] < 1  # two patients are no certainty


def test_patients_with_several_labels_and_images_without_patient_are_left_out():
    table = answers("aabbb", [0.9, 0.9, 0.9, 0.4, 0.9])
    found = assessment.patients(read(table), np.array(["p", "mixed", "mixed", "q", ""]), 0, 100)
    assert (found["patients"], found["images"], found["mixed"]) == (2, 2, 1)
    assert found["accuracy"] == 1


@pytest.mark.parametrize("patient", [["", ""], ["p", "p"]])
def test_without_a_patient_to_score_there_are_no_scores(patient):
    assert assessment.patients(read(answers("ab", [0.9, 0.1])), np.array(patient), 0, 100) == {}


def test_abstention_by_hand():
    true = np.array([0, 0, 0, 1, 1])
    first = np.array([0.95, 0.9, 0.6, 0.7, 0.1])  # the third is right, but not sure enough
    probabilities = np.stack([first, 1 - first], axis=1)
    given = probabilities.max(axis=1) >= 0.65
    found = assessment.abstention(Answers(true, probabilities, CLASSES, np.arange(5)), given, 0, 200)
    assert found["coverage"] == 0.8
    assert found["accuracy"] == 0.75
    # Of the four surest one is wrong, of all five too; 90 and 95 % take all five.
    assert found["risk"] == {"at_80": 0.25, "at_90": 0.2, "at_95": 0.2, "at_100": 0.2}
    assert found["ci95"]["accuracy"]["low"] < 0.75 < found["ci95"]["accuracy"]["high"]


def test_abstaining_from_everything_has_no_accuracy(tmp_path):
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    given = Answers(np.array([0, 1]), probabilities, CLASSES, np.arange(2))
    found = assessment.abstention(given, np.zeros(2, bool), 0, 100)
    assert found["coverage"] == 0
    assert np.isnan(found["accuracy"])
    write_json(tmp_path / "a.json", found)
    assert json.loads((tmp_path / "a.json").read_text())["accuracy"] is None


def test_seeds_are_summed_up_by_mean_and_sample_deviation():
    tables = [answers("aabb", [0.9, 0.9, 0.1, last], twins=[0]) for last in (0.1, 0.9, 0.9)]
    found = assessment.repeats([read(table) for table in tables], assessment.part_rows(tables[0]))
    assert found["seeds"] == 3
    assert [found["whole"]["runs"][at]["accuracy"] for at in "012"] == [1, 0.75, 0.75]
    assert found["whole"]["mean"]["accuracy"] == pytest.approx(2.5 / 3)
    assert found["whole"]["sd"]["accuracy"] == pytest.approx(np.std([1, 0.75, 0.75], ddof=1))
    assert found["twin_free"]["mean"]["accuracy"] == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    assert found["whole"]["mean"]["classes"]["a"]["f1"] == pytest.approx((1 + 0.8 + 0.8) / 3)


def test_a_class_without_images_has_no_mean_over_seeds():
    table = answers("aa", [0.9, 0.9])
    found = assessment.repeats([read(table)] * 2, assessment.part_rows(table))
    assert np.isnan(found["whole"]["mean"]["classes"]["b"]["f1"])
