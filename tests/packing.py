"""Write a set of files as a folder, a zip or a tar, for the tests of what reads them."""

import io
import tarfile
import zipfile
from pathlib import Path

KINDS = ("folder", "zip", "tar", "tar.gz", "tar.xz", "tar.bz2")


def pack(place: Path, files: dict[str, bytes], kind: str, folders: tuple[str, ...] = ()) -> Path:
    """Write `files` (name: bytes) and empty `folders` below `place` as one of KINDS; return the path to read."""
    place.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        for name in folders:
            (place / "set" / name).mkdir(parents=True)
        for name, data in files.items():
            (place / "set" / name).parent.mkdir(parents=True, exist_ok=True)
            (place / "set" / name).write_bytes(data)
        return place / "set"
    path = place / f"set.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in folders:
                archive.writestr(f"{name}/", b"")
            for name, data in files.items():
                archive.writestr(name, data)
        return path
    mode = {"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz", "tar.bz2": "w:bz2"}[kind]
    with tarfile.open(path, mode) as archive:
        for name in folders:
            add_to_tar(archive, name, tarfile.DIRTYPE)
        for name, data in files.items():
            add_to_tar(archive, name, tarfile.REGTYPE, data)
    return path


def add_to_tar(archive: tarfile.TarFile, name: str, kind: bytes, data: bytes = b"", target: str = "") -> None:
    """Add one member of any type, links included."""
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, len(data), target
    archive.addfile(member, io.BytesIO(data))
