"""What of a set from elsewhere may be scored: planted copies and patients of training are left out, others stay."""

import numpy as np
import pandas as pd
import pytest

from brainmri.core.labels import CLASSES
from brainmri.preprocessing import external, known_patients, leakage
from brainmri.preprocessing.duplicates import thumbnail
from brainmri.preprocessing.scans import Scans


def picture(seed):
    """A slice that resembles no other: noise, (32, 32) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (32, 32), np.uint8)


def scans(*rows):
    """Scans of (picture, label, patient, split) each."""
    pictures, labels, patients, splits = zip(*rows, strict=True)
    table = pd.DataFrame({
        "image_id": [f"{picture.sum()}{at}" for at, picture in enumerate(pictures)],
        "set": "external-a", "sha256": [str(picture.sum()) + str(at) for at, picture in enumerate(pictures)],
        "label": labels, "patient": patients, "split": splits, "has_mask": False,
    })  # fmt: skip
    small = np.stack([thumbnail(picture) for picture in pictures])
    return Scans(table, np.stack(pictures)[..., None], np.zeros((0, 32, 32)), small, *(3 * [pd.DataFrame()]))


OWN = scans(
    (picture(0), "glioma", "a", "train"),
    (picture(1), "glioma", "", "val"),
    (picture(2), "glioma", "c", "test"),
    (picture(3), "glioma", "a", "test"),  # a test image of a patient who is learnt from too
    (picture(4), "glioma", "", "dropped"),
)


def became(*rows, known=None):
    others = scans(*((*row, "train") for row in rows))  # what an external set calls its training is not learnt from
    return external.judged(OWN, OWN.table["split"], others, 0.98, 0.94, True, known)


def test_copies_of_training_and_validation_go_and_those_of_test_and_of_dropped_images_stay():
    found = became(
        (picture(0)[:, ::-1], "glioma", ""),
        (picture(1), "meningioma", ""),
        (picture(2), "glioma", ""),
        (picture(4), "glioma", ""),
        (picture(9), "glioma", ""),
    )
    assert found["split"].tolist() == [external.TWIN, external.TWIN, external.KEPT, external.KEPT, external.KEPT]


def test_patients_of_training_go_however_they_are_known():
    found = became(
        (picture(10), "glioma", "a"),  # named
        (picture(0), "glioma", "x1"),
        (picture(11), "glioma", "x1"),  # the patient of a copy
        (picture(3), "glioma", "x2"),  # a copy of the test image of a patient who is learnt from
        (picture(12), "glioma", "x2"),
        (picture(13), "glioma", "c"),  # of a patient who is tested alone
        (picture(14), "glioma", "x3"),
    )
    gone = [external.PATIENT, external.TWIN, *(3 * [external.PATIENT])]
    assert found["split"].tolist() == [*gone, external.KEPT, external.KEPT]
    assert found["seen_patient"].tolist() == [True, *(6 * [False])]


def test_recognised_patients_of_training_go():
    slices = pd.DataFrame({"number": [1, 2, 3], "label": "glioma", "patient": ["7", "7", "8"], "fold": 1})
    small = np.stack([thumbnail(picture(seed)) for seed in (1, 20, 21)])
    known = known_patients.table_of(slices, small, "known-")
    rows = ((picture(20), "glioma", ""), (picture(21), "glioma", ""))
    found = became(*rows, known=known)  # the first is of the patient whose other slice validates
    assert found["patient"].tolist() == ["known-7", "known-8"]
    assert found["split"].tolist() == [external.PATIENT, external.KEPT]
    assert became(*rows)["split"].tolist() == [external.KEPT, external.KEPT]


def test_copies_among_themselves_stay_and_share_a_unit():
    kept = external.kept(became(*((picture(seed), "glioma", "") for seed in (30, 31, 30))))
    assert kept["unit"].iloc[0] == kept["unit"].iloc[2] != kept["unit"].iloc[1]
    assert not kept["training_twin"].any()


@pytest.fixture
def counted():
    rows = [
        *((picture(0), "glioma", "", "", True), (picture(10), "glioma", "a", "", False)),
        *((picture(40), "glioma", "", "", True), (picture(41), "cyst", "", "", False)),
        *((picture(42), "", "", "", True), (picture(43), "pituitary", "", "", False)),
    ]
    others = scans(*(row[:4] for row in rows))
    others.table["has_mask"] = [row[4] for row in rows]
    table = external.judged(OWN, OWN.table["split"], others, 0.98, 0.94, True, None)
    table.loc[5, "split"] = leakage.EXCLUDED
    unread = pd.DataFrame({"image_id": ["bad", "bad too"], "set": "external-a"})
    manifest = pd.concat([others.table[["image_id", "set"]], unread])
    return external.counts(manifest, table, [table.at[5, "image_id"], "bad too"], CLASSES)["a"]


def test_every_image_of_a_set_is_counted_once(counted):
    sums = {name: sum(counted[name].values()) for name in ("training_twins", "training_patients", "left")}
    assert counted["images"] == 8 == sum(sums.values()) + counted["unreadable"] + counted["excluded"]


def test_the_counts_say_why(counted):
    assert counted == {
        "images": 8,
        "labelled": 5,
        "with_mask": 3,
        "excluded": 2,
        "unreadable": 1,
        "training_twins": {"glioma": 1},
        "training_patients": {"glioma": 1},
        "left": {"cyst": 1, "glioma": 1, "unlabelled": 1},
        "unlabelled": 1,
        "unknown_classes": {"cyst": 1},
        "scored": {"glioma": 1},
        "masked": 2,
        "training_neighbours": {},
        "patients_seen": 0,
    }
    assert external.said(counted) == (
        "8 images, 1 unreadable, 2 taken out by hand, 1 twins of training left out, 1 images of training's patients "
        "left out, 3 left"
    )


def test_a_set_of_which_nothing_can_be_read_is_counted():
    none = Scans(pd.DataFrame(), OWN.images[:0], OWN.masks, OWN.thumbnails[:0], *(3 * [pd.DataFrame()]))
    table = external.judged(OWN, OWN.table["split"], none, 0.98, 0.94, True, None)
    found = external.counts(pd.DataFrame({"image_id": ["x"], "set": "external-b"}), table, [], CLASSES)
    assert (found["b"]["images"], found["b"]["unreadable"], found["b"]["left"]) == (1, 1, {})
    assert external.kept(table).empty
