"""Published runs, one JSON each in `results/`, and the tables that the README and `docs/results.md` make of them.

Three rows stand in the README (`HEADLINE`), every run in `docs/results.md`.
"""

from pathlib import Path, PurePath
from typing import Any, NamedTuple

from brainmri.core.errors import ArtifactError
from brainmri.core.files import read_json, write_json
from brainmri.core.git import git
from brainmri.core.params import read_yaml
from brainmri.project import lock, presets
from brainmri.project.reproducibility import processor
from brainmri.reporting.documents import markdown_table
from brainmri.reporting.formatting import NOT_DEFINED, number, score, with_ends
from brainmri.scoring import assessment
from brainmri.segmentation.methods import METHODS

METRICS = ("data", "probe", "classify", "segment")
PARTS = {**assessment.PARTS, "whole": "all"}  # the columns are narrow
MADE = ("name", "command", "commit")
RUN, EXTERNAL = ("classify", "segment"), ("scores", "ci95", "counts")  # what the tables read
TEST_PATIENTS = ("known", "seen_in_training", "images_without")
PROBES = ("Nearest neighbour", "Metadata alone")
BEGIN, END = "<!-- results: made by `brainmri readme` -->", "<!-- /results -->"


class Headline(NamedTuple):
    """A row of the README: what was scored, and the file of `results/` whose figures stand in it."""

    title: str
    patients: str  # which test patients the network has seen in training, where the file does not tell
    file: str | None  # None where nothing is measured yet


HEADLINE = (
    Headline("simulated set: the default run, `make repro`", "none, all are known", "phantom.json"),
    Headline(
        "public set, split as everyone scores it: Nickparvar (masks: Cheng), `lite0`, no test image's copy in training",
        "yes: of 782 of the 787 images whose patient can be told",
        "nickparvar-lite0-192.json",
    ),
    Headline("public set, unseen patients", "none", None),
)
NOT_MEASURED = "not yet measured by fold"
PRESETS = (
    "FOLDER is where you have the files that the [preset](running.md#presets) names. A preset gives the run's params to"
    " the code of today; a commit from before the presets takes the longer command in the run's file of `results/`."
)


def record(root: Path, name: str, command: str, out: Path) -> None:
    """Write `out`: the metrics, params, commit, versions and processor of the run that stands in the folder `root`.

    Raises
    ------
    ArtifactError
        If the run's code differs from its commit, or its metrics from its dvc.lock: the numbers could not be repeated.
    """
    changed = git(root, "status", "--porcelain", "--", "*.py", "brainmri/*.csv", "dvc.yaml", "requirements.lock")
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
            "preset": presets.of_run(root, params),
            "commit": git(root, "rev-parse", "HEAD"),
            "test_patients": {key: metrics["data"]["patients"]["test"][key] for key in TEST_PATIENTS},
            "params": params,
            "versions": read_json(root / "models/classifier/versions.json"),
            "machine": processor(),
            "metrics": metrics,
        },
    )


def record_external(root: Path, name: str, command: str, result: dict[str, Any], out: Path) -> None:
    """Write `out`: the result of `external.score`, and how it was come by, as `tables` reads it."""
    commit = git(root, "rev-parse", "HEAD")
    write_json(out, {"name": name, "command": command, "commit": commit, "result": result})


def pages(root: Path) -> dict[Path, str]:
    """Return the text that each page with tables should have: that on disk, with its tables made from `results/`.

    The README has the rows of `HEADLINE`; `docs/results.md` has every run, by part of the test set, class and method,
    the scores on sets from elsewhere, and the commands.
    """
    runs = {path.name: _recorded(path, "metrics", RUN) for path in sorted((root / "results").glob("*.json"))}
    others = [_recorded(path, "result", EXTERNAL) for path in sorted((root / "results/external").glob("*.json"))]
    made = {"README.md": headline_table(runs), "docs/results.md": all_tables(list(runs.values()), others)}
    return {root / name: with_tables(root / name, tables) for name, tables in made.items()}


def _recorded(path: Path, scored: str, parts: tuple[str, ...]) -> dict[str, Any]:
    """Return what a file holds of a run: `MADE`, and under `scored` at least `parts`."""
    run: dict[str, Any] = read_json(path)
    if not {*MADE, scored} <= set(run) or not set(parts) <= set(run[scored]):
        raise ArtifactError(
            f"{path}: should hold {', '.join(MADE)} and {scored} (with {', '.join(parts)}), as `brainmri record` or "
            f"`brainmri external` writes it, received only {', '.join(run)}; move it out of results/"
        )
    return run


def headline_table(runs: dict[str, dict[str, Any]]) -> str:
    """Return the Markdown table of the rows of `HEADLINE`, from runs by the name of their file.

    Raises
    ------
    ArtifactError
        If the file of a row is missing.
    """
    header = ["Scored on", "Test patients seen in training", "Accuracy (95 % interval)", "Dice of the U-Net"]
    return markdown_table(header, [_headline(row, runs) for row in HEADLINE])


def _headline(row: Headline, runs: dict[str, dict[str, Any]]) -> list[str]:
    if row.file is None:
        return [row.title, row.patients, NOT_MEASURED, NOT_MEASURED]
    if row.file not in runs:
        raise ArtifactError(
            f"results/{row.file}: should hold the run of the README's row {row.title!r}, received no such file; "
            "record it with `brainmri record`, or name another in HEADLINE of brainmri/project/results.py"
        )
    metrics, told = runs[row.file]["metrics"], runs[row.file].get("test_patients")
    patients = row.patients if told is None else _seen(**told)
    return [row.title, patients, _accuracy(metrics["classify"], "whole"), _dice(metrics["segment"].get("unet", {}))]


