"""Write files whole or not at all, with the same bytes every time."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainmri.core.errors import ArtifactError, InputError
from brainmri.core.missing import missing


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path` to write into; put it in the place of `path` only if the block succeeds.

    An earlier `path` stays as it was until then, and for good if the block fails, or if it holds anything that the
    new one does not: that would be lost.

    Raises
    ------
    InputError
        If `path` is a folder with other things in it.
    """
    path = path.absolute()
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    others = sorted({entry.name for entry in path.glob("*")} - {entry.name for entry in partial.iterdir()})
    if others:
        shutil.rmtree(partial)
        raise InputError(f"{path}: should hold nothing but what is written anew, received {others[:3]}; move it away")
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    partial.rename(path)
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
    """Create a `uint8` `.npy` file of the given shape and return it for writing, memory-mapped unless it is empty."""
    if 0 in shape:
        empty = np.zeros(shape, np.uint8)
        np.save(path, empty)
        return empty
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)


def write_text(path: Path, text: str) -> None:
    """Write text to a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)


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
