"""Expand DICOM series and NIfTI files to slices as `fetch` stores them: 16-bit PNG, and nothing else of the files.

A slice is called after its volume and its frame: `<place of the NIfTI file>/0012.png`, or
`<split>/<label>/dicom-<first 12 hex digits of the SHA-256 of values and place>/0012.png`, because names of DICOM files
and folders often hold a person's name or an identifier of the hospital.

Patients that the source does not name are told by DICOM's PatientID and become d0001 and on; where that is empty, and
in NIfTI, by the folder that the layout takes for a case (`SourceImage.case`), or else each series or file counts as one
patient, v0001 and on: at least slices of one volume stay together.
`Names` of one fetch hold for all of its sets, so that a name is one patient, and one PatientID has one name.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from brainmri.core import kinds
from brainmri.core.errors import InputError
from brainmri.core.manifest import SourceImage
from brainmri.sources import dicom
from brainmri.sources.slicing import Volume, from_dicom, from_nifti, read_mask

COPIES = "second copies of DICOM files"  # byte by byte, in one series; counted among what is ignored

Read = Callable[[str], bytes]
Kind = Callable[[str], str]  # see `kinds.kind`
Key = tuple[str, str, str]  # letter of the name; digest of PatientID or series, or path; the set where it is a path
Names = dict[Key, str]  # never to be written or shown


def refuse_other_masks(images: list[SourceImage], kind: Kind) -> None:
    """Refuse masks of another kind than their image's: a NIfTI mask for DICOM and NIfTI, a picture for a picture."""
    for image in images:
        needed = kinds.PICTURE if kind(image.path) == kinds.PICTURE else kinds.VOLUME
        if image.mask_path and kind(image.mask_path) != needed:
            raise InputError(
                f"{image.path}: the mask should be a NIfTI file for DICOM and NIfTI, a picture for a picture, received "
                f"{image.mask_path!r}; convert one of them"
            )


def expand(
    images: list[SourceImage], read: Read, kind: Kind, ignored: dict[str, int], names: Names
) -> Iterator[SourceImage]:
    """Yield the slices of DICOM and NIfTI files, volume by volume; memory holds one series at a time.

    Files are read twice, first for what groups them. DICOM objects that are no scans, and files that a series has
    twice, are counted in `ignored`. Patients that `names` has keep their name, the others are added to it.

    Raises
    ------
    InputError
        A file that cannot be read, a mask that does not fit its volume, a mask for a series of several volumes, or two
        equal series; the message begins with the path inside the set.
    """
    groups: dict[tuple[str, str, str, str, str], list[SourceImage]] = {}
    whose: dict[tuple[str, str, str, str, str], Key] = {}
    contents: set[tuple[Any, ...]] = set()
    for image in tqdm(images, "fetch: headers", unit=" files", mininterval=1, disable=not images):
        header, content = _header(image, read, kind)
        series = header.series or image.path
        key = (image.split, image.label, image.patient, image.mask_path, series)
        why = header.no_scan or (COPIES if (key, content) in contents else "")
        if why:
            ignored[why] = ignored.get(why, 0) + 1
            continue
        contents.add((key, content))
        groups.setdefault(key, []).append(image)
        own = ("v", image.case or series, "" if header.series and not image.case else image.set)
        whose[key] = ("d", header.patient, "") if header.patient else own
    _add_names(names, set(whose.values()))
    seen: dict[str, str] = {}
    for key, files in groups.items():
        patient = files[0].patient or names[whose[key]]
        for slices in _volumes(files, read, kind, seen):
            yield from (replace(one, patient=patient) for one in slices)


def _header(image: SourceImage, read: Read, kind: Kind) -> tuple[dicom.Header, str]:
    """Return what groups a file with others, and the digest of its bytes, which is empty for a volume of its own."""
    if kind(image.path) == kinds.VOLUME:
        return dicom.Header("", ""), ""
    data = read(image.path)
    return _explained(image.path, lambda: dicom.read_header(data)), hashlib.sha256(data).hexdigest()


def _add_names(names: Names, whose: set[Key]) -> None:
    """Name each patient or series that has no name yet; the digests and paths behind names are kept nowhere."""
    for key in sorted(whose - set(names)):
        taken = sum(letter == key[0] for letter, _, _ in names)
        names[key] = f"{key[0]}{taken + 1:04d}"


def _volumes(files: list[SourceImage], read: Read, kind: Kind, seen: dict[str, str]) -> Iterator[Iterator[SourceImage]]:
    image = files[0]
    one_file = kind(image.path) == kinds.VOLUME
    if one_file:
        volumes = [_explained(image.path, lambda: from_nifti(read(image.path)))]
    else:
        volumes = from_dicom((file.path, read(file.path)) for file in files)
    if image.mask_path and len(volumes) != 1:
        raise InputError(f"{image.path}: a mask needs one volume, the series has {len(volumes)}; separate them")
    for volume in volumes:
        place = image.path if one_file else _place(image, volume)
        if place in seen:
            raise InputError(f"{image.path}: equals {seen[place]} in its pixels and place; keep one of the two series")
        seen[place] = image.path
        yield _slices(image, volume, place, read)


def _explained(path: str, made: Callable[[], Any]) -> Any:
    try:
        return made()
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _place(image: SourceImage, volume: Volume) -> str:
    known = hashlib.sha256(volume.levels.tobytes())
    scale = (volume.level_scale, volume.level_offset)
    known.update(np.array([*volume.affine.ravel(), *volume.spacing_mm, *scale]).tobytes())
    name = f"dicom-{known.hexdigest()[:12]}"
    return "/".join(part for part in (image.split, image.label, name) if part)


def _slices(image: SourceImage, volume: Volume, place: str, read: Read) -> Iterator[SourceImage]:
    masks = _explained(image.path, lambda: read_mask(volume, read(image.mask_path))) if image.mask_path else None
    slice_mm, row_mm, col_mm = (_known(mm) for mm in volume.spacing_mm)
    for frame, (levels, window) in enumerate(zip(volume.levels, volume.windows, strict=True)):
        yield replace(
            image,
            path=f"{place}/{frame:04d}.png",
            data=_png(levels),
            number=-1,
            plane=volume.plane,
            voxel_mm=(row_mm, col_mm) if row_mm and col_mm else None,
            mask_path="" if masks is None else f"{place}/mask/{frame:04d}.png",
            mask_data=None if masks is None else _png(masks[frame].astype(np.uint8) * 255),
            frame=frame,
            slice_mm=slice_mm,
            level_scale=volume.level_scale,
            level_offset=volume.level_offset,
            window_low=_known(window[0]),
            window_high=_known(window[1]),
            modality=volume.facts["modality"],
            field_t=_known(volume.facts["field_t"]),
            tr_ms=_known(volume.facts["tr_ms"]),
            te_ms=_known(volume.facts["te_ms"]),
        )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _png(levels: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", levels)[1])
