"""The model card's sections on the scores: classes, training, calibration, where it looked, outlines."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from brainmri.reporting import condense
from brainmri.reporting.documents import Block, Items, Picture, Table, Text
from brainmri.reporting.formatting import number, with_ends
from brainmri.scoring import predictions_table
from brainmri.scoring.assessment import PARTS, parts

MEASURES = {
    "dice": "Dice", "iou": "IoU", "hd95": "HD95, px", "sensitivity": "Sensitivity", "precision": "Precision",
}  # fmt: skip

FULL_AREA = 0.999  # a curve with more under it is two edges of its frame

Metrics = Mapping[str, Any]


def at_a_glance(classify: Metrics, plots: Path) -> list[Block]:
    """Return the headline scores on each part of the test set."""
    named = []
    for part, title in _parts(classify):
        found, ends = classify[part], classify["ci95"][part]
        named.append((title, [[
            str(found["images"]), str(found["units"]), with_ends(found["accuracy"], ends["accuracy"]),
            with_ends(found["macro"]["f1"], ends["macro"]["f1"]),
            with_ends(found["macro"]["auc"], ends["macro"]["auc"]), number(found["ece"]),
        ]]))  # fmt: skip
    header = ["Part", "Images", "Units", "Accuracy", "Macro F1", "Macro ROC AUC", "ECE"]
    rows = [[title, *cells] for title, [cells] in condense.equal_parts(named, counts=(0, 1))]
    blocks = condense.table("The classifier", header, rows)
    if pooled := classify.get("patients"):
        accuracy = with_ends(pooled["accuracy"], pooled["ci95"]["accuracy"])
        blocks.append(
            Text(
                f"By patient, over the mean of a patient's slices: accuracy {accuracy}, {pooled['patients']} patients."
            )
        )
    if repeats := classify.get("repeats"):
        spread = ", ".join(
            f"{PARTS[part]} {number(repeats[part]['mean']['accuracy'])} ± {number(repeats[part]['sd']['accuracy'])}"
            for part in condense.distinct_parts(classify)
            if part in repeats
        )
        blocks.append(
            Text(f"Accuracy of {repeats['seeds']} trainings with other seeds, mean ± standard deviation: {spread}.")
        )
    alt = "Dots with intervals: accuracy and macro F1 of classifier, shortcut probes and commonest class"
    repeated = len(_parts(classify)) > len(condense.distinct_parts(classify))
    once = "; parts that are the same images are drawn once" if repeated else ""
    caption = f"The classifier beside what knows nothing of tumours{once}"
    return [*blocks, Picture(plots / "scores.png", alt, caption)]


def by_class(classify: Metrics, classes: Sequence[str], plots: Path) -> list[Block]:
    """Return the scores of each class with their intervals on each part of the test set, and the curves behind them."""
    named = []
    for part, title in _parts(classify):
        rows = []
        for name in classes:
            own, ends = classify[part]["classes"][name], classify["ci95"][part]["classes"][name]
            claim = "" if own["claim"] else " (too few for a claim)"
            keys = ("precision", "recall", "specificity", "f1", "auc", "average_precision")
            rows.append([name, f"{own['support']}{claim}", *(with_ends(own[key], ends.get(key)) for key in keys)])
        named.append((title, rows))
    header = ["Class", "Images", "Precision", "Recall", "Specificity", "F1", "ROC AUC", "Average precision"]
    tables = [
        block
        for title, rows in condense.equal_parts(named, counts=(1,))
        for block in condense.table(f"By class, {title}", header, rows)
    ]
    return [*tables, *_class_curves(classify["whole"]["classes"], plots)]


def _class_curves(scores: Metrics, plots: Path) -> list[Block]:
    """Return the charts of the classes' curves; one whose areas are all about 1 shows a corner, and a sentence does."""
    charts = {
        "auc": Picture(plots / "roc.png", "ROC curve of each class against the rest", "ROC; areas as in the table"),
        "average_precision": Picture(
            plots / "precision_recall.png", "Precision by recall of each class", "Precision and recall"
        ),
    }
    called = {"auc": "ROC", "average_precision": "precision-recall"}
    areas = {key: [own[key] for own in scores.values() if own[key] is not None] for key in charts}
    full = [key for key, found in areas.items() if found and min(found) > FULL_AREA]
    blocks: list[Block] = [picture for key, picture in charts.items() if key not in full]
    if full:
        curves = " and ".join(called[key] for key in full)
        blocks.append(Text(f"The {curves} curves are not shown: all areas under them are above {FULL_AREA}."))
    return blocks


def confusion(predictions: pd.DataFrame, classes: Sequence[str], plots: Path) -> list[Block]:
    """Return the confusion matrix of the whole test set; its chart, where that has more than the table."""
    counts = confusions(predictions, classes)
    rows = [[name, *(str(count) for count in counts["whole"].loc[name])] for name in classes]
    header = ["True class", *(f"predicted {name}" for name in classes)]
    blocks: list[Block] = [Table("Confusion on the whole test set, images", header, rows)]
    if len(counts) > 1:
        alt = "Confusion matrices, true class by predicted class, of the whole test set and of its twin-free images"
        blocks.append(Picture(plots / "confusion.png", alt, "Confusion, also of twin-free images alone"))
    return blocks


