"""The headline numbers: what `dvc metrics diff` and `dvc exp show` compare, so few that they fit on a screen."""

from collections.abc import Mapping
from typing import Any

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
