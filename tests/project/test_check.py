"""`brainmri check` says of a set what the stages would find in it, and whether they would stop."""

import json
import sys

import cv2
import numpy as np
import pytest
import yaml
from conftest import CLASSES, draw_scan, tiny_params
from packing import pack
from scan_files import PERSON, dicom_bytes, dicom_series, nifti_bytes

from brainmri.commands import cli
from brainmri.core.files import read_json

pytestmark = pytest.mark.slow
AFFINE = np.diag([-2.0, -3, 5, 1])


@pytest.fixture
def check(tmp_path, monkeypatch, capsys):
    """Run the command with small params; return its last words on standard error, or None, and what it printed."""

    def check(*words, **changes):
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(tiny_params(**changes)))
        words = ["check", *words, "--params", tmp_path / "params.yaml"]
        monkeypatch.setattr(sys, "argv", ["brainmri", *map(str, words)])
        capsys.readouterr()
        try:
            cli.main()
            end = None
        except SystemExit as stopped:
            end = stopped.code
        return end, capsys.readouterr().out

    return check


def png(label, seed):
    return bytes(cv2.imencode(".png", draw_scan(np.random.default_rng(seed), label)[0])[1])


def class_set(count=12):
    return {f"{label}/{at}.png": png(label, 100 * row + at) for row, label in enumerate(CLASSES) for at in range(count)}


def test_it_finds_what_the_stages_find(check, set_manifest, raw, processed):
    end, out = check(set_manifest, "--json")
    found = json.loads(out)
    assert end is None
    assert found["refused"] == found["unreadable"] == []
    assert found["sets"] == read_json(raw / "summary.json", dict)["sets"]
    twins = read_json(processed / "summary/summary.json", dict)["twins"]
    assert {name: found["twins"][name] for name in twins} == twins
    assert sum(found["twins"]["pairs_by_split"].values()) == twins["pairs"]
    assert found["twins"]["pairs_by_split"]["test and train"] >= 1
    assert found["patients"] == read_json(processed / "summary/summary.json", dict)["patients"]
    assert found["images"]["patient_named"] == found["images"]["with_mask"] == found["images"]["readable"] == 64
    assert found["images"]["sizes_px"] == {"64x64": 64}
    assert found["images"]["spacing_stated"] == 0


def test_it_reads_the_table_of_patients_and_the_channel_that_params_name(check, tmp_path):
    table = tmp_path / "whose.csv"
    table.write_text("file,patient\n" + "".join(f"{name},{name[:2]}\n" for name in class_set(4)))
    local = {"classes": None, "masks": None, "manifest": None, "patients": str(table)}
    place = pack(tmp_path / "c", class_set(4), "folder")
    found = json.loads(check(place, "--json", fetch={"local": local, "channel": "pre"})[1])
    assert found["sets"]["classes"]["patients"] == 4
    table.write_text("file,patient\ngone.png,A\n")
    end, _ = check(place, fetch={"local": local})
    assert "whose.csv: line 2: each row should name an image" in end
    slices = pack(tmp_path / "m", {"a/a_1.tif": b"", "a/a_1_mask.tif": b""}, "zip")
    end, _ = check(slices)
    assert "its pictures hold pre, flair, post, so fetch.channel should be one of them, received null" in end


def test_the_text_says_the_same(check, set_manifest):
    end, out = check(set_manifest)
    assert end is None
    for part in ("manifest: 64 images, 64 with a mask, 32 patients", "train: glioma 12, meningioma 12, notumor 12",
                 "unreadable: 0", "sizes: 64x64 64; 0 not square", "modes: L 64", "spacing: not stated",
                 "test and train ", "twins with different labels: 0 groups",
                 "patients known or recognised: train ", ", test 8; 0 images recognised, 0 of nobody that is known",
                 "  0 of 8 known test patients are in training or validation too, by images with a class; 0 by",
                 "Nothing found for which a run would be refused", "Not for clinical use."):  # fmt: skip
        assert part in out


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_broken_pictures_are_named_and_too_many_of_them_refused(check, tmp_path, kind):
    files = class_set() | {"glioma/broken.png": b"no image", "readme.txt": b"x"}
    place = pack(tmp_path / "set", files, kind)
    end, out = check(place)
    assert "unreadable: 1\n  glioma/broken.png: cannot be decoded" in out
    assert "A run would be refused: preprocess: at most a share of 0.01" in out
    assert "ignored files: *.txt 1" in out
    assert "no split: glioma 13" in out
    assert "for train stay: " in out  # the rest was looked at
    assert end == "error: a run would be refused, see above"
    end, out = check(place, preprocess={"max_bad": 0.5})
    assert end is None
    assert "unreadable: 1\n" in out


