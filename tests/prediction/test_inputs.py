"""What a path or an upload holds is found whatever it is packed in, and each part of it is read or refused."""

import gzip
import io
import os
import re

import cv2
import nibabel
import numpy as np
import pydicom
import pytest
from packing import KINDS, pack
from PIL import Image
from scan_files import PERSON, dicom_bytes, dicom_series, multiframe, nifti_bytes

from brainmri.core import kinds
from brainmri.core.errors import InputError
from brainmri.prediction import inputs
from brainmri.prediction.inputs import opened, read_one

BOX = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
AFFINE = np.diag([-2.0, -3, 4, 1])
GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
PNG = bytes(cv2.imencode(".png", GREY)[1])
SERIES = {f"t1/IM{at}": data for at, data in enumerate(dicom_series(BOX, AFFINE))}
ALL = SERIES | {"a.PNG": PNG, "b.nii": nifti_bytes(BOX, AFFINE), "c/one.dcm": dicom_bytes(BOX[0], series="9")}


def saved(place, data):
    place.write_bytes(data)
    return place


def everything(source):
    with opened(source) as found:
        return [each for item in found.items for each in item.read()], found.ignored


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_are_found_in_folders_and_archives_by_name(tmp_path, kind):
    place = pack(tmp_path, ALL | {"readme.txt": b"x", "t1/DICOMDIR": b""}, kind)
    found, ignored = everything(place)
    assert [(each.name.removeprefix(f"{place}/"), each.kind, each.levels.shape) for each in found] == [
        ("a.PNG", "image", (1, 6, 8)),
        ("b.nii", "volume", (5, 4, 3)),
        ("c/one.dcm", "image", (1, 4, 5)),
        ("t1", "volume", (5, 4, 3)),
    ]
    assert ignored == {"*.txt": 1, "DICOMDIR": 1}
    np.testing.assert_array_equal(found[0].levels[0], GREY)
    np.testing.assert_array_equal(found[1].levels, found[3].levels)


def test_masks_beside_their_scans_are_counted_and_not_answered_for(tmp_path):
    files = dict.fromkeys(("a/x.png", "a/x_mask.png", "a/y_mask.png", "c/c_t1.nii", "c/c_seg.nii"), b"")
    with opened(pack(tmp_path, files, "zip")) as found:
        assert [item.name.partition(".zip/")[2] for item in found.items] == ["a/x.png", "a/y_mask.png", "c/c_t1.nii"]
        assert found.ignored == {"masks beside their scans": 2}


@pytest.mark.parametrize("kind", KINDS)
def test_answers_of_the_command_are_counted_and_masks_of_others_are_read(tmp_path, kind):
    own = ("old/results.jsonl", "old/results.csv", "old/masks/x.png", "old/overlays/a.PNG")
    others = ("masks/mine.png", "old/y.png", "x.png", "old/deeper/masks/z.png")
    place = pack(tmp_path, dict.fromkeys((*own, *others), PNG), kind)
    found, ignored = everything(place)
    assert [each.name.removeprefix(f"{place}/") for each in found] == sorted(others)
    assert ignored == {"files of earlier answers": 4}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "folder"])
def test_an_upload_is_read_like_the_file(tmp_path, kind):
    path = pack(tmp_path, ALL, kind)
    found, _ = everything((path.name, path.read_bytes()))
    whole, _ = everything(path)
    for one, other in zip(found, whole, strict=True):
        assert one.name == other.name.removeprefix(f"{tmp_path}/")
        np.testing.assert_array_equal(one.levels, other.levels)


def test_uploads_of_single_files(tmp_path):
    assert read_one(("x.png", PNG)).levels.shape == (1, 6, 8)
    assert read_one(("x", PNG)).kind == "image"  # the content decides
    assert read_one(("IM1", dicom_bytes(BOX[0]))).volume.spacing_mm == (4, 0.5, 0.75)
    assert read_one(("x.nii.gz", gzip.compress(nifti_bytes(BOX, AFFINE)))).kind == "volume"


