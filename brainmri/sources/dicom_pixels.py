"""The stored numbers of a DICOM file, larger is brighter, and which of them are padding and no picture."""

import numpy as np
import pydicom
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array

ELEMENTS = (
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "ModalityLUTSequence"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit"),
    *("DoubleFloatPixelPaddingValue", "DoubleFloatPixelPaddingRangeLimit"),
    *(f"{colour}PaletteColorLookupTableDescriptor" for colour in ("Red", "Green", "Blue")),
    *(f"{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
    *("PixelData", "FloatPixelData", "DoubleFloatPixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
)
_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as OpenCV and Pillow weigh colours


def count(file: pydicom.Dataset) -> int:
    """Return how many frames a file says that it has."""
    return int(file.get("NumberOfFrames") or 1)


def stored_range(file: pydicom.Dataset) -> tuple[int, int]:
    """Return the least and the largest number that the stored bits can hold."""
    bits = int(file.BitsStored)
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if file.PixelRepresentation else (0, 2**bits - 1)


def frames(file: pydicom.FileDataset) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the stored numbers (F, H, W), and of the same shape which are padding; None where the file names none.

    Padding keeps whatever number it has: only who knows all slices of a volume can say which is its lowest value.
    """
    kind = str(file.get("PhotometricInterpretation", ""))
    colours = kind == "PALETTE COLOR" or int(file.get("SamplesPerPixel", 1)) > 1
    whole = pixel_array(file, correct_unused_bits=False)  # padding may stand in these bits
    pixels = whole if colours else _without_unused_bits(file, whole)
    padding = None if colours else _padding(file, whole, pixels)
    if kind == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, file)
    elif kind == "MONOCHROME1":
        pixels = sum(stored_range(file)) - pixels.astype(np.int64)
    if colours:
        pixels = np.rint(pixels[..., :3] @ _LUMINANCE).astype(pixels.dtype)
    if "ModalityLUTSequence" in file:
        pixels = apply_modality_lut(pixels, file)
    shape = (count(file), int(file.Rows), int(file.Columns))
    return np.asarray(pixels).reshape(shape), None if padding is None else padding.reshape(shape)


def _without_unused_bits(file: pydicom.Dataset, pixels: np.ndarray) -> np.ndarray:
    """Return the pixels with the bits above BitsStored as a number of that many bits has them.

    Old files keep overlays there; pydicom would clear them in uncompressed files, not in all that are compressed.
    """
    if pixels.dtype.kind not in "iu":
        return pixels
    unused = pixels.dtype.itemsize * 8 - int(file.BitsStored)
    return (pixels << unused) >> unused if unused > 0 else pixels


def _padding(file: pydicom.Dataset, whole: np.ndarray, pixels: np.ndarray) -> np.ndarray | None:
    """Return where the padding is (PS3.3, C.7.5.1.1.2): one number, or all from it to the limit of its range.

    A number that the stored bits cannot hold, as some scanners write, stands in the `whole` words.
    """
    prefix = {"f4": "Float", "f8": "DoubleFloat"}.get(whole.dtype.str[1:], "")
    first = _number(file.get(f"{prefix}PixelPaddingValue"), whole.dtype)
    if first is None:
        return None
    last = _number(file.get(f"{prefix}PixelPaddingRangeLimit"), whole.dtype)
    low, high = sorted((first, first if last is None else last))
    lowest, highest = stored_range(file) if not prefix else (-np.inf, np.inf)
    place = pixels if lowest <= low and high <= highest else whole
    return (place >= low) & (place <= high)


def _number(value: object, kind: np.dtype) -> float | None:
    """Return the number of a padding element as pixels of a `kind` would hold its bits: its sign is often another."""
    if isinstance(value, bytes):  # of an implicit VR, which the reader leaves as it is
        value = int.from_bytes(value[:2], "little") if len(value) >= 2 else None
    if value is None or kind.kind == "f":
        return None if value is None else float(value)  # type: ignore[arg-type]
    word = int(value) % 2 ** (8 * kind.itemsize)  # type: ignore[call-overload]
    return int(np.array(word, f"u{kind.itemsize}").view(f"i{kind.itemsize}")) if kind.kind == "i" else word
