"""The classes: their names, their order, how the known sets spell them; and the words beside every answer."""

import re
from collections.abc import Iterable

NOT_CLINICAL = "Not for clinical use"  # beside whatever is said of a scan, in files too
NO_TUMOUR = "notumor"
CLASSES = ("glioma", "meningioma", NO_TUMOUR, "pituitary")

# Folder names of the Nickparvar and Sartaj sets on Kaggle, and what people write by hand.
SPELLINGS = {
    "glioma": "glioma",
    "glioma_tumor": "glioma",
    "meningioma": "meningioma",
    "meningioma_tumor": "meningioma",
    "notumor": "notumor",
    "no_tumor": "notumor",
    "pituitary": "pituitary",
    "pituitary_tumor": "pituitary",
}


def plain(name: str) -> str:
    """Return a class's name without what makes no difference: capitals, spaces, hyphens, the spelling of tumour."""
    return re.sub("[ -]", "_", name.lower()).replace("tumour", "tumor")


def known_class(name: str) -> str:
    """Return which of `CLASSES` a folder or a label names in any of the spellings; empty for another class."""
    return SPELLINGS.get(plain(name), "")


def class_names(labels: Iterable[str]) -> list[str]:
    """Return the class names of a data set in the order that every array of probabilities uses.

    The four of `CLASSES` in their own order where nothing else occurs, even if one of them is absent; otherwise the
    set's own names, sorted. Empty labels (images without a class) do not count.
    """
    present = sorted({label for label in labels if label})
    return list(CLASSES) if set(present) <= set(CLASSES) else present
