"""A volume goes out as it came in: levels, affine and mask; and it is measured right."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
import yaml
from packing import pack
from scan_files import dicom_series, nifti_bytes
from scipy.spatial.distance import pdist

from brainmri.core.errors import InputError
from brainmri.core.params import check
from brainmri.phantom import simulated_set
from brainmri.prediction.inputs import read_one
from brainmri.prediction.volume_masks import mask_bytes, measure, write_mask

BOX = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
TURNED = np.array([[0, -2.9, 0.6, 9], [2.2, 0, 0, 8], [0, 0.6, 2.9, 7], [0, 0, 0, 1.0]])  # rotated and reordered
FLIPPED = np.diag([-2.0, -3, 4, 1])


def read_volume(path: Path):
    return read_one(path).volume


def saved(place: Path, data: bytes) -> Path:
    place.write_bytes(data)
    return place


@pytest.mark.parametrize("affine", [FLIPPED, TURNED])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_a_mask_goes_back_to_the_voxels_it_came_from(tmp_path, affine, suffix, kind):
    volume = read_volume(saved(tmp_path / "scan.nii", nifti_bytes(BOX, affine, kind)))
    write_mask(volume, volume.levels > 30, tmp_path / f"mask{suffix}")
    scan, mask = (nibabel.load(tmp_path / name) for name in ("scan.nii", f"mask{suffix}"))
    np.testing.assert_array_equal(np.asanyarray(mask.dataobj), BOX > 30)
    assert mask.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(mask.affine, scan.affine)
    for name in ("sform_code", "qform_code", "srow_x", "quatern_b", "pixdim"):
        np.testing.assert_array_equal(mask.header[name], scan.header[name])
    first = (tmp_path / f"mask{suffix}").read_bytes()
    write_mask(volume, volume.levels > 30, tmp_path / f"mask{suffix}")
    assert (tmp_path / f"mask{suffix}").read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"mask{suffix}", "scan.nii"]


def test_a_packed_mask_tells_neither_when_nor_where_it_was_made(tmp_path):
    volume = read_volume(saved(tmp_path / "scan.nii", nifti_bytes(BOX, FLIPPED)))
    # RFC 1952: magic, deflate, no flags, no time, slowest, system unknown.
    assert mask_bytes(volume, volume.levels > 30, packed=True)[:10] == b"\x1f\x8b\x08\0" + bytes(4) + b"\x02\xff"


def test_an_affine_that_only_the_qform_tells_is_kept_exactly(tmp_path):
    image = nibabel.Nifti1Image(BOX, None)
    image.set_qform(TURNED, "scanner")
    image.set_sform(None, 0)
    volume = read_volume(saved(tmp_path / "scan.nii", image.to_bytes()))
    write_mask(volume, volume.levels > 30, tmp_path / "mask.nii")
    np.testing.assert_array_equal(
        nibabel.load(tmp_path / "mask.nii").affine, nibabel.load(tmp_path / "scan.nii").affine
    )


def test_nothing_else_of_the_header_is_written(tmp_path):
    image = nibabel.Nifti1Image(BOX, FLIPPED)
    image.header["descrip"], image.header["aux_file"] = b"Jane", b"Jane"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"Jane"))
    volume = read_volume(saved(tmp_path / "scan.nii", image.to_bytes()))
    write_mask(volume, volume.levels > 30, tmp_path / "mask.nii")
    assert b"Jane" not in (tmp_path / "mask.nii").read_bytes()
    assert nibabel.load(tmp_path / "mask.nii").header["descrip"] == b"Not for clinical use"


@pytest.mark.parametrize("affine", [FLIPPED, TURNED])
@pytest.mark.parametrize("kind", ["folder", "zip", "tar.gz"])
def test_a_dicom_series_gives_a_mask_on_its_own_columns_rows_and_slices(tmp_path, affine, kind):
    files = {f"s/IM{at}": data for at, data in enumerate(dicom_series(BOX, affine))} | {"readme.txt": b"x"}
    volume = read_volume(pack(tmp_path, files, kind))
    write_mask(volume, volume.levels > 30, tmp_path / "mask.nii")
    mask = nibabel.load(tmp_path / "mask.nii")
    # Slices are sorted along the normal, which may be the other way round than they were written.
    expected = BOX[:, :, ::-1] if not along_the_normal(affine) else BOX
    np.testing.assert_array_equal(np.asanyarray(mask.dataobj), expected > 30)
    places = nibabel.affines.apply_affine(mask.affine, np.argwhere(np.asanyarray(mask.dataobj)))
    original = nibabel.affines.apply_affine(affine, np.argwhere(BOX > 30))
    np.testing.assert_allclose(np.sort(places, axis=0), np.sort(original, axis=0), atol=1e-4)


def along_the_normal(affine):
    lps = np.diag([-1.0, -1, 1]) @ affine[:3, :3]
    return np.cross(lps[:, 0], lps[:, 1]) @ lps[:, 2] > 0


def test_a_mask_of_another_shape_or_name_is_refused(tmp_path):
    volume = read_volume(saved(tmp_path / "scan.nii", nifti_bytes(BOX, FLIPPED)))
    for mask, name in ((volume.levels[1:], "mask.nii"), (volume.levels, "mask.png")):
        with pytest.raises(InputError, match=r"a mask should have the scan's shape \(5, 4, 3\) and a name that ends"):
            write_mask(volume, mask, tmp_path / name)


def test_measures_of_a_bar():
    mask = np.zeros((4, 5, 6), np.uint8)
    mask[1, 2, 1:5] = 1
    affine = np.array([[0, 0, -2, 10], [0, -3, 0, 20], [4, 0, 0, 30], [0, 0, 0, 1.0]])  # (slice, row, column) to mm
    found = measure(mask, affine)
    assert found.volume_ml == pytest.approx(4 * 24 / 1000)
    assert found.largest_diameter_mm == pytest.approx(3 * 2)
    assert found.centroid_mm == pytest.approx((10 - 2 * 2.5, 20 - 3 * 2, 30 + 4))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 4), (1, 4, 5), (3, 4, 5)])
def test_the_diameter_is_the_largest_distance_of_all_pairs(shape):
    rng = np.random.default_rng(0)
    mask = rng.random(shape) < 0.7
    mask.flat[0] = True
    affine = TURNED + np.eye(4, k=1) * 0.1  # sheared
    points = np.argwhere(mask) @ affine[:3, :3].T
    assert measure(mask, affine).largest_diameter_mm == pytest.approx(pdist(points).max(initial=0))


def test_a_ball_and_an_empty_mask():
    z, y, x = np.ogrid[-20:21, -20:21, -20:21]
    ball = measure(x * x + y * y + z * z <= 15**2, np.diag([1.0, 1, 1, 1]))
    assert ball.volume_ml == pytest.approx(4 / 3 * np.pi * 1.5**3, rel=0.01)
    assert ball.largest_diameter_mm == 30
    nothing = measure(np.zeros((2, 2, 2)), np.eye(4))
    assert nothing.volume_ml == 0
    assert np.isnan([nothing.largest_diameter_mm, *nothing.centroid_mm]).all()


@pytest.fixture(scope="module")
def head():
    """A simulated head at 2 mm in 12 bits, its tumour mask (21.20 ml) and affine."""
    section = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())["fetch"]["phantom"]
    params = check(section, simulated_set.PhantomParams, "fetch.phantom")
    patient = simulated_set.draw_patient(np.random.default_rng([7, 0, 0]), params, "train", 0)
    image, mask, affine = simulated_set.volume(patient, 2.0)
    return np.rint(image * 1500).astype(np.int16), mask, affine


def turned_head(stored, mask, affine):
    """The same head with axes in another order and direction and the patient turned in the scanner."""
    order, flip = (2, 0, 1), 1
    to = affine[:, [*order, 3]].copy()
    to[:3, 3] += to[:3, flip] * (stored.transpose(order).shape[flip] - 1)
    to[:3, flip] *= -1
    angle = np.radians(20)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return *(np.flip(part.transpose(order), flip) for part in (stored, mask)), turn @ to, turn


@pytest.mark.slow
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", ["nifti", "dicom"])
def test_a_head_goes_through_files_unchanged(tmp_path, head, kind, turned):
    stored, mask, affine = head
    turn = np.eye(4)
    world = nibabel.affines.apply_affine(affine, np.argwhere(mask)).mean(axis=0)
    if turned:
        stored, mask, affine, turn = turned_head(stored, mask, affine)
    if kind == "nifti":
        volume = read_volume(saved(tmp_path / "head.nii.gz", gzip.compress(nifti_bytes(stored, affine))))
    else:
        files = {f"IM{at:03d}.dcm": data for at, data in enumerate(dicom_series(stored, affine))}
        volume = read_volume(pack(tmp_path / "series", files, "zip"))
    assert (volume.level_scale, volume.level_offset) == (1, 0)
    # Every voxel of the file is at its place in the world, exactly the level it was.
    at = np.linalg.inv(affine) @ volume.affine
    places = np.rint(nibabel.affines.apply_affine(at, np.indices(volume.levels.shape).reshape(3, -1).T)).astype(int)
    np.testing.assert_array_equal(stored[tuple(places.T)], volume.levels.ravel())
    shown = mask[tuple(places.T)].reshape(volume.levels.shape)
    found = measure(shown, volume.affine)
    assert found.volume_ml == pytest.approx(21.20, abs=0.005)
    assert found.centroid_mm == pytest.approx(nibabel.affines.apply_affine(turn, world), abs=1e-3)
    write_mask(volume, shown, tmp_path / "mask.nii.gz")
    back = nibabel.load(tmp_path / "mask.nii.gz")
    assert measure(np.asanyarray(back.dataobj), back.affine).volume_ml == pytest.approx(21.20, abs=0.005)
    if kind == "nifti":
        np.testing.assert_array_equal(np.asanyarray(back.dataobj), mask)
        np.testing.assert_array_equal(back.affine, nibabel.load(tmp_path / "head.nii.gz").affine)
