"""Share what DVC keeps through its remote: whether it can be used, push all of it, pull without running what is heavy.

DVC's own commands have traps, which these go round. `dvc push --run-cache` exits with 0 where run entries failed, and
takes for granted what it once saw on the remote; `dvc pull` knows of commits alone; and `dvc repro --pull` starts the
training that nobody has pushed.
"""

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from uuid import uuid4

from dvc.data_cloud import Remote
from dvc.repo import Repo, lock_repo
from dvc.repo.reproduce import get_active_graph, plan_repro
from dvc.stage.cache import RunCacheNotFoundError
from dvc_data.hashfile.db import HashFileDB

from brainmri.core.errors import BrainMRIError, InputError, without_secrets


def check(root: Path, name: str | None = None) -> str:
    """Write a small file to the remote as a push would, read it back and remove it.

    Parameters
    ----------
    root : Path
        The project's folder.
    name : str, optional
        Of the remote; by default DVC's default one.

    Returns
    -------
    str
        A sentence that says that the remote can be read and written.

    Raises
    ------
    InputError
        If it cannot, with what can be done, what cannot, and why.
    """
    with _opened(root, name) as (_, remote), TemporaryDirectory() as folder:
        local, fetched = Path(folder) / "probe", Path(folder) / "fetched"
        local.write_text(uuid4().hex)
        probe = remote.fs.join(remote.path, f"probe-{local.read_text()}")
        with _told(f"{_called(remote)} should be readable"):
            found = _readable(remote)
        state = "can be read" if found else "answers, but there is nothing yet"
        with _told(f"{_called(remote)} {state}, and should be writable"):
            remote.fs.makedirs(remote.path)
            remote.fs.put_file(str(local), probe)
            remote.fs.get_file(probe, str(fetched))
            remote.fs.remove(probe)
        if fetched.read_bytes() != local.read_bytes():
            raise InputError(f"{_called(remote)} should give back what was written to it, received other bytes")
        return f"{_called(remote)} can be read and written"


def push(root: Path, name: str | None = None) -> str:
    """Push what the stages wrote and which runs wrote it; then look whether all of it is on the remote, whole.

    The objects go first: a run entry whose objects are not there would make a colleague's stages run.

    Returns
    -------
    str
        A sentence that counts what the remote has.

    Raises
    ------
    InputError
        If something did not arrive, with the first reason. What did arrive stays; the next push sends the rest.
    """
    with _opened(root, name) as (repo, remote), _told(f"{_called(remote)} should be writable and have room"):
        objects, absent = _objects(repo, remote)
        runs = _runs(repo, remote)
        repo.push()
        for item in _lacking(objects):
            if item.size is None:
                absent.append(item.out)
                continue
            # DVC does not look for the files of a folder that it has once seen there; they may be gone since.
            md5 = item.odb.path_to_oid(item.path)
            item.odb.add(repo.cache.local.oid_to_path(md5), repo.cache.local.fs, md5, check_exists=False)
        repo.stage_cache.push(None)
        lacking = [item for item in _lacking([*objects, *runs]) if item.out not in absent]
    if lacking:
        raise InputError(
            f"{_called(remote)} should hold {len(objects)} objects and {len(runs)} runs after this push, received "
            f"{len(lacking)} too few, such as {lacking[0].path}; push again"
        )
    if absent:
        raise InputError(
            f"dvc.lock: what it names should be here or on {_called(remote)}, received nothing for "
            f"{', '.join(sorted(set(absent)))}; run `dvc repro` and push again (what is here has been pushed)"
        )
    return f"{_called(remote)} holds the {len(objects)} objects of this folder and {len(runs)} runs"


def pull(root: Path, name: str | None = None) -> str:
    """Get what this commit and the params as they stand lead to, from whoever ran it, and run none of the stages.

    Only a stage that DVC does not cache (`report`: its files belong to git) runs, and with it nothing that is heavy.

    Returns
    -------
    str
        A sentence that says so.

    Raises
    ------
    InputError
        If the remote cannot be read, or nobody has pushed a run with these params and this code. What could be had is
        in the cache and the folder then, and `dvc repro` goes on from it.
    """
    with _opened(root, name) as (repo, remote), _told(f"{_called(remote)} should be readable"):
        _readable(remote)
        with lock_repo(repo):
            repo.stage_cache.pull(None)
            lacking = _restore(repo)
    if lacking:
        raise InputError(
            f"{_called(remote)} should hold a run of {lacking[0]} with this code, these params and data, received "
            "none that is whole, or none of the data that it reads; ask whoever ran it to push, or run `make repro`"
        )
    # All of it is in the cache now; this writes dvc.lock, and runs what DVC does not cache.
    if subprocess.run([sys.executable, "-m", "dvc", "repro", "--allow-missing"], cwd=root, check=False).returncode:
        raise InputError(f"{root}: `dvc repro` should end well after a pull, received the error above")
    return "this folder holds what this code and these params lead to"


