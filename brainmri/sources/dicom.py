"""Read DICOM files: pixels with what is needed to place and to show them, and nothing that tells who is on them.

Only the elements in `ELEMENTS` are parsed at all. Patient and series identifiers are among them because slices have to
be grouped; they leave this module as SHA-256, for comparing in memory, and are never written. Free text is not read,
codes are kept only if they are in a fixed list, and no message quotes a value of the file: a library's own words do.
"""

import hashlib
import io
import logging
import math
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from brainmri.core import kinds
from brainmri.core.errors import InputError
from brainmri.sources import codecs, dicom_pixels

NAN = float("nan")
MODALITIES = ("CR", "CT", "DX", "MR", "NM", "OT", "PT", "US", "XA")  # any other code is kept as empty

_MOST_READS, _MOST_SEQUENCE = 2**21, 2**25  # see `_Counted` and `_refuse_long`; a usual file has 1,000 and kilobytes
_MOST_OF_PIXEL = kinds.MAX_PIXEL_BYTES // kinds.MAX_PIXELS
NO_PIXELS = "DICOM without pixels"  # reports, directories and the like
# What is no scan, by Modality or by the end of the SOP class, for the headings under which it is counted.
_NO_SCANS = {
    "DICOM segmentations": (("SEG",), ("66.4", "66.5", "66.7")),
    "DICOM objects of radiotherapy": (("RTDOSE", "RTSTRUCT", "RTPLAN", "RTIMAGE", "RTRECORD"), ("481.",)),
    "DICOM photographs": (("ES", "GM", "OP", "SM", "XC"), ("77.1.",)),
}
_SOP_CLASSES = "1.2.840.10008.5.1.4.1.1."

