"""What a sweep found, as a table, a text and a picture: ranked by validation figures, never by test scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from brainmri.comparison.grid import title
from brainmri.core.files import write_table
from brainmri.reporting.documents import Block, Commands, Heading, Items, Picture, Table, Text, as_markdown
from brainmri.reporting.figures import COLOURS, save
from brainmri.reporting.formatting import code, number
from brainmri.scoring.intervals import wilson

plt.rcParams["text.parse_math"] = False  # a dollar sign in a value begins no formula

# In the order in which they rank, and whether a lower one is better.
FIGURES = {"validation accuracy": False, "validation loss": True, "validation Dice of the U-Net": False}


@dataclass
class Trial:
    """One combination, and what came of it."""

    values: dict[str, str]  # by param, as they were given
    name: str  # of its experiment
    figures: dict[str, float] = field(default_factory=dict)  # those of FIGURES that it has
    failure: str = ""  # why it has none


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials, the best first, equals in the order of the grid, those that failed last."""

    def key(trial: Trial) -> tuple[Any, ...]:
        order = (trial.figures.get(name, 0.0) * (1 if lower else -1) for name, lower in FIGURES.items())
        return (bool(trial.failure), *order)

    return sorted(trials, key=key)


def write(out: Path, trials: Sequence[Trial], images: int | None, simulated: bool) -> None:
    """Write `sweep.csv`, `sweep.md` and `sweep.png`.

    Parameters
    ----------
    trials : sequence of Trial
        Ranked.
    images : int or None
        How many validation images chose; None where they were not the same ones for all.
    simulated : bool
        Whether the data are.
    """
    shown = [name for name in FIGURES if any(name in trial.figures for trial in trials)]
    rows = [
        {**trial.values, **{name: trial.figures.get(name) for name in shown}, "experiment": trial.name,
         "failure": trial.failure}
        for trial in trials
    ]  # fmt: skip
    write_table(out / "sweep.csv", pd.DataFrame(rows))
    (out / "sweep.md").write_text(as_markdown(_blocks(out, trials, shown, images, simulated)))
    note = f"{'simulated data' if simulated else 'validation images'}; not for clinical use"
    labels = [f"{title(trial.values)}{'  FAILED' if trial.failure else ''}" for trial in trials]
    columns = {name: [trial.figures.get(name) for trial in trials] for name in shown}
    draw(out / "sweep.png", labels, columns, images, note)


def _blocks(out: Path, trials: Sequence[Trial], shown: list[str], images: int | None, simulated: bool) -> list[Block]:
    done = [trial for trial in trials if not trial.failure]
    failed = [trial for trial in trials if trial.failure]
    blocks: list[Block] = [Heading(f"Sweep of {len(trials)} combinations{', simulated data' if simulated else ''}", 1)]
    if done:
        header = ["", *map(code, done[0].values), *shown, "Experiment"]
        rows = [_row(at, trial, shown) for at, trial in enumerate(done, start=1)]
        chart = Picture(out / "sweep.png", "A dot each combination and figure", "Validation figures by combination")
        blocks += [Table("Combinations, the best first", header, rows), Text(_how_to_read(done, images)), chart]
        blocks += _how_to_promote(done[0])
    if failed:
        lines = [f"{code(title(trial.values))}: {trial.failure}" for trial in failed]
        blocks += [Heading(f"Failed: {len(failed)}"), Items(lines)]
    return [*blocks, Text("Not for clinical use.")]


def _row(at: int, trial: Trial, shown: list[str]) -> list[str]:
    numbers = [number(trial.figures.get(name), 4, "none") for name in shown]
    return [str(at), *map(code, trial.values.values()), *numbers, code(trial.name)]


def _how_to_read(done: list[Trial], images: int | None) -> str:
    lines = [
        "Ranked by validation accuracy, then loss, then Dice. Test scores are left out on purpose: a combination that "
        "was chosen by them is praised for its luck. For the same reason the winner's validation figures are too good; "
        "fair is its test score, looked at once."
    ]
    if images is None:
        lines.append("The combinations have different validation images, so that their figures cannot be compared.")
    else:
        lines.append(f"One of the {images} validation images is {1 / images:.4f} of accuracy; less is no difference.")
    if len(done) > 1 and all(trial.figures == done[0].figures for trial in done):
        lines.append("All figures are equal: these params do nothing that validation images can see.")
    return " ".join(lines)


def _how_to_promote(best: Trial) -> list[Block]:
    lines = [
        f"dvc exp branch {best.name} my-branch",
        "git checkout my-branch",
        "dvc checkout",
        "brainmri compare my-branch~1 my-branch",
    ]
    return [
        Text("To promote the first one to a branch, and look at it:"),
        Commands(lines),
        Text("The others stay experiments (`dvc exp list`); `dvc exp remove NAME` forgets one."),
    ]


def draw(
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
