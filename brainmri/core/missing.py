"""What brings back a file that a stage once wrote: DVC's cache, a remote, or the stage."""

from pathlib import Path
from typing import Any

from brainmri.core.errors import ArtifactError, InputError
from brainmri.core.git import git
from brainmri.core.params import read_yaml


def missing(path: Path) -> ArtifactError:
    """Return the error that says of a stage's file that it is not there, and what brings it back."""
    return ArtifactError(f"{path}: no such file; {_remedy(path.absolute())}")


def _remedy(path: Path) -> str:
    run = "run the stage that writes it with `dvc repro`"
    root = next((folder for folder in path.parents if (folder / "dvc.lock").is_file()), None)
    out = _out(root, path) if root else None
    if root is None or out is None:
        return run
    try:
        if git(root, "ls-files", out["path"]):
            return f"`git checkout {out['path']}` brings it back"
        return _from_dvc(root, out) or run
    except InputError:
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
    stages = (read_yaml(root / "dvc.lock") or {}).get("stages", {}).values()
    outs = [out for stage in stages for out in stage.get("outs", [])]
    return next((out for out in outs if path.is_relative_to(root / out["path"])), None)
