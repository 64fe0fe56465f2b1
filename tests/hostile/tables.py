"""Tables that users write: manifests, exclude.csv."""

import cv2
import numpy as np
import pandas as pd
from hostile.rows import Refused, Result, Row, fetched

from brainmri.preprocessing.exclusions import read_exclusions

TITLE = "Manifests and other tables"
INTRO = "CSV files: a manifest of `fetch.local.manifest` with one picture beside it, and `exclude.csv`."

PNG = bytes(cv2.imencode(".png", np.arange(48, dtype=np.uint8).reshape(6, 8))[1])


def manifest(text):
    """Return a `make` that writes a manifest and the picture a.png beside it."""

    def make(folder):
        (folder / "a.png").write_bytes(PNG)
        (folder / "images.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return folder / "images.csv"

    return make


def many(folder):
    (folder / "exclude.csv").write_text("image_id,reason\n" + "".join(f"{at},x\n" for at in range(60000)) + "7,x\n")
    return folder / "exclude.csv"


def excluded(path):
    return read_exclusions(path, pd.Series(["7"]))


READ = Result("read right", ["a.png glioma"])
ROWS = [
    Row(
        "formula in a label",
        manifest("path,label\na.png,=1+1\n"),
        fetched,
        Refused("FILE: line 2: a label should consist of A-Z, a-z, 0-9, _ and -, received '=1+1'"),
    ),
    Row(
        "formula in a path",
        manifest("path,label\n=1+1,glioma\n"),
        fetched,
        Refused("FILE: line 2: no such file: '=1+1'; paths are relative to the folder of the CSV, or absolute"),
    ),
    Row(
        "formula in a patient",
        manifest("path,label,patient\na.png,glioma,=1+1\n"),
        fetched,
        Result("read right: stored as `p0001`", ["a.png glioma"]),
    ),
    Row(
        "missing column",
        manifest("label\nglioma\n"),
        fetched,
        Refused(
            "FILE: columns should be path and any of label, patient, split, mask, once each and separated by commas, received 'label'"
        ),
    ),
    Row(
        "unknown column",
        manifest("path,label,age\na.png,glioma,50\n"),
        fetched,
        Refused(
            "FILE: columns should be path and any of label, patient, split, mask, once each and separated by commas, received 'path', 'label', 'age'"
        ),
    ),
    Row(
        "column twice",
        manifest("path,label,label\na.png,glioma,glioma\n"),
        fetched,
        Refused(
            "FILE: columns should be path and any of label, patient, split, mask, once each and separated by commas, received 'path', 'label', 'label'"
        ),
    ),
    Row(
        "semicolons for commas",
        manifest("path;label\na.png;glioma\n"),
        fetched,
        Refused(
            "FILE: columns should be path and any of label, patient, split, mask, once each and separated by commas, received 'path;label'"
        ),
    ),
    Row(
        "row with too many cells",
        manifest("path,label\na.png,glioma,x\n"),
        fetched,
        Refused("FILE: line 2 has more cells than the header; put quotes around cells with commas"),
    ),
    Row("mixed line ends", manifest("path,label\r\na.png,glioma\r\n\n"), fetched, READ),
    Row("byte order mark", manifest("\ufeffpath,label\na.png,glioma\n"), fetched, READ),
    Row(
        "NUL in a path",
        manifest("path,label\na\0.png,glioma\n"),
        fetched,
        Refused("FILE: line 2: no such file: 'a\\x00.png'; paths are relative to the folder of the CSV, or absolute"),
    ),
    Row(
        "UTF-16",
        manifest("path,label\na.png,glioma\n".encode("utf-16")),
        fetched,
        Refused(
            "FILE: not a readable CSV in UTF-8: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte; save it anew as CSV (UTF-8)"
        ),
    ),
    Row(
        "line of a million letters",
        manifest("path,label\na.png," + "x" * 10**6 + "\n"),
        fetched,
        Refused(
            "FILE: not a readable CSV in UTF-8: field larger than field limit (131072); save it anew as CSV (UTF-8)"
        ),
    ),
    Row(
        "quote that is never closed",
        manifest('path,label\n"a.png,glioma\n'),
        fetched,
        Refused("FILE: not a readable CSV in UTF-8: unexpected end of data; save it anew as CSV (UTF-8)"),
    ),
    Row(
        "file listed twice",
        manifest("path,label\na.png,glioma\n./a.png,glioma\n"),
        fetched,
        Refused("FILE: line 3: './a.png' occurs twice, or equals another file in name and content; keep one of them"),
    ),
    Row(
        "device as a path",
        manifest("path,label\n/dev/zero,glioma\n"),
        fetched,
        Refused("FILE: line 2: no such file: '/dev/zero'; paths are relative to the folder of the CSV, or absolute"),
    ),
    Row(
        "the manifest itself as an image",
        manifest("path,label\nimages.csv,glioma\n"),
        fetched,
        Refused(
            "FILE: line 2: 'images.csv' is no image; images end in .bmp, .jfif, .jpe, .jpeg, .jpg, .png, .tif, .tiff, .webp, or are JPEG, PNG, TIFF, WebP, DICOM, NIfTI or MGH by their first bytes"
        ),
    ),
    Row(
        "empty file",
        manifest(""),
        fetched,
        Refused(
            "FILE: columns should be path and any of label, patient, split, mask, once each and separated by commas, received none"
        ),
    ),
    Row(
        "`exclude.csv` of 60,000 lines, one id twice",
        many,
        excluded,
        Refused("FILE: each image_id should stand once, received ['7'] more than once"),
    ),
]
