"""Augmentation beside Keras's `ImageDataGenerator` and its preprocessing layers, in batches of 32.

The first three rows do the same: rotation, flip, zoom, shift and brightness, in the ranges of `params.yaml`. The last
is all that `params.yaml` asks for.
"""

import argparse

import keras
import numpy as np
from keras.src.legacy.preprocessing.image import ImageDataGenerator

from benchmarks.common import (
    PARAMS,
    arguments,
    arrays,
    batches,
    images,
    in_turns,
    like_image_data_generator,
    rate,
    ratio,
    table,
)
from brainmri.core.params import check
from brainmri.preprocessing.augmentation import VariationParams, draw, vary

BATCH = 32
ALL = check({name: PARAMS["augment"][name] for name in VariationParams.model_fields}, VariationParams, "augment")
SAME = ALL.model_copy(update=dict.fromkeys(("shear", "stretch", "coarse", "blur_px", "gamma", "noise", "erase"), 0))


def ours(pixels: np.ndarray, ranges: VariationParams) -> None:
    rows = draw(len(pixels), ranges, np.random.default_rng(0)).to_dict("records")
    batch = np.empty_like(pixels[:BATCH])
    for part in batches(len(pixels), BATCH):
        for at, (image, row) in enumerate(zip(pixels[part], rows[part], strict=True)):
            batch[at] = vary(image, row)


def generator(pixels: np.ndarray) -> None:
    made = ImageDataGenerator(**like_image_data_generator(SAME)).flow(pixels, batch_size=BATCH)
    for _ in range(len(made)):
        next(made)


def layers() -> keras.Sequential:
    turn, moved = SAME.rotation_deg / 360, SAME.shift
    border = {"fill_mode": "constant"}
    return keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(turn, **border),
            keras.layers.RandomZoom(SAME.zoom, **border),
            keras.layers.RandomTranslation(moved, moved, **border),
            keras.layers.RandomBrightness(SAME.brightness),
        ]
    )


def run(args: argparse.Namespace) -> str:
    pixels, _ = arrays(images(args), "train")
    pixels = pixels[: len(pixels) // BATCH * BATCH]
    floats, model = pixels.astype(np.float32), layers()
    sides = {
        "ours": lambda: ours(pixels, SAME),
        "ImageDataGenerator": lambda: generator(floats),
        "Keras layers": lambda: [model(floats[part], training=True) for part in batches(len(floats), BATCH)],
        "ours, everything": lambda: ours(pixels, ALL),
    }
    seconds = in_turns(sides, args.rounds)
    rows = [[name, rate(seconds, name, len(pixels)), ratio(seconds, name, "ours")] for name in sides]
    title = f"## Augmentation, {len(pixels)} images of {pixels.shape[1]} x {pixels.shape[2]} x {pixels.shape[3]}\n\n"
    return title + table(("side", "images per CPU second", "CPU seconds, ours = 1"), rows)


if __name__ == "__main__":
    print(run(arguments(__doc__)))
