"""Write files whole or not at all, with the same bytes every time, and read them: whole, and as they were written."""

import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tokenize import TokenError
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, TypeAdapter, ValidationError

from brainmri.core.errors import InputError, one_line
from brainmri.core.missing import damaged, missing
from brainmri.core.params import problems

# Of a JSON file; the largest of ours has a third of a megabyte.
LONGEST, DEEPEST, DIGITS = 2**26, 32, 18

R = TypeVar("R", bound=BaseModel)


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
    content = _json(path)
    try:
        _adapter(shape).validate_python(content, strict=True)
    except ValidationError as error:
        raise damaged(path, f"not as it was written: {problems(error)}") from None
    return content


def read_record(path: Path, model: type[R]) -> R:
    """Return the content of a JSON file as a typed model; the errors are those of `read_json`."""
    return model.model_validate(read_json(path, model))


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
