"""What `brainmri check` says of a set before hours of training, by the code of fetch and preprocess.

Everything is looked at, also after something was found for which a run would be refused.
"""

import io
from collections.abc import Callable, Sequence
from contextlib import ExitStack, redirect_stderr
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from tqdm import tqdm

from brainmri.core import kinds, shards
from brainmri.core.errors import InputError
from brainmri.core.files import write_table
from brainmri.core.labels import NOT_CLINICAL
from brainmri.core.manifest import read_manifest
from brainmri.core.params import check as check_values
from brainmri.core.params import load
from brainmri.preprocessing import leakage, masks
from brainmri.preprocessing.head import shows_head
from brainmri.preprocessing.scans import Scans, read_scans
from brainmri.sources import archives, dicom, layouts, local, slicing
from stages import fetch, preprocess

T = TypeVar("T")

LISTED = 10  # of each kind of finding, in the text; JSON has them all


def check(paths: Sequence[Path], params: Path, root: Path = Path()) -> dict[str, Any]:
    """Look at one set of each kind: classes and masks in one of the known layouts, a manifest CSV.

    Parameters
    ----------
    paths : sequence of Path
        A folder, a zip or a tar, or a CSV.
    params : Path
        YAML file whose section `preprocess` says how images are made and what counts as twins, and `fetch` the channel
        and whose images they are, where it names a table of patients.
    root : Path
        The project's folder, in which that table is looked for, as a run looks for it.

    Returns
    -------
    dict
        `sets` as in fetch's `summary.json`; `unreadable` (file, reason); `images` (sizes, modes, spacing);
        `without_head`, the files that show one level or noise; `masks` (their values, and files of unlikely ones);
        `twins` as in preprocess' summary, and pairs by split; `clashes` (groups of twins with several labels);
        `patients` as in preprocess' summary, of the splits it would draw; `refused`, why a run would stop, empty if it
        would not. What could not be looked at any more is missing.

    Raises
    ------
    InputError
        If a set's layout is not known, or two sets are of one kind.
    """
    settings = load(params, "preprocess", preprocess.Params)
    section = _fetch_params(paths, params, root)
    refused: list[str] = []
    unreadable: list[dict[str, str]] = []
    result: dict[str, Any] = {"refused": refused, "unreadable": unreadable, "note": NOT_CLINICAL}
    with TemporaryDirectory() as folder, ExitStack() as stack:
        scratch = Path(folder)
        found = {name: _readable(source, unreadable) for name, source in fetch.open_sources(section, stack).items()}
        if unreadable:
            refused.append(
                f"fetch: every DICOM and NIfTI file should be readable, received {len(unreadable)} that are not, the "
                f"first is {unreadable[0]['file']}; mend or remove them"
            )
        manifest = _tried(lambda: _stored(found, scratch), refused)
        if manifest is None or manifest.empty:
            return result
        _tried(lambda: fetch.require_classes(manifest), refused)
        result["sets"] = fetch.summary(section, manifest, found)["sets"]
        images = shards.read_images(scratch, manifest)
        progress = tqdm(images, "decode", len(manifest), unit=" images", mininterval=1)
        scans = read_scans(progress, len(manifest), settings, scratch)
        paths_of = manifest.set_index("image_id")["path"]
        unreadable += [{"file": paths_of[row.image_id], "reason": row.reason} for row in scans.bad.itertuples()]
        with redirect_stderr(io.StringIO()):  # it warns of each bad image by its id
            _tried(lambda: preprocess.refuse_too_many_bad(scans.bad, len(manifest), settings.max_bad), refused)
        _tried(lambda: masks.refuse_all_empty(scans.mask_facts), refused)
        result["masks"] = _masks(scans.mask_facts, paths_of)
        if len(scans.table):
            result["images"] = _images(scans.table, manifest)
            result["without_head"] = scans.table.loc[~shows_head(scans.table), "image_id"].map(paths_of).tolist()
            result |= _twins(scans, settings, paths_of, refused)
    return result


def _fetch_params(paths: Sequence[Path], params: Path, root: Path) -> fetch.Params:
    kinds = [_kind(path) for path in paths]
    if len(set(kinds)) < len(kinds):
        raise InputError(f"check: one set of each kind should be named, received {', '.join(kinds)}; check them apart")
    section = load(params, "fetch", fetch.Params)
    places = dict.fromkeys(fetch.LocalParams.model_fields) | {
        kind: str(path) for kind, path in zip(kinds, paths, strict=True)
    }
    if "manifest" not in kinds and section.local.patients is not None:
        places["patients"] = str(root / section.local.patients)
    return section.model_copy(
        update={"source": "local", "local": check_values(places, fetch.LocalParams, "check"), "external": {}}
    )