def test_pictures_without_a_head_are_named(check, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    blank = {"black": np.zeros((64, 64), np.uint8), "white": np.full((64, 64), 255, np.uint8), "noise": noise}
    files = {f"glioma/{name}.png": bytes(cv2.imencode(".png", own)[1]) for name, own in blank.items()}
    _, out = check(pack(tmp_path / "set", class_set() | files, "folder"))
    assert "without a head: 3\n  glioma/black.png\n  glioma/noise.png\n  glioma/white.png\n" in out


def test_every_damaged_dicom_or_nifti_file_is_named(check, tmp_path):
    rng = np.random.default_rng(5)
    stack = (rng.integers(0, 900, (24, 20, 6))).astype(np.int16)
    files = class_set() | {f"glioma/s/{at}": data for at, data in enumerate(dicom_series(stack, AFFINE, **PERSON))}
    files |= {
        "glioma/a.nii": b"text",
        "notumor/b.dcm": dicom_bytes(stack[0])[:-30],
        "notumor/c.nii": nifti_bytes(stack, AFFINE),
    }
    end, out = check(pack(tmp_path / "set", files, "folder"), "--json")
    found = json.loads(out)
    assert [each["file"] for each in found["unreadable"]] == ["glioma/a.nii", "notumor/b.dcm"]
    assert found["refused"][0].startswith(
        "fetch: every DICOM and NIfTI file should be readable, received 2 that are not"
    )
    assert end == "error: a run would be refused, see above"
    assert found["sets"]["classes"]["volumes"] == 2
    assert found["sets"]["classes"]["counts"] == {
        "none": {"glioma": 18, "meningioma": 12, "notumor": 18, "pituitary": 12}
    }
    assert found["images"]["spacing_stated"] == 12
    assert found["images"]["spacing_mm"] == [2, 3]
    assert "4711" not in out
    assert "Jane" not in out


def test_twins_with_different_labels_are_listed(check, tmp_path):
    files = class_set()
    files["notumor/same.png"] = files["glioma/0.png"]
    _, out = check(pack(tmp_path / "set", files, "folder"), "--json")
    groups = [sorted((each["file"], each["label"]) for each in group) for group in json.loads(out)["clashes"]]
    wanted = {("glioma/0.png", "glioma"), ("notumor/same.png", "notumor")}
    assert any(wanted <= set(group) for group in groups)
    _, out = check(tmp_path / "set/set")
    assert "glioma/0.png (glioma)" in out


def test_masks_and_classes_are_looked_at_together(check, tmp_path):
    rng = np.random.default_rng(7)
    masks = {}
    for number in range(1, 141):
        image, mask = draw_scan(rng, "glioma")
        for part, pixels in (("images", image), ("masks", mask)):
            masks[f"{part}/{number}.png"] = bytes(cv2.imencode(".png", pixels)[1])
    files = class_set()
    files["glioma/copy.png"] = masks["images/70.png"]
    found = json.loads(check(pack(tmp_path / "a", files, "zip"), pack(tmp_path / "b", masks, "zip"), "--json")[1])
    assert found["sets"]["classes"]["images"] == 49
    assert found["sets"]["masks"]["masks"] == 140
    assert found["images"]["with_mask"] == 140
    end, _ = check(pack(tmp_path / "b", masks, "zip"))
    assert end == "error: a run would be refused, see above"  # nothing for the classifier to learn from


def test_it_says_what_masks_hold_and_which_are_unlikely(check, tmp_path):
    files = class_set()
    mask = np.zeros((64, 64), np.uint8)
    mask[20:30, 20:30] = 200
    mask[22:28, 22:28] = 100
    files["glioma/0_mask.png"] = bytes(cv2.imencode(".png", mask)[1])
    files["glioma/1_mask.png"] = bytes(cv2.imencode(".png", mask * 0)[1])
    files["notumor/0_mask.png"] = bytes(cv2.imencode(".png", 255 - mask)[1])
    place = pack(tmp_path / "set", files, "zip")
    found = json.loads(check(place, "--json")[1])
    assert found["masks"]["values"] == {"0": 1, "0, 100, 200": 1}
    assert list(found["masks"]["unlikely"].values()) == [["glioma/1.png"], ["glioma/0.png"]]  # empty, labels
    assert [each["file"] for each in found["unreadable"]] == ["notumor/0.png"]
    assert "none of them 0" in found["unreadable"][0]["reason"]
    assert "  1 have no pixel, which says that there is no tumour:\n    glioma/1.png\n" in check(place)[1]


def test_what_cannot_be_looked_at_at_all_is_one_sentence(check, tmp_path):
    assert check(tmp_path / "nothing")[0].endswith("give a folder, a .zip or a .tar")
    place = pack(tmp_path / "x", {"cyst/a.png": png("glioma", 1)}, "folder")
    assert "folder 'cyst' is no class" in check(place)[0]
    assert "one set of each kind should be named, received classes, classes" in check(place, place)[0]


def test_nothing_is_left_behind(check, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    check(pack(tmp_path / "set", class_set(), "zip"))
    assert list((tmp_path / "temporary").iterdir()) == []
