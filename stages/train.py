"""Train: fit the classifier on the labelled training images and their variants.

Reads `data/processed/train`, `data/processed/val` and `data/augmented`; never the test split. Writes the folder
`models/classifier`: `model.keras`, `preprocess.json` (how its input has to be made, and its classes), `curves.csv`
and `versions.json`. Until it is done, its checkpoint stands in `.resume/`, which a killed run goes on from.
"""

import argparse
import platform
import shutil
from pathlib import Path
from typing import Annotated, Literal, Self

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from pydantic import Field, model_validator

from brainmri import closure, networks, training
from brainmri.errors import ArtifactError, InputError, exit_on_error
from brainmri.files import new_directory, open_array, read_json, write_json, write_table
from brainmri.index import Split, read_index, read_split
from brainmri.model_files import save_model
from brainmri.params import Section, Seed, load

Count = Annotated[int, Field(ge=1, le=4096)]


class Params(Section):
    """Section `train`."""

    seed: Seed
    architecture: Literal["cnn"]
    filters: Annotated[list[Count], Field(min_length=1, max_length=6)]
    pools: Annotated[list[Annotated[int, Field(ge=1, le=8)]], Field(min_length=1, max_length=6)]
    kernel: Annotated[int, Field(ge=1, le=11)]
    stride: Annotated[int, Field(ge=1, le=4)]
    dense: Count
    dropout: Annotated[float, Field(ge=0, lt=1)]
    epochs: Annotated[int, Field(ge=1, le=10000)]
    batch_size: Count
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    precision: Literal["float32", "mixed_bfloat16"]

    @model_validator(mode="after")
    def _a_pool_for_each_convolution(self) -> Self:
        if len(self.filters) != len(self.pools):
            raise ValueError(f"as many pools as filters, here {len(self.filters)}")
        return self


def run(params: Params, train: Path, val: Path, augmented: Path, out: Path, resume_root: Path) -> None:
    """Train a classifier on the folders `train` and `augmented`, choose its epoch on `val`, write it to `out`."""
    image_params = read_json(train / "preprocess.json")
    classes: list[str] = image_params["classes"]
    training.make_deterministic(params.seed, params.precision)
    batches = training_batches(read_split(train), augmented, classes, params)
    validation = validation_batches(read_split(val), classes, params)
    model = build(params, batches.arrays[0].shape[1:], len(classes))
    print(f"train: {len(batches.rows)} images, validation: {len(validation.rows)}, {model.count_params():,} weights")
    data = [folder / name for folder in (train, val, augmented) for name in ("images.npy", "index.csv")]
    resume = training.resume_folder(
        resume_root, {**params.model_dump(), **versions()}, [*data, train / "preprocess.json", *code()]
    )
    curves = training.fit(model, batches, validation, params.epochs, params.seed, resume)
    with new_directory(out) as folder:
        # Without its optimiser, whose moments are twice the weights and of no use to prediction.
        save_model(keras.Model(model.input, model.output, name=model.name), folder / "model.keras")
        shutil.copyfile(train / "preprocess.json", folder / "preprocess.json")
        write_table(folder / "curves.csv", pd.DataFrame(curves).astype({"epoch": int}))
        write_json(folder / "versions.json", versions())
    training.forget(resume)


def build(params: Params, input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Return the compiled, untrained network that the params name."""
    p = params
    try:
        model = networks.cnn(input_shape, classes, p.filters, p.pools, p.kernel, p.stride, p.dense, p.dropout)
    except ValueError as error:
        reason = str(error).partition("Exception encountered")[0].splitlines()[0] or "no pixel is left"
        raise InputError(
            f"train: the network should leave at least a pixel of an image of {input_shape[:2]} px, received filters "
            f"{p.filters}, pools {p.pools}, kernel {p.kernel} and stride {p.stride} ({reason}); "
            "use fewer filters, smaller pools or a larger preprocess.size"
        ) from None
    model.compile(keras.optimizers.Adam(p.learning_rate), "categorical_crossentropy", metrics=["accuracy"])
    return model


def training_batches(split: Split, augmented: Path, classes: list[str], params: Params) -> training.Batches:
    """Return the labelled training images followed by their variants, shuffled anew each epoch."""
    variants, table = open_array(augmented / "images.npy"), read_index(augmented)
    if len(table) != len(variants) or variants.shape[1:] != split.images.shape[1:]:
        raise ArtifactError(
            f"{augmented}: variants should fit their table and the training images {split.images.shape[1:]}, "
            f"received {len(table)} rows and an array of {variants.shape}; run `dvc repro augment`"
        )
    labelled = np.flatnonzero(split.index["label"] != "")
    rows = np.concatenate([labelled, len(split.images) + np.arange(len(variants))])
    labels = [*split.index["label"].iloc[labelled], *table["label"]]
    return _batches([split.images, variants], rows, labels, classes, params, params.seed)


def validation_batches(split: Split, classes: list[str], params: Params) -> training.Batches:
    """Return the labelled validation images in their own order."""
    labelled = np.flatnonzero(split.index["label"] != "")
    return _batches([split.images], labelled, split.index["label"].iloc[labelled].tolist(), classes, params, None)


def _batches(
    arrays: list[np.ndarray], rows: np.ndarray, labels: list[str], classes: list[str], params: Params, seed: int | None
) -> training.Batches:
    if not len(rows):
        raise InputError("train: training and validation need labelled images, received none; see fetch.local in docs/")
    numbers = np.array([classes.index(label) for label in labels])
    return training.Batches(arrays, rows, numbers, len(classes), params.batch_size, seed)


def code() -> list[Path]:
    """Return the files that this stage is made of: a checkpoint of other code is not gone on from."""
    root = Path(__file__).resolve().parent.parent
    return [root / name for name in closure.reached(root, Path("stages/train.py"))]


def versions() -> dict[str, str]:
    """Return the versions that the bits of a model depend on."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }


def main() -> None:
    """Read the command line and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path, help="training folder that preprocess wrote")
    parser.add_argument("val", type=Path, help="validation folder that preprocess wrote")
    parser.add_argument("augmented", type=Path, help="folder that augment wrote")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    run(load(args.params, "train", Params), args.train, args.val, args.augmented, args.out, args.params.parent)


if __name__ == "__main__":
    exit_on_error(main)
