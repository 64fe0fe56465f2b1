"""What the run in a folder came to, in a few lines, for whoever has just run it."""

from pathlib import Path

from brainmri.core.files import read_json
from brainmri.core.params import Record
from brainmri.reporting.summary import Summary

SAID = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "ece": "ECE",
    "dice_unet": "Dice of the U-Net",
    "dice_kmeans_brain": "Dice of K-means in the brain",
    "dice_kmeans": "Dice of K-means",
}


class Source(Record):
    """What is read of `metrics/data.json`."""

    simulated: bool


def headline(root: Path) -> str:
    """Return the scores of `metrics/summary.json` in words, on what, and how many test patients were in training.

    Parameters
    ----------
    root : Path
        The project's folder.
    """
    found = read_json(root / "metrics/summary.json", Summary)
    simulated = read_json(root / "metrics/data.json", Source)["simulated"]
    scores = ", ".join(f"{said} {found[name]:.3f}" for name, said in SAID.items() if name in found)
    kind = "Simulated data" if simulated else "Real scans"
    return f"{kind}, {found['test_images']} test images: {scores}\n{_seen(found)}"


def pages(root: Path) -> str:
    """Return which pages to open, of those that are there."""
    report, card = root / "data/report/index.html", root / "metrics/model_card.md"
    there = [
        f"{path} ({what})"
        for path, what in ((report, "with scans, for you alone"), (card, "without, to share"))
        if path.exists()
    ]
    return f"Open {' or '.join(there)}" if there else ""


def _seen(found: dict[str, float]) -> str:
    unknown = found["test_no_patient"]
    if "patients_seen" not in found:
        return "No test patient is known, so whether the network has seen them in training is not known either"
    also = f"; {unknown} of the images are of nobody that is known" if unknown else ""
    return f"Known test patients whom the network has seen in training: {found['patients_seen'] or 'none'}{also}"
