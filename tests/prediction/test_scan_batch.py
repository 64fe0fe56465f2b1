"""The command `brainmri predict`: any number of scans of any kind, what it prints and what it writes."""

import dataclasses
import json
import re
import shutil
import sys

import cv2
import nibabel
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import PARAMS, draw_scan
from handmade import CLASSES, handmade
from PIL import Image
from scan_files import NIBABEL, PERSON, SHIPPED, dicom_bytes, dicom_series, nifti_bytes

from brainmri.commands import cli
from brainmri.core.params import check
from brainmri.phantom import simulated_set
from brainmri.prediction.scan_batch import file_stem
from brainmri.segmentation.methods import METHODS

pytestmark = pytest.mark.slow
AFFINE = np.array([[0, -2.0, 0, 9], [-2, 0, 0, 8], [0, 0, 4, 7], [0, 0, 0, 1.0]])


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return handmade(tmp_path_factory.mktemp("handmade"))


@pytest.fixture
def predict(models, monkeypatch, capsys):
    """Run the command; return its exit status, standard output and standard error."""

    def predict(*words, unet=models / "unet"):
        place = ["--classifier", models / "classifier", "--unet", unet]
        monkeypatch.setattr(sys, "argv", ["brainmri", "predict", *map(str, [*words, *place])])
        try:
            cli.main()
            status = 0
        except SystemExit as stopped:
            sys.stderr.write(f"{stopped.code}\n")
            status = 1
        return status, *capsys.readouterr()

    return predict


