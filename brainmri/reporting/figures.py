"""The charts of the report: lines, bars and tables of numbers, never a scan, so that they may go into git."""

from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from brainmri.scoring.assessment import PARTS
from brainmri.scoring.training_scores import kept_epoch

# Okabe and Ito's palette: told apart with any colour vision. Further classes begin again.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000")
# Parts of the test set: colour, marker and what the word means, told apart by any two of them.
LOOKS = {
    "whole": (COLOURS[0], "o", ""),
    "twin_free": (COLOURS[5], "s", " (no near-duplicate in training)"),
    "neighbour_free": (COLOURS[2], "^", " (nor a slice like a neighbour)"),
}
FEW_IMAGES = 10  # a share of fewer is mostly chance, and is not drawn


def curves(path: Path, table: pd.DataFrame, note: str) -> None:
    """Draw loss and accuracy by epoch, training and validation; the epoch that was kept is marked."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6))
    kept = table["epoch"].iloc[kept_epoch(table["val_loss"])]
    for axis, name, unit in ((axes[0], "loss", "cross-entropy, nats"), (axes[1], "accuracy", "share of images")):
        axis.plot(table["epoch"], table[name], color=COLOURS[0], label="training (dropout on)")
        axis.plot(table["epoch"], table[f"val_{name}"], color=COLOURS[1], label="validation")
        axis.axvline(kept, color="0.6", linewidth=1, linestyle=":", label=f"epoch kept: {kept}")
        axis.set(xlabel="epoch", ylabel=unit, title=f"{name.capitalize()} by epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.legend(frameon=False, fontsize=8)
    save(figure, path, note)


def scores(path: Path, table: pd.DataFrame, note: str) -> None:
    """Draw the rows of `score_table`: a dot and its ends for each part of the test set, a panel a metric."""
    who = list(dict.fromkeys(table["who"]))
    drawn = [part for part in PARTS if part in set(table["part"])]
    figure, axes = plt.subplots(1, 2, figsize=(10, 0.62 * len(who) + 1.7), sharey=True)
    for axis, (metric, found) in zip(axes, table.groupby("metric", sort=False), strict=False):
        for at, part in enumerate(drawn):
            colour, marker, meaning = LOOKS[part]
            rows = found[found["part"] == part]
            places = np.array([who.index(name) for name in rows["who"]], float) + 0.24 * (at - (len(drawn) - 1) / 2)
            ends = [rows["value"] - rows["low"], rows["high"] - rows["value"]]
            # A score without ends is a fact on the images, not an estimate: nothing is drawn around it.
            ends = [np.clip(end.to_numpy(float), 0, None) for end in ends]
            label = PARTS[part] + meaning
            axis.errorbar(
                rows["value"], places, xerr=ends, fmt=marker, color=colour, capsize=2.5, markersize=5, label=label
            )
            for value, end, place in zip(rows["value"], np.nan_to_num(ends[1]), places, strict=True):
                axis.text(value + end + 0.02, place, f"{value:.3f}", va="center", fontsize=7, color="0.25")
        axis.set(title=metric, xlim=(0, 1.1), xticks=np.arange(0, 1.01, 0.2))
        axis.grid(axis="x", color="0.92")
        axis.set_axisbelow(True)
    axes[0].set_yticks(range(len(who)), who)
    axes[0].invert_yaxis()
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, frameon=False, fontsize=8, ncols=3, loc="lower left")
    figure.suptitle(
        "Test scores of the classifier, of shortcut probes and of the commonest class (bars: 95 % intervals)",
        fontsize=11,
    )
    save(figure, path, note)


def confusion(path: Path, counts: dict[str, np.ndarray], names: list[str], note: str) -> None:
    """Draw confusion matrices (K, K) beside each other: counts as numbers, shares of the true class as shades."""
    side = 0.95 * len(names) + 0.9
    figure, axes = plt.subplots(1, len(counts), figsize=(side * len(counts) + 0.8, side), sharey=True, squeeze=False)
    for axis, (title, table) in zip(axes[0], counts.items(), strict=True):
        shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, col in np.ndindex(table.shape):
            colour = "white" if shares[row, col] > 0.6 else "black"
            axis.text(col, row, f"{table[row, col]}", ha="center", va="center", color=colour)
        axis.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axis.set_yticks(range(len(names)), names)
        axis.set(xlabel="predicted", title=f"{title}, {table.sum()} images")
    axes[0, 0].set_ylabel("true")
    save(figure, path, note)


def by_label(path: Path, table: pd.DataFrame, x: str, y: str, title: str, aucs: dict[str, float], note: str) -> None:
    """Draw one curve a label from columns `label`, `x`, `y`; the legend has the area under each."""
    figure, axis = plt.subplots(figsize=(4.8, 4.2))
    for label, rows in table.groupby("label", sort=False):
        axis.plot(rows[x], rows[y], color=_colour(label, list(aucs)), label=f"{label} ({aucs[label]:.3f})")
    axis.set(
        xlabel=x.replace("_", " "), ylabel=y.replace("_", " "), title=title, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01)
    )
    axis.legend(frameon=False, fontsize=8, title="area", title_fontsize=8)
    save(figure, path, note)


def reliability(path: Path, bins: pd.DataFrame, eces: dict[str, float], note: str) -> None:
    """Draw how often predictions are right against how sure they are, before and after calibration; and how many.

    A marker's area grows with the images of its bin; above, a bin of fewer than `FEW_IMAGES` is left out.
    """
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(5.2, 5.4), height_ratios=(3, 1), sharex=True)
    top.plot([0, 1], [0, 1], color="0.4", linestyle="--", linewidth=1)
    looks = {"before": (COLOURS[1], "s", ":"), "after": (COLOURS[0], "o", "-")}
    for when, (colour, marker, line) in looks.items():
        rows = bins[(bins["when"] == when) & (bins["count"] > 0)]
        many, images = rows[rows["count"] >= FEW_IMAGES], rows["count"].sum()
        left_out = images - many["count"].sum()
        label = f"{when} calibration, ECE {eces[when]:.3f};\n{left_out} of {images} images in bins left out"
        top.plot(many["confidence"], many["accuracy"], line, color=colour, label=label, linewidth=1)
        areas = 12 + 150 * many["count"] / images
        top.scatter(many["confidence"], many["accuracy"], areas, color=colour, marker=marker, clip_on=False, zorder=3)
        bottom.step(
            [*rows["low"], *rows["high"][-1:]], [*rows["count"], *rows["count"][-1:]], color=colour, where="post"
        )
    top.set(ylabel="share that is right", title="Reliability, test images", ylim=(-0.02, 1.02))
    top.legend(
        frameon=False, fontsize=8, loc="upper left", title=f"bins of {FEW_IMAGES} images and more", title_fontsize=8
    )
    bottom.set(xlabel="confidence", ylabel="images", xlim=(0, 1.01), yscale="log")
    save(figure, path, note)


def coverage_risk(
    path: Path, table: pd.DataFrame, images: int, coverage: float, accuracy: float | None, note: str
) -> None:
    """Draw the share of wrong answers against the share of `images` answered, the most confident first.

    It begins where `FEW_IMAGES` are answered. `coverage` and `accuracy` (None where nothing is answered) are those at
    the threshold that validation chose.
    """
    figure, axis = plt.subplots(figsize=(5.2, 3.8))
    table = table[(table["coverage"] * images).round() >= FEW_IMAGES]
    axis.plot(table["coverage"], table["risk"], color=COLOURS[0], label=f"from {FEW_IMAGES} images on, of {images}")
    if accuracy is not None:
        label = f"threshold from validation: {coverage:.1%} answered,\n{accuracy:.1%} of them right"
        axis.plot(coverage, 1 - accuracy, "D", color=COLOURS[5], label=label, clip_on=False)
    else:
        axis.plot([], [], " ", label="threshold from validation: nothing is answered")
    axis.legend(frameon=False, fontsize=8, loc="upper left")
    top = max(0.05, 1.5 * float(table["risk"].max())) if len(table) else 1
    axis.set(xlabel="share of images answered", ylabel="share of answers wrong", title="Risk by coverage, test images")
    axis.set(xlim=(0, 1.01), ylim=(0, min(1.02, top)))
    save(figure, path, note)


def dice_by_method(path: Path, table: pd.DataFrame, note: str) -> None:
    """Draw every image's Dice by method, and the share of images that reach each Dice.

    Parameters
    ----------
    path : Path
        PNG file to write.
    table : DataFrame
        Columns `method` and `dice`, one row an image with a tumour and method: the rows of `rows.csv` of the segment
        stage whose `truth_px` is above 0.
    note : str
        Written in the corner: where the data are from.
    """
    methods = list(dict.fromkeys(table["method"]))
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8))
    for at, method in enumerate(methods):
        values = np.sort(table.loc[table["method"] == method, "dice"].dropna().to_numpy())
        colour = COLOURS[at % len(COLOURS)]
        # A fixed spread by rank instead of a random one: equal data give an equal picture.
        offsets = 0.6 * ((np.arange(len(values)) * 0.618034) % 1 - 0.5)
        left.plot(values, at + offsets, ".", color=colour, markersize=3, alpha=0.5)
        if len(values):
            left.boxplot(
                values, positions=[at], orientation="horizontal", widths=0.72, showfliers=False, manage_ticks=False,
                medianprops={"color": "black", "linewidth": 1.6}, boxprops={"color": "0.3"}, whis=(5, 95),
            )  # fmt: skip
            reached = 1 - np.arange(len(values)) / len(values)
            right.step(
                [0, *values], [1, *reached], where="pre", color=colour, label=f"{method}, mean {values.mean():.2f}"
            )
    left.set_yticks(range(len(methods)), methods)
    left.set(xlabel="Dice", xlim=(-0.02, 1.02), title="Each image; box: quartiles, ends: 5 % and 95 %")
    left.invert_yaxis()
    right.set(xlabel="Dice", ylabel="share of images with at least that", xlim=(0, 1), ylim=(0, 1.02), title="Reached")
    if right.get_legend_handles_labels()[0]:
        right.legend(frameon=False, fontsize=8)
    save(figure, path, note)


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
    save(figure, path, note)


def counts(path: Path, images: dict[str, dict[str, int]], classes: list[str], note: str) -> None:
    """Draw how many images of each class every split has, and what was taken out."""
    splits = [name for name in ("train", "val", "test", "dropped") if name in images]
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
    save(figure, path, note)


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
    save(figure, path, note)


def _colour(label: str, classes: list[str]) -> str:
    """Return the colour of a class, the same in every chart; grey for what has none."""
    return COLOURS[classes.index(label) % len(COLOURS)] if label in classes else "0.55"


def save(figure: Figure, path: Path, note: str) -> None:
    """Finish a chart in the look of all of them, with `note` in its corner, write it as PNG, and close it."""
    figure.text(0.995, 0.005, note, ha="right", va="bottom", fontsize=7, color="0.35")
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)
