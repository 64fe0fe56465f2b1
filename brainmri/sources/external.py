"""Open sets from elsewhere, which are scored and never learnt from: how they are called, and where they are."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from brainmri.core.manifest import EXTERNAL
from brainmri.sources import archives, kaggle, layouts, local


def check_name(name: str) -> str:
    """Return the short name of a set; raise `ValueError` (for a params model) for one that is none."""
    if re.fullmatch("[a-z][a-z0-9-]{0,30}", name) is None:
        raise ValueError("called by a short name of a-z, 0-9 and -, which begins with a letter")
    return name


def check_place(place: str) -> str:
    """Return the place of a set; raise `ValueError` (for a params model) if it is empty."""
    if not place:
        raise ValueError("a folder, an archive, a manifest CSV or owner/dataset/versions/number")
    return place


def on_this_machine(place: str) -> bool:
    """Return whether a place is a path, and not a dataset on Kaggle."""
    return not kaggle.is_handle(place)


@contextmanager
def opened(name: str, place: str, channel: str | None) -> Iterator[local.Source]:
    """Open a set of any layout, or a manifest CSV; its images bear the name of the set.

    Raises
    ------
    InputError
        What `kaggle.download`, `local.opened_manifest` and `local.opened_layout` refuse.
    """
    path = Path(place) if on_this_machine(place) else kaggle.download(place)
    with _opened(path, channel) as source:
        yield replace(source, images=[replace(image, set=EXTERNAL + name) for image in source.images])


@contextmanager
def _opened(path: Path, channel: str | None) -> Iterator[local.Source]:
    if path.suffix.lower() == ".csv":
        with local.opened_manifest(path) as source:
            yield source
        return
    with archives.opened(path) as archive:
        kind = layouts.layout_of(archive.files).kind
    with local.opened_layout(path, kind, channel) as source:
        yield source
