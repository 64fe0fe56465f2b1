"""Pictures of scans: a slice with the tumour's outline and a map of evidence, and the sheet that goes with an answer.

A sheet shows the scan, the outline, and in words what was found. It is drawn at the size of a screen whatever the
scan's own pixels, and in the shape that the scan has in the patient. A picture holds a scan, so it is as private as
the scan.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from nibabel import orientations
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from brainmri.core.labels import NOT_CLINICAL
from brainmri.prediction.answer import Answer, shown
from brainmri.sources.slicing import SHOWN

ORANGE = (255, 176, 0)  # told apart from grey with any colour vision
SIDE_PX = 640  # of the larger side of a picture
LINE_PX = 2
DASH_PX = 6  # as long as the gaps between
IMAGE_SIDE, SLICE_SIDE = 640, 320  # px, the longer side
SLICES, COLUMNS = 6, 3  # of a volume's picture
LETTER, GAP = 15, 8  # px
# Pillow's own font lacks ² and most letters of the world; this one comes with matplotlib.
_FONT = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"


@dataclass(frozen=True)
class Look:
    """How a slice is looked at."""

    window: tuple[float, float]  # levels that are shown black and white
    outline: float = 1.0  # opacity of the outline, 0 to 1
    evidence: float = 0.6  # opacity of the strongest evidence, 0 to 1


def picture(
    levels: np.ndarray,
    look: Look,
    mask: np.ndarray | None = None,
    evidence: np.ndarray | None = None,
    spacing_mm: tuple[float, float] = (1.0, 1.0),
    side_px: int = SIDE_PX,
    unsure: np.ndarray | None = None,
) -> np.ndarray:
    """Draw one slice, enlarged, with pixels as tall and as wide as they are.

    Parameters
    ----------
    levels : ndarray, shape (H, W)
    look : Look
    mask : ndarray, shape (H, W), bool, optional
    evidence : ndarray, shape (H, W), float32 in [0, 1], optional
    spacing_mm : tuple of float
        Between rows and between columns; only their ratio counts.
    side_px : int
        Of the larger side of the picture.
    unsure : ndarray, shape (H, W), bool, optional
        The part of the mask whose outline is broken.

    Returns
    -------
    ndarray, shape (height, width, 3), uint8, the larger side `side_px`
    """
    sides_mm = [count * mm for count, mm in zip(levels.shape, spacing_mm, strict=True)]
    height, width = (max(1, round(side_px * side / max(sides_mm))) for side in sides_mm)
    grey = _resized(shown(levels, look.window), height, width)
    drawn = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    if evidence is not None:
        heat = _resized(evidence, height, width).clip(0, 1)
        colours = cv2.applyColorMap(np.rint(255 * heat).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
        share = look.evidence * heat[..., None]  # the scan shows through where there is no evidence
        drawn = drawn * (1 - share) + colours * share
    if mask is not None and mask.any():
        line = _rim(mask, height, width)
        if unsure is not None and unsure.any():
            line = _rim(mask & ~unsure, height, width) | (_rim(unsure, height, width) & _dashes(height, width))
        drawn[line] = (1 - look.outline) * drawn[line] + look.outline * np.array(ORANGE, np.float32)
    return np.rint(drawn).astype(np.uint8)


def _rim(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    large = _resized(mask.astype(np.float32), height, width) >= 0.5
    return np.asarray(large & ~ndimage.binary_erosion(large, iterations=LINE_PX))


def _dashes(height: int, width: int) -> np.ndarray:
    """Return where a line in any direction is drawn (height, width), bool: every second square of a chessboard."""
    rows, columns = np.ogrid[:height, :width]
    return np.asarray((rows // DASH_PX + columns // DASH_PX) % 2 == 0)


def in_plane(volume: np.ndarray, own: str, plane: str) -> np.ndarray:
    """Return a volume (D, H, W) of plane `own` as slices of another plane, turned as radiologists see them; a view."""
    turn = orientations.ornt_transform(orientations.axcodes2ornt(SHOWN[own]), orientations.axcodes2ornt(SHOWN[plane]))
    return np.asarray(orientations.apply_orientation(volume, turn))


def spacing_in_plane(spacing_mm: tuple[float, float, float], own: str, plane: str) -> tuple[float, float, float]:
    """Return the spacing between slices, rows and columns of plane `own` as that of another plane."""
    turn = orientations.ornt_transform(orientations.axcodes2ornt(SHOWN[own]), orientations.axcodes2ornt(SHOWN[plane]))
    by_axis = dict(zip(turn[:, 0].astype(int), spacing_mm, strict=True))
    return by_axis[0], by_axis[1], by_axis[2]


def _resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    smaller = height < image.shape[0] and width < image.shape[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=way))


def overlay(found: Answer, path: Path) -> None:
    """Write the picture of an answer as PNG: an image whole, of a volume the slices with most of the tumour."""
    side = IMAGE_SIDE if found.scan.kind == "image" else SLICE_SIDE
    slices = slices_to_show(found)
    tiles = [_tile(found, at, side) for at in slices]
    captions = [_slice_caption(found, at) if found.scan.kind == "volume" else "" for at in slices]
    _sheet([summary(found), f"{NOT_CLINICAL}."], tiles, captions).save(path)


def slices_to_show(found: Answer) -> list[int]:
    """Return which slices tell most: those with the largest part of the tumour; without one, some from the middle."""
    depth = len(found.scan.levels)
    if found.mask is not None and found.mask.any():
        sizes = found.mask.sum(axis=(1, 2))
        largest = np.argsort(-sizes, kind="stable")[:SLICES]
        return sorted(int(at) for at in largest if sizes[at] > 0)
    return sorted({round(share * (depth - 1)) for share in np.linspace(0.35, 0.65, COLUMNS)})


def summary(found: Answer) -> str:
    """Return in one line the class, its probability, and what was outlined."""
    doubt = ", unlike training, abstains" if found.is_unlike else ", abstains" if found.abstain else ""
    sure = f"{found.label} {found.probabilities[found.label]:.3f}{doubt}"
    return sure if found.mask is None else f"{sure}; {found.method}: {extent(found)}"


def extent(found: Answer) -> str:
    """Return how large the outlined tumour is, in px where the file states no spacing, and whether it is unsure."""
    if found.mask is None:
        return ""
    if found.gated:
        return "none, gated"
    if not found.mask.any():
        return "none"
    unsure = ", unsure" if found.unsure_outline else ""
    if found.measures is not None:
        return f"{found.measures.volume_ml:.2f} ml{unsure}"
    return f"{found.mask.sum()} px{unsure}" if found.area_mm2 is None else f"{found.area_mm2:.1f} mm²{unsure}"


def _slice_caption(found: Answer, at: int) -> str:
    own = dict(zip(found.probabilities, found.slice_probabilities[at], strict=True))
    label = max(own, key=lambda name: own[name])
    plane = found.facts.get("plane") or ""
    return f"{plane} slice {at + 1} of {len(found.scan.levels)}: {label} {own[label]:.2f}".lstrip()


def _tile(found: Answer, at: int, side: int) -> Image.Image:
    """Return one slice in grey with its outline, in the patient's proportions."""
    spacing_mm = found.scan.volume.spacing_mm[1:] if found.scan.volume else (1.0, 1.0)
    if not np.isfinite(spacing_mm).all():
        spacing_mm = (1.0, 1.0)
    mask = None if found.mask is None else found.mask[at]
    unsure = None if found.unsure is None else found.unsure[at]
    drawn = picture(found.scan.levels[at], Look(found.window), mask, None, spacing_mm, side, unsure)
    return Image.fromarray(drawn)


