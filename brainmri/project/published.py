"""The files of `results/`: what the tables read of a published run, checked; older runs hold less than newer ones."""

from pathlib import Path
from typing import Any, Self

from pydantic import ConfigDict, Field, model_validator

from brainmri.core.files import read_json
from brainmri.core.params import OPTIONAL, Figure, Record
from brainmri.scoring.records import F1, Ends, F1Ends, TestPatients

TOLD = "test_patients"


class OfClass(Record):
    """Scores of one class."""

    support: int
    precision: Figure
    recall: Figure
    auc: Figure
    f1: Figure


class OfPart(Record):
    """Scores of one part of the test set."""

    images: int
    accuracy: float
    ece: float
    macro: F1
    classes: dict[str, OfClass]


class OfPartEnds(Record):
    """Their intervals."""

    accuracy: Ends
    macro: F1Ends
    classes: dict[str, F1Ends]


class AccuracyEnds(Record):
    """The interval of an accuracy."""

    accuracy: Ends


class ByPatient(Record):
    """Accuracy by patient."""

    accuracy: float
    ci95: AccuracyEnds


class Accuracy(Record):
    """An accuracy."""

    accuracy: Figure


class Seeds(Record):
    """Mean and deviation over seeds, of one part."""

    mean: Accuracy
    sd: Accuracy


class Repeated(Record):
    """Several seeds."""

    seeds: int
    whole: Seeds = OPTIONAL
    twin_free: Seeds = OPTIONAL
    neighbour_free: Seeds = OPTIONAL


class Folds(Record):
    """The accuracy of each fold, its mean and its deviation."""

    runs: dict[str, Accuracy]
    mean: Accuracy
    sd: Accuracy


class ElsewhereScores(Record):
    """Scores on a set from elsewhere."""

    images: int
    accuracy: float
    macro: F1


class ElsewhereEnds(Record):
    """Their intervals."""

    accuracy: Ends
    macro: F1Ends


class LeftOut(Record):
    """What was left out of a set from elsewhere; older runs did not look for patients."""

    training_twins: dict[str, int] = OPTIONAL
    training_patients: dict[str, int] = OPTIONAL


class Elsewhere(Record):
    """A set from elsewhere that a run was scored on; no scores where no image was left."""

    test_patients: TestPatients = OPTIONAL
    counts: LeftOut
    scores: ElsewhereScores = OPTIONAL
    ci95: ElsewhereEnds = OPTIONAL

    @model_validator(mode="after")
    def _with_intervals(self) -> Self:
        if (self.scores is None) != (self.ci95 is None):
            raise ValueError("scores with their intervals (ci95), or neither")
        return self


class Classified(Record):
    """What is read of the classifier's scores."""

    whole: OfPart
    twin_free: OfPart = OPTIONAL
    neighbour_free: OfPart = OPTIONAL
    ci95: dict[str, OfPartEnds]
    patients: ByPatient = OPTIONAL
    repeats: Repeated = OPTIONAL
    external: dict[str, Elsewhere] = OPTIONAL
    by_fold: Folds = OPTIONAL

    @model_validator(mode="after")
    def _with_intervals(self) -> Self:
        for name in ("whole", "twin_free", "neighbour_free"):
            part, ends = getattr(self, name), self.ci95.get(name)
            if part is not None and (ends is None or set(ends.classes) != set(part.classes)):
                raise ValueError(f"{name} with the intervals (ci95) of each of its classes")
        return self


class Mean(Record):
    """A mean over the outlined images."""

    mean: Figure


class MeanDice(Mean):
    """A mean with its interval."""

    mean_ci95: Ends


class Measures(Record):
    """What is read of all outlined images."""

    dice: MeanDice
    hd95: Mean
    sensitivity: Mean


class SomeMeasures(Record):
    """What is read of those of a class or a size."""

    dice: Mean


class OneDice(Record):
    """A Dice."""

    dice: Figure


