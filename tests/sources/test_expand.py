"""Fetch turns DICOM series and NIfTI files into slices, exactly and without anything that tells who is on them."""

import gzip
import io
import json
import re
import zipfile

import cv2
import nibabel
import numpy as np
import pandas as pd
import pytest
from conftest import PARAMS
from first_stages import contents, fetched, params, summary
from packing import KINDS, pack
from scan_files import PERSON, dataset, dicom_bytes, dicom_series, nifti_bytes, written

from brainmri.core.errors import InputError
from brainmri.core.index import read_split
from brainmri.core.manifest import read_manifest
from brainmri.core.shards import read_images
from brainmri.preprocessing.decoding import decode
from stages import preprocess

BOX = np.random.default_rng(0).integers(-50, 3000, (6, 5, 4), dtype=np.int16)
AFFINE = np.diag([-0.5, -0.75, 4, 1])  # columns to the left, rows to the back, slices to the top
SHOWN = BOX.transpose(2, 1, 0)  # so that they lie as radiologists see them
PNG = bytes(cv2.imencode(".png", np.eye(4, dtype=np.uint8))[1])


def series(**elements):
    return {f"IM{at}": data for at, data in enumerate(dicom_series(BOX, AFFINE, **elements))}


def table_of(raw):
    return read_manifest(raw), [decode(data)[0] for _, data, _ in read_images(raw, read_manifest(raw))]


@pytest.mark.parametrize("kind", ["dicom", "nifti", "nifti.gz"])
def test_slices_keep_every_value_place_and_fact(tmp_path, kind):
    facts = {"WindowCenter": "600", "WindowWidth": "1000", "MagneticFieldStrength": "1.5", "RepetitionTime": "500",
             "EchoTime": "15", "RescaleSlope": "2", "RescaleIntercept": "1"}  # fmt: skip
    files = {f"glioma/a/{name}": data for name, data in series(**facts).items()}
    if kind != "dicom":
        image = nibabel.Nifti1Image(BOX, AFFINE)
        image.header["cal_min"], image.header["cal_max"] = 100, 1099
        files = {f"glioma/a.{kind.replace('nifti', 'nii')}": image.to_bytes()}
    table, levels = table_of(fetched(tmp_path, "local", classes=pack(tmp_path / "c", files, "folder")))
    slope, intercept = (2, 1) if kind == "dicom" else (1, 0)
    assert all(each.dtype == np.uint16 for each in levels)
    values = np.stack(levels) * table["level_scale"][0] + table["level_offset"][0]
    np.testing.assert_array_equal(values, SHOWN * float(slope) + intercept)
    assert table["frame"].tolist() == [0, 1, 2, 3]
    assert table["number"].tolist() == [-1] * 4
    row = table.loc[0]
    assert (row["plane"], row["voxel_row_mm"], row["voxel_col_mm"], row["slice_mm"]) == ("axial", 0.75, 0.5, 4)
    window = np.array([row["window_low"], row["window_high"]]) * row["level_scale"] + row["level_offset"]
    assert window.tolist() == [100, 1099]
    if kind == "dicom":
        assert row[["modality", "field_t", "tr_ms", "te_ms"]].tolist() == ["MR", 1.5, 500, 15]
    else:
        assert row["modality"] == ""
        assert np.isnan(row["field_t"])


def names_in(path):
    """All that a shard holds beside the pixels, see the next test."""
    members = zipfile.ZipFile(path).infolist()
    return str([(member.filename, member.comment, member.extra) for member in members])


def test_nothing_that_tells_who_gets_into_what_fetch_writes_or_says(tmp_path, capfd, caplog, recwarn):
    report = dataset(BOX[0], **PERSON)
    del report.Rows, report.BitsAllocated, report.PixelData
    place = io.BytesIO()
    report.save_as(place)
    files = {f"glioma/Doe^Jane/{name}": data for name, data in series(**PERSON).items()}
    files |= {"glioma/Doe^Jane/report.dcm": place.getvalue(), "glioma/Doe^Jane/1.2.4711": b"no image"}
    files |= {"notumor/b.png": PNG}
    raw = fetched(tmp_path, "local", classes=pack(tmp_path / "c", files, "folder"))
    said = [*capfd.readouterr(), caplog.text, *map(str, recwarn)]
    for path in raw.iterdir():
        said += [path.name, path.read_text("latin-1") if path.suffix != ".zip" else names_in(path)]
    found = re.findall("jane|doe|4711|1947", "\n".join(said), re.IGNORECASE)
    assert found == []
    summary = json.loads((raw / "summary.json").read_text())["sets"]["classes"]
    assert summary["ignored"] == {"*.0": 1, "DICOM without pixels": 1}
    assert (summary["volumes"], summary["images"], summary["patients"]) == (1, 5, 1)


