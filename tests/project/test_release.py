"""A release is whole, the same bytes each time, and keeps what is private at home; DVC hands models out too."""

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest
import yaml
from handmade import PARAMS
from released_files import network, served
from tiny_project import ROOT, commit, sh

from brainmri.core.errors import ArtifactError, InputError
from brainmri.prediction import released
from brainmri.project.release import CLASSIFIER, UNET, release, write


@pytest.fixture
def project(tmp_path):
    """The project's pages and params with models of a few bytes."""
    place = tmp_path / "project"
    for name in ("LICENSE", "CITATION.cff", "params.yaml", "docs/licences.md", "metrics/model_card.md"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place / name)
    shutil.copytree(ROOT / "plots", place / "plots")
    for folder, names in (("classifier", CLASSIFIER), ("unet", UNET)):
        (place / "models" / folder).mkdir(parents=True)
        for name in names:
            (place / "models" / folder / name).write_text('{"keras": "3"}')
        made_with = {"classes": ["a", "b"], "params": PARAMS}
        (place / "models" / folder / "preprocess.json").write_text(json.dumps(made_with))
        (place / "models" / folder / "model.keras").write_bytes(network())
        (place / "models" / folder / "curves.csv").write_text("epoch\n")
    (place / "models/classifier/likeness.npz").write_bytes(network())  # a zip too
    return place


def content(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_it_is_whole_the_same_twice_and_what_predict_takes(project, tmp_path):
    sha256 = write(project, tmp_path / "a.zip")
    assert write(project, tmp_path / "b/c.zip") == sha256
    assert hashlib.sha256((tmp_path / "b/c.zip").read_bytes()).hexdigest() == sha256
    found = content(tmp_path / "a.zip")
    assert {name for name in found if not name.startswith("plots/")} == {
        *("README.md", "MODEL_CARD.md", "LICENSE", "LICENCES.md", "CITATION.cff", "SHA256SUMS", "release.json"),
        *("params.yaml", *(f"classifier/{name}" for name in CLASSIFIER), *(f"unet/{name}" for name in UNET)),
    }
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path / "folder")
    lines = found["SHA256SUMS"].decode().splitlines()  # as `sha256sum` writes and checks them
    assert lines == [
        f"{hashlib.sha256(found[name]).hexdigest()}  {name}" for name in sorted(set(found) - {"SHA256SUMS"})
    ]
    with released.opened(str(tmp_path / "a.zip"), sha256) as parts:
        assert (parts.classifier / "model.keras").read_bytes() == network()
        assert yaml.safe_load(parts.params.read_text()) == yaml.safe_load((ROOT / "params.yaml").read_text())


def test_the_pages_of_an_archive_link_to_nothing_that_is_not_in_it(project, tmp_path):
    write(project, tmp_path / "a.zip")
    found = content(tmp_path / "a.zip")
    for name in ("MODEL_CARD.md", "LICENCES.md", "README.md"):
        links = [part.split(")")[0] for part in found[name].decode().split("](")[1:]]
        assert [link for link in links if not link.startswith("https://") and link not in found] == [], name
    assert "plots/confusion.png" in found
    assert "Not for clinical use" in found["README.md"].decode()
    assert json.loads(found["release.json"])["note"] == "Not for clinical use"


def test_no_folder_of_this_machine_is_in_it(project, tmp_path):
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["fetch"]["local"] = {"classes": "/home/me/secret/set", "masks": "secret/masks.zip", "manifest": None,
                                "patients": "C:\\secret\\patients.csv"}  # fmt: skip
    params["train"]["application"]["weights"] = "/home/me/secret/b0.weights.h5"
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    write(project, tmp_path / "a.zip")
    found = content(tmp_path / "a.zip")
    assert [name for name, data in found.items() if b"secret" in data] == []
    kept = yaml.safe_load(found["params.yaml"])
    assert kept["fetch"]["local"] == {
        "classes": "set",
        "masks": "masks.zip",
        "manifest": None,
        "patients": "patients.csv",
    }
    assert kept["train"]["application"]["weights"] == "b0.weights.h5"
    assert kept["fetch"]["kaggle"] == params["fetch"]["kaggle"]