class DiceFolds(Record):
    """The mean Dice of the folds: their mean and deviation."""

    mean: OneDice
    sd: OneDice


class OutlinedBy(Record):
    """What is read of a method's scores; `all` where an image has a tumour, and of each class of tumour by its name."""

    model_config = ConfigDict(extra="allow")

    images_with_tumour_mask: int = OPTIONAL
    all: Measures = OPTIONAL
    by_size: dict[str, SomeMeasures] = OPTIONAL
    by_fold: DiceFolds = OPTIONAL

    @model_validator(mode="after")
    def _says_how_many(self) -> Self:
        if self.all is not None and self.images_with_tumour_mask is None:
            raise ValueError("all with images_with_tumour_mask")
        return self


class Segmented(Record):
    """What is read of the outlines' scores: a method's under its name, those of external sets under `external`."""

    __pydantic_extra__: dict[str, OutlinedBy] = Field(init=False)
    model_config = ConfigDict(extra="allow")

    external: dict[str, Any] = OPTIONAL


class Probed(Record):
    """What is read of a probe."""

    whole: Accuracy
    twin_free: Accuracy = OPTIONAL
    neighbour_free: Accuracy = OPTIONAL


class Probes(Record):
    """What is read of the probes."""

    nearest_neighbour: Probed = OPTIONAL
    metadata: Probed = OPTIONAL


class Measured(Record):
    """What the tables read of a run's metrics."""

    classify: Classified
    segment: Segmented
    probe: Probes = OPTIONAL


class Made(Record):
    """How a published run was come by."""

    name: str
    command: str
    commit: str
    preset: str | None = None
    machine: str = OPTIONAL


class Source(Record):
    """What is read of a run's section `fetch`."""

    source: str


class Copies(Record):
    """What is read of its section `preprocess`."""

    duplicates: str


class RunParams(Record):
    """What is read of a run's params."""

    fetch: Source
    preprocess: Copies


class Run(Made):
    """A file of `results/`, as `brainmri record` writes it; `folds` where it is a cross-validation's."""

    test_patients: TestPatients
    params: RunParams
    metrics: Measured
    folds: int = OPTIONAL

    @model_validator(mode="after")
    def _classes_are_outlined(self) -> Self:
        for own in (self.metrics.segment.__pydantic_extra__ or {}).values():
            found = own.__pydantic_extra__ or {}
            for name in self.metrics.classify.whole.classes:
                if found.get(name) is not None:
                    SomeMeasures.model_validate(found[name])
        return self

    @model_validator(mode="after")
    def _folds_are_told(self) -> Self:
        methods = (self.metrics.segment.__pydantic_extra__ or {}).values()
        parts = [self.metrics.classify.by_fold, *(own.all and own.by_fold and own.by_size for own in methods)]
        if self.folds is not None and None in parts:
            raise ValueError("by_fold for the classifier and each method, as it has folds")
        return self


class PooledRun(Record):
    """What `brainmri pool` writes of folds, which `brainmri record` makes a `Run` of."""

    commit: str
    params: dict[str, Any]
    test_patients: TestPatients
    metrics: Measured


class OnAnother(Record):
    """What is read of a run that was scored on another set alone."""

    counts: LeftOut
    scores: ElsewhereScores
    ci95: ElsewhereEnds


class ExternalRun(Made):
    """A file of `results/external/`."""

    test_patients: TestPatients = OPTIONAL
    result: OnAnother


def published(root: Path) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """Return the runs of `results/`, by the name of their file, and the scores on sets from elsewhere.

    Raises
    ------
    ArtifactError
        If a file holds no run, or does not tell what the tables need.
    """
    runs = {path.name: read_json(path, Run) for path in sorted((root / "results").glob("*.json"))}
    return runs, [read_json(path, ExternalRun) for path in sorted((root / "results/external").glob("*.json"))]
