"""What a file is, is told by its first bytes, whatever it is called."""

import gzip
import io

import cv2
import nibabel
import numpy as np
import pytest
from PIL import Image
from scan_files import dicom_bytes, nifti_bytes

from brainmri.core.kinds import DICOM, HEAD_BYTES, PAIR, PICTURE, VOLUME, ignored_as, kind, litter

BOX = np.random.default_rng(0).integers(0, 3000, (20, 20, 20), dtype=np.int16)
MGH = nibabel.MGHImage(BOX, np.eye(4)).to_bytes()
NIFTI = nifti_bytes(BOX, np.eye(4))
PNG = bytes(cv2.imencode(".png", np.eye(4, dtype=np.uint8))[1])


def picture(form):
    place = io.BytesIO()
    Image.fromarray(np.eye(9, dtype=np.uint8)).save(place, form)
    return place.getvalue()


def header(magic):
    """The .hdr of a pair, of Analyze where it has no magic."""
    own = nibabel.Nifti1Header() if magic else nibabel.AnalyzeHeader()
    own.set_data_shape((2, 3, 4))
    if magic:
        own["magic"] = magic
    return own.binaryblock


CONTENT = {
    "dicom": (dicom_bytes(BOX[0]), DICOM),
    "nifti": (NIFTI, VOLUME),
    "nifti-2": (nifti_bytes(BOX, np.eye(4), nibabel.Nifti2Image), VOLUME),
    "nifti.gz": (gzip.compress(NIFTI), VOLUME),
    "mgh": (MGH, VOLUME),
    "mgz": (gzip.compress(MGH), VOLUME),
    "analyze": (header(None), PAIR),
    "nifti pair": (header(b"ni1"), PAIR),
    "png": (PNG, PICTURE),
    "jpeg": (picture("JPEG"), PICTURE),
    "tiff": (picture("TIFF"), PICTURE),
    "webp": (picture("WEBP"), PICTURE),
}
NAMES = (
    "IM0001",
    "1.2.840",
    "x.MR",
    "x.img",
    "x.v2",
    "x.jfif",
    "x.png",
    "x.dcm",
    "scan.nii (1).gz",
    "x.nii.gz",
    "x.mgz",
    "a.b/x",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("of", CONTENT)
def test_the_content_decides(name, of):
    data, expected = CONTENT[of]
    assert kind(name, data[:HEAD_BYTES]) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *[(f"a/X{suffix}", PICTURE) for suffix in (".JPG", ".jpeg", ".jfif", ".bmp", ".png", ".tif", ".tiff", ".webp")],
        *[(f"a/X{suffix}", DICOM) for suffix in (".DCM", ".dicom", ".ima")],
        *[(f"a/X{suffix}", VOLUME) for suffix in (".nii", ".NII.GZ", ".mgh", ".mgz")],
        *[(f"a/X{suffix}", "") for suffix in ("", ".txt", ".img", ".hdr", ".MR", ".gz", ".zip")],
    ],
)
@pytest.mark.parametrize("data", [b"", b"text", b"\x1f\x8bno gzip", bytes(HEAD_BYTES), b"\xff" * HEAD_BYTES])
def test_the_name_decides_where_the_content_says_nothing(name, expected, data):
    assert kind(name, data) == expected


def test_litter_and_the_rest_are_counted_by_kind():
    assert [litter(name) for name in ("__MACOSX/x.png", "a/Thumbs.db", "a/.x/y.png", "._x.png", "x.png", "x")] == [
        "__MACOSX", "Thumbs.db", "hidden", "hidden", "", "",
    ]  # fmt: skip
    assert [ignored_as(name) for name in ("a/DICOMDIR", ".x", "x.TXT", "Doe", "1.2.4711")] == [
        "DICOMDIR", "hidden", "*.txt", "*", "*.0",
    ]  # fmt: skip