def _kind(path: Path) -> str:
    if path.suffix.lower() == ".csv":
        return "manifest"
    with archives.opened(path) as archive:
        return layouts.layout_of(archive.files).kind


def _tried(step: Callable[[], T], refused: list[str]) -> T | None:
    """Return what a step gives; note why a run would be refused there."""
    try:
        return step()
    except InputError as error:
        refused.append(str(error))
        return None


def _readable(source: local.Source, unreadable: list[dict[str, str]]) -> local.Source:
    """Return a source without the DICOM and NIfTI files that cannot be read, which fetch stops at; note them."""
    scans = [image for image in source.images if source.kind(image.path) != kinds.PICTURE]
    bad = set()
    for image in tqdm(scans, "read", unit=" files", mininterval=1, disable=not scans):
        try:
            data = source.read(image.path)
            if source.kind(image.path) == kinds.VOLUME:
                slicing.from_nifti(data)
            elif not dicom.read_header(data).no_scan:
                dicom.read_dicom(data)
        except InputError as error:
            unreadable.append({"file": image.path, "reason": str(error)})
            bad.add(image.path)
    return replace(source, images=[image for image in source.images if image.path not in bad])


def _stored(found: dict[str, local.Source], folder: Path) -> pd.DataFrame:
    """Store the images as fetch does; return their manifest."""
    rows: list[dict[str, Any]] = []
    progress = tqdm(
        local.stream_all(found.values()), "copy", local.count(found.values()), unit=" images", mininterval=1
    )
    stored = shards.write(folder, fetch.members(progress, rows))
    write_table(folder / "manifest.csv", fetch.manifest_table(rows, stored))
    return read_manifest(folder)


def _images(table: pd.DataFrame, manifest: pd.DataFrame) -> dict[str, Any]:
    """Return sizes, modes and spacing of the readable images."""
    sizes = (table["height_px"].astype(str) + "x" + table["width_px"].astype(str)).value_counts()
    own = manifest[manifest["image_id"].isin(table["image_id"])]
    stated = own[["voxel_row_mm", "voxel_col_mm"]].dropna()
    return {
        "readable": len(table),
        "sizes_px": {str(size): int(count) for size, count in sizes.items()},
        "not_square": int((table["height_px"] != table["width_px"]).sum()),
        "modes": {str(mode): int(count) for mode, count in table["mode"].value_counts().items()},
        "spacing_stated": len(stated),
        "spacing_mm": [float(stated.min(axis=None)), float(stated.max(axis=None))] if len(stated) else None,
        "patient_named": int((table["patient"] != "").sum()),
        "with_mask": int(table["has_mask"].sum()),
    }


def _masks(facts: pd.DataFrame, paths_of: pd.Series) -> dict[str, Any]:
    """Return which values the masks hold, and the files of those that are unlikely."""
    values = facts["values"].value_counts()
    found = {kind: [str(paths_of[image]) for image in ids] for kind, ids in masks.unlikely(facts).items()}
    return {"values": {str(value): int(count) for value, count in values.items()}, "unlikely": found}


def _twins(scans: Scans, settings: preprocess.Params, paths_of: pd.Series, refused: list[str]) -> dict[str, Any]:
    """Return what preprocess would find of twins and patients, and the splits it would draw."""
    table, pairs = preprocess.find_patients(scans, settings)
    rng = np.random.default_rng(settings.seed)
    drawn = _tried(lambda: preprocess.assign_splits(table, {}, settings, rng), refused)
    split = table["split"] if drawn is None else drawn["given"]
    both = [sorted(split.iloc[[pair.row_a, pair.row_b]].replace("", "no split")) for pair in pairs.itertuples()]
    by_split = pd.Series([" and ".join(names) for names in both], dtype=str).value_counts().sort_index()
    twins = {"pairs": len(pairs)} if drawn is None else leakage.summary(drawn, pairs)
    clashes = leakage.conflicts(table)
    named = clashes.assign(file=clashes["image_id"].map(paths_of))
    groups = [
        [{"file": row.file, "label": row.label, "split": row.split} for row in group.itertuples()]
        for _, group in named.groupby("group")
    ]
    pairs_by_split = {str(name): int(count) for name, count in by_split.items()}
    patients = {} if drawn is None else {"patients": leakage.patients(drawn)}
    return {"twins": twins | {"pairs_by_split": pairs_by_split}, "clashes": groups, **patients}