def test_stored_slices_hold_pixels_and_nothing_else(tmp_path):
    raw = fetched(tmp_path, "local", classes=pack(tmp_path / "c", {"glioma/1.dcm": dicom_bytes(BOX[0])}, "zip"))
    with zipfile.ZipFile(raw / "images-000.zip") as archive:
        (data,) = (archive.read(name) for name in archive.namelist())
    chunks, at = [], 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append(data[at + 4 : at + 8])
        at += size + 12
    assert set(chunks) <= {b"IHDR", b"IDAT", b"IEND"}


@pytest.mark.parametrize("kind", KINDS)
def test_equal_scans_give_equal_bytes_however_they_come_and_are_called(tmp_path, kind):
    nifti = {"Training/notumor/x.nii": nifti_bytes(BOX, AFFINE)}
    one = {f"Training/glioma/{name}": data for name, data in series(PatientID="A").items()} | nifti
    other = {
        f"w/Training/glioma/deeper/{at}.2.{9 - at}": data for at, data in enumerate(series(PatientID="A").values())
    } | {f"w/{name}": data for name, data in nifti.items()}
    first = fetched(tmp_path / "1", "local", classes=pack(tmp_path / "1c", one, "folder"))
    second = fetched(tmp_path / "2", "local", classes=pack(tmp_path / "2c", other, kind))
    assert contents(first) == contents(second)


def test_patients_come_from_the_files_and_volumes_stay_together(tmp_path):
    files = {}
    for at, (patient, uid) in enumerate([("Kim", "1.1"), ("Ada", "1.2"), ("Kim", "1.3"), ("", "1.4"), ("", "1.5")]):
        box = BOX + np.int16(at)
        each = dicom_series(box, AFFINE, PatientID=patient, series=uid)
        files |= {f"glioma/{at}/{name}": data for name, data in enumerate(each)}
    files |= {"glioma/n.nii": nifti_bytes(BOX, AFFINE), "glioma/m.nii": nifti_bytes(BOX, AFFINE), "glioma/p.png": PNG}
    table, _ = table_of(fetched(tmp_path, "local", classes=pack(tmp_path / "c", files, "zip")))
    sizes = table.groupby("patient").size().to_dict()
    assert sorted([sizes.pop("d0001"), sizes.pop("d0002")]) == [4, 8]  # whose is which is by digest
    assert sizes == {"": 1, "v0001": 4, "v0002": 4, "v0003": 4, "v0004": 4}


def test_a_name_is_one_patient_in_all_sets_and_one_patient_id_has_one_name(tmp_path):
    """Numbers begin at 1 in each set if sets are named apart: then strangers share a name, and one person has two."""

    def of(patient, box, uid):
        return dict(enumerate(dicom_series(BOX + np.int16(box), AFFINE, PatientID=patient, series=uid)))

    classes = {f"glioma/k/{name}": data for name, data in of("Kim", 0, "1.1").items()}
    classes |= {f"glioma/z/{name}": data for name, data in of("Zoe", 1, "1.2").items()}
    classes["glioma/1.nii"] = nifti_bytes(BOX, AFFINE)
    masks = {f"images/{at}.nii": nifti_bytes(BOX + np.int16(at), AFFINE) for at in (1, 2)}
    masks |= {f"masks/{at}.nii": nifti_bytes((BOX > 1500).astype(np.uint8), AFFINE) for at in (1, 2)}
    own = {f"k{name}.dcm": data for name, data in of("Kim", 7, "2.1").items()}
    (tmp_path / "m").mkdir()
    for name, data in own.items():
        (tmp_path / "m" / name).write_bytes(data)
    (tmp_path / "m/own.csv").write_text("path,label\n" + "".join(f"{name},cyst\n" for name in own))
    places = {"classes": pack(tmp_path / "c", classes, "folder"), "masks": pack(tmp_path / "k", masks, "zip")}
    table, _ = table_of(fetched(tmp_path, "local", manifest=tmp_path / "m/own.csv", **places))
    of_set = {name: set(rows["patient"]) for name, rows in table.groupby("set")}
    assert of_set["classes"] == {"d0001", "d0002", "v0001"}
    assert of_set["masks"] == {"v0002", "v0003"}
    (kim,) = of_set["manifest"]
    assert set(table["set"][table["patient"] == kim]) == {"classes", "manifest"}


