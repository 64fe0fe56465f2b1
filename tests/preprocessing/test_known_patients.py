"""Slices whose patient is known, recognised in other sets, with simulated slices."""

from functools import cache

import cv2
import numpy as np
import pandas as pd
import pytest

from brainmri.core.params import check
from brainmri.phantom import simulated_set
from brainmri.preprocessing import duplicates, known_patients
from brainmri.preprocessing.image_params import ImageParams
from brainmri.preprocessing.images import to_square
from brainmri.preprocessing.scans import scan_of

WINDOWS = ImageParams(size=128, fit="pad", window_source="percentile", windows=[[1, 99], [1, 75], [50, 99.8]])
SECTION = {"patients": {"train": 8, "test": 4}, "slices": 3, "size": [208, 256], "jpeg_quality": [80, 95], "twins": 0}


@cache
def simulated(seed):
    """Simulated slices, and the number, label, patient and fold of each."""
    images = list(simulated_set.simulate(check(SECTION | {"seed": seed}, simulated_set.PhantomParams, "test")))
    pictures = [cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_GRAYSCALE) for image in images]
    patients = [image.patient for image in images]
    facts = {"number": range(1, len(images) + 1), "label": [image.label for image in images], "patient": patients}
    return pictures, pd.DataFrame(facts | {"fold": pd.factorize(np.array(patients))[0] % 5 + 1})


def thumbnails(pictures):
    squares = [to_square(np.ascontiguousarray(picture), 128, "pad")[0] for picture in pictures]
    return np.stack([duplicates.thumbnail(square) for square in squares])


@cache
def known():
    pictures, facts = simulated(1)
    return known_patients.table_of(facts, thumbnails(pictures), "one-")


def jpeg(picture, quality):
    file = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(file, cv2.IMREAD_GRAYSCALE)


CHANGES = {
    "none": lambda picture: picture,
    "mirrored": lambda picture: picture[:, ::-1],
    "JPEG of quality 50": lambda picture: jpeg(picture, 50),
    "smaller": lambda picture: cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA),
    "larger": lambda picture: cv2.resize(picture, (333, 333), interpolation=cv2.INTER_CUBIC),
    "brighter": lambda picture: np.rint(255 * (picture / 255) ** 0.7).astype(np.uint8),
    "darker": lambda picture: np.rint(255 * (picture / 255) ** 1.4).astype(np.uint8),
    "the dark window": lambda picture: scan_of(picture, "L", WINDOWS).channels[..., 1],
    "several": lambda picture: jpeg(cv2.resize(picture[:, ::-1], (199, 199)), 60),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_known_slice_is_recognised_after_each_change(change):
    pictures, _ = simulated(1)
    found = known_patients.recognise(thumbnails([CHANGES[change](picture) for picture in pictures]), known())
    assert list(found.columns) == ["number", "label", "patient", "fold", "similarity"]
    pd.testing.assert_frame_equal(found.drop(columns="similarity"), known().drop(columns="fingerprint"))


def test_slices_of_others_are_not_recognised():
    found = known_patients.recognise(thumbnails(simulated(2)[0]), known())
    assert set(found["patient"]) == set(found["label"]) == {""}
    assert set(found["number"]) == set(found["fold"]) == {-1}
    assert found["similarity"].max() < known_patients.SIMILAR - 0.05


def test_a_slice_that_two_persons_share_is_left_without_a_patient():
    pictures, facts = simulated(1)
    of_two = pd.concat([facts, facts.iloc[:1].assign(number=99, patient="another", fold=5)], ignore_index=True)
    small = thumbnails(pictures)
    table = known_patients.table_of(of_two, small[[*range(len(small)), 0]], "one-")
    found = known_patients.recognise(small, table)
    assert found["patient"].tolist() == ["", *known()["patient"][1:]]
    assert found.at[0, "similarity"] > 0.95


def test_blocks_change_nothing(monkeypatch):
    small = thumbnails(simulated(1)[0] + simulated(2)[0])
    whole = known_patients.recognise(small, known())
    monkeypatch.setattr(known_patients, "BLOCK", 7)
    pd.testing.assert_frame_equal(whole, known_patients.recognise(small, known()), rtol=1e-5)


def test_a_constant_image_is_nobody():
    found = known_patients.recognise(np.zeros((1, 1024), np.float32), known())
    assert found.loc[0, ["number", "patient", "similarity"]].tolist() == [-1, "", 0]


def test_a_fingerprint_survives_its_digits():
    sums = known_patients.fingerprints(thumbnails(simulated(1)[0]))
    assert sums.shape == (36, 96)
    np.testing.assert_allclose(np.linalg.norm(sums, axis=1), 1, rtol=1e-5)
    read = known_patients.from_digits(known_patients.as_digits(sums))
    assert (read * sums).sum(axis=1).min() > 0.97  # 4 bits a number


