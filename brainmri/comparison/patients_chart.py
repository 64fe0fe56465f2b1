"""Draw what networks score on copies of what they learnt, on known patients, on new ones and on another source.

The rows are those of `results/`: each run tells by itself whom it has seen. `brainmri readme` writes the chart.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from brainmri.reporting.formatting import with_ends

# What the test images are to the network, and a colour: Okabe and Ito's. The order of the rows tells it as well.
GROUPS = {
    "copies of what it learnt from": "#d55e00",
    "known patients, copies left out": "#e69f00",
    "new patients": "#0072b2",
    "another set": "#009e73",
}
COPIES, KNOWN, NEW, ELSEWHERE = GROUPS
PICTURE = Path("docs/pictures/patients.svg")
LINE = 46  # characters of a name in a line
FIXED = {"svg.hashsalt": "brainmri", "svg.fonttype": "none"}  # the same bytes each time, and words stay words


class Row(NamedTuple):
    """A dot: its group, the run's name, how many images were scored, the accuracy and its interval."""

    group: str
    name: str
    images: int
    accuracy: float
    ends: Mapping[str, float]  # low, high


def rows_of(runs: Collection[dict[str, Any]], others: Iterable[dict[str, Any]]) -> list[Row]:
    """Return a row for each run on scans of people, in the order of `GROUPS`, and in each by accuracy.

    Parameters
    ----------
    runs : collection of dict
        Of `results/*.json`. Left out are simulated sets, and runs of which no test patient is known: whether they have
        seen them cannot be told. A set from elsewhere that a run was scored on has a row too.
    others : iterable of dict
        Of `results/external/*.json`.
    """
    rows = [
        _row(group, run, run["metrics"]["classify"]["whole"], run["metrics"]["classify"]["ci95"]["whole"])
        for run in runs
        if (group := _group(run))
    ]
    rows += [
        _row(ELSEWHERE, {"name": f"{run['name']}, scored on {name}"}, found["scores"], found["ci95"])
        for run in runs
        for name, found in run["metrics"]["classify"].get("external", {}).items()
        if "scores" in found
    ]
    rows += [_row(ELSEWHERE, run, run["result"]["scores"], run["result"]["ci95"]) for run in others]
    return sorted(rows, key=lambda row: (list(GROUPS).index(row.group), -row.accuracy, row.name))


def _group(run: dict[str, Any]) -> str | None:
    told = run["test_patients"]
    if run["params"]["fetch"]["source"] == "phantom" or not told["known"]:
        return None
    if not told["seen_in_training"]:
        return NEW
    return COPIES if run["params"]["preprocess"]["duplicates"] == "report" else KNOWN


def _row(group: str, run: dict[str, Any], scores: dict[str, Any], ends: dict[str, Any]) -> Row:
    return Row(group, run["name"], scores["images"], scores["accuracy"], ends["accuracy"])


def draw(path: Path, rows: list[Row]) -> None:
    """Draw the rows from top to bottom as dots with their intervals, and write the chart as SVG.

    Given the same rows, the same version of Matplotlib writes the same bytes.
    """
    with plt.rc_context(FIXED):
        figure, axis = plt.subplots(figsize=(9.6, 0.42 * len(rows) + 1.6))
        draw_dots(axis, rows)
        axis.set_yticks(range(len(rows)), [fill(row.name, LINE) for row in rows], fontsize=8)
        axis.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), xlabel="accuracy (95 % interval) of how many images")
        axis.grid(axis="x", color="0.92")
        axis.set_axisbelow(True)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
        figure.legend(title="Tested on:", frameon=False, fontsize=8, ncols=4, loc="upper left", alignment="left")
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.5 / figure.get_figheight()))
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)


def draw_dots(axis: Axes, rows: list[Row]) -> None:
    """Draw a dot a row, with its interval, and its figures beside it; each group is named once."""
    named: set[str] = set()
    for place, row in enumerate(rows):
        spread = [[row.accuracy - row.ends["low"]], [row.ends["high"] - row.accuracy]]
        label, colour = None if row.group in named else row.group, GROUPS[row.group]
        axis.errorbar(row.accuracy, place, xerr=spread, fmt="o", color=colour, capsize=3, markersize=6, label=label)
        axis.text(1.02, place, figures_of(row), va="center", fontsize=8)
        named.add(row.group)


def figures_of(row: Row) -> str:
    """Return what stands beside a dot."""
    return f"{with_ends(row.accuracy, row.ends)} of {row.images:,}"
