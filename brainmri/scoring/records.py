"""What the files of scores hold: the records that they are read as, and the columns of the table of outlines.

Written by `assessment`, `pointing`, `mask_scores` and `pooling`; read by the report and by all that compares runs.
"""

from typing import Annotated, Any, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from brainmri.core.index import MAYBE, Kinds
from brainmri.core.manifest import ExternalCounts
from brainmri.core.params import OPTIONAL, Figure, Record

# On the square grid in px; on the file's own grid under the same names with `native_`.
MEASURES = (
    *("dice", "iou", "hd95", "assd", "sensitivity", "precision", "specificity"),
    *("size_error", "size_error_relative"),
)
IN_MM = ("hd95", "assd", "size_error")
SUMMARISED = (*MEASURES, *(f"{name}_mm" for name in IN_MM))
SIZES = ("small", "medium", "large")
COLUMNS = (
    *("image_id", "label", "set", "unit", "training_twin", "area_px", "area_mm2", "truth_px"),
    *(*SUMMARISED, "one_empty"),
    *(f"native_{name}" for name in (*SUMMARISED, "one_empty")),
)

# What stands in `rows.csv` of the segment stage: numbers where an image has a true mask, nothing where not.
ROWS: Kinds = {
    **dict.fromkeys(COLUMNS, MAYBE),
    "image_id": str,
    "label": str,
    "set": str,
    "unit": int,
    "training_twin": bool,
    "area_px": int,
    "method": str,
}


class Ends(Record):
    """A 95 % interval."""

    low: Figure
    high: Figure


class Averages(Record):
    """Scores of one class, or their mean over the classes."""

    precision: Figure
    recall: Figure
    f1: Figure
    specificity: Figure
    auc: Figure
    average_precision: Figure


class OfClass(Averages):
    """Scores of one class."""

    support: int
    claim: bool


class AverageEnds(Record):
    """The intervals of `Averages`."""

    precision: Ends
    recall: Ends
    f1: Ends
    specificity: Ends
    auc: Ends
    average_precision: Ends


class Part(Record):
    """Scores of one part of the test set, as `assessment.scored` gives them."""

    images: int
    units: int
    accuracy: float
    loss: float
    ece: float
    macro: Averages
    weighted: Averages
    classes: dict[str, OfClass]


class PartEnds(Record):
    """Their intervals, as of `assessment.bounds`."""

    accuracy: Ends
    loss: Ends
    macro: AverageEnds
    classes: dict[str, AverageEnds]


class F1(Record):
    """A macro F1."""

    f1: Figure


class F1Ends(Record):
    """Its interval."""

    f1: Ends


class PatientEnds(Record):
    """Intervals of `Patients`."""

    accuracy: Ends
    macro: F1Ends


class Patients(Record):
    """Scores by patient."""

    patients: int
    images: int
    mixed: int
    accuracy: float
    macro: F1
    ci95: PatientEnds


class GivenEnds(Record):
    """Intervals of `Abstention`."""

    coverage: Ends
    accuracy: Ends


class Abstention(Record):
    """Scores of the answers that are given."""

    coverage: float
    accuracy: Figure
    ci95: GivenEnds
    risk: dict[str, Figure]


class Quality(Record):
    """How far probabilities can be trusted."""

    ece: float
    loss: float
    brier: float


class Calibrated(Record):
    """What calibration did on the test images."""

    temperature: float
    abstain_below: float
    before: Quality
    after: Quality


class HitEnds(Record):
    """The interval of `Pointed`."""

    hits: Ends


class Pointed(Record):
    """How often the evidence peaks in the tumour."""

    images: int
    hits: float
    chance: Figure
    brightest: Figure
    ci95: HitEnds


class TestPatients(Record):
    """Who was tested, and whether the network has met them."""

    known: int
    seen_in_training: int
    images_without: int


class Elsewhere(Record):
    """Scores of an external set; none where no image is left."""

    counts: ExternalCounts
    test_patients: TestPatients
    scores: Part = OPTIONAL
    ci95: PartEnds = OPTIONAL


class Spread(Record):
    """A mean over runs, or the deviation."""

    accuracy: Figure
    ece: Figure
    macro: F1


class Runs(Record):
    """The same scores of several runs."""

    runs: dict[str, Spread]
    mean: Spread
    sd: Spread


class Repeats(Record):
    """Classifiers of several seeds."""

    seeds: int
    whole: Runs
    twin_free: Runs = OPTIONAL
    neighbour_free: Runs = OPTIONAL


class Evaluated(Record):
    """`scores.json` of the evaluate stage."""

    whole: Part
    twin_free: Part = OPTIONAL
    neighbour_free: Part = OPTIONAL
    ci95: dict[str, PartEnds]
    patients: Patients = OPTIONAL
    abstention: Abstention
    calibration: Calibrated
    pointing: dict[str, Pointed] = OPTIONAL
    repeats: Repeats = OPTIONAL
    external: dict[str, Elsewhere] = OPTIONAL

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        classes = set(self.whole.classes)
        for name in ("whole", "twin_free", "neighbour_free"):
            part, ends = getattr(self, name), self.ci95.get(name)
            fits = ends is not None and part is not None and set(ends.classes) == set(part.classes) == classes
            if part is not None and not fits:
                raise ValueError(f"{name} with intervals (ci95) and the classes of the whole")
        return self


class Kept(Record):
    """The epoch that was kept."""

    epoch: int
    loss: float
    accuracy: float


class Classify(Evaluated):
    """`metrics/classify.json`."""

    validation: Kept


class Overlap(Record):
    """One measure over the outlined images."""

    mean: Figure
    mean_ci95: Ends
    median: Figure
    p5: Figure
    n: int
    n_not_scored: int


class Overlaps(Record):
    """What is shown of the measures over the outlined images."""

    dice: Overlap
    iou: Overlap
    hd95: Overlap
    sensitivity: Overlap
    precision: Overlap
    one_empty: int


class FalseAreas(Record):
    """What is outlined where there is no tumour."""

    images: int
    mean: Figure
    share_with_any: Figure


class Outlined(Record):
    """Scores of a method's outlines on some images; `all` where one has a tumour."""

    images: int
    images_with_tumour_mask: int
    false_positive_area_px: FalseAreas
    all: Overlaps = OPTIONAL


class TwinFree(Outlined):
    """Those without a twin in training."""

    gated: Outlined = OPTIONAL


class Method(Outlined):
    """Scores of a method, and under a class's name those of its tumours."""

    __pydantic_extra__: dict[str, Overlaps] = Field(init=False)
    model_config = ConfigDict(extra="allow")

    title: str
    by_size: dict[str, Overlaps]
    native: Outlined
    twin_free: TwinFree
    gated: Outlined = OPTIONAL


class Skipped(Record):
    """A method that could not be used."""

    title: str
    skipped: str


def _which(found: Any) -> str:
    return "skipped" if isinstance(found, dict) and "skipped" in found else "scored"


# Told apart by what they hold, so that an error is of the one that was meant.
OneMethod = Annotated[Annotated[Skipped, Tag("skipped")] | Annotated[Method, Tag("scored")], Discriminator(_which)]


class Segment(Record):
    """`scores.json` of the segment stage, and `metrics/segment.json`: the scores of each method under its name."""

    __pydantic_extra__: dict[str, OneMethod] = Field(init=False)
    model_config = ConfigDict(extra="allow")

    external: dict[str, dict[str, OneMethod]] = OPTIONAL