def picture(label, seed=0):
    return draw_scan(np.random.default_rng(seed), label)[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures, a DICOM file, a DICOM series, a NIfTI file; one file is broken and one is no image."""
    place = tmp_path_factory.mktemp("scans")
    for sub in ("a", "b", "series"):
        (place / sub).mkdir()
    cv2.imwrite(str(place / "a/x.png"), picture("glioma"))
    cv2.imwrite(str(place / "b/x.png"), picture("pituitary", 1))
    cv2.imwrite(str(place / "A_x.jpg"), picture("glioma", 2))
    (place / "one.dcm").write_bytes(dicom_bytes(picture("glioma").astype(np.uint16), **PERSON))
    stack = np.stack([picture(label, 4) for label in ("notumor", "glioma", "glioma", "notumor")], axis=-1)
    stack = stack.astype(np.int16)
    (place / "vol.nii.gz").write_bytes(nifti_bytes(stack, AFFINE))
    for at, data in enumerate(dicom_series(stack, AFFINE)):
        (place / f"series/{at}").write_bytes(data)
    (place / "broken.png").write_bytes(b"no image")
    (place / "readme.txt").write_text("x")
    return place


def names(lines, folder):
    return [json.loads(line)["name"].removeprefix(f"{folder}/") for line in lines.splitlines()]


@pytest.fixture
def fourth(monkeypatch):
    """The name of one more method in the list: the U-Net again."""
    monkeypatch.setitem(METHODS, "fourth", dataclasses.replace(METHODS["unet"], title="A fourth"))
    return "fourth"


def test_a_method_is_asked_for_by_its_entry_in_the_list_alone(predict, folder, fourth):
    given = folder / "a/x.png"
    (_, asked, _), (_, unet, _) = (predict(given, "--method", name, "--json") for name in (fourth, "unet"))
    assert json.loads(asked)["mask"] == json.loads(unet)["mask"] | {"method": fourth}
    assert json.loads(unet)["mask"]["pixels"] > 0


def test_a_method_without_the_u_net_that_it_needs_is_named(predict, folder, fourth, tmp_path):
    (tmp_path / "skipped.json").write_text('{"reason": "no masks"}')
    for name in (fourth, "unet"):
        status, _, err = predict(folder / "a/x.png", "--method", name, unet=tmp_path)
        assert status == 1
        assert f"method {name} needs a trained U-Net, received none" in err
        assert "; use kmeans_brain or kmeans, or train one" in err


def test_the_help_names_every_method(fourth):
    text = next(one for one in cli.parser()._actions if one.choices).choices["predict"].format_help()
    assert "--method {auto,fourth,unet,kmeans_brain,kmeans,none}" in " ".join(text.split())


def test_that_there_is_no_u_net_is_said_once(predict, folder, tmp_path):
    (tmp_path / "skipped.json").write_text('{"reason": "no masks"}')
    status, out, err = predict(folder / "a", folder / "b", unet=tmp_path)
    assert status == 0
    assert err.count("These models have no U-Net, so nothing is outlined; kmeans_brain and kmeans need none.") == 1
    assert out.endswith("2 answered, 0 not. Outlines: none. Not for clinical use.\n")
    status, out, err = predict(folder / "a", "--method", "kmeans", unet=tmp_path)
    assert "note: K-means takes its params from params.yaml" in err  # of the folder that the tests run in
    assert "no U-Net" not in err


def test_an_outline_that_is_unsure_is_called_so(predict, folder, models, tmp_path, capsys):
    shutil.copytree(models / "classifier", tmp_path / "classifier")
    calibration = json.loads((models / "classifier/calibration.json").read_text()) | {"abstain_below": 1.01}
    (tmp_path / "classifier/calibration.json").write_text(json.dumps(calibration))
    words = ["predict", folder / "a/x.png", "--classifier", tmp_path / "classifier", "--unet", models / "unet"]
    _, sure, _ = predict(words[1], "--out", tmp_path / "out")
    assert " px  " in sure
    assert pd.read_csv(tmp_path / "out/results.csv")["unsure"].tolist() == [False]
    args = cli.parsed([str(word) for word in [*words, "--out", tmp_path / "out"]])
    args.run(args)
    assert " px, unsure  " in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "out/results.csv")["unsure"].tolist() == [True]
    (line,) = (tmp_path / "out/results.jsonl").read_text().splitlines()
    assert "unsure" in json.loads(line)["remarks"][0]


def test_what_is_unlike_the_training_images_is_marked_and_counted(predict, folder, models, tmp_path, capsys):
    shutil.copytree(models / "classifier", tmp_path / "classifier")
    path = tmp_path / "classifier/calibration.json"
    own = json.loads(path.read_text())
    words = [folder / "a/x.png", "--classifier", tmp_path / "classifier", "--method", "kmeans"]
    path.write_text(json.dumps(own | {"unlike_above": 0.0}))
    args = cli.parsed([str(word) for word in ["predict", *words, "--out", tmp_path / "out"]])
    args.run(args)
    out = capsys.readouterr().out.splitlines()
    assert " unlike  " in out[1]
    assert out[2] == "1 unlike the images that the classifier learnt from: it abstains, whatever class it names."
    found = pd.read_csv(tmp_path / "out/results.csv")
    assert (found["abstain"][0], found["unlike_above"][0], found["unlike"][0] > 0) == (True, 0, True)
    del own["unlike_above"]
    path.write_text(json.dumps(own))
    args.run(args)
    err = capsys.readouterr().err
    assert err.count("note: These models cannot tell whether a scan is unlike what they learnt from") == 1
    assert pd.read_csv(tmp_path / "out/results.csv")["unlike"].isna().all()


def test_a_folder_gives_a_line_each_and_names_what_it_cannot_read(predict, folder):
    status, out, err = predict(folder, "--method", "kmeans", "--no-gate")
    lines = out.splitlines()
    assert len(lines) == 8
    for name in CLASSES:
        assert name in lines[0]
    assert [line.split("  ")[-1].removeprefix(f"{folder}/") for line in lines[1:-1]] == [
        "A_x.jpg", "a/x.png", "b/x.png", "one.dcm", "series", "vol.nii.gz"
    ]  # fmt: skip
    for line, unit in zip(lines[1:-1], ("px", "px", "px", "mm²", "ml", "ml"), strict=True):
        assert f" {unit} " in line
    assert lines[-1].startswith("6 answered, 1 not.")
    assert lines[-1].endswith("Not for clinical use.")
    assert status == 1
    assert f"error: {folder}/broken.png: cannot be decoded" in err
    assert "ignored what is no scan: 1 *.txt" in err
    assert err.endswith("1 of 7 could not be read, see above\n")


def test_json_lines_say_all(predict, folder):
    status, out, _ = predict(folder, "--json", "--no-gate")
    assert names(out, folder) == ["A_x.jpg", "a/x.png", "b/x.png", "broken.png", "one.dcm", "series", "vol.nii.gz"]
    lines = [json.loads(line) for line in out.splitlines()]
    assert all(line["note"] == "Not for clinical use" for line in lines)
    assert "cannot be decoded" in lines[3]["error"]
    for line in (*lines[:3], *lines[4:]):
        assert set(line["probabilities"]) == set(CLASSES)
        assert sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert line["class"] == max(line["probabilities"], key=line["probabilities"].get)
        assert {"read", "prepare", "classify", "outline"} == set(line["seconds"])
    assert lines[5]["mask"] == lines[6]["mask"]
    assert lines[4]["mask"]["area_mm2"] == pytest.approx(lines[4]["mask"]["pixels"] * 0.375)
    assert "4711" not in out
    assert status == 1


def test_files_are_named_in_the_order_given(predict, folder):
    status, out, _ = predict(folder / "vol.nii.gz", folder / "a", folder / "one.dcm", "--json", "--method", "none")
    assert names(out, folder) == ["vol.nii.gz", "a/x.png", "one.dcm"]
    assert status == 0
    assert [json.loads(line)["mask"] for line in out.splitlines()] == [None] * 3


def test_what_is_written_is_whole_distinct_and_the_same_twice(predict, folder, tmp_path):
    predict(folder, "--method", "kmeans", "--no-gate", "--out", tmp_path / "out")
    table = pd.read_csv(tmp_path / "out/results.csv")
    lines = [json.loads(line) for line in (tmp_path / "out/results.jsonl").read_text().splitlines()]
    assert list(table["name"]) == [line["name"] for line in lines]
    assert sum(table["error"].notna()) == 1
    assert (table["note"] == "Not for clinical use").all()
    files = [*table["mask"].dropna(), *table["overlay"].dropna()]
    assert len(files) == 12
    assert len({name.lower() for name in files}) == 12  # A_x.jpg and a/x.png would collide
    assert sorted(files) == sorted(
        str(path.relative_to(tmp_path / "out"))
        for part in ("masks", "overlays")
        for path in (tmp_path / "out" / part).iterdir()
    )
    for row in table[table["kind"] == "image"].itertuples():
        mask = np.asarray(Image.open(tmp_path / "out" / row.mask))
        assert mask.shape == (64, 64)
        assert set(np.unique(mask)) == {0, 255}
        assert (mask > 0).sum() == row.pixels
        assert Image.open(tmp_path / "out" / row.mask).text["Comment"] == "Not for clinical use"
    for row in table[table["kind"] == "volume"].itertuples():
        mask = nibabel.load(tmp_path / "out" / row.mask)
        assert np.asanyarray(mask.dataobj).sum() == row.voxels > 0
        assert row.volume_ml == pytest.approx(row.voxels * 16 / 1000)
    first = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    predict(folder, "--method", "kmeans", "--no-gate", "--out", tmp_path / "out")
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == first


def test_answers_below_the_folder_that_is_asked_about_are_no_scans(predict, tmp_path):
    scans = tmp_path / "scans"
    scans.mkdir()
    for at, label in enumerate(CLASSES[:2]):
        cv2.imwrite(str(scans / f"{label}.png"), picture(label, at))
    found = []
    for out in ("answers", "answers", "deep/other", "answers"):
        status, said, err = predict(scans, "--method", "kmeans", "--no-gate", "--out", scans / out)
        found.append((scans / out / "results.jsonl").read_bytes())
        assert (status, said.splitlines()[-1][:22]) == (0, "2 answered, 0 not. Out")
        assert (scans / out / "results.csv").exists()
    assert len(set(found)) == 1
    assert "ignored what is no scan: 12 files of earlier answers" in err


@pytest.mark.parametrize("content", [("masks/mine.png",), ("notes.txt",), ("results.jsonl", "notes.txt")])
def test_a_folder_with_other_things_is_left_alone_before_any_work(predict, folder, tmp_path, content):
    for name in content:
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text("mine")
    status, out, err = predict(folder, "--out", tmp_path / "out")
    assert status == 1
    assert "should be a new folder, or one of earlier results to replace" in err
    assert len(out.splitlines()) <= 1
    assert [(tmp_path / "out" / name).read_text() for name in content] == ["mine"] * len(content)


def test_nothing_to_answer_for_is_said(predict, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_text("x")
    status, _, err = predict(tmp_path / "empty", tmp_path / "notes", tmp_path / "nothing")
    assert status == 1
    assert "empty: holds no picture, DICOM or NIfTI file, received nothing" in err
    assert "notes: holds no picture, DICOM or NIfTI file, received {'*.txt': 1}" in err
    assert "nothing: no such file or folder" in err
    assert err.endswith("3 of 3 could not be read, see above\n")


def test_a_wrong_method_and_missing_models_are_one_sentence(predict, folder, tmp_path, monkeypatch, capsys):
    assert "invalid choice: 'magic' (choose from" in predict(folder, "--method", "magic")[2]
    monkeypatch.setattr(sys, "argv", ["brainmri", "predict", str(folder), "--classifier", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"^error: .*no such file; run the stage that writes it"):
        cli.main()


def test_file_names_are_short_distinct_and_stay_in_their_folder():
    taken = set()
    assert file_stem("/data/p1/t1.nii.gz", taken) == "p1_t1"
    assert file_stem("other/P1/T1.dcm", taken) == "P1_T1_2"
    assert file_stem("x", taken) == "x"
    assert file_stem("../../etc/..png", taken) == "etc_."
    assert file_stem("C:\\scans\\IM1.ima", taken) == "scans_IM1"
    assert len(file_stem("a" * 300 + ".png", taken)) <= 120
    assert len(file_stem("b" + "a" * 300 + ".png", taken)) <= 122


@pytest.fixture(scope="module")
def head():
    """A simulated head at 2 mm with a meningioma of 26.75 ml, in 12 bits, its mask and affine."""
    section = yaml.safe_load(PARAMS.read_text())["fetch"]["phantom"]
    params = check(section, simulated_set.PhantomParams, "fetch.phantom")
    patient = simulated_set.draw_patient(np.random.default_rng([7, 0, 1]), params, "train", 1)
    image, mask, affine = simulated_set.volume(patient, 2.0)
    return np.rint(image * 1500).astype(np.int16), mask, affine


def test_every_file_that_pydicom_and_nibabel_ship_is_answered_or_refused_in_one_sentence(predict, tmp_path):
    words = ["--json", "--method", "kmeans_brain", "--no-gate", "--out", tmp_path / "out"]
    status, out, err = predict(SHIPPED, NIBABEL / "tests/data", NIBABEL / "nicom/tests/data", *words)
    lines = [json.loads(line) for line in out.splitlines()]
    answered, refused = ([line for line in lines if ("error" in line) == bad] for bad in (False, True))
    assert status == 1
    assert len(answered) >= 30  # most of the others are captures that state no place, and no scans by what they say
    assert {"image", "volume"} == {line["kind"] for line in answered}
    assert len(refused) >= 15
    for line in refused:
        assert re.fullmatch(r"/\S+: .+", line["error"])
        assert f"error: {line['error']}\n" in err
    assert "Traceback" not in err
    assert len(pd.read_csv(tmp_path / "out/results.csv")) == len(lines)


@pytest.mark.parametrize("kind", ["nifti", "dicom"])
@pytest.mark.parametrize("turn", [(0, 1, 2), (2, 0, 1)])
def test_a_simulated_volume_comes_back_with_its_lesion_on_its_own_grid(predict, head, tmp_path, kind, turn):
    stored, truth, affine = (part.transpose(turn) if part.ndim == 3 else part[:, [*turn, 3]] for part in head)
    scan = nibabel.Nifti1Image(stored, affine)
    if kind == "nifti":
        scan.header["cal_min"], scan.header["cal_max"] = 0, 3300  # the window that the handmade networks go by
        nibabel.save(scan, tmp_path / "head.nii.gz")
        given = tmp_path / "head.nii.gz"
    else:
        given = tmp_path / "series"
        given.mkdir()
        for at, data in enumerate(dicom_series(stored, affine, WindowCenter="1650.5", WindowWidth="3301")):
            (given / f"IM{at:03d}").write_bytes(data)
    status, out, _ = predict(given, "--json", "--out", tmp_path / "out")
    assert status == 0
    found = json.loads(out)
    assert found["class"] == "meningioma"
    known_ml = truth.sum() * 8 / 1000
    assert known_ml == pytest.approx(26.75, abs=0.01)
    assert found["mask"]["volume_ml"] == pytest.approx(known_ml, rel=0.1)
    places = nibabel.affines.apply_affine(affine, np.argwhere(truth))
    assert found["mask"]["centroid_mm"] == pytest.approx(places.mean(axis=0), abs=1)
    (written,) = (tmp_path / "out/masks").iterdir()
    mask = nibabel.load(written)
    voxels = np.asanyarray(mask.dataobj)
    assert voxels.sum() * 8 / 1000 == pytest.approx(found["mask"]["volume_ml"])
    if kind == "nifti":
        np.testing.assert_array_equal(mask.affine, nibabel.load(given).affine)
        assert voxels.shape == stored.shape
        assert 2 * (voxels * truth).sum() / (voxels.sum() + truth.sum()) > 0.95
    else:
        # The same places in the patient, whatever the order of the slices.
        there = nibabel.affines.apply_affine(np.linalg.inv(affine) @ mask.affine, np.argwhere(voxels))
        back = np.zeros(truth.shape, bool)
        back[tuple(np.rint(there).astype(int).T)] = True
        assert 2 * (back & (truth > 0)).sum() / (back.sum() + truth.sum()) > 0.95


def test_a_volume_without_a_tumour_is_gated(predict, head, tmp_path):
    stored, truth, affine = head
    scan = nibabel.Nifti1Image(np.where(truth > 0, 1500, stored).astype(np.int16), affine)
    scan.header["cal_min"], scan.header["cal_max"] = 0, 3300
    nibabel.save(scan, tmp_path / "head.nii.gz")
    found = json.loads(predict(tmp_path / "head.nii.gz", "--json")[1])
    assert found["class"] == "notumor"
    assert found["mask"] == {"method": "unet", "gated": True, "unsure": False, "voxels": 0, "volume_ml": 0.0,
                             "largest_diameter_mm": None, "centroid_mm": None}  # fmt: skip
