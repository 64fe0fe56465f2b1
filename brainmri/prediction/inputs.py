"""Find and read the scans in a path or an upload: pictures, DICOM series, NIfTI files, in folders and archives.

Files without an image in them, and what the command wrote itself, are counted by kind, never passed over in silence.
Nothing that names a person is read (see `dicom` and `nifti`); names of files and folders are the caller's own and come
back as they are.
"""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from tqdm import tqdm

from brainmri.core import kinds, mask_names
from brainmri.core.errors import InputError
from brainmri.preprocessing.decoding import decode
from brainmri.sources import archives, dicom
from brainmri.sources.expand import COPIES
from brainmri.sources.slicing import Volume, from_dicom, from_nifti

Named = tuple[str, bytes]  # a file's name and content, such as an upload's
File = tuple[str, Callable[[], bytes]]  # its name, and how to read it

RESULTS = ("masks", "overlays", "results.csv", "results.jsonl")  # what `brainmri predict --out` writes to a folder
T = TypeVar("T")

_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
_SLICE_MODE = "I;16"  # as fetch stores slices of DICOM and NIfTI


@dataclass(frozen=True)
class Input:
    """One picture, or the slices of one volume."""

    name: str
    kind: Literal["image", "volume"]  # a DICOM series of a single slice is an image, a NIfTI file always a volume
    levels: np.ndarray  # (D, H, W) uint8 or uint16, D is 1 for an image; on the file's own pixels, before any window
    mode: str  # Pillow's name of the pixel format
    volume: Volume | None  # None for a picture; of DICOM and NIfTI what is known beside the levels


@dataclass(frozen=True)
class Item:
    """What was found and can be read, while the source is open."""

    name: str
    read: Callable[[], list[Input]]  # several where a DICOM series holds several volumes; raises InputError


@dataclass(frozen=True)
class Found:
    """What a source holds."""

    items: list[Item]  # by name
    ignored: dict[str, int]  # files without a scan, by kind


@contextmanager
def opened(source: Path | Named) -> Iterator[Found]:
    """Find what there is to read, for the length of a `with`; memory then holds one item at a time.

    Parameters
    ----------
    source
        A file, a folder with whatever lies below it, a zip or a tar; or the name and content of a file or an archive.
        An archive that comes as content is kept in a temporary file as long as it is open.

    Raises
    ------
    InputError
        As `archives.opened`. What a single file has wrong is raised by `Item.read`.
    """
    if isinstance(source, Path):
        name, head = source.name, b"" if source.is_dir() else _head(source)
        data: Callable[[], bytes] = partial(archives.read_file, source)
    else:
        name, head, data = source[0], source[1][: kinds.HEAD_BYTES], lambda: source[1]
    if isinstance(source, Path) and (source.is_dir() or _is_archive(name, head)):
        with archives.opened(source) as archive:
            yield _listed(archive)
    elif isinstance(source, tuple) and _is_archive(name, head):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "upload"
            path.write_bytes(source[1])
            with _called(str(path), name), archives.opened(path) as archive:
                found = _listed(archive)
                yield Found([_renamed(item, str(path), name) for item in found.items], found.ignored)
    else:
        where = str(source) if isinstance(source, Path) else name
        yield Found([_file(where, head, data)], {})


def read_one(source: Path | Named) -> Input:
    """Read the one picture or volume that a source holds, see `opened`; raise `InputError` for none or several."""
    with opened(source) as found:
        read = [each for item in found.items for each in item.read()]
    if len(read) != 1:
        where = source if isinstance(source, Path) else source[0]
        raise InputError(
            f"{where}: should hold one picture, NIfTI file or DICOM series, received {len(read)}; name one"
        )
    return read[0]


def _head(path: Path) -> bytes:
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder; give pictures, DICOM or NIfTI files, folders or archives")
    return archives.read_head(path)


def _is_archive(name: str, head: bytes) -> bool:
    known = name.lower().endswith(".zip") or head.startswith(_ARCHIVES) or head[257:262] == b"ustar"
    return known and kinds.kind(name, head) != kinds.VOLUME


