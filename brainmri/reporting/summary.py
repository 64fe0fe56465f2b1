"""What the metrics hold, and the headline numbers of them: so few that `dvc metrics diff` fits them on a screen.

The records below, and those of `scoring.records`, are what `metrics/*.json` are read as, and the `scores.json` and
`summary.json` of the stages that they are made from.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import ConfigDict, Field, model_validator

from brainmri.core.manifest import Difference, ExternalCounts
from brainmri.core.params import OPTIONAL, Figure, Record
from brainmri.scoring.records import Classify, Ends, Segment

Counts = dict[str, int]


class ProbeEnds(Record):
    """Intervals of `ProbePart`."""

    accuracy: Ends
    macro_f1: Ends
    macro_recall: Ends


class ProbePart(Record):
    """Scores of a probe on one part of the test set."""

    accuracy: float
    macro_f1: Figure
    macro_recall: Figure
    ci95: ProbeEnds
    chance: float
    commonest_class: str
    commonest_share: float
    images: int
    units: int


class OneProbe(Record):
    """Scores of one probe."""

    whole: ProbePart
    twin_free: ProbePart = OPTIONAL
    neighbour_free: ProbePart = OPTIONAL
    reading: str


class Probe(Record):
    """`scores.json` of the probe stage, and `metrics/probe.json`."""

    nearest_neighbour: OneProbe
    metadata: OneProbe
    reading: str


class KnownPatients(Record):
    """How many patients of a split are known."""

    known: int
    recognised: int
    images_without: int


class KnownTestPatients(KnownPatients):
    """And how many of those tested were met in training."""

    seen_in_training: int
    seen_in_training_masked: int


class BySplit(Record):
    """The patients of each split."""

    train: KnownPatients
    val: KnownPatients
    test: KnownTestPatients


class Twins(Record):
    """What was found of near-duplicates."""

    pairs: int
    pairs_equal_bytes: int
    pairs_equal_pixels: int
    groups: int
    largest_group: int
    label_conflicts: int
    dropped: dict[str, Counts]
    test_with_training_twin: Counts
    test_twin_free: Counts
    test_with_training_neighbour: Counts
    test_neighbour_free: Counts


class Images(Record):
    """What preprocess says of the images."""

    classes: list[str] = Field(min_length=1)
    images: dict[str, Counts]
    masked: Counts
    excluded: dict[str, Counts]
    own_window: int
    patients: BySplit
    twins: Twins

    @model_validator(mode="after")
    def _has_the_splits(self) -> Self:
        if not {"train", "val", "test"} <= set(self.images) or not {"train", "val", "test"} <= set(self.masked):
            raise ValueError("images and masked of train, val and test")
        return self


class Unreadable(Record):
    """An image that could not be read."""

    image_id: str
    reason: str


class Preprocessed(Images):
    """`summary.json` of the preprocess stage."""

    unreadable: list[Unreadable]
    without_head: list[str]


class SourceFacts(Record):
    """What `metrics/data.json` says of a set."""

    ignored: Counts
    differences: dict[str, Difference]
    patients_in_several_splits: int


class Data(Images):
    """`metrics/data.json`."""

    simulated: bool
    source: str
    sets: dict[str, SourceFacts]
    unreadable: int
    without_head: int
    external: dict[str, ExternalCounts] = OPTIONAL


class Summary(Record):
    """`metrics/summary.json`, as of `headline_numbers`; and a mean Dice for each method."""

    __pydantic_extra__: dict[str, float] = Field(init=False)
    model_config = ConfigDict(extra="allow")

    accuracy: float
    test_images: int
    test_no_patient: int
    patients_seen: int = OPTIONAL


# What each file is, by its name in `metrics/`.
METRICS: Mapping[str, type[Record]] = {"data": Data, "probe": Probe, "classify": Classify, "segment": Segment}

# In a test set of up to 10,000 images one answer more or less still shows; what is smaller says nothing to a reader.
DIGITS = 4


def headline_numbers(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return the numbers of `metrics/summary.json`, chosen so that a difference says what changed.

    Parameters
    ----------
    metrics : mapping
        The content of `metrics/{data,probe,classify,segment}.json`, by name.

    Returns
    -------
    dict
        Scores in [0, 1], rounded to `DIGITS`, and counts:

        - `accuracy`, `macro_f1`, `ece` of the classifier that was kept, on all test images; `val_accuracy` of its
          epoch, on the validation images, by which one may choose
        - `dice_<method>`, the mean over the test images with a tumour in truth
        - `probe_metadata`, `probe_neighbour`, the accuracies of what cannot know a tumour
        - `test_images`; `test_no_patient`, how many of them are of nobody that is known; `patients_seen`, how many of
          the known test patients are in training or validation of the classifier too

        What was not measured is left out: the Dice of a method that was skipped, a score that is not defined,
        `patients_seen` where no test patient is known, because none seen would be untrue. DVC shows a dash for it.
    """
    data, probe, classify = metrics["data"], metrics["probe"], metrics["classify"]
    whole, patients = classify["whole"], data["patients"]["test"]
    found = {
        "accuracy": whole["accuracy"],
        **_mean_dice(metrics["segment"]),
        "ece": whole["ece"],
        "macro_f1": whole["macro"]["f1"],
        "patients_seen": patients["seen_in_training"] if patients["known"] else None,
        "probe_metadata": probe["metadata"]["whole"]["accuracy"],
        "probe_neighbour": probe["nearest_neighbour"]["whole"]["accuracy"],
        "test_images": sum(data["images"]["test"].values()),
        "test_no_patient": patients["images_without"],
        "val_accuracy": classify["validation"]["accuracy"],
    }
    return {name: round(value, DIGITS) for name, value in found.items() if value is not None}


def _mean_dice(segment: Mapping[str, Any]) -> dict[str, float | None]:
    own = {name: scores for name, scores in segment.items() if name != "external"}
    return {f"dice_{name}": scores["all"]["dice"]["mean"] for name, scores in own.items() if "all" in scores}
