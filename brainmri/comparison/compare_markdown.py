"""A comparison of two revisions as Markdown: for people, and for the text of a pull request."""

from typing import Any

from brainmri.comparison.regression import outcome
from brainmri.comparison.verdict import change, number, p_value, revision_name, signed, verdict
from brainmri.reporting import markdown
from brainmri.scoring.epochs import kept_epoch

ROWS = 20  # of a long table; JSON has them all
EPOCHS = 5  # parts that training is shown in
NOTES = (
    "Each interval is a 95 % bootstrap over units (what belongs together, such as the slices of a patient), each by "
    "itself: of many rows, one in twenty excludes zero by chance. Shares are widened where fewer than five units tell "
    "A and B apart. McNemar's test takes images for independent. Neither "
    "tells how much another training seed would change. Not for clinical use."
)


def as_markdown(result: dict[str, Any], limit: float | None = None) -> str:
    """Return the dictionary of `compare.compare` as Markdown: the verdict in the first line, then short tables.

    With `limit`, the second line says whether the scores kept it, as `drops.outcome` does.
    """
    parts = [
        f"**{verdict(result)}**",
        *([] if limit is None else [f"**Bound** {markdown.text(outcome(result, limit))}"]),
        _revisions(result),
        *_stale(result),
        *_scores(result),
        *_predictions(result),
        *_segmentation(result),
        *_training(result),
        *_metrics(result),
        *_params(result),
        *_data(result),
        *_missing(result),
        NOTES,
    ]
    return "\n\n".join(parts) + "\n"


def _revisions(result: dict[str, Any]) -> str:
    kinds = {True: "simulated", False: "not simulated", None: "unknown"}
    sides = [result["a"], result["b"]]
    rows = [["data", *(kinds[side["simulated"]] for side in sides)]]
    if images := result["images"]:
        totals = [images["both"] + images[key] for key in ("only_a", "only_b")]
        rows.append(["test images", *map(str, totals)])
        rows.append(["of these only here", str(images["only_a"]), str(images["only_b"])])
        if images["relabelled"]:
            rows.append(["in both, labels differ", *[str(images["relabelled"])] * 2])
    return markdown.table(
        ["", *(f"{letter}: {revision_name(side)}" for letter, side in zip("AB", sides, strict=True))], rows
    )


def _stale(result: dict[str, Any]) -> list[str]:
    if not result["stale"]:
        return []
    lines = [f"- {markdown.sentence(line)}" for line in result["stale"]]
    return ["### Not run as they stand: figures that are equal mean nothing here", "\n".join(lines)]


def _scores(result: dict[str, Any]) -> list[str]:
    if result["whole"] is None:
        return []
    rows = []
    for part, title in (("whole", ""), ("twin_free", "twin-free: ")):
        names = result[part]["scores"] if result[part] else {}
        for name, row in names.items():
            if part == "whole" or name in ("accuracy", "macro.f1"):
                rows.append([markdown.text(f"{title}{name}"), number(row["a"]), number(row["b"]), change(row)])
    sizes = [f"{result['whole']['images']} images in {result['whole']['units']} units"]
    free = result["twin_free"]
    sizes.append(f"of these twin-free in both: {free['images']}" if free else "of these twin-free in both: none")
    test = result["whole"]["mcnemar"]
    line = (
        f"Scored in both under the same label: {', '.join(sizes)}. Right in A alone: {test['only_a_right']}, "
        f"in B alone: {test['only_b_right']} (McNemar, exact: {p_value(test['p'])})."
    )
    return ["### Scores", line, markdown.table(["Score", "A", "B", "B − A (95 % interval)"], rows)]


def _predictions(result: dict[str, Any]) -> list[str]:
    if result["changed_predictions"] is None:
        return []
    changed = result["changed_predictions"]
    rows = []
    for row in changed[:ROWS]:
        a, b = row["a"], row["b"]
        label = a["label"] if a["label"] == b["label"] else f"{a['label']} → {b['label']}"
        rows.append([markdown.code(row["image_id"]), markdown.text(label), *(_answer(side) for side in (a, b))])
    return [
        f"### Predicted class changed: {len(changed) or 'no'} images",
        *_capped(["Image", "Label", "A", "B"], rows, len(changed)),
    ]


def _answer(side: dict[str, Any]) -> str:
    return f"{markdown.text(side['predicted'])} {side['confidence']:.2f}"


