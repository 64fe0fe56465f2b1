"""Published runs, one JSON each in `results/`, and the tables that the README and `docs/results.md` make of them.

Four rows stand in the README (`HEADLINE`), every run in `docs/results.md`.
"""

from pathlib import Path
from typing import Any, NamedTuple

from brainmri.core.errors import ArtifactError
from brainmri.core.labels import NO_TUMOUR
from brainmri.project.published import TOLD, published
from brainmri.reporting.documents import markdown_table
from brainmri.reporting.formatting import NOT_DEFINED, number, score, with_ends
from brainmri.scoring import assessment
from brainmri.scoring.records import SIZES
from brainmri.segmentation.methods import METHODS

PARTS = {**assessment.PARTS, "whole": "all"}  # the columns are narrow
PROBES = ("Nearest neighbour", "Metadata alone")
BEGIN, END = "<!-- results: made by `brainmri readme` -->", "<!-- /results -->"


class Headline(NamedTuple):
    """A row of the README: what was scored, and the file of `results/` whose figures stand in it."""

    title: str
    file: str | None  # None where nothing is measured yet
    outlines: str | None = None  # the file whose Dice stands in it, where that is another


HEADLINE = (
    Headline("simulated set: the default run, `make repro`", "phantom.json"),
    Headline(
        "public set, split as everyone scores it: Nickparvar (masks: Cheng), `lite0`, no test image's copy in training",
        "nickparvar-lite0-192.json",
    ),
    Headline(
        "public set, unseen patients: Cheng, three kinds of tumour, `lite0`, five folds by patient", "cheng-folds.json"
    ),
    Headline(
        "public set, unseen patients where they are known: Nickparvar, four classes, `lite0`, five folds by patient",
        "class-set-folds-lite0.json",
    ),
)
NOT_MEASURED = "not yet measured by fold"
PRESETS = (
    "FOLDER is where you have the files that the [preset](running.md#presets) names. A preset gives the run's params to"
    " the code of today; a commit from before the presets takes the longer command in the run's file of `results/`."
)
SEEN = "Test patients seen in training"  # or in choosing the epoch: those of the validation part count too
NOT_LOOKED_FOR = "patients not looked for"


def pages(root: Path) -> dict[Path, str]:
    """Return the text that each page with tables should have: that on disk, with its tables made from `results/`.

    The README has the rows of `HEADLINE`; `docs/results.md` has every run, by part of the test set, class and method,
    the scores on sets from elsewhere, and the commands.
    """
    runs, others = published(root)
    made = {"README.md": headline_table(runs), "docs/results.md": all_tables(list(runs.values()), others)}
    return {root / name: with_tables(root / name, tables) for name, tables in made.items()}


def headline_table(runs: dict[str, dict[str, Any]]) -> str:
    """Return the Markdown table of the rows of `HEADLINE`, from runs by the name of their file.

    Raises
    ------
    ArtifactError
        If the file of a row is missing.
    """
    header = ["Scored on", SEEN, "Accuracy (95 % interval)", "Dice of the U-Net"]
    return markdown_table(header, [_headline(row, runs) for row in HEADLINE])


def _headline(row: Headline, runs: dict[str, dict[str, Any]]) -> list[str]:
    if row.file is None:
        return [row.title, "none", NOT_MEASURED, NOT_MEASURED]
    missing = [name for name in (row.file, row.outlines) if name is not None and name not in runs]
    if missing:
        raise ArtifactError(
            f"results/{missing[0]}: should hold the run of the README's row {row.title!r}, received no such file; "
            "record it with `brainmri record`, or name another in HEADLINE of brainmri/project/results.py"
        )
    run, outlined = runs[row.file], runs[row.outlines or row.file]["metrics"]["segment"].get("unet", {})
    return [row.title, _patients(run), _accuracy(run["metrics"]["classify"], "whole"), _dice(outlined)]


def _patients(run: dict[str, Any]) -> str:
    return _seen(**run[TOLD]) if TOLD in run else NOT_LOOKED_FOR


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
    """Return every table under a heading: folds, runs, parts, classes, other sets, outlines, and the commands."""
    pooled = [run for run in runs if "folds" in run]
    single = [run for run in runs if "folds" not in run and not _repeats(run, runs)]
    own = [*pooled, *single]
    made = {
        "On unseen patients": _by_fold(pooled),
        "Every run, in one line": _by_run(single),
        "Trained on one set, scored on another": _external(runs, others),
        "Outlines on unseen patients": _dice_by_kind(pooled),
        "Outlines, in one line": _dice_by_run(own),
        "By part of the test set": _by_part(single),
        "By class": _by_class(own),
        "By method of outlining": _by_method(own),
        "The commands": _commands([*runs, *others]),
    }
    return "\n\n".join(f"## {title}\n\n{part}" for title, part in made.items() if part)


def _repeats(run: dict[str, Any], runs: list[dict[str, Any]]) -> bool:
    """Whether a run's own scores stand in another file too, so that it adds its sets from elsewhere alone."""
    added = bool(run["metrics"]["classify"].get("external") or run["metrics"]["segment"].get("external"))
    same = (
        one
        for one in runs
        if one is not run and one["metrics"]["classify"]["whole"] == run["metrics"]["classify"]["whole"]
    )
    return added and any(same)


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


