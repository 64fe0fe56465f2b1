"""What a session brings: nothing in it can end the session, take all memory, or speak as the page itself."""

import io
import zipfile

import cv2
import nibabel
import numpy as np
import pytest
from conftest import draw_scan
from scan_files import PERSON, dicom_series, nifti_bytes

from app import batch, limits
from app.words import plain, plain_but_code
from brainmri.core import kinds
from brainmri.prediction.inputs import Input

AFFINE = np.diag([-2.0, -3, 5, 1])


def png(seed=1):
    return bytes(cv2.imencode(".png", draw_scan(np.random.default_rng(seed), "glioma")[0])[1])


def zipped(files):
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return place.getvalue()


def read(name, data):
    return batch.read(batch.Given("key", name, data))


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.png", b"", "cannot be decoded"),
        ("a.png", png()[:-20], "cannot be decoded"),
        ("a.dcm", b"\0" * 128 + b"DICM" + b"\xff" * 99, "a.dcm: "),
        ("a.nii", b"\x5c\x01" + b"\xff" * 400, "a.nii: "),
        ("a.zip", b"PK\x03\x04" + b"\0" * 60, "a.zip: "),
        ("a.zip", zipped({"readme.txt": b"no scan"}), "should hold a picture, DICOM or NIfTI file"),
        ("a.zip", zipped({"../a.png": png()}), "leaves the archive"),
        ("a.tar.gz", b"\x1f\x8b" + b"\0" * 60, "should be a zip or a plain tar here"),
        ("bomb.zip", zipped({f"{at}.png": bytes(2**28) for at in range(5)}), "should hold at most 5000 files and"),
    ],
)
def test_what_cannot_be_used_is_a_sentence(name, data, reason):
    found = read(name, data)
    assert len(found.scans) == 1
    assert isinstance(found.scans[0], batch.Failed)
    assert reason in found.scans[0].reason
    assert found.scans[0].reason.startswith(name)
    assert "\n" not in found.scans[0].reason


def test_one_bad_file_of_an_archive_leaves_the_others():
    found = read("a.zip", zipped({"1.png": png(1), "2.png": b"no picture", "3.png": png(3), "notes.txt": b"x"}))
    assert [type(scan) for scan in found.scans] == [Input, batch.Failed, Input]
    assert "a.zip/2.png" in found.scans[1].reason
    assert sum(found.ignored.values()) == 1


def test_loose_dicom_files_are_one_series():
    stack = np.arange(7 * 16 * 16, dtype=np.int16).reshape(16, 16, 7)
    loose = [batch.Given(str(at), f"im{at}", data) for at, data in enumerate(dicom_series(stack, AFFINE, **PERSON))]
    files = batch.together([*loose, batch.Given("p", "p.png", png())])
    assert [file.name for file in files] == ["p.png", "DICOM files"]
    found = batch.read(files[1])
    assert [scan.levels.shape for scan in found.scans] == [(7, 16, 16)]
    assert not {"Jane", "Doe", "4711"} & set(str(found.scans[0]).replace("'", " ").split())


def test_one_dicom_file_stays_by_itself():
    files = [batch.Given("a", "a.dcm", b"x"), batch.Given("p", "p.png", png())]
    assert batch.together(files) == files


def test_a_defect_of_ours_is_logged_and_ends_nothing(monkeypatch, caplog):
    monkeypatch.setattr(batch, "answer", lambda *_: 1 / 0)
    scan = read("a.png", png()).scans[0]
    found = batch.answered(scan, None, "none", True)
    assert found == batch.Failed(
        "a.png", "a.png: could not be answered for, for a reason nobody foresaw; the log has it"
    )
    assert "ZeroDivisionError" in caplog.text


def test_a_scan_and_a_session_have_a_largest_size(monkeypatch):
    monkeypatch.setattr(kinds, "MAX_PIXELS", 64 * 64 * 2)
    three = nifti_bytes(np.zeros((64, 64, 3), np.int16), AFFINE, nibabel.Nifti1Image)
    assert "at most 8192 pixels, and 65535 along a side, received 64x64x3" in read("v.nii", three).scans[0].reason
    scans = [read(f"{at}.png", png(at)).scans[0] for at in range(3)]
    monkeypatch.setattr(limits, "MAX_SESSION_VOXELS", 2 * 64 * 64)
    assert [isinstance(scan, Input) for scan in batch.room(scans)] == [True, True, False]
    monkeypatch.setattr(limits, "MAX_SCANS", 1)
    kept = batch.room([scans[0], batch.Failed("x", "x: bad"), scans[1]])
    assert kept[1] == batch.Failed("x", "x: bad")
    assert "a session should hold at most 1 scans" in kept[2].reason


def test_a_session_remembers_and_forgets_by_file():
    memory, made = {}, []
    for _ in range(2):
        batch.remembered(memory, ("a", 1), made.append, "a")
    batch.remembered(memory, ("b", 1), made.append, "b")
    assert made == ["a", "b"]
    batch.forget(memory, {"b"})
    assert list(memory) == [("b", 1)]


def test_words_from_outside_are_shown_as_they_are():
    assert plain("![x](http://evil/x.png) *a* `b` $c$ :d: <e>") == (
        r"\!\[x\]\(http\:\/\/evil\/x\.png\) \*a\* \`b\` \$c\$ \:d\: \<e\>"
    )
    assert plain("Übung_1 läuft") == "Übung_1 läuft"
    assert plain_but_code("set `a_b*`: *x*") == r"set `a_b*`\: \*x\*"
