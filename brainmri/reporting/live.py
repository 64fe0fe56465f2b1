"""Curves while a network learns, where `dvc plots show` and the VS Code extension look for them.

They stand in the folder `live/` of the project: a CSV a stage, and a `dvc.yaml` of their own that names them. Git does
not ignore the folder, because DVC reads no `dvc.yaml` that git ignores; it is there only while a network learns, so
that nothing is missing in between. No stage reads it and no output holds it, so it changes no bits.
"""

import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML

from brainmri.core.files import write_table, write_text

FOLDER = "live"


def show(root: Path, stage: str, rows: Sequence[Mapping[str, float]]) -> None:
    """Write the curves of a stage so far.

    Parameters
    ----------
    root : Path
        The project's folder.
    stage : str
        Whose curves they are.
    rows : sequence of mapping
        One an epoch: `epoch`, figures, and the same on validation images with `val_` before their names.
    """
    write_table(root / FOLDER / f"{stage}.csv", pd.DataFrame(rows))
    _list(root / FOLDER)


def hide(root: Path, stage: str) -> None:
    """Remove the curves of a stage that has ended."""
    (root / FOLDER / f"{stage}.csv").unlink(missing_ok=True)
    if (root / FOLDER).exists():
        _list(root / FOLDER)


def _list(folder: Path) -> None:
    """Write the `dvc.yaml` that names the curves there are; remove the folder where there are none."""
    tables = sorted(folder.glob("*.csv"))
    if not tables:
        shutil.rmtree(folder)
        return
    plots = [_plot(table, name) for table in tables for name in _figures(table)]
    text = io.StringIO()
    YAML().dump({"plots": plots}, text)
    write_text(folder / "dvc.yaml", text.getvalue())


def _figures(table: Path) -> list[str]:
    columns = table.read_text().partition("\n")[0].split(",")
    return [name for name in columns if f"val_{name}" in columns]


def _plot(table: Path, name: str) -> dict[str, object]:
    title = f"{table.stem} now: {name} by epoch"
    return {title: {"template": "linear", "title": title, "x": "epoch", "y": {table.name: [name, f"val_{name}"]}}}
