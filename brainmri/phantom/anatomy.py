"""A simulated patient's healthy head: the MNI152 brain, deformed, in a made-up skull, as a function of place.

Brightness is relative: white matter is 1. The template is the same for all and symmetric; each patient's own smooth
deformation, folds, thicknesses and tissue contrasts make a person of it.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from brainmri.phantom.atlas import DURA_MM, SELLA_MM, SHELL_MM, atlas
from brainmri.phantom.fields import Lattice, lattice, noise, sample, step


@dataclass(frozen=True)
class Anatomy:
    """What makes one patient's head: drawn once, then only read."""

    affine: np.ndarray  # (3, 3): patient's mm to template's mm, about the head's centre
    elastic: Lattice  # (..., 3): further displacement, mm
    noise: Lattice  # four independent fields, for folds, textures and thicknesses
    ventricles: float  # share by which the middle of the brain is stretched (above 0) or shrunk
    skull_mm: float
    scalp_mm: float
    folds: float  # depth of the patient's own sulci, 0 to 1
    levels: dict[str, float]  # brightness of the tissues


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw a patient's head."""
    return Anatomy(
        affine=_draw_affine(rng),
        elastic=_draw_elastic(rng),
        noise=noise(rng, nodes=36, channels=4),
        ventricles=rng.uniform(-0.25, 0.5),
        skull_mm=rng.uniform(4.5, 9),
        scalp_mm=rng.uniform(3.5, 10),
        folds=rng.uniform(0.2, 0.8),
        levels=_draw_levels(rng),
    )


def to_template(anatomy: Anatomy, points_mm: np.ndarray) -> np.ndarray:
    """Return the places in the template that the patient's places `(..., 3)` correspond to, mm."""
    points = np.asarray(points_mm, np.float32)
    q = points @ anatomy.affine.T.astype(np.float32) + sample(anatomy.elastic, points)
    centre = np.array([0, -18, 14], np.float32)  # amid the lateral ventricles
    offset = q - centre
    scaled = offset / np.array([24, 34, 20], np.float32)
    near = np.exp(-np.einsum("...i,...i", scaled, scaled))[..., None]
    return q - anatomy.ventricles * near * offset


def to_patient(anatomy: Anatomy, place_mm: np.ndarray) -> np.ndarray:
    """Return the patient's place `(3,)` of one place in the template, to about 0.1 mm."""
    guess = np.linalg.solve(anatomy.affine, place_mm)
    for _ in range(30):  # a fixed point: the deformation is gentle, so each turn at least halves the error
        error = place_mm - to_template(anatomy, guess[None])[0]
        guess = guess + 0.7 * np.linalg.solve(anatomy.affine, error)
    return guess


def brightness(
    anatomy: Anatomy, points_mm: np.ndarray, head_mm: np.ndarray, brain_mm: np.ndarray, distances_mm: np.ndarray
) -> np.ndarray:
    """Return the healthy head's brightness, white matter 1, air 0.

    Parameters
    ----------
    points_mm : (..., 3) patient's places, for the textures
    head_mm : (..., 3) the same places in the template, for skull, scalp and face
    brain_mm : (..., 3) where to read the brain: `head_mm`, pushed aside where a tumour takes up room
    distances_mm : (..., 4) what `shells` says of `head_mm`

    Returns
    -------
    (...) float32
    """
    fine = sample(anatomy.noise, points_mm / 2.6)
    broad = sample(anatomy.noise, points_mm / 11 + 7)
    hull, skin, air, eyes = np.moveaxis(distances_mm, -1, 0)
    inside = _brain(anatomy, fine, hull, sample(atlas().brain, brain_mm))
    inside = _membranes(anatomy, inside, fine, head_mm, hull)
    beneath = anatomy.skull_mm + anatomy.scalp_mm + 0.8 * broad[..., 1] + DURA_MM - SHELL_MM - skin
    outside = _soft_tissue(anatomy, fine, broad, hull, beneath)
    image = inside + (outside - inside) * step(hull - DURA_MM, 0.8)
    image = _eyeballs(anatomy, image, eyes, hull)
    image = image * (1 - step(-air + 1.5 * fine[..., 2], 1.5) * step(hull - 4, 1.5))
    return np.asarray(image * step(beneath, 0.8), np.float32)


def _brain(anatomy: Anatomy, fine: np.ndarray, hull: np.ndarray, shares: np.ndarray) -> np.ndarray:
    level = anatomy.levels
    white, grey = shares[..., 0], shares[..., 1]
    # The zero surfaces of smooth noise wind about like sulci; the average template has lost each person's own.
    sulcus = np.exp(-((fine[..., 0] / 0.2) ** 2)) * step(hull + 13, 5) * anatomy.folds
    grey = grey * (1 - sulcus * (1 - white))
    rest = np.clip(1 - white - grey, 0, 1)
    return white + grey * level["grey"] + rest * level["csf"] + 0.02 * fine[..., 1]


