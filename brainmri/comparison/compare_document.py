"""A comparison of two revisions as blocks of a document: for the command, for pull requests, and for the page."""

from typing import Any

from brainmri.comparison.regression import drops, outcome, revision_name, verdict
from brainmri.reporting.documents import Block, Heading, Items, Lead, Table, Text, as_markdown
from brainmri.reporting.formatting import change, code, p_value, score, signed
from brainmri.scoring.training_scores import kept_epoch

ROWS = 20  # of a long table; JSON has them all
EPOCHS = 5  # parts that training is shown in
INTERVAL = "B − A (95 % interval)"
NOTES = (
    "Each interval is a 95 % bootstrap over units (what belongs together, such as the slices of a patient), each by "
    "itself: of many rows, one in twenty excludes zero by chance. Shares are widened where fewer than five units tell "
    "A and B apart. McNemar's test takes images for independent. Neither "
    "tells how much another training seed would change. Not for clinical use."
)


def as_blocks(result: dict[str, Any], limit: float | None = None) -> list[Block]:
    """Return the dictionary of `compare.compare` as blocks: the verdict first, then short tables.

    With `limit`, the second block says whether the scores kept it, as `regression.outcome` does.
    """
    bound = [] if limit is None else [Text(outcome(result, limit), strong=bool(drops(result, limit)[0]))]
    return [
        Lead(verdict(result)),
        *bound,
        _revisions(result),
        *_listed("Not run as they stand: figures that are equal mean nothing here", result["stale"]),
        *_scores(result),
        *_predictions(result),
        *_segmentation(result),
        *_training(result),
        *_metrics(result),
        *_params(result),
        *_data(result),
        *_listed("Missing, and left out above", result["missing"]),
        Heading("How to read this"),
        Text(NOTES),
    ]


def as_comment(blocks: list[Block]) -> str:
    """Return blocks as Markdown that stands below the headings of a pull request."""
    return as_markdown(blocks, below=1)


def _revisions(result: dict[str, Any]) -> Block:
    kinds = {True: "simulated", False: "not simulated", None: "unknown"}
    sides = [result["a"], result["b"]]
    rows = [["data", *(kinds[side["simulated"]] for side in sides)]]
    if images := result["images"]:
        totals = [images["both"] + images[key] for key in ("only_a", "only_b")]
        rows.append(["test images", *map(str, totals)])
        rows.append(["of these only here", str(images["only_a"]), str(images["only_b"])])
        if images["relabelled"]:
            rows.append(["in both, labels differ", *[str(images["relabelled"])] * 2])
    names = [f"{letter}: {revision_name(side)}" for letter, side in zip("AB", sides, strict=True)]
    return Table("The two revisions", ["", *names], rows)


def _listed(title: str, lines: list[str]) -> list[Block]:
    return [Heading(title), Items(lines)] if lines else []


def _scores(result: dict[str, Any]) -> list[Block]:
    if result["whole"] is None:
        return []
    rows = []
    for part, title in (("whole", ""), ("twin_free", "twin-free: ")):
        names = result[part]["scores"] if result[part] else {}
        for name, row in names.items():
            if part == "whole" or name in ("accuracy", "macro.f1"):
                rows.append([f"{title}{name}", score(row["a"]), score(row["b"]), change(row)])
    sizes = [f"{result['whole']['images']} images in {result['whole']['units']} units"]
    free = result["twin_free"]
    sizes.append(f"of these twin-free in both: {free['images']}" if free else "of these twin-free in both: none")
    test = result["whole"]["mcnemar"]
    line = (
        f"Scored in both under the same label: {', '.join(sizes)}. Right in A alone: {test['only_a_right']}, "
        f"in B alone: {test['only_b_right']} (McNemar, exact: {p_value(test['p'])})."
    )
    return [Heading("Scores"), Text(line), Table("Scores of A and B", ["Score", "A", "B", INTERVAL], rows)]


def _predictions(result: dict[str, Any]) -> list[Block]:
    if result["changed_predictions"] is None:
        return []
    changed = result["changed_predictions"]
    rows = []
    for row in changed[:ROWS]:
        a, b = row["a"], row["b"]
        label = a["label"] if a["label"] == b["label"] else f"{a['label']} → {b['label']}"
        answers = [f"{side['predicted']} {side['confidence']:.2f}" for side in (a, b)]
        rows.append([code(row["image_id"]), label, *answers])
    table = Table("First those that became wrong, last those that became right", ["Image", "Label", "A", "B"], rows)
    return [Heading(f"Predicted class changed: {len(changed) or 'no'} images"), *_capped(table, len(changed))]


