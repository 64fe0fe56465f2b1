"""List and read the files of a folder, a zip or a tar in one way; refuse whatever could reach outside of it."""

import bz2
import gzip
import lzma
import os
import re
import stat
import struct
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

from brainmri.core import kinds
from brainmri.core.errors import InputError

MAX_NAME = 1000  # letters of a member's name with its folders; systems allow 255 to 4096
# A compressed tar is unpacked to disk, up to so many bytes or times its size. Scans pack to a half, or to a tenth.
_MOST_TIMES, _MOST_UNPACKED = 100, 2**30
_PIECE = 2**20  # bytes that are unpacked at a time, and read of a packing that the library unpacks without a limit
_SMALL_PIECE = 2**12
_MOST_HEADER = 2**20  # bytes of a tar's longer headers, which tarfile reads whole: they hold a name
_UNPACKERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
# How a member of a zip may be packed: what the standard library unpacks, and names of the others.
_PACKED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_OTHERWISE = {9: "Deflate64", 93: "Zstandard", 95: "xz", 98: "PPMd"}
_END = b"PK\x05\x06"  # begins the last record of a zip
_LAST = struct.Struct("<4s4H2LH")  # that record, but for a comment of up to 64 KiB; its part comes after the mark
_PART = re.compile(r"\.(z[0-9]{2}|[a-z0-9]+\.[0-9]{3})$", re.IGNORECASE)
_HEADERS = (b"x", b"g", b"X", b"L", b"K")  # pax and GNU
# What the standard library raises on damaged archives, found by flipping bytes; RuntimeError covers encryption.
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError)
_UNREADABLE = (*_DAMAGE, OSError, RuntimeError, OverflowError)

T = TypeVar("T")


@dataclass(frozen=True)
class Archive:
    """The files of a folder, a zip or a tar: names relative to its top, with `/`, sorted."""

    path: Path
    files: list[str]
    folders: list[str]  # those that have an entry of their own; a zip need not have any
    read: Callable[[str], bytes]
    head: Callable[[str], bytes] | None = None  # the first bytes alone, where there is a shorter way to them
    _kinds: dict[str, str] = field(default_factory=dict, repr=False)  # of files that were asked about

    def kind(self, name: str) -> str:
        """Return what a file is, as `kinds.kind` does by its first bytes; nothing for the litter of systems."""
        if name not in self._kinds:
            self._kinds[name] = "" if kinds.litter(name) else kinds.kind(name, (self.head or self.read)(name))
        return self._kinds[name]


