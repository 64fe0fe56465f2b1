"""Train the U-Net: fit the network that outlines tumours on the masked training slices.

Reads the masked rows of `data/processed/train` and `data/processed/val`; never the test split. Writes the folder
`models/unet`: `model.keras`, `preprocess.json` (how its input has to be made), `postprocess.json` (how its
probabilities become masks, chosen on validation), `choices.csv` (what it was chosen from), `curves.csv` and
`versions.json`. Where there are no masks it writes `skipped.json` alone, which says why. Until it is done, its
checkpoint stands in `.resume/`.
"""

import argparse
import shutil
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from brainmri.core.errors import exit_on_error
from brainmri.core.files import new_directory, write_json, write_table
from brainmri.core.index import Split, read_split
from brainmri.core.params import load
from brainmri.core.quiet_keras import keras
from brainmri.learning import training, workers
from brainmri.models import unet, unet_networks
from brainmri.models.model_files import save_model
from brainmri.models.unet_batches import Pair, PairBatches, clear, folds, masked
from brainmri.models.unet_params import UnetParams
from brainmri.reporting import live


class Params(UnetParams):
    """Section `train_unet`."""


def run(params: Params, train: Path, val: Path, out: Path, resume_root: Path) -> None:
    """Train a U-Net on folder `train`, choose its epoch and its cleaning on `val`, write it to `out`.

    With several folds both folders are learnt from, each masked slice is answered for by the network that has not
    learnt from its fold, and the U-Net is the mean of the networks.
    """
    learning, validation = read_split(train), read_split(val)
    if reason := reason_to_skip(learning, validation):
        with new_directory(out) as folder:
            write_json(folder / "skipped.json", {"reason": reason})
        print(f"train_unet: skipped, {reason}")
        return
    data = [folder / name for folder in (train, val) for name in ("images.npy", "masks.npy", "index.csv")]
    data.append(train / "preprocess.json")
    resume = training.resume_folder(resume_root, Path(__file__), params.model_dump(), data)
    # The folder first: who else trains for it would keep its epochs in the same place.
    with new_directory(out) as folder:
        training.make_deterministic(params.seed, params.precision)
        show = partial(live.show, resume_root, "train_unet")
        fitted = [
            fit(params, learnt, checked, clear(learning), number, resume, show)
            for number, (learnt, checked) in enumerate(parts(params, learning, validation))
        ]
        unets, curves, truth, probabilities = zip(*fitted, strict=True)
        save_model(unet_networks.mean(unets), folder / "model.keras")
        shutil.copyfile(train / "preprocess.json", folder / "preprocess.json")
        write_table(folder / "curves.csv", pd.concat(curves))
        write_json(folder / "versions.json", {**training.versions(), **workers.provenance()})
        write_cleaning(folder, params, np.concatenate(truth), np.concatenate(probabilities))
    training.forget(resume)
    live.hide(resume_root, "train_unet")


def reason_to_skip(learning: Split, validation: Split) -> str:
    """Return why no U-Net can be trained, or nothing."""
    for name, split in (("training", learning), ("validation", validation)):
        rows = split.index["mask_row"].to_numpy(int)
        if not any(split.masks[row].any() for row in rows[rows >= 0]):
            return f"no {name} image has a tumour mask"
    return ""


def parts(params: Params, learning: Split, validation: Split) -> list[tuple[list[Pair], list[Pair]]]:
    """Return for each network the masked slices that it learns from, and those that it is checked on."""
    if params.folds == 1:
        return [(masked(learning), masked(validation))]
    return folds([*masked(learning), *masked(validation)], params.folds)


def fit(
    params: Params,
    learnt: list[Pair],
    checked: list[Pair],
    others: list[Pair],
    number: int,
    resume: Path,
    show: Callable[[list[dict[str, float]]], None],
) -> tuple[keras.Model, pd.DataFrame, np.ndarray, np.ndarray]:
    """Fit the network of one fold; return it, its curves, and the true masks and probabilities of `checked`."""
    joining = round(params.no_tumour * len(learnt))
    batches = PairBatches(learnt, params.batch_size, params.seed, params.variation, others, joining)
    checks = PairBatches(checked, params.batch_size)
    model = build(params, learnt[0].image().shape)
    print(
        f"train_unet: network {number + 1} of {params.folds}, {len(batches.rows)} slices, {len(checked)} to validate "
        f"on, {model.count_params():,} weights"
    )
    print("train_unet: curves meanwhile in live/train_unet.csv, and in `dvc plots show`")
    curves = training.fit(model, batches, checks, plan(params), params.seed, resume / str(number), show)
    model = workers.apart(model)
    images, truth = (
        np.stack(arrays) for arrays in zip(*((each.image(), each.mask()) for each in checked), strict=True)
    )
    table = pd.DataFrame(curves).astype({"epoch": int})
    table.insert(0, "network", number + 1)
    return model, table, truth.astype(bool), unet.model_probabilities(model, images, params.mirror)


def plan(params: Params) -> training.Plan:
    """Return how long a network learns, and how fast: the rate rises linearly, then falls to 0 as a cosine."""
    return training.Plan(params.epochs, params.learning_rate, "cosine", params.warmup_epochs, patience=0)


def build(params: Params, input_shape: tuple[int, int, int]) -> keras.Model:
    """Return the compiled, untrained network."""
    with workers.scope():
        model = unet_networks.build(params.encoder, params, input_shape, params.widths, params.dropout)
        optimizer = training.adamw(params.learning_rate, params.weight_decay, params.averaging)
        model.compile(optimizer, unet.dice_cross_entropy(params.dice_weight), metrics=[unet.soft_dice])
    return model


def write_cleaning(folder: Path, params: Params, truth: np.ndarray, probabilities: np.ndarray) -> None:
    """Choose how probabilities (N, S, S) become masks, given the true ones; write the choice and what it was from."""
    tumour = truth.any(axis=(1, 2))
    table = unet.compare_cleanings(truth[tumour], probabilities[tumour], params.cleaning)
    cleaning = unet.best_cleaning(table)
    write_table(folder / "choices.csv", table)
    write_json(folder / "postprocess.json", {"mirror": params.mirror, **asdict(cleaning)})
    print(f"train_unet: validation Dice {table['dice'].max():.4f} over {tumour.sum()} slices with a tumour, {cleaning}")


def main() -> None:
    """Read the command line and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path, help="training folder that preprocess wrote")
    parser.add_argument("val", type=Path, help="validation folder that preprocess wrote")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    params = load(args.params, "train_unet", Params)
    with workers.joined(args.out, args.params.parent) as (out, root):
        run(params, args.train, args.val, out, root)


if __name__ == "__main__":
    exit_on_error(main)
