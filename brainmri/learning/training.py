"""Fit a network so that the same params, data and processor give the same bits, and a killed run goes on."""

import hashlib
import json
import math
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
from tqdm import tqdm

from brainmri.core import closure
from brainmri.core.errors import TrainingError
from brainmri.core.files import new_directory, write_table
from brainmri.core.index import read_table
from brainmri.core.quiet_keras import keras, tf
from brainmri.learning import replicas
from brainmri.scoring.training_scores import kept_epoch


class Batches(Protocol):
    """What `fit` feeds a network with; see `classifier_batches.py` and `unet_batches.py`."""

    @property
    def rows(self) -> Sized:
        """One entry an image."""

    def shuffle(self, epoch: int) -> None:
        """Make ready for an epoch, by its number alone."""

    def __len__(self) -> int: ...

    def chosen(self, at: int) -> np.ndarray:
        """Return which rows are in a batch, in their order."""

    def read(self, chosen: np.ndarray) -> tuple[Any, ...]:
        """Return inputs, targets and, optionally, the weight of each of the chosen rows."""


Step = Callable[[Batches, np.ndarray], dict[str, float]]  # from rows of batches to loss and metrics


@dataclass(frozen=True)
class Plan:
    """How long a network learns, and how fast."""

    epochs: int
    learning_rate: float  # the highest
    schedule: Literal["constant", "cosine"]
    warmup_epochs: float  # the rate rises from 0 to its highest
    patience: int  # stop after so many epochs without a better validation loss; 0 never stops

    def rate(self, done: float) -> float:
        """Return the learning rate when `done` epochs are behind, in (0, `learning_rate`]."""
        if done < self.warmup_epochs:
            return self.learning_rate * max(done, 1e-3) / self.warmup_epochs
        if self.schedule == "constant":
            return self.learning_rate
        share = (done - self.warmup_epochs) / max(self.epochs - self.warmup_epochs, 1e-9)
        return self.learning_rate * max(0.5 * (1 + math.cos(math.pi * share)), 1e-6)


def make_deterministic(seed: int, precision: str) -> None:
    """Seed every generator, ask TensorFlow for deterministic kernels, and set the precision of new layers."""
    keras.backend.clear_session()  # layer names count up within a process, and names are part of a model's bytes
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    keras.mixed_precision.set_dtype_policy(precision)


def adamw(learning_rate: float, weight_decay: float, averaging: float) -> keras.optimizers.Optimizer:
    """Return AdamW [1]_; `averaging` is the decay of the running average of the weights, a step, and 0 keeps none.

    References
    ----------
    .. [1] Loshchilov and Hutter 2019, arXiv:1711.05101
    """
    optimizer = keras.optimizers.AdamW(
        learning_rate,
        weight_decay=weight_decay,
        use_ema=averaging > 0,
        ema_momentum=averaging or 0.99,  # Keras checks it even where it is not used
    )
    # Decay is for what multiplies images; pulling biases and normalisation to zero helps nothing.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def fit(
    model: keras.Model,
    train: Batches,
    val: Batches,
    plan: Plan,
    seed: int,
    resume: Path,
    after_epoch: Callable[[list[dict[str, float]]], None] = lambda _: None,
) -> list[dict[str, float]]:
    """Fit a compiled model, one line of progress an epoch; leave it with the weights of the best epoch.

    Best is the lowest validation loss. Where the optimiser averages the weights (`use_ema`), the averages are what is
    validated and kept. After each epoch the weights, the optimiser and the curves are kept in folder `resume`; a later
    call with the same folder goes on from there and ends in the same bits. `after_epoch` gets the rows so far.

    Returns
    -------
    list of dict
        One row an epoch: `epoch`, the model's loss and metrics, and the same on `val` with `val_` before their names.

    Raises
    ------
    TrainingError
        If the loss stops being a number.
    """
    on = replicas.of(model)
    on.agree(resume)
    rows = _resumed(model, resume)
    for epoch in range(len(rows), plan.epochs):
        if _is_over(rows, plan):
            break
        train.shuffle(epoch)
        _seed_layers(model, seed, epoch)
        with on.learning():
            learnt = _pass(_step(on, plan, epoch, len(train)), train, f"epoch {epoch + 1}/{plan.epochs}")
        with averaged(model):
            checked = _pass(on.check, val, "validation")
            row = {"epoch": epoch + 1, **learnt, **{f"val_{name}": value for name, value in checked.items()}}
            if not np.isfinite([row["loss"], row["val_loss"]]).all():
                raise TrainingError(
                    f"{model.name}: the loss has to stay a number, received {row['loss']} in epoch {epoch + 1} "
                    f"(validation {row['val_loss']}); lower its learning_rate"
                )
            rows.append(row)
            kept = _keep_weights(model, rows, resume)
        print(_line(row, plan.epochs), flush=True)
        _keep_state(model, rows, kept, resume)
        after_epoch(rows)
    model.load_weights(resume / f"epoch-{len(rows):04}" / "best.weights.h5")
    return rows


