"""The model card: what a run's metrics say of its data, its classifier and its outlines, as blocks of a document.

Everything comes from what git keeps (`metrics/`, `plots/`); no picture here shows a scan. Each section is a function,
here or in `card_data` and `card_scores`: for the card, for the report page, and for the app.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from brainmri.reporting import card_data, card_scores
from brainmri.reporting.documents import Block, Heading, Items, Text

NOT_CLINICAL = "Not for clinical use. Nothing here has been tested for diagnosis."

Metrics = Mapping[str, Any]


def card(metrics: Mapping[str, Metrics], facts: pd.DataFrame, predictions: pd.DataFrame, plots: Path) -> list[Block]:
    """Return the whole card.

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
    """
    data, classify = metrics["data"], metrics["classify"]
    return [
        Heading("Model card: classes and tumour outlines of brain MRI slices", 1),
        Text(NOT_CLINICAL, strong=True),
        *origin(data),
        Heading("At a glance"),
        *card_scores.at_a_glance(classify, plots),
        Heading("Intended use"),
        *intended_use(data),
        Heading("Data"),
        *card_data.images(data, plots),
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
    ]


def origin(data: Metrics) -> list[Block]:
    """Say what kind of data the figures are of."""
    if data["simulated"]:
        kind = "Simulated data: every scan was made by this project, and no figure here says anything about patients."
    else:
        kind = f"Data: not simulated, source `{data['source']}`."
    read = (
        "Figures in brackets are 95 % intervals, by bootstrap over what belongs together (patients, or groups of "
        "look-alikes). Twin-free test images have no near-duplicate in training; neighbour-free ones have no slice "
        "there either that looks like a neighbour of theirs."
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
            "one of its classes to whatever it is shown.",
        ]),
    ]  # fmt: skip


def limits(data: Metrics, classify: Metrics) -> list[Block]:
    """Return what the figures above do not show."""
    few = [name for name, own in classify["whole"]["classes"].items() if not own["claim"]]
    found = [
        "Single slices, one source of images: nothing here says how it does on another scanner, another sequence or "
        "another hospital.",
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
