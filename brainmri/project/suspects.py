"""Find labels that may be wrong: predict every training and validation image by networks that have not seen it.

The rule is that of confident learning [1]_. The threshold of a class is the mean probability for it of the images that
are labelled so. An image is suspected where, of the classes whose probability reaches their threshold, the likeliest
is not its label (the off-diagonal of the confident joint). A suspicion is a reason to look, no verdict.

References
----------
.. [1] Northcutt, Jiang and Chuang 2021, doi:10.1613/jair.1.12125
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from brainmri.core.errors import InputError
from brainmri.core.files import new_directory, read_record, write_table
from brainmri.core.index import read_split
from brainmri.preprocessing.image_params import MadeWith
from brainmri.reporting import galleries

SHOWN = 48  # pictures on the contact sheet
SEEDS_NETWORK = {"filters": (32, 64), "pools": (2, 4), "kernel": 3, "stride": 2, "dense": 128, "dropout": 0.5}
BATCH_SIZE = 32
LEARNING_RATE = 1e-3  # of Adam, constant


def find(processed: Path, out: Path, folds: int, epochs: int, seed: int) -> pd.DataFrame:
    """Write `suspects.csv` and `suspects.png` to folder `out` and return the table.

    Parameters
    ----------
    processed : Path
        Folder that preprocess wrote; its test split is not read.
    folds : int
        Parts of whole units; each is predicted by a network that was trained on the others.
    epochs, seed : int

    Returns
    -------
    DataFrame
        Columns image_id, set, split, label, predicted, p_label, p_predicted; the least likely label first.
    """
    classes = read_record(processed / "train/preprocess.json", MadeWith).classes
    splits = {name: read_split(processed / name) for name in ("train", "val")}
    table = pd.concat([split.index.assign(split=name) for name, split in splits.items()], ignore_index=True)
    rows = np.flatnonzero(table["label"] != "")
    table = table.iloc[rows].reset_index(drop=True)
    true = np.array([classes.index(label) for label in table["label"]], int)
    arrays = [split.images for split in splits.values()]
    probabilities = out_of_fold(arrays, rows, true, table["unit"].to_numpy(), len(classes), folds, epochs, seed)
    found = suspected(table, true, probabilities, classes)
    with new_directory(out) as folder:
        write_table(folder / "suspects.csv", found.drop(columns="at"))
        pictures = [_image(arrays, rows[at])[..., 0] for at in found["at"][:SHOWN]]
        captions = [
            f"{row.label} {row.p_label:.2f}\n→ {row.predicted} {row.p_predicted:.2f}"
            for row in found[:SHOWN].itertuples()
        ]
        galleries.grid(folder / "suspects.png", pictures, captions, "Labels to look at", 8, empty="none suspected")
    return found.drop(columns="at")


def suspected(table: pd.DataFrame, true: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> pd.DataFrame:
    """Return the suspected rows of a table, with `at`, their place in it, in front."""
    predicted = probabilities.argmax(1)
    found = table[["image_id", "set", "split", "label"]].assign(
        predicted=[classes[at] for at in predicted],
        p_label=probabilities[np.arange(len(true)), true].astype(float).round(6),
        p_predicted=probabilities.max(1).astype(float).round(6),
    )
    found.insert(0, "at", np.arange(len(found)))
    return found[is_suspect(true, probabilities)].sort_values(["p_label", "image_id"]).reset_index(drop=True)


def is_suspect(true: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return which images the rule above suspects, (N,) bool.

    Parameters
    ----------
    true : ndarray, shape (N,), int
        The labels as they are.
    probabilities : ndarray, shape (N, K)
        Of networks that have not seen the image. A class that no label names has no threshold and is never suspected.
    """
    named = np.bincount(true, minlength=probabilities.shape[1]) > 0
    thresholds = np.array([probabilities[true == k, k].mean() if named[k] else np.inf for k in range(len(named))])
    reached = np.where(probabilities >= thresholds, probabilities, -1.0)
    suspect: np.ndarray = (reached.max(1) >= 0) & (reached.argmax(1) != true)
    return suspect


def fold_rows(true: np.ndarray, units: np.ndarray, folds: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the rows to learn from and those held out, `folds` times; whole units, classes as even as they allow.

    Raises
    ------
    InputError
        If a class has fewer units than there are folds.
    """
    few = min(len(np.unique(units[true == k])) for k in np.unique(true))
    if few < folds:
        raise InputError(
            f"suspects: every class should have at least as many units as there are folds ({folds}), received {few}; "
            "lower --folds"
        )
    yield from StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(true, true, units)


def out_of_fold(
    arrays: list[np.ndarray],
    rows: np.ndarray,
    true: np.ndarray,
    units: np.ndarray,
    classes: int,
    folds: int,
    epochs: int,
    seed: int,
) -> np.ndarray:
    """Return the probabilities (N, K) of each image by the plain network, trained on the folds without its unit."""
    # Here and not at the top: they bring TensorFlow, which the rule above does not need.
    from brainmri.core.quiet_keras import keras
    from brainmri.learning.training import make_deterministic
    from brainmri.models import classifier_networks
    from brainmri.models.classifier import BATCH, model_answer
    from brainmri.models.classifier_batches import ImageBatches, targets

    result = np.zeros((len(true), classes), np.float32)
    for number, (learnt, held_out) in enumerate(fold_rows(true, units, folds, seed)):
        make_deterministic(seed + number, "float32")
        model = classifier_networks.cnn(arrays[0].shape[1:], classes, **SEEDS_NETWORK)  # type: ignore[arg-type]
        model.compile(keras.optimizers.Adam(LEARNING_RATE), "categorical_crossentropy")
        batches = ImageBatches(arrays, rows[learnt], targets(true[learnt], classes), BATCH_SIZE, seed)
        # Not `training.fit`: it keeps the epoch that does best on what is held out, which would be a choice made on it.
        for epoch in tqdm(range(epochs), f"fold {number + 1} of {folds}", unit="epoch", mininterval=1):
            batches.shuffle(epoch)
            for at in range(len(batches)):
                model.train_on_batch(*batches[at])
        for at in range(0, len(held_out), BATCH):
            part = held_out[at : at + BATCH]
            images = np.stack([_image(arrays, row) for row in rows[part]])
            result[part] = model_answer(model, images, None, mirror=True)
    return result


def _image(arrays: list[np.ndarray], row: int) -> np.ndarray:
    """Return a row of the concatenation of two arrays."""
    first, second = arrays
    image: np.ndarray = first[row] if row < len(first) else second[row - len(first)]
    return image
