"""Fetch: bring a set of images, from wherever it comes, into one form.

Reads what `fetch.source` names: `phantom` (simulated here), `kaggle` (downloaded) or `local` (a folder, an archive or
a manifest CSV), and beside it the sets of `fetch.external`, which are scored and never learnt from. Writes the folder
`OUT`: `images-000.zip` and on, `manifest.csv` (one row an image, its columns in `brainmri/core/manifest.py`) and
`summary.json` (counts, and what differs from the known sets). Equal images give equal shards and an equal manifest
whichever way they came. Pictures are copied as they are, preprocess is the first to decode them; DICOM and NIfTI files
become a 16-bit PNG a slice, because their headers may name a person, and of pictures with a sequence a channel the one
that `fetch.channel` names becomes a PNG.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pandas as pd
from pydantic import AfterValidator, model_validator
from tqdm import tqdm

from brainmri.core import shards
from brainmri.core.errors import InputError, ParamsError, exit_on_error
from brainmri.core.files import new_directory, write_json, write_table
from brainmri.core.manifest import COLUMNS, EXTERNAL, SourceImage, image_id
from brainmri.core.params import Section, load
from brainmri.phantom.simulated_set import PhantomParams, simulate
from brainmri.sources import kaggle, layouts, local

Handle = Annotated[str | None, AfterValidator(kaggle.check_handle)]


def check_name(name: str) -> str:
    """Return the short name of an external set; raise `ValueError` (for a params model) for one that is none."""
    if re.fullmatch("[a-z][a-z0-9-]{0,30}", name) is None:
        raise ValueError("called by a short name of a-z, 0-9 and -, which begins with a letter")
    return name


def check_place(place: str) -> str:
    """Return the place of an external set; raise `ValueError` (for a params model) if it is empty or an address."""
    if not place or check_path(place) is None:
        raise ValueError("a folder, an archive, a manifest CSV or owner/dataset/versions/number")
    return place


def check_path(place: str | None) -> str | None:
    """Return the path of a set, or none; raise `ValueError` (for a params model) for an address.

    It may hold a secret, nothing is fetched from it, and params get into `dvc.lock`, into git and into recorded runs.
    """
    if place is not None and re.match("[A-Za-z][A-Za-z0-9+.-]+:/", place):
        raise ValueError("a path on this machine; download what is elsewhere, and name the file")
    return place


LocalPath = Annotated[str | None, AfterValidator(check_path)]


class KaggleParams(Section):
    """Datasets on Kaggle, `owner/dataset/versions/number` or null."""

    classes: Handle
    masks: Handle


class LocalParams(Section):
    """Paths on this machine, or null."""

    classes: LocalPath
    masks: LocalPath
    manifest: LocalPath
    patients: LocalPath  # not a set: whose the images of classes and masks are

    @model_validator(mode="after")
    def _one_word_on_patients(self) -> Self:
        if self.patients is not None and self.manifest is not None:
            raise ValueError("without patients where manifest is named, which has a column of its own for them")
        return self


class Params(Section):
    """Section `fetch`."""

    source: Literal["phantom", "kaggle", "local"]
    channel: Annotated[str | None, AfterValidator(layouts.check_channel)]
    phantom: PhantomParams
    kaggle: KaggleParams
    local: LocalParams
    external: dict[Annotated[str, AfterValidator(check_name)], Annotated[str, AfterValidator(check_place)]]


def run(params: Params, out: Path) -> None:
    """Fetch what `params` name into folder `out`."""
    rows: list[dict[str, Any]] = []
    with new_directory(out) as folder, ExitStack() as stack:
        found = open_sources(params, stack)
        refuse_unused_channel(params, found)
        images, total = source_images(params, found)
        progress = tqdm(images, f"fetch {params.source}", total, unit=" images", mininterval=1)
        stored = shards.write(folder, members(progress, rows))
        table = manifest_table(rows, stored)
        require_classes(table)
        write_table(folder / "manifest.csv", table)
        write_json(folder / "summary.json", summary(params, table, found))
    warn(params, found, table)


def source_images(params: Params, found: dict[str, local.Source]) -> tuple[Iterator[SourceImage], int | None]:
    """Return all images, those of external sets last, and their number, where it can be told."""
    images, total = local.stream_all(found.values()), local.count(found.values())
    if params.source != "phantom":
        return images, total
    return chain(simulate(params.phantom), images), None if total is None else total + params.phantom.images()


def require_classes(table: pd.DataFrame) -> None:
    """Refuse a manifest without a single label among what is learnt from."""
    if not table["label"][~table["set"].str.startswith(EXTERNAL)].any():
        raise InputError(
            "fetch: at least one set should have classes, for the classifier to learn from, received images "
            "without any; name fetch.local.classes, or give labels in the manifest"
        )


def open_sources(params: Params, stack: ExitStack) -> dict[str, local.Source]:
    """Open every set that is named, by the name it has in the manifest, with pseudonyms; external ones come last."""
    named = {} if params.source == "phantom" else places(params)
    opened = {
        name: local.opened_manifest(Path(place))
        if name == "manifest"
        else local.opened_layout(Path(place), name, params.channel)
        for name, place in named.items()
    }
    for name, place in sorted(params.external.items()):
        path = kaggle.download(place) if kaggle.is_handle(place) else Path(place)
        opened[EXTERNAL + name] = local.opened_external(EXTERNAL + name, path, params.channel)
    found = {name: stack.enter_context(source) for name, source in opened.items()}
    return local.with_patients(found, patients_table(params))


def places(params: Params) -> dict[str, Any]:
    """Return where the sets are that are learnt from, downloaded ones too, by the name they have in the manifest."""
    section = params.kaggle if params.source == "kaggle" else params.local
    keys = section.model_dump(exclude={"patients"})
    named = {name: value for name, value in keys.items() if value is not None}
    if not named:
        wanted = " or ".join(f"fetch.{params.source}.{name}" for name in keys)
        raise ParamsError(f"fetch.source is {params.source}, so {wanted} should name a set, received null for each")
    return {name: kaggle.download(handle) for name, handle in named.items()} if params.source == "kaggle" else named


def patients_table(params: Params) -> Path | None:
    """Return the path of the user's own table of patients, where it counts."""
    named = params.source == "local" and params.local.patients is not None
    return Path(str(params.local.patients)) if named else None