def manifest(tmp_path, rows, files):
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "own.csv").write_text(f"path,label,patient,mask\n{rows}")
    return fetched(tmp_path, "local", manifest=tmp_path / "own.csv")


def test_a_nifti_mask_gives_every_slice_its_mask(tmp_path):
    mask = (BOX > 1500).astype(np.uint8) * 3
    turned = np.ascontiguousarray(mask.transpose(1, 2, 0)[:, ::-1])
    to = AFFINE[:, [1, 2, 0, 3]].copy()
    to[:3, 3] += to[:3, 1] * 3
    to[:3, 1] *= -1
    files = {f"a/{name}": data for name, data in series().items()} | {"b.nii": nifti_bytes(BOX, AFFINE), "c.png": PNG}
    files |= {"a.nii.gz": nifti_bytes(turned, to), "bm.nii": nifti_bytes(mask, AFFINE), "cm.png": PNG}
    rows = "a,cyst,Ann,a.nii.gz\nb.nii,cyst,,bm.nii\nc.png,cyst,,cm.png\n"
    raw = manifest(tmp_path, rows, files)
    found = [
        (row, decode(data)[0], None if masked is None else decode(masked)[0])
        for row, data, masked in read_images(raw, read_manifest(raw))
    ]
    for patient in ("p0001", "v0001"):
        slices = sorted((row.frame, masked.tobytes()) for row, _, masked in found if row.patient == patient)
        expected = [each.tobytes() for each in np.where(SHOWN > 1500, 255, 0).astype(np.uint8)]
        assert [data for _, data in slices] == expected
    assert json.loads((raw / "summary.json").read_text())["sets"]["manifest"]["masks"] == 9


def test_a_row_may_name_one_file_or_the_folder_of_a_series(tmp_path):
    files = {f"a/{name}": data for name, data in series().items()} | {
        "a/readme.txt": b"x",
        "b.dcm": dicom_bytes(BOX[0]),
    }
    raw = manifest(tmp_path, "a,cyst,Ann,\nb.dcm,cyst,Bea,\n", files)
    table = read_manifest(raw)
    assert table.groupby("patient").size().to_dict() == {"p0001": 4, "p0002": 1}
    assert all(re.fullmatch(r"cyst/dicom-[0-9a-f]{12}/\d{4}\.png", path) for path in table["path"])
    assert json.loads((raw / "summary.json").read_text())["sets"]["manifest"]["ignored"] == {"*.txt": 1}


def test_masked_nifti_pairs_by_number(tmp_path):
    mask = (BOX > 0).astype(np.uint8)
    pairs = {"images/3.nii.gz": nifti_bytes(BOX, AFFINE), "masks/3.nii": nifti_bytes(mask, AFFINE)}
    raw = fetched(
        tmp_path,
        "local",
        classes=pack(tmp_path / "c", {"glioma/1.png": PNG}, "zip"),
        masks=pack(tmp_path / "m", pairs, "zip"),
    )
    table = read_manifest(raw)
    rows = table[table["set"] == "masks"]
    assert rows["mask_path"].tolist() == [f"images/3.nii.gz/mask/{frame:04d}.png" for frame in range(4)]
    assert set(rows["patient"]) == {"v0001"}


