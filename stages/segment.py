"""Segment: outline the tumour by each method on every test image and on external sets, score where the truth is known.

Reads `data/raw` (the true masks on the files' own pixels), `data/processed/test`, `data/processed/external`,
`models/unet` and `models/classifier`. Writes `data/segmentation`: `masks-<method>.npy`, `rows.csv` (one row an image
and method), `scores.json` (with 95 % intervals) and `overlays-<method>.png` with the best, median and worst cases; the
same but the scores in a folder `external-<name>` for each external set with masks, whose scores `scores.json` has under
`external`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from brainmri.core.errors import exit_on_error
from brainmri.core.files import create_array, new_directory, read_record, write_json, write_table
from brainmri.core.index import Split, read_split
from brainmri.core.labels import NO_TUMOUR
from brainmri.core.manifest import EXTERNAL, external_counts
from brainmri.core.params import load
from brainmri.models.classifier import Classifier, class_probabilities, load_classifier
from brainmri.models.model_files import require_same_images
from brainmri.models.unet import Unet, why_no_unet
from brainmri.parallel.pieces import each_piece
from brainmri.preprocessing.image_params import MadeWith
from brainmri.preprocessing.masks import native_truths
from brainmri.reporting import galleries
from brainmri.scoring.mask_scores import method_scores, score_rows
from brainmri.scoring.records import COLUMNS
from brainmri.segmentation import outlining
from brainmri.segmentation.methods import METHODS, Tools, usable
from brainmri.segmentation.segment_params import SegmentParams


class Params(SegmentParams):
    """Section `segment`."""


def run(
    params: Params, raw: Path, test: Path, external: Path, unet_folder: Path, classifier_folder: Path, out: Path
) -> None:
    """Segment every image of folder `test`, and of the masked sets in `external`, by each method; write to `out`."""
    needed = params.gate or (params.guide and any(METHODS[name].takes_evidence for name in params.methods))
    classifier = load_fitting(classifier_folder, (test, external)) if needed else None
    tools = Tools(params, fitting_unet(params, unet_folder, (test, external)))
    guide = classifier_folder if params.guide else None
    skipped = {name: why_no_unet(unet_folder) for name in unusable(params, tools)}
    for name, reason in skipped.items():
        print(f"segment: method {name} left out: {reason}")
    fit = read_record(test / "preprocess.json", MadeWith).params.fit
    work = Work(params, raw, fit, classifier, skipped, unet_folder, guide)
    with new_directory(out) as folder:
        scores = segment(work, Masked(test, read_split(test)), folder)
        elsewhere = {}
        for name, found in masked_sets(external).items():
            (folder / f"{EXTERNAL}{name}").mkdir()
            elsewhere[name] = segment(work, found, folder / f"{EXTERNAL}{name}")
        write_json(folder / "scores.json", scores | ({"external": elsewhere} if elsewhere else {}))


class Work(NamedTuple):
    """What every set is outlined and scored with."""

    params: Params
    raw: Path
    fit: str  # how the images met the square grid
    classifier: Classifier | None  # for the gate
    skipped: dict[str, str]  # methods that cannot be used, and why
    unet: Path  # its folder
    guide: Path | None  # folder of the classifier whose evidence a method takes into account


class Masked(NamedTuple):
    """A set to outline."""

    folder: Path  # of its arrays
    split: Split
    start: int = 0  # row of its first image in them


def unusable(params: Params, tools: Tools) -> list[str]:
    """Return the methods that cannot be used."""
    return [name for name in params.methods if name not in usable(tools)]


def masked_sets(folder: Path) -> dict[str, Masked]:
    """Return each external set with masks by its name; its rows stand together, so that no array is copied."""
    whole = read_split(folder)
    of_set = whole.index["set"].to_numpy(str)
    found = {}
    for name, counts in external_counts(folder).items():
        rows = np.flatnonzero(of_set == EXTERNAL + name)
        if counts["masked"]:
            part = slice(rows[0], rows[-1] + 1)
            own = Split(whole.index.iloc[part].reset_index(drop=True), whole.images[part], whole.masks)
            found[name] = Masked(folder, own, int(rows[0]))
        elif counts["with_mask"]:
            print(f"segment: external set {name}: no mask is left of {counts['images']} images")
    return found


def segment(work: Work, found: Masked, folder: Path) -> dict[str, Any]:
    """Outline every image of a set by each method; write masks, rows and overlays, and return the scores."""
    params, skipped, split = work.params, work.skipped, found.split
    clear = called_clear(work.classifier, split) if params.gate and work.classifier else None
    masks: dict[str, np.ndarray] = {}
    for name in (name for name in params.methods if name not in skipped):
        masks[name] = create_array(folder / f"masks-{name}.npy", split.images.shape[:3])
        outline_all(masks[name], name, found, work, folder)
    tables = score_all(split, masks, work.raw, work.fit)
    nothing = tables.pop("")
    scores: dict[str, Any] = {
        name: {"title": METHODS[name].title, "skipped": reason} for name, reason in skipped.items()
    }
    for name, table in tables.items():
        own = method_scores(table, nothing, clear, params.size_bounds_px, params.seed, params.bootstrap)
        scores[name] = {"title": METHODS[name].title, **own}
        draw_overlays(folder / f"overlays-{name}.png", split, masks[name], table, name)
    rows = [table.assign(method=name, called_clear=clear) for name, table in tables.items()]
    write_table(
        folder / "rows.csv", pd.concat(rows) if rows else pd.DataFrame(columns=[*COLUMNS, "method", "called_clear"])
    )
    return scores


def fitting_unet(params: Params, folder: Path, images: Sequence[Path]) -> Unet | None:
    """Load the U-Net where a method needs it; None where none does, and where it was not trained."""
    if not any(METHODS[name].needs_unet for name in params.methods):
        return None
    network = outlining.kept_unet(folder)
    if network is not None:
        for place in images:
            require_same_images(place, network.image_params)
    return network


def outline_all(masks: np.ndarray, name: str, found: Masked, work: Work, folder: Path) -> None:
    """Write the masks that a method gives into `masks` (N, S, S); in `folder` workers may leave parts of them."""
    index = found.split.index.set_axis(range(found.start, found.start + len(masks)))
    params = SegmentParams(**work.params.model_dump())  # not this script's own, which no worker knows
    guide = work.guide if METHODS[name].takes_evidence else None
    parts = outlining.pieces(name, params, found.folder / "images.npy", index, work.unet, guide)
    at = 0
    for _, arrays in each_piece(outlining.outline_piece, parts, folder, f"segment {name}"):
        masks[at : at + len(arrays["masks"])] = arrays["masks"]
        at += len(arrays["masks"])


def load_fitting(folder: Path, images: Sequence[Path]) -> Classifier:
    """Load the classifier, if its images were made as those of the folders `images`."""
    classifier = load_classifier(folder)
    for place in images:
        require_same_images(place, classifier.image_params, classifier.classes)
    return classifier


def called_clear(classifier: Classifier, split: Split) -> np.ndarray | None:
    """Return for each image whether the classifier calls it free of tumour; None if it knows no such class."""
    if NO_TUMOUR not in classifier.classes:
        print(f"segment: no gate, because the classifier knows no class {NO_TUMOUR}, only {classifier.classes}")
        return None
    likeliest: np.ndarray = class_probabilities(classifier, split.images, split.index).argmax(axis=1)
    return likeliest == classifier.classes.index(NO_TUMOUR)


def score_all(split: Split, masks: dict[str, np.ndarray], raw: Path, fit: str) -> dict[str, pd.DataFrame]:
    """Return the rows of each method, and under the empty name those of empty masks."""
    empty = np.broadcast_to(np.uint8(0), split.images.shape[:3])
    truths = tqdm(native_truths(raw, split.index), "score", len(split.index), unit="image", mininterval=1)
    return score_rows(split, {**masks, "": empty}, truths, fit)


def draw_overlays(path: Path, split: Split, masks: np.ndarray, table: pd.DataFrame, method: str) -> None:
    """Draw the best, median and worst cases by Dice, eight each; without true masks, the first 24 images."""
    ranked = table[table["truth_px"] > 0].sort_values("dice", ascending=False, kind="stable").index.to_numpy()
    middle = max(0, len(ranked) // 2 - 4)
    shown = np.unique(np.r_[0:8, middle : middle + 8, len(ranked) - 8 : len(ranked)].clip(0, max(0, len(ranked) - 1)))
    rows = ranked[shown] if len(ranked) else table.index[:24].to_numpy()
    pictures, captions = [], []
    for at in rows:
        mask_row = split.index.at[at, "mask_row"]
        truth = split.masks[mask_row].astype(bool) if mask_row >= 0 else None
        pictures.append(galleries.outlined(split.images[at, ..., 0], truth, masks[at].astype(bool)))
        dice = table.at[at, "dice"]
        captions.append(f"{table.at[at, 'label'] or 'unlabelled'}" + ("" if np.isnan(dice) else f", Dice {dice:.2f}"))
    title = f"{method}: prediction in orange, truth in blue" + (", best to worst by Dice" if len(ranked) else "")
    galleries.grid(path, pictures, captions, title, 8, empty="no test images")


def main() -> None:
    """Read the command line and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, text in (
        ("raw", "folder that fetch wrote"),
        ("test", "test folder that preprocess wrote"),
        ("external", "folder of external sets that preprocess wrote"),
        ("unet", "folder that train_unet wrote"),
        ("classifier", "folder that train wrote"),
        ("out", "folder to write"),
    ):
        parser.add_argument(name, type=Path, help=text)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    run(load(args.params, "segment", Params), args.raw, args.test, args.external, args.unet, args.classifier, args.out)


if __name__ == "__main__":
    exit_on_error(main)
