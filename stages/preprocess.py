"""Preprocess: decode every stored image to the square grid, window it, find twins and patients, decide the splits.

Reads `data/raw` (shards and manifest) and `exclude.csv` (images that a person took out). Writes
`data/processed/{train,val,test}` (`images.npy`, `masks.npy`, `index.csv`, `preprocess.json`),
`data/processed/summary` (counts, histograms, twins, conflicts of labels, pictures), and `data/processed/external`: of
the sets that are never learnt from, what training has not seen, in the same files, and `counts.json`, what was left
out. Where there is no such set, it is empty.
The splits are drawn here, once; every later stage takes them as they are. External sets have no part in that.
"""

import argparse
import shutil
import sys
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from brainmri.core.errors import InputError, exit_on_error
from brainmri.core.files import create_array, new_directory, write_json, write_table
from brainmri.core.index import COLUMNS
from brainmri.core.labels import class_names
from brainmri.core.manifest import EXTERNAL, read_manifest
from brainmri.core.params import Seed, load
from brainmri.preprocessing import external, known_patients, leakage, masks, splits
from brainmri.preprocessing.exclusions import read_exclusions
from brainmri.preprocessing.head import shows_head
from brainmri.preprocessing.image_params import ImageParams
from brainmri.preprocessing.scans import Scans, read_set
from brainmri.reporting import galleries

Share = Annotated[float, Field(gt=0, le=0.5)]


class Params(ImageParams):
    """Section `preprocess`: the image params, and what decides the splits."""

    seed: Seed
    split: Literal["source", "patient"]
    folds: Annotated[int, Field(ge=2, le=20)]
    fold: Annotated[int, Field(ge=0)]
    val_fraction: Share
    test_fraction: Share
    duplicates: Literal["report", "drop", "drop_neighbours"]
    twin_threshold: Annotated[float, Field(ge=0.9, lt=1)]
    neighbour_threshold: Annotated[float, Field(ge=0.8, lt=1)]
    twin_mirror: bool
    known_patients: bool
    max_bad: Annotated[float, Field(ge=0, le=1)]

    @model_validator(mode="after")
    def _twins_are_neighbours(self) -> Self:
        if self.neighbour_threshold > self.twin_threshold:
            raise ValueError(f"a neighbour_threshold up to the twin_threshold, here {self.twin_threshold}")
        return self

    @model_validator(mode="after")
    def _fold_is_one_of_them(self) -> Self:
        if self.fold >= self.folds:
            raise ValueError(f"a fold below the number of folds, here {self.folds}")
        return self

    def image_params(self) -> ImageParams:
        """Return the part that changes pixels, which travels with the arrays, with the model and to workers."""
        return ImageParams(**{name: getattr(self, name) for name in ImageParams.model_fields})


def run(params: Params, raw: Path, exclude: Path, out: Path) -> None:
    """Preprocess the set in folder `raw`, without the images that `exclude` names, into the five folders of `out`."""
    manifest = read_manifest(raw)
    excluded = read_exclusions(exclude, manifest["image_id"])
    elsewhere = manifest["set"].str.startswith(EXTERNAL)
    manifest, others = manifest[~elsewhere], manifest[elsewhere]
    rng = np.random.default_rng(params.seed)
    with new_directory(out) as folder:
        pool = folder / "pool"
        pool.mkdir()
        scans = read_set(raw, manifest, params.image_params(), pool, "preprocess")
        refuse_too_many_bad(scans.bad[~scans.bad["image_id"].isin(excluded)], len(manifest), params.max_bad)
        warn_of_missing_windows(scans, params)
        warn_of_missing_heads(scans)
        masks.refuse_all_empty(scans.mask_facts)
        warn_of_masks(scans)
        table, pairs = find_patients(scans, params)
        table = assign_splits(table, excluded, params, rng)
        classes = class_names(table["label"])
        freed = read_external(params, raw, others, excluded, scans, table, pool / "external")
        parts = {name: (scans, table[table["split"] == name]) for name in ("train", "val", "test")}
        for name, (source, rows) in {**parts, "external": (freed.scans, freed.rows)}.items():
            (folder / name).mkdir()
            write_split(folder / name, source, rows)
            write_json(
                folder / name / "preprocess.json", {"classes": classes, "params": params.image_params().model_dump()}
            )
        write_json(folder / "external/counts.json", freed.counts)
        write_summary(folder / "summary", scans, table, pairs, excluded_counts(manifest, excluded))
        draw_pictures(folder / "summary", scans, table, pairs, rng)
        shutil.rmtree(pool)


