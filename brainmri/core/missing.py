"""What brings back a file that a stage once wrote and that is gone or damaged: DVC's cache, a remote, or the stage."""

from pathlib import Path
from typing import Any

from pydantic import Field

from brainmri.core.errors import ArtifactError, InputError, ParamsError
from brainmri.core.git import git
from brainmri.core.params import OPTIONAL, Record, check, read_yaml


def missing(path: Path) -> ArtifactError:
    """Return the error that says of a stage's file that it is not there, and what brings it back."""
    return ArtifactError(f"{path}: no such file; {_remedy(path.absolute())}")


def damaged(path: Path, said: str) -> ArtifactError:
    """Return the error that says of a stage's file how it is not as it was written, and what brings it back."""
    # DVC overwrites what it did not write only when it is told to.
    return ArtifactError(f"{path}: {said}; {_remedy(path.absolute()).replace('dvc checkout', 'dvc checkout --force')}")


class Entry(Record):
    """What a `dvc.lock` says of a file or folder that a stage read or wrote."""

    path: str
    md5: str = OPTIONAL


class LockedStage(Record):
    """What a `dvc.lock` says of a stage."""

    cmd: str = OPTIONAL
    deps: list[Entry] = OPTIONAL
    params: dict[str, dict[str, Any]] = OPTIONAL
    outs: list[Entry] = OPTIONAL


class Lock(Record):
    """A `dvc.lock`."""

    schema_: str = Field(default="2.0", alias="schema", pattern="^2")  # the form since DVC 2, which has `stages`
    stages: dict[str, LockedStage]


def read_lock(path: Path) -> dict[str, Any]:
    """Return the stages of a `dvc.lock` as they stand there: `cmd`, `deps`, `params` and `outs` by a stage's name.

    Raises
    ------
    ParamsError
        If it is no YAML, as in the middle of a merge, or not what DVC writes.
    """
    return locked(read_yaml(path), str(path))


def locked(content: Any, where: str) -> dict[str, Any]:
    """Return the stages in the content of a `dvc.lock`; raise `ParamsError` that begins with `where`."""
    check(content, Lock, f"{where}: not a lock as DVC writes it (`git checkout dvc.lock` brings back the commit's)")
    stages: dict[str, Any] = content["stages"]
    return stages


def _remedy(path: Path) -> str:
    run = "run the stage that writes it with `dvc repro`"
    root = next((folder for folder in path.parents if (folder / "dvc.lock").is_file()), None)
    try:
        out = _out(root, path) if root else None
        if root is None or out is None:
            return run
        if git(root, "ls-files", out["path"]):
            return f"`git checkout {out['path']}` brings it back"
        return _from_dvc(root, out) or run
    except (InputError, ParamsError):
        return run


def _from_dvc(root: Path, out: dict[str, Any]) -> str:
    """Return what DVC can do for an output, or nothing."""
    try:
        # Here and not at the top: it takes a second to import, and prediction does without.
        from dvc.exceptions import DvcException
        from dvc.repo import Repo
    except ImportError:
        return ""
    try:
        with Repo(str(root)) as repo:
            if repo.cache.local.exists(out["md5"]):
                return f"`dvc checkout {out['path']}` brings it back"
            if repo.config["core"].get("remote"):
                return f"`dvc pull {out['path']}` brings it back, if it was pushed; else `dvc repro`"
    except DvcException:
        pass
    return ""


def _out(root: Path, path: Path) -> dict[str, Any] | None:
    """Return the output in `dvc.lock` that a path is, or is in."""
    outs = [out for stage in read_lock(root / "dvc.lock").values() for out in stage.get("outs", [])]
    return next((out for out in outs if "md5" in out and path.is_relative_to(root / out["path"])), None)
