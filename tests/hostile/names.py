"""Names of files."""

import cv2
import numpy as np
from hostile.rows import Refused, Result, Row, fetched, predicted

TITLE = "Names"
INTRO = "In a folder; those of archives are below."

PNG = bytes(cv2.imencode(".png", np.arange(48, dtype=np.uint8).reshape(6, 8))[1])


def folder(*names):
    """Return a `make` that writes the picture under names in a folder."""

    def make(place):
        for name in names:
            (place / "set" / name).parent.mkdir(parents=True, exist_ok=True)
            (place / "set" / name).write_bytes(PNG)
        return place / "set"

    return make


def lines(*names):
    return [f"{name} (1, 6, 8) L" for name in names]


ROWS = [
    Row("spaces and brackets", folder("a b (1).png"), predicted, Result("read right", lines("a b (1).png"))),
    Row("umlauts, Chinese and emoji", folder("häd 脑 🧠.png"), predicted, Result("read right", lines("häd 脑 🧠.png"))),
    Row(
        "leading dashes",
        folder("-rf.png", "--help.png"),
        predicted,
        Result("read right", lines("--help.png", "-rf.png")),
    ),
    Row("a formula of spreadsheets", folder("=1+1.png"), predicted, Result("read right", lines("=1+1.png"))),
    Row(
        "names that differ in case alone",
        folder("A.png", "a.png"),
        predicted,
        Result("read right: both", lines("A.png", "a.png")),
    ),
    Row("a name of 255 bytes", folder("x" * 251 + ".png"), predicted, Result("read right", lines("x" * 251 + ".png"))),
    Row(
        "a path of 1,010 letters",
        folder("/".join(["x" * 250] * 4) + "/a.png"),
        predicted,
        Refused(
            "FILE: member 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'...: a name with its folders should have at most 1000 letters, received 1009; rename it"
        ),
    ),
    Row(
        "a line break",
        folder("a\nb.png"),
        predicted,
        Refused("FILE: member 'a\\nb.png': names should be UTF-8 text without control characters"),
    ),
    Row(
        "one letter in two Unicode forms",
        folder("\u00e4.png", "a\u0308.png"),
        predicted,
        Refused("FILE: member 'ä.png' occurs twice; each name should occur once"),
    ),
    Row(
        "hidden files and litter of systems",
        folder(".a.png", "Thumbs.db", "a.png"),
        predicted,
        Result("counted by name: `1 Thumbs.db`, `1 hidden`", [*lines("a.png"), "1 Thumbs.db", "1 hidden"]),
    ),
    Row(
        "a class folder that no class is called",
        folder("gliomaa/a.png"),
        fetched,
        Refused(
            "FILE: folder 'gliomaa' is no class; known classes: glioma, glioma_tumor, meningioma, meningioma_tumor, notumor, no_tumor, pituitary, pituitary_tumor; for another layout or other classes, list the images in a manifest CSV (docs/your-own-images.md)"
        ),
    ),
    Row(
        "class folders in other spellings",
        folder("Glioma_Tumor/a.png", "no tumor/a.png"),
        fetched,
        Result("read right", ["Glioma_Tumor/a.png glioma", "no tumor/a.png notumor"]),
    ),
]
