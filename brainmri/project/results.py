"""Published runs, one JSON each in `results/`, and the tables that the README and `docs/results.md` make of them."""

import subprocess
from pathlib import Path, PurePath
from typing import Any

from brainmri.core.errors import ArtifactError
from brainmri.core.files import read_json, write_json
from brainmri.core.params import read_yaml
from brainmri.project import lock
from brainmri.project.machine import processor
from brainmri.reporting import markdown
from brainmri.scoring import assessment
from brainmri.segmentation.methods import METHODS

METRICS = ("data", "probe", "classify", "segment")
PARTS = {**assessment.PARTS, "whole": "all"}  # the columns are narrow
TEST_PATIENTS = ("known", "seen_in_training", "images_without")
PROBES = ("Nearest neighbour", "Metadata alone")
BEGIN, END = "<!-- results: made by `brainmri readme` -->", "<!-- /results -->"


def record(root: Path, name: str, command: str, out: Path) -> None:
    """Write `out`: the metrics, params, commit, versions and processor of the run that stands in the folder `root`.

    Raises
    ------
    ArtifactError
        If the run's code differs from its commit, or its metrics from its dvc.lock: the numbers could not be repeated.
    """
    changed = _git(root, "status", "--porcelain", "--", "*.py", "dvc.yaml", "requirements.lock")
    if changed:
        raise ArtifactError(f"{root}: code should be committed before its run is recorded, received changes: {changed}")
    stale = lock.out_problems(root)
    if stale:
        raise ArtifactError("; ".join(stale))
    params = read_yaml(root / "params.yaml")
    local = params["fetch"]["local"]
    params["fetch"]["local"] = {key: value and PurePath(value).name for key, value in local.items()}  # no private paths
    metrics = {part: read_json(root / f"metrics/{part}.json") for part in METRICS}
    write_json(
        out,
        {
            "name": name,
            "command": command,
            "commit": _git(root, "rev-parse", "HEAD"),
            "test_patients": {key: metrics["data"]["patients"]["test"][key] for key in TEST_PATIENTS},
            "params": params,
            "versions": read_json(root / "models/classifier/versions.json"),
            "machine": processor(),
            "metrics": metrics,
        },
    )


def record_external(root: Path, name: str, command: str, result: dict[str, Any], out: Path) -> None:
    """Write `out`: the result of `external.score`, and how it was come by, as `tables` reads it."""
    commit = _git(root, "rev-parse", "HEAD")
    write_json(out, {"name": name, "command": command, "commit": commit, "result": result})


def pages(root: Path) -> dict[Path, str]:
    """Return the text that each page with tables should have: that on disk, with its tables made from `results/`.

    The README has a line a run, `docs/results.md` every part of the test set, every class and every method.
    """
    runs = [read_json(path) for path in sorted((root / "results").glob("*.json"))]
    others = [read_json(path) for path in sorted((root / "results").glob("external/*.json"))]
    made = {"README.md": headline_tables(runs, others), "docs/results.md": full_tables(runs)}
    return {root / name: with_tables(root / name, tables) for name, tables in made.items()}


def headline_tables(runs: list[dict[str, Any]], others: list[dict[str, Any]]) -> str:
    """Return the Markdown tables of every run, of scores on sets from elsewhere, and the commands that made them."""
    made = [_headline(runs), _external(others), _dice_by_run(runs), _commands([*runs, *others])]
    return "\n\n".join(part for part in made if part)


def full_tables(runs: list[dict[str, Any]]) -> str:
    """Return the Markdown tables of every run by part of the test set, by class, and by method of segmentation."""
    return "\n\n".join([_by_part(runs), _by_class(runs), _by_method(runs)])


def with_tables(page: Path, tables: str) -> str:
    """Return the text of a page with `tables` between its two marks.

    Raises
    ------
    ArtifactError
        If a mark is missing.
    """
    before, mark, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ArtifactError(f"{page.name}: should hold the lines {BEGIN} and {END}, received neither or one")
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"


def _headline(runs: list[dict[str, Any]]) -> str:
    """Return one row a run: the classifier on all test images and parts of them, beside what knows of no tumour."""
    rows = []
    for run in runs:
        classify = run["metrics"]["classify"]
        rows.append(
            [
                run["name"],
                *(_accuracy(classify, part) for part in PARTS),
                _seeds(classify.get("repeats"), "whole"),
                f"{classify['whole']['ece']:.3f}",
                *_probes(run, "whole"),
            ]
        )
    accuracies = [f"Accuracy, {called}" for called in PARTS.values()]
    return markdown.table(
        ["Run", *accuracies, "Mean of seeds ± SD", "ECE", "Nearest neighbour", "Metadata alone"], rows
    )


def _accuracy(classify: dict[str, Any], part: str) -> str:
    if part not in classify:
        return ""
    scores = classify[part]
    return f"{_interval(scores['accuracy'], classify['ci95'][part]['accuracy'])} of {scores['images']}"


