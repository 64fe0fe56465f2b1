"""Write files whole or not at all, with the same bytes every time."""

import errno
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainmri.core.errors import ArtifactError, InputError, machine_fault
from brainmri.core.missing import missing

if sys.platform != "win32":
    import fcntl


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path` to write into; put it in the place of `path` only if the block succeeds.

    An earlier `path` stays as it was until then, and for good if the block fails, or if it holds anything that the
    new one does not: that would be lost. Where another process writes for the same `path`, this one waits for its end.

    Raises
    ------
    InputError
        If `path` is a folder with other things in it, or the machine lacks room, memory or a right.
    """
    path = path.absolute()
    try:
        with _claimed(path.with_name(f".{path.name}.partial")) as partial:
            yield partial
            _put_in_place(partial, path)
    except Exception as error:
        if reason := machine_fault(error, path):
            raise InputError(reason) from None
        raise


@contextmanager
def _claimed(partial: Path) -> Iterator[Path]:
    """Give an empty folder that no other process gets at the same time; remove it if the block fails."""
    handle = _locked(partial)
    try:
        for entry in partial.iterdir():  # of a process that was killed
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        try:
            yield partial
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    finally:
        if handle is not None:
            os.close(handle)


def _locked(partial: Path) -> int | None:
    """Make a folder and return a descriptor of it that holds its lock, which goes with the process however it ends."""
    while True:
        partial.mkdir(parents=True, exist_ok=True)
        if sys.platform == "win32":  # it has no such lock, nor a descriptor of a folder
            return None
        handle = os.open(partial, os.O_RDONLY)
        try:
            _lock(handle, partial)
            if partial.exists() and os.path.samestat(os.fstat(handle), partial.stat()):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # whoever had it has put it in its place meanwhile: make another


def _lock(handle: int, partial: Path) -> None:
    if sys.platform == "win32":
        return
    try:
        with _unless_unknown():  # then docs/running.md has told whoever runs two at once
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"waiting: another process writes into {partial}; go on when it has ended", file=sys.stderr, flush=True)
        fcntl.flock(handle, fcntl.LOCK_EX)


@contextmanager
def _unless_unknown() -> Iterator[None]:
    """Do without what a file system does not know: some of networks lock no folders, or take no room beforehand."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL):
            raise


def _put_in_place(partial: Path, path: Path) -> None:
    others = sorted({entry.name for entry in path.glob("*")} - {entry.name for entry in partial.iterdir()})
    if others:
        raise InputError(f"{path}: should hold nothing but what is written anew, received {others[:3]}; move it away")
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    try:
        partial.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as sorted, indented JSON; NaN and infinities become null, which every reader understands."""
    write_text(path, json.dumps(_plain(content), indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file that another stage wrote."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise missing(path) from None
    except ValueError as error:
        raise ArtifactError(f"{path}: not valid JSON: {error}") from None


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV with Unix line ends and without its row numbers."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def open_array(path: Path) -> np.ndarray:
    """Open a `.npy` file memory-mapped, so that a set larger than memory works; an empty one is read whole."""
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise missing(path) from None
    except ValueError as error:
        # A zero-length map is refused by the operating system, though an empty array is a legal file.
        if "empty" not in str(error):
            raise ArtifactError(f"{path}: not a readable .npy file: {error}") from None
        array = np.load(path, allow_pickle=False)
    return array


def create_array(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Create a `uint8` `.npy` file of the given shape and return it for writing, memory-mapped unless it is empty.

    Its room is taken at once where the system can: a full disk is an error here, and no dead process at a later write.
    """
    if 0 in shape:
        empty = np.zeros(shape, np.uint8)
        np.save(path, empty)
        return empty
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as file, _unless_unknown():
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def write_text(path: Path, text: str) -> None:
    """Write text to a file as UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes to a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _plain(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    if isinstance(content, np.generic):
        content = content.item()
    if isinstance(content, float) and not np.isfinite(content):
        return None
    return content
