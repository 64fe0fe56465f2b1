"""What a sweep found, as a table, a text and a picture: ranked by validation figures, never by test scores."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from brainmri.comparison import sweep_figures
from brainmri.comparison.grid import title
from brainmri.core.files import write_table
from brainmri.reporting import markdown

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
    (out / "sweep.md").write_text(_text(trials, shown, images, simulated))
    note = f"{'simulated data' if simulated else 'validation images'}; not for clinical use"
    labels = [f"{title(trial.values)}{'  FAILED' if trial.failure else ''}" for trial in trials]
    columns = {name: [trial.figures.get(name) for trial in trials] for name in shown}
    sweep_figures.sweep(out / "sweep.png", labels, columns, images, note)


def _text(trials: Sequence[Trial], shown: list[str], images: int | None, simulated: bool) -> str:
    done = [trial for trial in trials if not trial.failure]
    failed = [trial for trial in trials if trial.failure]
    parts = [f"# Sweep of {len(trials)} combinations{', simulated data' if simulated else ''}"]
    if done:
        header = ["", *(markdown.code(key) for key in done[0].values), *shown, "Experiment"]
        parts += [markdown.table(header, [_row(at, trial, shown) for at, trial in enumerate(done, start=1)])]
        parts += [_how_to_read(done, images), "![Validation figures by combination](sweep.png)"]
        parts += [_how_to_promote(done[0])]
    if failed:
        lines = [f"- {markdown.code(title(trial.values))}: {markdown.sentence(trial.failure)}" for trial in failed]
        parts += [f"## Failed: {len(failed)}", "\n".join(lines)]
    return "\n\n".join([*parts, "Not for clinical use."]) + "\n"


def _row(at: int, trial: Trial, shown: list[str]) -> list[str]:
    numbers = [f"{trial.figures[name]:.4f}" if name in trial.figures else "none" for name in shown]
    return [str(at), *(markdown.code(value) for value in trial.values.values()), *numbers, markdown.code(trial.name)]


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


def _how_to_promote(best: Trial) -> str:
    return (
        "To promote the first one to a branch, and look at it:\n\n```console\n"
        f"$ dvc exp branch {best.name} my-branch\n$ git checkout my-branch\n$ dvc checkout\n"
        "$ brainmri compare my-branch~1 my-branch\n```\n\n"
        "The others stay experiments (`dvc exp list`); `dvc exp remove NAME` forgets one."
    )