def test_a_temporary_file_is_gone_and_never_named(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs.tempfile, "tempdir", str(tmp_path))
    path = pack(tmp_path / "x", {"a.png": PNG, "b.png": b"no image"}, "zip")
    data = path.read_bytes()
    path.unlink()
    with opened(("mine.zip", data)) as found:
        assert [item.name for item in found.items] == ["mine.zip/a.png", "mine.zip/b.png"]
        with pytest.raises(InputError, match=r"^mine\.zip/b\.png: cannot be decoded"):
            found.items[1].read()
    with pytest.raises(InputError, match=r"^mine\.zip: damaged") as error:
        read_one(("mine.zip", data[:-30]))
    assert str(tmp_path) not in str(error.value)
    assert [name for _, _, names in os.walk(tmp_path) for name in names] == []


def test_none_or_several_are_refused_where_one_is_asked_for(tmp_path):
    with pytest.raises(InputError, match="should hold one picture, NIfTI file or DICOM series, received 0"):
        read_one(pack(tmp_path / "0", {"a.txt": b""}, "folder"))
    two = {"a.nii": nifti_bytes(BOX, AFFINE), "b.dcm": dicom_bytes(BOX[0])}
    with pytest.raises(InputError, match="received 2; name one"):
        read_one(pack(tmp_path / "2", two, "zip"))
    with pytest.raises(InputError, match=r"nothing: no such file or folder"):
        read_one(tmp_path / "nothing")


def test_a_series_without_a_whole_grid_is_refused(tmp_path):
    gap = [data for at, data in enumerate(dicom_series(BOX, AFFINE)) if at != 2]
    with pytest.raises(InputError, match="slices should lie at equal distances"):
        read_one(pack(tmp_path, {f"{at}.dcm": data for at, data in enumerate(gap)}, "folder"))


def test_series_that_share_a_folder_are_told_apart(tmp_path):
    files = {f"s/{name}{at}": data for name, uid in (("A", "1.2.8"), ("B", "1.2.9"))
             for at, data in enumerate(dicom_series(BOX, AFFINE, SeriesInstanceUID=uid))}  # fmt: skip
    place = pack(tmp_path, files, "folder")
    assert [each.name for each in everything(place)[0]] == [f"{place}/s/A0", f"{place}/s/B0"]


def test_a_multiframe_file_is_a_volume(tmp_path):
    frames = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    data = multiframe(frames, [(0, 0, 0), (0, 0, 2)], [1, 0])
    assert read_one(saved(tmp_path / "x.dcm", data)).kind == "volume"


def test_a_damaged_file_is_refused_by_its_own_name_and_the_others_are_read(tmp_path):
    files = {"a.png": PNG[:40], "b.png": PNG, "c.nii": b"text", "d.dcm": b"text", "e.dcm": dicom_bytes(BOX[0])[:-20]}
    place = pack(tmp_path, files, "folder")
    with opened(place) as found:
        outcome = {}
        for item in found.items:
            try:
                outcome[item.name.removeprefix(f"{place}/")] = len(item.read())
            except InputError as error:
                outcome[item.name.removeprefix(f"{place}/")] = str(error).removeprefix(f"{place}/")
    assert outcome.pop("b.png") == 1
    assert set(outcome) == {"a.png", "c.nii", "d.dcm", "e.dcm"}
    for name, sentence in outcome.items():
        assert sentence.startswith(f"{name}: ")
        assert "\n" not in sentence


@pytest.mark.parametrize("kind", KINDS)
def test_names_say_nothing_where_the_content_does(tmp_path, kind):
    files = {f"s/I{at}{end}": data for (at, data), end in zip(
        enumerate(dicom_series(BOX, AFFINE)), (".MR", ".img", ".v2", "", ".png"), strict=True
    )}  # fmt: skip
    packed = gzip.compress(nifti_bytes(BOX, AFFINE))
    files |= {"b.nii (1).gz": packed, "c.mgz": gzip.compress(nibabel.MGHImage(BOX, AFFINE).to_bytes()), "d.jfif": PNG}
    place = pack(tmp_path, files | {"e": PNG, "f": b"text"}, kind)
    found, ignored = everything(place)
    assert [each.name.removeprefix(f"{place}/") for each in found] == ["b.nii (1).gz", "c.mgz", "d.jfif", "e", "s"]
    assert [each.kind for each in found] == ["volume", "volume", "image", "image", "volume"]
    assert ignored == {"*": 1}
    for volume in (found[0], found[1]):
        np.testing.assert_array_equal(volume.levels, found[4].levels)
    assert read_one(saved(tmp_path / "b.nii (1).gz", packed)).kind == "volume"
    assert read_one(("scan", packed)).kind == "volume"
    assert read_one(("scan.png", files["s/I0.MR"])).volume is not None


