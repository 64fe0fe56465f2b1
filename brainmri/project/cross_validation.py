"""Pool the runs of a cross-validation: every image answered for by a network that has learnt from nobody of its fold.

Each fold is a run of its own (`preprocess.split: patient`, `preprocess.fold` from 0 on), such as an experiment that
`brainmri sweep` made. All is read from git, offline, and no checkout is needed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from brainmri.comparison.revision_tables import PREDICTIONS
from brainmri.comparison.revisions import Revision, read_revisions
from brainmri.core.errors import ArtifactError, InputError
from brainmri.core.files import new_directory, write_json, write_table
from brainmri.scoring import pooling

FOLD = "preprocess.fold"
STAGES = ("fetch", "preprocess", "augment", "train", "evaluate")  # which the predictions come from
RAW = "data/raw"
DATA, SEEN = "metrics/data.json", "patients.test.seen_in_training"


def pool(root: Path, names: Sequence[str], seed: int, resamples: int, out: Path) -> dict[str, Any]:
    """Write `predictions.csv`, out of fold, and `scores.json` to folder `out`; return the scores.

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
        As of `pooling.score`; `test_patients` tells `seen_in_training` too, summed over the folds.

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
    require_same_given(runs)
    runs = sorted(runs, key=lambda run: int((run.params or {})[FOLD]))
    pooled = pooling.pool([run.predictions for run in runs if run.predictions is not None])
    found = pooling.score(pooled, seed, resamples)
    found["test_patients"]["seen_in_training"] = sum(int(run.metrics[DATA][SEEN]) for run in runs)
    with new_directory(out) as folder:
        write_table(folder / Path(PREDICTIONS).name, pooled)
        write_json(folder / "scores.json", found)
    return found


def require_whole(runs: Sequence[Revision]) -> None:
    """Raise `ArtifactError` where a run lacks what is pooled, or has not run as its params stand."""
    for run in runs:
        if run.predictions is None or run.params is None:
            raise ArtifactError("; ".join(run.missing.values()))
        if SEEN not in run.metrics.get(DATA, {}):
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


def require_same_given(runs: Sequence[Revision]) -> None:
    """Raise `InputError` unless all runs were given the same images, `exclude.csv` and code, by their dvc.lock."""
    given = [
        {RAW: run.hashes.get(RAW), **{path: md5 for stage in STAGES for path, md5 in run.given.get(stage, {}).items()}}
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
    whole, ends, mean, sd = found["whole"], found["ci95"], found["by_fold"]["mean"], found["by_fold"]["sd"]
    told = found["test_patients"]
    return "\n".join(
        [
            f"{whole['images']} images of {whole['units']} units, {found['folds']} folds",
            _line("accuracy", *(part["accuracy"] for part in (whole, ends, mean, sd))),
            _line("macro F1", *(part["macro"]["f1"] for part in (whole, ends, mean, sd))),
            f"patients tested: {told['known']} known, {told['seen_in_training']} of them in training too; "
            f"images without a known patient: {told['images_without']}",
        ]
    )


def _line(name: str, value: float, ends: dict[str, float], mean: float, sd: float) -> str:
    return f"{name}: {value:.3f} ({ends['low']:.3f} to {ends['high']:.3f}); by fold {mean:.3f} ± {sd:.3f}"
