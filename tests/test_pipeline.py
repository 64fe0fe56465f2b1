"""The whole pipeline through DVC, on a tiny phantom in a temporary copy of the project: what users do, and expect."""

import json
import shutil
import zipfile

import cv2
import numpy as np
import pytest
import yaml
from conftest import CLASSES, draw_scan
from tiny_project import commit, sh, stages_run

pytestmark = [pytest.mark.slow, pytest.mark.pipeline]
STAGES = [
    "check_params",
    "fetch",
    "preprocess",
    "probe",
    "augment",
    "train",
    "train_unet",
    "evaluate",
    "segment",
    "report",
]


def changed(project):
    """Return the stages that `dvc status` says would run because of what they read."""
    return sorted(json.loads(sh(project, "dvc", "status", "--json")))


@pytest.fixture(scope="module")
def project(finished_project, tmp_path_factory):
    """A copy of the tiny project, run once and committed."""
    return shutil.copytree(finished_project, tmp_path_factory.mktemp("clone") / "project")


@pytest.fixture
def clean(project):
    """The project as it was after its first run, whatever a test before has done."""
    yield project
    sh(project, "git", "checkout", "--quiet", "--force", "main")
    sh(project, "git", "clean", "--quiet", "--force", "-d")
    sh(project, "dvc", "checkout", "--quiet", "--force")


def test_every_stage_ran_and_left_what_it_promises(project):
    for name, stage in yaml.safe_load((project / "dvc.yaml").read_text())["stages"].items():
        outs = [*stage.get("outs", []), *stage.get("metrics", [])]
        for out in outs:
            assert (project / (out if isinstance(out, str) else next(iter(out)))).exists(), (name, out)
    assert json.loads((project / "metrics/data.json").read_text())["simulated"] is True
    assert json.loads((project / "metrics/data.json").read_text())["twins"]["pairs"] == 4


def test_git_holds_no_scan_and_no_model(project):
    tracked = sh(project, "git", "ls-files").split()
    made = [name for name in tracked if name.startswith(("data/", "models/", ".resume"))]
    assert made == ["data/README.md"]
    assert [name for name in tracked if name.startswith("plots/")]


def test_a_second_repro_does_nothing(project):
    printed = sh(project, "dvc", "repro")
    assert "Running stage" not in printed
    assert "Data and pipelines are up to date." in printed


def test_a_colour_of_a_chart_reruns_the_report_alone(clean):
    figures = clean / "brainmri/reporting/figures.py"
    figures.write_text(figures.read_text().replace("#0072b2", "#0072b3"))
    assert changed(clean) == ["report"]


def test_a_colour_of_a_gallery_reruns_no_training(clean):
    galleries = clean / "brainmri/reporting/galleries.py"
    galleries.write_text(galleries.read_text().replace('cmap="gray"', 'cmap="bone"'))
    ran = stages_run(sh(clean, "dvc", "repro"))
    assert sorted(ran) == ["augment", "check_params", "evaluate", "preprocess", "report", "segment"]


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("brainmri/phantom/simulated_set.py", ["check_params", "fetch"]),
        ("brainmri/preprocessing/images.py", ["check_params", "preprocess", "segment"]),
        ("brainmri/preprocessing/augmentation.py", ["augment", "check_params", "train", "train_unet"]),
        ("brainmri/models/classifier_networks.py", ["train"]),
        ("brainmri/scoring/scores.py", ["check_params", "evaluate", "probe", "report"]),
        ("exclude.csv", ["preprocess"]),
        ("brainmri/segmentation/kmeans.py", ["check_params", "segment"]),
        ("brainmri/segmentation/kmeans_brain.py", ["check_params", "segment"]),
        ("brainmri/reporting/galleries.py", ["augment", "check_params", "evaluate", "preprocess", "segment"]),
        ("brainmri/core/errors.py", sorted(STAGES)),
        ("brainmri/__init__.py", sorted(STAGES)),
    ],
)
def test_a_change_to_a_file_reruns_the_stages_that_import_it(clean, file, stages):
    (clean / file).write_text((clean / file).read_text() + "\n# changed\n")
    assert changed(clean) == stages