def _seen(known: int, seen_in_training: int, images_without: int) -> str:
    """Say how many of the test patients the network has seen in training."""
    if not known:
        return "not known"
    seen = f"yes, {seen_in_training} of {known}" if seen_in_training else f"none of {known}"
    return f"{seen}; of {images_without} images not known" if images_without else seen


def _dice(scores: dict[str, Any]) -> str:
    if "all" not in scores:
        return ""
    dice = scores["all"]["dice"]
    return f"{_interval(dice['mean'], dice['mean_ci95'])} of {scores['images_with_tumour_mask']}"


def all_tables(runs: list[dict[str, Any]], others: list[dict[str, Any]]) -> str:
    """Return every table under a heading: runs, parts, classes, sets from elsewhere, outlines, and the commands."""
    made = {
        "Every run, in one line": _by_run(runs),
        "Trained on one set, scored on another": _external(others),
        "Outlines, in one line": _dice_by_run(runs),
        "By part of the test set": _by_part(runs),
        "By class": _by_class(runs),
        "By method of outlining": _by_method(runs),
        "The commands": _commands([*runs, *others]),
    }
    return "\n\n".join(f"## {title}\n\n{part}" for title, part in made.items() if part)


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


def _by_run(runs: list[dict[str, Any]]) -> str:
    """Return one row a run: the classifier on all test images and parts of them, beside what knows of no tumour."""
    rows = []
    for run in runs:
        classify = run["metrics"]["classify"]
        rows.append(
            [
                run["name"],
                *(_accuracy(classify, part) for part in PARTS),
                _seeds(classify.get("repeats"), "whole"),
                score(classify["whole"]["ece"]),
                *_probes(run, "whole"),
            ]
        )
    accuracies = [f"Accuracy, {called}" for called in PARTS.values()]
    return markdown_table(
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
    return [number(value, absent="") for value in found]


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
                        score(scores["ece"]),
                        *_probes(run, part),
                    ]
                )
    header = ["Run", "Test images", "Accuracy", "Mean of seeds ± SD", "Macro F1", "ECE"]
    return markdown_table([*header, *PROBES], rows)


def _seeds(repeats: dict[str, Any] | None, part: str) -> str:
    if repeats is None or part not in repeats:
        return ""
    mean, sd = (score(repeats[part][key]["accuracy"]) for key in ("mean", "sd"))
    return f"{mean} ± {sd} ({repeats['seeds']})"


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
    return markdown_table(header, rows) if rows else ""


def _by_class(runs: list[dict[str, Any]]) -> str:
    rows = []
    for run in runs:
        classify = run["metrics"]["classify"]
        for name, scores in classify["whole"]["classes"].items():
            free = classify.get("twin_free", {"classes": {}})["classes"].get(name, {"support": 0})
            f1 = _interval(scores["f1"], classify["ci95"]["whole"]["classes"][name]["f1"])
            values = [score(scores[key]) for key in ("precision", "recall", "auc")]
            rows.append([run["name"], name, str(scores["support"]), *values, f1, str(free["support"])])
    header = ["Run", "Class", "Test images", "Precision", "Recall", "ROC AUC", "F1", "of which twin-free"]
    return markdown_table(header, rows)


def _dice_by_run(runs: list[dict[str, Any]]) -> str:
    """Return one row for each run that scored every method: their mean Dice."""
    rows = []
    for run in runs:
        scored = {method: run["metrics"]["segment"].get(method, {}) for method in METHODS}
        if all("all" in scores for scores in scored.values()):
            parts = [scores["all"]["dice"] for scores in scored.values()]
            masked = str(scored["unet"]["images_with_tumour_mask"])
            rows.append([run["name"], masked, *(_interval(part["mean"], part["mean_ci95"]) for part in parts)])
    return markdown_table(["Run", "Masks", *(f"Mean Dice, {method}" for method in METHODS)], rows) if rows else ""


def _by_method(runs: list[dict[str, Any]]) -> str:
    rows = []
    for run in runs:
        for method, scores in run["metrics"]["segment"].items():
            if "all" in scores:
                part = scores["all"]
                hd95, sensitivity = part["hd95"]["mean"], part["sensitivity"]["mean"]
                dice = _interval(part["dice"]["mean"], part["dice"]["mean_ci95"])
                masked = str(scores["images_with_tumour_mask"])
                rows.append([run["name"], method, masked, dice, number(hd95, 1, NOT_DEFINED), score(sensitivity)])
    return markdown_table(["Run", "Method", "Masks", "Mean Dice", "Mean HD95, px", "Mean sensitivity"], rows)


def _commands(runs: list[dict[str, Any]]) -> str:
    lines = "\n".join(f"- {run['name']}: {_command(run)} at commit `{run['commit'][:10]}`" for run in runs)
    return f"{PRESETS}\n\n{lines}" if any(run.get("preset") for run in runs) else lines


def _command(run: dict[str, Any]) -> str:
    """Return the short command of a run whose params are a preset's, else the one that was typed."""
    name = run.get("preset")
    return f"`make repro PRESET={name} DATA=FOLDER`, made" if name else f"`{run['command']}`"


def _interval(value: float | None, ends: dict[str, float | None]) -> str:
    return with_ends(value, ends, NOT_DEFINED)
