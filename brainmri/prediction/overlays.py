"""The picture that goes with an answer: the scan, the tumour's outline, and in words what was found.

Drawn at the size of a screen whatever the scan's own pixels, and in the shape that the scan has in the patient. A
picture holds a scan, so it is as private as the scan.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from brainmri.prediction.answer import Answer
from brainmri.prediction.pictures import Look, picture
from brainmri.prediction.volume_measures import NOT_CLINICAL

IMAGE_SIDE, SLICE_SIDE = 640, 320  # px, the longer side
SLICES, COLUMNS = 6, 3  # of a volume's picture
LETTER, GAP = 15, 8  # px
# Pillow's own font lacks ² and most letters of the world; this one comes with matplotlib.
_FONT = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"


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
    sure = f"{found.label} {found.probabilities[found.label]:.3f}" + (", abstains" if found.abstain else "")
    return sure if found.mask is None else f"{sure}; {found.method}: {extent(found)}"


def extent(found: Answer) -> str:
    """Return how large the outlined tumour is, with its unit; px where the file states no spacing."""
    if found.mask is None:
        return ""
    if found.gated:
        return "none, gated"
    if not found.mask.any():
        return "none"
    if found.measures is not None:
        return f"{found.measures.volume_ml:.2f} ml"
    return f"{found.mask.sum()} px" if found.area_mm2 is None else f"{found.area_mm2:.1f} mm²"


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
    return Image.fromarray(picture(found.scan.levels[at], Look(found.window), mask, None, spacing_mm, side))


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