def test_the_signs_are_the_same_for_ever():
    weights, signs = known_patients._basis()
    assert weights[0, 0] == 0
    assert weights[3, 4] == pytest.approx(6**1.2)
    assert signs[0, :8].tolist() == [-1, -1, -1, 1, 1, -1, -1, -1]
    assert abs(signs.mean()) < 0.01


def test_a_person_in_two_folds_gets_that_of_the_first_slice():
    facts = pd.DataFrame({"number": [3, 1, 2], "label": "glioma", "patient": ["a", "a", "b"], "fold": [5, 2, 4]})
    table = known_patients.table_of(facts, thumbnails(simulated(1)[0][:3]), "x-")
    assert table[["number", "patient", "fold"]].to_numpy().tolist() == [[1, "x-a", 2], [2, "x-b", 4], [3, "x-a", 2]]


def test_the_shipped_table_is_whole():
    table = known_patients.read_table()
    assert list(table.columns) == list(known_patients.COLUMNS)
    assert table["number"].tolist() == list(range(1, 3065))
    assert table["fingerprint"].is_unique
    assert table["fingerprint"].str.fullmatch("[0-9a-f]{96}").all()
    assert table["label"].value_counts().to_dict() == {"glioma": 1426, "pituitary": 930, "meningioma": 708}
    assert table["patient"].nunique() == 209
    assert table["patient"].str.fullmatch("cheng-c[0-9]{3}").all()
    assert table["fold"].value_counts().to_dict() == {1: 537, 2: 552, 3: 594, 4: 741, 5: 640}
    assert table.groupby("patient")["fold"].nunique().max() == 1
    assert known_patients.TABLE.stat().st_size < 400_000


def test_no_simulated_slice_is_in_the_shipped_table():
    found = known_patients.recognise(thumbnails(simulated(1)[0]), known_patients.read_table())
    assert set(found["patient"]) == {""}


def index(**columns):
    base = {"patient": "", "label": "glioma", "group": range(3), "split": "train"}
    return pd.DataFrame(base | columns)


def test_patients_are_filled_in_where_they_are_empty():
    small = thumbnails([simulated(2)[0][1], simulated(1)[0][1], simulated(2)[0][0]])
    given = known_patients.with_patients(index(patient=["own", "", ""]), small, known())
    assert given["patient"].tolist() == ["own", known().at[1, "patient"], ""]
    assert given["recognised"].tolist() == [False, True, False]
    assert given["known_fold"].tolist() == [-1, known().at[1, "fold"], -1]


def test_where_nobody_is_known_the_index_stays_as_it_is():
    named = index(patient=["a", "b", "b"])
    given = known_patients.with_patients(named, thumbnails(simulated(2)[0][:3]), known())
    pd.testing.assert_frame_equal(given, named.assign(recognised=False, known_fold=-1))


def test_a_person_whom_the_source_names_is_the_one_who_is_recognised_elsewhere():
    """The source calls them `own`, also on an image that is not recognised; in another set they have no name."""
    small = thumbnails([simulated(1)[0][0], simulated(2)[0][0], simulated(1)[0][1]])
    given = known_patients.with_patients(index(patient=["own", "own", ""]), small, known())
    person = known().at[0, "patient"]
    assert known().at[1, "patient"] == person
    assert given["patient"].tolist() == [person] * 3
    assert given["recognised"].tolist() == [False, False, True]  # the others the source named
    assert given["known_fold"].tolist() == [known().at[0, "fold"]] * 3


def test_a_name_of_the_source_for_several_persons_is_left_and_told(capsys):
    at = [0, int((known()["patient"] != known().at[0, "patient"]).idxmax())]
    small = thumbnails([*(simulated(1)[0][row] for row in at), simulated(2)[0][0]])
    given = known_patients.with_patients(index(patient=["both", "both", ""]), small, known())
    assert given["patient"].tolist() == ["both", "both", ""]
    assert given["known_fold"].tolist() == [-1] * 3
    assert "because each shows slices of several known persons: 1 (preprocess" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("label", "patient", "given"),
    [
        (["glioma"] * 3, [""] * 3, ["first"] * 3),
        (["glioma", "glioma", "pituitary"], [""] * 3, ["first", "first", ""]),  # in the group's own label alone
        (["glioma"] * 3, ["", "", "other"], ["first", "", "other"]),  # two patients: whose is the middle one?
    ],
)
def test_a_group_of_twins_shares_its_patient(label, patient, given):
    """The first image is recognised, the second is not, and the three are twins."""
    small = thumbnails([simulated(1)[0][0], *simulated(2)[0][:2]])
    table = known_patients.with_patients(index(label=label, patient=patient, group=0), small, known())
    names = {"first": known().at[0, "patient"]}
    assert table["patient"].tolist() == [names.get(name, name) for name in given]
