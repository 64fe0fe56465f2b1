"""Segment: outline the tumour on every test image, and score the outlines where the truth is known.

Reads `data/processed/test`. Writes `data/segmentation`: `masks-<method>.npy`, `rows.csv` (one row an image and method),
`scores.json` (with 95 % intervals) and `overlays-<method>.png` with the best, median and worst cases.
"""

import argparse
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator
from tqdm import tqdm

from brainmri import galleries, intervals, kmeans, overlap
from brainmri.errors import exit_on_error
from brainmri.files import create_array, new_directory, write_json, write_table
from brainmri.index import Split, read_split
from brainmri.labels import NO_TUMOUR
from brainmri.params import Section, Seed, load

MEASURES = ("dice", "iou", "hd95", "assd", "sensitivity", "precision", "specificity", "size_error_relative")


class KMeansParams(Section):
    """Section `segment.kmeans`: the seed's method."""

    k: Annotated[int, Field(ge=2, le=16)]
    kernel: Annotated[int, Field(ge=1, le=63)]
    erosions: Annotated[int, Field(ge=0, le=20)]
    dilations: Annotated[int, Field(ge=0, le=20)]

    @field_validator("kernel")
    @classmethod
    def _odd(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError("odd, so that it has a centre")
        return kernel


class Params(Section):
    """Section `segment`."""

    seed: Seed
    bootstrap: Annotated[int, Field(ge=100, le=100_000)]
    methods: Annotated[list[Literal["kmeans"]], Field(min_length=1, max_length=1)]
    kmeans: KMeansParams


def run(params: Params, test: Path, out: Path) -> None:
    """Segment every image of folder `test` by each method; write to `out`."""
    split = read_split(test)
    rows, scores = [], {}
    with new_directory(out) as folder:
        for method in params.methods:
            masks = create_array(folder / f"masks-{method}.npy", split.images.shape[:3])
            for at in tqdm(range(len(masks)), f"segment {method}", unit="image", mininterval=1):
                masks[at] = kmeans.segment(np.ascontiguousarray(split.images[at, ..., 0]), **params.kmeans.model_dump())
            table = score_rows(split, masks)
            scores[method] = method_scores(table, params)
            rows.append(table.assign(method=method))
            draw_overlays(folder / f"overlays-{method}.png", split, masks, table, method)
        write_table(folder / "rows.csv", pd.concat(rows))
        write_json(folder / "scores.json", scores)


def score_rows(split: Split, masks: np.ndarray) -> pd.DataFrame:
    """Return one row an image: who it is, the predicted area and, where there is a true mask, every measure."""
    rows = []
    for at, image in enumerate(split.index.itertuples()):
        spacing = (image.voxel_row_mm, image.voxel_col_mm)
        known = not np.isnan(spacing).any()
        row = {"image_id": image.image_id, "label": image.label, "set": image.set, "unit": image.unit}
        row["area_px"] = int(masks[at].sum())
        row["area_mm2"] = row["area_px"] * spacing[0] * spacing[1] if known else np.nan
        if image.mask_row >= 0:
            truth = split.masks[image.mask_row].astype(bool)
            row["truth_px"] = int(truth.sum())
            row |= overlap.compare(truth, masks[at].astype(bool))
            in_mm = overlap.compare(truth, masks[at].astype(bool), spacing) if known else {}
            row |= {f"{name}_mm": in_mm.get(name, np.nan) for name in ("hd95", "assd")}
        rows.append(row)
    columns = ["image_id", "label", "set", "unit", "area_px", "area_mm2", "truth_px", *MEASURES, "hd95_mm", "assd_mm"]
    return pd.DataFrame(rows).reindex(columns=[*columns, "one_empty"])


def method_scores(table: pd.DataFrame, params: Params) -> dict[str, Any]:
    """Summarise the measures over images with a tumour in truth: all of them, and by class; with intervals."""
    tumour = table[table["truth_px"] > 0]
    clear = table[(table["label"] == NO_TUMOUR) | (table["truth_px"] == 0)]
    result: dict[str, Any] = {
        "images": len(table),
        "images_with_tumour_mask": len(tumour),
        "false_positive_area_px": {"images": len(clear), "mean": float(clear["area_px"].mean())},
    }
    labels = sorted(label for label in tumour["label"].unique() if label)
    for name, part in [("all", tumour), *((label, tumour[tumour["label"] == label]) for label in labels)]:
        if len(part):
            result[name] = _summary(part, params)
    return result


def _summary(part: pd.DataFrame, params: Params) -> dict[str, Any]:
    columns = {name: part[name].to_numpy(float) for name in (*MEASURES, "hd95_mm", "assd_mm")}
    summary: dict[str, Any] = {name: overlap.summary(values) for name, values in columns.items()}
    found = intervals.bootstrap(
        part["unit"].to_numpy(),
        lambda weights: overlap.weighted(columns, weights),
        np.random.default_rng(params.seed),
        params.bootstrap,
    )
    # Where one of the two masks is empty there is no distance: HD95 counts the frame's diagonal. Say how often.
    summary["one_empty"] = int(part["one_empty"].sum())
    for name in columns:
        bounds = found[f"{name}.mean"]
        summary[name]["mean_ci95"] = {"low": bounds["low"], "high": bounds["high"]}
    return summary


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
    parser.add_argument("test", type=Path, help="test folder that preprocess wrote")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    run(load(args.params, "segment", Params), args.test, args.out)


if __name__ == "__main__":
    exit_on_error(main)