def test_half_of_a_pair_is_refused_and_the_others_are_read(tmp_path):
    header = nibabel.AnalyzeHeader()
    header.set_data_shape((3, 4, 5))
    place = pack(tmp_path, {"a.hdr": header.binaryblock, "a.img": BOX.tobytes(), "b.png": PNG}, "zip")
    with opened(place) as found:
        assert found.ignored == {"*.img": 1}
        with pytest.raises(InputError, match=r"/a\.hdr: an \.hdr whose voxels lie in an \.img beside it .*nib-convert"):
            found.items[0].read()
        assert found.items[1].read()[0].kind == "image"


def test_objects_that_are_no_scan_and_second_copies_are_counted(tmp_path):
    files = SERIES | {"again": SERIES["t1/IM2"], "seg": dicom_bytes(BOX[0], series="8", Modality="SEG")}
    found, ignored = everything(pack(tmp_path, files, "folder"))
    assert [each.levels.shape for each in found] == [(5, 4, 3)]
    assert ignored == {"DICOM segmentations": 1, "second copies of DICOM files": 1}
    with pytest.raises(InputError, match=r"^seg: should be a scan, received DICOM segmentations; remove it"):
        read_one(("seg", files["seg"]))


def test_slices_without_orientation_are_no_images_of_their_own(tmp_path):
    files = {name: dicom_bytes(BOX[0] + np.int16(at), ImageOrientationPatient=None) for at, name in enumerate("abc")}
    with opened(pack(tmp_path, files, "folder")) as found:
        (item,) = found.items
        with pytest.raises(InputError, match="slices should lie at equal distances, one at each, with voxel size"):
            item.read()


def test_a_report_is_counted_in_a_folder_and_refused_by_itself(tmp_path):
    file = pydicom.dcmread(io.BytesIO(dicom_bytes(BOX[0])))
    for name in ("Rows", "Columns", "BitsAllocated", "PixelData"):
        delattr(file, name)
    place = io.BytesIO()
    pydicom.dcmwrite(place, file)
    assert everything(pack(tmp_path, {"r.dcm": place.getvalue()}, "folder")) == ([], {"DICOM without pixels": 1})
    with pytest.raises(InputError, match=r"r\.dcm: should be a scan, received DICOM without pixels"):
        read_one(("r.dcm", place.getvalue()))


def test_pictures_with_too_many_pixels_or_pages_are_refused(monkeypatch):
    pages = io.BytesIO()
    Image.fromarray(GREY).save(pages, "TIFF", save_all=True, append_images=[Image.fromarray(GREY)])
    with pytest.raises(InputError, match=r"^x\.tif: a picture should have one page, received 2"):
        read_one(("x.tif", pages.getvalue()))
    monkeypatch.setattr(kinds, "MAX_PIXELS", 47)
    with pytest.raises(InputError, match=r"^x\.png: a picture should have at most 47 pixels, .*, received 8x6"):
        read_one(("x.png", PNG))


def test_nothing_of_the_person_comes_out(tmp_path):
    one = read_one(("x", dicom_bytes(BOX[0], **PERSON)))
    assert "Jane" not in repr(one)
    assert "4711" not in repr(one)


def shipped():
    """Files inside the wheels of pydicom and nibabel; nothing is downloaded."""
    from scan_files import NIBABEL, SHIPPED

    files = [*SHIPPED.rglob("*"), *NIBABEL.rglob("tests/data/*")]
    return sorted(path for path in files if path.is_file())


@pytest.mark.slow
def test_every_shipped_file_is_read_or_refused_in_one_sentence():
    files = shipped()
    assert len(files) >= 190
    assert any(path.name == "anatomical.nii" for path in files)
    found = {}
    for path in files:
        packed = path.name.endswith(".dcm.gz")
        source = (str(path), gzip.decompress(path.read_bytes())) if packed else path
        try:
            found[path.name] = [each.kind for each in everything(source)[0]]
        except InputError as error:
            found[path.name] = str(error)
    for sentence in found.values():
        assert isinstance(sentence, list) or re.fullmatch(r"\S+: .+", sentence)
    assert found["anatomical.nii"] == ["volume"]
    assert found["MR_small.dcm"] == ["image"]
    assert found["philips_mprage.dcm.gz"] == ["volume"]
    assert len([what for what in found.values() if isinstance(what, list)]) >= 51
