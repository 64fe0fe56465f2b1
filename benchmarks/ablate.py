"""What each choice of section `train` does on validation images: one choice changed at a time, the same seeds.

The test split is never opened. Prints a Markdown table; ABLATIONS.md holds it with what it was run on. A choice is
measured on the same images as the first line: differences are paired, and tested over all seeds together (McNemar).
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.common import PARAMS
from brainmri.core.files import read_record
from brainmri.core.index import read_split
from brainmri.core.params import check
from brainmri.models.classifier import with_features
from brainmri.models.likeness import LIKENESS, read_likeness
from brainmri.models.model_files import load_model
from brainmri.preprocessing.columns import NUMBERS, WORDS, fit_encoding, without_values
from brainmri.preprocessing.image_params import MadeWith
from brainmri.scoring import calibration
from brainmri.scoring.paired_tests import mcnemar
from stages import train

CHOICES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "no label smoothing": {"label_smoothing": 0.0},
    "class balance 0.5": {"class_balance": 0.5},
    "class balance 1": {"class_balance": 1.0},
    "no average of weights": {"averaging": 0.0},
    "constant rate": {"schedule": "constant"},
    "no warm-up": {"warmup_epochs": 0},
    "no weight decay": {"weight_decay": 0.0},
    "no dropout": {"dropout": 0.0},
    "stored variants": {"variants": "stored"},
    "all metadata that the set has": {"metadata": [*NUMBERS, *WORDS]},
    "stops after 3 worse epochs": {"patience": 3},
    "mixed bfloat16": {"precision": "mixed_bfloat16"},
}


def one(params: train.Params, folders: argparse.Namespace, seed: int) -> dict[str, np.ndarray]:
    """Train once; return the validation images' classes, the answers with and without their mirror image, CPU s."""
    learning, validation = read_split(folders.processed / "train"), read_split(folders.processed / "val")
    classes = read_record(folders.processed / "train/preprocess.json", MadeWith).classes
    lacking = without_values(learning.index, params.metadata)
    encoding = fit_encoding(learning.index, [name for name in params.metadata if name not in lacking])
    batches = train.training_batches(learning, folders.augmented, classes, encoding, params, seed)
    checks = train.validation_batches(validation, classes, encoding, params)
    start = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        folder.mkdir()
        train.train_one(params, batches, checks, seed, Path(place) / "resume", folder)
        spent = time.process_time() - start
        network, likeness = with_features(load_model(folder / "model.keras")), read_likeness(folder / LIKENESS)
    true = checks.targets.onehot.argmax(axis=1)
    sides = {str(mirror): train.answers(network, checks, mirror, likeness)[0] for mirror in (True, False)}
    return {"true": true, **sides, "cpu_s": np.array(spent)}


def row(name: str, runs: list[dict[str, np.ndarray]], mirror: bool, base: np.ndarray | None) -> tuple[str, np.ndarray]:
    """Return a line of the table, and for each image of each seed whether it was right."""
    right, losses, eces = [], [], []
    for run in runs:
        given = calibration.with_temperature(
            run[str(mirror)], calibration.fit_temperature(run["true"], run[str(mirror)])
        )
        right.append(given.argmax(axis=1) == run["true"])
        found = calibration.quality(run["true"], given)
        losses.append(found["loss"])
        eces.append(found["ece"])
    every = np.concatenate(right)
    accuracies = [part.mean() for part in right]
    spread = f" ± {np.std(accuracies, ddof=1):.4f}" if len(runs) > 1 else ""
    test = "" if base is None else f"{every.mean() - base.mean():+.4f} (p = {mcnemar(base, every)['p']:.2f})"
    cpu = np.mean([run["cpu_s"] for run in runs])
    figures = f"{np.mean(accuracies):.4f}{spread} | {test} | {np.mean(losses):.4f} | {np.mean(eces):.4f} | {cpu:.0f}"
    return f"| {name} | {figures} |", every


def main() -> None:
    """Run every choice and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("processed", type=Path, help="folder that preprocess wrote")
    parser.add_argument("augmented", type=Path, help="folder that augment wrote")
    parser.add_argument("--widths", type=int, nargs="+", default=PARAMS["train"]["residual"]["widths"])
    parser.add_argument("--depth", type=int, default=PARAMS["train"]["residual"]["depth"])
    parser.add_argument("--epochs", type=int, default=PARAMS["train"]["epochs"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=CHOICES, default=list(CHOICES))
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    small = {"residual": {**PARAMS["train"]["residual"], "widths": args.widths, "depth": args.depth}}
    print("| Choice | Accuracy | Against the first line | Loss, nats | ECE | CPU s |\n|" + " --- |" * 6)
    base = None
    for name in args.only:
        values = {**PARAMS["train"], **small, "epochs": args.epochs, **CHOICES[name]}
        params = check(values, train.Params, "ablate")
        sys.stdout, kept = sys.stderr, sys.stdout  # the table alone goes to the output
        runs = [one(params, args, seed) for seed in range(args.seeds)]
        sys.stdout = kept
        line, right = row(name, runs, True, base)
        print(line, flush=True)
        if base is None:
            base = right
            print(row("without the mirror image", runs, False, base)[0], flush=True)


if __name__ == "__main__":
    main()
