"""Run the pipeline for each combination of a grid of params, as DVC experiments.

One experiment runs after the other, each in a folder of its own (`dvc exp run --temp`): a training uses every core
already, and the exit status of each is known, where `dvc queue start` exits with 0 whatever fails. An experiment that
is there already is not run again, so that a sweep that was stopped goes on.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import pandas as pd

from brainmri.comparison import sweep_report
from brainmri.comparison.grid import require_valid, title
from brainmri.comparison.revisions import Revision, read_out, read_revisions
from brainmri.comparison.sweep_report import Trial
from brainmri.core.errors import ArtifactError, InputError
from brainmri.core.git import git
from brainmri.core.params import Section, read_yaml

METRICS = "metrics/classify.json"
CHOICES = "models/unet/choices.csv"


def sweep(root: Path, every: Sequence[dict[str, str]], models: Mapping[str, type[Section]], out: Path) -> list[Trial]:
    """Run each combination; write a table, a text, a picture and the log of each run to the folder `out`.

    Parameters
    ----------
    root : Path
        The project's folder. What git tracks of it has to be committed.
    every : sequence of dict
        The combinations, as `grid.combinations` gives them.
    models : mapping
        The typed model of each section of params.yaml.

    Returns
    -------
    list of Trial
        Ranked, see `sweep_report.ranked`; those that failed say why, see `require_all`.

    Raises
    ------
    InputError, ParamsError
        Before anything runs, if a combination or the state of the repository will not do.
    """
    require_valid(every, read_yaml(root / "params.yaml"), models)
    head = _committed(root)
    out.mkdir(parents=True, exist_ok=True)
    trials = [Trial(values, _name(head, values)) for values in every]
    for at, trial in enumerate(trials, start=1):
        known = trial.name in _experiments(root, head)
        print(
            f"{at}/{len(trials)} {title(trial.values)}: {'ran before' if known else f'runs as {trial.name}'}",
            flush=True,
        )
        trial.failure = "" if known else _run(root, head, trial, out / f"{trial.name}.log")
        if trial.failure:
            print(f"    failed: {trial.failure}", flush=True)
    revisions = read_revisions(root, [trial.name for trial in trials if not trial.failure])
    by_name = {revision.name: revision for revision in revisions}
    for trial in trials:
        if not trial.failure:
            trial.figures, trial.failure = _figures(root, by_name[trial.name])
    trials = sweep_report.ranked(trials)
    simulated = {revision.metrics.get("metrics/data.json", {}).get("simulated") for revision in revisions} == {True}
    sweep_report.write(out, trials, _validation_images(revisions), simulated)
    return trials


def require_all(trials: list[Trial], out: Path) -> None:
    """Raise `ArtifactError` with the combinations that failed, if any did."""
    failed = [f"{title(trial.values)} ({trial.failure})" for trial in trials if trial.failure]
    if failed:
        raise ArtifactError(
            f"sweep: every combination should run, received {len(failed)} of {len(trials)} that failed: "
            f"{'; '.join(failed)}; their logs are in {out}, and the same sweep again runs them alone"
        )


def _committed(root: Path) -> str:
    """Return the commit that is checked out; raise `InputError` where experiments would hold more, or get lost."""
    if git(root, "rev-parse", "--is-shallow-repository") == "true":
        raise InputError("sweep: needs the whole history, received a shallow clone; run `git fetch --unshallow`")
    changed = git(root, "status", "--porcelain", "--untracked-files=no").splitlines()
    if changed:
        names = ", ".join(line.split(maxsplit=1)[1] for line in changed[:5])
        raise InputError(
            "sweep: what git tracks should be committed, so that combinations differ in their params alone, received "
            f"changes of {names}"
        )
    return git(root, "rev-parse", "HEAD")


def _name(head: str, values: dict[str, str]) -> str:
    """Return a name that the same combination on the same commit gets again, and no other."""
    return f"sweep-{hashlib.sha256(json.dumps([head, sorted(values.items())]).encode()).hexdigest()[:8]}"


def _experiments(root: Path, head: str) -> set[str]:
    refs = git(root, "for-each-ref", "--format", "%(refname)", f"refs/exps/{head[:2]}/{head[2:]}")
    return {ref.rpartition("/")[2] for ref in refs.splitlines()}


def _run(root: Path, head: str, trial: Trial, log: Path) -> str:
    """Run one experiment; return why it failed, or nothing."""
    changes = [word for key, value in trial.values.items() for word in ("-S", f"{key}={value}")]
    command = [sys.executable, "-m", "dvc", "exp", "run", "--temp", "--name", trial.name, *changes]
    with log.open("w") as file:
        status = subprocess.run(command, cwd=root, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
    if status == 0 and trial.name in _experiments(root, head):
        return ""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    # A stage says what was wrong, then DVC says which stage it was.
    said = [line for line in lines if line.lower().startswith("error: ")]
    return (said or lines[-1:] or [f"exit status {status}"])[0].removeprefix("error: ").removeprefix("ERROR: ")


def _figures(root: Path, revision: Revision) -> tuple[dict[str, float], str]:
    """Return the validation figures of an experiment, and why it has none."""
    found = revision.metrics.get(METRICS, {})
    names = {"validation accuracy": "validation.accuracy", "validation loss": "validation.loss"}
    figures = {name: float(found[key]) for name, key in names.items() if isinstance(found.get(key), int | float)}
    if len(figures) < len(names):
        return {}, f"{METRICS} should hold validation accuracy and loss, received none"
    try:
        table = pd.read_csv(BytesIO(read_out(root, revision.name, CHOICES)))
    except ArtifactError:  # a set without masks has no U-Net
        return figures, ""
    return figures | {"validation Dice of the U-Net": float(table["dice"].max())}, ""


def _validation_images(revisions: list[Revision]) -> int | None:
    """Return how many images validated the classifiers; None where they were not the same for all."""
    sets = set()
    for revision in revisions:
        if revision.index is None:
            return None
        rows = revision.index[(revision.index["split"] == "val") & (revision.index["label"] != "")]
        sets.add(frozenset(rows["image_id"]))
    return len(sets.pop()) if len(sets) == 1 else None
