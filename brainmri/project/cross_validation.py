"""Pool the runs of a cross-validation: every image answered for by a network that has learnt from nobody of its fold.

Each fold is a run of its own (`preprocess.split: patient`, `preprocess.fold` from 0 on), such as an experiment that
`brainmri sweep` made. All is read from git, offline, and no checkout is needed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from brainmri.comparison.revision_tables import PREDICTIONS, SEGMENTATION, from_json, outline_rows
from brainmri.comparison.revisions import Revision, read_out, read_revisions
from brainmri.core.errors import ArtifactError, InputError
from brainmri.core.files import new_directory, write_json, write_table
from brainmri.core.git import git
from brainmri.scoring import pooling
from brainmri.scoring.scores import nested

FOLD = "preprocess.fold"
STAGES = ("fetch", "preprocess", "augment", "train", "evaluate")  # which the predictions come from
OUTLINES = ("train_unet", "segment")  # which the outlines come from as well
RAW = "data/raw"
DATA, SEEN = "metrics/data.json", "patients.test.seen_in_training"
PROBE, PROBES = "metrics/probe.json", ("nearest_neighbour", "metadata")
VERSIONS = "models/classifier/versions.json"


def pool(root: Path, names: Sequence[str], seed: int, resamples: int, out: Path) -> dict[str, Any]:
    """Write `predictions.csv` and `outlines.csv`, out of fold, and `scores.json` to folder `out`; return the scores.

    Parameters
    ----------
    root : Path
        The project's folder.
    names : sequence of str
        The runs of all folds, in any order: commits, branches, tags or DVC experiments.
    seed, resamples : int
        Of the 95 % intervals.

    Returns
    -------
    dict
        `folds`, their number; `runs`, `commit` (of the code, empty where it differs between the runs), `params` without
        the fold, `versions`; `test_patients`: `known`, `images_without` and `seen_in_training`, summed over the folds;
        `metrics`: `classify` as of `pooling.score`, `probe`, and `segment` as of `pooling.score_outlines`, empty where
        `without_outlines` says why.

    Raises
    ------
    InputError
        If the runs are not all folds of one cross-validation, of the same data, `exclude.csv` and code.
    ArtifactError
        If a run lacks its predictions, or its params were changed after it ran.
    """
    runs = read_revisions(root, names)
    require_whole(runs)
    require_all_folds(runs)
    require_same_given(runs, STAGES)
    runs = sorted(runs, key=lambda run: int((run.params or {})[FOLD]))
    pooled = pooling.pool([run.predictions for run in runs if run.predictions is not None])
    classify = pooling.score(pooled, seed, resamples)
    told = classify.pop("test_patients")
    found = {
        "folds": classify.pop("folds"),
        **origin(root, runs),
        "test_patients": {**told, "seen_in_training": sum(int(run.metrics[DATA][SEEN]) for run in runs)},
        "metrics": {"classify": classify, "probe": probes(runs), "segment": {}},
    }
    tables, why_not = outlines(root, runs)
    with new_directory(out) as folder:
        write_table(folder / Path(PREDICTIONS).name, pooled)
        if why_not:
            found["without_outlines"] = why_not
        else:
            rows = pooling.pool_outlines(tables)
            bounds = (runs[0].params or {})["segment.size_bounds_px"]
            found["metrics"]["segment"] = pooling.score_outlines(rows, bounds, seed, resamples)
            write_table(folder / "outlines.csv", rows)
        write_json(folder / "scores.json", found)
    return found


def origin(root: Path, runs: Sequence[Revision]) -> dict[str, Any]:
    """Return how the runs were come by: their names, the commit of their code, params and versions."""
    commits = [run.commit or "HEAD" for run in runs]
    base = git(root, "merge-base", "--octopus", *commits)
    code = ("*.py", "brainmri/*.csv", "dvc.yaml", "requirements.lock")
    differs = any(git(root, "diff", "--name-only", base, commit, "--", *code) for commit in commits)
    try:
        versions = from_json(read_out(root, runs[0].name, VERSIONS), VERSIONS)
    except ArtifactError:  # the cache of another machine has it
        versions = {}
    params = {key: value for key, value in (runs[0].params or {}).items() if key != FOLD}
    return {
        "runs": [run.name for run in runs],
        "commit": "" if differs else base,
        "params": nested(params),
        "versions": versions,
    }


def probes(runs: Sequence[Revision]) -> dict[str, Any]:
    """Return the pooled accuracy of each probe that every run has, on whole test parts."""
    found = {}
    for name in PROBES:
        folds = [_probe(run.metrics.get(PROBE, {}), name) for run in runs]
        if all(folds):
            found[name] = {"whole": pooling.pool_probe(folds)}
    return found


def _probe(flat: Mapping[str, Any], name: str) -> dict[str, float]:
    found = {key: flat.get(f"{name}.whole.{key}") for key in ("accuracy", "images")}
    numbers = {key: float(value) for key, value in found.items() if isinstance(value, int | float)}
    return numbers if numbers.keys() == found.keys() else {}


def outlines(root: Path, runs: Sequence[Revision]) -> tuple[list[pd.DataFrame], str]:
    """Return the rows of each run's outlines, or why they are not pooled."""
    try:
        require_same_given(runs, OUTLINES)
        tables = [read_rows(read_out(root, run.name, SEGMENTATION), run.name) for run in runs]
    except (ArtifactError, InputError) as error:
        return [], str(error)
    if not any((table["truth_px"] > 0).any() for table in tables):
        return [], "no test image has a mask with a tumour"
    return tables, ""


