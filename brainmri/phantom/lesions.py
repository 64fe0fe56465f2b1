"""Simulated tumours: solid shapes in a patient's head, exact to the millimetre, and what they do to the picture.

The mask of every kind is the tumour that takes up contrast together with what it encloses: for glioma the ring and the
dark core, as in the set of Cheng et al. (doi 10.6084/m9.figshare.1512427); the oedema around it, the dural tail of a
meningioma and brain that is merely pushed aside do not belong to it.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from brainmri.phantom.anatomy import Anatomy, to_patient, to_template
from brainmri.phantom.atlas import REACH_MM, SELLA_MM, STEP_MM, atlas, shells
from brainmri.phantom.fields import sample, step

RADIUS_MM = {"glioma": (13.0, 23.0), "meningioma": (12.0, 23.0), "pituitary": (7.0, 10.0)}
KINDS = tuple(sorted(RADIUS_MM))
LEVELS = {"glioma": (1.6, 2.3), "meningioma": (1.6, 2.3), "pituitary": (1.6, 2.3)}  # white matter is 1


@dataclass(frozen=True)
class Lesion:
    """One tumour: all that is drawn about it, in its patient's own millimetres."""

    kind: str
    centre_mm: np.ndarray  # (3,), patient
    template_mm: np.ndarray  # (3,), the same place in the template
    radius_mm: float
    axes: np.ndarray  # (3, 3): offset in mm to offset in shares of the radius along the ellipsoid's axes
    level: float  # brightness of what takes up contrast
    core: float  # brightness of a glioma's dead core
    ring: float  # width of a glioma's rim, share of the radius
    rough: float  # how far the outline wanders, share of the radius
    oedema: float  # how far oedema reaches beyond the outline, share of the radius
    push: float  # share of its own volume by which it has pushed the brain aside; the rest it has replaced


def draw_lesion(rng: np.random.Generator, kind: str, anatomy: Anatomy) -> Lesion:
    """Draw a tumour of one of `KINDS` where its kind grows: white matter, the dura or the falx, or the sella."""
    radius = rng.uniform(*RADIUS_MM[kind])
    place = _draw_place(rng, kind, radius)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    stretch = {"glioma": (0.8, 1.2), "meningioma": (0.8, 1.2), "pituitary": (0.85, 1.15)}[kind]
    return Lesion(
        kind=kind,
        centre_mm=to_patient(anatomy, place),
        template_mm=place,
        radius_mm=radius,
        axes=np.diag(1 / rng.uniform(*stretch, 3)) @ turn,
        level=rng.uniform(*LEVELS[kind]),
        core=rng.uniform(0.25, 0.6),
        ring=rng.uniform(0.16, 0.32),
        rough=rng.uniform(0.1, 0.17) if kind == "glioma" else rng.uniform(0.01, 0.05),
        oedema=rng.uniform(0.3, 0.9) if kind == "glioma" else 0.0,
        push=rng.uniform(0.2, 0.6),
    )


def reach(
    lesion: Lesion, anatomy: Anatomy, points_mm: np.ndarray, head_mm: np.ndarray, hull_mm: np.ndarray
) -> np.ndarray:
    """Return how far out places lie as a share of the tumour's radius; the mask is where this is below 1.

    Parameters
    ----------
    points_mm, head_mm : (N, 3) places of the patient, and the same places in the template
    hull_mm : (N,) distance outside the brain's hull there

    Returns
    -------
    (N,) float32; infinite further than three radii out
    """
    share = np.full(len(points_mm), np.inf, np.float32)
    offset = points_mm - lesion.centre_mm.astype(np.float32)
    near = np.flatnonzero(np.einsum("ni,ni->n", offset, offset) < (3 * lesion.radius_mm) ** 2)
    share[near] = _reach_near(lesion, anatomy, offset[near], head_mm[near, 0], hull_mm[near])
    return share


def _reach_near(
    lesion: Lesion, anatomy: Anatomy, offset_mm: np.ndarray, side_mm: np.ndarray, hull_mm: np.ndarray
) -> np.ndarray:
    offset = offset_mm / np.float32(lesion.radius_mm)
    share = np.linalg.norm(offset @ lesion.axes.T.astype(np.float32), axis=-1)
    share += lesion.rough * sample(anatomy.noise, offset * 4.5 + 11)[..., 0] * np.minimum(share, 1.5)
    if lesion.kind == "pituitary":
        return np.asarray(share)
    wall_mm = -3.0 if lesion.kind == "glioma" else 1.2  # a glioma stays in the brain, a meningioma flattens on the bone
    share = np.maximum(share, 1 + (hull_mm - wall_mm) / 6)
    if _on_falx(lesion):
        share = np.maximum(share, 1 - np.sign(lesion.template_mm[0]) * side_mm / 6)
    return np.asarray(share)


def inner_places(lesion: Lesion, anatomy: Anatomy) -> np.ndarray:
    """Return the patient's places `(N, 3)`, mm, inside the tumour: a grid of an eighth of its radius."""
    along = np.linspace(-1.6, 1.6, 25, dtype=np.float32) * np.float32(lesion.radius_mm)
    grid = np.stack(np.meshgrid(along, along, along, indexing="ij"), axis=-1).reshape(-1, 3)
    points = grid + lesion.centre_mm.astype(np.float32)
    head_mm = to_template(anatomy, points)
    return np.asarray(points[reach(lesion, anatomy, points, head_mm, shells(head_mm)[:, 0]) < 1])


