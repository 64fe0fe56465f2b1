"""The model card: what a run's metrics say of its data, its classifier and its outlines, as blocks of a document.

The card is made of what git keeps (`metrics/`, `plots/`) and shows no scan; the report page is the card with the
pictures of scans that the stages drew, which never go into git. Each section is a function, here or in `card_data` and
`card_scores`: for the card, for the page, and for the app.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from brainmri.core import labels
from brainmri.reporting import card_data, card_scores, external_sets
from brainmri.reporting.documents import Block, Heading, Items, Picture, Table, Text
from brainmri.reporting.formatting import number
from brainmri.scoring.predictions_table import CASES, cases

NOT_CLINICAL = f"{labels.NOT_CLINICAL}. Nothing here has been tested for diagnosis."
SHOWS_SCANS = "This page shows scans. With real data they are pictures of people: do not publish it."

Metrics = Mapping[str, Any]


def card(
    metrics: Mapping[str, Metrics],
    facts: pd.DataFrame,
    predictions: pd.DataFrame,
    plots: Path,
    picture: Path | None = None,
) -> list[Block]:
    """Return the whole card, cases first.

    Parameters
    ----------
    metrics : mapping
        The content of `metrics/{data,probe,classify,segment}.json`, by name.
    facts : DataFrame
        Of `scan_facts.scan_facts`.
    predictions : DataFrame
        `predictions.csv` of the evaluate stage.
    plots : Path
        Folder of the charts.
    picture : Path, optional
        The picture of the first cases, for a page that may show scans.
    """
    data, classify = metrics["data"], metrics["classify"]
    return [
        Heading("Model card: classes and tumour outlines of brain MRI slices", 1),
        Text(NOT_CLINICAL, strong=True),
        *([Text(SHOWS_SCANS, strong=True)] if picture else []),
        *origin(data),
        Heading("Cases"),
        *first_cases(predictions, picture),
        Heading("At a glance"),
        *card_scores.at_a_glance(classify, plots),
        *external_sets.section(metrics),
        Heading("Intended use"),
        *intended_use(data),
        Heading("Data"),
        *card_data.images(data),
        *card_data.patients(data),
        *card_data.metadata(facts, plots),
        Heading("Twins and leaks"),
        *card_data.twins(data),
        Heading("Shortcut probes"),
        *card_data.probes(metrics["probe"]),
        Heading("Classes"),
        *card_scores.by_class(classify, data["classes"], plots),
        *card_scores.confusion(predictions, data["classes"], plots),
        *card_scores.curves(classify, plots),
        Heading("Calibration and abstention"),
        *card_scores.calibration(classify, plots),
        Heading("Where it looked"),
        *card_scores.pointing(classify),
        Heading("Tumour outlines"),
        *card_scores.outlines(metrics["segment"], plots),
        Heading("Limits"),
        *limits(data, classify),
        Heading("What a published model may give away"),
        *gives_away(data),
    ]


def first_cases(predictions: pd.DataFrame, picture: Path | None) -> list[Block]:
    """Return three wrong and three right answers as a table; `picture` shows their scans, where these may be shown."""
    found = cases(predictions)
    rows = []
    for case in found.itertuples():
        outcome = "right" if case.label == case.predicted else "wrong"
        abstained = ", abstained" if case.abstained else ""
        rows.append([case.image_id, case.label, case.predicted, number(case.confidence), outcome + abstained])
    alt = "Test scans, each with its label, the answer and its probability, as in the table"
    return [
        Text(_choice(predictions)),
        Table("Cases", ["Image (pseudonym)", "Label", "Answer", "Probability of the answer", "Outcome"], rows),
        *([Picture(picture, alt, "The scans of these cases, in the same order")] if picture else []),
    ]


def _choice(predictions: pd.DataFrame) -> str:
    """Say how many answers are wrong, and which of them and of the right ones are shown."""
    images, wrong = len(predictions), int((predictions["label"] != predictions["predicted"]).sum())
    if wrong == 0:
        first = f"None of the {images} answers on test images is wrong."
    elif wrong <= CASES:
        first = f"Of {images} answers on test images {wrong} {'is' if wrong == 1 else 'are'} wrong, and shown here."
    else:
        first = (
            f"Of {images} answers on test images {wrong} are wrong: here are the {CASES} of the highest probability."
        )
    if wrong == images:
        return f"{first} None is right."
    middle = ", of the middle and of the highest" if images - wrong >= CASES else ""
    return f"{first} Of the right ones, those of the lowest{middle} probability follow."


def origin(data: Metrics) -> list[Block]:
    """Say what kind of data the figures are of."""
    if data["simulated"] and data.get("external"):
        kind = (
            "Simulated data: every scan that was learnt from was made by this project. Only the figures on other sets "
            "are of scans from elsewhere."
        )
    elif data["simulated"]:
        kind = "Simulated data: every scan was made by this project, and no figure here says anything about patients."
    else:
        kind = f"Data: not simulated, source `{data['source']}`."
    read = (
        "Figures in brackets are 95 % intervals, by bootstrap over units: what belongs together, so patients or groups "
        "of look-alikes. Twin-free test images have no near-duplicate in training; neighbour-free ones have no slice "
        "there either that looks like a neighbour of theirs. Parts of the test set with equal figures share a row."
    )
    return [Text(kind, strong=bool(data["simulated"])), Text(read)]


def intended_use(data: Metrics) -> list[Block]:
    """Return what the model is for, and what it is not for."""
    return [
        Text(
            "For people who train models on scans and have to trust and repeat their numbers: to compare methods, to "
            "find leaks and shortcuts in a set of images, and to learn from."
        ),
        Items([
            f"It sorts single MRI slices of the head into {', '.join(data['classes'])}, with calibrated probabilities, "
            "and abstains below a threshold that was chosen on validation images.",
            "It outlines a tumour on a slice. Volumes are taken slice by slice.",
            "Not for diagnosis, screening, triage, treatment or any other decision about a person.",
            "Not for other organs, other modalities, children, or kinds of tumour that it was not trained on: it gives "
            "one of its classes to whatever it is shown, and abstains from much of that, not from all.",
        ]),
    ]  # fmt: skip


def limits(data: Metrics, classify: Metrics) -> list[Block]:
    """Return what the figures above do not show."""
    few = [name for name, own in classify["whole"]["classes"].items() if not own["claim"]]
    elsewhere = "but for the sets above, nothing" if data.get("external") else "nothing"
    found = [
        f"Single slices, one source of images: {elsewhere} here says how it does on another scanner, another sequence "
        "or another hospital.",
        "The intervals tell how the figures vary with the test images, not how they would with other training seeds.",
        "A probability is calibrated for images like those of the validation part, and for no others.",
        "Where a shortcut probe scores far above chance, a high score of the classifier is no proof that it sees "
        "tumours.",
    ]
    found += [f"Classes with too few test images for a claim: {', '.join(few)}."] if few else []
    if data["simulated"]:
        found.append(
            "A network trained on simulated scans knows next to nothing of real ones: this run shows that the pipeline "
            "works, and no more."
        )
    return [Items(found)]


def gives_away(data: Metrics) -> list[Block]:
    """Return what the files of a model may tell of the people whose scans it was trained on."""
    found = [
        "A network may have memorised scans that it was trained on. Whoever has its files can try to tell whether a "
        "scan was among them, and to draw what it learnt of a class. Neither has been tried here, and training did "
        "nothing against it.",
        "Beside the weights the files hold the classes, how images are made, the calibration and versions; those of a "
        "classifier that takes metadata also which values these had in training. They hold no scan, name or path.",
    ]
    if data["simulated"]:
        found.append("The scans of this run are simulated, so that there is nobody whom it could give away.")
    else:
        found.append("Publish it only where the licence of its images and your approvals allow.")
    return [Items(found)]


def scans(summary: Path, preview: Path, evaluation: Path, segmentation: Path, segment: Metrics) -> list[Block]:
    """Return the sections of the page with further pictures of scans.

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
    return [*blocks, *external_sets.overlays(segmentation, segment), Text(NOT_CLINICAL, strong=True)]
