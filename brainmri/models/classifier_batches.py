"""Batches for the classifier, from arrays on disk: images as they are, or each varied anew in every epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brainmri.preprocessing.augmentation import VariationParams, draw, vary


@dataclass(frozen=True)
class Targets:
    """What each image should be called, and how much it counts."""

    onehot: np.ndarray  # (R, K) float32; with smoothing not quite 0 and 1
    weights: np.ndarray  # (R,) float32, mean 1


def targets(labels: np.ndarray, classes: int, smoothing: float = 0, balance: float = 0) -> Targets:
    """Return the targets of class numbers (R,).

    Parameters
    ----------
    smoothing : float
        Share of each target that is spread evenly over the classes [1]_, in [0, 1).
    balance : float
        0 counts every image alike, 1 every class alike; between them the weight is (1 / images of the class)^balance.

    References
    ----------
    .. [1] Szegedy et al. 2016, doi:10.1109/CVPR.2016.308
    """
    onehot = np.eye(classes, dtype=np.float32)[labels] * np.float32(1 - smoothing) + np.float32(smoothing / classes)
    weights = np.bincount(labels, minlength=classes).astype(float)[labels] ** -balance
    return Targets(onehot, (weights / weights.mean()).astype(np.float32))


class ImageBatches:
    """Rows of several (N, S, S, C) uint8 arrays, as float32 in [0, 1], with their targets.

    Parameters
    ----------
    arrays : sequence of ndarray
        Memory-mapped arrays; row i of the whole is row i of their concatenation.
    rows : ndarray, shape (R,), int
        The rows to use.
    targets : Targets
        Of these rows.
    batch_size : int
    seed : int or None
        Shuffle anew each epoch, in an order that depends on `seed` and the epoch's number alone; None keeps the order.
    ranges : VariationParams or None
        With these each image is varied anew in every epoch, again by `seed` and the epoch's number alone.
    columns : ndarray, shape (R, M), float32, or None
        Metadata of these rows, for networks that take it.
    """

    def __init__(
        self,
        arrays: Sequence[np.ndarray],
        rows: np.ndarray,
        targets: Targets,
        batch_size: int,
        seed: int | None = None,
        ranges: VariationParams | None = None,
        columns: np.ndarray | None = None,
    ) -> None:
        self.arrays, self.rows, self.targets, self.batch_size = arrays, rows, targets, batch_size
        self.seed, self.ranges, self.columns = seed, ranges, columns
        self.starts = np.cumsum([0, *(len(array) for array in arrays)])
        self.order = np.arange(len(rows))
        self.drawn: list[dict[str, Any]] = []

    def shuffle(self, epoch: int) -> None:
        """Put the rows into the order of one epoch, and draw its variants."""
        if self.seed is not None:
            rng = np.random.default_rng([self.seed, epoch])
            self.order = rng.permutation(len(self.rows))
            if self.ranges is not None:
                self.drawn = draw(len(self.rows), self.ranges, rng).to_dict("records")

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def chosen(self, at: int) -> np.ndarray:
        """Return which rows are in a batch, in their order."""
        return self.order[at * self.batch_size : (at + 1) * self.batch_size]

    def __getitem__(self, at: int) -> tuple[Any, np.ndarray, np.ndarray]:
        return self.read(self.chosen(at))

    def read(self, chosen: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
        """Return inputs, targets and weights of the chosen rows."""
        rows = self.rows[chosen]
        images = np.empty((len(rows), *self.arrays[0].shape[1:]), np.float32)
        which = np.searchsorted(self.starts, rows, side="right") - 1
        for to, (array, row) in enumerate(zip(which, rows - self.starts[which], strict=True)):
            image = self.arrays[array][row]
            if self.drawn:
                image = vary(image, self.drawn[chosen[to]])
            np.multiply(image, np.float32(1 / 255), out=images[to])
        inputs = images if self.columns is None else [images, self.columns[chosen]]
        return inputs, self.targets.onehot[chosen], self.targets.weights[chosen]
