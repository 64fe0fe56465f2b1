"""The charts of a comparison of two revisions, A and B: numbers only, no scan, so that they may be published."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from brainmri.comparison.regression import HIGHER_IS_WORSE
from brainmri.reporting.figures import COLOURS, save
from brainmri.scoring.training_scores import kept_epoch

plt.rcParams["text.parse_math"] = False  # a dollar sign in the name of a branch begins no formula

# A and B: colour, line and size of dots, told apart by any; where they coincide, B lies on A and both are seen.
LOOKS = ((COLOURS[0], "-", 8), (COLOURS[5], "--", 4))

Curve = tuple[np.ndarray, np.ndarray]  # x and y, (M,) each


def differences(path: Path, rows: Mapping[str, Mapping[str, float | None]], limit: float | None, note: str) -> None:
    """Draw B - A of each score with its 95 % interval, the loss on a scale of its own; shaded is what `limit` forbids.

    Parameters
    ----------
    rows : mapping
        Score to `difference`, `low` and `high`, as `paired.classification` gives them; None where there is none.
    limit : float or None
        By how much no score should surely get worse.
    """
    known = {name: row for name, row in rows.items() if row["difference"] is not None}
    groups = [[name for name in known if (name == "loss") is loss] for loss in (False, True)]
    sizes = [max(1, len(group)) for group in groups]
    figure, axes = plt.subplots(2, 1, figsize=(8, 0.34 * sum(sizes) + 2.2), height_ratios=sizes)
    for axis, group in zip(axes, groups, strict=True):
        ends = [abs(known[name][end] or 0) for name in group for end in ("low", "high", "difference")]
        reach = 1.15 * max([*ends, limit or 0, 0.01])
        for at, name in enumerate(group):
            row = known[name]
            if row["low"] is not None and row["high"] is not None:
                axis.plot([row["low"], row["high"]], [at, at], color=COLOURS[0], linewidth=2.2, solid_capstyle="butt")
            axis.plot(row["difference"], at, "o", color=COLOURS[0], markersize=5)
            if limit is not None and not name.endswith(".recall"):  # shown, not judged
                worse = (limit, reach) if name in HIGHER_IS_WORSE else (-reach, -limit)
                axis.fill_betweenx([at - 0.5, at + 0.5], *worse, color=COLOURS[5], alpha=0.14, linewidth=0)
        axis.axvline(0, color="0.4", linewidth=1)
        axis.set(xlim=(-reach, reach), ylim=(max(1, len(group)) - 0.5, -0.5), yticks=range(len(group)))
        axis.set_yticklabels(group)
        axis.grid(axis="x", color="0.92")
        axis.set_axisbelow(True)
    axes[1].set_xlabel("B − A (bar: 95 % interval, paired)")
    bound = "" if limit is None else f" (shaded: worse by more than {limit:g}; a bar wholly in there fails)"
    axes[0].set_title(f"What changed{bound}", fontsize=10)
    save(figure, path, note)


def curves(path: Path, tables: Sequence[Mapping[str, Sequence[float]]], names: Sequence[str], note: str) -> None:
    """Draw loss and accuracy by epoch of A and B over each other: validation above, training below."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 6.4), sharex=True)
    for row, (prefix, title) in enumerate((("val_", "validation"), ("", "training (dropout on)"))):
        for axis, metric, unit in zip(axes[row], ("loss", "accuracy"), ("nats", "share of images"), strict=True):
            for table, name, (colour, line, size) in zip(tables, names, LOOKS, strict=True):
                kept = kept_epoch(table["val_loss"])
                axis.plot(table["epoch"], table[f"{prefix}{metric}"], line, color=colour, label=name)
                axis.plot(table["epoch"][kept], table[f"{prefix}{metric}"][kept], "o", color=colour, markersize=size)
            axis.set(title=f"{metric.capitalize()}, {title}", ylabel=unit)
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axis in axes[1]:
        axis.set_xlabel("epoch (dot: the one that was kept)")
    _legend(axes[0, 0])
    save(figure, path, note)


def roc(path: Path, found: Mapping[str, Sequence[tuple[Curve, float]]], names: Sequence[str], note: str) -> None:
    """Draw the ROC of A and B over each other, a panel a class: `found` has curve and area of both."""
    side = 2.9
    columns = min(4, len(found))
    rows = -(-len(found) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(side * columns + 0.6, side * rows + 1.1), squeeze=False)
    for axis, (label, both) in zip(axes.flat, found.items(), strict=False):
        axis.plot([0, 1], [0, 1], color="0.8", linewidth=1)
        for ((x, y), area), letter, (colour, line, _) in zip(both, "AB", LOOKS, strict=True):
            axis.plot(x, y, line, color=colour, label=f"{letter}: {area:.3f}")
        axis.set(title=label, xlabel="false positive rate", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        _legend(axis, "area", loc="lower right")
    for axis in list(axes.flat)[len(found) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel("true positive rate")
    figure.suptitle("   ".join(names), fontsize=9)
    save(figure, path, note)


def reliability(path: Path, bins: Sequence[Mapping[str, Any]], names: Sequence[str], note: str) -> None:
    """Draw how often answers are right against how sure they are, of A and B: `calibration.reliability` of both."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(6, 6), height_ratios=(3, 1), sharex=True)
    top.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle=":")
    for found, name, (colour, line, size) in zip(bins, names, LOOKS, strict=True):
        held = np.asarray(found["count"]) > 0
        x, y = (np.asarray(found[key])[held] for key in ("confidence", "accuracy"))
        top.plot(x, y, f"o{line}", color=colour, markersize=size, label=f"{name}: ECE {found['ece']:.3f}")
        edges, counts = [*found["low"], found["high"][-1]], [*found["count"], found["count"][-1]]
        bottom.step(edges, counts, line, color=colour, where="post")
    top.set(ylabel="share that is right", title="Reliability, test images", ylim=(-0.02, 1.02))
    _legend(top, loc="upper left")
    bottom.set(xlabel="confidence", ylabel="images", xlim=(0, 1.01))
    save(figure, path, note)


def dice(path: Path, methods: Mapping[str, tuple[pd.Series, pd.Series]], names: Sequence[str], note: str) -> None:
    """Draw the Dice of each image in B against that in A, a panel a method: above the line B is better."""
    side = 3.4
    figure, axes = plt.subplots(1, len(methods), figsize=(side * len(methods) + 0.6, side + 0.7), squeeze=False)
    for axis, (method, (a, b)) in zip(axes[0], methods.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        axis.plot(a, b, ".", color=COLOURS[0], markersize=5, alpha=0.6)
        axis.plot(a.mean(), b.mean(), "D", color=COLOURS[5], label=f"mean: {a.mean():.3f} → {b.mean():.3f}")
        title = f"{method}, {len(a)} images"
        axis.set(title=title, xlabel=f"Dice in {names[0]}", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        _legend(axis, loc="lower right")
    axes[0, 0].set_ylabel(f"Dice in {names[1]}")
    save(figure, path, note)


def _legend(axis: Axes, title: str | None = None, loc: str = "best") -> None:
    axis.legend(frameon=False, fontsize=8, title=title, title_fontsize=8, loc=loc)
