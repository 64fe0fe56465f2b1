"""Sweeps through DVC's experiments: of a stage that takes no time, and of the tiny pipeline."""

import json
import shutil
import subprocess

import pytest
import yaml
from revision_files import commit, sh, write
from tiny_project import sh as run_in

from brainmri.comparison.grid import combinations
from brainmri.comparison.sweep import require_all, sweep
from brainmri.core.errors import ArtifactError, InputError
from brainmri.core.params import Section

pytestmark = [pytest.mark.slow, pytest.mark.pipeline]

STAGE = """
import json, sys, yaml
from pathlib import Path
params = yaml.safe_load(open("params.yaml"))["train"]
if params["dropout"] > 0.8:
    sys.exit("error: train: dropout is too much")
Path("metrics").mkdir(exist_ok=True)
validation = {"accuracy": 1 - params["dropout"], "loss": params["dropout"]}
Path("metrics/classify.json").write_text(json.dumps({"validation": validation}))
Path("data/processed/val").mkdir(parents=True)
Path("data/processed/val/index.csv").write_text("image_id,label\\nv1,glioma\\nv2,glioma\\nv3,\\n")
"""


class Train(Section):
    """The one section of the stage that takes no time."""

    dropout: float


@pytest.fixture
def project(small_repository, tmp_path):
    """A small repository whose one stage writes validation figures at once."""
    place = shutil.copytree(small_repository, tmp_path / "project")
    write(place, ".dvc/config", "")  # `dvc exp run` would ask the remote
    write(place, "writer.py", STAGE)
    outs = ["data/processed/val"]
    stage = {"cmd": "python writer.py", "params": ["train"], "deps": ["writer.py"], "outs": outs,
             "metrics": [{"metrics/classify.json": {"cache": False}}]}  # fmt: skip
    write(place, "dvc.yaml", yaml.safe_dump({"stages": {"made": stage}}))
    write(place, "params.yaml", "train:\n  dropout: 0.5\n")
    (place / "dvc.lock").unlink()
    commit(place, "base")
    return place


def run(project, grid, out):
    return sweep(project, combinations(grid), {"train": Train}, out)


def test_combinations_run_as_experiments_and_failures_are_named(project, tmp_path, capsys):
    out = tmp_path / "sweep"
    trials = run(project, "train.dropout=0.9,0.4,0.2", out)
    assert [trial.values["train.dropout"] for trial in trials] == ["0.2", "0.4", "0.9"]
    assert trials[0].figures == {"validation accuracy": 0.8, "validation loss": 0.2}
    assert trials[2].failure == "train: dropout is too much"
    said = r"received 1 of 3 that failed: train.dropout=0.9 \(train: dropout is too much\)"
    with pytest.raises(ArtifactError, match=said):
        require_all(trials, out)
    assert "error: train: dropout is too much" in (out / f"{trials[2].name}.log").read_text()
    assert {path.name for path in out.iterdir()} >= {"sweep.csv", "sweep.md", "sweep.png"}
    assert (project / "params.yaml").read_text() == "train:\n  dropout: 0.5\n"  # this folder is left alone
    assert sh(project, "git", "status", "--porcelain") == ""
    # What ran is not run again; what failed is.
    capsys.readouterr()
    again = run(project, "train.dropout=0.9,0.4,0.2", out)
    assert again == trials
    said = capsys.readouterr().out
    assert said.count("ran before") == 2
    assert f"1/3 train.dropout=0.9: runs as {trials[2].name}" in said


def test_uncommitted_changes_are_refused_before_anything_runs(project, tmp_path):
    write(project, "params.yaml", "train:\n  dropout: 0.6\n")
    with pytest.raises(InputError, match=r"should be committed, .* received changes of params.yaml"):
        run(project, "train.dropout=0.1", tmp_path / "sweep")
    assert not (tmp_path / "sweep").exists()


def test_a_shallow_clone_is_refused(project, tmp_path):
    commit(project, "more")
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", project.as_uri(), str(tmp_path / "shallow")], check=True)
    with pytest.raises(InputError, match="shallow clone; run `git fetch --unshallow`"):
        run(tmp_path / "shallow", "train.dropout=0.1", tmp_path / "sweep")


def test_a_sweep_of_the_pipeline_and_its_winner_on_a_branch(finished_project, tmp_path):
    place = shutil.copytree(finished_project, tmp_path / "project")
    params = yaml.safe_load((place / "params.yaml").read_text())
    params["train"] |= {"epochs": 2}
    params["train"]["application"]["weights"] = "missing.weights.h5"
    (place / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    run_in(place, "git", "commit", "--quiet", "--all", "--message", "two epochs")
    grid = "train.architecture=residual,application"
    printed = run_in(place, "python", "-m", "brainmri.commands.cli", "sweep", grid, ok=False)
    assert (
        "error: sweep: every combination should run, received 1 of 2 that failed: train.architecture=application ("
        in printed
    )
    assert "missing.weights.h5" in printed.split("error: sweep: ")[1]
    text = (place / "sweep/sweep.md").read_text()
    assert text in printed
    assert "validation Dice of the U-Net" in text
    promoted = [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]
    assert len(promoted) == 4
    for line in promoted[:3]:
        run_in(place, *line.split())
    compared = run_in(place, "python", "-m", "brainmri.commands.cli", *promoted[3].split()[1:])
    assert "my-branch~1: check_params, train should have run since a change of train." in compared
    assert yaml.safe_load((place / "params.yaml").read_text())["train"]["architecture"] == "residual"
    assert "up to date" in run_in(place, "dvc", "status")
    found = json.loads((place / "metrics/classify.json").read_text())["validation"]
    assert f"| {found['accuracy']:.4f} | {found['loss']:.4f} |" in text
