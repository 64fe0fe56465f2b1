"""Names of git revisions."""

import subprocess
from pathlib import Path

from hostile.rows import Refused, Row

from brainmri.comparison.revisions import read_revisions

TITLE = "Git revisions"
INTRO = "As `brainmri compare REV_A REV_B` takes them, in a project with one commit."


def project(folder: Path) -> Path:
    """Make a DVC project in a git repository, with one commit."""
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


def compared(name: str):
    return lambda path: [one.name for one in read_revisions(path, [name])]


ROWS = [
    Row(
        "an option: `--output=/tmp/x`",
        project,
        compared("--output=/tmp/x"),
        Refused(
            "compare: each revision should be a commit, branch, tag or experiment of this project, or `workspace`, received `--output=/tmp/x`; look at `git log` and `dvc exp list --all`, and where the clone is shallow get the rest with `git fetch --unshallow`"
        ),
    ),
    Row(
        "a dash alone",
        project,
        compared("-"),
        Refused(
            "compare: each revision should be a commit, branch, tag or experiment of this project, or `workspace`, received `-`; look at `git log` and `dvc exp list --all`, and where the clone is shallow get the rest with `git fetch --unshallow`"
        ),
    ),
    Row(
        "a file of a commit: `HEAD:a`",
        project,
        compared("HEAD:a"),
        Refused(
            "compare: each revision should be a commit, branch, tag or experiment of this project, or `workspace`, received `HEAD:a`; look at `git log` and `dvc exp list --all`, and where the clone is shallow get the rest with `git fetch --unshallow`"
        ),
    ),
    Row(
        "words of a shell: `HEAD; rm -rf .`",
        project,
        compared("HEAD; rm -rf ."),
        Refused(
            "compare: each revision should be a commit, branch, tag or experiment of this project, or `workspace`, received `HEAD; rm -rf .`; look at `git log` and `dvc exp list --all`, and where the clone is shallow get the rest with `git fetch --unshallow`"
        ),
    ),
    Row(
        "a line break",
        project,
        compared("HEAD\nHEAD"),
        Refused(
            "compare: each revision should be a commit, branch, tag or experiment of this project, or `workspace`, received `HEAD HEAD`; look at `git log` and `dvc exp list --all`, and where the clone is shallow get the rest with `git fetch --unshallow`"
        ),
    ),
    Row(
        "no letters",
        project,
        compared(""),
        Refused(
            "compare: each revision should be a commit, branch, tag or experiment of this project, or `workspace`, received ``; look at `git log` and `dvc exp list --all`, and where the clone is shallow get the rest with `git fetch --unshallow`"
        ),
    ),
]
