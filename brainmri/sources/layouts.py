"""The folder layouts of the known sets: from the names in an archive to what each image is.

`LAYOUTS`, at the end, lists them: a new one is an entry there, with its functions above it. Wrapper folders, which
packing tools add, are cut off, so that the same images get the same paths however packed.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import PurePosixPath

from brainmri.core import kinds, mask_names
from brainmri.core.errors import InputError
from brainmri.core.labels import CLASSES, SPELLINGS, known_class, plain
from brainmri.core.manifest import SourceImage
from brainmri.sources.archives import Archive

SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_CASE = re.compile(
    r"(?P<wrapper>(?:.*/)?)(?P<case>[^/]+)/(?P=case)_(?P<number>[0-9]{1,9})(?P<mask>_mask)?\.tiff?", re.IGNORECASE
)
OWN_IMAGES = "for another layout or other classes, list the images in a manifest CSV (docs/your-own-images.md)"

# Images by split and class in the order of CLASSES, as published on Kaggle: masoudnickparvar/brain-tumor-mri-dataset
# version 1 and sartajbhuvaji/brain-tumor-classification-mri. Pairs of the slices of Cheng et al.,
# doi 10.6084/m9.figshare.1512427, and of Buda et al., doi 10.1016/j.compbiomed.2019.05.002, on Kaggle
# mateuszbuda/lgg-mri-segmentation.
_NICKPARVAR = {"train": (1321, 1339, 1595, 1457), "test": (300, 306, 405, 300)}
_SARTAJ = {"train": (826, 822, 395, 827), "test": (100, 115, 105, 74)}
_CHENG_PAIRS = 3064
_LGG_PAIRS = 3929
_LGG_CHANNELS = ("pre", "flair", "post")  # before contrast, FLAIR, after contrast


def image_names(archive: Archive) -> list[str]:
    """Return the sorted names of an archive's images, told by content; raise `InputError` for none, or half a pair."""
    found = {name: kind for name in archive.files if (kind := archive.kind(name))}
    pair = next((name for name, kind in found.items() if kind == kinds.PAIR), None)
    if pair:
        raise InputError(f"{archive.path}: {pair}: {kinds.NO_PAIR}")
    if not found:
        raise InputError(f"{archive.path}: holds no image; {kinds.ENDINGS}; {OWN_IMAGES}")
    return list(found)


def class_images(archive: Archive) -> tuple[str, list[SourceImage]]:
    """Return the wrapper folder (with its `/`, or empty) and the images of a set of class folders, without bytes.

    Raises
    ------
    InputError
        An unknown or empty class folder, a split folder without images, more than one set in the archive, or class
        folders both inside and outside of split folders.
    """
    names = image_names(archive)
    masks = mask_names.paired(archive.path, names)
    among = set(masks.values())
    placed = [_class_image(archive, name) for name in names if name not in among]
    _refuse_empty_folders(archive, names)
    wrapper = _one_wrapper(archive, (wrapper for wrapper, _ in placed))
    own = {image[len(wrapper) :]: mask[len(wrapper) :] for image, mask in masks.items()}
    images = [
        replace(image, mask_path=own.get(image.path, ""))
        for image in _with_cases(archive, wrapper, [one for _, one in placed])
    ]
    if len({bool(image.split) for image in images}) > 1:
        raise InputError(f"{archive.path}: class folders should all lie in split folders or none; {OWN_IMAGES}")
    return wrapper, images


def _with_cases(archive: Archive, wrapper: str, images: list[SourceImage]) -> list[SourceImage]:
    """Return DICOM and NIfTI files in folders below their class with the first folder that not all of it share."""
    scans = [image for image in images if archive.kind(wrapper + image.path) != kinds.PICTURE]
    below: dict[str, dict[str, list[str]]] = {}
    for image in scans:
        below.setdefault(image.label, {})[image.path] = _below_class(image.path.split("/")[:-1])
    cases = {image.path: case_of(image) for image in scans}
    for label, folders in below.items():
        shared = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, zip(*folders.values(), strict=False)))
        cases |= {path: f"{label}/{own[shared]}" for path, own in folders.items() if len(own) > shared}
    return [replace(image, case=cases.get(image.path, "")) for image in images]


def _below_class(folders: list[str]) -> list[str]:
    return folders[max((at for at, folder in enumerate(folders, start=1) if known_class(folder)), default=0) :]


def case_of(image: SourceImage) -> str:
    """Return the folder of a file that is called as it is, such as `p7/p7_t1.nii.gz`, and not as its class is."""
    folder, name = PurePosixPath(image.path).parent.name, PurePosixPath(image.path).name
    of_class = known_class(folder) or plain(folder) in {plain(image.label), ""}
    return folder if name.lower().startswith(folder.lower()) and not of_class else ""


def _one_wrapper(archive: Archive, wrappers: Iterable[str]) -> str:
    found = sorted(set(wrappers))
    if len(found) > 1:
        first, second = (wrapper or "its top folder" for wrapper in found[:2])
        raise InputError(f"{archive.path}: should hold one set, found one in {first} and one in {second}; name one")
    return found[0]


