"""The built wheel and a model are enough: in an empty folder of an environment that has nothing of this project."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from conftest import PARAMS, draw_scan
from handmade import handmade
from released_files import served
from test_release import content
from tiny_project import ROOT

from brainmri.core.files import write_json
from brainmri.project.release import write

pytestmark = pytest.mark.slow


def run(*words, cwd, ok=True):
    """Run a program with no word of this project in its environment."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "BRAINMRI"))}
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def brainmri(tmp_path_factory):
    """The command of an environment in which the wheel is installed, and its folder of packages.

    The packages that it depends on are those of this environment, which takes minutes less than to install them anew;
    this project is not among them, because the `.pth` file that an editable install goes by is not read from there.
    """
    place = tmp_path_factory.mktemp("wheel")
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout.splitlines()
    for name in listed:  # a copy, because building leaves folders beside what it builds
        if name.startswith(("brainmri/", "stages/", "LICENSE", "README", "pyproject")) and (ROOT / name).is_file():
            (place / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (place / "source" / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", place, place / "source", cwd=place)
    venv.create(place / "env")
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place / "env")}))
    (packages / "beside.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    (wheel,) = place.glob("*.whl")
    python = place / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", "--force-reinstall", wheel, cwd=place)
    found = run(python, "-c", "import brainmri; print(brainmri.__file__)", cwd=place).stdout
    assert Path(found.strip()).is_relative_to(packages)
    return python.with_name("brainmri"), packages


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A project's folder with handmade models, and its pages."""
    place = tmp_path_factory.mktemp("made")
    handmade(place / "models")
    for folder in ("classifier", "unet"):
        write_json(place / "models" / folder / "versions.json", {})
    for name in ("LICENSE", "CITATION.cff", "params.yaml", "docs/licences.md", "metrics/model_card.md"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes((ROOT / name).read_bytes())
    (place / "plots").symlink_to(ROOT / "plots")
    return place


@pytest.fixture
def empty(tmp_path):
    """A folder with a scan in it, and nothing else."""
    cv2.imwrite(str(tmp_path / "scan.png"), draw_scan(np.random.default_rng(1), "glioma")[0])
    return tmp_path


def test_it_answers_from_an_empty_folder_with_nothing_but_the_models_folders(brainmri, models, empty):
    (empty / "elsewhere").mkdir()
    (empty / "elsewhere/params.yaml").write_text("prepare: {split: 0.2}\n")  # of another project, and not asked for
    folders = ["--classifier", models / "models/classifier", "--unet", models / "models/unet"]
    given = run(brainmri[0], "predict", "../scan.png", "--json", *folders, cwd=empty / "elsewhere")
    assert json.loads(given.stdout)["mask"]["method"] == "unet"
    given = run(brainmri[0], "predict", "scan.png", "--json", "--method", "kmeans", *folders, cwd=empty)
    assert json.loads(given.stdout)["mask"]["method"] == "kmeans"
    assert "note: K-means takes its params from the package" in given.stderr


def test_it_answers_with_a_released_model_from_an_address(brainmri, models, empty, tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    sha256 = write(models, store / "model.zip")
    assert yaml.safe_load(content(store / "model.zip")["params.yaml"]) == yaml.safe_load(PARAMS.read_text())
    with served(store) as address:
        words = ["predict", "scan.png", "--json", "--model", f"{address}/model.zip"]
        given = run(brainmri[0], *words, "--sha256", sha256, cwd=empty)
        assert json.loads(given.stdout)["mask"]["method"] == "unet"
        assert "needs its --sha256" in run(brainmri[0], *words, cwd=empty, ok=False).stderr


def test_it_says_which_it_is_and_carries_what_it_reads(brainmri, empty):
    assert run(brainmri[0], "--version", cwd=empty).stdout.startswith("brainmri ")
    python = brainmri[0].with_name("python")
    assert "predict" in run(python, "-m", "brainmri", "--help", cwd=empty).stdout
    for name in ("preprocessing/known_patients.csv", "prediction/methods.yaml"):
        assert (brainmri[1] / "brainmri" / name).read_bytes() == (ROOT / "brainmri" / name).read_bytes()