def as_text(result: dict[str, Any]) -> str:
    """Return the findings as text."""
    lines = [line for name, own in result.get("sets", {}).items() for line in _set_lines(name, own)]
    bad = result["unreadable"]
    lines += [f"unreadable: {len(bad)}", *_some([f"{each['file']}: {each['reason']}" for each in bad])]
    if "images" in result:
        lines += _image_lines(result["images"])
        lines += [f"without a head: {len(result['without_head'])}", *_some(result["without_head"])]
    if result.get("masks", {}).get("values"):
        lines += _mask_lines(result["masks"])
    if "twins" in result:
        lines += _twin_lines(result["twins"], result["clashes"])
    if "patients" in result:
        lines += _patient_lines(result["patients"])
    ends = [f"A run would be refused: {reason}" for reason in result["refused"]]
    return "\n".join([*lines, *(ends or ["Nothing found for which a run would be refused."]), f"{NOT_CLINICAL}."])


def _set_lines(name: str, own: dict[str, Any]) -> list[str]:
    volumes = f", {own['volumes']} volumes" if own["volumes"] else ""
    patients = f"{own['patients']} patients" if own["patients"] else "patients not known"
    lines = [f"{name}: {own['images']} images, {own['masks']} with a mask{volumes}, {patients}"]
    lines += [f"  {split if split != 'none' else 'no split'}: {_tally(row)}" for split, row in own["counts"].items()]
    for problem, told in (
        ("ignored files", _tally(own["ignored"])),
        ("patients in several splits", str(own["patients_in_several_splits"] or "")),
        (
            "counts differ from the known set",
            ", ".join(f"{place} {n['found']} instead of {n['expected']}" for place, n in own["differences"].items()),
        ),
    ):
        lines += [f"  {problem}: {told}"] if told else []
    return lines


def _image_lines(own: dict[str, Any]) -> list[str]:
    sizes = own["sizes_px"]
    common = ", ".join(f"{size} {count}" for size, count in list(sizes.items())[:3])
    more = f" and {len(sizes) - 3} other sizes" if len(sizes) > 3 else ""
    low, high = own["spacing_mm"] or (0, 0)
    spacing = f"{low:g} to {high:g} mm, stated by {own['spacing_stated']} of {own['readable']}"
    return [
        f"sizes: {common}{more}; {own['not_square']} not square",
        f"modes: {_tally(own['modes'])}",
        f"spacing: {spacing if own['spacing_mm'] else 'not stated, so that areas are in pixels'}",
    ]


def _mask_lines(own: dict[str, Any]) -> list[str]:
    values = [f"{value} in {count}" for value, count in own["values"].items()]
    more = f"; and {len(values) - 3} other lists of values" if len(values) > 3 else ""
    lines = [f"masks: {'; '.join(values[:3])}{more}"]
    for kind, files in own["unlikely"].items():
        lines += [f"  {len(files)} {kind}:", *(f"  {line}" for line in _some(files))]
    return lines


def _twin_lines(twins: dict[str, Any], clashes: list[list[dict[str, str]]]) -> list[str]:
    by_split = twins["pairs_by_split"]
    lines = [f"twins: {twins['pairs']} pairs" + (f" ({_tally(by_split)})" if by_split else "")]
    if "dropped_from" in twins:
        dropped = ", ".join(f"{sum(row.values())} from {split}" for split, row in twins["dropped_from"].items())
        lines += [f"  test images with a twin in training: {sum(twins['test_with_training_twin'].values())}"]
        lines += [f"  left out by preprocess.duplicates: {dropped or 'none'}"]
        lines += [f"  for {split} stay: {_tally(row)}" for split, row in twins["after"].items()]
    told = [", ".join(f"{each['file']} ({each['label']})" for each in group) for group in clashes]
    return [*lines, f"twins with different labels: {len(clashes)} groups", *_some(told)]


def _patient_lines(found: dict[str, dict[str, int]]) -> list[str]:
    test = found["test"]
    known = _tally({split: own["known"] for split, own in found.items()})
    recognised, without = (sum(own[key] for own in found.values()) for key in ("recognised", "images_without"))
    return [
        f"patients known or recognised: {known}; {recognised} images recognised, {without} of nobody that is known",
        f"  {test['seen_in_training']} of {test['known']} known test patients are in training or validation too, by "
        f"images with a class; {test['seen_in_training_masked']} by images with a mask",
    ]


def _tally(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _some(lines: list[str]) -> list[str]:
    more = [f"  and {len(lines) - LISTED} more (--json has all)"] if len(lines) > LISTED else []
    return [f"  {line}" for line in lines[:LISTED]] + more