def _by_fold(runs: list[dict[str, Any]]) -> str:
    """Return one row a cross-validation, whose networks have learnt from nobody of the fold they answer for."""
    rows = []
    for run in runs:
        classify, told = run["metrics"]["classify"], run[TOLD]
        accuracies = [own["accuracy"] for own in classify["by_fold"]["runs"].values()]
        by_patient = classify.get("patients", {})
        rows.append(
            [
                run["name"],
                f"{told['known']}, {_seen(**told)}",
                _accuracy(classify, "whole"),
                f"{score(classify['by_fold']['mean']['accuracy'])} ± {score(classify['by_fold']['sd']['accuracy'])}",
                f"{score(min(accuracies))} to {score(max(accuracies))}",
                _interval(by_patient["accuracy"], by_patient["ci95"]["accuracy"]) if by_patient else "",
                _interval(classify["whole"]["macro"]["f1"], classify["ci95"]["whole"]["macro"]["f1"]),
                score(classify["whole"]["ece"]),
                *_probes(run, "whole"),
            ]
        )
    header = [
        "Run",
        "Patients, seen in training",
        "Accuracy, all images",
        "By fold, mean ± SD",
        "Lowest to highest fold",
    ]
    more = ["Accuracy, by patient", "Macro F1", "ECE", *PROBES]
    return markdown_table([*header, *more], rows) if rows else ""


def _by_run(runs: list[dict[str, Any]]) -> str:
    """Return one row a run: the classifier on all test images and parts of them, beside what knows of no tumour."""
    rows = []
    for run in runs:
        classify = run["metrics"]["classify"]
        rows.append(
            [
                run["name"],
                _patients(run),
                *(_accuracy(classify, part) for part in PARTS),
                _seeds(classify.get("repeats"), "whole"),
                score(classify["whole"]["ece"]),
                *_probes(run, "whole"),
            ]
        )
    accuracies = [f"Accuracy, {called}" for called in PARTS.values()]
    return markdown_table(["Run", SEEN, *accuracies, "Mean of seeds ± SD", "ECE", *PROBES], rows)


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


def _external(runs: list[dict[str, Any]], others: list[dict[str, Any]]) -> str:
    """Return one row a set that was scored and not learnt from, by the runs and by the older files of their own."""
    rows = [row for run in runs for row in _elsewhere(run)]
    rows += [[other["name"], _patients(other), *_answers(other["result"]), ""] for other in others]
    header = ["Trained on one set, scored on another", SEEN, "Images", "Twins of training left out",
              "Images of its patients left out", "Accuracy", "Macro F1", "Dice of the U-Net"]  # fmt: skip
    return markdown_table(header, rows) if rows else ""


def _elsewhere(run: dict[str, Any]) -> list[list[str]]:
    """Return a row a set from elsewhere that a run's classifier answered for or its U-Net outlined."""
    metrics, rows = run["metrics"], []
    answered = {name: own for name, own in metrics["classify"].get("external", {}).items() if "scores" in own}
    dice = {name: _dice(own.get("unet", {})) for name, own in metrics["segment"].get("external", {}).items()}
    for name in sorted({*answered, *(name for name, mean in dice.items() if mean)}):
        title = f"{run['name']}, scored on {name}"
        if name in answered:
            rows.append([title, _patients(answered[name]), *_answers(answered[name]), dice.get(name, "")])
        else:  # of masked images without a class; nobody of training is left among them
            counts = metrics["data"]["external"][name]
            rows.append([title, "none", str(counts["with_mask"]), *_all_left_out(counts), "", "", dice[name]])
    return rows


def _answers(found: dict[str, Any]) -> list[str]:
    scores, ends = found["scores"], found["ci95"]
    accuracy = _interval(scores["accuracy"], ends["accuracy"])
    return [
        *(str(scores["images"]), *_all_left_out(found["counts"])),
        *(accuracy, _interval(scores["macro"]["f1"], ends["macro"]["f1"])),
    ]


def _all_left_out(counts: dict[str, Any]) -> tuple[str, str]:
    return _left_out(counts, "training_twins"), _left_out(counts, "training_patients")


def _left_out(counts: dict[str, Any], reason: str) -> str:
    return str(sum(counts[reason].values())) if reason in counts else NOT_LOOKED_FOR


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


def _dice_by_kind(runs: list[dict[str, Any]]) -> str:
    """Return the mean Dice of each method of a cross-validation: of all masks, by fold, by class and by size."""
    found = [(run, method, own) for run in runs for method, own in run["metrics"]["segment"].items()]
    kinds = sorted({name for run in runs for name in run["metrics"]["classify"]["whole"]["classes"]} - {NO_TUMOUR})
    rows = []
    for run, method, own in found:
        dice, by_fold = own["all"]["dice"], own["by_fold"]
        parts = [own.get(kind) for kind in kinds] + [own["by_size"].get(size) for size in SIZES]
        rows.append(
            [
                run["name"],
                method,
                str(own["images_with_tumour_mask"]),
                _interval(dice["mean"], dice["mean_ci95"]),
                f"{score(by_fold['mean']['dice'])} ± {score(by_fold['sd']['dice'])}",
                *(score(part["dice"]["mean"]) if part else "" for part in parts),
            ]
        )
    header = ["Run", "Method", "Masks", "Mean Dice", "By fold, mean ± SD", *kinds, *SIZES]
    return markdown_table(header, rows) if rows else ""


def _by_method(runs: list[dict[str, Any]]) -> str:
    rows = []
    for run in runs:
        for method, scores in run["metrics"]["segment"].items():
            if method != "external" and "all" in scores:
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
    if name is None:
        return f"`{run['command']}`"
    made = f"brainmri run {name} --data FOLDER --folds" if "folds" in run else f"make repro PRESET={name} DATA=FOLDER"
    return f"`{made}`, made"


def _interval(value: float | None, ends: dict[str, float | None]) -> str:
    return with_ends(value, ends, NOT_DEFINED)
