"""A trained classifier on a second generated set."""

import json
import sys

import cv2
import numpy as np
import pytest
from conftest import CLASSES, draw_scan

from brainmri.core.index import read_index
from brainmri.project import cli

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def second_set(tmp_path_factory, set_manifest):
    """Class folders of other images, with a mirrored copy of a training image and a file that is no image."""
    place = tmp_path_factory.mktemp("second") / "set"
    rng = np.random.default_rng(9)
    for label in CLASSES:
        (place / label).mkdir(parents=True)
        for at in range(6):
            cv2.imwrite(str(place / label / f"{at}.png"), draw_scan(rng, label)[0])
    copy = cv2.imread(str(set_manifest.parent / "train_pituitary_1.png"), 0)[:, ::-1]
    cv2.imwrite(str(place / "pituitary/copy.jpg"), copy, [cv2.IMWRITE_JPEG_QUALITY, 90])
    (place / "glioma/broken.png").write_bytes(b"no image")
    return place


def external(monkeypatch, classifier, processed, place, out, *more):
    words = ["external", classifier, processed / "train", place, "--out", out, "--bootstrap", "100", *more]
    monkeypatch.setattr(sys, "argv", ["brainmri", *map(str, words)])
    cli.main()
    written = json.loads(out.read_text())
    assert written["command"] == f"brainmri external {classifier.name} train {place.name}"
    assert len(written["commit"]) == 40
    return written["result"]


def test_a_folder_is_scored_without_copies_of_training_images(
    monkeypatch, capsys, classifier, processed, second_set, tmp_path
):
    found = external(monkeypatch, classifier, processed, second_set, tmp_path / "out.json")
    assert found["counts"]["images"] == 26
    assert found["counts"]["unreadable"] == 1
    assert found["counts"]["training_twins"] == {"pituitary": 1}
    assert found["counts"]["scored"] == dict.fromkeys(CLASSES, 6)
    assert found["scores"]["images"] == 24
    ends = found["ci95"]["accuracy"]
    assert ends["low"] <= found["scores"]["accuracy"] <= ends["high"]
    assert sorted(found["scores"]["classes"]) == sorted(CLASSES)
    printed = capsys.readouterr().out
    assert f"accuracy: {found['scores']['accuracy']:.3f} (" in printed
    assert str(second_set) not in (tmp_path / "out.json").read_text()


def test_two_runs_write_the_same_bytes(monkeypatch, classifier, processed, second_set, tmp_path):
    for name in ("one.json", "two.json"):
        external(monkeypatch, classifier, processed, second_set, tmp_path / name)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def write_manifest(second_set, path, labels):
    rows = [f"{second_set}/{label}/{at}.png,{labels.get(label, label)}" for label in CLASSES for at in range(6)]
    path.write_text("path,label\n" + "\n".join(rows) + "\n")
    return path


def test_classes_that_the_model_does_not_know_are_counted(monkeypatch, classifier, processed, second_set, tmp_path):
    path = write_manifest(second_set, tmp_path / "images.csv", {"meningioma": "cyst"})
    found = external(monkeypatch, classifier, processed, path, tmp_path / "out.json")
    assert found["counts"]["unknown_classes"] == {"cyst": 6}
    assert found["counts"]["scored"] == dict.fromkeys(("glioma", "notumor", "pituitary"), 6)
    assert found["scores"]["images"] == 18


def test_a_set_without_known_classes_is_refused(monkeypatch, classifier, processed, second_set, tmp_path):
    path = write_manifest(second_set, tmp_path / "images.csv", {label: f"x{label}" for label in CLASSES})
    with pytest.raises(SystemExit, match="should hold images of the model's classes"):
        external(monkeypatch, classifier, processed, path, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


def test_training_images_themselves_are_not_scored(monkeypatch, classifier, processed, set_manifest, tmp_path):
    (tmp_path / "set/glioma").mkdir(parents=True)
    for at in range(12):
        data = (set_manifest.parent / f"train_glioma_{at}.png").read_bytes()
        (tmp_path / f"set/glioma/{at}.png").write_bytes(data)
    found = external(monkeypatch, classifier, processed, tmp_path / "set", tmp_path / "out.json")
    trained_on = int((read_index(processed / "train")["label"] == "glioma").sum())
    # The others went to validation, or were dropped as copies of test images.
    assert found["counts"]["training_twins"] == {"glioma": trained_on}
    assert found["counts"]["scored"] == {"glioma": 12 - trained_on}
