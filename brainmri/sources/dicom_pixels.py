"""The stored numbers of a DICOM file, larger is brighter, and which of them are padding and no picture."""

import numpy as np
import pydicom
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array

_COLOURS = ("Red", "Green", "Blue")
ELEMENTS = (
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "ModalityLUTSequence"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit"),
    *("DoubleFloatPixelPaddingValue", "DoubleFloatPixelPaddingRangeLimit"),
    *(f"{colour}PaletteColorLookupTableDescriptor" for colour in _COLOURS),
    *(f"{colour}PaletteColorLookupTableData" for colour in _COLOURS),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in _COLOURS),
    *("PixelData", "FloatPixelData", "DoubleFloatPixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
)
_PART = 2**20  # pixels whose colours are weighed at a time
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
    if colours:
        pixels = _luminance(file, pixels, kind == "PALETTE COLOR")
    elif kind == "MONOCHROME1":
        turned = np.int64 if pixels.dtype.itemsize > 2 else np.int32
        pixels = np.subtract(sum(stored_range(file)), pixels, dtype=turned)
    if "ModalityLUTSequence" in file:
        pixels = apply_modality_lut(pixels, file)
    shape = (count(file), int(file.Rows), int(file.Columns))
    return np.asarray(pixels).reshape(shape), None if padding is None else padding.reshape(shape)


def _luminance(file: pydicom.FileDataset, pixels: np.ndarray, palette: bool) -> np.ndarray:
    """Return the luminance of colours (..., 3 or 4), or of numbers of a palette, in a row; part by part, as floats."""
    if palette:
        _require_short_palette(file)
    flat = pixels.reshape(-1) if palette else pixels.reshape(-1, pixels.shape[-1])
    parts = []
    for at in range(0, len(flat), _PART):
        colours = apply_color_lut(flat[at : at + _PART], file) if palette else flat[at : at + _PART]
        parts.append(np.rint(colours[:, :3] @ _LUMINANCE).astype(colours.dtype))
    return np.concatenate(parts)


def _require_short_palette(file: pydicom.FileDataset) -> None:
    """Refuse a palette in segments (PS3.3, C.7.9.2) of more colours than 16 bits can tell, or that copies itself."""
    order = "<" if file.original_encoding[1] else ">"
    for colour in _COLOURS:
        data = file.get(f"Segmented{colour}PaletteColorLookupTableData")
        bits = (file.get(f"{colour}PaletteColorLookupTableDescriptor") or (0, 0, 0))[2]
        entries = np.frombuffer(data or b"", np.uint8 if bits == 8 else f"{order}u2").tolist()
        at = count = 0
        while at + 1 < len(entries):
            kind, length = entries[at : at + 2]
            count += length
            at += 2 + (length if kind == 0 else 1)
            if kind > 1 or count > 2**16:
                raise ValueError("a palette too large")


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