def _class_image(archive: Archive, name: str) -> tuple[str, SourceImage]:
    folders = name.split("/")[:-1]
    if archive.kind(name) != kinds.PICTURE:  # DICOM and NIfTI may lie deeper: a folder a patient or series
        below = len(_below_class(folders))
        folders = folders[:-below] if 0 < below < len(folders) else folders
    label = known_class(folders[-1]) if folders else ""
    if not label:
        place = f"folder {'/'.join(folders)!r} is no class" if folders else f"{name!r} lies in no class folder"
        raise InputError(f"{archive.path}: {place}; known classes: {', '.join(SPELLINGS)}; {OWN_IMAGES}")
    split = SPLITS.get(folders[-2].lower(), "") if len(folders) > 1 else ""
    above = folders[: -2 if split else -1]
    wrapper = "".join(f"{folder}/" for folder in above)
    return wrapper, SourceImage("classes", name.removeprefix(wrapper), b"", label, split)


def _refuse_empty_folders(archive: Archive, names: list[str]) -> None:
    filled = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    listed = {str(parent) for name in archive.files for parent in PurePosixPath(name).parents} | set(archive.folders)
    for folder in sorted(listed - filled):
        own = PurePosixPath(folder).name
        if not kinds.litter(f"{folder}/x.png") and (known_class(own) or own.lower() in SPLITS):
            raise InputError(f"{archive.path}: folder {folder!r} holds no image; fill it or remove it")


def mask_images(archive: Archive) -> tuple[str, list[SourceImage]]:
    """Return the wrapper folder (with its `/`, or empty) and the images of a set of masked slices, without bytes.

    Raises
    ------
    InputError
        A file that is not `images/<number>` or `masks/<number>`, a number used twice, or a number without its partner.
    """
    wrapper, pairs = _pairs(archive, image_names(archive), _numbered, ("in images/", "in masks/"))
    images = [
        SourceImage("masks", name, b"", number=number, mask_path=mask) for (_, number), (name, mask) in pairs.items()
    ]
    return wrapper, sorted(images, key=lambda image: image.path)


def case_images(archive: Archive) -> tuple[str, list[SourceImage]]:
    """Return the wrapper folder and the images of a set of masked slices in a folder a patient, without bytes.

    `number` counts the slices of the whole set, sorted by case and by number inside of it.

    Raises
    ------
    InputError
        A file that is neither `<case>/<case>_<n>.tif` nor `<case>/<case>_<n>_mask.tif`, a number used twice in a case,
        or a number without its partner.
    """
    names = _first_copy(archive, image_names(archive))
    wrapper, pairs = _pairs(archive, names, _of_case, ("without _mask in its name", "with _mask in its name"))
    images = [
        SourceImage("masks", name, b"", patient=case, number=number, mask_path=mask)
        for number, ((case, _), (name, mask)) in enumerate(sorted(pairs.items()), start=1)
    ]
    return wrapper, sorted(images, key=lambda image: image.path)


def _pairs(
    archive: Archive,
    names: Sequence[str],
    placed: Callable[[Archive, str], tuple[str, int, tuple[str, int]]],
    partners: tuple[str, str],
) -> tuple[str, dict[tuple[str, int], tuple[str, str]]]:
    """Return the wrapper folder, and image and mask without it by case and number.

    `placed` gives for a name its wrapper folder, 0 for an image or 1 for a mask, and case and number; `partners` says
    where people should look for an image, and for a mask.
    """
    found: tuple[dict[tuple[str, int], str], ...] = ({}, {})
    wrappers = []
    for name in names:
        wrapper, kind, key = placed(archive, name)
        if key in found[kind]:
            raise InputError(f"{archive.path}: {found[kind][key]} and {name} have the same number; keep one of them")
        found[kind][key] = name
        wrappers.append(wrapper)
    wrapper = _one_wrapper(archive, wrappers)
    images, masks = found
    _refuse_unpaired(archive, images, masks, partners[1])
    _refuse_unpaired(archive, masks, images, partners[0])
    cut = len(wrapper)
    return wrapper, {key: (name[cut:], masks[key][cut:]) for key, name in images.items()}


def _numbered(archive: Archive, name: str) -> tuple[str, int, tuple[str, int]]:
    match = re.fullmatch(r"((?:.*/)?)(images|masks)/([0-9]{1,9})\.\w+(?:\.gz)?", name, re.IGNORECASE | re.ASCII)
    if match is None:
        raise InputError(
            f"{archive.path}: masked slices should be images/<number>.png, received {name!r}; {OWN_IMAGES}"
        )
    return match[1], int(match[2].lower() == "masks"), ("", int(match[3]))


