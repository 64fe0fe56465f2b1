"""Segment: outline the tumour on every test image by each method, and score the outlines where the truth is known.

Reads `data/raw` (the true masks on the files' own pixels), `data/processed/test`, `models/unet` and
`models/classifier`. Writes `data/segmentation`: `masks-<method>.npy`, `rows.csv` (one row an image and method),
`scores.json` (with 95 % intervals) and `overlays-<method>.png` with the best, median and worst cases.
"""

import argparse
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator
from tqdm import tqdm

from brainmri import galleries, kmeans, kmeans_brain, predict, unet
from brainmri.errors import exit_on_error
from brainmri.files import create_array, new_directory, read_json, write_json, write_table
from brainmri.index import Split, read_split
from brainmri.kmeans import KMeansParams
from brainmri.kmeans_brain import KMeansBrainParams
from brainmri.labels import NO_TUMOUR
from brainmri.mask_scores import COLUMNS, method_scores, score_rows
from brainmri.native import native_truths
from brainmri.params import Section, Seed, load
from brainmri.saliency import classifier_evidence

AT_ONCE = 256  # images that the U-Net gets, so that memory stays flat


class Params(Section):
    """Section `segment`."""

    seed: Seed
    bootstrap: Annotated[int, Field(ge=100, le=100_000)]
    methods: Annotated[list[Literal["kmeans", "kmeans_brain", "unet"]], Field(min_length=1, max_length=3)]
    gate: bool
    guide: bool  # whether kmeans_brain is given the classifier's evidence
    size_bounds_px: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]
    kmeans: KMeansParams
    kmeans_brain: KMeansBrainParams

    @field_validator("methods")
    @classmethod
    def _each_once(cls, methods: list[str]) -> list[str]:
        if len(set(methods)) < len(methods):
            raise ValueError("different from each other")
        return methods

    @field_validator("size_bounds_px")
    @classmethod
    def _rising(cls, bounds: list[int]) -> list[int]:
        if bounds[0] >= bounds[1]:
            raise ValueError("rising")
        return bounds


def run(params: Params, raw: Path, test: Path, unet_folder: Path, classifier_folder: Path, out: Path) -> None:
    """Segment every image of folder `test` by each method; write to `out`."""
    split = read_split(test)
    clear = called_clear(classifier_folder, test, split) if params.gate else None
    scores: dict[str, Any] = {}
    with new_directory(out) as folder:
        masks: dict[str, np.ndarray] = {}
        for method in params.methods:
            answers = method_masks(method, params, split, test, unet_folder, classifier_folder)
            if answers is None:
                reason = read_json(unet_folder / "skipped.json")["reason"]
                print(f"segment: method {method} left out: {reason}")
                scores[method] = {"skipped": reason}
                continue
            masks[method] = create_array(folder / f"masks-{method}.npy", split.images.shape[:3])
            for at, mask in enumerate(
                tqdm(answers, f"segment {method}", len(split.index), unit="image", mininterval=1)
            ):
                masks[method][at] = mask
        tables = score_all(split, masks, raw, test)
        nothing = tables.pop("")
        for name, table in tables.items():
            scores[name] = method_scores(table, nothing, clear, params.size_bounds_px, params.seed, params.bootstrap)
            draw_overlays(folder / f"overlays-{name}.png", split, masks[name], table, name)
        rows = [table.assign(method=name, called_clear=clear) for name, table in tables.items()]
        write_table(
            folder / "rows.csv", pd.concat(rows) if rows else pd.DataFrame(columns=[*COLUMNS, "method", "called_clear"])
        )
        write_json(folder / "scores.json", scores)


def method_masks(
    method: str, params: Params, split: Split, test: Path, unet_folder: Path, classifier_folder: Path
) -> Iterator[np.ndarray] | None:
    """Return an iterator over the masks `(S, S)` that a method gives, or None for a U-Net that was not trained."""
    if method == "unet":
        network = unet.load_unet(unet_folder)
        if network is None:
            return None
        unet.require_same_images(network, test)
        starts = range(0, len(split.images), AT_ONCE)
        return (mask for at in starts for mask in unet.unet_masks(network, split.images[at : at + AT_ONCE]))
    pictures = (np.ascontiguousarray(image[..., 0]) for image in split.images)
    if method == "kmeans_brain":
        guides = evidence_maps(classifier_folder, test, split) if params.guide else repeat(None, len(split.images))
        pairs = zip(pictures, guides, strict=True)
        return (kmeans_brain.segment(picture, params.kmeans_brain, guide) for picture, guide in pairs)
    return (kmeans.segment(picture, **params.kmeans.model_dump()) for picture in pictures)


def evidence_maps(folder: Path, test: Path, split: Split) -> Iterator[np.ndarray]:
    """Yield where the classifier sees evidence for the likeliest kind of tumour, `(S, S)` for each image."""
    classifier = loaded(folder, test)
    tumours = np.array([at for at, name in enumerate(classifier.classes) if name != NO_TUMOUR])
    for at in range(0, len(split.images), AT_ONCE):
        images, table = split.images[at : at + AT_ONCE], split.index.iloc[at : at + AT_ONCE]
        likeliest = predict.class_probabilities(classifier, images, table)[:, tumours].argmax(axis=1)
        yield from classifier_evidence(classifier, images, table, tumours[likeliest])


def loaded(folder: Path, test: Path) -> predict.Classifier:
    """Load the classifier, if its images were made as those of `test`."""
    classifier = predict.load_classifier(folder)
    predict.require_same_images(classifier, test)
    return classifier


def called_clear(folder: Path, test: Path, split: Split) -> np.ndarray | None:
    """Return for each image whether the classifier calls it free of tumour; None if it knows no such class."""
    classifier = loaded(folder, test)
    if NO_TUMOUR not in classifier.classes:
        print(f"segment: no gate, because the classifier knows no class {NO_TUMOUR}, only {classifier.classes}")
        return None
    likeliest: np.ndarray = predict.class_probabilities(classifier, split.images, split.index).argmax(axis=1)
    return likeliest == classifier.classes.index(NO_TUMOUR)


def score_all(split: Split, masks: dict[str, np.ndarray], raw: Path, test: Path) -> dict[str, pd.DataFrame]:
    """Return the rows of each method, and under the empty name those of empty masks."""
    empty = np.broadcast_to(np.uint8(0), split.images.shape[:3])
    truths = tqdm(native_truths(raw, split.index), "score", len(split.index), unit="image", mininterval=1)
    fit = read_json(test / "preprocess.json")["params"]["fit"]
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
        ("unet", "folder that train_unet wrote"),
        ("classifier", "folder that train wrote"),
        ("out", "folder to write"),
    ):
        parser.add_argument(name, type=Path, help=text)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    run(load(args.params, "segment", Params), args.raw, args.test, args.unet, args.classifier, args.out)


if __name__ == "__main__":
    exit_on_error(main)
