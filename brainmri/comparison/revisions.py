"""What a revision of the project holds, read from git and from DVC's cache: offline, without a checkout.

What git keeps (metrics, params.yaml, dvc.lock, `plots/predictions.csv`) is read at the revision, or from the folder as
it stands for `workspace`. What DVC keeps is always read from the cache under the hashes of that revision's dvc.lock,
for the workspace too: after `git checkout` without `dvc checkout` the folder `data` is that of another revision. DVC's
own file system would ask the remote for what the cache lacks; this does not.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from dvc.exceptions import NotDvcRepoError
from dvc.repo import Repo
from dvc.repo.brancher import switch
from dvc.scm import NoSCMError, SCMError, resolve_rev
from scmrepo.exceptions import SCMError as InternalSCMError

from brainmri.comparison import revision_tables as tables
from brainmri.core.errors import ArtifactError, InputError, one_line

WORKSPACE = "workspace"
LONGEST_NAME = 200  # letters of a revision
INDEXES = tuple(f"data/processed/{split}/index.csv" for split in ("train", "val", "test"))

T = TypeVar("T")


@dataclass
class Revision:
    """One revision; None stands for what could not be read, and `missing` says why, a sentence for each path."""

    name: str  # as the user called it
    commit: str  # full hash; empty for the workspace, and for one that was given another name
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)  # by file, keys joined with dots
    params: dict[str, Any] | None = None  # params.yaml, keys joined with dots
    used: dict[str, Any] | None = None  # what dvc.lock says that each stage ran with: `stage: key`
    predictions: pd.DataFrame | None = None  # one row a test image
    curves: pd.DataFrame | None = None  # one row an epoch of training
    index: pd.DataFrame | None = None  # image_id, label, split of every image
    content: dict[str, str] | None = None  # image_id to set and SHA-256
    segmentation: pd.DataFrame | None = None  # one row an image and method
    hashes: dict[str, str] = field(default_factory=dict)  # what dvc.lock says of each out: path to MD5
    given: dict[str, dict[str, str]] = field(
        default_factory=dict
    )  # by stage, of each dep that no stage wrote: likewise
    missing: dict[str, str] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)  # a sentence if stages have not run as things stand


def read_revisions(root: Path, names: Sequence[str], called: Sequence[str] | None = None) -> list[Revision]:
    """Return the revisions of those names: commits, branches, tags, DVC experiments, or `workspace`.

    Where `called` gives other names, the revisions are called so instead of by name and commit.

    Raises
    ------
    InputError
        If `root` is no DVC project in a git repository, or a name is none of these.
    """
    try:
        with Repo(str(root)) as repo:
            return [_read_revision(repo, name, shown) for name, shown in zip(names, called or names, strict=True)]
    except (NotDvcRepoError, NoSCMError, SCMError) as error:
        raise InputError(f"{root}: should be a DVC project in a git repository, received: {one_line(error)}") from None


def read_out(root: Path, name: str, path: str) -> bytes:
    """Return a file that a stage wrote, at a commit, branch, tag or experiment, from DVC's cache.

    Raises
    ------
    ArtifactError
        If the revision's dvc.lock or the cache lacks it.
    """
    with Repo(str(root)) as repo, switch(repo, _commit(repo, name)):
        return _cached(repo, _hashes(tables.stages(_kept_by_git(repo, "dvc.lock"), "dvc.lock")), path)


def _hashes(stages: dict[str, Any]) -> dict[str, str]:
    outs = [out for entry in stages.values() for out in entry.get("outs") or []]
    return {out["path"]: str(out.get("md5", "")) for out in outs}


def _given(entry: dict[str, Any], hashes: dict[str, str]) -> dict[str, str]:
    """Return the MD5 of each dep of a stage that no stage wrote: code, and `exclude.csv`."""
    deps = {dep["path"]: dep.get("md5") for dep in entry.get("deps") or []}
    return {path: str(md5) for path, md5 in deps.items() if md5 and not holder(hashes, path)}


def _read_revision(repo: Repo, name: str, shown: str) -> Revision:
    commit = "" if name == WORKSPACE else _commit(repo, name)
    try:
        with switch(repo, commit or WORKSPACE):
            return _read(repo, Revision(shown, commit if shown == name else ""))
    except NotDvcRepoError:
        raise InputError(f"compare: {name} should hold this project's folder, received a commit without it") from None


def _commit(repo: Repo, name: str) -> str:
    try:
        # No name of git's begins with a dash; a program that is handed it would take it for an option. A longer one is
        # no file's name, which git asks the system for.
        if name.startswith("-") or len(name) > LONGEST_NAME or not name.isprintable():
            raise SCMError("no name")
        # The second call, because the first takes `HEAD:params.yaml` and `HEAD^{tree}`, which name no commit, as well.
        return str(repo.scm.resolve_commit(resolve_rev(repo.scm, name or "an empty name")).hexsha)
    except (SCMError, InternalSCMError, AttributeError, ValueError, LookupError, OSError):
        raise InputError(
            "compare: each revision should be a commit, branch, tag or experiment of this project, or `workspace`, "
            f"received `{one_line(name, 80)}`; look at `git log` and `dvc exp list --all`, and where the clone is "
            "shallow get the rest with `git fetch --unshallow`"
        ) from None


def _read(repo: Repo, revision: Revision) -> Revision:
    def attempt(path: str, parse: Callable[[bytes, str], T], read: Callable[[str], bytes]) -> T | None:
        try:
            return parse(read(path), path)
        except ArtifactError as error:
            revision.missing[path] = f"{revision.name}: {error}"
            return None

    def kept(path: str) -> bytes:
        return _kept_by_git(repo, path)

    def cached(path: str) -> bytes:
        return _cached(repo, revision.hashes, path)

    stages = attempt("dvc.lock", tables.stages, kept)
    revision.hashes = _hashes(stages or {})
    revision.given = {stage: _given(entry, revision.hashes) for stage, entry in (stages or {}).items()}
    revision.used = None if stages is None else tables.flat_used(stages)
    revision.params = attempt("params.yaml", tables.flat_yaml, kept)
    revision.metrics = {path: attempt(path, tables.flat_json, kept) or {} for path in _metrics_files(repo)}
    if not revision.metrics:
        # `dvc metrics diff` says `{}` and exits with 0 here, which reads as if nothing had changed.
        rule = "should hold what report wrote, received no *.json; run `dvc repro` there and commit what it writes"
        revision.missing["metrics"] = f"{revision.name}: metrics: {rule}"
    revision.predictions = attempt(tables.PREDICTIONS, tables.predictions, kept)
    revision.curves = attempt(tables.CURVES, tables.curves, kept)
    revision.index = _whole_index(revision, {path: attempt(path, tables.index, cached) for path in INDEXES})
    revision.content = attempt(tables.MANIFEST, tables.content, cached)
    revision.segmentation = attempt(tables.SEGMENTATION, tables.segmentation, cached)
    revision.stale = _stale(repo, revision, stages or {})
    return revision


def _stale(repo: Repo, revision: Revision, stages: dict[str, Any]) -> list[str]:
    """Return a sentence if params or code are not those that dvc.lock says the stages ran with.

    Without a run after the change, two revisions have the same results, and no difference would mean nothing.
    """
    changed: dict[str, list[str]] = {}
    for stage, entry in stages.items():
        used = tables.flat((entry.get("params") or {}).get("params.yaml", {}))
        names = [key for key, value in used.items() if key and (revision.params or used).get(key) != value]
        names += [path for path, md5 in revision.given[stage].items() if _md5(repo, path) != md5]
        changed |= {stage: names} if names else {}
    if not changed:
        return []
    names = list(dict.fromkeys(name for found in changed.values() for name in found))
    since = f"{', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"
    mend = "run `dvc repro` there and commit what it writes"
    return [f"{revision.name}: {', '.join(changed)} should have run since a change of {since}; {mend}"]


def _md5(repo: Repo, path: str) -> str:
    try:
        return hashlib.md5(_kept_by_git(repo, path), usedforsecurity=False).hexdigest()  # what DVC stores
    except ArtifactError:
        return ""


def _whole_index(revision: Revision, parts: dict[str, Any]) -> pd.DataFrame | None:
    if any(part is None for part in parts.values()):
        return None
    table = pd.concat(parts.values(), ignore_index=True)
    if table["image_id"].duplicated().any():
        rule = "an image should stand in one split, received one in several; run `dvc repro`"
        revision.missing["data/processed"] = f"{revision.name}: data/processed: {rule}"
        return None
    return table


def _kept_by_git(repo: Repo, path: str) -> bytes:
    try:
        with repo.fs.open(repo.fs.join(repo.root_dir, *path.split("/")), "rb") as file:
            return file.read()
    except OSError:
        raise ArtifactError(f"{path}: no such file; run `dvc repro` there and commit what it writes") from None


def _metrics_files(repo: Repo) -> list[str]:
    folder = repo.fs.join(repo.root_dir, "metrics")
    found = repo.fs.ls(folder, detail=False) if repo.fs.isdir(folder) else []
    return sorted(f"metrics/{repo.fs.name(path)}" for path in found if path.endswith(".json"))


def holder(hashes: dict[str, str], path: str) -> str:
    """Return the out of dvc.lock that is `path` or the folder that holds it; empty where there is none."""
    return next((out for out in hashes if path == out or path.startswith(f"{out}/")), "")


def _cached(repo: Repo, hashes: dict[str, str], path: str) -> bytes:
    """Return a file that is an out of a stage, or stands in one, from the cache."""
    out = holder(hashes, path)
    if not out:
        raise ArtifactError(f"{path}: no stage in dvc.lock wrote it; run `dvc repro` there and commit dvc.lock")
    if path == out:
        return _object(repo, out, hashes[out])
    listing = tables.listing(_object(repo, out, hashes[out]), f"{out}: its listing in DVC's cache")
    inside = path.removeprefix(f"{out}/")
    md5 = next((entry["md5"] for entry in listing if entry["relpath"] == inside), None)
    if md5 is None:
        raise ArtifactError(f"{path}: should be in the out {out}, received no such file; run `dvc repro` there")
    return _object(repo, path, md5)


def _object(repo: Repo, out: str, md5: str) -> bytes:
    try:
        # DVC's own reader would ask the remote for what is missing here.
        return Path(repo.cache.local.oid_to_path(md5)).read_bytes()
    except OSError:
        raise ArtifactError(
            f"{out}: not in DVC's cache (md5 {md5}); `dvc pull` at that revision or `dvc fetch --all-commits` gets it"
        ) from None
