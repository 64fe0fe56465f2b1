"""The tumour mask of a volume: written as NIfTI on the scan's own grid, and measured in ml and mm."""

import gzip
import io
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from nibabel import orientations
from nibabel.affines import apply_affine
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from brainmri.core.errors import InputError
from brainmri.core.labels import NOT_CLINICAL
from brainmri.sources.slicing import Volume


@dataclass(frozen=True)
class Measures:
    """How large a thing is and where."""

    volume_ml: float
    largest_diameter_mm: float  # between the centres of its two farthest voxels, in any direction
    centroid_mm: tuple[float, float, float]  # x right, y front, z top


def mask_bytes(volume: Volume, masks: np.ndarray, packed: bool) -> bytes:
    """Return masks as a NIfTI file on the volume's own grid, compressed with gzip if `packed`; see `write_mask`."""
    voxels = orientations.apply_orientation(masks.astype(np.uint8), volume.back)
    header = volume.header.copy()
    header.set_data_dtype(np.uint8)
    header["descrip"] = NOT_CLINICAL
    kind = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    data = kind(voxels, header.get_best_affine(), header).to_bytes()
    return _packed(data) if packed else data


def _packed(data: bytes) -> bytes:
    """Return data compressed; `gzip.compress` names the system in the header, and Python 3.13 another than 3.11."""
    place = io.BytesIO()
    with gzip.GzipFile(fileobj=place, mode="wb", mtime=0) as file:
        file.write(data)
    return place.getvalue()


def write_mask(volume: Volume, masks: np.ndarray, path: Path) -> None:
    """Write masks as NIfTI on the volume's own grid.

    The axes and the affine are those of the NIfTI file that was read, bit by bit; of a DICOM series, its columns, rows
    and slices with the affine in NIfTI's float32. No other header field is copied; `descrip` says what the mask is not
    for.

    Parameters
    ----------
    volume : Volume
        As `inputs.read_one` gives it.
    masks : ndarray, shape (D, H, W), bool or uint8
    path : Path
        Ends in `.nii` or `.nii.gz`.

    Raises
    ------
    InputError
        Another ending, or masks of another shape than the volume's.
    """
    if masks.shape != volume.levels.shape or not path.name.lower().endswith((".nii", ".nii.gz")):
        raise InputError(
            f"{path}: a mask should have the scan's shape {volume.levels.shape} and a name that ends in .nii or "
            f".nii.gz, received {masks.shape}"
        )
    written = path.with_name(f".{path.name}.partial")
    written.write_bytes(mask_bytes(volume, masks, packed=path.name.lower().endswith(".gz")))
    written.replace(path)


def measure(mask: np.ndarray, affine: np.ndarray) -> Measures:
    """Measure what is foreground, all of it as one thing.

    The diameter is the largest distance between two voxel centres in three dimensions, exact: it does not depend on
    how the volume was sliced, unlike the longest in-plane diameter of RANO (doi:10.1200/JCO.2009.26.3541), which is at
    most as large.

    Parameters
    ----------
    mask : ndarray, shape (D, H, W), bool or integer
        Foreground is what is not 0.
    affine : ndarray, shape (4, 4)
        Indices to mm, such as `Volume.affine`.

    Returns
    -------
    Measures
        An empty mask has a volume of 0 and NaN else. A single voxel has a diameter of 0.
    """
    places = np.argwhere(mask)
    if len(places) == 0:
        return Measures(0.0, float("nan"), (float("nan"),) * 3)
    volume_ml = len(places) * abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    x, y, z = apply_affine(affine, places.mean(axis=0))
    return Measures(volume_ml, _diameter(places @ affine[:3, :3].T), (float(x), float(y), float(z)))


def _diameter(points_mm: np.ndarray) -> float:
    centred = points_mm - points_mm.mean(axis=0)
    spread, axes = np.linalg.eigh(centred.T @ centred)
    # Turned into the plane or line that they span, if they do not fill space: a hull needs its full dimension.
    turned = centred @ axes[:, spread > 1e-9 * spread.max()]
    if turned.shape[1] > 1:
        turned = turned[ConvexHull(turned).vertices]
    return float(pdist(turned).max(initial=0))
