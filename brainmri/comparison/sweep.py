"""Run the pipeline for each combination of a grid of params, as DVC experiments; a sweep that was stopped goes on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from brainmri.comparison import experiments, revision_tables, sweep_report
from brainmri.comparison.grid import require_valid, title
from brainmri.comparison.revisions import Revision, read_out, read_revisions
from brainmri.comparison.sweep_report import Trial
from brainmri.core.errors import ArtifactError
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
    head = experiments.require_committed(root, "sweep")
    trials = [Trial(values, experiments.name_of("sweep", head, values)) for values in every]
    wanted = [experiments.Wanted(trial.name, title(trial.values), trial.values) for trial in trials]
    failures = experiments.run_each(root, head, wanted, out)
    for trial in trials:
        trial.failure = failures[trial.name]
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


def _figures(root: Path, revision: Revision) -> tuple[dict[str, float], str]:
    """Return the validation figures of an experiment, and why it has none."""
    found = revision.metrics.get(METRICS, {})
    names = {"validation accuracy": "validation.accuracy", "validation loss": "validation.loss"}
    figures = {name: float(found[key]) for name, key in names.items() if isinstance(found.get(key), int | float)}
    if len(figures) < len(names):
        return {}, f"{METRICS} should hold validation accuracy and loss, received none"
    try:
        data = read_out(root, revision.name, CHOICES)
    except ArtifactError:  # a set without masks has no U-Net
        return figures, ""
    try:
        best = revision_tables.choices(data, CHOICES)["dice"].max()
    except ArtifactError as error:
        return {}, str(error)
    return figures | {"validation Dice of the U-Net": float(best)}, ""


def _validation_images(revisions: list[Revision]) -> int | None:
    """Return how many images validated the classifiers; None where they were not the same for all."""
    sets = set()
    for revision in revisions:
        if revision.index is None:
            return None
        rows = revision.index[(revision.index["split"] == "val") & (revision.index["label"] != "")]
        sets.add(frozenset(rows["image_id"]))
    return len(sets.pop()) if len(sets) == 1 else None