@pytest.mark.parametrize(("variants", "reruns"), [("fresh", False), ("stored", True)])
def test_how_many_variants_are_stored_concerns_training_that_reads_them_alone(clean, variants, reruns):
    params = yaml.safe_load((clean / "params.yaml").read_text())
    params["train"].update(variants=variants, epochs=1, warmup_epochs=0)
    (clean / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    sh(clean, "dvc", "repro", "train")
    params["augment"]["copies"] = 2
    (clean / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    assert ("train" in stages_run(sh(clean, "dvc", "repro", "train"))) == reruns


def test_two_branches_are_compared_offline(clean):
    sh(clean, "git", "checkout", "--quiet", "-b", "dropout")
    params = (clean / "params.yaml").read_text()
    (clean / "params.yaml").write_text(
        params.replace("dropout: 0.2", "dropout: 0.1").replace("epochs: 25", "epochs: 5", 1)
    )
    assert sorted(stages_run(sh(clean, "dvc", "repro"))) == ["check_params", "evaluate", "report", "segment", "train"]
    commit(clean, "less dropout")
    params = json.loads(sh(clean, "dvc", "params", "diff", "main", "dropout", "--json"))["params.yaml"]
    assert {name: (both["old"], both["new"]) for name, both in params.items()} == {
        "train.dropout": (0.2, 0.1),
        "train.epochs": (25, 5),
    }
    diff = ("dvc", "metrics", "diff", "main", "dropout")
    metrics = json.loads(sh(clean, *diff, "--json"))
    assert list(metrics) == ["metrics/summary.json"]
    assert "ece" in metrics["metrics/summary.json"]
    assert "| accuracy" in sh(clean, *diff, "--md", "--all")
    whole = json.loads(sh(clean, *diff, "--json", "--targets", "metrics/classify.json"))  # no metric, still compared
    assert "whole.loss" in whole["metrics/classify.json"]
    sh(clean, "dvc", "plots", "diff", "main", "dropout", "--out", "compared")
    page = (clean / "compared/index.html").read_text()
    assert "Loss by epoch" in page
    assert list((clean / "compared").rglob("*confusion.png"))


def write_sartaj(archive):
    """Write a zip in the layout and with the file names of the Sartaj set, of generated images."""
    rng = np.random.default_rng(5)
    names = {"glioma": "gg ({}).jpg", "meningioma": "m ({}).jpg", "notumor": "image({}).jpg", "pituitary": "p ({}).jpg"}
    with zipfile.ZipFile(archive, "w") as file:
        for split, count in (("Training", 10), ("Testing", 4)):
            for label in CLASSES:
                folder = "no_tumor" if label == "notumor" else f"{label}_tumor"
                for at in range(count):
                    image = cv2.imencode(".jpg", draw_scan(rng, label)[0])[1].tobytes()
                    file.writestr(f"{split}/{folder}/{names[label].format(at + 1)}", image)


def test_an_experiment_on_an_archive_of_ones_own_leaves_this_folder_alone(clean, tmp_path):
    write_sartaj(tmp_path / "sartaj.zip")
    source = ["-S", "fetch.source=local", "-S", f"fetch.local.classes={tmp_path / 'sartaj.zip'}"]
    printed = sh(clean, "dvc", "exp", "run", "--temp", "--name", "sartaj", *source)
    assert "evaluate: 16 test images" in printed
    assert sh(clean, "git", "status", "--porcelain") == ""
    data = json.loads(sh(clean, "git", "show", f"{experiment(clean)}:metrics/data.json"))
    assert data["source"] == "local"
    assert data["simulated"] is False
    assert data["images"]["test"] == dict.fromkeys(CLASSES, 4)
    assert data["sets"]["classes"]["differences"]  # its counts are not those of the real set


def experiment(project):
    """Return the git ref of the experiment called `sartaj`."""
    refs = sh(project, "git", "for-each-ref", "--format", "%(refname)", "refs/exps").split()
    return next(ref for ref in refs if ref.endswith("/sartaj"))


def test_a_param_against_its_rule_stops_the_run_before_anything_is_removed(clean):
    before = sorted(path.as_posix() for folder in ("data", "models") for path in (clean / folder).rglob("*.*"))
    params = (clean / "params.yaml").read_text()
    (clean / "params.yaml").write_text(params.replace("source: phantom", "source: phantm"))
    for words in (["repro"], ["exp", "run", "-S", "train.dropout=2"]):
        printed = sh(clean, "dvc", *words, ok=False)
        assert "source should be" in printed
        assert "received 'phantm'" in printed
        assert "Traceback" not in printed
        assert stages_run(printed) == ["check_params"]
    assert "dropout should be less than 1, received 2" in printed
    (clean / "params.yaml").write_text(params)
    sh(clean, "dvc", "checkout")
    assert sorted(path.as_posix() for folder in ("data", "models") for path in (clean / folder).rglob("*.*")) == before
    assert changed(clean) == []


def test_a_stage_runs_by_its_path_as_well(clean, tmp_path):
    sh(clean, "python", "stages/augment.py", "data/processed/train", str(tmp_path / "augmented"))
    for name in ("stored/images.npy", "stored/index.csv", "fresh/ranges.json", "preview.png"):
        assert (tmp_path / "augmented" / name).read_bytes() == (clean / "data/augmented" / name).read_bytes(), name


def test_a_run_is_recorded_with_its_commit(clean, tmp_path):
    command = "dvc repro  # https://me:hunter2@host/set.zip?token=hunter2"
    sh(clean, "python", "-m", "brainmri.commands.cli", "record", "tiny", command, str(tmp_path / "run.json"))
    found = json.loads((tmp_path / "run.json").read_text())
    assert found["commit"] == sh(clean, "git", "rev-parse", "HEAD").strip()
    assert found["metrics"]["classify"]["whole"]["images"] > 0
    assert found["versions"]["keras"]
    assert found["command"] == "dvc repro  # https://host/set.zip"
    (clean / "stages/train.py").write_text("# changed\n")
    printed = sh(
        clean, "python", "-m", "brainmri.commands.cli", "record", "tiny", "x", str(tmp_path / "other.json"), ok=False
    )
    assert "code should be committed before its run is recorded" in printed
    assert not (tmp_path / "other.json").exists()