def _of_case(archive: Archive, name: str) -> tuple[str, int, tuple[str, int]]:
    match = _CASE.fullmatch(name)
    if match is None:
        raise InputError(
            f"{archive.path}: slices in a folder a case should be <case>/<case>_<n>.tif and "
            f"<case>/<case>_<n>_mask.tif, received {name!r}; {OWN_IMAGES}"
        )
    return match["wrapper"], int(bool(match["mask"])), (match["case"], int(match["number"]))


def _first_copy(archive: Archive, names: Sequence[str]) -> list[str]:
    """Return the names below the first of several wrapper folders, where all hold the same: Kaggle packs it twice."""
    inside: dict[str, list[str]] = {}
    for name in names:
        wrapper, _, _ = _of_case(archive, name)
        inside.setdefault(wrapper, []).append(name.removeprefix(wrapper))
    first = min(inside)
    same = all(own == inside[first] for own in inside.values())
    return [first + name for name in inside[first]] if same else list(names)


def _refuse_unpaired(
    archive: Archive, files: dict[tuple[str, int], str], others: dict[tuple[str, int], str], partner: str
) -> None:
    alone = [name for key, name in files.items() if key not in others]
    if alone:
        raise InputError(
            f"{archive.path}: {len(alone)} of {len(files)} files have no partner of the same number {partner}, "
            f"the first is {alone[0]}; complete the pairs or remove them"
        )


def differences(images: list[SourceImage], expected: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Compare the counts with those of the known set, as `Layout.expected` gives them; empty if equal or not known.

    Returns
    -------
    dict
        `{"train/notumor": {"expected": 1595, "found": 1591}}`; for masked slices the key is `pairs`.
    """
    found = Counter(f"{image.split}/{image.label}" if image.label else "pairs" for image in images)
    return {
        name: {"expected": expected[name], "found": found[name]}
        for name in sorted(expected)
        if found[name] != expected[name]
    }


def _expected_pairs(images: list[SourceImage]) -> dict[str, int]:
    suffixes = kinds.IMAGE_SUFFIXES
    known = all(1 <= image.number <= _CHENG_PAIRS and image.path.lower().endswith(suffixes) for image in images)
    return {"pairs": _CHENG_PAIRS} if known else {}


def _expected_cases(images: list[SourceImage]) -> dict[str, int]:
    known = all(re.fullmatch("TCGA_[A-Z]{2}_[0-9A-Z]{4}_[0-9]{8}", image.patient) for image in images)
    return {"pairs": _LGG_PAIRS} if known else {}


def _expected_classes(images: list[SourceImage]) -> dict[str, int]:
    if not all(image.split for image in images):
        return {}
    if all(re.match("(Tr|Te)-", PurePosixPath(image.path).name) for image in images):
        counts = _NICKPARVAR
    elif all("_tumor/" in image.path for image in images):
        counts = _SARTAJ
    else:
        return {}
    return {
        f"{split}/{label}": count for split, row in counts.items() for label, count in zip(CLASSES, row, strict=True)
    }


@dataclass(frozen=True)
class Layout:
    """One way in which sets are laid out in folders."""

    kind: str  # the key of `fetch.local` and `fetch.kaggle` that names such a set, and the set's name in the manifest
    shape: str  # for people
    recognised: Callable[[Sequence[str]], bool]  # by the names of an archive's files
    images: Callable[[Archive], tuple[str, list[SourceImage]]]  # the wrapper folder and the images without bytes
    expected: Callable[[list[SourceImage]], dict[str, int]]  # counts of the known set that it is; empty for another
    channels: tuple[str, ...] = ()  # names of the three that its pictures hold, of which `fetch.channel` is one


def _has_numbered_masks(files: Sequence[str]) -> bool:
    return any(re.search(r"(^|/)masks/[0-9]+\.[^/]+$", name, re.IGNORECASE) for name in files)


def _has_cases(files: Sequence[str]) -> bool:
    return any((match := _CASE.fullmatch(name)) and match["mask"] for name in files)


# The first that recognises an archive reads it; of each kind the last says what is wrong where none does.
LAYOUTS = (
    Layout(
        "masks",
        "<case>/<case>_<n>.tif with <case>/<case>_<n>_mask.tif",
        _has_cases,
        case_images,
        _expected_cases,
        _LGG_CHANNELS,
    ),
    Layout("masks", "images/<number>.png with masks/<number>.png", _has_numbered_masks, mask_images, _expected_pairs),
    Layout("classes", "[split/]class/image.jpg", lambda _: True, class_images, _expected_classes),
)


def check_channel(channel: str | None) -> str | None:
    """Return a channel that some layout has, or None for none; raise `ValueError` for another."""
    known = sorted({name for layout in LAYOUTS for name in layout.channels})
    if channel is not None and channel not in known:
        raise ValueError(f"one of {', '.join(known)}, or null")
    return channel


def layout_of(files: Sequence[str], kind: str = "") -> Layout:
    """Return the layout of an archive with these files: of a kind if one is given, else of the first that fits."""
    known = [layout for layout in LAYOUTS if kind in ("", layout.kind)]
    return next((layout for layout in known if layout.recognised(files)), known[-1])
