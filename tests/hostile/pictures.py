"""Pictures."""

import cv2
import numpy as np
from hostile.rows import Refused, Result, Row, decoded, predicted, saved

TITLE = "Pictures"
INTRO = ""

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
PNG = bytes(cv2.imencode(".png", GREY)[1])
BRING = "; bring whole JPEG, PNG, TIFF, BMP or WebP, DICOM or NIfTI files"

ROWS = [
    Row(
        "PNG that is cut off",
        saved("a.png", PNG[:-20]),
        predicted,
        Refused(f"FILE: cannot be decoded: a PNG that is cut off; fetch it anew{BRING}"),
    ),
    Row(
        "picture of 1x1",
        saved("a.png", bytes(cv2.imencode(".png", GREY[:1, :1])[1])),
        decoded,
        Result("read right", ["L", [[0]]]),
    ),
]
