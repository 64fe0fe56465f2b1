"""The model card's sections on the data: images, metadata, twins, and what the set gives away by other means."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from brainmri.reporting import condense
from brainmri.reporting.documents import Block, Items, Picture, Table, Text
from brainmri.reporting.formatting import number, pair, with_ends
from brainmri.scoring.assessment import PARTS

QUALITY = {
    "snr": ("SNR", 1),
    "contrast": ("Contrast", 2),
    "sharpness": ("Sharpness", 3),
    "entropy_bits": ("Entropy, bits", 2),
    "head_fraction": ("Head, share of frame", 2),
    "clipped_fraction": ("Clipped, share of head", 3),
}  # titles and digits of the quality figures

UNKNOWN = re.compile(r"not (known|told)$")

Metrics = Mapping[str, Any]


def images(data: Metrics) -> list[Block]:
    """Return how many images there are of which class in which split, and what was left out."""
    names = [name for name in ("train", "val", "test", "dropped") if name in data["images"]]
    labels = sorted({label for name in names for label in data["images"][name]})
    rows = [
        [
            name,
            *(str(data["images"][name].get(label, 0)) for label in labels),
            str(sum(data["images"][name].values())),
            str(data["masked"].get(name, "")),
        ]
        for name in names
    ]
    facts = [f"{_counted(data['unreadable'], 'image')} could not be read and {_were(data['unreadable'])} left out."]
    excluded = {reason: sum(found.values()) for reason, found in data["excluded"].items()}
    facts += [f"{_counted(count, 'image')} excluded by hand: {reason}." for reason, count in excluded.items()]
    for name, found in data["sets"].items():
        facts += [
            f"Set `{name}`: {found['patients_in_several_splits']} patients stand in several splits of the source."
        ]
        facts += [f"Set `{name}`: {count} {kind} ignored." for kind, count in sorted(found["ignored"].items())]
        facts += [
            f"Set `{name}`: {place} has {of['found']} images where {of['expected']} were expected."
            for place, of in sorted(found["differences"].items())
        ]
    return [
        Table("Images by split and class", ["Split", *labels, "All", "With a tumour mask file"], rows),
        Items(facts),
    ]


def patients(data: Metrics) -> list[Block]:
    """Return how many patients each split knows, and whether those tested were in training too."""
    found, test = data["patients"], data["patients"]["test"]
    rows = [[name, str(found[name]["known"]), str(found[name]["images_without"])] for name in ("train", "val", "test")]
    if test["seen_in_training"] or test["seen_in_training_masked"]:
        said = (
            f"Of the {_counted(test['known'], 'known test patient')} the classifier met {test['seen_in_training']} in "
            f"training or validation, the U-Net {test['seen_in_training_masked']}."
        )
    elif test["known"]:
        said = f"None of the {_counted(test['known'], 'known test patient')} is in training or validation."
    else:
        said = "No test patient is known."
    if test["images_without"]:
        said += (
            f" {_counted(test['images_without'], 'test image')} without a known patient may be of people in training."
        )
    return [Table("Patients", ["Split", "Known patients", "Images without a known patient"], rows), Text(said)]


def metadata(facts: pd.DataFrame, plots: Path) -> list[Block]:
    """Return what the files say of themselves, how good they are, and their levels."""
    names = [f"{row.split}, {row.label}" for row in facts.itertuples()]
    told = {
        "Images": [str(count) for count in facts["images"]],
        "Size, px": _pairs(facts, "height_px", "width_px", 0),
        "Voxel on the grid, mm": _pairs(facts, "voxel_row_mm", "voxel_col_mm", 2),
        "Slice, mm": [number(value, 2) for value in facts["slice_mm"]],
        "Field, T": [number(value, 1) for value in facts["field_t"]],
        "Mode": _kinds(facts, "mode"),
        "Plane": _kinds(facts, "plane"),
        "Modality": _kinds(facts, "modality"),
    }
    empty = [title for title, cells in told.items() if all(UNKNOWN.match(cell) for cell in cells)]
    figures = {title: [number(value, digits) for value in facts[name]] for name, (title, digits) in QUALITY.items()}
    return [
        *_by_class(
            "Metadata: medians and counts of what the files tell",
            names,
            {title: cells for title, cells in told.items() if title not in empty},
        ),
        *([Text(f"What no file tells: {'; '.join(empty)}.")] if empty else []),
        *_by_class("Quality figures inside the head: medians", names, figures),
        Text("Where classes differ here, a classifier can tell them apart without seeing a tumour."),
        Picture(
            plots / "histograms.png",
            "Lines: share of the head's pixels at each level, by class, before the windows and after each of them",
            "Levels inside the head by class, before the windows and after each",
        ),
    ]


def _by_class(caption: str, names: list[str], columns: Mapping[str, Sequence[str]]) -> list[Block]:
    rows = [[name, *cells] for name, *cells in zip(names, *columns.values(), strict=True)]
    return condense.table(caption, ["Split and class", *columns], rows)


def _kinds(facts: pd.DataFrame, name: str) -> list[str]:
    """Return what occurs and how often, such as `axial 30, coronal 28`; without the count where all are of one kind."""
    return [words.removesuffix(f" {images}") for words, images in facts[[name, "images"]].itertuples(index=False)]


def _pairs(facts: pd.DataFrame, down: str, across: str, digits: int) -> list[str]:
    return [pair(row, column, digits) for row, column in zip(facts[down], facts[across], strict=True)]


def twins(data: Metrics) -> list[Block]:
    """Return the near-duplicates and leaks that were found, and what became of them."""
    found = data["twins"]
    sums = {name: sum(found[name].values()) for name in found if name.startswith("test_")}
    dropped = {reason: sum(by.values()) for reason, by in found["dropped"].items()}
    rows = [
        ["Pairs of twins (near-duplicates)", str(found["pairs"])],
        ["of these with equal bytes", str(found["pairs_equal_bytes"])],
        ["of these with equal pixels", str(found["pairs_equal_pixels"])],
        ["Groups of twins", str(found["groups"])],
        ["Images in the largest group", str(found["largest_group"])],
        ["Groups of twins with different labels", str(found["label_conflicts"])],
        ["Test images with a twin in training as the source had it", str(sums["test_with_training_twin"])],
        *_without_twins(sums["test_twin_free"], sums["test_neighbour_free"]),
        *([f"Images dropped: {reason}", str(count)] for reason, count in dropped.items()),
    ]
    leaking = sums["test_with_training_twin"] and not dropped
    kept = " None were dropped: scores on all test images count what was remembered." if leaking else ""
    return [
        Table("Twins and leaks", ["What", "Count"], rows),
        Text(
            "Slices of one patient that look different cannot be told apart without patient ids: twin-free does not "
            f"mean free of leaks.{kept}"
        ),
    ]


def _without_twins(twin_free: int, neighbour_free: int) -> list[list[str]]:
    if twin_free == neighbour_free:
        return [["Test images without, all of them without a neighbour too", str(twin_free)]]
    return [
        ["Test images without", str(twin_free)],
        ["Test images without a twin or a neighbour", str(neighbour_free)],
    ]


def probes(probe: Metrics) -> list[Block]:
    """Return the scores of classifiers that cannot know what a tumour is."""
    rows = []
    for name, found in sorted(probe.items()):
        if isinstance(found, Mapping):
            named = [
                (title, [_probe_scores(own)])
                for part, title in PARTS.items()
                if "accuracy" in (own := found.get(part, {}))
            ]
            called = name.replace("_", " ")
            rows += [[f"{called}, {title}", *cells] for title, [cells] in condense.equal_parts(named, counts=(0,))]
    header = ["Probe and part", "Images", "Chance", "Accuracy", "Macro F1", "Macro recall"]
    table = condense.table("Probes that cannot recognise a tumour", header, rows)
    return [*table, Text(str(probe["reading"]))]


def _probe_scores(own: Metrics) -> list[str]:
    scores = [with_ends(own[key], own["ci95"][key]) for key in ("accuracy", "macro_f1", "macro_recall")]
    return [str(own["images"]), number(own["chance"]), *scores]


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
