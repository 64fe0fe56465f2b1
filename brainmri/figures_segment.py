"""The chart of the masks: the distribution of Dice by method. Numbers only, no scan, so that it may go into git."""

from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

# Okabe and Ito's palette: told apart with any colour vision. Further methods begin again.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000")


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
    figure.text(0.995, 0.005, note, ha="right", va="bottom", fontsize=7, color="0.35")
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)
