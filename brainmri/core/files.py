"""Write files whole or not at all, with the same bytes every time, and read them: whole, and as they were written."""

import errno
import json
import math
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tokenize import TokenError
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, TypeAdapter, ValidationError

from brainmri.core.errors import InputError, machine_fault, one_line
from brainmri.core.missing import damaged, missing
from brainmri.core.params import problems

# Of a JSON file; the largest of ours has a third of a megabyte.
LONGEST, DEEPEST, DIGITS = 2**26, 32, 18

R = TypeVar("R", bound=BaseModel)

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


def read_json(path: Path, shape: Any) -> Any:
    """Return the content of a JSON file that a stage wrote, as it stands there.

    Parameters
    ----------
    shape : type
        What it should be, as pydantic takes it: a `Record`, `dict[str, float]`, a list of either.

    Raises
    ------
    ArtifactError
        If the file is missing, no JSON, or of another shape: each problem in a clause, and what brings the file back.
    """
    return _checked(path, shape)[0]


def read_record(path: Path, model: type[R]) -> R:
    """Return the content of a JSON file as a typed model; the errors are those of `read_json`."""
    record: R = _checked(path, model)[1]
    return record


def _checked(path: Path, shape: Any) -> tuple[Any, Any]:
    """Return the content of a JSON file, and the same as what `shape` makes of it."""
    content = _json(path)
    try:
        return content, _adapter(shape).validate_python(content, strict=True)
    except ValidationError as error:
        raise damaged(path, f"not as it was written: {problems(error)}") from None


def _json(path: Path) -> Any:
    try:
        if path.stat().st_size > LONGEST:
            raise damaged(path, f"should have at most {LONGEST:,} bytes, received {path.stat().st_size:,}")
        return parse_json(path.read_bytes())
    except FileNotFoundError:
        raise missing(path) from None
    except (OSError, ValueError) as error:
        raise damaged(path, f"not valid JSON: {one_line(error)}") from None


def parse_json(data: bytes) -> Any:
    """Return the content of a JSON text of UTF-8 as `write_json` writes it.

    Raises
    ------
    ValueError
        If it is no JSON, has NaN, a number that is none here, a key twice, or is nested too deep.
    """
    try:
        content = json.loads(
            data.decode(),
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_once,
        )
    except RecursionError:
        raise ValueError(f"it should be nested at most {DEEPEST} deep, received more") from None
    if _deeper(content, DEEPEST):
        raise ValueError(f"it should be nested at most {DEEPEST} deep, received more")
    return content


def _no_number(text: str) -> Any:
    raise ValueError(f"numbers should be finite, received {text}")


def _finite(text: str) -> float:
    return float(text) if math.isfinite(float(text)) else _no_number(text[:DIGITS])


def _whole(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"whole numbers should have at most {DIGITS} digits, received {len(text)}")
    return int(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key should stand once, received one twice")
    return found


def _deeper(content: Any, levels: int) -> bool:
    inside = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    return levels < 0 or any(_deeper(part, levels - 1) for part in inside if isinstance(part, dict | list))


@lru_cache(maxsize=64)
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV with Unix line ends and without its row numbers."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def open_array(path: Path, shape: tuple[int | None, ...]) -> np.ndarray:
    """Open a `uint8` `.npy` file memory-mapped, so that a set larger than memory works; an empty one is read whole.

    Parameters
    ----------
    shape : tuple
        What it should be; None where any length will do.

    Raises
    ------
    ArtifactError
        If the file is missing, no array, cut short, or of another type or shape.
    """
    try:
        array = _opened(path)
    except FileNotFoundError:
        raise missing(path) from None
    # NumPy reads the header as Python's literals, and raises what these do.
    except (ValueError, OSError, TypeError, OverflowError, TokenError, RecursionError, MemoryError) as error:
        raise damaged(path, f"not a readable .npy file: {one_line(error)}") from None
    fits = len(array.shape) == len(shape) and all(
        wanted is None or wanted == length for length, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits or array.dtype != np.uint8:
        wanted = " x ".join("any" if length is None else str(length) for length in shape)
        raise damaged(path, f"should be of {wanted} uint8, received {array.shape} {array.dtype}")
    return array


def _opened(path: Path) -> np.ndarray:
    try:
        array: np.ndarray = np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        # A zero-length map is refused by the operating system, though an empty array is a legal file.
        if "empty" not in str(error):
            raise
        with path.open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
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
