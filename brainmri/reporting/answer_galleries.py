"""Pictures of what a classifier answered, and of where it saw the evidence. They show scans: never for git."""

from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pandas as pd

from brainmri.core.index import Split
from brainmri.reporting import galleries
from brainmri.scoring.predictions_table import CASES

SHOWN = 16  # wrong answers, and as many right ones
SCALE = 3  # enlargement of `galleries.outlined`
HEAT = matplotlib.colormaps["inferno"]  # its lightness rises with the value: readable with any colour vision


def chosen(table: pd.DataFrame, rows: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Return the rows to show: up to 16 wrong answers, the most confident first, then 16 right ones at random.

    Parameters
    ----------
    table : DataFrame
        `predictions.csv` of the evaluate stage.
    rows : ndarray, shape (N,)
        The row of the split that each row of the table is.
    """
    table = table.assign(row=rows, confidence=table.filter(regex="^p_").max(axis=1))
    right = table["label"] == table["predicted"]
    wrong = table[~right].sort_values("confidence", ascending=False, kind="stable").head(SHOWN)
    places = np.sort(rng.choice(np.flatnonzero(right), min(SHOWN, int(right.sum())), replace=False))
    return pd.concat([wrong, table.iloc[places]])


def gallery(path: Path, split: Split, shown: pd.DataFrame) -> None:
    """Draw the rows that `chosen` gave, each with its label and its answer."""
    wrong = int((shown["label"] != shown["predicted"]).sum())
    title = (
        f"Test images: label → prediction. First {wrong} wrong, most confident first, then {len(shown) - wrong} right"
    )
    galleries.grid(path, [split.images[row, ..., 0] for row in shown["row"]], _captions(shown), title, 8)


def draw_cases(path: Path, split: Split, shown: pd.DataFrame) -> None:
    """Draw the rows that `cases.cases` gave, with their `row` of the split, large: wrong ones first."""
    pictures = [galleries.outlined(split.images[row, ..., 0], None, None) for row in shown["row"]]
    outcomes = np.where(shown["label"] == shown["predicted"], "right", "wrong")
    captions = [f"{outcome}: {text}" for outcome, text in zip(outcomes, _captions(shown), strict=True)]
    galleries.grid(path, pictures, captions, "Test images: label → answer and its probability", CASES)


def explained(shown: pd.DataFrame, pointed: pd.DataFrame) -> pd.DataFrame:
    """Return `row`, `looked_for` and `caption` of the pictures of evidence: which class's, in which row of the split.

    First the rows that `chosen` gave, each with the predicted class; then eight hits and eight misses of `pointed`,
    the images with a tumour mask and the class that was looked for in each, spread over its rows.
    """
    masked = pd.concat([_spread(pointed[pointed["hit"]]), _spread(pointed[~pointed["hit"]])])
    words = [
        f"{label or 'unlabelled'}: {'hit' if hit else 'miss'}" for label, hit in masked[["label", "hit"]].to_numpy()
    ]
    looked_for = [f"{text}\nfor {name}" for text, name in zip(words, masked["looked_for"], strict=True)]
    return pd.DataFrame(
        {
            "row": np.array([*shown["row"], *masked["row"]], int),
            "looked_for": [*shown["predicted"], *masked["looked_for"]],
            "caption": [*_captions(shown), *looked_for],
        }
    )


def evidence(path: Path, split: Split, table: pd.DataFrame, heat: np.ndarray) -> None:
    """Draw the rows that `explained` gave under their maps of evidence, `heat` (N, S, S) in [0, 1]."""
    pictures = [_heated(split, row, found) for row, found in zip(table["row"], heat, strict=True)]
    title = "Evidence for the predicted class (bright), its peak in a white square, the true tumour in blue"
    galleries.grid(path, pictures, list(table["caption"]), title, 8)


def _spread(table: pd.DataFrame) -> pd.DataFrame:
    return (
        table.iloc[np.unique(np.linspace(0, len(table) - 1, SHOWN // 2).round().astype(int))] if len(table) else table
    )


def _captions(shown: pd.DataFrame) -> list[str]:
    return [f"{row.label}\n→ {row.predicted} {row.confidence:.2f}" for row in shown.itertuples()]


def _heated(split: Split, row: int, found: np.ndarray) -> np.ndarray:
    mask_row = split.index["mask_row"].iat[row]
    plain = galleries.outlined(split.images[row, ..., 0], None, None)
    outlined = galleries.outlined(split.images[row, ..., 0], split.masks[mask_row] > 0 if mask_row >= 0 else None, None)
    heat = np.kron(found, np.ones((SCALE, SCALE), np.float32))[..., None]
    # The scan shows through where there is no evidence; the outline stays on top of both.
    blended = (plain * (1 - 0.6 * heat) + 255 * HEAT(heat[..., 0])[..., :3] * 0.6 * heat).astype(np.uint8)
    picture = np.where((outlined != plain).any(axis=2, keepdims=True), outlined, blended)
    if found.any():
        down, right = (SCALE * int(at) for at in np.unravel_index(found.argmax(), found.shape))
        corners = (right - 2 * SCALE, down - 2 * SCALE), (right + 3 * SCALE, down + 3 * SCALE)
        cv2.rectangle(picture, *corners, (255, 255, 255), 2)
    return picture
