"""Fit a classifier so that the same params, data and processor give the same bits, and a killed run goes on."""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from brainmri.errors import TrainingError
from brainmri.files import new_directory, write_table


class Feed(Protocol):
    """What `fit` feeds a network with."""

    rows: np.ndarray  # one entry an image

    def shuffle(self, epoch: int) -> None:
        """Make ready for an epoch, by its number alone."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: int) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs and targets."""


class Batches:
    """Batches from arrays on disk: rows of several (N, S, S, C) uint8 arrays, as float32 in [0, 1].

    Parameters
    ----------
    arrays : sequence of ndarray
        Memory-mapped arrays; row i of the whole is row i of their concatenation.
    rows : ndarray, shape (R,), int
        The rows to use.
    labels : ndarray, shape (R,), int
    classes : int
    batch_size : int
    seed : int or None
        Shuffle anew each epoch, in an order that depends on `seed` and the epoch's number alone; None keeps the order.
    """

    def __init__(
        self,
        arrays: Sequence[np.ndarray],
        rows: np.ndarray,
        labels: np.ndarray,
        classes: int,
        batch_size: int,
        seed: int | None = None,
    ) -> None:
        self.arrays, self.rows, self.batch_size, self.seed = arrays, rows, batch_size, seed
        self.starts = np.cumsum([0, *(len(array) for array in arrays)])
        self.targets = np.eye(classes, dtype=np.float32)[labels]
        self.order = np.arange(len(rows))

    def shuffle(self, epoch: int) -> None:
        """Put the rows into the order of one epoch."""
        if self.seed is not None:
            self.order = np.random.default_rng([self.seed, epoch]).permutation(len(self.rows))

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __getitem__(self, at: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.order[at * self.batch_size : (at + 1) * self.batch_size]
        rows = self.rows[chosen]
        images = np.empty((len(rows), *self.arrays[0].shape[1:]), np.float32)
        which = np.searchsorted(self.starts, rows, side="right") - 1
        for to, (array, row) in enumerate(zip(which, rows - self.starts[which], strict=True)):
            np.multiply(self.arrays[array][row], np.float32(1 / 255), out=images[to])
        return images, self.targets[chosen]


def make_deterministic(seed: int, precision: str) -> None:
    """Seed every generator, ask TensorFlow for deterministic kernels, and set the precision of new layers."""
    keras.backend.clear_session()  # layer names count up within a process, and names are part of a model's bytes
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    keras.mixed_precision.set_dtype_policy(precision)


def fit(model: keras.Model, train: Feed, val: Feed, epochs: int, seed: int, resume: Path) -> list[dict[str, float]]:
    """Fit a compiled model, one line of progress an epoch; leave it with the weights of the best epoch.

    Best is the lowest validation loss. After each epoch the weights, the optimiser and the curves are kept in folder
    `resume`; a later call with the same folder goes on from there and ends in the same bits.

    Returns
    -------
    list of dict
        One row an epoch: `epoch`, the model's loss and metrics, and the same on `val` with `val_` before their names.

    Raises
    ------
    TrainingError
        If the loss stops being a number.
    """
    model.optimizer.build(model.trainable_variables)
    rows = _resumed(model, resume)
    print(f"curves while it trains: {resume / 'curves.csv'}")
    for epoch in range(len(rows), epochs):
        train.shuffle(epoch)
        _seed_layers(model, seed, epoch)
        learnt = _pass(model.train_on_batch, train, f"epoch {epoch + 1}/{epochs}")
        checked = _pass(model.test_on_batch, val, "validation")
        row = {"epoch": epoch + 1, **learnt, **{f"val_{name}": value for name, value in checked.items()}}
        if not np.isfinite([row["loss"], row["val_loss"]]).all():
            raise TrainingError(
                f"train: the loss has to stay a number, received {row['loss']} in epoch {epoch + 1} "
                f"(validation {row['val_loss']}); lower train.learning_rate"
            )
        rows.append(row)
        figures = "  ".join(f"{name} {value:.4f}" for name, value in row.items() if name != "epoch")
        print(f"epoch {epoch + 1:3}/{epochs}  {figures}", flush=True)
        _keep(model, rows, resume)
    model.load_weights(resume / f"epoch-{len(rows):04}" / "best.weights.h5")
    return rows


def _pass(step: Callable[..., dict[str, Any]], batches: Feed, name: str) -> dict[str, float]:
    """Take `step` on every batch and return the mean of its figures over the images.

    Not `model.fit`: it feeds a generator through `tf.data`, which makes TensorFlow give memory back after every batch;
    measured on two cores, that made an epoch of this network three times as long.
    """
    sums: dict[str, float] = {}
    for at in tqdm(range(len(batches)), name, unit="batch", mininterval=5, leave=False):
        images, targets = batches[at]
        figures = step(images, targets, return_dict=True)  # of this batch alone: Keras forgets those before
        for key, value in figures.items():
            sums[key] = sums.get(key, 0.0) + float(value) * len(images)
    return {key: total / len(batches.rows) for key, total in sums.items()}


def _seed_layers(model: keras.Model, seed: int, epoch: int) -> None:
    """Make what dropout draws depend on the epoch's number alone, so that a resumed run draws the same."""
    states = [v for v in model.non_trainable_variables if v.path.endswith("seed_generator_state")]
    for number, state in enumerate(states):
        state.assign(np.random.default_rng([seed, epoch, number]).integers(2**31, size=2).astype(state.dtype))


def _keep(model: keras.Model, rows: list[dict[str, float]], resume: Path) -> None:
    """Keep the state after an epoch in a folder of its own; it counts once it has its final name."""
    earlier = _latest(resume)
    with new_directory(resume / f"epoch-{len(rows):04}") as folder:
        model.save_weights(folder / "last.weights.h5")
        best = min(rows, key=lambda row: row["val_loss"]) is rows[-1]
        source = folder / "last.weights.h5" if best or earlier is None else earlier / "best.weights.h5"
        shutil.copy(source, folder / "best.weights.h5")
        write_table(folder / "curves.csv", pd.DataFrame(rows))
    write_table(resume / "curves.csv", pd.DataFrame(rows))  # for people who look on while it trains
    if earlier is not None:
        shutil.rmtree(earlier)


def _resumed(model: keras.Model, resume: Path) -> list[dict[str, float]]:
    """Bring the model to where an earlier run in folder `resume` was killed, and return its rows."""
    latest = _latest(resume)
    if latest is None:  # nothing was kept, or it was killed while it kept its first epoch
        return []
    model.load_weights(latest / "last.weights.h5")
    rows: list[dict[str, float]] = pd.read_csv(latest / "curves.csv").to_dict("records")
    print(f"resuming after epoch {len(rows)}", flush=True)
    return rows


def _latest(resume: Path) -> Path | None:
    return max(resume.glob("epoch-*"), default=None)


def resume_folder(root: Path, params: dict[str, Any], files: Sequence[Path]) -> Path:
    """Return the folder in which a run with these params, code and data would have left its checkpoint."""
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode())
    for path in sorted(files):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return root / ".resume" / digest.hexdigest()[:16]


def forget(resume: Path) -> None:
    """Remove a checkpoint that is no longer needed."""
    shutil.rmtree(resume, ignore_errors=True)
