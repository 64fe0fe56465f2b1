"""A table of patients hits one image a row, or is refused in a sentence that says where."""

import pytest

from brainmri.core.errors import InputError
from brainmri.core.manifest import SourceImage
from brainmri.sources import patients

IMAGES = {
    "classes": [
        SourceImage("classes", "Training/glioma/a.jpg", b""),
        SourceImage("classes", "Training/notumor/a.jpg", b""),
        SourceImage("classes", "Training/notumor/b c.jpg", b""),
    ],
    "masks": [
        SourceImage("masks", "images/7.png", b"", number=7),
        SourceImage("masks", "x/x_1.tif/pre.png", b"", number=8, patient="x"),
    ],
}


def whose(tmp_path, text: str) -> dict[str, str]:
    (tmp_path / "whose.csv").write_text(text, encoding="utf-8")
    found = patients.with_patients(IMAGES, tmp_path / "whose.csv")
    assert list(found) == list(IMAGES)
    return {image.path: image.patient for own in found.values() for image in own if image.patient}


def test_rows_name_images_by_path_last_part_or_number(tmp_path):
    text = "\ufefffile,patient\r\nTraining\\glioma\\a.jpg, Ada \r\nb c.jpg,1.2\r\n./images/7.png,Ada\r\n"
    known = {"Training/glioma/a.jpg": "Ada", "x/x_1.tif/pre.png": "x"}
    assert whose(tmp_path, text) == known | {"Training/notumor/b c.jpg": "1.2", "images/7.png": "Ada"}
    assert whose(tmp_path, "patient,number\nAda,007\n") == {"images/7.png": "Ada", "x/x_1.tif/pre.png": "x"}


@pytest.mark.parametrize(
    ("cell", "person"),
    [("7", "7"), ("7.0", "7"), ("7,00", "7"), ("007", "7"), ("+7", "7"), ("0", "0"), ("7.5", "7.5"), ("1,000", "1,000"),
     ("A-07", "A-07"), ("-7", "-7"), ("Ame\u0301lie", "Am\u00e9lie"), ("1e5", "1e5")],
)  # fmt: skip
def test_a_number_is_one_person_however_a_spreadsheet_writes_it(cell, person):
    assert patients.person("x.csv: line 2", cell) == person


def test_an_image_named_twice_may_have_one_patient_only(tmp_path):
    twice = "file,number,patient\nimages/7.png,,Ada\n,7,{}\n"
    assert whose(tmp_path, twice.format("Ada"))["images/7.png"] == "Ada"
    with pytest.raises(
        InputError, match=r"line 3: an image should be of one patient, .*images/7.png another than in line 2"
    ):
        whose(tmp_path, twice.format("Zoe"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,patient\ngone.png,Ada\n", "line 2: each row should name an image .* received file gone.png; write its"),
        ("number,patient\n9,Ada\n", "line 2: each row should name an image .* received number 9"),
        ("file,patient\na.jpg,Ada\n", "name one image, .* for Training/glioma/a.jpg and Training/notumor/a.jpg; write"),
        ("number,patient\n8,Ada\n", "x/x_1.tif/pre.png has its patient from its folder; drop the row"),
        ("number,patient\n7.0,Ada\n", "line 2: a number should be whole, such as 7, received '7.0'"),
        ("number,patient\n-7,Ada\n", "should be whole, .* received '-7'"),
        (
            "number,patient\n7,1.23457E+11\n",
            "received '1.23457E\\+11', rounded by a spreadsheet; save the",
        ),
        ("number,patient\n7,nan\n", "line 2: a patient should be a name .* received 'nan'"),
        ("number,patient\n7, \n", "received ''"),
        ("number,patient\n7,NULL\n", "received 'NULL'"),
        ("file,number,patient\nb c.jpg,7,Ada\n", "by file or by number, received both"),
        ("file,number,patient\n,,Ada\n", "by file or by number, received neither"),
        ("patient\nAda\n", "by file or by number, received neither"),
        ("file,patient\n/home/me/7.png,Ada\n", "names should be relative"),
        ("file\na.jpg\n", "columns should be patient and any of file, number, .* received 'file'"),
        ("file;patient\na.jpg;Ada\n", "separated by commas, received 'file;patient'"),
        ("file,patient,age\na.jpg,Ada,7\n", "received 'file', 'patient', 'age'"),
        ("file,patient\n", "lists no image; a table of patients needs at least one row"),
        ("file,patient\na.jpg,Ada,x\n", "line 2 has more cells than the header"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, text, sentence):
    with pytest.raises(InputError, match=sentence):
        whose(tmp_path, text)


def test_a_table_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file; a table of patients is a CSV with a column patient"):
        patients.with_patients(IMAGES, tmp_path / "gone.csv")


def test_one_name_has_one_pseudonym_in_all_sets():
    images = {
        name: [SourceImage(name, patient, b"", patient=patient) for patient in own]
        for name, own in (("classes", ["Zoe", ""]), ("masks", ["Ada", "Zoe"]))
    }
    found = patients.pseudonymised(images)
    assert {name: [image.patient for image in own] for name, own in found.items()} == {
        "classes": ["p0002", ""], "masks": ["p0001", "p0002"],
    }  # fmt: skip