def opened(path: Path) -> AbstractContextManager[Archive]:
    """Open a folder, a .zip or a .tar (plain, gzip, bzip2 or xz), recognised by content, for the length of a `with`.

    Raises
    ------
    InputError
        No such path, no archive, damage, encryption, a member that is absolute or contains `..`, a link (in a folder:
        a link to a folder or to a place outside), a device, or two members of one name. The same for `read`.
    """
    if path.is_dir():
        return _open_folder(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder; give a folder, a .zip or a .tar")
    with _explained(path), path.open("rb") as file:
        head = file.read(6)
        _refuse_part(path, head, file)
    # The second is the whole of an empty zip.
    return _open_zip(path) if head.startswith((b"PK\x03\x04", _END)) else _open_tar(path, head)


def _refuse_part(path: Path, head: bytes, file: IO[bytes]) -> None:
    """Refuse one part of a split zip: by its mark, the part its last record names, or a name like `set.zip.001`."""
    size = path.stat().st_size
    file.seek(max(0, size - 2**16 - _LAST.size))
    tail = file.read()
    at = tail.rfind(_END)
    whole = 0 <= at <= len(tail) - _LAST.size
    _, part, *_, comment = _LAST.unpack_from(tail, at) if whole else (b"", 0, 0)
    last = whole and part > 0 and at + _LAST.size + comment == len(tail)
    if head.startswith(b"PK\x07\x08") or last or (not whole and _PART.search(path.name)):
        raise InputError(
            f"{path}: is one part of a split archive; unpack all parts together, such as by `7z x` on the first, and "
            "give the folder"
        )


def read_file(path: Path) -> bytes:
    """Return the bytes of a file given from outside; raise `InputError` if it is too large or not readable."""
    with _explained(path):
        _check_size(path, path.name, path.stat().st_size)
        return path.read_bytes()


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file, to recognise it by; raise `InputError` if it is not readable."""
    with _explained(path), path.open("rb") as file:
        return file.read(kinds.HEAD_BYTES)


@contextmanager
def _explained(path: Path, name: str = "") -> Iterator[None]:
    where = f"{path}: {name}" if name else str(path)
    try:
        yield
    except _UNREADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        kind = "damaged" if isinstance(error, _DAMAGE) else "not readable"
        raise InputError(f"{where}: {kind}: {reason}; check the file or fetch it anew") from None


def clean(path: Path, name: str) -> str:
    """Return the name of a member of `path` with `/` between its parts, in one Unicode form, without `.` parts.

    Raises
    ------
    InputError
        The name is absolute, contains `..` or control characters, or is no UTF-8.
    """
    parts = [part for part in unicodedata.normalize("NFC", name.replace("\\", "/")).split("/") if part != "."]
    own = "/".join(parts).removesuffix("/")
    if own.startswith("/") or ".." in parts or re.match("[A-Za-z]:", own):
        raise InputError(f"{path}: member {name!r} leaves the archive; names should be relative, without '..'")
    if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in own):
        raise InputError(f"{path}: member {name!r}: names should be UTF-8 text without control characters")
    if len(own) > MAX_NAME:
        raise InputError(
            f"{path}: member {own[:40]!r}...: a name with its folders should have at most {MAX_NAME} letters, received "
            f"{len(own)}; rename it"
        )
    return own


def _named(path: Path, members: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Return the members by their clean name, sorted; two of one name are refused."""
    found: dict[str, T] = {}
    for name, member in members:
        own = clean(path, name)
        if own in found:
            raise InputError(f"{path}: member {own!r} occurs twice; each name should occur once")
        found[own] = member
    return dict(sorted(found.items()))


def _check_size(path: Path, name: str, size: int) -> None:
    if size > kinds.MAX_FILE_BYTES:
        raise InputError(
            f"{path}: {name}: a file should have at most {kinds.MAX_FILE_BYTES} bytes, received {size}; crop or split "
            "it"
        )


@contextmanager
def _open_folder(path: Path) -> Iterator[Archive]:
    with _explained(path):
        files = _named(path, ((_inside(path, file), file) for file in _walk(path) if not file.is_dir()))
        folders = sorted({clean(path, _inside(path, folder)) for folder in _walk(path) if folder.is_dir()})

    yield Archive(path, list(files), folders, lambda name: read_file(files[name]), lambda name: read_head(files[name]))


def _inside(path: Path, file: Path) -> str:
    return file.relative_to(path).as_posix()


def _walk(path: Path) -> Iterator[Path]:
    """Yield every file and folder below `path`; an unreadable folder is an error, not an empty one."""

    def stop(error: OSError) -> None:
        raise error

    root = path.resolve()
    for folder, folders, files in os.walk(path, onerror=stop):
        for name in [*folders, *files]:
            _check_link(path, root, Path(folder, name))
            yield Path(folder, name)


def _check_link(path: Path, root: Path, file: Path) -> None:
    target = file.resolve() if file.is_symlink() else None
    if target and (target.is_dir() or not target.is_relative_to(root)):
        raise InputError(f"{path}: {_inside(path, file)} is a link that leaves the folder or names one; copy its files")
    if not file.is_dir() and not file.is_file():
        raise InputError(f"{path}: {_inside(path, file)} is no regular file (a device, a pipe or a broken link)")


@contextmanager
def _open_zip(path: Path) -> Iterator[Archive]:
    with ExitStack() as stack:
        with _explained(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
        members = archive.infolist()
        for member in members:
            _check_zip_member(path, member)
        files = _named(path, ((member.filename, member) for member in members if not _is_folder(member)))
        folders = sorted({clean(path, member.filename) for member in members if _is_folder(member)})

        def read(name: str) -> bytes:
            with _explained(path, name), archive.open(files[name]) as file:
                return b"".join(_pieces(file, files[name]))

        def head(name: str) -> bytes:
            with _explained(path, name), archive.open(files[name]) as file:
                return next(_pieces(file, files[name], kinds.HEAD_BYTES), b"")

        yield Archive(path, list(files), folders, read, head)


def _pieces(file: IO[bytes], member: zipfile.ZipInfo, most: int = _PIECE) -> Iterator[bytes]:
    """Yield a member of a zip in pieces: read at once, it is unpacked beyond the size that it announces."""
    packed = member.compress_type in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    while piece := file.read(min(most, _SMALL_PIECE) if packed else most):
        yield piece


def _is_folder(member: zipfile.ZipInfo) -> bool:
    return member.filename.endswith(("/", "\\"))


def _check_zip_member(path: Path, member: zipfile.ZipInfo) -> None:
    if member.flag_bits & 0x1:
        raise InputError(f"{path}: {member.filename} is encrypted; unpack it with its password and give the folder")
    if member.compress_type not in _PACKED:
        how = _OTHERWISE.get(member.compress_type, f"method {member.compress_type}")
        raise InputError(
            f"{path}: {member.filename} is packed by {how}, which is not read here; unpack it by a program that "
            "can, such as 7-Zip, and give the folder"
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        raise InputError(f"{path}: {member.filename} is a link; an archive should hold files and folders alone")
    _check_size(path, member.filename, member.file_size)


@contextmanager
def _open_tar(path: Path, head: bytes) -> Iterator[Archive]:
    with ExitStack() as stack:
        with _explained(path):
            file = stack.enter_context(_plain_tar(path, head))
            members = list(_tar_members(path, file))
        files = _named(path, ((name, place) for name, place in members if place is not None))
        folders = sorted({clean(path, name) for name, place in members if place is None})

        def read(name: str, most: int = kinds.MAX_FILE_BYTES) -> bytes:
            with _explained(path, name):
                file.seek(files[name][0])
                return file.read(min(files[name][1], most))

        yield Archive(path, list(files), folders, read, lambda name: read(name, kinds.HEAD_BYTES))


@contextmanager
def _plain_tar(path: Path, head: bytes) -> Iterator[IO[bytes]]:
    """Open a tar for reading in any order: a compressed one is unpacked to disk first, as it cannot be sought."""
    unpack = next((unpack for magic, unpack in _UNPACKERS.items() if head.startswith(magic)), None)
    with path.open("rb") if unpack is None else tempfile.TemporaryFile() as file:
        if unpack is not None:
            with unpack(path) as packed:
                _copy(path, packed, file)
        yield file


def _copy(path: Path, packed: IO[bytes], file: IO[bytes]) -> None:
    size = path.stat().st_size
    most = max(_MOST_UNPACKED, _MOST_TIMES * size)
    while piece := packed.read(_PIECE):
        file.write(piece)
        if file.tell() > most:
            raise InputError(
                f"{path}: {size} bytes should unpack to at most {most}, received more; unpack it, look what it holds, "
                "and give the folder"
            )


class _Member(tarfile.TarInfo):
    """A member of a tar, whose longer headers have a limit: tarfile would read one of gigabytes for a name."""

    def _proc_member(self, tar: tarfile.TarFile) -> Any:
        if self.type in _HEADERS and self.size > _MOST_HEADER:
            raise tarfile.ReadError(f"a header should have at most {_MOST_HEADER} bytes, received {self.size}")
        return super()._proc_member(tar)  # type: ignore[misc] # tarfile's own place for it


def _tar_members(path: Path, file: IO[bytes]) -> Iterator[tuple[str, tuple[int, int] | None]]:
    """Yield each member's name with the place of its data (offset, bytes), or None for a folder."""
    file.seek(0)
    try:
        tar = tarfile.open(fileobj=file, mode="r:", tarinfo=_Member)  # noqa: SIM115 - closed below
    except tarfile.ReadError:
        raise InputError(
            f"{path}: neither a folder nor a .zip nor a .tar (.tar.gz, .tar.bz2, .tar.xz); if it is "
            "another archive, unpack it and give the folder"
        ) from None
    with tar:
        for member in tar:
            tar.members.clear()  # type: ignore[attr-defined] # kept by tarfile: a kilobyte for each member read
            if not member.isdir() and (not member.isreg() or member.issparse()):
                raise InputError(f"{path}: {member.name} is a link or a device; only files and folders are read")
            _check_size(path, member.name, member.size)
            yield member.name, None if member.isdir() else (member.offset_data, member.size)
        # tarfile takes a broken header for the end; a whole archive ends in zeros.
        file.seek(tar.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("it breaks off before its end mark")
