"""Out-of-fold answers, on tables small enough to count by hand."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score

from brainmri.core.errors import InputError
from brainmri.core.files import write_json
from brainmri.scoring import assessment, pooling
from brainmri.scoring.predictions_table import read_answers
from brainmri.scoring.records import COLUMNS


def fold(first, right, labels="aabb", patients=None):
    """Return the predictions of a fold: images numbered from `first`, two a patient, which of them are right."""
    at = first + np.arange(len(labels))
    label, right = np.array(list(labels)), np.array(right, bool)
    p_a = np.where((label == "a") == right, 0.75, 0.25)
    return pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in at],
            "label": label,
            "predicted": np.where(p_a > 0.5, "a", "b"),
            "patient": [f"p{number // 2}" for number in at] if patients is None else patients,
            "unit": at // 2,
            "p_a": p_a,
            "p_b": 1 - p_a,
        }
    )


@pytest.fixture
def folds():
    return [fold(0, [1, 1, 1, 1]), fold(4, [1, 0, 1, 0]), fold(8, [1, 1, 0, 0, 1, 1], "aabbbb")]


def test_every_image_stands_once_with_its_fold(folds):
    pooled = pooling.pool(folds)
    assert pooled["image_id"].tolist() == [f"i{at}" for at in range(14)]
    assert pooled["fold"].tolist() == [0] * 4 + [1] * 4 + [2] * 6
    assert list(pooled) == ["fold", *folds[0]]


def test_the_whole_weighs_images_and_the_mean_weighs_folds(folds):
    found = pooling.score(pooling.pool(folds), 0, 200)
    pooled = pd.concat(folds)
    assert found["whole"]["accuracy"] == accuracy_score(pooled["label"], pooled["predicted"]) == 10 / 14
    runs = [found["by_fold"]["runs"][str(at)]["accuracy"] for at in range(3)]
    assert runs == pytest.approx([1, 0.5, 4 / 6])
    assert found["by_fold"]["mean"]["accuracy"] == pytest.approx(np.mean(runs))
    assert found["by_fold"]["sd"]["accuracy"] == pytest.approx(np.std(runs, ddof=1))
    assert [found["by_fold"]["runs"][str(at)]["units"] for at in range(3)] == [2, 2, 3]
    assert found["folds"] == 3


def test_patients_are_resampled_and_pooled(folds):
    pooled = pooling.pool(folds)
    found = pooling.score(pooled, 0, 200)
    assert found["test_patients"] == {"known": 7, "images_without": 0}
    assert found["patients"]["patients"] == 7
    assert found["ci95"]["whole"] == assessment.bounds(read_answers(pooled, ["a", "b"]), 0, 200)
    alone = assessment.bounds(read_answers(pooled.assign(unit=np.arange(14)), ["a", "b"]), 0, 200)
    assert found["ci95"]["whole"]["accuracy"]["low"] < alone["accuracy"]["low"]  # images of a patient fail together


def test_images_of_nobody_known_are_counted(folds):
    nameless = fold(14, [1, 1, 1, 1], patients=["", "", "", ""])
    found = pooling.score(pooling.pool([*folds, nameless]), 0, 100)
    assert found["test_patients"] == {"known": 7, "images_without": 4}
    assert "patients" not in pooling.score(pooling.pool([nameless, fold(18, [1] * 4, patients=[""] * 4)]), 0, 100)


def test_scores_can_be_written(folds, tmp_path):
    write_json(tmp_path / "scores.json", pooling.score(pooling.pool(folds), 0, 100))
    assert json.loads((tmp_path / "scores.json").read_text())["by_fold"]["runs"]["2"]["images"] == 6


def test_an_image_in_two_folds_is_refused(folds):
    with pytest.raises(InputError, match=r"each image should be tested in one fold, received 4 again, such as i0"):
        pooling.pool([*folds, fold(0, [1] * 4)])


def test_a_patient_in_two_folds_is_refused(folds):
    again = fold(14, [1] * 4, patients=["p3", "p3", "p90", "p90"])
    with pytest.raises(
        InputError, match=r"each patient should be tested in one fold, received 1 in several, such as .* p3"
    ):
        pooling.pool([*folds, again])


def test_a_unit_in_two_folds_is_refused(folds):
    again = fold(14, [1] * 4, patients=[""] * 4).assign(unit=[3, 3, 90, 90])
    with pytest.raises(
        InputError, match=r"each unit should be tested in one fold, received 1 in several, such as unit 3"
    ):
        pooling.pool([*folds, again])


def test_folds_of_other_classes_or_without_patients_are_refused(folds):
    with pytest.raises(InputError, match="folds should be of the same classes"):
        pooling.pool([folds[0], folds[1].rename(columns={"p_b": "p_c"})])
    with pytest.raises(InputError, match=r"received none called \['patient'\]"):
        pooling.pool([folds[0], folds[1].drop(columns="patient")])


def outlines(first, dice, label="a", **columns):
    """Return rows of outlines, one unit an image, all with a tumour of 10 px in truth."""
    at = first + np.arange(len(dice))
    known = {"image_id": [f"i{number}" for number in at], "label": label, "unit": at, "training_twin": False}
    table = pd.DataFrame({**known, "area_px": 10, "truth_px": 10, "dice": dice, "method": "unet"})
    return table.reindex(columns=[*COLUMNS, "method"]).assign(one_empty=0, native_one_empty=0, **columns)


def test_outlines_are_pooled_over_folds_by_method_and_class():
    pooled = pooling.pool_outlines([outlines(0, [0.5, 1.0]), outlines(2, [0.0, 0.5, 0.5, 0.0], "b")])
    assert pooled["fold"].tolist() == [0, 0, 1, 1, 1, 1]
    found = pooling.score_outlines(pooled, (5, 20), 0, 100)["unet"]
    assert found["images_with_tumour_mask"] == 6
    assert found["all"]["dice"]["mean"] == pytest.approx(2.5 / 6)  # an image counts as much as any other
    assert (found["a"]["dice"]["mean"], found["b"]["dice"]["mean"]) == (0.75, 0.25)
    assert list(found["by_size"]) == ["medium"]
    assert found["by_fold"]["runs"] == {"0": {"dice": 0.75}, "1": {"dice": 0.25}}
    assert found["by_fold"]["mean"]["dice"] == 0.5
    assert found["by_fold"]["sd"]["dice"] == pytest.approx(np.std([0.75, 0.25], ddof=1))


def test_outlines_of_a_unit_in_two_folds_are_refused():
    with pytest.raises(
        InputError, match="each unit should be tested in one fold, received 1 in several, such as unit 1"
    ):
        pooling.pool_outlines([outlines(0, [0.5, 1.0]), outlines(1, [0.5])])


def test_a_probe_is_pooled_by_images():
    folds = [{"accuracy": 0.5, "images": 10.0}, {"accuracy": 1.0, "images": 30.0}]
    assert pooling.pool_probe(folds) == {"accuracy": 0.875, "images": 40}


def test_abstention_is_scored_where_the_table_tells_it(folds):
    pooled = pooling.pool(folds)
    assert "abstention" not in pooling.score(pooled, 0, 100)
    given = pooled["label"] == pooled["predicted"]
    found = pooling.score(pooled.assign(abstained=(~given).astype(str)), 0, 100)["abstention"]
    assert found["coverage"] == pytest.approx(10 / 14)
    assert found["accuracy"] == 1