@pytest.mark.parametrize(
    ("files", "rows", "reason"),
    [
        ({"a.nii": nifti_bytes(BOX, AFFINE), "m.png": PNG}, "a.nii,x,,m.png\n", "mask should be a NIfTI file"),
        ({"a.png": PNG, "m.nii": nifti_bytes(BOX, AFFINE)}, "a.png,x,,m.nii\n", "a picture for a picture"),
        ({"a.nii": b"text"}, "a.nii,x,,\n", r"a\.nii: no NIfTI file"),
        ({"a.dcm": b"text"}, "a.dcm,x,,\n", r"a\.dcm: no DICOM file"),
        ({"a/notes.txt": b""}, "a,x,,\n", "holds no image"),
        (
            {"a.nii": nifti_bytes(BOX, AFFINE), "m.nii": nifti_bytes(BOX[1:], AFFINE)},
            "a.nii,x,,m.nii\n",
            r"a\.nii: mask should lie on its scan's grid",
        ),
        (
            {"a/1.dcm": dicom_bytes(BOX[0]), "b/1.dcm": dicom_bytes(BOX[0], series="1.9")},
            "a,x,,\nb,x,,\n",
            "equals a/1.dcm in its pixels and place",
        ),
        (
            {
                "a/1.dcm": dicom_bytes(BOX[0]),
                "a/2.dcm": dicom_bytes(BOX[0], EchoTime="9"),
                "m.nii": nifti_bytes(BOX, AFFINE),
            },
            "a,x,,m.nii\n",
            "a mask needs one volume, the series has 2",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, files, rows, reason):
    with pytest.raises(InputError, match=reason):
        manifest(tmp_path, rows, files)


SEG, DOSE, CAPTURE = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("66.4", "481.2", "7"))
NO_SCANS = [
    ({"Modality": "SEG", "SOPClassUID": SEG}, "DICOM segmentations"),
    ({"Modality": "SEG"}, "DICOM segmentations"),
    ({"SOPClassUID": f"{SEG[:-1]}7"}, "DICOM segmentations"),
    ({"Modality": "RTDOSE", "SOPClassUID": DOSE}, "DICOM objects of radiotherapy"),
    ({"Modality": "RTSTRUCT"}, "DICOM objects of radiotherapy"),
    ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "DICOM localizers"),
    ({"SOPClassUID": CAPTURE, "ImagePositionPatient": None}, "DICOM secondary captures without a place in the patient"),
    ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.4", "Modality": "XC"}, "DICOM photographs"),
]


@pytest.mark.parametrize(("elements", "heading"), NO_SCANS)
def test_what_is_no_scan_is_counted_by_what_it_is(tmp_path, elements, heading):
    files = {f"glioma/{name}": data for name, data in series().items()}
    files["glioma/other.dcm"] = dicom_bytes(np.eye(9, dtype=np.uint8), series="9", **elements)
    raw = fetched(tmp_path, "local", classes=pack(tmp_path / "c", files, "zip"))
    assert len(read_manifest(raw)) == 4
    assert json.loads((raw / "summary.json").read_text())["sets"]["classes"]["ignored"] == {heading: 1}


def test_a_class_of_which_no_file_is_a_scan_is_refused(tmp_path):
    files = {f"glioma/{name}": data for name, data in series().items()}
    files["notumor/seg"] = dicom_bytes(BOX[0], Modality="SEG")
    with pytest.raises(InputError, match=r"^notumor: should hold scans, received none: .*'DICOM segmentations': 1"):
        fetched(tmp_path, "local", classes=pack(tmp_path / "c", files, "zip"))


def test_a_secondary_capture_with_a_place_in_the_patient_is_a_scan(tmp_path):
    files = {"glioma/1": dicom_bytes(BOX[0], SOPClassUID=CAPTURE)}
    assert len(read_manifest(fetched(tmp_path, "local", classes=pack(tmp_path / "c", files, "zip")))) == 1


def test_a_file_that_a_series_has_twice_counts_once(tmp_path):
    files = {f"glioma/{name}": data for name, data in series().items()}
    files |= {f"glioma/again/{name} (1)": data for name, data in list(series().items())[1:3]}
    raw = fetched(tmp_path, "local", classes=pack(tmp_path / "c", files, "zip"))
    table = read_manifest(raw)
    assert (len(table), set(table["slice_mm"])) == (4, {4})
    ignored = json.loads((raw / "summary.json").read_text())["sets"]["classes"]["ignored"]
    assert ignored == {"second copies of DICOM files": 2}


