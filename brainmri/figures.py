"""The charts of the report: lines, bars and tables of numbers, never a scan, so that they may go into git."""

from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's palette: told apart with any colour vision. Further classes begin again.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000")


def curves(path: Path, table: pd.DataFrame, note: str) -> None:
    """Draw loss and accuracy by epoch, training and validation; the epoch that was kept is marked."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6))
    kept = table.loc[table["val_loss"].idxmin(), "epoch"]
    for axis, name, unit in ((axes[0], "loss", "cross-entropy, nats"), (axes[1], "accuracy", "share of images")):
        axis.plot(table["epoch"], table[name], color=COLOURS[0], label="training (dropout on)")
        axis.plot(table["epoch"], table[f"val_{name}"], color=COLOURS[1], label="validation")
        axis.axvline(kept, color="0.6", linewidth=1, linestyle=":", label=f"epoch kept: {kept}")
        axis.set(xlabel="epoch", ylabel=unit, title=f"{name.capitalize()} by epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.legend(frameon=False, fontsize=8)
    _save(figure, path, note)


def confusion(path: Path, counts: np.ndarray, names: list[str], note: str) -> None:
    """Draw a confusion matrix (K, K): counts as numbers, shares of the true class as shades."""
    figure, axis = plt.subplots(figsize=(1.1 * len(names) + 1.2, 1.0 * len(names) + 1.2))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, col in np.ndindex(counts.shape):
        colour = "white" if shares[row, col] > 0.6 else "black"
        axis.text(col, row, f"{counts[row, col]}", ha="center", va="center", color=colour)
    axis.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axis.set_yticks(range(len(names)), names)
    axis.set(xlabel="predicted", ylabel="true", title="Confusion, test images")
    _save(figure, path, note)


def by_label(path: Path, table: pd.DataFrame, x: str, y: str, title: str, aucs: dict[str, float], note: str) -> None:
    """Draw one curve a label from columns `label`, `x`, `y`; the legend has the area under each."""
    figure, axis = plt.subplots(figsize=(4.8, 4.2))
    for label, rows in table.groupby("label", sort=False):
        axis.plot(rows[x], rows[y], color=_colour(label, list(aucs)), label=f"{label} ({aucs[label]:.3f})")
    axis.set(
        xlabel=x.replace("_", " "), ylabel=y.replace("_", " "), title=title, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01)
    )
    axis.legend(frameon=False, fontsize=8, title="area", title_fontsize=8)
    _save(figure, path, note)


def reliability(path: Path, bins: pd.DataFrame, ece: float, note: str) -> None:
    """Draw how often predictions are right against how sure they are, and how many there are of each."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(4.6, 4.8), height_ratios=(3, 1), sharex=True)
    width = bins["high"] - bins["low"]
    top.bar(bins["low"], bins["accuracy"], width, align="edge", color=COLOURS[0], edgecolor="white")
    top.plot([0, 1], [0, 1], color="0.4", linestyle="--", linewidth=1)
    top.set(ylabel="share that is right", title=f"Reliability, ECE {ece:.3f}", ylim=(0, 1))
    bottom.bar(bins["low"], bins["count"], width, align="edge", color="0.6", edgecolor="white")
    bottom.set(xlabel="confidence", ylabel="images", xlim=(0, 1))
    _save(figure, path, note)


def histograms(path: Path, table: pd.DataFrame, classes: list[str], note: str) -> None:
    """Draw the levels inside the head, by label, before any window and after each."""
    stages = sorted(table["stage"].unique())
    figure, axes = plt.subplots(1, len(stages), figsize=(3.1 * len(stages), 3.2), sharey=True, squeeze=False)
    top = table.loc[table["level"].between(4, 248), "share"].max() if len(table) else 1
    for axis, stage in zip(axes[0], stages, strict=True):
        for label, rows in table[table["stage"] == stage].groupby("label"):
            name = label or "unlabelled"
            axis.plot(rows["level"], rows["share"], color=_colour(label, classes), label=name, linewidth=1.2)
        # The first and last bin hold all that a window clips; they would flatten the rest.
        axis.set(xlabel="level", title=stage, ylim=(0, 1.1 * top))
    axes[0, 0].set_ylabel("share of the head's pixels")
    axes[0, -1].legend(frameon=False, fontsize=8)
    _save(figure, path, note)


def counts(path: Path, images: dict[str, dict[str, int]], classes: list[str], note: str) -> None:
    """Draw how many images of each class every split has, and what was taken out."""
    splits = [name for name in ("train", "val", "test", "dropped", "left out") if name in images]
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    left = np.zeros(len(splits))
    labels = [*classes, *(["unlabelled"] if any("unlabelled" in images[name] for name in splits) else [])]
    for label in labels:
        sizes = np.array([images[name].get(label, 0) for name in splits])
        axis.barh(splits, sizes, left=left, color=_colour(label, classes), label=label, edgecolor="white")
        left += sizes
    axis.invert_yaxis()
    axis.set(xlabel="images", title="Images by split and class")
    axis.legend(frameon=False, fontsize=8)
    _save(figure, path, note)


def dice(path: Path, table: pd.DataFrame, classes: list[str], note: str) -> None:
    """Draw the distribution of Dice over images with a tumour, one row a method and label, each image a dot."""
    parts = [
        (method, label or "no class", rows["dice"]) for (method, label), rows in table.groupby(["method", "label"])
    ]
    figure, axis = plt.subplots(figsize=(6.4, 0.5 * max(1, len(parts)) + 1.6))
    for at, (_, label, values) in enumerate(parts):
        # A fixed spread by rank instead of a random one: equal data give an equal picture.
        offsets = 0.3 * ((np.arange(len(values)) * 0.618034) % 1 - 0.5)
        axis.plot(values, at + offsets, ".", color=_colour(label, classes), markersize=3, alpha=0.6)
        axis.plot([values.mean()] * 2, [at - 0.32, at + 0.32], color="black", linewidth=1.5)
    axis.set_yticks(range(len(parts)), [f"{method}, {label}" for method, label, _ in parts])
    axis.set(xlabel="Dice (bar: mean)", xlim=(-0.02, 1.02), title="Dice of images with a tumour mask")
    axis.invert_yaxis()
    _save(figure, path, note)


def _colour(label: str, classes: list[str]) -> str:
    """Return the colour of a class, the same in every chart; grey for what has none."""
    return COLOURS[classes.index(label) % len(COLOURS)] if label in classes else "0.55"


def _save(figure: Figure, path: Path, note: str) -> None:
    figure.text(0.995, 0.005, note, ha="right", va="bottom", fontsize=7, color="0.35")
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)