def _sheet(lines: Sequence[str], tiles: Sequence[Image.Image], captions: Sequence[str]) -> Image.Image:
    """Return tiles in rows, each with its caption above it, under a few lines of text."""
    font = ImageFont.truetype(_FONT, LETTER)
    columns = min(COLUMNS, len(tiles))
    cell = max(tile.width for tile in tiles) + GAP, max(tile.height for tile in tiles) + GAP + LETTER * any(captions)
    wanted = max(ImageDraw.Draw(tiles[0]).textlength(line, font) for line in lines)
    top = GAP + len(lines) * (LETTER + GAP)
    size = max(cell[0] * columns, round(wanted) + GAP) + GAP, top + cell[1] * -(-len(tiles) // columns) + GAP
    sheet = Image.new("RGB", size)
    draw = ImageDraw.Draw(sheet)
    for at, line in enumerate(lines):
        draw.text((GAP, GAP + at * (LETTER + GAP)), line, "white", font)
    small = ImageFont.truetype(_FONT, LETTER - 3)
    for at, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        left, upper = GAP + at % columns * cell[0], top + at // columns * cell[1]
        draw.text((left, upper), caption, "white", small)
        sheet.paste(tile, (left, upper + (LETTER + GAP // 2) * any(captions)))
    return sheet
