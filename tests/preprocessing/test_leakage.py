"""Who leaks into whom, on tables of a few rows."""

import numpy as np
import pandas as pd
import pytest

from brainmri.core.errors import InputError
from brainmri.preprocessing import leakage


def table(rows):
    """Make a table of rows (split, label, group, neighbour group), without masks."""
    made = pd.DataFrame(rows, columns=["split", "label", "group", "neighbour_group"])
    ids = [f"i{at}" for at in range(len(made))]
    return made.assign(image_id=ids, set="classes", patient="", has_mask=False)


ROWS = [
    ("test", "glioma", 0, 0),
    ("train", "glioma", 0, 0),  # copy of the first
    ("train", "glioma", 1, 0),  # neighbour of the first
    ("val", "glioma", 2, 0),  # neighbour of the first
    ("val", "glioma", 3, 3),
    ("train", "glioma", 3, 3),  # copy of a validation image
    ("train", "glioma", 4, 3),  # neighbour of a validation image
    ("train", "glioma", 5, 5),
    ("test", "glioma", 6, 6),
]


def test_report_changes_nothing():
    dropped = leakage.drop(table(ROWS), "report")
    assert dropped["split"].tolist() == table(ROWS)["split"].tolist()
    assert not dropped["reason"].any()


def test_drop_takes_copies_and_says_of_what():
    dropped = leakage.drop(table(ROWS), "drop")
    assert dropped.index[dropped["split"] == "dropped"].tolist() == [1, 5]
    assert dropped["reason"][[1, 5]].tolist() == ["copy of test", "copy of validation"]


def test_drop_neighbours_takes_both():
    dropped = leakage.drop(table(ROWS), "drop_neighbours")
    assert dropped.index[dropped["split"] == "dropped"].tolist() == [1, 2, 3, 5, 6]
    assert dropped["reason"][[1, 2, 3, 5, 6]].tolist() == [
        "copy of test", "neighbour", "neighbour", "copy of validation", "neighbour",
    ]  # fmt: skip


def test_a_dropped_validation_image_takes_no_training_image_along():
    rows = [
        ("test", "glioma", 0, 0), ("val", "glioma", 0, 0), ("val", "glioma", 2, 2), ("train", "glioma", 1, 1),
    ]  # fmt: skip
    assert leakage.drop(table(rows), "drop")["split"].tolist() == ["test", "dropped", "val", "train"]


def test_unlabelled_images_count_against_masked_ones_alone():
    rows = table([*ROWS, ("test", "", 7, 7), ("train", "glioma", 7, 7), ("train", "", 7, 7)])
    rows.loc[[9, 11], "has_mask"] = True
    dropped = leakage.drop(rows, "drop_neighbours")
    assert dropped["split"][[9, 10, 11]].tolist() == ["test", "train", "dropped"]


def test_marks_are_of_labelled_training_images_before_any_is_dropped():
    marked = leakage.mark(table(ROWS))
    assert marked["training_twin"].tolist() == [True] + [False] * 8
    assert marked["training_neighbour"].tolist() == [True] + [False] * 8
    only_a_neighbour = leakage.mark(table([("test", "glioma", 0, 0), ("val", "glioma", 1, 0)]))
    assert only_a_neighbour[["training_twin", "training_neighbour"]].to_numpy().tolist() == [
        [False, True], [False, False],
    ]  # fmt: skip


def test_a_split_or_a_class_without_images_is_refused():
    with pytest.raises(InputError, match="every split needs images, received none for val"):
        leakage.drop(table([("test", "glioma", 0, 0), ("train", "glioma", 1, 1)]), "drop")
    rows = [*ROWS, ("test", "cyst", 8, 8), ("train", "cyst", 8, 8)]
    with pytest.raises(InputError, match=r"received none of \['cyst'\] after leaving out copies"):
        leakage.drop(table(rows), "drop")


def test_one_patient_for_all_is_told_where_a_split_stays_empty():
    rows = table([("test", "glioma", 0, 0), ("test", "glioma", 1, 1), ("train", "glioma", 2, 2)]).assign(
        patient="d0001"
    )
    with pytest.raises(InputError, match=r"none for val; a patient is never divided, and 3 of 3 images are of 1; .*"
                       "several people have the same PatientID, say who is who"):  # fmt: skip
        leakage.drop(rows, "drop")
    with pytest.raises(InputError, match="none for val; bring more images"):
        leakage.drop(rows.assign(patient=["a", "b", "c"]), "drop")


def test_conflicts_name_every_image_of_a_group_with_two_labels():
    rows = [
        ("train", "glioma", 0, 0), ("test", "pituitary", 0, 0), ("train", "glioma", 1, 1), ("train", "glioma", 1, 1),
        ("test", "", 2, 2), ("train", "glioma", 2, 2),
    ]  # fmt: skip
    found = leakage.conflicts(table(rows))
    assert found["image_id"].tolist() == ["i0", "i1"]
    assert found["split"].tolist() == ["train", "test"]