def _segmentation(result: dict[str, Any]) -> list[str]:
    found = result["segmentation"]
    if found is None:
        return []
    rows = [
        [markdown.text(name), str(row["images"]), number(row["a"]), number(row["b"]), change(row)]
        for name, row in found["methods"].items()
    ]
    alone = [
        f"Method {markdown.text(name)} is in {side} alone." for side in "AB" for name in found[f"only_{side.lower()}"]
    ]
    header = ["Method", "Masked images in both", "A", "B", "B − A (95 % interval)"]
    if found["same"] and not rows:
        alone = ["The outlines are the same: dvc.lock names the same bytes in both."]
    return ["### Mean Dice", *([markdown.table(header, rows)] if rows else []), *alone]


def _training(result: dict[str, Any]) -> list[str]:
    """Return the curves of training as a few of their epochs, the kept ones among them."""
    if result["curves"] is None:
        return []
    sides = [result["curves"][side] for side in "ab"]
    rows = [dict(zip(side["epoch"], range(len(side["epoch"])), strict=True)) for side in sides]
    kept = [side["epoch"][kept_epoch(side["val_loss"])] for side in sides]
    last = max(max(row) for row in rows)
    shown = sorted({1, last, *kept, *(round(last * part / EPOCHS) or 1 for part in range(1, EPOCHS))})

    def cell(at: int, epoch: int, name: str) -> str:
        return number(sides[at][name][rows[at][epoch]]) if epoch in rows[at] else ""

    names = [(name, at) for name in ("loss", "val_loss", "val_accuracy") for at in (0, 1)]
    cells = [[str(epoch), *(cell(at, epoch, name) for name, at in names)] for epoch in shown]
    header = ["Epoch", *(f"{name.replace('val_', 'validation ')} {'AB'[at]}" for name, at in names)]
    return ["### Training", f"Epoch kept: {kept[0]} in A, {kept[1]} in B.", markdown.table(header, cells)]


def _metrics(result: dict[str, Any]) -> list[str]:
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
        [
            markdown.text(path.removeprefix("metrics/")),
            markdown.text(key),
            _value(row["a"]),
            _value(row["b"]),
            signed(row["difference"]),
        ]
        for _, path, key, row in sorted(rows, key=lambda row: row[:3])[:ROWS]
    ]
    return [
        f"### Metrics changed: {len(rows) or 'none'}",
        *_capped(["File", "Metric", "A", "B", "B − A"], cells, len(rows)),
    ]


def _params(result: dict[str, Any]) -> list[str]:
    in_file, used = (result["params"][name] for name in ("params.yaml", "dvc.lock"))
    rows = [[markdown.code(key), *_sides(row)] for key, row in (in_file or {}).items()]
    # The lock repeats what the file says; shown is where a run had other values than its params.yaml.
    ran = {key: row for key, row in (used or {}).items() if (in_file or {}).get(key.partition(": ")[2]) != row}
    rows += [[f"{markdown.code(key)} as run (dvc.lock)", *_sides(row)] for key, row in ran.items()]
    if in_file is None and used is None:
        return []
    return [f"### Params changed: {len(rows) or 'none'}", *_capped(["Param", "A", "B"], rows[:ROWS], len(rows))]


def _sides(row: dict[str, Any]) -> list[str]:
    return [markdown.code(row[side]) if side in row else "absent" for side in ("a", "b")]


def _data(result: dict[str, Any]) -> list[str]:
    data = result["data"]
    if data is None:
        return []
    counts: dict[tuple[str, str, str], int] = {}
    for row in data["rows"]:
        a, b = (row.get(side, {"split": "", "label": ""}) for side in ("a", "b"))
        old, new = (f"{side['split']} {side['label']}".strip() for side in (a, b))
        key = (", ".join(row["changes"]), old, new)
        counts[key] = counts.get(key, 0) + 1
    cells = [[markdown.text(cell) for cell in key] + [str(count)] for key, count in sorted(counts.items())]
    note = "" if data["followed_by_content"] else " by id alone: files renamed or moved to another folder count twice"
    total = ", ".join(f"{count} {kind}" for kind, count in data["counts"].items())
    return [f"### Images: {total}{note}", *_capped(["Change", "A", "B", "Images"], cells[:ROWS], len(cells))]


def _missing(result: dict[str, Any]) -> list[str]:
    if not result["missing"]:
        return []
    return [
        "### Missing, and left out above",
        "\n".join(f"- {markdown.sentence(line)}" for line in result["missing"]),
    ]


def _capped(header: list[str], rows: list[list[str]], count: int) -> list[str]:
    more = [f"The first {len(rows)} of {count}; `--json` has all."] if count > len(rows) else []
    return [*([markdown.table(header, rows)] if rows else []), *more]


def _value(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else markdown.code(value)
