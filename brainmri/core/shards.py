"""Keep a set as a few large zip files, `images-000.zip` and on: equal members give equal bytes on every machine.

Nothing in them depends on the order in which members came, on the clock or on the operating system: members are
sorted, stored without compression (images are compressed already) and carry one fixed date and mode.
"""

import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import pandas as pd

from brainmri.core.errors import ArtifactError, InputError

# Large enough for one request and one cache entry, small enough to be retried after a broken upload.
SHARD_BYTES = 256 * 2**20


class Stored(NamedTuple):
    """Where a member ended up, and the SHA-256 and length of its bytes."""

    shard: str
    sha256: str
    file_bytes: int


def write(folder: Path, members: Iterable[tuple[str, bytes]], shard_bytes: int = SHARD_BYTES) -> dict[str, Stored]:
    """Write `(name, data)` pairs, in any order, as sorted shards into `folder`; return the place of each, sorted.

    A shard holds at most `shard_bytes` of data unless its one member is larger. Memory holds the names alone: data go
    through a temporary file in `folder`, because sorted output needs the last name before the first byte.

    Raises
    ------
    InputError
        For two members of one name, and when the folder cannot be written (a full disk).
    """
    spool = folder / ".spool"
    try:
        with spool.open("wb+") as file:
            places = _collect(file, members)
            stored = _write_sorted(folder, file, places, shard_bytes)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written: {error.strerror or error}; free some space, run again"
        ) from None
    finally:
        spool.unlink(missing_ok=True)
    return stored


def _collect(file: IO[bytes], members: Iterable[tuple[str, bytes]]) -> dict[str, tuple[int, int, str]]:
    places: dict[str, tuple[int, int, str]] = {}
    for name, data in members:
        if name in places:
            raise InputError(f"{name}: two files of the source would have this name; each should occur once")
        places[name] = (file.tell(), len(data), hashlib.sha256(data).hexdigest())
        file.write(data)
    return places


def _write_sorted(
    folder: Path, file: IO[bytes], places: dict[str, tuple[int, int, str]], shard_bytes: int
) -> dict[str, Stored]:
    stored: dict[str, Stored] = {}
    shard, full, archive = -1, shard_bytes, None
    with ExitStack() as stack:
        for name, (start, size, sha256) in sorted(places.items()):
            if archive is None or full + size > shard_bytes:
                stack.close()
                shard, full = shard + 1, 0
                archive = stack.enter_context(zipfile.ZipFile(folder / f"images-{shard:03d}.zip", "x"))
            full += size
            file.seek(start)
            archive.writestr(_fixed(name), file.read(size))
            stored[name] = Stored(f"images-{shard:03d}.zip", sha256, size)
    return stored


def _fixed(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # the earliest date a zip can hold
    member.create_system = 3  # Unix, so that the mode below is understood
    member.external_attr = 0o100644 << 16
    return member


def read_images(raw: Path, manifest: pd.DataFrame) -> Iterator[tuple[Any, bytes, bytes | None]]:
    """Yield for each row of the manifest: the row (columns as attributes), its file, and its mask's file or None.

    Raises
    ------
    ArtifactError
        As `read`.
    """
    row: Any  # pandas cannot tell the types of a row's columns
    for row in manifest.itertuples(index=False):
        data = read(raw, row.shard, f"{row.set}/{row.path}")
        mask = read(raw, row.mask_shard, f"{row.set}/{row.mask_path}") if row.mask_path else None
        yield row, data, mask


def read(folder: Path, shard: str, member: str) -> bytes:
    """Return the bytes of a member of a shard.

    Raises
    ------
    ArtifactError
        No such shard, no such member, or damaged data (checked by CRC-32).
    """
    path = (folder / shard).absolute()
    try:
        found = path.stat()
        return _archive(path, (found.st_ino, found.st_size, found.st_mtime_ns)).read(member)
    except KeyError:
        raise ArtifactError(f"{folder / shard}: holds no {member}; run the fetch stage again") from None
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        raise ArtifactError(f"{folder / shard}: not readable: {error}; run the fetch stage again") from None


@lru_cache(maxsize=8)
def _archive(path: Path, _: tuple[int, ...]) -> zipfile.ZipFile:
    """Open a shard and keep it open: its table of contents takes 0.1 s to read. One that has changed is another."""
    return zipfile.ZipFile(path)