def read_rows(data: bytes, name: str) -> pd.DataFrame:
    """Return the outlines' rows of the run `name`: texts, and numbers that are NaN where they are empty."""
    return outline_rows(data, f"{name}: {SEGMENTATION}")


def require_whole(runs: Sequence[Revision]) -> None:
    """Raise `ArtifactError` where a run lacks what is pooled, or has not run as its params stand."""
    for run in runs:
        if run.predictions is None or run.params is None:
            raise ArtifactError("; ".join(run.missing.values()))
        if not isinstance(run.metrics.get(DATA, {}).get(SEEN), int):
            raise ArtifactError(
                f"{run.name}: {DATA} should hold {SEEN}, received none; run `dvc repro` with this version"
            )
        if run.stale:
            raise ArtifactError("; ".join(run.stale))


def require_all_folds(runs: Sequence[Revision]) -> None:
    """Raise `InputError` unless the runs are each fold of one cross-validation once, with the same params else."""
    params = [dict(run.params or {}) for run in runs]
    folds = sorted(int(own.pop(FOLD, -1)) for own in params)
    if any(own.get("preprocess.split") != "patient" for own in params):
        raise InputError(
            "pool: every run should be split by patient, received others; run with preprocess.split=patient"
        )
    differ = sorted({key for own in params for key in own | params[0] if own.get(key) != params[0].get(key)})
    if differ:
        raise InputError(
            f"pool: runs should differ in {FOLD} alone, received others in {', '.join(differ[:5])} as well"
        )
    wanted = list(range(int(params[0]["preprocess.folds"])))
    if folds != wanted:
        raise InputError(f"pool: each fold of {wanted} should be given once, received {folds}; run those that lack")


def require_same_given(runs: Sequence[Revision], stages: Sequence[str]) -> None:
    """Raise `InputError` unless `stages` were given the same images, `exclude.csv` and code in all runs' dvc.lock."""
    given = [
        {RAW: run.hashes.get(RAW), **{path: md5 for stage in stages for path, md5 in run.given.get(stage, {}).items()}}
        for run in runs
    ]
    differ = sorted({path for own in given for path in own | given[0] if own.get(path) != given[0].get(path)})
    if differ:
        raise InputError(
            f"pool: runs should be of the same data, exclude.csv and code, received others of {', '.join(differ[:5])}; "
            "run all folds anew at one commit"
        )


def as_text(found: dict[str, Any]) -> str:
    """Return the headline scores as text, a line each."""
    classify, told = found["metrics"]["classify"], found["test_patients"]
    whole, ends, mean, sd = classify["whole"], classify["ci95"], classify["by_fold"]["mean"], classify["by_fold"]["sd"]
    lines = [
        f"{whole['images']} images of {whole['units']} units, {found['folds']} folds",
        _line("accuracy", *(part["accuracy"] for part in (whole, ends["whole"], mean, sd))),
        _line("macro F1", *(part["macro"]["f1"] for part in (whole, ends["whole"], mean, sd))),
        f"patients tested: {told['known']} known, {told['seen_in_training']} of them in training too; "
        f"images without a known patient: {told['images_without']}",
    ]
    for method, scores in found["metrics"]["segment"].items():
        dice, by_fold = scores["all"]["dice"], scores["by_fold"]
        figures = (dice["mean"], dice["mean_ci95"], by_fold["mean"]["dice"], by_fold["sd"]["dice"])
        lines.append(_line(f"Dice, {method}, {scores['images_with_tumour_mask']} masks", *figures))
    if "without_outlines" in found:
        lines.append(f"outlines are not pooled: {found['without_outlines']}")
    return "\n".join(lines)


def _line(name: str, value: float, ends: dict[str, float], mean: float, sd: float) -> str:
    return f"{name}: {value:.3f} ({ends['low']:.3f} to {ends['high']:.3f}); by fold {mean:.3f} ± {sd:.3f}"
