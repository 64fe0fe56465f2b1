"""The report of a comparison for a pull request: a folder with the text, the charts, and one page that holds both."""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from markdown_it import MarkdownIt

from brainmri.comparison import compare_figures
from brainmri.comparison.compare_markdown import as_markdown
from brainmri.comparison.revisions import Revision
from brainmri.core.files import new_directory, write_json
from brainmri.reporting import documents, figures
from brainmri.scoring import calibration, curves, paired_tests, scores
from brainmri.scoring.probabilities import class_names

# File and caption of each chart, in the order of the report.
CHARTS = {
    "differences.png": "Differences of the scores",
    "curves.png": "Training of A and B",
    "confusion.png": "Confusion of the test images both scored, A and B",
    "roc.png": "ROC, each class against the rest, on the test images both scored",
    "reliability.png": "Reliability on the test images both scored",
    "dice.png": "Dice of each image with a tumour mask, B against A",
}


def write_report(a: Revision, b: Revision, result: dict[str, Any], limit: float | None, out: Path) -> None:
    """Write the folder `out` from two revisions and what `compare.compared` says of them.

    It gets `report.md` and the charts that it shows; `report.html`, one page that holds both and loads nothing;
    `summary.md`, the text alone, for places that cannot show pictures of a run, such as GitHub's job summary; and
    `compare.json`. A chart whose data are missing is left out, and the text says what is missing.

    Parameters
    ----------
    limit : float or None
        The bound that the text and the first chart show; see `drops.drops`.
    """
    text = as_markdown(result, limit)
    with new_directory(out) as folder:
        write_json(folder / "compare.json", result)
        drawn = _draw(folder, a, b, result, limit)
        shown = "\n\n".join(f"### {caption}\n\n![{caption}]({name})" for name, caption in drawn.items())
        report = f"{text}\n## Charts\n\n{shown}\n" if drawn else text
        (folder / "report.md").write_text(report)
        (folder / "report.html").write_text(_page(report, folder, drawn))
        names = ", ".join(name.removesuffix(".png") for name in drawn) or "none could be drawn"
        pointer = f"The charts ({names}) are not in this text: open `report.html` of the same run, which holds all."
        (folder / "summary.md").write_text(f"{text}\n{pointer}\n")


def _draw(folder: Path, a: Revision, b: Revision, result: dict[str, Any], limit: float | None) -> dict[str, str]:
    """Draw what can be drawn; return the captions of the charts by file name."""
    names = [f"{letter}: {side.name}" for letter, side in zip("AB", (a, b), strict=True)]
    kinds = {"simulated data" if side["simulated"] else "data of a real or unknown source" for side in _sides(result)}
    note = f"{' and '.join(sorted(kinds))}; not for clinical use"
    drawings: dict[str, Callable[[Path], None]] = {}
    if rows := _differences(result):
        drawings["differences.png"] = lambda path: compare_figures.differences(path, rows, limit, note)
    if result["curves"]:
        tables = [result["curves"][side] for side in "ab"]
        drawings["curves.png"] = lambda path: compare_figures.curves(path, tables, names, note)
    if a.predictions is not None and b.predictions is not None:
        drawings |= _of_answers(paired_tests.pair(a.predictions, b.predictions), names, note)
    if methods := _dice(a, b):
        drawings["dice.png"] = lambda path: compare_figures.dice(path, methods, names, note)
    for name, draw in drawings.items():
        draw(folder / name)
    return {name: caption for name, caption in CHARTS.items() if name in drawings}


def _sides(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [result["a"], result["b"]]


def _differences(result: dict[str, Any]) -> dict[str, Any]:
    """Return the rows that the bound looks at, as they are called in the text."""
    rows = dict(result["whole"]["scores"]) if result["whole"] else {}
    methods = result["segmentation"]["methods"] if result["segmentation"] else {}
    return rows | {f"Dice of {name}": row for name, row in methods.items()}


def _of_answers(pairs: paired_tests.Pairs, names: list[str], note: str) -> dict[str, Callable[[Path], None]]:
    """Return the charts of the images that both scored under the same label, as in the table of scores."""
    agreed = (pairs.a["label"] == pairs.b["label"]).to_numpy()
    tables = [pairs.a[agreed], pairs.b[agreed]]
    columns = list(dict.fromkeys([*class_names(pairs.a), *class_names(pairs.b)]))
    if tables[0].empty:
        return {}
    numbers = {name: at for at, name in enumerate(columns)}
    counts = {
        name: scores.confusion(
            table["label"].map(numbers).to_numpy(int), table["predicted"].map(numbers).to_numpy(int), len(columns)
        )
        for name, table in zip(names, tables, strict=True)
    }
    both = [label for label in columns if all(f"p_{label}" in table for table in tables)]
    rocs = {label: [_roc(table, label) for table in tables] for label in both}
    rocs = {label: found for label, found in rocs.items() if all(len(curve[0]) for curve, _ in found)}
    bins = [calibration.reliability(*_true_and_probabilities(table)) for table in tables]
    drawings: dict[str, Callable[[Path], None]] = {
        "confusion.png": lambda path: figures.confusion(path, counts, columns, note),
        "reliability.png": lambda path: compare_figures.reliability(path, bins, names, note),
    }
    return drawings | ({"roc.png": lambda path: compare_figures.roc(path, rocs, names, note)} if rocs else {})


def _roc(table: pd.DataFrame, label: str) -> tuple[compare_figures.Curve, float]:
    """Return the curve of one class against the rest and the area under it."""
    x, y = curves.roc_points((table["label"] == label).to_numpy(), table[f"p_{label}"].to_numpy(float))
    return (x, y), float(((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2).sum())


def _true_and_probabilities(table: pd.DataFrame) -> tuple[Any, Any]:
    columns = class_names(table)
    true = table["label"].map({name: at for at, name in enumerate(columns)}).to_numpy(int)
    return true, table[[f"p_{name}" for name in columns]].to_numpy(float)


def _dice(a: Revision, b: Revision) -> dict[str, tuple[pd.Series, pd.Series]]:
    """Return Dice in A and in B of the images that `paired_tests.dice` counts, by method."""
    if a.segmentation is None or b.segmentation is None:
        return {}
    old, new = (dict(iter(table.groupby("method"))) for table in (a.segmentation, b.segmentation))
    found = {}
    for method in sorted(set(old) & set(new)):
        pairs = paired_tests.masked_pair(old[method], new[method])
        if len(pairs.a):
            found[method] = (pairs.a["dice"], pairs.b["dice"])
    return found


def _page(text: str, folder: Path, drawn: dict[str, str]) -> str:
    """Return the Markdown as one HTML page with its charts inside; HTML within it is shown, not obeyed."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    for name in drawn:
        data = base64.b64encode((folder / name).read_bytes()).decode()
        body = body.replace(f'src="{name}"', f'src="data:image/png;base64,{data}"')
    body = re.sub(r"<table>.*?</table>", r'<div class="scroll">\g<0></div>', body, flags=re.DOTALL)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        # Even if a name got past the escaping, it could load and run nothing.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>Comparison</title>\n'
        f"<style>\n{documents.STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Comparison of two revisions</h1>\n"
        f"{body}</main>\n</body>\n</html>\n"
    )