def refuse_too_many_bad(bad: pd.DataFrame, count: int, max_bad: float) -> None:
    """Stop where more than a share `max_bad` of the images cannot be read, naming the first of them."""
    warn_of_bad(bad)
    if len(bad) > max_bad * count or len(bad) == count:
        first = "; ".join(f"{row.image_id}: {row.reason}" for row in bad.head(3).itertuples())
        raise InputError(
            f"preprocess: at most a share of {max_bad} of the images may be unreadable (preprocess.max_bad), "
            f"received {len(bad)} of {count} ({first}); mend or remove them, data/raw/manifest.csv has their paths"
        )


def warn_of_bad(bad: pd.DataFrame) -> None:
    """Name each image that cannot be read."""
    for row in bad.itertuples():
        print(f"warning: image {row.image_id} left out: {row.reason}", file=sys.stderr)


def warn_of_missing_windows(scans: Scans, params: Params) -> None:
    """Say how many scans have no window of their own, where that was asked for."""
    if params.window_source != "dicom" or not len(scans.table):
        return
    missing = int((~(scans.table["window_low"] < scans.table["window_high"])).sum())
    if missing:
        print(
            f"warning: {missing} of {len(scans.table)} images name no window of their own; theirs are percentiles",
            file=sys.stderr,
        )


def warn_of_missing_heads(scans: Scans) -> None:
    """Name the images that cannot show a head; a person may list them in `exclude.csv`."""
    for image_id in scans.table.loc[~shows_head(scans.table), "image_id"]:
        print(f"warning: image {image_id} shows no head: nothing but one level or noise", file=sys.stderr)


def warn_of_masks(scans: Scans) -> None:
    """Say how many masks are not what one expects of a tumour's, and name the first of them."""
    for kind, ids in masks.unlikely(scans.mask_facts).items():
        named = f"the first are of images {', '.join(ids[:3])}"
        print(f"warning: {len(ids)} of {len(scans.mask_facts)} masks {kind}; {named}", file=sys.stderr)


def find_patients(scans: Scans, params: Params) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the index with groups of look-alikes and with known patients, and the table of pairs of twins."""
    thumbnails = scans.thumbnails[: len(scans.table)]
    limits = (params.twin_threshold, params.neighbour_threshold, params.twin_mirror)
    table, pairs = leakage.find(scans.table, thumbnails, scans.images, *limits)
    if params.known_patients:
        return known_patients.with_patients(table, thumbnails, known_patients.read_table()), pairs
    return table.assign(recognised=False, known_fold=-1), pairs


def assign_splits(
    table: pd.DataFrame, excluded: dict[str, str], params: Params, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the table with `split`, `unit`, the marks of `leakage.mark` and what `leakage.drop` adds.

    Excluded images take part in the draw and leave after it, so that one more of them moves no other image.
    """
    if params.split == "patient":
        split, unit = splits.by_patient(table, params.val_fraction, params.folds, params.fold, rng)
        table = table.assign(split=split, unit=unit)
    else:
        table = assign_by_source(table, params, rng)
    table = leakage.mark(table)
    table.loc[table["image_id"].isin(excluded), "split"] = leakage.EXCLUDED
    table = leakage.drop(table, params.duplicates)
    if params.split == "patient":
        splits.require_apart(table)
    return table


def assign_by_source(table: pd.DataFrame, params: Params, rng: np.random.Generator) -> pd.DataFrame:
    """Return the table with `split` and `unit`, drawn set by set."""
    table = table.copy()
    start = 0
    for _, rows in table.groupby("set"):
        split, unit = splits.by_source(rows, params.val_fraction, params.test_fraction, rng)
        table.loc[rows.index, "split"] = split
        table.loc[rows.index, "unit"] = unit + start  # units of different sets are different
        start += int(unit.max()) + 1
    return table.astype({"unit": int})


def excluded_counts(manifest: pd.DataFrame, excluded: dict[str, str]) -> dict[str, dict[str, int]]:
    """Return how many images were excluded, by reason and class."""
    rows = manifest[manifest["image_id"].isin(excluded)]
    return leakage.counts(rows["label"].replace("", "unlabelled"), rows["image_id"].map(excluded))


