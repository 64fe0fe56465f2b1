"""Two classifiers that cannot recognise a tumour: what they get right, a set gives away by other means.

One takes the label of the nearest training thumbnail, the other sees the file's metadata, its borders and its levels,
but never where a pixel lies. On a set without copies and shortcuts both come out near chance, but for what a tumour
itself changes: a large bright one shows in a thumbnail, and in the levels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from brainmri.core.index import QUALITY

BLACK = 8  # of 255: levels up to it are background, JPEG's ringing included
PERCENTILES = (5, 25, 50, 75, 95)
SIDES = ("left", "right", "top", "bottom")
ROWS_AT_ONCE = 1024

# A probe is high where the lower end of its macro recall's 95 % interval is so far above one over the classes.
MARGIN = 0.1


def nearest(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row of `test` the most similar row of `train`, the first of equal ones, and the similarity.

    Parameters
    ----------
    train, test : ndarray, shape (M, 1024) and (N, 1024), float32
        Of `duplicates.thumbnail`.

    Returns
    -------
    row : ndarray, shape (N,), int
    similarity : ndarray, shape (N,), float32, in [-1, 1]
    """
    rows, values = np.zeros(len(test), int), np.zeros(len(test), np.float32)
    for start in range(0, len(test), ROWS_AT_ONCE):
        similarity = test[start : start + ROWS_AT_ONCE] @ train.T
        rows[start : start + ROWS_AT_ONCE] = similarity.argmax(axis=1)
        values[start : start + ROWS_AT_ONCE] = similarity.max(axis=1)
    return rows, values


def features(index: pd.DataFrame, images: np.ndarray) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Return what the metadata probe sees, one row an image, and the names of its columns by group.

    Parameters
    ----------
    index : DataFrame, N rows
    images : ndarray, shape (N, S, S, C), uint8

    Returns
    -------
    table : DataFrame
        `mode` is text, all else numbers, NaN where the index has none.
    groups : dict
        `mode`, `size`, `borders` (share of the side that is black, at each side) and `intensity` (quality figures, and
        mean, standard deviation and percentiles of each window's levels over the whole frame).
    """
    borders = pd.DataFrame([border_shares(image[..., 0]) for image in images], index.index, SIDES, dtype=float)
    levels = pd.DataFrame([_level_figures(image) for image in images], index.index, dtype=float)
    levels.columns = [f"level_{at}" for at in range(levels.shape[1])]
    groups = {
        "mode": ["mode"],
        "size": ["height_px", "width_px"],
        "borders": list(borders.columns),
        "intensity": [*QUALITY, *levels.columns],
    }
    return pd.concat([index[["mode", "height_px", "width_px", *QUALITY]], borders, levels], axis=1), groups


def border_shares(window: np.ndarray) -> tuple[float, float, float, float]:
    """Return which share of the side is black at the left, right, top and bottom of (S, S) uint8; 1 if all of it is."""
    side = len(window)
    rows, columns = np.nonzero(window > BLACK)
    if not len(rows):
        return 1.0, 1.0, 1.0, 1.0
    left, right = int(columns.min()), side - 1 - int(columns.max())
    top, bottom = int(rows.min()), side - 1 - int(rows.max())
    return left / side, right / side, top / side, bottom / side


def _level_figures(image: np.ndarray) -> list[float]:
    figures: list[float] = []
    levels = np.arange(256)
    for window in np.moveaxis(image, -1, 0):
        share = np.bincount(window.ravel(), minlength=256) / window.size
        mean = float(share @ levels)
        figures += [mean, float(np.sqrt(max(share @ levels**2 - mean**2, 0)))]
        figures += np.searchsorted(np.cumsum(share), np.array(PERCENTILES) / 100 - 1e-12).tolist()
    return figures


class MetadataProbe:
    """Gradient-boosted trees on some columns of `features`.

    scikit-learn's histogram trees take missing values and categories as they are; without early stopping, and with
    fewer than 10,000 rows to bin or a seed, they are the same every time.
    """

    def __init__(self, columns: Sequence[str], iterations: int, seed: int) -> None:
        self.columns = list(columns)
        self.modes: list[str] = []
        categories = [name == "mode" for name in self.columns]
        self.trees = HistGradientBoostingClassifier(
            max_iter=iterations, random_state=seed, early_stopping=False, categorical_features=categories
        )

    def fit(self, table: pd.DataFrame, true: np.ndarray) -> "MetadataProbe":
        """Fit to class numbers (N,)."""
        self.modes = sorted(table["mode"].unique())
        # One thread: sums in one order on every machine, and two that wait for a busy core took fifty times as long.
        with threadpool_limits(1, "openmp"):
            self.trees.fit(self._numbers(table), true)
        return self

    def probabilities(self, table: pd.DataFrame, classes: int) -> np.ndarray:
        """Return (N, classes) float64; 0 for a class that training did not have."""
        result = np.zeros((len(table), classes))
        result[:, self.trees.classes_] = self.trees.predict_proba(self._numbers(table))
        return result

    def _numbers(self, table: pd.DataFrame) -> np.ndarray:
        # A mode that training did not have is missing.
        codes = table["mode"].map({mode: at for at, mode in enumerate(self.modes)})
        return table.assign(mode=codes)[self.columns].to_numpy(float)


def by_group(
    train: tuple[pd.DataFrame, np.ndarray],
    val: tuple[pd.DataFrame, np.ndarray],
    groups: dict[str, list[str]],
    iterations: int,
    seed: int,
) -> dict[str, dict[str, float]]:
    """Return the accuracy on validation of each group of columns alone, and of all but that group.

    `train` and `val` are a table of `features` and class numbers.
    """
    result = {}
    for name, columns in groups.items():
        others = [column for group, inside in groups.items() if group != name for column in inside]
        scored = {
            kind: MetadataProbe(seen, iterations, seed).fit(*train).probabilities(val[0], int(train[1].max()) + 1)
            for kind, seen in (("alone", columns), ("without", others))
        }
        result[name] = {kind: float((found.argmax(1) == val[1]).mean()) for kind, found in scored.items()}
    return result


def is_high(part: dict[str, Any]) -> bool:
    """Whether a probe's scores are above chance by more than luck and `MARGIN`; False where no interval can be had."""
    return bool(part["ci95"]["macro_recall"]["low"] > part["chance"] + MARGIN)


def reading(name: str, whole: dict[str, Any], twin_free: dict[str, Any] | None, strongest: str = "") -> str:
    """Say in one sentence what a probe's scores mean.

    Parameters
    ----------
    name : str
        Of the probe, as a reader should see it.
    whole, twin_free : dict
        Scores on the whole test set, and on the images without a twin in training: `macro_recall`, `chance` (one over
        the classes), and `ci95` with the interval of `macro_recall`.
    strongest : str
        The group of columns that tells most alone, for the metadata probe.
    """
    found = (
        f"{name}: mean recall {whole['macro_recall']:.2f} on the whole test set, where chance gives "
        f"{whole['chance']:.2f}"
    )
    if not is_high(whole):
        return f"{found}: this probe finds no shortcut."
    too = " (which a bright tumour changes too)" if strongest == "intensity" else ""
    by = f", mostly by {strongest}{too}" if strongest else ""
    if twin_free is not None and is_high(twin_free):
        return (
            f"{found}, and {twin_free['macro_recall']:.2f} on twin-free images: the set gives classes away to a "
            f"probe that cannot recognise a tumour{by}; a classifier's score on it is no proof that it does."
        )
    return (
        f"{found}, but on twin-free images it is not surely above chance: copies explain it, or too few images are "
        f"left to tell{by}."
    )