def refuse_unused_channel(params: Params, found: dict[str, local.Source]) -> None:
    """Refuse a channel where no set's pictures have channels: it was meant for another set."""
    if found and params.channel is not None and not any(source.channels for source in found.values()):
        raise ParamsError(
            "fetch.channel should be null where no set holds pictures with a sequence a channel, received "
            f"{params.channel!r} for {' and '.join(found)}; make it null or name the other set"
        )


def members(images: Iterable[SourceImage], rows: list[dict[str, Any]]) -> Iterator[tuple[str, bytes]]:
    """Yield the files to store, each under its name in the shards; note in `rows` what is known of each image."""
    for image in images:
        row_mm, col_mm = image.voxel_mm or (None, None)
        known = {name: getattr(image, name) for name in COLUMNS if hasattr(image, name)}
        rows.append(known | {"voxel_row_mm": row_mm, "voxel_col_mm": col_mm})
        yield f"{image.set}/{image.path}", image.data
        if image.mask_data is not None:
            yield f"{image.set}/{image.mask_path}", image.mask_data


def manifest_table(rows: list[dict[str, Any]], stored: dict[str, shards.Stored]) -> pd.DataFrame:
    """Return the manifest: what is known of each image, joined with where and as what it was stored."""
    none = shards.Stored("", "", 0)
    for row in rows:
        image = stored[f"{row['set']}/{row['path']}"]
        mask = stored[f"{row['set']}/{row['mask_path']}"] if row["mask_path"] else none
        row |= image._asdict() | {"mask_sha256": mask.sha256, "mask_shard": mask.shard}
        row["image_id"] = image_id(row["set"], row["path"], image.sha256)
    rows.sort(key=lambda row: (row["set"], row["path"]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def summary(params: Params, table: pd.DataFrame, found: dict[str, local.Source]) -> dict[str, Any]:
    """Return what `summary.json` holds: no path of this machine, no time."""
    sets = {}
    for name, rows in table.groupby("set"):
        source = found.get(str(name))
        sets[name] = {
            "images": len(rows),
            "masks": int((rows["mask_path"] != "").sum()),
            "volumes": int((rows["frame"] == 0).sum()),
            "patients": len(set(rows["patient"]) - {""}),
            "patients_in_several_splits": patients_in_several_splits(rows),
            "counts": counts(rows),
            "ignored": source.ignored if source else {},
            "differences": source.differences if source else {},
        }
    simulated = params.source == "phantom"
    handles = params.kaggle.model_dump() if params.source == "kaggle" else None
    result = {"source": params.source, "simulated": simulated, "kaggle": handles, "sets": sets}
    if params.external:
        result["external"] = {
            name: place if kaggle.is_handle(place) else None for name, place in params.external.items()
        }
    return result


def counts(rows: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return the number of images by split and label; `none` stands for an empty one."""
    found = Counter(zip(rows["split"], rows["label"], strict=True))
    table: dict[str, dict[str, int]] = {}
    for (split, label), count in sorted(found.items()):
        table.setdefault(split or "none", {})[label or "none"] = count
    return table


def patients_in_several_splits(rows: pd.DataFrame) -> int:
    """Return how many patients have images in more than one of the source's own splits."""
    named = rows[(rows["patient"] != "") & (rows["split"] != "")]
    return int((named.groupby("patient")["split"].nunique() > 1).sum())


def warn(params: Params, found: dict[str, local.Source], table: pd.DataFrame) -> None:
    """Print one line for each thing that a user should know of a set from outside."""
    for name, source in found.items():
        differ = [f"{at} {n['found']} instead of {n['expected']}" for at, n in source.differences.items()]
        ignored = [f"{count} {kind}" for kind, count in sorted(source.ignored.items())]
        rows = table[table["set"] == name]
        learnt = not name.startswith(EXTERNAL)
        several = patients_in_several_splits(rows) if learnt else 0
        nobody = rows["path"][(rows["patient"] == "") & learnt]
        for problem in (
            f"the counts differ from those of the known set: {', '.join(differ)}" if differ else "",
            f"ignored files: {', '.join(ignored)}" if ignored else "",
            f"{several} patients have images in more than one split" if several else "",
            f"{len(nobody)} of {len(rows)} images have no row in fetch.local.patients, the first is {nobody.iloc[0]}; "
            "their patient stays unknown"
            if patients_table(params) and len(nobody)
            else "",
        ):
            if problem:
                print(f"warning: {name}: {problem}", file=sys.stderr)


def main() -> None:
    """Read the command line and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checked", type=Path, help="file that check_params wrote; that it is there is all that counts")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    run(load(args.params, "fetch", Params), args.out)


if __name__ == "__main__":
    exit_on_error(main)