@pytest.mark.parametrize("kind", KINDS)
def test_names_say_nothing_where_the_content_does(tmp_path, kind):
    jpeg = bytes(cv2.imencode(".jpg", np.eye(9, dtype=np.uint8) * 255)[1])
    files = {f"glioma/s/I{at}{end}": data for (at, data), end in zip(
        enumerate(dicom_series(BOX, AFFINE)), (".MR", ".img", ".v2", ".png"), strict=True
    )}  # fmt: skip
    files |= {f"notumor/{name}": nifti_bytes(BOX, AFFINE) for name in ("a.nii (1).gz", "b")}
    files["notumor/c.mgz"] = gzip.compress(nibabel.MGHImage(BOX, AFFINE).to_bytes())
    files |= {"pituitary/a.jfif": jpeg, "pituitary/b": jpeg, "pituitary/c.dcm": jpeg, "pituitary/notes": b"text"}
    raw = fetched(tmp_path, "local", classes=pack(tmp_path / "c", files, kind))
    table = read_manifest(raw)
    assert table.groupby("label").size().to_dict() == {"glioma": 4, "notumor": 12, "pituitary": 3}
    volumes = {path.rpartition("/")[0] for path in table["path"][table["label"] == "notumor"]}
    assert volumes == {"notumor/a.nii (1).gz", "notumor/b", "notumor/c.mgz"}
    assert json.loads((raw / "summary.json").read_text())["sets"]["classes"]["ignored"] == {"*": 1}
    for _, data, _ in read_images(raw, table):
        assert b"DICM" not in data  # never stored as it came, header and all


def test_a_manifest_names_files_by_any_name(tmp_path):
    files = {
        "a.img": dicom_bytes(BOX[0]),
        "b.nii (1).gz": gzip.compress(nifti_bytes(BOX, AFFINE)),
        "m": nifti_bytes(BOX, AFFINE),
    }
    raw = manifest(tmp_path, "a.img,cyst,,\nb.nii (1).gz,cyst,,m\n", files)
    assert read_manifest(raw)["mask_path"].tolist().count("") == 1
    assert len(read_manifest(raw)) == 5


def test_half_of_a_pair_is_refused(tmp_path):
    header = nibabel.Nifti1Pair(BOX, AFFINE).header
    header["magic"] = b"ni1"
    files = {"a.hdr": header.binaryblock, "a.img": BOX.tobytes()}
    with pytest.raises(InputError, match=r"line 2: 'a\.hdr' is an \.hdr whose voxels lie in an \.img .*nib-convert"):
        manifest(tmp_path, "a.hdr,cyst,,\n", files)
    with pytest.raises(InputError, match=r"glioma/a\.hdr: an \.hdr whose voxels"):
        fetched(tmp_path, "local", classes=pack(tmp_path / "c", {f"glioma/{n}": d for n, d in files.items()}, "zip"))


def test_a_damaged_slice_is_named(tmp_path):
    files = {"glioma/1.dcm": written(dataset(BOX[0], PixelData=b"\0\0"))}
    with pytest.raises(InputError, match=r"^glioma/1\.dcm: a DICOM file, but its pixels cannot be decoded"):
        fetched(tmp_path, "local", classes=pack(tmp_path / "c", files, "zip"))


@pytest.mark.slow
def test_scans_go_through_preprocess_by_patient_and_by_their_own_window(tmp_path, capsys):
    rng = np.random.default_rng(1)
    files = {}
    for at in range(16):
        box = np.zeros((40, 40, 3), np.int16)
        box[5:35, 5:35] = rng.integers(100, 900, (30, 30, 3))
        place = f"{('Training', 'Testing')[at % 4 == 3]}/{('glioma', 'notumor')[at % 2 ^ at // 4 % 2]}/{at}"
        if at % 4 == 0:
            files |= {f"{place}.nii.gz": nifti_bytes(box, AFFINE)}
        else:
            window = {"WindowCenter": "500", "WindowWidth": "200", "series": f"1.{at}", "PatientID": f"p{at}"}
            files |= {f"{place}/{name}": data for name, data in enumerate(dicom_series(box, AFFINE, **window))}
    raw = fetched(tmp_path, "local", classes=pack(tmp_path / "c", files, "zip"))
    exclude = PARAMS.with_name("exclude.csv")
    preprocess.run(params(window_source="dicom"), raw, exclude, tmp_path / "out")
    assert summary(tmp_path / "out")["own_window"] == 36
    assert "12 of 48 images name no window of their own; theirs are percentiles" in capsys.readouterr().err
    index = pd.concat(read_split(tmp_path / "out" / name).index.assign(split=name) for name in ("train", "val", "test"))
    assert len(index) == 48
    assert index.groupby("patient")["split"].nunique().max() == 1
    assert index.groupby("patient")["frame"].apply(sorted).map(tuple).unique().tolist() == [(0, 1, 2)]
    assert set(index["slice_mm"]) == {4}
    np.testing.assert_allclose(index["voxel_row_mm"], 0.75 * 40 / 32)
