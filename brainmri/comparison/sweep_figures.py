"""The chart of a sweep: validation figures by combination of params."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt

from brainmri.reporting.figures import COLOURS, save
from brainmri.scoring.intervals import wilson

plt.rcParams["text.parse_math"] = False  # a dollar sign in a value begins no formula


def sweep(
    path: Path,
    labels: Sequence[str],
    figures: Mapping[str, Sequence[float | None]],
    images: int | None,
    note: str,
) -> None:
    """Draw a row a combination, the best on top, and a panel a figure; accuracy with Wilson's 95 % interval.

    Parameters
    ----------
    labels : sequence of str
        What each combination is called, `(N,)`.
    figures : mapping
        Figure to its values, `(N,)` each; None where a combination failed.
    images : int or None
        Validation images; None draws no intervals.
    """
    columns = max(1, len(figures))
    size = (3.2 * columns + 0.075 * max(map(len, labels)), 0.36 * len(labels) + 1.5)
    figure, axes = plt.subplots(1, columns, figsize=size, sharey=True, squeeze=False)
    for axis, (name, values) in zip(axes[0], figures.items(), strict=False):
        for at, value in enumerate(values):
            if value is None:
                continue
            if name == "validation accuracy" and images:
                axis.plot(wilson(value, images), [at, at], color=COLOURS[0], alpha=0.45, linewidth=2)
            axis.plot(value, at, "o", color=COLOURS[0])
            axis.annotate(f"{value:.3f}", (value, at), (0, 5), textcoords="offset points", ha="center", fontsize=7)
        axis.set(title=name, ylim=(len(labels) - 0.4, -0.7))
        axis.title.set_fontsize(9)
        axis.grid(axis="x", color="0.92")
        axis.margins(x=0.15)
        axis.set_axisbelow(True)
    axes[0, 0].set_yticks(range(len(labels)), labels, fontsize=8)
    bar = "bar: 95 % interval, images taken for independent; " if images else ""
    save(figure, path, f"{bar}{note}")