def test_without_masks_there_is_no_u_net_in_it(project, tmp_path):
    (project / "models/unet/skipped.json").write_text('{"reason": "no masks"}')
    write(project, tmp_path / "a.zip")
    found = content(tmp_path / "a.zip")
    assert [name for name in found if name.startswith("unet/")] == ["unet/skipped.json"]
    assert json.loads(found["release.json"])["unet"] is False


@pytest.mark.parametrize(
    "name", ["models/classifier/calibration.json", "metrics/model_card.md", "models/unet/model.keras"]
)
def test_what_is_missing_is_named_and_nothing_is_written(project, tmp_path, name):
    (project / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name}: no such file; run `dvc repro`"):
        write(project, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_where_it_cannot_be_written_is_said(project, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written: "):
        write(project, tmp_path / "file/a.zip")


@pytest.mark.slow
@pytest.mark.pipeline
def test_models_that_dvc_would_make_anew_are_not_released(project, tmp_path):
    with pytest.raises(InputError, match="should be a DVC project"):
        release(project, tmp_path / "a.zip")
    sh(project, "git", "init", "--quiet", "--initial-branch", "main")
    sh(project, "dvc", "init", "--quiet")
    stage = {"cmd": "python -V", "deps": ["params.yaml"], "outs": []}
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": stage}}))
    sh(project, "dvc", "repro", "--quiet")
    assert release(project, tmp_path / "a.zip") == write(project, tmp_path / "b.zip")
    (project / "params.yaml").write_text("train: {epochs: 99}\n")
    with pytest.raises(ArtifactError, match="should be of one run, received changes in train"):
        release(project, tmp_path / "c.zip")
    assert not (tmp_path / "c.zip").exists()


@pytest.mark.slow
@pytest.mark.pipeline
def test_dvc_gets_models_of_a_tag_from_a_remote_that_only_reads_over_http(project, tmp_path):
    """They are pushed to a folder, which is served for reading; `dvc get` and `dvc artifacts get` know its address."""
    sh(project, "git", "init", "--quiet", "--initial-branch", "main")
    sh(project, "dvc", "init", "--quiet")
    sh(project, "dvc", "add", "--quiet", "models/classifier", "models/unet")
    (project / "dvc.yaml").write_text(
        yaml.safe_dump({"artifacts": yaml.safe_load((ROOT / "dvc.yaml").read_text())["artifacts"]})
    )
    with served(tmp_path / "store") as address:
        sh(project, "dvc", "remote", "add", "--quiet", "--default", "shared", address)
        sh(project, "dvc", "remote", "add", "--quiet", "--local", "writing", str(tmp_path / "store"))
        commit(project, "models")
        for name in ("classifier", "unet"):
            sh(project, "git", "tag", "--annotate", "--message", "first", f"{name}@v1.0.0")  # DVC looks at no others
        sh(project, "dvc", "push", "--quiet", "--remote", "writing")
        (project / "models/classifier/versions.json").write_text("{}")
        sh(project, "dvc", "add", "--quiet", "models/classifier")
        commit(project, "later")
        clone = tmp_path / "clone"  # as others have it: without the cache, and without the way to write
        sh(tmp_path, "git", "clone", "--quiet", str(project), str(clone))
        place = Path(tmp_path / "elsewhere")
        place.mkdir()
        sh(place, "dvc", "get", "--quiet", "--rev", "unet@v1.0.0", str(clone), "models/unet", "--out", "u")
        sh(place, "dvc", "artifacts", "get", "--quiet", str(clone), "classifier", "--rev", "v1.0.0", "--out", "c")
    for name in UNET:
        assert (place / "u" / name).read_bytes() == (project / "models/unet" / name).read_bytes()
    assert (place / "c/versions.json").read_text() == '{"keras": "3"}'  # of the tag, not the last commit's
    assert (place / "c/model.keras").read_bytes() == network()