@contextmanager
def _called(path: str, name: str) -> Iterator[None]:
    """Call a temporary file by the name that its user knows."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(path, name)) from None


def _renamed(item: Item, path: str, name: str) -> Item:
    def read() -> list[Input]:
        with _called(path, name):
            return [replace(one, name=one.name.replace(path, name)) for one in item.read()]

    return Item(item.name.replace(path, name), read)


def _file(where: str, head: bytes, data: Callable[[], bytes]) -> Item:
    """Return the item of a file that was named itself: whatever it is, it is tried."""
    kind = kinds.kind(where, head)
    if kind == kinds.DICOM:
        return Item(where, partial(_dicom, [(where, data)], where))
    return Item(where, partial(_BY_KIND.get(kind, _picture), data, where))


def _listed(archive: archives.Archive) -> Found:
    items: list[tuple[str, Callable[[str], list[Input]]]] = []
    series: dict[str, list[File]] = {}
    contents: set[tuple[str, str]] = set()
    answers = _answers(archive.files)
    masks = {mask for mask, images in mask_names.masks_beside(archive.files).items() if images}
    ignored: Counter[str] = Counter()
    for name in tqdm(archive.files, "look", unit=" files", mininterval=1, delay=1):
        where, read = f"{archive.path}/{name}", partial(archive.read, name)
        if name in answers:
            # Of the folder that this run writes to, hidden until it is whole, there is nothing to say.
            ignored["files of earlier answers"] += kinds.litter(name) != "hidden"
            continue
        if name in masks:
            ignored["masks beside their scans"] += 1
            continue
        try:
            kind = archive.kind(name)
            if kind == kinds.DICOM:
                ignored[_keep(name, where, read, series, contents)] += 1
        except InputError as error:
            items.append((where, partial(_refused, str(error).removeprefix(f"{archive.path}: {name}: "))))
            continue
        if kind in _BY_KIND:
            items.append((where, partial(_BY_KIND[kind], read)))
        elif not kind:
            ignored[kinds.ignored_as(name)] += 1
    items += [(name, partial(_dicom, files)) for name, files in _named(list(series.values()))]
    items.sort(key=lambda item: item[0])
    counts = {kind: count for kind, count in sorted(ignored.items()) if kind and count}
    return Found([Item(name, partial(read, name)) for name, read in _distinct(items)], counts)


def _keep(
    name: str, where: str, read: Callable[[], bytes], series: dict[str, list[File]], contents: set[tuple[str, str]]
) -> str:
    """Put a DICOM file to its series; return under what it is counted where it does not belong there."""
    data = read()
    header = dicom.read_header(data)
    key = header.series or name
    content = (key, hashlib.sha256(data).hexdigest())
    if header.no_scan or content in contents:
        return header.no_scan or COPIES
    contents.add(content)
    series.setdefault(key, []).append((where, read))
    return ""


def _answers(files: Sequence[str]) -> set[str]:
    """Return the files that `brainmri predict` wrote in earlier runs: masks and overlays look like scans."""
    folders = {name.removesuffix("results.jsonl") for name in files if f"/{name}".endswith("/results.jsonl")}
    found = set()
    for name in files:
        parts = name.split("/")
        if any(
            "".join(f"{part}/" for part in parts[:at]) in folders and parts[at] in RESULTS for at in range(len(parts))
        ):
            found.add(name)
    return found


def _refused(reason: str, name: str) -> list[Input]:
    raise InputError(f"{name}: {reason}")


def _named(series: list[list[File]]) -> list[tuple[str, list[File]]]:
    """Return each series with its name: the folder that it has for itself, or else its first file."""
    folders = [_folder(files) for files in series]
    alone = [len(files) > 1 and folders.count(folder) == 1 for files, folder in zip(series, folders, strict=True)]
    return [(folder if own else files[0][0], files) for files, folder, own in zip(series, folders, alone, strict=True)]


def _folder(files: list[File]) -> str:
    """Return the folder that all files of a series lie in; of a single file its own name."""
    if len(files) == 1:
        return files[0][0]
    first, last = files[0][0].split("/")[:-1], files[-1][0].split("/")[:-1]  # sorted: what these share, all share
    shared = [one for at, one in enumerate(first) if first[: at + 1] == last[: at + 1]]
    return "/".join(shared)


def _distinct(named: list[tuple[str, T]]) -> list[tuple[str, T]]:
    """Return the things with the second and later of each name numbered: two series may share a folder."""
    seen: Counter[str] = Counter()
    result = []
    for name, thing in named:
        seen[name] += 1
        result.append((name if seen[name] == 1 else f"{name}#{seen[name]}", thing))
    return result


def _picture(read: Callable[[], bytes], name: str) -> list[Input]:
    data = read()
    try:
        grey, mode = decode(data)
    except InputError as error:
        instead = "; bring whole JPEG, PNG, TIFF, BMP or WebP, DICOM or NIfTI files"
        undecoded = str(error).startswith("cannot be decoded")
        raise InputError(f"{name}: {error}{instead if undecoded else ''}") from None
    return [Input(name, "image", grey[None], mode, None)]


def _nifti(read: Callable[[], bytes], name: str) -> list[Input]:
    data = read()
    try:
        volume = from_nifti(data)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return [Input(name, "volume", volume.levels, _SLICE_MODE, volume)]


def _dicom(files: list[File], name: str) -> list[Input]:
    volumes = from_dicom((where, read()) for where, read in files)
    return [
        Input(shown, "image" if len(volume.levels) == 1 else "volume", volume.levels, _SLICE_MODE, volume)
        for shown, volume in _distinct([(name, _on_a_grid(name, volume)) for volume in volumes])
    ]


def _pair(_: Callable[[], bytes], name: str) -> list[Input]:
    raise InputError(f"{name}: {kinds.NO_PAIR}")


_BY_KIND = {kinds.PICTURE: _picture, kinds.VOLUME: _nifti, kinds.PAIR: _pair}


def _on_a_grid(name: str, volume: Volume) -> Volume:
    if len(volume.levels) > 1 and not np.isfinite(volume.affine).all():
        raise InputError(
            f"{name}: slices should lie at equal distances, one at each, with voxel size and position; complete the "
            "series, or separate its echoes and times"
        )
    return volume