def push_aside(lesion: Lesion, head_mm: np.ndarray) -> np.ndarray:
    """Return from where in the template brain has come to the places `head_mm` `(..., 3)`.

    It moves straight away from the tumour's middle, as far as keeping its volume asks.
    """
    offset = head_mm - lesion.template_mm.astype(np.float32)
    distance = np.sqrt(np.einsum("...i,...i", offset, offset))[..., None] + np.float32(1e-3)
    taken = np.float32(lesion.push * lesion.radius_mm**3)
    origin = np.cbrt(np.maximum(distance**3 - taken, 0))
    return np.asarray(head_mm + offset * (origin / distance - 1), np.float32)


def paint(lesion: Lesion, anatomy: Anatomy, image: np.ndarray, share: np.ndarray, points_mm: np.ndarray) -> np.ndarray:
    """Return the head's brightness `image` `(N,)` with the tumour in it; `share` is what `reach` says of the points."""
    near = np.flatnonzero(share < 1 + max(lesion.oedema, 0.7) + 0.1)
    painted = image.copy()
    fine = sample(anatomy.noise, points_mm[near] / 1.8 + 3)
    painter = {"glioma": _paint_glioma, "meningioma": _paint_meningioma, "pituitary": _paint_pituitary}[lesion.kind]
    painted[near] = painter(lesion, image[near], share[near], fine)
    return painted


def _paint_glioma(lesion: Lesion, image: np.ndarray, share: np.ndarray, fine: np.ndarray) -> np.ndarray:
    wet = step(1 + lesion.oedema - share, 0.25) * np.clip((image - 0.5) / 0.4, 0, 1) * (image < 1.1)
    image = image * (1 - 0.4 * wet)
    inner = 1 - lesion.ring * (1 + 0.35 * fine[..., 0])
    core = lesion.core * (1 + 0.25 * fine[..., 1])
    solid = core + (lesion.level * (1 + 0.12 * fine[..., 2]) - core) * step(share - inner, 0.05)
    return np.asarray(image + (solid - image) * step(1 - share, 0.03))


def _paint_meningioma(lesion: Lesion, image: np.ndarray, share: np.ndarray, fine: np.ndarray) -> np.ndarray:
    cleft = np.exp(-(((share - 1.06) / 0.04) ** 2)) * (image < 1.1)  # a film of water between tumour and brain
    image = image * (1 - 0.5 * cleft)
    solid = lesion.level * (1 + 0.025 * fine[..., 0])
    return np.asarray(image + (solid - image) * step(1 - share, 0.03))


def _paint_pituitary(lesion: Lesion, image: np.ndarray, share: np.ndarray, fine: np.ndarray) -> np.ndarray:
    cistern = np.exp(-(((share - 1.12) / 0.07) ** 2))
    image = image * (1 - 0.5 * cistern)
    solid = lesion.level * (1 + 0.05 * fine[..., 0])
    return np.asarray(image + (solid - image) * step(1 - share, 0.06))


def _on_falx(lesion: Lesion) -> bool:
    return lesion.kind == "meningioma" and abs(lesion.template_mm[0]) < 0.75 * lesion.radius_mm


def _draw_place(rng: np.random.Generator, kind: str, radius_mm: float) -> np.ndarray:
    if kind == "pituitary":
        return SELLA_MM + rng.normal(0, (1.0, 1.0, 1.0)) + np.array([0, 0, 0.35 * radius_mm])
    if kind == "meningioma" and rng.random() < 0.2:
        side = rng.choice([-1.0, 1.0])
        return np.array([side * 0.5 * radius_mm, rng.uniform(-60, 40), rng.uniform(38, 55)])
    places = _deep_white_matter(round(0.6 * radius_mm)) if kind == "glioma" else _beneath_dura(round(0.6 * radius_mm))
    return places[rng.integers(len(places))] + rng.uniform(-1, 1, 3)


@cache
def _deep_white_matter(depth_mm: int) -> np.ndarray:
    """Return places `(N, 3)` in white matter at a depth inside the brain and 12 mm off the midline, mm."""
    brain = atlas().brain
    nodes = np.stack(np.meshgrid(*(np.arange(n) for n in brain.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    places = (nodes * STEP_MM + brain.origin_mm)[::3]
    deep = (sample(brain, places)[:, 0] > 0.85) & (shells(places)[:, 0] < -depth_mm)
    return np.asarray(places[deep & (np.abs(places[:, 0]) > 12) & (places[:, 2] > -35)], float)


@cache
def _beneath_dura(depth_mm: int) -> np.ndarray:
    """Return places `(N, 3)` at a depth inside the brain's hull, above the brain stem's level, mm."""
    axes = [np.arange(low, high, 2 * STEP_MM, dtype=np.float32) for low, high in REACH_MM]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    hull = shells(places)[:, 0]
    there = (np.abs(hull + depth_mm) < 1.5) & (places[:, 2] > -30)
    # Neither in the brain stem nor amid the cisterns before it.
    central = (np.abs(places[:, 0]) < 22) & (places[:, 2] < 10) & (places[:, 1] > -60) & (places[:, 1] < 30)
    return np.asarray(places[there & ~central], float)
