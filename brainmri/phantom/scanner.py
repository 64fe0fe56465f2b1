"""What a scanner and a file format do to a slice: field of view, coil shading, blur, noise, tone, eight bits, JPEG."""

from dataclasses import dataclass

import cv2
import numpy as np

PLANES = ("axial", "coronal", "sagittal")
# The axes (x 0, y 1, z 2) that run along a picture's columns, along its rows, and across it; and the head's middle.
AXES = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}
MIDDLE_MM = (0.0, -16.0, 2.0)


@dataclass(frozen=True)
class View:
    """Where a slice lies: its plane, its place across, and how the frame is laid over the head."""

    plane: str
    across_mm: float
    size_px: int
    spacing_mm: float
    shift_mm: tuple[float, float]  # of the frame's middle, along columns and along rows
    turn_deg: float


def draw_view(rng: np.random.Generator, plane: str, across_mm: float, size_px: int) -> View:
    """Draw how one slice is framed: 195 to 245 mm wide, the head off the middle and turned a little."""
    spacing = round(rng.uniform(195, 245) / size_px, 3)
    shift = rng.uniform(-9, 9, 2)
    return View(plane, across_mm, size_px, spacing, (float(shift[0]), float(shift[1])), rng.uniform(-7, 7))


def view_points(view: View) -> np.ndarray:
    """Return the places `(size_px, size_px, 3)` of a slice's pixels in the patient, mm; the top row is front or top."""
    along = (np.arange(view.size_px, dtype=np.float32) - (view.size_px - 1) / 2) * view.spacing_mm
    column, row = np.meshgrid(along + view.shift_mm[0], -along + view.shift_mm[1])
    cos, sin = np.cos(np.radians(view.turn_deg)), np.sin(np.radians(view.turn_deg))
    first, second, across = AXES[view.plane]
    points = np.empty((view.size_px, view.size_px, 3), np.float32)
    points[..., first] = MIDDLE_MM[first] + cos * column - sin * row
    points[..., second] = MIDDLE_MM[second] + sin * column + cos * row
    points[..., across] = view.across_mm
    return points


def acquire(rng: np.random.Generator, image: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Return a slice as a scanner would store it.

    Parameters
    ----------
    image : (H, W) float32, true brightness, white matter 1
    spacing_mm : distance between pixels

    Returns
    -------
    (H, W) uint8. Noise is Rician, the magnitude of a complex signal with normal noise in both parts
    (Gudbjartsson and Patz 1995, doi 10.1002/mrm.1910340618).
    """
    sigma_px = rng.uniform(0.35, 1.0) / spacing_mm
    seen = cv2.GaussianBlur(image * _shading(rng, image.shape), (0, 0), sigma_px)
    sigma = rng.uniform(0.01, 0.06)
    real, imaginary = sigma * rng.standard_normal((2, *image.shape), dtype=np.float32)
    magnitude = np.hypot(seen + real, imaginary)
    tone = np.clip(magnitude / rng.uniform(1.9, 2.5), 0, 1) ** rng.uniform(0.7, 1.35)
    return np.asarray(np.rint(tone * rng.uniform(150, 255)), np.uint8)


def _shading(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return a coil's sensitivity over the frame: the exponential of a smooth surface, within about 0.6 to 1.6."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij")
    surfaces = np.stack([x, y, x * y, x**2 - 0.33, y**2 - 0.33])
    return np.asarray(np.exp(np.tensordot(rng.normal(0, 0.13, 5).astype(np.float32), surfaces, 1)), np.float32)