def _best(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the row of the epoch whose weights are kept."""
    return rows[kept_epoch([row["val_loss"] for row in rows])]


def _is_over(rows: list[dict[str, float]], plan: Plan) -> bool:
    """Whether the validation loss has not got better for as long as the plan waits."""
    if not plan.patience or not rows:
        return False
    return len(rows) - _best(rows)["epoch"] >= plan.patience


def _step(on: replicas.Alone | replicas.Together, plan: Plan, epoch: int, steps: int) -> Step:
    """Return one training step at the learning rate of its place in the plan."""
    taken = iter(range(steps))

    def step(batches: Batches, chosen: np.ndarray) -> dict[str, float]:
        on.model.optimizer.learning_rate.assign(plan.rate(epoch + next(taken) / steps))
        return on.learn(batches, chosen)

    return step


def _pass(step: Step, batches: Batches, name: str) -> dict[str, float]:
    """Take `step` on every batch and return the mean of its figures over the images.

    Not `model.fit`: it feeds a generator through `tf.data`, which makes TensorFlow give memory back after every batch;
    measured on two cores, that made an epoch of the `cnn` three times as long.
    """
    sums: dict[str, float] = {}
    for at in tqdm(range(len(batches)), name, unit="batch", mininterval=5, leave=False):
        chosen = batches.chosen(at)
        figures = step(batches, chosen)  # of this batch alone: Keras forgets those before
        for key, value in figures.items():
            sums[key] = sums.get(key, 0.0) + float(value) * len(chosen)
    return {key: total / len(batches.rows) for key, total in sums.items()}


@contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Lend the model the running averages of its weights, where its optimiser keeps them."""
    if not model.optimizer.use_ema:
        yield
        return
    learnt = [variable.numpy() for variable in model.trainable_variables]
    model.optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, learnt, strict=True):
            variable.assign(value)


def _line(row: dict[str, float], epochs: int) -> str:
    figures = "  ".join(f"{name} {value:.4f}" for name, value in row.items() if name != "epoch")
    return f"epoch {row['epoch']:3}/{epochs}  {figures}"


def _seed_layers(model: keras.Model, seed: int, epoch: int) -> None:
    """Make what dropout draws depend on the epoch's number alone, so that a resumed run draws the same."""
    states = [v for v in model.non_trainable_variables if v.path.endswith("seed_generator_state")]
    for number, state in enumerate(states):
        state.assign(np.random.default_rng([seed, epoch, number]).integers(2**31, size=2).astype(state.dtype))


def _keep_weights(model: keras.Model, rows: list[dict[str, float]], resume: Path) -> Path:
    """Return the file of the best weights so far, of this epoch or of an earlier one."""
    earlier = _latest(resume)
    if earlier is not None and _best(rows) is not rows[-1]:
        return earlier / "best.weights.h5"
    resume.mkdir(parents=True, exist_ok=True)
    path = resume / "best.weights.h5"
    model.save_weights(path)
    return path


def _keep_state(model: keras.Model, rows: list[dict[str, float]], kept: Path, resume: Path) -> None:
    """Keep the state after an epoch in a folder of its own; it counts once it has its final name."""
    earlier = _latest(resume)
    with new_directory(resume / f"epoch-{len(rows):04}") as folder:
        model.save_weights(folder / "last.weights.h5")
        shutil.copy(kept, folder / "best.weights.h5")
        write_table(folder / "curves.csv", pd.DataFrame(rows))
    if earlier is not None:
        shutil.rmtree(earlier)


def _resumed(model: keras.Model, resume: Path) -> list[dict[str, float]]:
    """Bring the model to where an earlier run in folder `resume` was killed, and return its rows."""
    latest = _latest(resume)
    if latest is None:  # nothing was kept, or it was killed while it kept its first epoch
        return []
    model.load_weights(latest / "last.weights.h5")
    kinds = {"epoch": int, "loss": float, "val_loss": float}
    rows: list[dict[str, float]] = read_table(latest / "curves.csv", kinds).to_dict("records")
    print(f"resuming after epoch {len(rows)}", flush=True)
    return rows


def _latest(resume: Path) -> Path | None:
    return max(resume.glob("epoch-*"), default=None)


def versions() -> dict[str, str]:
    """Return the versions that the bits of a model depend on."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }


def code(stage: Path) -> list[Path]:
    """Return the files that a stage's script is made of: a checkpoint of other code is not gone on from."""
    root = Path(__file__).resolve().parents[2]
    return [root / name for name in closure.reached(root, stage.resolve().relative_to(root))]


def resume_folder(root: Path, stage: Path, params: dict[str, Any], data: Sequence[Path]) -> Path:
    """Return the folder in which a run of a stage's script with these params and data would have left its checkpoint.

    Its name also rests on the stage's code and on the versions of the packages.
    """
    digest = hashlib.sha256(json.dumps({**params, **versions()}, sort_keys=True).encode())
    for path in sorted([*data, *code(stage)]):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return root / ".resume" / digest.hexdigest()[:16]


def forget(resume: Path) -> None:
    """Remove a checkpoint that is no longer needed."""
    shutil.rmtree(resume, ignore_errors=True)
