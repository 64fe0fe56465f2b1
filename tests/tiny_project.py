"""A copy of the project in a repository of its own, with params so small that the whole pipeline runs in a minute."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from conftest import tiny_params

ROOT = Path(__file__).parent.parent
# In the environment of all that runs in the copy; nothing that it writes or says may hold them (test_secrets.py).
PLANTED = {
    "KAGGLE_USERNAME": "planted-user",
    "KAGGLE_KEY": "planted-kaggle-key",
    "AWS_SECRET_ACCESS_KEY": "planted-aws-key",
}


def sh(project, *words, ok=True):
    """Run a command in the project as a user would, with this Python first on PATH; return what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    names = {f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    # PYTHONPATH: the stages of the copy, not those of the project that is installed in this environment.
    env = {
        **os.environ,
        **PLANTED,
        **names,
        "PATH": path,
        "DVC_NO_ANALYTICS": "1",
        "PYTHONPATH": str(project),
        "COLUMNS": "200",
    }
    result = subprocess.run(words, cwd=project, env=env, capture_output=True, text=True, check=False)
    assert (result.returncode == 0) == ok, result.stdout + result.stderr
    return result.stdout if ok else result.stdout + result.stderr


def stages_run(printed):
    """Return the stages that ran, in order, from what `dvc repro` printed."""
    return [line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage")]


def commit(project, message):
    sh(project, "git", "add", "--all")
    sh(project, "git", "commit", "--quiet", "--message", message)


def small_params():
    """Return params of a simulated set and networks that are tiny, and yet learn enough to have something to lose."""
    phantom = {"seed": 7, "patients": {"train": 24, "test": 16}, "slices": 3, "size": [64, 80],
               "jpeg_quality": [80, 90], "twins": 4}  # fmt: skip
    network = {"residual": {"widths": [8, 16], "depth": 1, "patch": 2}, "averaging": 0.9}
    train = {**network, "epochs": 25, "warmup_epochs": 2, "learning_rate": 0.005}
    return tiny_params(fetch={"source": "phantom", "phantom": phantom}, train=train)


def write_project(place):
    """Copy the project as it stands, without results, with small params, into a new repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "metrics/", "plots/")) and name != "dvc.lock":
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place / name)
    sh(place, "git", "init", "--quiet", "--initial-branch", "main")
    (place / "params.yaml").write_text(yaml.safe_dump(small_params(), sort_keys=False))
