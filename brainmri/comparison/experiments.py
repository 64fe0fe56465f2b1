"""Run the pipeline as DVC experiments, one after the other, and none that is there already.

Each runs in a folder of its own (`dvc exp run --temp`), not beside others: a training uses every core already, and the
exit status of each is known, where `dvc queue start` exits with 0 whatever fails.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from brainmri.core.errors import InputError
from brainmri.core.git import git


class Wanted(NamedTuple):
    """One experiment: its name, what people read of it, and the params that it changes, as `-S` takes them."""

    name: str
    title: str
    values: Mapping[str, str]


def run_each(root: Path, head: str, every: Sequence[Wanted], logs: Path) -> dict[str, str]:
    """Run each experiment that the commit has not yet; return by name why it failed, or nothing.

    Parameters
    ----------
    root : Path
        The project's folder.
    head : str
        What `require_committed` gave.
    every : sequence of Wanted
        In the order in which they run.
    logs : Path
        A folder, for the log of each run.
    """
    logs.mkdir(parents=True, exist_ok=True)
    failures = {}
    for at, wanted in enumerate(every, start=1):
        known = wanted.name in _known(root, head)
        said = "ran before" if known else f"runs as {wanted.name}"
        print(f"{at}/{len(every)} {wanted.title}: {said}", flush=True)
        failures[wanted.name] = "" if known else _run(root, head, wanted, logs / f"{wanted.name}.log")
        if failures[wanted.name]:
            print(f"    failed: {failures[wanted.name]}", flush=True)
    return failures


def require_committed(root: Path, command: str) -> str:
    """Return the commit that is checked out; raise `InputError` where experiments would hold more, or get lost."""
    if git(root, "rev-parse", "--is-shallow-repository") == "true":
        raise InputError(f"{command}: needs the whole history, received a shallow clone; run `git fetch --unshallow`")
    changed = git(root, "status", "--porcelain", "--untracked-files=no").splitlines()
    if changed:
        names = ", ".join(line.split(maxsplit=1)[1] for line in changed[:5])
        raise InputError(
            f"{command}: what git tracks should be committed, so that experiments differ in their params alone, "
            f"received changes of {names}"
        )
    return git(root, "rev-parse", "HEAD")


def name_of(prefix: str, head: str, values: Mapping[str, str]) -> str:
    """Return a name that the same params on the same commit get again, and no other."""
    return f"{prefix}-{hashlib.sha256(json.dumps([head, sorted(values.items())]).encode()).hexdigest()[:8]}"


def _known(root: Path, head: str) -> set[str]:
    refs = git(root, "for-each-ref", "--format", "%(refname)", f"refs/exps/{head[:2]}/{head[2:]}")
    return {ref.rpartition("/")[2] for ref in refs.splitlines()}


def _run(root: Path, head: str, wanted: Wanted, log: Path) -> str:
    """Run one experiment; return why it failed, or nothing."""
    changes = [word for key, value in wanted.values.items() for word in ("-S", f"{key}={value}")]
    command = [sys.executable, "-m", "dvc", "exp", "run", "--temp", "--name", wanted.name, *changes]
    with log.open("w") as file:
        status = subprocess.run(command, cwd=root, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
    if status == 0 and wanted.name in _known(root, head):
        return ""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    # A stage says what was wrong, then DVC says which stage it was.
    said = [line for line in lines if line.lower().startswith("error: ")]
    return (said or lines[-1:] or [f"exit status {status}"])[0].removeprefix("error: ").removeprefix("ERROR: ")