class _Item(NamedTuple):
    """A file that should be on a remote."""

    odb: HashFileDB
    path: str  # there
    size: int | None  # bytes; None if the cache lacks it, and only someone else can have pushed it
    out: str  # the out that it belongs to; empty for a run entry


def _objects(repo: Repo, remote: Remote) -> tuple[list[_Item], list[str]]:
    """Return the objects of this folder's outs that may be pushed, and the outs of which nobody knows the files."""
    found: dict[str, _Item] = {}
    absent = []
    for out in repo.index.outs:
        if not (out.use_cache and out.can_push and out.hash_info):
            continue
        used = out.get_used_objs(push=True, force=True)  # force: do not ask whether to go on without a listing
        absent += [] if used else [str(out)]
        for odb, objects in used.items():
            place = odb or remote.odb  # an out may name a remote of its own
            for item in objects:
                local = Path(repo.cache.local.oid_to_path(item.value))
                path = place.oid_to_path(item.value)
                found[path] = _Item(place, path, local.stat().st_size if local.is_file() else None, str(out))
    return sorted(found.values(), key=lambda item: item.path), absent


def _runs(repo: Repo, remote: Remote) -> list[_Item]:
    """Return the entries of all runs that this cache knows."""
    folder = Path(repo.stage_cache.cache_dir)
    entries = sorted(path for path in folder.rglob("*") if path.is_file())
    place = remote.legacy_odb
    return [
        _Item(place, place.fs.join(place.path, "runs", *path.relative_to(folder).parts), path.stat().st_size, "")
        for path in entries
    ]


def _lacking(items: list[_Item]) -> list[_Item]:
    """Return those that are not there, or not whole."""
    found = []
    for fs in {id(item.odb.fs): item.odb.fs for item in items}.values():
        here = [item for item in items if item.odb.fs is fs]
        fs.fs.invalidate_cache()
        for item, info in zip(here, fs.info([item.path for item in here], return_exceptions=True), strict=True):
            if isinstance(info, BaseException) and not isinstance(info, FileNotFoundError):
                raise info
            if isinstance(info, FileNotFoundError) or item.size not in (None, info["size"]):
                found.append(item)
    return found


def _restore(repo: Repo) -> list[str]:
    """Bring the outs of all stages here, in pipeline order, up to the first stage of which one cannot be had.

    Returns
    -------
    list of str
        The name of that stage, if there is one. An out that is kept local (`push: false`) may lack.
    """
    for stage in plan_repro(get_active_graph(repo.index.graph)):
        if not stage.changed():
            continue
        if not stage.changed(allow_missing=True):  # dvc.lock knows what it wrote
            repo.pull(stage.addressing, allow_missing=True)
            if any(out.can_push and not out.exists for out in stage.outs):
                return [stage.name]
        elif all(out.use_cache for out in stage.outs):  # a run entry may know; of other stages there is none
            if not all(dep.exists for dep in stage.deps):
                return [stage.name]
            try:
                repo.stage_cache.restore(stage, pull=True)
            except RunCacheNotFoundError:
                return [stage.name]
    return []


@contextmanager
def _opened(root: Path, name: str | None) -> Iterator[tuple[Repo, Remote]]:
    with _told(f"{root}: should be a DVC project with a remote (docs/sharing.md)"):
        repo = Repo(str(root), remote=name)
        remote = repo.cloud.get_remote(name)
    with repo:
        yield repo, remote


def _called(remote: Remote) -> str:
    return f"remote `{remote.name}` ({without_secrets(remote.fs.unstrip_protocol(remote.path))})"


class _Failures(logging.Handler):
    """Keeps what DVC and its plugins only log: that something failed, and why."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.reasons: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.reasons.append(f"{record.getMessage()}: {_reason(error)}" if error else record.getMessage())


@contextmanager
def _told(rule: str) -> Iterator[None]:
    """Turn what goes wrong in the block, raised or only logged, into one sentence that begins with `rule`."""
    failures = _Failures()
    logging.getLogger().addHandler(failures)
    try:
        yield
    except BrainMRIError:
        raise
    # Each plugin raises the errors of its own library: of asyncssh, of botocore, of webdav4, of none in common.
    except Exception as error:
        reason = next(iter(failures.reasons), _reason(error))
        raise InputError(f"{rule}, received: {reason}") from error
    finally:
        logging.getLogger().removeHandler(failures)
    if failures.reasons:
        raise InputError(f"{rule}, received: {failures.reasons[0]}")


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _readable(remote: Remote) -> bool:
    """Read the list of what the remote holds; return whether there is such a place."""
    try:
        remote.fs.ls(remote.path)
    except FileNotFoundError:
        return False  # the first push makes it
    return True
