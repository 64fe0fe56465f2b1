"""Sets and manifest CSVs become one stream of images, sorted by path, without anything that tells who or where."""

import hashlib
import io

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packing import KINDS, pack
from PIL import Image

from brainmri.core.errors import InputError, ParamsError
from brainmri.preprocessing import decoding
from brainmri.sources import local

CLASSES = {"Training/glioma/2.jpg": b"g", "Testing/notumor/1.jpg": b"n", "__MACOSX/._1.jpg": b"", "notes.txt": b""}
MASKS = {"images/2.png": b"i2", "masks/2.png": b"m2", "images/10.png": b"i10", "masks/10.png": b"m10"}


def read(opened) -> list:
    with opened as source:
        return list(local.stream(source))


def read_manifest(path) -> list:
    with local.opened_manifest(path) as source:
        return list(local.stream(local.with_patients({"manifest": source}, None)["manifest"]))


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
    found = read_manifest(path)
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


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["no_tumor", "glioma_tumor"], ["notumor", "glioma"]),
        (["Glioma", "glioma"], ["glioma", "glioma"]),
        (["No_Tumor", "NOTUMOR"], ["notumor", "notumor"]),
        (["No Tumour", "Pituitary-Tumor"], ["notumor", "pituitary"]),
        (["No_Tumor", "Cyst"], ["notumor", "Cyst"]),
    ],
)
def test_a_known_class_is_the_same_in_any_spelling_as_for_folders(tmp_path, labels, classes):
    rows = "".join(f"{at}.png,{label}\n" for at, label in enumerate(labels, start=1))
    path = write_manifest(tmp_path, f"path,label\n{rows}", "1.png", "2.png")
    assert [image.label for image in read(local.opened_manifest(path))] == classes


@pytest.mark.parametrize("label", ["nan", "NaN", "NA", "None", "null"])
def test_no_class_and_no_patient_is_called_nothing(tmp_path, label):
    path = write_manifest(tmp_path, f"path,label\n1.png,{label}\n", "1.png")
    with pytest.raises(InputError, match=f"line 2: a label should name a class, received '{label}'; write notumor"):
        read(local.opened_manifest(path))
    path = write_manifest(tmp_path, f"path,label,patient\n1.png,cyst,{label}\n", "1.png")
    with pytest.raises(InputError, match=f"line 2: a patient should be a name or a number, received '{label}'"):
        read(local.opened_manifest(path))


def test_an_own_class_in_two_spellings_is_refused(tmp_path):
    path = write_manifest(tmp_path, "path,label\n1.png,Cyst-A\n2.png,cyst_a\n", "1.png", "2.png")
    with pytest.raises(InputError, match="a class should be spelled in one way, received 'Cyst-A' and 'cyst_a'"):
        read(local.opened_manifest(path))


def test_numbers_of_a_spreadsheet_are_one_patient(tmp_path):
    text = "path,label,patient\n1.png,cyst,7\n2.png,cyst,7.0\n3.png,cyst,8\n"
    path = write_manifest(tmp_path, text, "1.png", "2.png", "3.png")
    assert [image.patient for image in read_manifest(path)] == ["p0001", "p0001", "p0002"]


def test_a_mask_is_no_image_of_a_manifest(tmp_path):
    files = ("a/x.png", "a/x_mask.png")
    for rows in ("a/x.png,cyst\na/x_mask.png,cyst\n", "a,cyst\n"):
        path = write_manifest(tmp_path, f"path,label\n{rows}", *files)
        with pytest.raises(InputError, match=r"named as masks of others, the first is a/x_mask.png beside a/x.png"):
            read(local.opened_manifest(path))
    found = read(local.opened_manifest(write_manifest(tmp_path, "path,label,mask\na/x.png,cyst,a/x_mask.png\n")))
    assert [(image.path, image.mask_path) for image in found] == [("a/x.png", "a/x_mask.png")]


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
    found = {image.path: image.patient for image in read_manifest(path)}
    assert found == {f"{name}.png": f"p000{rank}" for rank, name in enumerate(sorted(names), start=1)}


def tiff(levels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "TIFF")
    return file.getvalue()


def lgg() -> dict[str, bytes]:
    """Two cases of the LGG set's layout, in each slice 10 x its number more a channel; the second mask is empty."""
    files = {"data.csv": b"Patient,death01\n", "README.md": b""}
    for case, number in (("TCGA_CS_1", 2), ("TCGA_CS_1", 10), ("TCGA_DU_2", 1)):
        levels = np.stack([np.full((4, 5), channel + 10 * number, np.uint8) for channel in range(3)], axis=-1)
        files[f"{case}/{case}_{number}.tif"] = tiff(levels)
        mask = np.zeros((4, 5), np.uint8)
        mask[1, 2] = 255 * (number != 10)
        files[f"{case}/{case}_{number}_mask.tif"] = tiff(mask)
    return files