def _membranes(
    anatomy: Anatomy, inside: np.ndarray, fine: np.ndarray, head_mm: np.ndarray, hull: np.ndarray
) -> np.ndarray:
    level = anatomy.levels
    x, y, z = head_mm[..., 0], head_mm[..., 1], head_mm[..., 2]
    dura = np.exp(-(((hull - 0.8) / 0.8) ** 2)) * level["dura"]
    falx = np.exp(-((x / 0.8) ** 2)) * step(z - 35 - 0.3 * np.abs(y + 10), 4) * level["dura"] * 0.8
    sinus = step(4.5 - np.hypot(x, hull + 2.5), 1.2) * step(z - 10, 5) * step(20 - y, 30) * level["vessel"]
    vessels = step(fine[..., 3] - 2.3, 0.15) * step(hull + 18, 6) * level["vessel"]
    gland_mm = (head_mm - SELLA_MM.astype(np.float32)) / np.array([6.0, 4.5, 3.0], np.float32)
    gland = step(1 - np.einsum("...i,...i", gland_mm, gland_mm), 0.3) * level["gland"]
    return np.maximum.reduce([inside, dura, falx, sinus, vessels, gland])


def _soft_tissue(
    anatomy: Anatomy, fine: np.ndarray, broad: np.ndarray, hull: np.ndarray, beneath: np.ndarray
) -> np.ndarray:
    """Return skull, muscle, fat and skin; `beneath` is the depth under the skin, mm."""
    level = anatomy.levels
    skull_mm = anatomy.skull_mm + 1.2 * broad[..., 0]
    depth = hull - DURA_MM
    marrow = np.clip(1 - np.abs(depth / skull_mm - 0.5) / 0.28, 0, 1) * level["marrow"] * (0.7 + 0.2 * fine[..., 2])
    bone = level["bone"] + np.clip(marrow, 0, None)
    fat = np.maximum(step(anatomy.scalp_mm - beneath, 1.5), 0.6 * step(fine[..., 3] - 1.2, 0.4))
    muscle = level["muscle"] * (1 + 0.18 * fine[..., 1])
    flesh = muscle + (level["fat"] * (1 + 0.1 * fine[..., 0]) - muscle) * fat
    flesh = flesh * (0.45 + 0.55 * step(beneath - 1.5, 0.8))  # skin is darker than the fat beneath it
    return np.asarray(bone + (flesh - bone) * step(depth - skull_mm, 0.8))


def _eyeballs(anatomy: Anatomy, image: np.ndarray, eyes: np.ndarray, hull: np.ndarray) -> np.ndarray:
    outside = step(hull - 3, 1)
    orbit = step(7 - eyes, 1.5) * outside
    image = image + (anatomy.levels["fat"] * 0.9 - image) * orbit
    return image + (anatomy.levels["csf"] * 1.3 - image) * step(-eyes, 0.8) * outside


def _draw_affine(rng: np.random.Generator) -> np.ndarray:
    tilt, nod, turn = np.radians(rng.normal(0, (4, 6, 4)))
    about_x = np.array([[1, 0, 0], [0, np.cos(nod), -np.sin(nod)], [0, np.sin(nod), np.cos(nod)]])
    about_y = np.array([[np.cos(tilt), 0, np.sin(tilt)], [0, 1, 0], [-np.sin(tilt), 0, np.cos(tilt)]])
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    return np.asarray(np.diag(1 / rng.uniform(0.88, 1.1, 3)) @ about_x @ about_y @ about_z)


def _draw_elastic(rng: np.random.Generator) -> Lattice:
    """Draw a smooth displacement: hills of about 20 mm with an s.d. of 3.4 mm, finer ones of 10 mm with 1.6 mm."""
    field = np.zeros((36, 36, 36, 3), np.float32)
    for sigma, amplitude_mm in ((2.4, 3.4), (1.2, 1.6)):  # sigma in nodes, 8 mm apart
        hills = ndimage.gaussian_filter(
            rng.standard_normal(field.shape, np.float32), (sigma, sigma, sigma, 0), truncate=3
        )
        field += amplitude_mm * hills / hills.std()
    return lattice(field, np.full(3, -140.0), 8.0)


def _draw_levels(rng: np.random.Generator) -> dict[str, float]:
    ranges = {
        "grey": (0.6, 0.88), "csf": (0.1, 0.35), "fat": (0.8, 1.35), "bone": (0.03, 0.15), "marrow": (0.1, 0.6),
        "muscle": (0.4, 0.75), "dura": (0.3, 0.9), "vessel": (0.8, 1.25), "gland": (0.6, 0.95),
    }  # fmt: skip
    return {tissue: rng.uniform(low, high) for tissue, (low, high) in ranges.items()}
