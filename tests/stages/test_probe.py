"""The probe stage on the generated set."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import tiny_params

from brainmri.core.errors import InputError
from brainmri.core.index import read_index, read_split
from brainmri.core.params import check
from stages import probe

PARAMS = {"seed": 0, "bootstrap": 100, "iterations": 10}


@pytest.fixture(scope="module")
def probed(tmp_path_factory, processed):
    out = tmp_path_factory.mktemp("probes") / "probes"
    run(processed, out)
    return out


def run(processed, out):
    folders = [processed / name for name in ("train", "val", "test")]
    probe.run(check(PARAMS, probe.Params, "probe"), *folders, out)


def test_both_probes_are_scored_on_every_part(probed):
    found = json.loads((probed / "scores.json").read_text())
    for name in ("nearest_neighbour", "metadata"):
        assert found[name]["whole"]["images"] == 16
        assert found[name]["twin_free"]["images"] == 15
        for part in ("whole", "twin_free"):
            own = found[name][part]
            for key, ends in own["ci95"].items():
                assert ends["low"] <= own[key] <= ends["high"], (name, part, key)
        assert found[name]["whole"]["chance"] == found[name]["whole"]["commonest_share"] == 0.25
        assert found[name]["reading"] in found["reading"]
    assert sorted(found["metadata"]["validation"]["groups"]) == ["borders", "intensity", "mode", "size"]
    # Written as grey PNG of one size: neither can tell anything.
    for name in ("mode", "size"):
        assert found["metadata"]["validation"]["groups"][name]["alone"] <= 0.5


def test_the_scores_are_those_of_the_predictions(probed, processed):
    from sklearn.metrics import accuracy_score, f1_score, recall_score

    table = pd.read_csv(probed / "predictions.csv")
    found = json.loads((probed / "scores.json").read_text())
    assert table["image_id"].tolist() == read_index(processed / "test")["image_id"].tolist()
    assert set(table["nearest_image_id"]) <= set(read_index(processed / "train")["image_id"])
    for name in ("nearest_neighbour", "metadata"):
        true, predicted = table["label"], table[f"predicted_{name}"]
        assert found[name]["whole"]["accuracy"] == pytest.approx(accuracy_score(true, predicted))
        assert found[name]["whole"]["macro_f1"] == pytest.approx(f1_score(true, predicted, average="macro"))
        assert found[name]["whole"]["macro_recall"] == pytest.approx(recall_score(true, predicted, average="macro"))


def test_two_runs_write_the_same_bytes(probed, processed, tmp_path):
    run(processed, tmp_path / "out")
    for name in ("scores.json", "predictions.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (probed / name).read_bytes()


def test_images_read_in_pieces_give_the_same_bytes(probed, processed, tmp_path, monkeypatch):
    monkeypatch.setattr(probe, "AT_ONCE", 5)
    run(processed, tmp_path / "out")
    for name in ("scores.json", "predictions.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (probed / name).read_bytes()


def test_one_window_of_the_largest_size_is_probed(probed, processed, tmp_path):
    for name in ("train", "val", "test"):
        shutil.copytree(processed / name, tmp_path / name)
        images = read_split(processed / name).images[..., :1].repeat(32, axis=1).repeat(32, axis=2)
        np.save(tmp_path / name / "images.npy", images)
        np.save(tmp_path / name / "masks.npy", np.zeros((len(images), 1024, 1024), np.uint8))
    run(tmp_path, tmp_path / "out")
    found, before = (json.loads((path / "scores.json").read_text()) for path in (tmp_path / "out", probed))
    assert found["nearest_neighbour"] == before["nearest_neighbour"]  # which sees thumbnails of the first window alone


def test_a_split_without_labels_is_refused(processed, tmp_path):
    shutil.copytree(processed, tmp_path / "copy")
    table = read_index(tmp_path / "copy/test").assign(label="")
    table.to_csv(tmp_path / "copy/test/index.csv", index=False)
    with pytest.raises(InputError, match="should hold labelled images, received none"):
        run(tmp_path / "copy", tmp_path / "out")


def test_the_section_of_the_project_is_accepted():
    assert check(tiny_params()["probe"], probe.Params, "probe").bootstrap >= 100
