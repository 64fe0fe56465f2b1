"""Batches for the U-Net: slices and their masks, varied alike."""

from collections.abc import Mapping

import cv2
import numpy as np

from brainmri.augmentation import VariationParams, draw, matrix, vary
from brainmri.index import Split
from brainmri.labels import NO_TUMOUR


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
    """The masked rows of a split, as float32 in [0, 1], with their masks (N, S, S, 1) float32 as targets.

    Parameters
    ----------
    split : Split
    batch_size : int
    seed : int or None
        Shuffle anew and draw new variants each epoch, by `seed` and the epoch's number alone; None keeps the order and
        the images as they are.
    variation : VariationParams or None
        How far variants may be from their images; None leaves them as they are.
    no_tumour : float
        Rows that are labelled as free of tumour and have no mask join with an empty one: so many for each masked row,
        or all that there are, drawn anew each epoch.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        seed: int | None = None,
        variation: VariationParams | None = None,
        no_tumour: float = 0.0,
    ) -> None:
        self.split, self.batch_size, self.seed, self.variation = split, batch_size, seed, variation
        mask_rows = split.index["mask_row"].to_numpy(int)
        self.masked = np.flatnonzero(mask_rows >= 0)
        self.clear = np.flatnonzero((mask_rows < 0) & (split.index["label"] == NO_TUMOUR).to_numpy())
        self.joining = min(len(self.clear), round(no_tumour * len(self.masked)))
        self.rows = np.concatenate([self.masked, self.clear[: self.joining]])
        self.mask_rows = mask_rows[self.rows]
        self.order = np.arange(len(self.rows))
        self.drawn: list[dict[str, float]] = []

    def shuffle(self, epoch: int) -> None:
        """Put the rows into the order of one epoch and draw its variants."""
        if self.seed is not None:
            rng = np.random.default_rng([self.seed, epoch])
            if self.joining:
                self.rows[len(self.masked) :] = rng.choice(self.clear, self.joining, replace=False)
            self.order = rng.permutation(len(self.rows))
            if self.variation is not None:
                self.drawn = draw(len(self.rows), self.variation, rng).to_dict("records")

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __getitem__(self, at: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.order[at * self.batch_size : (at + 1) * self.batch_size]
        images = np.empty((len(chosen), *self.split.images.shape[1:]), np.float32)
        masks = np.empty((*images.shape[:3], 1), np.float32)
        nothing = np.zeros(images.shape[1:3], np.uint8)
        for to, pair in enumerate(chosen):
            image, row = self.split.images[self.rows[pair]], self.mask_rows[pair]
            mask = self.split.masks[row] if row >= 0 else nothing
            if self.drawn:
                image, mask = vary_pair(image, mask, self.drawn[pair])
            np.multiply(image, np.float32(1 / 255), out=images[to])
            masks[to, ..., 0] = mask
        return images, masks