def test_the_summary_adds_up():
    rows = leakage.drop(leakage.mark(table(ROWS)), "drop_neighbours")
    pairs = pd.DataFrame({"equal_bytes": [True, False], "equal_pixels": [True, True]})
    found = leakage.summary(rows, pairs)
    assert found["before"] == {"train": {"glioma": 5}, "val": {"glioma": 2}}
    assert found["after"] == {"train": {"glioma": 1}, "val": {"glioma": 1}}
    assert found["dropped"] == {
        "copy of test": {"glioma": 1}, "copy of validation": {"glioma": 1}, "neighbour": {"glioma": 3},
    }  # fmt: skip
    assert found["dropped_from"] == {"train": {"glioma": 4}, "val": {"glioma": 1}}
    assert (found["groups"], found["largest_group"], found["largest_neighbour_group"]) == (2, 2, 4)
    assert (found["test_with_training_twin"], found["test_neighbour_free"]) == ({"glioma": 1}, {"glioma": 1})
    assert (found["pairs"], found["pairs_equal_bytes"], found["pairs_equal_pixels"]) == (2, 1, 2)


def drawn(seed):
    """Return a smooth picture on black and its plain thumbnail."""
    import cv2

    from brainmri.preprocessing import duplicates

    picture = np.zeros((64, 64, 1), np.uint8)
    coarse = np.random.default_rng(seed).integers(40, 255, (6, 6), dtype=np.uint8)
    picture[10:54, 10:54, 0] = cv2.resize(coarse, (44, 44), interpolation=cv2.INTER_CUBIC)
    return picture, duplicates.thumbnail(picture[..., 0])


def test_copies_are_found_by_bytes_by_pixels_and_by_likeness():
    from brainmri.preprocessing import duplicates

    pictures = [drawn(seed)[0] for seed in (0, 1, 0, 2)]
    pictures += [np.roll(pictures[1], 5, axis=0), np.zeros((64, 64, 1), np.uint8), np.zeros((64, 64, 1), np.uint8)]
    images = np.stack(pictures)
    plain = np.stack([duplicates.thumbnail(picture[..., 0]) for picture in images])
    rows = table([("train", "glioma", 0, 0)] * 7).assign(sha256=[*"abadeff"])
    found, pairs = leakage.find(rows, plain, images, 0.98, 0.94, mirror=True)
    assert pairs[["row_a", "row_b"]].to_numpy().tolist() == [[0, 2], [1, 4], [5, 6]]
    assert pairs["equal_bytes"].tolist() == [True, False, True]
    assert pairs["equal_pixels"].tolist() == [True, False, True]
    assert (pairs["similarity"] > 0.98).all()
    assert found["group"].nunique() == found["neighbour_group"].nunique() == 4


def test_neighbours_are_wider_than_twins():
    from brainmri.preprocessing import duplicates

    one, other = drawn(0)[0], drawn(1)[0]
    images = np.stack([one, (0.72 * one + 0.28 * other).astype(np.uint8), other])
    plain = np.stack([duplicates.thumbnail(picture[..., 0]) for picture in images])
    rows = table([("train", "glioma", 0, 0)] * 3).assign(sha256=[*"abc"])
    found, pairs = leakage.find(rows, plain, images, 0.999, 0.94, mirror=False)
    assert len(pairs) == 0
    assert found["group"].nunique() == 3
    assert found["neighbour_group"].tolist() == [0, 0, 1]


def test_patients_are_counted_by_split():
    table = pd.DataFrame(
        {
            "patient": ["a", "b", "a", "b", "c", ""],
            "split": ["train", "val", "test", "test", "test", "test"],
            "recognised": [False, False, True, False, False, False],
            "label": "glioma",
            "has_mask": False,
        }
    )
    assert leakage.patients(table) == {
        "train": {"known": 1, "recognised": 0, "images_without": 0},
        "val": {"known": 1, "recognised": 0, "images_without": 0},
        "test": {
            "known": 3,
            "recognised": 1,
            "images_without": 1,
            "seen_in_training": 2,
            "seen_in_training_masked": 0,
        },
    }


def test_a_test_patient_is_seen_by_the_network_that_learns_from_their_images():
    """Patient a is tested with a class and learnt with a mask, b the reverse; one network has seen c or d, both e."""
    rows = [
        ("a", "test", "glioma", False), ("a", "train", "", True), ("b", "val", "glioma", False),
        ("b", "test", "", True), ("c", "val", "glioma", False), ("c", "test", "glioma", True), ("d", "train", "", True),
        ("d", "test", "", True), ("e", "train", "glioma", True), ("e", "test", "glioma", True), ("", "train", "", True),
        ("", "test", "", True),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["patient", "split", "label", "has_mask"]).assign(recognised=False)
    found = leakage.patients(table)["test"]
    assert (found["known"], found["seen_in_training"], found["seen_in_training_masked"]) == (5, 2, 2)