def read_external(
    params: Params,
    raw: Path,
    manifest: pd.DataFrame,
    excluded: dict[str, str],
    scans: Scans,
    table: pd.DataFrame,
    scratch: Path,
) -> external.Freed:
    """Read the external sets, whose rows `manifest` has; tell what of them may be scored, and what became of the rest.

    Their arrays are written to `scratch`; those of the other sets are `scans`, whose splits `table` has.
    """
    if manifest.empty:
        return external.Freed(scans, table.iloc[:0], {})
    scratch.mkdir()
    others = read_set(raw, manifest, params.image_params(), scratch, "preprocess external")
    warn_of_bad(others.bad)
    warn_of_missing_windows(others, params)
    warn_of_masks(others)
    limits = (params.twin_threshold, params.neighbour_threshold, params.twin_mirror)
    known = known_patients.read_table() if params.known_patients else None
    rows = external.judged(scans, table["split"], others, *limits, known)
    rows.loc[rows["image_id"].isin(excluded), "split"] = leakage.EXCLUDED
    counts = external.counts(manifest, rows, list(excluded), class_names(table["label"]))
    for name, found in counts.items():
        print(f"preprocess: external set {name}: {external.said(found)}")
    return external.Freed(others, external.kept(rows), counts)


def write_split(folder: Path, scans: Scans, rows: pd.DataFrame) -> None:
    """Write the arrays and the table of one split."""
    images = create_array(folder / "images.npy", (len(rows), *scans.images.shape[1:]))
    masked = rows.index[rows["has_mask"]]
    stored_masks = create_array(folder / "masks.npy", (len(masked), *scans.masks.shape[1:]))
    for to, at in enumerate(rows.index):
        images[to] = scans.images[at]
    for to, at in enumerate(masked):
        stored_masks[to] = scans.masks[at]
    mask_row = np.where(rows["has_mask"], rows["has_mask"].cumsum() - 1, -1)
    write_table(folder / "index.csv", rows.assign(mask_row=mask_row)[list(COLUMNS)])


def write_summary(
    folder: Path, scans: Scans, table: pd.DataFrame, pairs: pd.DataFrame, excluded: dict[str, dict[str, int]]
) -> None:
    """Write what the report says of the data: counts, what was left out and why, twins, histograms."""
    folder.mkdir()
    labels = table["label"].replace("", "unlabelled")
    conflicts = leakage.conflicts(table)
    for row in conflicts[conflicts["split"] == "test"].itertuples():
        print(f"warning: test image {row.image_id} ({row.label}) has a twin with another label", file=sys.stderr)
    write_json(
        folder / "summary.json",
        {
            "classes": class_names(table["label"]),
            "images": {name: leakage.counts(labels[table["split"] == name]) for name in table["split"].unique()},
            "unreadable": scans.bad.to_dict("records"),
            "without_head": scans.table.loc[~shows_head(scans.table), "image_id"].tolist(),
            "excluded": excluded,
            "own_window": int((table["window_low"] < table["window_high"]).sum()),
            "masked": {name: int(table["has_mask"][table["split"] == name].sum()) for name in ("train", "val", "test")},
            "patients": leakage.patients(table),
            "twins": leakage.summary(table, pairs),
        },
    )
    write_table(folder / "histograms.csv", scans.histograms)
    write_table(folder / "twins.csv", pairs.drop(columns=["row_a", "row_b"]))
    write_table(folder / "conflicts.csv", conflicts)


def draw_pictures(
    folder: Path, scans: Scans, table: pd.DataFrame, pairs: pd.DataFrame, rng: np.random.Generator
) -> None:
    """Draw four images of each label, one window a picture, and twelve pairs of twins side by side."""
    pictures, captions = [], []
    for label, rows in table.groupby("label"):
        for at in rng.choice(rows.index, min(4, len(rows)), replace=False):
            for channel in range(min(3, scans.images.shape[3])):
                pictures.append(scans.images[at, :, :, channel])
                captions.append(f"{label or 'unlabelled'}, window {channel + 1}")
    galleries.grid(folder / "windows.png", pictures, captions, "What the network sees: each window is a channel", 12)
    shown = pairs.iloc[np.sort(rng.choice(len(pairs), min(12, len(pairs)), replace=False))]
    pictures = [np.hstack([scans.images[p.row_a, ..., 0], scans.images[p.row_b, ..., 0]]) for p in shown.itertuples()]
    captions = [
        f"{p.set_a} {p.split_a} {p.label_a}\n{p.set_b} {p.split_b} {p.label_b}\nsimilarity {p.similarity:.4f}"
        for p in shown.itertuples()
    ]
    galleries.grid(folder / "twins.png", pictures, captions, "Twins found", 3, empty="no twins found")


def main() -> None:
    """Read the command line and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path, help="folder that fetch wrote")
    parser.add_argument("exclude", type=Path, help="CSV of the images to leave out: image_id, reason")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    run(load(args.params, "preprocess", Params), args.raw, args.exclude, args.out)


if __name__ == "__main__":
    exit_on_error(main)
