"""The part of the report page that shows scans: the pictures that the stages drew, which never go into git."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brainmri.reporting.documents import Block, Heading, Picture, Text
from brainmri.reporting.model_card import NOT_CLINICAL


def pictures(
    summary: Path, preview: Path, evaluation: Path, segmentation: Path, segment: Mapping[str, Any]
) -> list[Block]:
    """Return the sections with pictures of scans.

    Parameters
    ----------
    summary, evaluation, segmentation : Path
        Folders that preprocess, evaluate and segment wrote.
    preview : Path
        The picture that augment drew.
    segment : mapping
        `scores.json` of the segment stage, an entry a method.
    """
    blocks: list[Block] = [
        Heading("Pictures of scans"),
        Text("This page shows scans. With real data they are pictures of people: do not publish it.", strong=True),
        Heading("What the network sees", 3),
        Picture(summary / "windows.png", "Slices of each class, one window of levels a picture", "Windows, by class"),
        Heading("Twins", 3),
        Picture(summary / "twins.png", "Pairs of near-duplicates side by side", "Twins found, with split and label"),
        Heading("Variants", 3),
        Picture(preview, "Training slices beside variants made of them", "Variants that the network trains on"),
        Heading("Answers", 3),
        Picture(
            evaluation / "gallery.png",
            "Test slices with their label and the predicted class, wrong answers first",
            "Wrong answers, the most confident first, then right ones",
        ),
        Picture(
            evaluation / "saliency.png",
            "Test slices under a map of where the evidence for the predicted class lies, its peak in a square",
            "Evidence for the predicted class",
        ),
        Heading("Outlines", 3),
    ]
    for method, found in segment.items():
        path = segmentation / f"overlays-{method}.png"
        if path.exists():
            title = found.get("title", method)
            alt = f"Test slices with the true outline and that of {title}, best to worst by Dice"
            blocks.append(Picture(path, alt, f"{title}: prediction in orange, truth in blue"))
    return [*blocks, Text(NOT_CLINICAL, strong=True)]
