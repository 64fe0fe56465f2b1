"""Sets and manifest CSVs become one stream of images, sorted by path, without anything that tells who or where."""

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packing import KINDS, pack

from brainmri.core.errors import InputError
from brainmri.sources import local

CLASSES = {"Training/glioma/2.jpg": b"g", "Testing/notumor/1.jpg": b"n", "__MACOSX/._1.jpg": b"", "notes.txt": b""}
MASKS = {"images/2.png": b"i2", "masks/2.png": b"m2", "images/10.png": b"i10", "masks/10.png": b"m10"}


def read(opened) -> list:
    with opened as source:
        return list(local.stream(source))


def write_manifest(folder, text: str, *files: str):
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (folder / "own.csv").write_text(text, encoding="utf-8")
    return folder / "own.csv"


@pytest.mark.parametrize("wrapper", ["", "archive/", "a/b/"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_set_is_the_same_however_packed(tmp_path, kind, wrapper):
    path = pack(tmp_path / "classes", {wrapper + name: data for name, data in CLASSES.items()}, kind)
    with local.opened_layout(path, "classes") as source:
        assert source.ignored == {"__MACOSX": 1, "*.txt": 1}
        images = list(local.stream(source))
    assert [(i.set, i.path, i.data, i.label, i.split) for i in images] == [
        ("classes", "Testing/notumor/1.jpg", b"n", "notumor", "test"),
        ("classes", "Training/glioma/2.jpg", b"g", "glioma", "train"),
    ]
    path = pack(tmp_path / "masks", {wrapper + name: data for name, data in MASKS.items()}, kind)
    assert [(i.path, i.data, i.number, i.mask_path, i.mask_data) for i in read(local.opened_layout(path, "masks"))] == [
        ("images/10.png", b"i10", 10, "masks/10.png", b"m10"),
        ("images/2.png", b"i2", 2, "masks/2.png", b"m2"),
    ]


def test_a_manifest_with_every_column(tmp_path):
    path = write_manifest(
        tmp_path,
        "label,path,patient,split,mask\n"
        "cyst,z/2.png,Smith,Testing,m/2.png\n"
        'abscess,"a, b.jpg",Adams,train,\n'
        "cyst,c.jpg,Smith,test,\n"
        "cyst,d.jpg,,VALID,\n",
        "z/2.png", "m/2.png", "a, b.jpg", "c.jpg", "d.jpg",
    )  # fmt: skip
    found = read(local.opened_manifest(path))
    assert [(i.path, i.label, i.patient, i.split, i.mask_path) for i in found] == [
        ("a, b.jpg", "abscess", "p0001", "train", ""),
        ("c.jpg", "cyst", "p0002", "test", ""),
        ("d.jpg", "cyst", "", "val", ""),
        ("z/2.png", "cyst", "p0002", "test", "m/2.png"),
    ]
    assert (found[3].set, found[3].data, found[3].mask_data) == ("manifest", b"z/2.png", b"m/2.png")


def test_a_manifest_as_a_spreadsheet_writes_it(tmp_path):
    path = write_manifest(tmp_path, "\ufeffpath,label\r\n 1.png , glioma \r\n", "1.png")
    assert [(image.path, image.label) for image in read(local.opened_manifest(path))] == [("1.png", "glioma")]


def test_known_spellings_count_as_the_known_classes_only_if_all_are_known(tmp_path):
    path = write_manifest(tmp_path, "path,label\n1.png,no_tumor\n2.png,glioma_tumor\n", "1.png", "2.png")
    assert [image.label for image in read(local.opened_manifest(path))] == ["notumor", "glioma"]
    path = write_manifest(tmp_path, "path,label\n1.png,no_tumor\n2.png,cyst\n")
    assert [image.label for image in read(local.opened_manifest(path))] == ["no_tumor", "cyst"]


def test_no_path_of_the_machine_is_kept(tmp_path):
    folder = tmp_path / "Jane Doe"
    outside = tmp_path / "elsewhere" / "1.png"
    write_manifest(tmp_path, "", "elsewhere/1.png")
    text = f"path,label\n{folder / 'in/1.png'},glioma\n./in/../2.png,glioma\n{outside},glioma\n"
    found = read(local.opened_manifest(write_manifest(folder, text, "in/1.png", "2.png")))
    digest = hashlib.sha256(outside.read_bytes()).hexdigest()[:12]
    assert [image.path for image in found] == sorted(["in/1.png", "2.png", f"{digest}/1.png"])
    assert not any("Jane" in image.path for image in found)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "path,label,age\n1.png,glioma,60\n",
            "columns should be path and any of label, .*received 'path', 'label', 'age'",
        ),
        ("label\nglioma\n", "columns should be path .* received 'label'"),
        ("path;label\n1.png;glioma\n", "separated by commas, received 'path;label'"),
        ("path,path\n1.png,1.png\n", "once each"),
        ("", "received none"),
        ("path,label\n", "lists no image"),
        ("path,label\n1.png,glioma,x\n", "line 2 has more cells than the header"),
        ("path,label\n1.png,glioma\n7.png,glioma\n", "line 3: no such file: '7.png'; paths are relative"),
        ("path,label\n,glioma\n", "line 2: no such file: ''"),
        ("path,label\nnotes.txt,glioma\n", "line 2: 'notes.txt' is no image; images end in .bmp"),
        ("path,label,split\n1.png,glioma,holdout\n", "split should be one of train, .* or empty, received 'holdout'"),
        ("path,label\n1.png,a tumour\n", "a label should consist of A-Z, a-z, 0-9, _ and -, received 'a tumour'"),
        ("path,label\n1.png,gl\u00efoma\n", "a label should consist of"),
        ("path,label\n1.png,glioma\n2.png,\n", "needs a label or a mask, received neither"),
        ("path\n1.png\n", "needs a label or a mask, received neither"),
        (
            "path,label,mask\n1.png,glioma,\n2.png,,3.png\n",
            "all rows should have a label or none, received 1 of 2 without",
        ),
        ("path,label,mask\n1.png,glioma,9.png\n", "line 2: no such file: '9.png'"),
        ("path,label\n1.png,glioma\n./1.png,glioma\n", "line 3: './1.png' occurs twice"),
        ("path,label,mask\n1.png,glioma,1.png\n", "line 2: '1.png' occurs twice"),
        ('path,label\n"1.png,glioma\n', "not a readable CSV"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(tmp_path, text, sentence):
    path = write_manifest(tmp_path, text, "1.png", "2.png", "3.png", "notes.txt")
    with pytest.raises(InputError, match=sentence):
        read(local.opened_manifest(path))


def test_a_manifest_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file; a manifest is a CSV"):
        read(local.opened_manifest(tmp_path / "gone.csv"))
    with pytest.raises(InputError, match="no such file; a manifest is a CSV"):
        read(local.opened_manifest(tmp_path))
    (tmp_path / "latin.csv").write_bytes(b"path,label\n\xff.png,glioma\n")
    with pytest.raises(InputError, match="not a readable CSV in UTF-8"):
        read(local.opened_manifest(tmp_path / "latin.csv"))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text('path,labelsitmk"\n\r\0;1.ng-', max_size=60))
def test_any_text_is_a_manifest_or_one_input_error(tmp_path, text):
    path = write_manifest(tmp_path, "path,label\n" + text, "1.png")
    sentence = ""
    try:
        assert all(image.path == "1.png" for image in read(local.opened_manifest(path)))
    except InputError as error:
        sentence = str(error)
    assert "\n" not in sentence


def test_pseudonyms_follow_the_sorted_names(tmp_path):
    names = ["Kim", "Ada", "Zoe", "Ben", "Moe", "Eve", "Ida", "Lou"]
    rows = "".join(f"{name}.png,cyst,{name}\n" for name in names)
    path = write_manifest(tmp_path, f"path,label,patient\n{rows}", *(f"{name}.png" for name in names))
    found = {image.path: image.patient for image in read(local.opened_manifest(path))}
    assert found == {f"{name}.png": f"p000{rank}" for rank, name in enumerate(sorted(names), start=1)}
