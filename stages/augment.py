"""Augment: make seeded variants of the labelled training images.

Reads `data/processed/train`. Writes a folder for either value of `train.variants`, so that training depends on nothing
that it does not read: `data/augmented/stored` (`images.npy`; `index.csv`: image, label and the parameters drawn for
each variant, so that any of them can be made again) and `data/augmented/fresh` (`ranges.json`: what they were drawn
from, so that training can draw its own). `data/augmented/preview.png` shows some of the variants.
"""

import argparse
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field
from tqdm import tqdm

from brainmri.core.errors import exit_on_error
from brainmri.core.files import create_array, new_directory, write_json, write_table
from brainmri.core.index import Split, read_split
from brainmri.core.params import Seed, load
from brainmri.preprocessing.augmentation import VariationParams, copies, draw, vary
from brainmri.reporting import galleries


class Params(VariationParams):
    """Section `augment`."""

    seed: Seed
    copies: Annotated[int, Field(ge=0, le=100)]
    balance: bool


def run(params: Params, train: Path, out: Path) -> None:
    """Write the variants of the labelled images of folder `train` to folder `out`."""
    split = read_split(train)
    rng = np.random.default_rng(params.seed)
    labelled = split.index[split.index["label"] != ""]
    repeats = copies(labelled["label"], params.copies, params.balance)
    sources = np.repeat(labelled.index.to_numpy(), repeats)
    table = draw(len(sources), params, rng)
    table.insert(0, "row", sources)
    table.insert(1, "image_id", split.index["image_id"].to_numpy()[sources])
    table.insert(2, "label", split.index["label"].to_numpy()[sources])
    # Each by itself: `out` may hold what an earlier version wrote there.
    with new_directory(out / "stored") as stored, new_directory(out / "fresh") as fresh:
        images = create_array(stored / "images.npy", (len(table), *split.images.shape[1:]))
        rows = enumerate(table.to_dict("records"))
        for at, row in tqdm(rows, "augment", len(table), unit="image", mininterval=1):
            images[at] = vary(split.images[row["row"]], row)
        write_table(stored / "index.csv", table)
        write_json(fresh / "ranges.json", params.model_dump(include=set(VariationParams.model_fields)))
        draw_preview(stored / "preview.png", split, images, table, rng)
        (stored / "preview.png").replace(out / "preview.png")


def draw_preview(path: Path, split: Split, images: np.ndarray, table: pd.DataFrame, rng: np.random.Generator) -> None:
    """Draw eight variants, each beside the image it was made from."""
    pictures, captions = [], []
    for at in np.sort(rng.choice(len(table), min(8, len(table)), replace=False)):
        row = table.iloc[at]
        pictures += [split.images[row["row"], ..., 0], images[at, ..., 0]]
        captions += [row["label"], describe(row)]
    galleries.grid(path, pictures, captions, "Variants beside their originals", 4, empty="augment.copies is 0")


def describe(row: pd.Series) -> str:
    """Say in short lines what was drawn for a variant, leaving out what did not happen."""
    flips = "".join(name[0].upper() for name in ("horizontal_flip", "vertical_flip") if row[name])
    pose = [f"{row['rotation_deg']:+.0f}°", f"zoom {row['zoom']:.2f}", f"flip {flips}" if flips else ""]
    levels = [f"gamma {row['gamma']:.2f}", f"blur {row['blur_px']:.1f} px" if row["blur_px"] else ""]
    grain = [f"{name} {row[name]:.2f}" for name, off in (("coarse", 1), ("noise", 0)) if row[name] != off]
    return "\n".join(", ".join(filter(None, line)) for line in (pose, levels, grain) if line)


def main() -> None:
    """Read the command line and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path, help="training folder that preprocess wrote")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    run(load(args.params, "augment", Params), args.train, args.out)


if __name__ == "__main__":
    exit_on_error(main)
