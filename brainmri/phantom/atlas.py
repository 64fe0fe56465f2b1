"""What all simulated patients share: the MNI152 template's brain, and a made-up head around it.

Places are in millimetres in the frame of MNI152: x to the right, y to the front, z to the top, origin at the anterior
commissure. The template is skull-stripped, so the head around the brain is drawn from a few ellipsoids.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage

from brainmri.phantom.fields import Lattice, lattice, sample

SELLA_MM = np.array([0.0, 3.0, -33.0])  # the pituitary's place in the template
STEP_MM = 2
DURA_MM = 1.6  # from the brain's hull to the inner face of the skull
SHELL_MM = 13.0  # from the brain's hull to the skin, before a patient's own skull and scalp are set in
MARGIN_MM = 10.0  # outside the shell, past any patient's skin
# Of the head's lattice along x, y and z: brain, face and the upper part of the neck.
REACH_MM = ((-104.0, 104.0), (-140.0, 118.0), (-130.0, 118.0))


@dataclass(frozen=True)
class Atlas:
    """What all patients share: tissue of the template's brain, and distances to the surfaces of the head."""

    brain: Lattice  # shares of white and of grey matter, 0 to 1
    shells: Lattice  # distance outside the brain's hull, the head, the nearest air cavity, the nearest eye, mm


@cache
def atlas() -> Atlas:
    """Return the shared atlas, made from the files that nilearn ships (no network)."""
    from nilearn import datasets  # here, because it takes seconds to import and only a simulation needs it

    mask = datasets.load_mni152_brain_mask(resolution=STEP_MM)
    tissue = [
        datasets.load_mni152_wm_template(resolution=STEP_MM),
        datasets.load_mni152_gm_template(resolution=STEP_MM),
    ]
    shares = np.stack([np.asarray(image.dataobj, np.float32) for image in tissue], axis=-1)
    origin = mask.affine[:3, 3]
    brain = lattice(np.clip(shares, 0, 1), origin, STEP_MM)
    grid, nodes = _grid()
    hull = _hull_distance(np.asarray(mask.dataobj) > 0, origin, nodes[0].shape)
    x, y, z = nodes
    head = np.minimum(_blend(hull - SHELL_MM, _face(x, y, z)), _neck(x, y, z))
    shells = np.stack([hull, head, _cavities(x, y, z), _eyes(x, y, z)], axis=-1)
    return Atlas(brain, lattice(shells, grid, STEP_MM))


def shells(head_mm: np.ndarray) -> np.ndarray:
    """Return the distances, mm, outside the brain's hull, the head, the nearest air cavity and the nearest eye.

    `head_mm` holds places `(..., 3)` in the template; the result is `(..., 4)` float32, below 0 inside.
    """
    return sample(atlas().shells, head_mm)


def _grid() -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    axes = [np.arange(low, high + STEP_MM, STEP_MM, dtype=np.float32) for low, high in REACH_MM]
    return np.array([low for low, _ in REACH_MM]), tuple(np.meshgrid(*axes, indexing="ij"))


def _hull_distance(mask: np.ndarray, origin_mm: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the distance outside (below 0: inside) the brain's mask with its fissures closed, mm.

    Closing is by 12 mm; where the mask is concave below, at the skull base, the hull stays so.
    """
    start = np.round((origin_mm - [low for low, _ in REACH_MM]) / STEP_MM).astype(int)
    whole = np.zeros(shape, bool)
    whole[tuple(slice(s, s + n) for s, n in zip(start, mask.shape, strict=True))] = mask
    grown = ndimage.distance_transform_edt(~whole) < 6
    closed = ndimage.distance_transform_edt(grown) > 6
    distance = ndimage.distance_transform_edt(~closed) - ndimage.distance_transform_edt(closed)
    return np.asarray(ndimage.gaussian_filter(distance * STEP_MM, 1.5), np.float32)


def _blend(a: np.ndarray, b: np.ndarray, radius_mm: float = 12) -> np.ndarray:
    """Return the union of two shapes given by distances, its inner corner rounded off (polynomial smooth minimum)."""
    share = np.clip(0.5 + 0.5 * (b - a) / radius_mm, 0, 1)
    return np.asarray(b + (a - b) * share - radius_mm * share * (1 - share))


def _ellipsoid(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, centre: tuple[float, ...], radii: tuple[float, ...]
) -> np.ndarray:
    """Return roughly the distance outside an ellipsoid, mm; exact on its surface."""
    scaled = [(axis - c) / r for axis, c, r in zip((x, y, z), centre, radii, strict=True)]
    return np.asarray((np.sqrt(sum(s**2 for s in scaled)) - 1) * min(radii))


def _face(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    face = _ellipsoid(x, y, z, (0, 35, -70), (64, 52, 70))
    nose = _ellipsoid(x, y, z, (0, 88, -62), (14, 20, 26))
    return _blend(_blend(face, nose), _ellipsoid(x, y, z, (0, -40, -75), (62, 60, 60)), 20)


def _neck(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.maximum((np.hypot(x / 58, (y + 25 + 0.25 * (z + 80)) / 62) - 1) * 58, z + 60)


def _cavities(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    shapes = [
        ((0, 62, -52), (11, 26, 20)),  # nose
        ((0, 22, -50), (13, 13, 9)),  # sphenoid sinus, under the sella
        ((0, 18, -85), (12, 9, 45)),  # pharynx
        ((0, 76, -8), (22, 6, 12)),  # frontal sinus
        ((27, 58, -62), (13, 16, 15)),  # maxillary sinuses
        ((-27, 58, -62), (13, 16, 15)),
        ((54, -32, -42), (9, 13, 12)),  # mastoid cells
        ((-54, -32, -42), (9, 13, 12)),
    ]
    return np.minimum.reduce([_ellipsoid(x, y, z, centre, radii) for centre, radii in shapes])


def _eyes(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt((np.abs(x) - 33) ** 2 + (y - 63) ** 2 + (z + 37) ** 2) - 12)
