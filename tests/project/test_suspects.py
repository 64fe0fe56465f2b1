"""Labels that may be wrong."""

import numpy as np
import pandas as pd
import pytest
from conftest import CLASSES

from brainmri.core.errors import InputError
from brainmri.core.files import write_table
from brainmri.core.index import read_index
from brainmri.project import suspects


def test_the_rule_on_a_case_worked_by_hand():
    true = np.array([0, 0, 0, 1, 1])
    first = np.array([0.9, 0.4, 0.2, 0.3, 0.5])
    probabilities = np.stack([first, 1 - first], 1)
    # Thresholds are the means over the images labelled so: (0.9 + 0.4 + 0.2) / 3 = 0.5 and (0.7 + 0.5) / 2 = 0.6.
    # Rows 1 and 2 reach class 1's alone (0.6 and 0.8), row 4 reaches class 0's alone (0.5).
    assert suspects.is_suspect(true, probabilities).tolist() == [False, True, True, False, True]


def test_an_unsure_answer_is_no_suspicion():
    true = np.array([0, 0, 1, 1])
    probabilities = np.array([[1, 0], [0.45, 0.55], [0, 1], [0, 1]], float)
    assert not suspects.is_suspect(true, probabilities).any()  # 0.55 does not reach class 1's threshold of 1


def test_a_class_without_images_is_never_suspected():
    true = np.array([0, 0])
    probabilities = np.array([[0.1, 0.0, 0.9], [0.6, 0.4, 0.0]])
    assert not suspects.is_suspect(true, probabilities).any()


def test_planted_wrong_labels_are_found():
    rng = np.random.default_rng(0)
    actual = np.arange(600) % 4
    probabilities = rng.dirichlet(np.ones(4), 600) * 0.4
    probabilities[np.arange(600), actual] += 0.6
    labels = actual.copy()
    wrong = rng.choice(600, 30, replace=False)
    labels[wrong] = (labels[wrong] + 1) % 4
    found = suspects.is_suspect(labels, probabilities)
    # Those that are predicted with more than the mean confidence; the others are not sure enough to be named.
    assert found[wrong].mean() > 0.6
    assert found[np.setdiff1d(np.arange(600), wrong)].mean() < 0.02


def test_folds_keep_units_whole_and_hold_every_row_out_once():
    units = np.arange(60) // 3
    true = (units % 2).astype(int)
    held_out = []
    for learnt, other in suspects.fold_rows(true, units, 5, 0):
        assert not set(units[learnt]) & set(units[other])
        assert len(np.unique(true[other])) == 2
        held_out += other.tolist()
    assert sorted(held_out) == list(range(60))


def test_more_folds_than_units_of_a_class_are_refused():
    with pytest.raises(InputError, match=r"as many units as there are folds \(5\), received 3"):
        list(suspects.fold_rows(np.repeat([0, 1], 9), np.arange(18) // 3, 5, 0))


def test_the_table_begins_with_the_least_likely_label():
    table = pd.DataFrame({"image_id": [*"abcd"], "set": "classes", "split": "train", "label": [*"xxxy"]})
    probabilities = np.array([[0.1, 0.9], [0.05, 0.95], [1.0, 0.0], [0.1, 0.9]])
    found = suspects.suspected(table, np.array([0, 0, 0, 1]), probabilities, ["x", "y"])
    assert found["image_id"].tolist() == ["b", "a"]
    assert found["at"].tolist() == [1, 0]
    assert found["p_label"].tolist() == [0.05, 0.1]
    assert found["p_predicted"].tolist() == [0.95, 0.9]


@pytest.fixture
def mislabelled(processed, tmp_path):
    """The processed set with one training label changed."""
    import shutil

    shutil.copytree(processed, tmp_path / "processed")
    table = read_index(tmp_path / "processed/train")
    at = table.index[table["label"] == "pituitary"][0]
    table.loc[at, "label"] = "notumor"
    write_table(tmp_path / "processed/train/index.csv", table)
    return tmp_path / "processed", table["image_id"][at]


def test_a_wrong_label_is_listed_and_the_test_split_is_not_read(mislabelled, tmp_path, monkeypatch):
    import shutil

    folder, wrong = mislabelled
    shutil.rmtree(folder / "test")
    before = {row.image_id: row.label for name in ("train", "val") for row in read_index(folder / name).itertuples()}
    actual = [CLASSES.index("pituitary" if name == wrong else label) for name, label in before.items()]
    answers = np.full((len(actual), 4), 0.01)
    answers[np.arange(len(actual)), actual] = 0.97
    answers[list(before).index(wrong)] = [0.005, 0.0, 0.005, 0.99]
    monkeypatch.setattr(suspects, "out_of_fold", lambda *given: answers)
    found = suspects.find(folder, tmp_path / "out", folds=3, epochs=1, seed=0)
    written = pd.read_csv(tmp_path / "out/suspects.csv", dtype={"image_id": str})
    pd.testing.assert_frame_equal(found, written, check_dtype=False)
    assert list(written.columns) == ["image_id", "set", "split", "label", "predicted", "p_label", "p_predicted"]
    assert written.iloc[0].tolist() == [wrong, "manifest", "train", "notumor", "pituitary", 0.005, 0.99]
    assert len(written) == 1
    assert (tmp_path / "out/suspects.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_networks_predict_what_they_have_not_seen():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (64, 32, 32, 1), dtype=np.uint8)
    true = np.arange(64) % 2
    images[true == 1, 8:24, 4:16] += 150  # left
    images[true == 0, 8:24, 4:28] += 150  # left and right
    arrays, rows = [images[:40], images[40:60]], np.arange(60)
    answers = suspects.out_of_fold(arrays, rows, true[:60], np.arange(60) // 4, 2, folds=2, epochs=20, seed=0)
    np.testing.assert_allclose(answers.sum(1), 1, atol=1e-5)
    assert (answers.argmax(1) == true[:60]).mean() > 0.9