def _probes(run: dict[str, Any], part: str) -> list[str]:
    """Return the accuracies of the nearest neighbour and of metadata alone, empty where they were not measured."""
    probe = run["metrics"].get("probe", {})
    found = (probe.get(name, {}).get(part, {}).get("accuracy") for name in ("nearest_neighbour", "metadata"))
    return ["" if value is None else f"{value:.3f}" for value in found]


def _by_part(runs: list[dict[str, Any]]) -> str:
    rows = []
    for run in runs:
        classify = run["metrics"]["classify"]
        for part, called in PARTS.items():
            if part in classify:
                scores, ends = classify[part], classify["ci95"][part]
                rows.append(
                    [
                        run["name"],
                        f"{called}, {scores['images']}",
                        _interval(scores["accuracy"], ends["accuracy"]),
                        _seeds(classify.get("repeats"), part),
                        _interval(scores["macro"]["f1"], ends["macro"]["f1"]),
                        f"{scores['ece']:.3f}",
                        *_probes(run, part),
                    ]
                )
    header = ["Run", "Test images", "Accuracy", "Mean of seeds ± SD", "Macro F1", "ECE"]
    return markdown.table([*header, *PROBES], rows)


def _seeds(repeats: dict[str, Any] | None, part: str) -> str:
    if repeats is None or part not in repeats:
        return ""
    return f"{repeats[part]['mean']['accuracy']:.3f} ± {repeats[part]['sd']['accuracy']:.3f} ({repeats['seeds']})"


def _external(runs: list[dict[str, Any]]) -> str:
    rows = []
    for run in runs:
        scores, ends = run["result"]["scores"], run["result"]["ci95"]
        dropped = str(sum(run["result"]["counts"]["training_twins"].values()))
        macro = _interval(scores["macro"]["f1"], ends["macro"]["f1"])
        rows.append(
            [run["name"], str(scores["images"]), dropped, _interval(scores["accuracy"], ends["accuracy"]), macro]
        )
    header = ["Trained on one set, scored on another", "Images", "Twins of training left out", "Accuracy", "Macro F1"]
    return markdown.table(header, rows) if rows else ""


def _by_class(runs: list[dict[str, Any]]) -> str:
    rows = []
    for run in runs:
        classify = run["metrics"]["classify"]
        for name, scores in classify["whole"]["classes"].items():
            free = classify.get("twin_free", {"classes": {}})["classes"].get(name, {"support": 0})
            f1 = _interval(scores["f1"], classify["ci95"]["whole"]["classes"][name]["f1"])
            values = [_number(scores[key]) for key in ("precision", "recall", "auc")]
            rows.append([run["name"], name, str(scores["support"]), *values, f1, str(free["support"])])
    header = ["Run", "Class", "Test images", "Precision", "Recall", "ROC AUC", "F1", "of which twin-free"]
    return markdown.table(header, rows)


def _dice_by_run(runs: list[dict[str, Any]]) -> str:
    """Return one row for each run that scored every method: their mean Dice."""
    rows = []
    for run in runs:
        scored = {method: run["metrics"]["segment"].get(method, {}) for method in METHODS}
        if all("all" in scores for scores in scored.values()):
            parts = [scores["all"]["dice"] for scores in scored.values()]
            masked = str(scored["unet"]["images_with_tumour_mask"])
            rows.append([run["name"], masked, *(_interval(part["mean"], part["mean_ci95"]) for part in parts)])
    return markdown.table(["Run", "Masks", *(f"Mean Dice, {method}" for method in METHODS)], rows) if rows else ""


def _by_method(runs: list[dict[str, Any]]) -> str:
    rows = []
    for run in runs:
        for method, scores in run["metrics"]["segment"].items():
            if "all" in scores:
                part = scores["all"]
                hd95, sensitivity = part["hd95"]["mean"], part["sensitivity"]["mean"]
                dice = _interval(part["dice"]["mean"], part["dice"]["mean_ci95"])
                masked = str(scores["images_with_tumour_mask"])
                rows.append([run["name"], method, masked, dice, f"{hd95:.1f}", _number(sensitivity)])
    return markdown.table(["Run", "Method", "Masks", "Mean Dice", "Mean HD95, px", "Mean sensitivity"], rows)


def _commands(runs: list[dict[str, Any]]) -> str:
    return "\n".join(f"- {run['name']}: `{run['command']}` at commit `{run['commit'][:10]}`" for run in runs)


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"


def _interval(value: float | None, bounds: dict[str, float | None]) -> str:
    if value is None or bounds["low"] is None or bounds["high"] is None:
        return _number(value)
    return f"{value:.3f} ({bounds['low']:.3f} to {bounds['high']:.3f})"


def _git(root: Path, *words: str) -> str:
    result = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ArtifactError(f"{root}: `git {' '.join(words)}` should work here, received: {result.stderr.strip()}")
    return result.stdout.strip()
