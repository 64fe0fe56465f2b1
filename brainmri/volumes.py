"""Volumes for prediction: read one from a path, write its masks back, measure them."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
from nibabel import orientations
from nibabel.affines import apply_affine
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from brainmri import archives, dicom, nifti
from brainmri.errors import InputError
from brainmri.slicing import Volume, from_dicom, from_nifti


@dataclass(frozen=True)
class Measures:
    """How large a thing is and where."""

    volume_ml: float
    largest_diameter_mm: float  # between the centres of its two farthest voxels, in any direction
    centroid_mm: tuple[float, float, float]  # x right, y front, z top


def read_volume(path: Path) -> Volume:
    """Read the one volume that a path holds.

    Parameters
    ----------
    path : Path
        A `.nii` or `.nii.gz` file, a DICOM file, or a folder, zip or tar with one NIfTI file or one DICOM series. Other
        files in it do not count.

    Raises
    ------
    InputError
        None or several volumes, a file that cannot be read, or slices that make no grid: unequal distances, several at
        one place, no position.
    """
    found = _volumes(path)
    if len(found) != 1:
        raise InputError(f"{path}: should hold one volume, received {len(found)}; give one file or one series")
    if not np.isfinite(found[0].affine).all():
        raise InputError(
            f"{path}: slices should lie at equal distances, one at each, with voxel size and position; complete the "
            "series, or separate its echoes and times"
        )
    return found[0]


def _volumes(path: Path) -> list[Volume]:
    if path.is_file():
        data = archives.read_file(path)
        if nifti.is_nifti(path.name) or dicom.is_dicom(data):
            return _among({path.name: lambda: data}, str(path.parent))
    with archives.opened(path) as archive:
        return _among({name: partial(archive.read, name) for name in archive.files}, str(path))


def _among(files: dict[str, Callable[[], bytes]], where: str) -> list[Volume]:
    """Return the volumes among files, by name; each file is read twice, so that memory holds one series at a time."""
    volumes: list[Volume] = []
    series: dict[str, list[str]] = {}
    for name, read in files.items():
        try:
            if nifti.is_nifti(name):
                volumes.append(from_nifti(read()))
            elif dicom.is_dicom(data := read()) and (header := dicom.read_header(data)) is not None:
                series.setdefault(header.series or name, []).append(name)
        except InputError as error:
            raise InputError(f"{where}: {name}: {error}") from None
    for names in series.values():
        volumes += from_dicom((f"{where}: {name}", files[name]()) for name in names)
    return volumes


def write_mask(volume: Volume, masks: np.ndarray, path: Path) -> None:
    """Write masks as NIfTI on the volume's own grid.

    The axes and the affine are those of the NIfTI file that was read, bit by bit; of a DICOM series, its columns, rows
    and slices with the affine in NIfTI's float32. No other header field is copied.

    Parameters
    ----------
    volume : Volume
        As `read_volume` gives it.
    masks : ndarray, shape (D, H, W), bool or uint8
    path : Path
        Ends in `.nii` or `.nii.gz`.

    Raises
    ------
    InputError
        Another ending, or masks of another shape than the volume's.
    """
    if masks.shape != volume.levels.shape or not nifti.is_nifti(path.name):
        raise InputError(
            f"{path}: a mask should have the scan's shape {volume.levels.shape} and a name that ends in .nii or "
            f".nii.gz, received {masks.shape}"
        )
    voxels = orientations.apply_orientation(masks.astype(np.uint8), volume.back)
    header = volume.header.copy()
    header.set_data_dtype(np.uint8)
    kind = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    data = kind(voxels, header.get_best_affine(), header).to_bytes()
    written = path.with_name(f".{path.name}.partial")
    written.write_bytes(gzip.compress(data, mtime=0) if path.name.lower().endswith(".gz") else data)
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
