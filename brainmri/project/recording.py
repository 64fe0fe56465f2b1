"""Keep a run, or folds that were pooled, as a file of `results/`, of which `results.py` makes the tables."""

from pathlib import Path, PurePath

import pandas as pd

from brainmri.core.errors import ArtifactError
from brainmri.core.files import read_json, write_json, write_table
from brainmri.core.git import git
from brainmri.core.index import MAYBE, Kinds, read_table
from brainmri.core.params import read_sections
from brainmri.project import lock, presets
from brainmri.project.published import TOLD, PooledRun
from brainmri.project.reproducibility import processor
from brainmri.reporting.summary import METRICS

TEST_PATIENTS = ("known", "seen_in_training", "images_without")
OUT_OF_FOLD = "out-of-fold"  # folder beside the recorded folds
OUTLINES: Kinds = {"image_id": str, "method": str, "truth_px": MAYBE, "dice": MAYBE}  # of them read
DIGITS = 5  # of what stands there


def record(root: Path, name: str, command: str, out: Path) -> None:
    """Write `out`: the metrics, params, commit, versions and processor of the run that stands in the folder `root`.

    Raises
    ------
    ArtifactError
        If the run's code differs from its commit, or its metrics from its dvc.lock: the numbers could not be repeated.
    """
    from brainmri.sources.kaggle import is_handle  # Kaggle's client takes a second to import

    changed = git(root, "status", "--porcelain", "--", "*.py", "brainmri/*.csv", "dvc.yaml", "requirements.lock")
    if changed:
        raise ArtifactError(f"{root}: code should be committed before its run is recorded, received changes: {changed}")
    stale = lock.out_problems(root)
    if stale:
        raise ArtifactError("; ".join(stale))
    params = read_sections(root / "params.yaml")
    local = params["fetch"]["local"]
    params["fetch"]["local"] = {key: value and PurePath(value).name for key, value in local.items()}  # no private paths
    params["fetch"]["external"] = {
        name: place if is_handle(place) else PurePath(place).name
        for name, place in params["fetch"].get("external", {}).items()
    }
    metrics = {part: read_json(root / f"metrics/{part}.json", shape) for part, shape in METRICS.items()}
    write_json(
        out,
        {
            "name": name,
            "command": command,
            "preset": presets.of_run(root, params),
            "commit": git(root, "rev-parse", "HEAD"),
            TOLD: {key: metrics["data"]["patients"]["test"][key] for key in TEST_PATIENTS},
            "params": params,
            "versions": read_json(root / "models/classifier/versions.json", dict[str, str]),
            "machine": processor(),
            "metrics": metrics,
        },
    )


def record_pooled(root: Path, pooled: Path, name: str, command: str, out: Path) -> None:
    """Write `out`: the scores that `brainmri pool` wrote to folder `pooled`, and how they were come by.

    Beside it, in the folder `OUT_OF_FOLD` and under the name of `out`, stands a CSV of every image: its patient, fold,
    answer, and the Dice of each method.

    Raises
    ------
    ArtifactError
        If the code differs between the folds: no commit could repeat the numbers.
    """
    found = read_json(pooled / "scores.json", PooledRun)
    if not found.get("commit"):
        raise ArtifactError(
            f"{pooled / 'scores.json'}: the folds should be run with the code of one commit, received none; run all "
            "folds anew at one commit and pool them"
        )
    write_json(out, {"name": name, "command": command, "preset": presets.of_run(root, found["params"]), **found})
    write_table(out.parent / OUT_OF_FOLD / out.with_suffix(".csv").name, out_of_fold(pooled))


def out_of_fold(pooled: Path) -> pd.DataFrame:
    """Return one row an image of what `brainmri pool` wrote: who it is, its answer, `truth_px` and `dice_<method>`.

    Probabilities and Dice are rounded to `DIGITS`, so that the table can stand in git.
    """
    kinds = {"image_id": str, "label": str, "predicted": str, "patient": str, "unit": int, "fold": int}
    table = read_table(pooled / "predictions.csv", kinds)
    chances = [name for name in table if name.startswith("p_")]
    table = table[["image_id", "label", "patient", "unit", "fold", "predicted", *chances]].round(DIGITS)
    if not (pooled / "outlines.csv").exists():
        return table
    rows = read_table(pooled / "outlines.csv", OUTLINES).set_index("image_id")
    truth = rows[~rows.index.duplicated()]["truth_px"].rename("truth_px").astype("Int64")
    dice = rows.pivot(columns="method", values="dice").add_prefix("dice_").round(DIGITS)
    return table.join(truth, on="image_id").join(dice, on="image_id")
