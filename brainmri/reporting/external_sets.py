"""The model card's section on sets from elsewhere: what was left out of them, and how the run does there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brainmri.core.manifest import EXTERNAL
from brainmri.reporting.documents import Block, Heading, Picture, Table, Text
from brainmri.reporting.formatting import number, with_ends

Metrics = Mapping[str, Any]

COLUMNS = (
    *("Set", "Images", "Twins of training left out", "Images of its patients left out", "Left out for other reasons"),
    *("Scored", "Known patients", "Accuracy", "Macro F1", "ECE", "Recall by class"),
)
NOTHING = "not scored"  # of a set without labels or masks, or of which nothing is left


def section(metrics: Mapping[str, Metrics]) -> list[Block]:
    """Return the heading and the table of all external sets; nothing where none was named.

    Parameters
    ----------
    metrics : mapping
        The content of `metrics/{data,classify,segment}.json`, by name.
    """
    sets = metrics["data"].get("external", {})
    if not sets:
        return []
    classify, segment = (metrics[name].get("external", {}) for name in ("classify", "segment"))
    methods = [name for name in metrics["segment"] if name != "external"]
    titles = [metrics["segment"][name]["title"] for name in methods]
    rows = [
        [name, *_counts(counts), *_answers(classify.get(name, {})), *_outlines(segment.get(name, {}), methods)]
        for name, counts in sorted(sets.items())
    ]
    header = [*COLUMNS, *(f"Dice, {title}" for title in titles)]
    return [
        Heading("On other sets"),
        Table("Sets from elsewhere, never learnt from", header, rows),
        Text(
            "Left out are copies of training and validation images (twins), and images of patients who are named or "
            "recognised there; who is of nobody known may still be in training. Other reasons: unreadable, taken out "
            "by hand, without a label or of a class that was not learnt. Dice is the mean over images with a tumour in "
            "the true mask."
        ),
    ]


def _counts(counts: Metrics) -> list[str]:
    twins, patients, scored = (sum(counts[name].values()) for name in ("training_twins", "training_patients", "scored"))
    others = counts["unreadable"] + counts["excluded"] + counts["unlabelled"] + sum(counts["unknown_classes"].values())
    return [str(count) for count in (counts["images"], twins, patients, others, scored)]


def _answers(found: Metrics) -> list[str]:
    """Return the cells on the classifier; `found` is what `metrics/classify.json` has of a set."""
    if "scores" not in found:
        return ["", *(4 * [NOTHING])]
    scores, ends, told = found["scores"], found["ci95"], found["test_patients"]
    recalls = {
        name: with_ends(own["recall"], ends["classes"][name]["recall"])
        for name, own in scores["classes"].items()
        if own["support"]
    }
    patients = f"{told['known']}, {told['seen_in_training']} of them in training"
    without = f"; {told['images_without']} images of nobody known" if told["images_without"] else ""
    return [
        patients + without,
        with_ends(scores["accuracy"], ends["accuracy"]),
        with_ends(scores["macro"]["f1"], ends["macro"]["f1"]),
        number(scores["ece"]),
        "; ".join(f"{name} {recall}" for name, recall in recalls.items()),
    ]


def _outlines(found: Metrics, methods: list[str]) -> list[str]:
    """Return a cell a method; `found` is what `metrics/segment.json` has of a set."""
    return [_dice(found.get(method, {})) for method in methods]


def _dice(found: Metrics) -> str:
    if "all" not in found:
        return NOTHING
    dice = {label: own["dice"]["mean"] for label, own in found.items() if isinstance(own, Mapping) and "dice" in own}
    by_class = ", ".join(f"{label} {number(mean)}" for label, mean in dice.items() if label != "all")
    whole = with_ends(dice["all"], found["all"]["dice"]["mean_ci95"])
    images = f"{whole} of {found['images_with_tumour_mask']}"
    return f"{images} ({by_class})" if by_class else images


def overlays(segmentation: Path, segment: Metrics) -> list[Block]:
    """Return the pictures of outlines on external sets, for a page that may show scans.

    Parameters
    ----------
    segmentation : Path
        Folder that segment wrote.
    segment : mapping
        Its `scores.json`.
    """
    blocks: list[Block] = []
    for name, methods in segment.get("external", {}).items():
        for method, found in methods.items():
            path = segmentation / f"{EXTERNAL}{name}/overlays-{method}.png"
            if path.exists():
                alt = f"Slices of {name} with the true outline and that of {found['title']}, best to worst by Dice"
                text = f"{found['title']} on {name}: prediction in orange, truth in blue"
                blocks.append(Picture(path, alt, text))
    return blocks