def _segmentation(result: dict[str, Any]) -> list[Block]:
    found = result["segmentation"]
    if found is None:
        return []
    rows = [
        [name, str(row["images"]), score(row["a"]), score(row["b"]), change(row)]
        for name, row in found["methods"].items()
    ]
    alone = [f"Method {name} is in {side} alone." for side in "AB" for name in found[f"only_{side.lower()}"]]
    header = ["Method", "Masked images in both", "A", "B", INTERVAL]
    if found["same"] and not rows:
        alone = ["The outlines are the same: dvc.lock names the same bytes in both."]
    tables = [Table("Mean Dice on images with a tumour in the true mask", header, rows)] if rows else []
    return [Heading("Mean Dice"), *tables, *map(Text, alone)]


def _training(result: dict[str, Any]) -> list[Block]:
    """Return the curves of training as a few of their epochs, the kept ones among them."""
    if result["curves"] is None:
        return []
    sides = [result["curves"][side] for side in "ab"]
    rows = [dict(zip(side["epoch"], range(len(side["epoch"])), strict=True)) for side in sides]
    kept = [side["epoch"][kept_epoch(side["val_loss"])] for side in sides]
    last = max(max(row) for row in rows)
    shown = sorted({1, last, *kept, *(round(last * part / EPOCHS) or 1 for part in range(1, EPOCHS))})

    def cell(at: int, epoch: int, name: str) -> str:
        return score(sides[at][name][rows[at][epoch]]) if epoch in rows[at] else ""

    names = [(name, at) for name in ("loss", "val_loss", "val_accuracy") for at in (0, 1)]
    cells = [[str(epoch), *(cell(at, epoch, name) for name, at in names)] for epoch in shown]
    header = ["Epoch", *(f"{name.replace('val_', 'validation ')} {'AB'[at]}" for name, at in names)]
    said = Text(f"Epoch kept: {kept[0]} in A, {kept[1]} in B.")
    return [Heading("Training"), said, Table("Loss and accuracy at some epochs", header, cells)]


def _metrics(result: dict[str, Any]) -> list[Block]:
    """Return the metrics that differ, the most general first; bounds of intervals stay in the JSON."""
    if result["metrics"] is None:
        return []
    rows = [
        (key.count("."), path, key, row)
        for path, found in result["metrics"].items()
        for key, row in found.items()
        if row["a"] != row["b"] and "ci95" not in key
    ]
    cells = [
        [path.removeprefix("metrics/"), key, _value(row["a"]), _value(row["b"]), signed(row["difference"])]
        for _, path, key, row in sorted(rows, key=lambda row: row[:3])[:ROWS]
    ]
    table = Table("Metrics of A and B, the most general first", ["File", "Metric", "A", "B", "B − A"], cells)
    return [Heading(f"Metrics changed: {len(rows) or 'none'}"), *_capped(table, len(rows))]


def _params(result: dict[str, Any]) -> list[Block]:
    in_file, used = (result["params"][name] for name in ("params.yaml", "dvc.lock"))
    rows = [[code(key), *_sides(row)] for key, row in (in_file or {}).items()]
    # The lock repeats what the file says; shown is where a run had other values than its params.yaml.
    ran = {key: row for key, row in (used or {}).items() if (in_file or {}).get(key.partition(": ")[2]) != row}
    rows += [[f"{code(key)} as run (dvc.lock)", *_sides(row)] for key, row in ran.items()]
    if in_file is None and used is None:
        return []
    table = Table("Params of A and B", ["Param", "A", "B"], rows[:ROWS])
    return [Heading(f"Params changed: {len(rows) or 'none'}"), *_capped(table, len(rows))]


def _sides(row: dict[str, Any]) -> list[str]:
    return [code(row[side]) if side in row else "absent" for side in ("a", "b")]


def _data(result: dict[str, Any]) -> list[Block]:
    data = result["data"]
    if data is None:
        return []
    counts: dict[tuple[str, str, str], int] = {}
    for row in data["rows"]:
        a, b = (row.get(side, {"split": "", "label": ""}) for side in ("a", "b"))
        old, new = (f"{side['split']} {side['label']}".strip() for side in (a, b))
        key = (", ".join(row["changes"]), old, new)
        counts[key] = counts.get(key, 0) + 1
    cells = [[*key, str(count)] for key, count in sorted(counts.items())]
    note = "" if data["followed_by_content"] else " by id alone: files renamed or moved to another folder count twice"
    total = ", ".join(f"{count} {kind}" for kind, count in data["counts"].items())
    table = Table("Images by split and class in A and B", ["Change", "A", "B", "Images"], cells[:ROWS])
    return [Heading(f"Images: {total}{note}"), *_capped(table, len(cells))]


def _capped(table: Table, count: int) -> list[Block]:
    shown = len(table.rows)
    more = [Text(f"The first {shown} of {count}; `--json` has all.")] if count > shown else []
    return [*([table] if shown else []), *more]


def _value(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else code(value)