@pytest.mark.parametrize("wrapper", ["", "kaggle_3m/", "lgg-mri-segmentation/kaggle_3m/"])
@pytest.mark.parametrize("kind", KINDS)
def test_slices_in_a_folder_a_case_are_one_channel_of_their_pictures_however_packed(tmp_path, kind, wrapper):
    path = pack(tmp_path, {wrapper + name: data for name, data in lgg().items()}, kind)
    with local.opened_layout(path, "masks", "flair") as source:
        assert source.ignored == {"*.csv": 1, "*.md": 1}
        found = list(local.stream(source))
    assert [(i.path, i.mask_path, i.number, i.patient, i.label) for i in found] == [
        ("TCGA_CS_1/TCGA_CS_1_10.tif/flair.png", "TCGA_CS_1/TCGA_CS_1_10_mask.tif", 2, "TCGA_CS_1", ""),
        ("TCGA_CS_1/TCGA_CS_1_2.tif/flair.png", "TCGA_CS_1/TCGA_CS_1_2_mask.tif", 1, "TCGA_CS_1", ""),
        ("TCGA_DU_2/TCGA_DU_2_1.tif/flair.png", "TCGA_DU_2/TCGA_DU_2_1_mask.tif", 3, "TCGA_DU_2", ""),
    ]
    grey = [decoding.decode(image.data) for image in found]
    assert [mode for _, mode in grey] == ["L", "L", "L"]
    assert [np.unique(levels).tolist() for levels, _ in grey] == [[101], [21], [11]]
    assert [int((decoding.decode(image.mask_data)[0] >= 128).sum()) for image in found] == [0, 1, 1]


@pytest.mark.parametrize(("channel", "level"), [("pre", 20), ("flair", 21), ("post", 22)])
def test_the_channel_that_is_named_is_stored(tmp_path, channel, level):
    found = read(local.opened_layout(pack(tmp_path, lgg(), "folder"), "masks", channel))
    assert np.unique(cv2.imdecode(np.frombuffer(found[1].data, np.uint8), cv2.IMREAD_UNCHANGED)).tolist() == [level]


def test_a_set_with_channels_needs_one_of_them(tmp_path):
    path = pack(tmp_path, lgg(), "zip")
    for channel, said in ((None, "null"), ("t2", "'t2'")):
        with pytest.raises(ParamsError, match=rf"its pictures hold pre, flair, post, so .* received {said}; name the"):
            read(local.opened_layout(path, "masks", channel))


def test_a_picture_with_other_channels_is_refused(tmp_path):
    for levels, said in (
        (np.zeros((4, 4), np.uint8), "mode L"),
        (np.zeros((4, 4, 4), np.uint8), "mode RGBA"),
        (np.zeros((4, 4), np.uint16), "mode I;16"),
    ):
        path = pack(tmp_path / said, lgg() | {"TCGA_DU_2/TCGA_DU_2_1.tif": tiff(levels)}, "zip")
        with pytest.raises(InputError, match=rf"TCGA_DU_2_1.tif: a picture should have 3 channels .* received {said}"):
            read(local.opened_layout(path, "masks", "pre"))
    deep = bytes(cv2.imencode(".tif", np.zeros((4, 4, 3), np.uint16))[1])
    path = pack(tmp_path / "deep", lgg() | {"TCGA_DU_2/TCGA_DU_2_1.tif": deep}, "zip")
    with pytest.raises(InputError, match="received mode RGB, 16 bits"):
        read(local.opened_layout(path, "masks", "pre"))
    path = pack(tmp_path / "bad", lgg() | {"TCGA_DU_2/TCGA_DU_2_1.tif": b"no"}, "zip")
    with pytest.raises(InputError, match=r"TCGA_DU_2/TCGA_DU_2_1.tif: cannot be decoded: no known image format"):
        read(local.opened_layout(path, "masks", "pre"))


def test_the_second_copy_in_an_archive_is_left_out_and_counted(tmp_path):
    files = {wrapper + name: data for wrapper in ("a/kaggle_3m/", "kaggle_3m/") for name, data in lgg().items()}
    with local.opened_layout(pack(tmp_path, files, "zip"), "masks", "post") as source:
        assert len(list(local.stream(source))) == 3
        assert source.ignored == {"*.csv": 2, "*.md": 2, "second copies": 6}
