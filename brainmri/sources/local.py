"""Read images given from outside as a stream: a set of a known layout (folder, zip or tar), or a manifest CSV.

Opening a source looks at names alone, sorts them and refuses what does not fit, so that mistakes show before any work
starts; bytes are read one image at a time by `stream`.
"""

import functools
import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from brainmri.core import kinds, mask_names
from brainmri.core.errors import InputError
from brainmri.core.labels import known_class, plain
from brainmri.core.manifest import SourceImage
from brainmri.sources import archives, channels, expand, layouts, patients, tables

MANIFEST_COLUMNS = ("path", "label", "patient", "split", "mask")


@dataclass(frozen=True)
class Source:
    """One set: its images without their bytes, sorted by path, and how to read a file by its path inside the set."""

    images: list[SourceImage]
    read: Callable[[str], bytes]
    kind: Callable[[str], str]  # what a file is, see `kinds.kind`
    ignored: dict[str, int]  # files that are no images, counted by kind
    differences: dict[str, dict[str, int]]  # from the counts of the known sets, see `layouts.differences`
    channels: tuple[str, ...] = ()  # of the layout's pictures, of which one was chosen


def stream_all(found: Iterable[Source]) -> Iterator[SourceImage]:
    """Yield the images of all sources of a fetch, one source after the other; a patient's name holds for all."""
    names: expand.Names = {}
    return (image for source in found for image in stream(source, names))


def stream(source: Source, names: expand.Names | None = None) -> Iterator[SourceImage]:
    """Yield the images of a source with their bytes: pictures by path, one in memory at a time, then slices of scans.

    Slices are made of DICOM and NIfTI files by `expand.expand`, which adds to the `names` of their patients; a class of
    whose files none is a scan raises `InputError` at the end.
    """
    empty = {(image.split, image.label) for image in source.images}
    for image in _read_all(source, {} if names is None else names):
        empty.discard((image.split, image.label))
        yield image
    if empty:
        place = "/".join(filter(None, min(empty))) or "the set"
        raise InputError(
            f"{place}: should hold scans, received none: of all files left out are {source.ignored}; "
            "fill it or remove it"
        )


def _read_all(source: Source, names: expand.Names) -> Iterator[SourceImage]:
    pictures, scans = _divided(source)
    for image in pictures:
        mask = source.read(image.mask_path) if image.mask_path else None
        yield replace(image, data=source.read(image.path), mask_data=mask)
    yield from expand.expand(scans, source.read, source.kind, source.ignored, names)


def _divided(source: Source) -> tuple[list[SourceImage], list[SourceImage]]:
    """Return the pictures of a source, and its DICOM and NIfTI files."""
    found: tuple[list[SourceImage], list[SourceImage]] = ([], [])
    for image in source.images:
        found[source.kind(image.path) != kinds.PICTURE].append(image)
    return found


def count(found: Iterable[Source]) -> int | None:
    """Return how many images `stream` yields of all sources; None where scans have to be read to tell."""
    divided = [_divided(source) for source in found]
    return None if any(scans for _, scans in divided) else sum(len(pictures) for pictures, _ in divided)


def with_patients(found: Mapping[str, Source], table: Path | None) -> dict[str, Source]:
    """Return the sources with the patients of a table of the user's own, if there is one, all under pseudonyms."""
    images = {name: source.images for name, source in found.items()}
    images = patients.pseudonymised(patients.with_patients(images, table) if table else images)
    return {name: replace(source, images=images[name]) for name, source in found.items()}


@contextmanager
def opened_layout(path: Path, kind: str, channel: str | None = None) -> Iterator[Source]:
    """Open a set in one of the layouts of a kind, as `layouts.LAYOUTS` lists them; see `archives.opened`.

    Of a layout whose pictures have channels the images are those of `channel`, which has to be named.
    """
    with archives.opened(path) as archive:
        layout = layouts.layout_of(archive.files, kind)
        source = _source(archive, layout)
        yield _one_channel(source, path, layout.channels, channel) if layout.channels else source


def _source(archive: archives.Archive, layout: layouts.Layout) -> Source:
    wrapper, images = layout.images(archive)

    def kind(name: str) -> str:
        return archive.kind(wrapper + name)

    expand.refuse_other_masks(images, kind)
    taken = {wrapper + name for image in images for name in (image.path, image.mask_path)}
    left = [name for name in archive.files if name not in taken]
    ignored = Counter("second copies" if archive.kind(name) else kinds.ignored_as(name) for name in left)
    differences = layouts.differences(images, layout.expected(images))
    return Source(images, lambda name: archive.read(wrapper + name), kind, dict(ignored), differences)


def _one_channel(source: Source, path: Path, names: tuple[str, ...], channel: str | None) -> Source:
    chosen = channels.chosen(path, names, channel)
    read = channels.reader(source.read, names, chosen, [image.path for image in source.images])
    images = [replace(image, path=channels.stored_path(image.path, chosen)) for image in source.images]
    return replace(source, images=images, read=read, kind=lambda _: kinds.PICTURE, channels=names)


