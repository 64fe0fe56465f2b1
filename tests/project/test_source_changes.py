"""A local source that has changed since it was fetched is noticed, though DVC does not look at it."""

import shutil

import cv2
import numpy as np
import pytest
import yaml
from conftest import tiny_params, write_set

from brainmri.core.params import check
from brainmri.project.source_changes import changed
from stages import fetch


@pytest.fixture
def project(tmp_path):
    """A folder with params that name a manifest of images, and with what fetch made of them."""
    (tmp_path / "set").mkdir()
    manifest = write_set(tmp_path / "set", np.random.default_rng(0), train=4, test=2)
    local = {"classes": None, "masks": None, "manifest": str(manifest), "patients": None}
    params = tiny_params(fetch={"source": "local", "local": local})
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    fetch.run(check(params["fetch"], fetch.Params, "fetch"), tmp_path / "data/raw")
    return tmp_path


def test_a_source_that_stayed_as_it_was_is_no_news(project):
    assert changed(project) == ""


def test_images_that_came_went_or_changed_are_counted(project):
    manifest = project / "set/images.csv"
    lines = manifest.read_text().splitlines()
    shutil.copy(project / "set/train_glioma_2.png", project / "set/new.png")
    gone = next(line for line in lines if line.startswith("test_notumor_1.png"))
    lines = [line for line in lines if line != gone] + ["new.png,glioma,trainglioma1,train,"]
    manifest.write_text("\n".join(lines) + "\n")
    cv2.imwrite(str(project / "set/train_notumor_0.png"), np.zeros((64, 64), np.uint8))
    cv2.imwrite(str(project / "set/mask_train_glioma_1.png"), np.zeros((64, 64), np.uint8))
    said = changed(project)
    assert "the source has changed since data/raw was fetched (1 added, 1 removed, 2 changed)" in said
    assert str(project) not in said


def test_a_source_that_is_gone_is_said_to_be(project):
    (project / "set/images.csv").unlink()
    assert "the source cannot be compared with data/raw any more: " in changed(project)


def test_without_the_data_or_with_another_source_there_is_nothing_to_compare(project):
    shutil.rmtree(project / "data/raw")
    assert changed(project) == ""
    (project / "params.yaml").write_text(yaml.safe_dump(tiny_params(fetch={"source": "phantom"})))
    assert changed(project) == ""


def test_a_table_of_patients_that_says_something_else_is_noticed(project):
    (project / "set/classes/glioma").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        shutil.copy(project / "set/train_glioma_2.png", project / "set/classes/glioma" / name)
    table = project / "set/whose.csv"
    table.write_text("file,patient\na.png,Ada\nb.png,Zoe\n")
    local = {"classes": "set/classes", "masks": None, "manifest": None, "patients": "set/whose.csv"}
    params = tiny_params(fetch={"source": "local", "local": local})
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    shutil.rmtree(project / "data/raw")
    local |= {"classes": str(project / "set/classes"), "patients": str(table)}
    fetch.run(check(params["fetch"] | {"local": local}, fetch.Params, "fetch"), project / "data/raw")
    assert changed(project) == ""
    table.write_text("file,patient\na.png,Ada\nb.png,Ada\n")
    assert "the source has changed since data/raw was fetched (1 changed)" in changed(project)
    table.write_text("file,patient\ngone.png,Ada\n")
    assert "cannot be compared with data/raw any more: " in changed(project)


def test_an_external_set_that_has_changed_is_noticed_beside_any_source(project):
    (project / "other/glioma").mkdir(parents=True)
    shutil.copy(project / "set/train_glioma_2.png", project / "other/glioma/a.png")
    params = tiny_params(fetch={"source": "phantom", "external": {"other": "other", "k": "a/b/versions/1"}})
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    shutil.rmtree(project / "data/raw")
    small = params["fetch"]["phantom"] | {
        "patients": {"train": 4, "test": 4},
        "slices": 3,
        "size": [64, 64],
        "twins": 0,
    }
    here = params["fetch"] | {"phantom": small, "external": {"other": str(project / "other")}}
    fetch.run(check(here, fetch.Params, "fetch"), project / "data/raw")
    assert changed(project) == ""  # the set on Kaggle is not asked for
    shutil.copy(project / "set/train_glioma_3.png", project / "other/glioma/b.png")
    assert "the source has changed since data/raw was fetched (1 added)" in changed(project)
