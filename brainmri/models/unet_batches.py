"""Batches for the U-Net: slices and their masks, varied alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from brainmri.core.errors import InputError
from brainmri.core.index import Split
from brainmri.core.labels import NO_TUMOUR
from brainmri.preprocessing.augmentation import VariationParams, draw, matrix, vary


@dataclass(frozen=True)
class Pair:
    """A slice and its mask, both on disk; of a slice that is free of tumour the mask is empty and stands nowhere."""

    split: Split
    row: int
    mask_row: int  # -1: none
    unit: int  # what was kept together when splits were drawn

    def image(self) -> np.ndarray:
        """Return the slice, (S, S, C) uint8."""
        return self.split.images[self.row]

    def mask(self) -> np.ndarray:
        """Return the mask, (S, S) uint8, 0 or 1."""
        if self.mask_row < 0:
            return np.zeros(self.split.images.shape[1:3], np.uint8)
        return self.split.masks[self.mask_row]


def masked(split: Split) -> list[Pair]:
    """Return the slices of a split that have a mask."""
    return _pairs(split, (split.index["mask_row"] >= 0).to_numpy())


def clear(split: Split) -> list[Pair]:
    """Return the slices of a split that are labelled as free of tumour and have no mask."""
    return _pairs(split, ((split.index["mask_row"] < 0) & (split.index["label"] == NO_TUMOUR)).to_numpy())


def _pairs(split: Split, chosen: np.ndarray) -> list[Pair]:
    columns = (split.index[name].to_numpy(int)[chosen].tolist() for name in ("mask_row", "unit"))
    return [Pair(split, *facts) for facts in zip(np.flatnonzero(chosen).tolist(), *columns, strict=True)]


def folds(pairs: Sequence[Pair], count: int) -> list[tuple[list[Pair], list[Pair]]]:
    """Part pairs for cross-validation by whole units, which are dealt out in turn.

    In turn, because sets are sorted: a part of units that follow one another would hold most of one kind of tumour, and
    whoever is checked on it would not have learnt that kind.

    Returns
    -------
    list of pair of list
        For each part what to learn from and what to check on.

    Raises
    ------
    InputError
        If there are fewer units than parts.
    """
    units = np.unique([pair.unit for pair in pairs])
    if len(units) < count:
        raise InputError(
            f"train_unet.folds: should be at most the patients or groups of look-alikes with a mask, {len(units)}, "
            f"received {count}"
        )
    result = []
    for part in (units[start::count] for start in range(count)):
        checked = [pair for pair in pairs if pair.unit in part]
        learnt = [pair for pair in pairs if pair.unit not in part]
        result.append((learnt, checked))
    return result


def vary_pair(image: np.ndarray, mask: np.ndarray, row: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Apply one row of `augmentation.draw` to an image and its geometry to the mask.

    Parameters
    ----------
    image : ndarray, shape (H, W, C), uint8
    mask : ndarray, shape (H, W), uint8
        0 or 1.
    row : mapping

    Returns
    -------
    image : ndarray, shape (H, W, C), uint8
    mask : ndarray, shape (H, W), uint8
        1 where the warped mask covers half a pixel or more; 0 where the warp reaches outside.
    """
    height, width = mask.shape
    warped = cv2.warpAffine(mask * np.uint8(254), matrix((height, width), row), (width, height), flags=cv2.INTER_LINEAR)
    return vary(image, row), (warped >= 127).astype(np.uint8)


class PairBatches:
    """Slices as float32 in [0, 1], with their masks (N, S, S, 1) float32 as targets.

    Parameters
    ----------
    pairs : sequence of Pair
    batch_size : int
    seed : int or None
        Shuffle anew and draw new variants each epoch, by `seed` and the epoch's number alone; None keeps the order and
        the images as they are.
    variation : VariationParams or None
        How far variants may be from their images; None leaves them as they are.
    others : sequence of Pair
        Of these some join, drawn anew each epoch.
    joining : int
        How many of them, at most.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        batch_size: int,
        seed: int | None = None,
        variation: VariationParams | None = None,
        others: Sequence[Pair] = (),
        joining: int = 0,
    ) -> None:
        self.pairs, self.batch_size, self.seed, self.variation = list(pairs), batch_size, seed, variation
        self.others, self.joining = others, min(len(others), joining)
        self.rows = [*self.pairs, *self.others[: self.joining]]
        self.order = np.arange(len(self.rows))
        self.drawn: list[dict[str, float]] = []

    def shuffle(self, epoch: int) -> None:
        """Put the rows into the order of one epoch and draw its variants."""
        if self.seed is not None:
            rng = np.random.default_rng([self.seed, epoch])
            if self.joining:
                chosen = rng.choice(len(self.others), self.joining, replace=False)
                self.rows = [*self.pairs, *(self.others[at] for at in chosen)]
            self.order = rng.permutation(len(self.rows))
            if self.variation is not None:
                self.drawn = draw(len(self.rows), self.variation, rng).to_dict("records")

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def chosen(self, at: int) -> np.ndarray:
        """Return which rows are in a batch, in their order."""
        return self.order[at * self.batch_size : (at + 1) * self.batch_size]

    def __getitem__(self, at: int) -> tuple[np.ndarray, np.ndarray]:
        return self.read(self.chosen(at))

    def read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return images and masks of the chosen rows."""
        made = [self._pair(row) for row in chosen]
        images = np.empty((len(made), *made[0][0].shape), np.float32)
        masks = np.empty((*images.shape[:3], 1), np.float32)
        for to, (image, mask) in enumerate(made):
            np.multiply(image, np.float32(1 / 255), out=images[to])
            masks[to, ..., 0] = mask
        return images, masks

    def _pair(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        image, mask = self.rows[row].image(), self.rows[row].mask()
        return vary_pair(image, mask, self.drawn[row]) if self.drawn else (image, mask)