def confusions(predictions: pd.DataFrame, classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the images of each true class (rows) by predicted class (columns).

    Of the `whole` test set, and of its `twin_free` images where these are some and not all.
    """
    found = {name: part for name, part in parts(predictions).items() if name in ("whole", "twin_free")}
    return {
        name: pd.DataFrame(predictions_table.confusion(part, classes), list(classes), list(classes))
        for name, part in found.items()
        if name == "whole" or len(part) < len(predictions)
    }


def curves(classify: Metrics, plots: Path) -> list[Block]:
    """Return how the training went."""
    kept = classify["validation"]
    return [
        Text(
            f"Kept is epoch {kept['epoch']}, the one of the lowest validation loss ({number(kept['loss'])} nats, "
            f"accuracy {number(kept['accuracy'])})."
        ),
        Picture(plots / "curves.png", "Lines: loss and accuracy by epoch, training and validation", "Training"),
    ]


def calibration(classify: Metrics, plots: Path) -> list[Block]:
    """Return how far probabilities can be trusted, and what abstaining brings."""
    found, given = classify["calibration"], classify["abstention"]
    rows = [
        [when, *(number(found[when][key]) for key in ("ece", "loss", "brier"))] for when in ("before", "after")
    ]  # fmt: skip
    coverage, accuracy = (with_ends(given[key], given["ci95"][key]) for key in ("coverage", "accuracy"))
    rule = (
        f"Below a probability of {number(found['abstain_below'])} the classifier abstains"
        if found["abstain_below"] <= 1
        else "The classifier abstains from everything, because no threshold kept `train.abstain_risk` on validation"
    )
    return [
        Table("Calibration on test images", ["Temperature scaling", "ECE", "Loss, nats", "Brier score"], rows),
        Items(
            [
                f"Temperature {number(found['temperature'])}, fitted on validation images.",
                f"{rule}: it answers a share of {coverage} of the test images; of these answers {accuracy} are right.",
                *_unlike(classify),
            ]
        ),
        Picture(
            plots / "reliability.png",
            "Share of right answers by confidence, before and after calibration, beside the diagonal",
            "Reliability: the larger a marker, the more images in its bin; bins of few images are left out",
        ),
        _risk_by_coverage(classify, plots),
    ]


def _unlike(classify: Metrics) -> list[str]:
    """Return the sentence on test images that the classifier takes for something else than it learnt from."""
    found = classify.get("unlike")
    if not found or found["above"] is None:
        return []
    return [
        f"It abstains too from what is unlike its training images, more than {number(found['above'])} where 1 is usual "
        f"for validation images: {found['called']} of these {found['images']} test images, in error."
    ]


def _risk_by_coverage(classify: Metrics, plots: Path) -> Block:
    if classify["whole"]["accuracy"] == 1:
        return Text("Every answer is right, however many are given, so that no chart of risk by coverage is shown.")
    alt = "Share of wrong answers by share of images answered, the most confident first"
    return Picture(plots / "coverage_risk.png", alt, "Risk by coverage")


def pointing(classify: Metrics) -> list[Block]:
    """Return how often the evidence peaks in the tumour."""
    if "pointing" not in classify:
        return [Text("Not measured: no test image has a tumour mask.")]
    named = [
        (PARTS.get(name, "all"), [[str(own["images"]), with_ends(own["hits"], own["ci95"]["hits"]),
         number(own["brightest"]), number(own["chance"])]])
        for name, own in sorted(classify["pointing"].items())
    ]  # fmt: skip
    rows = [[title, *cells] for title, [cells] in condense.equal_parts(named, counts=(0,))]
    header = ["Masked test images", "Images", "Evidence peaks in the mask", "Brightest spot does", "Chance"]
    return [
        *condense.table("Where the evidence peaks", header, rows),
        Text("A peak inside the mask does not show that the network reasons about tumours."),
    ]


def outlines(segment: Metrics, plots: Path) -> list[Block]:
    """Return the scores of each method's outlines."""
    blocks: list[Block] = []
    rows = []
    for method, found in segment.items():
        if method == "external":  # has a section of its own
            continue
        name = found.get("title", method)
        if "skipped" in found:
            blocks.append(Text(f"{name}: left out, because {found['skipped']}."))
        named = [(title, [_outline_scores(part)]) for title, part in _outlined(found)]
        rows += [
            [f"{name}, {title}", *cells]
            for title, [cells] in condense.equal_parts(named, counts=(0, 1), same="no difference")
        ]
    if rows:
        header = [
            "Method and images",
            "With a tumour",
            "Without one",
            *MEASURES.values(),
            "Finds a tumour there",
        ]
        blocks += condense.table("Mean over images with a tumour in the true mask", header, rows)
    else:
        blocks.append(Text("No test image has a tumour mask, so that no outline could be scored."))
    return [
        *blocks,
        Text(
            "On the grid: 128 px and masks shrunk to it. Own pixels: the file's. Gated: nothing is outlined where the "
            "classifier says that there is no tumour."
        ),
        Picture(
            plots / "dice_by_method.png",
            "Dice of images with a tumour by method",
            "Dice by method",
        ),
        Picture(plots / "dice.png", "Dice of images with a tumour by method and class, a dot each", "Dice by class"),
    ]


def _outline_scores(part: Metrics) -> list[str]:
    scores, false = part["all"], part["false_positive_area_px"]
    means = [with_ends(scores[key]["mean"], scores[key]["mean_ci95"]) for key in MEASURES]
    return [str(part["images_with_tumour_mask"]), str(false["images"]), *means, number(false["share_with_any"])]


def _parts(classify: Metrics) -> list[tuple[str, str]]:
    return [(part, title) for part, title in PARTS.items() if part in classify]


def _outlined(found: Metrics) -> list[tuple[str, Metrics]]:
    """Return the parts of a method's scores that hold a tumour, each with its title."""
    twin_free = found.get("twin_free", {})
    named = {
        "on the grid": found,
        "twin-free": twin_free,
        "gated twin-free": twin_free.get("gated", {}),
        "on the files' own pixels": found.get("native", {}),
    }
    return [(title, part) for title, part in named.items() if "all" in part]
