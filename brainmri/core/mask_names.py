"""Tell by their names which files beside images are masks: `x_mask.png` beside `x.jpg`, `p1_seg.nii.gz` in its case.

So sets of class folders often keep them. As one image more of its class a mask would teach a network the answer.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from brainmri.core.errors import InputError
from brainmri.core.kinds import IMAGE_SUFFIXES, VOLUME_SUFFIXES

_WORD = (
    r"(?:tumou?r[_\-. ])?"
    r"(?:masks?|seg|segm|segmentations?|labels?|labelmap|gt|ground[_\-. ]?truth|annotations?)"
)
_AFTER = re.compile(rf"(?P<of>.*?)(?:^|[_\-. ]){_WORD}(?:[_\-. ]?\(?[0-9]{{1,3}}\)?)?", re.IGNORECASE)
_BEFORE = re.compile(rf"{_WORD}[_\-. ](?P<of>.+)", re.IGNORECASE)
_FOLDER = re.compile("masks?|seg|segmentations?|labels?|annotations?", re.IGNORECASE)
_OF_NO_TUMOUR = re.compile(r"(?:^|.*[_\-. ])(?:brain|head|skull|parenchyma|bet|csf|[wg]m)", re.IGNORECASE)


def masks_beside(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the pictures and NIfTI files that are named as masks, each with the images beside it that it belongs to.

    A picture's mask has its name with `_mask` and the like after it, and perhaps a number. A NIfTI mask belongs to
    every other NIfTI file of the folder whose name begins so: the sequences of one case lie on one grid. Empty where
    there is no such image, for a mask of the brain, and in a folder of masks.
    """
    named: dict[str, str] = {}  # mask: beginning of its images' names
    images: dict[tuple[bool, str], list[str]] = defaultdict(list)
    for name in names:
        volume = _is_volume(name)
        if not volume and not name.lower().endswith(IMAGE_SUFFIXES):
            continue
        if found := _AFTER.fullmatch(_stem(name)):
            named[name] = _beside(name, found["of"])
        elif _FOLDER.fullmatch(PurePosixPath(name).parent.name):
            named[name] = ""
        else:
            for beginning in _beginnings(name) if volume else [_stem(name)]:
                images[volume, _beside(name, beginning)].append(name)
    masks = {
        mask: [] if _OF_NO_TUMOUR.fullmatch(PurePosixPath(of).name) else images.get((_is_volume(mask), of), [])
        for mask, of in named.items()
    }
    return masks | _with_word_before([name for own in images.values() for name in own], images)


def _with_word_before(names: list[str], images: dict[tuple[bool, str], list[str]]) -> dict[str, list[str]]:
    """Return `mask_x.png` where there is an `x.png`; where there is none it is an image: the word may say anything."""
    found = {}
    for name in dict.fromkeys(names):
        match = _BEFORE.fullmatch(_stem(name))
        if match and (own := images.get((_is_volume(name), _beside(name, match["of"])))):
            found[name] = own
    return found


def _beside(name: str, stem: str) -> str:
    """Return what stands for files beside `name` whose names begin with `stem`, which may be empty."""
    return str(PurePosixPath(name).with_name(stem or "*")).lower()


def _is_volume(name: str) -> bool:
    return name.lower().endswith(VOLUME_SUFFIXES)


def _stem(name: str) -> str:
    stem = PurePosixPath(name).name
    return stem[: -len(".nii.gz")] if stem.lower().endswith(".nii.gz") else stem.rpartition(".")[0]


def _beginnings(name: str) -> list[str]:
    """Return the beginnings of a name that end where a word of it does; the empty one, too."""
    stem = _stem(name)
    return ["", *(stem[: found.start()] for found in re.finditer(r"[_\-. ]", stem) if found.start()), stem]


def paired(path: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the mask of each image that has one beside it, by the names of the files in `path`.

    Raises
    ------
    InputError
        A file that is named as a mask without an image beside it, or an image with two masks.
    """
    pairs: dict[str, str] = {}
    for mask, images in masks_beside(names).items():
        if not images:
            raise InputError(
                f"{path}: {mask} is named as a mask, and no image beside it is named as it is without that word; "
                "remove it, rename it if it is an image, or list images and masks in a manifest CSV"
            )
        for image in images:
            if image in pairs:
                raise InputError(
                    f"{path}: an image should have one mask, received {pairs[image]} and {mask} for {image}; make one "
                    "of them"
                )
            pairs[image] = mask
    return pairs


def refuse_as_images(path: Path, names: Sequence[str]) -> None:
    """Refuse masks of other images among the images that a manifest lists, alone or by their folder."""
    masks = {mask: images[0] for mask, images in masks_beside(names).items() if images}
    if masks:
        mask, image = next(iter(masks.items()))
        raise InputError(
            f"{path}: no mask should be listed as an image, received {len(masks)} named as masks of others, the first "
            f"is {mask} beside {image}; give them in column mask"
        )