@contextmanager
def opened_manifest(path: Path) -> Iterator[Source]:
    """Open the images that a CSV lists: columns path, label, patient, split, mask; all but the first optional.

    Paths are relative to the folder of the CSV, or absolute; a folder stands for every image in it, such as a DICOM
    series. A file outside of the folder of the CSV is stored under the first 12 hex digits of its SHA-256, so that no
    path of the user's machine is kept. Patients have the names of the CSV: see `patients.pseudonymised`.

    Raises
    ------
    InputError
        No such CSV, not a CSV, unknown columns, a row with too many cells, a missing file, a file that is no image, an
        unknown split, a label that cannot name a file, stands for none (`nan`) or is spelled in two ways, rows with and
        without labels, neither label nor mask, a patient that stands for nobody, a mask listed as an image, or a file
        listed twice.
    """
    rows = tables.read_rows(path, MANIFEST_COLUMNS, MANIFEST_COLUMNS[:1], "a manifest")
    files: dict[str, Path] = {}
    ignored: Counter[str] = Counter()
    images = [image for line, row in rows for image in _manifest_images(path, files, ignored, line, row)]
    _refuse_labels(path, images)
    mask_names.refuse_as_images(path, [image.path for image in images])

    @functools.cache
    def kind(name: str) -> str:
        return kinds.kind(name, archives.read_head(files[name]))

    expand.refuse_other_masks(images, kind)
    images = sorted(images, key=lambda image: image.path)
    yield Source(images, lambda name: archives.read_file(files[name]), kind, dict(ignored), {})


def _manifest_images(
    path: Path, files: dict[str, Path], ignored: Counter[str], line: int, row: dict[str, str]
) -> list[SourceImage]:
    where = f"{path}: line {line}"
    label, split = known_class(row["label"]) or row["label"], layouts.SPLITS.get(row["split"].lower(), "")
    if row["split"] and not split:
        raise InputError(
            f"{where}: split should be one of {', '.join(layouts.SPLITS)} or empty, received {row['split']!r}"
        )
    if re.fullmatch("[A-Za-z0-9_-]*", label) is None:
        raise InputError(f"{where}: a label should consist of A-Z, a-z, 0-9, _ and -, received {label!r}")
    if label.lower() in patients.NOBODY - {"", "unknown"}:
        raise InputError(
            f"{where}: a label should name a class, received {label!r}; write notumor where there is no tumour, and "
            "leave the cell empty where the class is not known"
        )
    if not label and not row["mask"]:
        raise InputError(f"{where}: an image needs a label or a mask, received neither; fill one in or drop the row")
    images = [_add_file(path, files, line, cell) for cell in _in_folder(path, ignored, row["path"])]
    mask = _add_file(path, files, line, row["mask"]) if row["mask"] else ""
    patient = patients.person(where, row["patient"]) if row["patient"] else ""
    found = [SourceImage("manifest", image, b"", label, split, patient, mask_path=mask) for image in images]
    volumes = {name for name in images if kinds.kind(name, archives.read_head(files[name])) == kinds.VOLUME}
    return [replace(image, case=layouts.case_of(image)) if image.path in volumes else image for image in found]


def _in_folder(path: Path, ignored: Counter[str], cell: str) -> list[str]:
    """Return the cells for each image of a folder; of any other path, the cell as it is."""
    folder = path.parent / cell.replace("\\", "/")
    if not cell or not folder.is_dir():
        return [cell]
    with archives.opened(folder) as archive:
        names = layouts.image_names(archive)
        ignored.update(kinds.ignored_as(name) for name in sorted(set(archive.files) - set(names)))
    return [f"{cell}/{name}" for name in names]


def _add_file(path: Path, files: dict[str, Path], line: int, cell: str) -> str:
    """Note the file that a cell names; return its path inside the set."""
    where = f"{path}: line {line}"
    # normpath, not resolve: a link is stored under its own name, as the user sees it.
    file = Path(os.path.normpath(path.parent.absolute() / cell.replace("\\", "/")))
    if not cell or not file.is_file():
        raise InputError(f"{where}: no such file: {cell!r}; paths are relative to the folder of the CSV, or absolute")
    found = "" if kinds.litter(file.name) else kinds.kind(file.name, archives.read_head(file))
    if found in {"", kinds.PAIR}:
        raise InputError(f"{where}: {cell!r} is {kinds.NO_PAIR if found else f'no image; {kinds.ENDINGS}'}")
    stored = archives.clean(path, _stored_name(path.parent.absolute(), file))
    if stored in files:
        raise InputError(
            f"{where}: {cell!r} occurs twice, or equals another file in name and content; keep one of them"
        )
    files[stored] = file
    return stored


def _stored_name(folder: Path, file: Path) -> str:
    folder = Path(os.path.normpath(folder))
    if file.is_relative_to(folder):
        return file.relative_to(folder).as_posix()
    return f"{hashlib.sha256(archives.read_file(file)).hexdigest()[:12]}/{file.name}"


def _refuse_labels(path: Path, images: list[SourceImage]) -> None:
    empty = sum(not image.label for image in images)
    if 0 < empty < len(images):
        raise InputError(
            f"{path}: all rows should have a label or none, received {empty} of {len(images)} without; "
            "label them, or bring slices without a class as fetch.local.masks"
        )
    spellings: dict[str, str] = {}
    for label in sorted({image.label for image in images}):
        if spellings.setdefault(plain(label), label) != label:
            raise InputError(
                f"{path}: a class should be spelled in one way, received {spellings[plain(label)]!r} and {label!r}; "
                "write one of them in every row"
            )