IDENTIFIERS = ("PatientID", "IssuerOfPatientID", "SeriesInstanceUID")
ELEMENTS = (
    *IDENTIFIERS,
    *("SOPClassUID", "Modality", "MagneticFieldStrength", "RepetitionTime", "EchoTime"),
    *("ImageType", "TemporalPositionIdentifier", "DiffusionBValue", "BurnedInAnnotation"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("RescaleSlope", "RescaleIntercept"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *dicom_pixels.ELEMENTS,
)

# What pydicom and its decoders raise on damaged files, found by flipping bytes; Runtime- covers NotImplementedError.
_DAMAGE = (
    *(ValueError, TypeError, LookupError, AttributeError, RuntimeError, OSError, EOFError, ArithmeticError),
    *(AssertionError, MemoryError, struct.error, InvalidDicomError, BytesLengthException),
)

logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)  # its warnings quote values of the file
codecs.register()


@dataclass(frozen=True)
class Header:
    """What groups files; SHA-256 digests, empty where the file does not tell. Never to be written or shown."""

    patient: str = field(repr=False)
    series: str = field(repr=False)
    no_scan: str = ""  # what the file is where it is no scan: a heading to count it under; may be shown


@dataclass(frozen=True)
class Slice:
    """One frame. NaN stands for every number that the file does not tell.

    A pixel's real value is `stored * slope + intercept`. Coordinates are DICOM's: x to the patient's left, y to the
    back, z to the top, mm.
    """

    stored: np.ndarray  # (H, W), any numeric type; larger is brighter
    padding: np.ndarray | None  # (H, W) bool, pixels that are no picture, whatever is stored there; None without any
    slope: float
    intercept: float
    window: tuple[float, float]  # real values that become black and white
    position_mm: np.ndarray  # (3,) centre of the first pixel
    directions: np.ndarray  # (2, 3) unit vectors: along a row (columns count up), along a column (rows count up)
    spacing_mm: tuple[float, float]  # between rows, between columns, in the patient
    step_mm: float  # between slices, or the thickness of one, as the file says; positions tell better
    facts: dict[str, Any]  # modality, field_t, tr_ms, te_ms
    # What tells the volumes of a series apart, beside orientation and spacing: see `stacks.grouped`.
    kind: str = field(repr=False)  # ImageType
    time: float = field(repr=False)  # number of the time, of pictures of one place
    contrast: tuple[float, float] = field(repr=False)  # echo time in ms and b-value


def read_header(data: bytes) -> Header:
    """Return what groups a file with others, or that it is no scan: a segmentation, a dose, a report, a directory.

    Raises
    ------
    InputError
        If the bytes are no DICOM file; the message gives the reason only.
    """
    with _explained("its header cannot be read; export the file anew"):
        file = _parsed(data, stop_before_pixels=True)
        patient, series = _digest(file, "PatientID", "IssuerOfPatientID"), _digest(file, "SeriesInstanceUID")
        return Header(patient, series, _no_scan(file))


def read_dicom(data: bytes) -> list[Slice]:
    """Read every frame of a DICOM file.

    MONOCHROME1 is inverted, colour becomes luminance, padding is marked. The window is the first that the file names;
    of a VOI table it is the range over which the table rises. The voxel size is PixelSpacing, never ImagerPixelSpacing,
    which is measured at the detector and not in the patient.

    Raises
    ------
    InputError
        No DICOM file, damage, what is no scan (see `read_header`), an unsupported compression, a mosaic, text burnt
        into the pixels, or too many of them; the message gives the reason only.
    """
    with _explained("its header cannot be read; export the file anew"):
        file = _parsed(data)
        _refuse(file)
    with _explained(f"its pixels cannot be decoded ({_syntax(file)}); export the file anew or uncompressed"):
        frames, padding = dicom_pixels.frames(file)
    with _explained("its geometry or its window is damaged; export the file anew"):
        own = padding if padding is not None else [None] * len(frames)
        if "PerFrameFunctionalGroupsSequence" in file:
            return [_slice(file, at, *one) for at, one in enumerate(zip(frames, own, strict=True))]
        first = _slice(file, 0, frames[0], own[0])
        return [replace(first, stored=frame, padding=part) for frame, part in zip(frames, own, strict=True)]


@contextmanager
def _explained(reason: str) -> Iterator[None]:
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    except _DAMAGE:
        raise InputError(f"a DICOM file, but {reason}") from None


def _parsed(data: bytes, stop_before_pixels: bool = False) -> pydicom.FileDataset:
    if kinds.of_content(data) != kinds.DICOM:
        raise InputError("no DICOM file: the mark DICM should stand at byte 128; export the file anew")
    meta = io.BytesIO(data)
    meta.seek(132)
    syntax = read_dataset(meta, False, True, stop_when=lambda tag, *_: tag.group != 2).get("TransferSyntaxUID")
    if syntax == DeflatedExplicitVRLittleEndian:
        # zlib would unpack it without a limit.
        raise InputError("a DICOM file, but deflated as a whole, which is not read; export the file uncompressed")
    file = pydicom.dcmread(_Counted(data), stop_before_pixels=stop_before_pixels, specific_tags=list(ELEMENTS))
    _refuse_long(file)
    return file


class _Counted(io.BytesIO):
    """The bytes of a file, of which one can read so many times: pydicom takes microseconds for each element."""

    left = _MOST_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise InputError("a DICOM file of too many elements; export the file anew")
        return super().read(size)


def _refuse_long(file: pydicom.FileDataset) -> None:
    """Refuse sequences of tens of megabytes before they are looked into; pixels are none."""
    for keyword in (name for name in ELEMENTS if name.endswith("Sequence") and name in file):
        size = len(getattr(file.get_item(keyword), "value", None) or b"")
        if size > _MOST_SEQUENCE:
            raise InputError(
                f"a DICOM file should have at most {_MOST_SEQUENCE} bytes in {keyword}, received {size}; split it"
            )


def _digest(file: pydicom.Dataset, *keywords: str) -> str:
    values = [str(file.get(keyword) or "") for keyword in keywords]
    return hashlib.sha256("\n".join(values).encode()).hexdigest() if values[0] else ""


def _no_scan(file: pydicom.FileDataset) -> str:
    """Return what a file is that is no scan, by a heading; empty for a scan.

    A secondary capture is a screenshot or a scanned paper; one that says where in the patient it lies is let in.
    """
    own = str(file.get("SOPClassUID") or file.file_meta.get("MediaStorageSOPClassUID") or "").removeprefix(_SOP_CLASSES)
    modality = str(file.get("Modality", ""))
    for heading, (modalities, classes) in _NO_SCANS.items():
        if modality in modalities or own.startswith(classes):
            return heading
    if "Rows" not in file or "BitsAllocated" not in file:
        return NO_PIXELS
    if file.BitsAllocated == 1:
        return "DICOM segmentations"
    if "LOCALIZER" in (file.get("ImageType") or ()):
        return "DICOM localizers"
    captured = own.split(".")[0] == "7" and math.isnan(_numbers(file, "ImagePositionPatient", 3)[0])
    return "DICOM secondary captures without a place in the patient" if captured else ""


def _refuse(file: pydicom.FileDataset) -> None:
    """Refuse what is no picture of a patient, or one that should not be stored."""
    pixels = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
    no_scan = _no_scan(file) or ("" if any(name in file for name in pixels) else NO_PIXELS)
    if no_scan:
        raise InputError(f"should be a scan, received {no_scan}; remove it; masks are brought as NIfTI")
    if "MOSAIC" in (file.get("ImageType") or ()):
        raise InputError("a Siemens mosaic, many slices in one picture; convert it to NIfTI with dcm2niix")
    if file.get("BurnedInAnnotation") == "YES":
        raise InputError("a DICOM file with text burnt into its pixels (BurnedInAnnotation is YES); clean or remove it")
    sides = (dicom_pixels.count(file), int(file.Rows), int(file.Columns))
    if min(sides) < 1 or sides[0] > kinds.MAX_FRAMES:
        raise InputError(
            f"a DICOM file should have from 1 to {kinds.MAX_FRAMES} frames with pixels, received {sides[0]} of "
            f"{sides[1]}x{sides[2]}; split it"
        )
    kinds.require_few_pixels("a DICOM file", *sides)
    of_pixel = int(file.get("SamplesPerPixel", 1)) * (int(file.BitsAllocated) // 8)
    if not 0 < of_pixel <= _MOST_OF_PIXEL:
        raise InputError(
            f"a DICOM file should have from 1 to {_MOST_OF_PIXEL} bytes a pixel, received {of_pixel}; export it anew"
        )


def _syntax(file: pydicom.FileDataset) -> str:
    """Return the standard's name of a file's compression; a number that it does not know is not repeated."""
    uid = file.file_meta.get("TransferSyntaxUID", "")
    return uid.name if getattr(uid, "is_transfer_syntax", False) and not uid.is_private else "unknown transfer syntax"


def _slice(file: pydicom.FileDataset, at: int, stored: np.ndarray, padding: np.ndarray | None) -> Slice:
    rescale = _group(file, at, "PixelValueTransformationSequence")
    measures = _group(file, at, "PixelMeasuresSequence")
    slope, intercept = _numbers(rescale, "RescaleSlope", 1, 1.0)[0], _numbers(rescale, "RescaleIntercept", 1, 0.0)[0]
    if slope == 0:
        raise InputError("a DICOM file whose RescaleSlope is 0; export the file anew")
    directions = np.array(_numbers(_group(file, at, "PlaneOrientationSequence"), "ImageOrientationPatient", 6))
    directions = directions.reshape(2, 3)
    if not np.allclose(directions @ directions.T, np.eye(2), atol=5e-3):
        directions = np.full((2, 3), NAN)
    row_mm, col_mm = (abs(mm) or NAN for mm in _numbers(measures, "PixelSpacing", 2))
    step = [abs(_numbers(measures, name)[0]) for name in ("SpacingBetweenSlices", "SliceThickness")]
    return Slice(
        stored=stored,
        padding=padding,
        slope=slope,
        intercept=intercept,
        window=_window(file, _group(file, at, "FrameVOILUTSequence"), slope, intercept),
        position_mm=np.array(_numbers(_group(file, at, "PlanePositionSequence"), "ImagePositionPatient", 3)),
        directions=directions,
        spacing_mm=(row_mm, col_mm),
        step_mm=next((mm for mm in step if mm > 0), NAN),
        facts=_facts(file, at),
        kind=_kind(file, at),
        time=_time(file, at),
        contrast=(_echo(file, at), _b_value(file, at)),
    )


def _group(file: pydicom.Dataset, at: int, name: str) -> pydicom.Dataset:
    """Return the functional group of frame `at`, its own or the shared one; of a file without such, the file."""
    per_frame, shared = (file.get(f"{kind}FunctionalGroupsSequence") or [] for kind in ("PerFrame", "Shared"))
    for groups in (*per_frame[at : at + 1], *shared[:1]):
        if groups.get(name):
            return groups[name][0]
    return file


def _numbers(item: pydicom.Dataset, keyword: str, count: int = 1, missing: float = NAN) -> list[float]:
    """Return the first `count` numbers of an element; all `missing` where there are fewer or one is not finite."""
    value = item.get(keyword)
    values = [] if value is None else [float(part) for part in np.atleast_1d(np.asarray(value, dtype=object))[:count]]
    whole = len(values) == count and all(map(math.isfinite, values))
    return values if whole else [missing] * count


def _facts(file: pydicom.Dataset, at: int) -> dict[str, Any]:
    modality = str(file.get("Modality", ""))
    timing = _group(file, at, "MRTimingAndRelatedParametersSequence")
    return {
        "modality": modality if modality in MODALITIES else "",
        "field_t": _numbers(file, "MagneticFieldStrength")[0],
        "tr_ms": _numbers(timing, "RepetitionTime")[0],
        "te_ms": _echo(file, at),
    }


def _echo(file: pydicom.Dataset, at: int) -> float:
    group = _group(file, at, "MREchoSequence")
    return _numbers(group, "EffectiveEchoTime" if "EffectiveEchoTime" in group else "EchoTime")[0]


def _b_value(file: pydicom.Dataset, at: int) -> float:
    return _numbers(_group(file, at, "MRDiffusionSequence"), "DiffusionBValue")[0]


def _kind(file: pydicom.Dataset, at: int) -> str:
    kind = _group(file, at, "MRImageFrameTypeSequence")
    words = np.atleast_1d(kind.get("FrameType") or kind.get("ImageType") or "")
    return "/".join(str(word).strip() for word in words)


def _time(file: pydicom.Dataset, at: int) -> float:
    frame = _group(file, at, "FrameContentSequence")
    name = "TemporalPositionIndex" if "TemporalPositionIndex" in frame else "TemporalPositionIdentifier"
    return _numbers(frame, name, missing=-1)[0]


def _window(file: pydicom.Dataset, item: pydicom.Dataset, slope: float, intercept: float) -> tuple[float, float]:
    """Return the real values that become black and white (DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3)."""
    centre, width = _numbers(item, "WindowCenter")[0], _numbers(item, "WindowWidth")[0]
    if item.get("VOILUTSequence"):
        low, high = _table_range(item["VOILUTSequence"][0], bool(file.PixelRepresentation))
    elif item.get("VOILUTFunction", "LINEAR") == "LINEAR":
        low, high = centre - width / 2, centre + width / 2 - 1
    else:
        low, high = centre - width / 2, centre + width / 2  # a sigmoid is nearly straight between these
    if file.get("PhotometricInterpretation") == "MONOCHROME1":
        turned = sum(dicom_pixels.stored_range(file)) * slope + 2 * intercept
        low, high = turned - high, turned - low
    return (low, high) if low < high else (NAN, NAN)


def _table_range(table: pydicom.Dataset, signed: bool) -> tuple[float, float]:
    """Return the input values between which a VOI table goes from its lowest to its highest output."""
    outputs = np.asarray(table.LUTData)
    first = int(table.LUTDescriptor[1])
    first -= 2**16 if signed and first >= 2**15 else 0
    lowest, highest = np.flatnonzero(outputs == outputs.min()), np.flatnonzero(outputs == outputs.max())
    return float(first + lowest[-1]), float(first + highest[0])
