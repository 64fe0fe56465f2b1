"""Slices lie as radiologists see them, however a file orders its axes, and levels keep the values."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scan_files import dicom_bytes, dicom_series, multiframe, nifti_bytes

from brainmri.core.errors import InputError
from brainmri.sources import slicing
from brainmri.sources.slicing import from_dicom, from_nifti, read_mask, to_levels

SPACING = {"isotropic": (2, 2, 2), "axial": (1, 1, 3), "coronal": (1, 3, 1), "sagittal": (3, 1, 1)}


def marked():
    """A box (x 5, y 6, z 7) whose middle line of each axis ends in a mark: 10 left, 20 front, 30 top."""
    box = np.zeros((5, 6, 7), np.int16)
    box[0, 3, 3], box[2, 5, 3], box[2, 3, 6] = 10, 20, 30
    return box


def reordered(box, affine, order, flips):
    """The same voxels in the same places with axes in another order and direction."""
    out, to = box.transpose(order), affine[:, [*order, 3]].copy()
    for axis in flips:
        to[:3, 3] += to[:3, axis] * (out.shape[axis] - 1)
        to[:3, axis] *= -1
        out = np.flip(out, axis)
    return np.ascontiguousarray(out), to


def place_of(levels, value):
    return tuple(int(at) for at in np.argwhere(levels == value)[0])


ORDERS = list(itertools.product(itertools.permutations(range(3)), [(), (0,), (1, 2), (0, 1, 2)]))


@pytest.mark.parametrize(("order", "flips"), ORDERS)
def test_an_axial_slice_has_the_front_on_top_and_the_left_on_the_right(order, flips):
    volume = from_nifti(nifti_bytes(*reordered(marked(), np.diag([2.0, 2, 2, 1]), order, flips)))
    assert (volume.plane, volume.levels.shape) == ("axial", (7, 6, 5))
    assert place_of(volume.levels, 10) == (3, 2, 4)  # left: last column
    assert place_of(volume.levels, 20) == (3, 0, 2)  # front: first row
    assert place_of(volume.levels, 30) == (6, 2, 2)  # top: last slice


@pytest.mark.parametrize(("order", "flips"), ORDERS)
def test_coronal_and_sagittal_slices_have_the_top_on_top(order, flips):
    coronal, sagittal = (
        from_nifti(nifti_bytes(*reordered(marked(), np.diag([*SPACING[plane], 1.0]), order, flips)))
        for plane in ("coronal", "sagittal")
    )
    assert (coronal.plane, coronal.levels.shape, coronal.spacing_mm) == ("coronal", (6, 7, 5), (3, 1, 1))
    assert place_of(coronal.levels, 10) == (3, 3, 4)  # left: last column
    assert place_of(coronal.levels, 20) == (5, 3, 2)  # front: last slice
    assert place_of(coronal.levels, 30) == (3, 0, 2)  # top: first row
    assert (sagittal.plane, sagittal.levels.shape, sagittal.spacing_mm) == ("sagittal", (5, 7, 6), (3, 1, 1))
    assert place_of(sagittal.levels, 10) == (0, 3, 2)  # left: first slice
    assert place_of(sagittal.levels, 20) == (2, 3, 0)  # front: first column
    assert place_of(sagittal.levels, 30) == (2, 0, 2)  # top: first row


@pytest.mark.parametrize(("order", "flips"), ORDERS)
def test_dicom_and_nifti_of_one_volume_give_the_same_slices(order, flips):
    stored, affine = reordered(marked(), np.diag([1.0, 1, 1, 1]) + np.eye(4, k=3) * 12.5, order, flips)
    (dicom,) = from_dicom(enumerated(dicom_series(stored, affine)))
    assert dicom.plane == ("sagittal", "coronal", "axial")[order[2]]
    spread = affine.copy()
    spread[:3, 2] *= 1.5  # makes the third axis NIfTI's slicing axis
    nifti = from_nifti(nifti_bytes(stored, spread))
    (dicom,) = from_dicom(enumerated(dicom_series(stored, spread)))
    np.testing.assert_array_equal(dicom.levels, nifti.levels)
    np.testing.assert_allclose(dicom.affine, nifti.affine, atol=1e-6)
    np.testing.assert_allclose(dicom.spacing_mm, nifti.spacing_mm)
    assert dicom.plane == nifti.plane


def enumerated(files):
    return [(f"{at}.dcm", data) for at, data in enumerate(files)]


def test_a_voxels_place_in_the_patient_is_kept():
    turn = np.array([[0.8, -0.6, 0, 5], [0.6, 0.8, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1]])
    volume = from_nifti(nifti_bytes(marked(), turn))
    there = volume.affine @ [*place_of(volume.levels, 20), 1]
    np.testing.assert_allclose(there, turn @ [2, 5, 3, 1], atol=1e-5)


def test_a_nearly_isotropic_volume_is_axial_and_a_single_slice_is_what_it_is():
    assert from_nifti(nifti_bytes(marked(), np.diag([1.005, 1, 1, 1]))).plane == "axial"
    assert from_nifti(nifti_bytes(marked()[:1], np.diag([1, 1, 1, 1]))).plane == "sagittal"


def test_slices_are_sorted_by_place_whatever_their_names_and_numbers():
    files = dicom_series(marked(), np.diag([1.0, 1, 4, 1]))
    shuffled = [("a", files[3]), ("b", files[0]), ("c", files[6]), *(("d", files[at]) for at in (5, 1, 4, 2))]
    (volume,) = from_dicom(shuffled)
    np.testing.assert_array_equal(volume.levels, from_dicom(enumerated(files))[0].levels)
    assert volume.spacing_mm == (4, 1, 1)


def test_an_enhanced_file_is_a_volume_with_one_scale():
    frames = np.full((3, 2, 2), 10, np.uint16)
    (volume,) = from_dicom([("x", multiframe(frames, [(0, 0, 0), (0, 0, 2), (0, 0, 4)], order=[2, 0, 1]))])
    values = volume.levels * volume.level_scale + volume.level_offset
    assert values[:, 0, 0].tolist() == [10, 20, 30]  # slopes 1, 2, 3 by place
    windows = volume.windows * volume.level_scale + volume.level_offset
    np.testing.assert_allclose(windows, [(95, 104), (195, 204), (295, 304)])


def test_windows_follow_their_slices_and_levels():
    box = np.full((2, 2, 3), -5, np.int16)
    files = [
        dicom_bytes(box[:, :, at], ImagePositionPatient=[0, 0, -4 * at], WindowCenter=str(at), WindowWidth="11",
                    RescaleSlope="2", RescaleIntercept="1")
        for at in range(3)
    ]  # fmt: skip
    (volume,) = from_dicom(enumerated(files))
    assert (volume.level_scale, volume.level_offset) == (2, -9)
    np.testing.assert_array_equal(volume.windows, [[(at - 5.5 + 9) / 2, (at + 4.5 + 9) / 2] for at in (2, 1, 0)])


def test_windows_turn_with_slices_whose_normal_points_to_the_feet():
    files = []
    for z in (8, 0, 4):
        place = {"ImagePositionPatient": [0, 0, z], "ImageOrientationPatient": [-1, 0, 0, 0, 1, 0]}
        files.append(dicom_bytes(np.full((2, 2), z, np.uint16), **place, WindowCenter=str(z), WindowWidth="10"))
    (volume,) = from_dicom(enumerated(files))
    assert volume.levels[:, 0, 0].tolist() == [0, 4, 8]
    assert volume.windows.tolist() == [[-5, 4], [-1, 8], [3, 12]]


@pytest.mark.parametrize("places", [[0, 4, 12], [0, 0, 4], [0, 0, 0]])
def test_uneven_or_repeated_slices_have_no_grid(places):
    files = [
        dicom_bytes(np.eye(2, dtype=np.uint16) * at, ImagePositionPatient=[0, 0, z]) for at, z in enumerate(places)
    ]
    (volume,) = from_dicom(enumerated(files))
    assert volume.levels.shape == (3, 2, 2)
    assert np.isnan(volume.affine).all()
    assert np.isnan(volume.spacing_mm[0])
    assert volume.spacing_mm[1:] == (0.5, 0.75)


def test_a_slice_without_position_is_shown_as_it_is():
    pixels = np.arange(6, dtype=np.uint16).reshape(2, 3)
    (volume,) = from_dicom([("x", dicom_bytes(pixels, ImagePositionPatient=None, ImageOrientationPatient=None))])
    np.testing.assert_array_equal(volume.levels[0], pixels)
    assert (volume.plane, volume.spacing_mm) == ("", (4, 0.5, 0.75))


def test_a_series_that_would_fill_the_memory_is_refused(monkeypatch):
    files = [(f"{at}.dcm", data) for at, data in enumerate(dicom_series(marked(), np.eye(4)))]
    monkeypatch.setattr(slicing, "MAX_SERIES_BYTES", len(files) * marked()[:, :, 0].nbytes)
    assert len(from_dicom(files)) == 1
    with pytest.raises(InputError, match=r"^more\.dcm: up to this file its series has over"):
        from_dicom([*files, ("more.dcm", files[0][1])])


def test_the_distance_of_slices_is_that_of_their_planes_under_a_tilted_gantry():
    tilted = np.eye(4)
    tilted[:3, 2] = [0, 3 * np.tan(np.radians(20)), 3]  # each slice 3 mm higher, and moved to the front
    shown = [from_nifti(nifti_bytes(marked(), tilted)), *from_dicom(enumerated(dicom_series(marked(), tilted)))]
    for volume in shown:
        np.testing.assert_allclose(volume.spacing_mm, (3, 1, 1), rtol=1e-5)
        assert abs(np.linalg.det(volume.affine[:3, :3])) == pytest.approx(3, rel=1e-5)  # mm3 of a voxel


def test_labels_are_no_scan_as_nifti_or_dicom():
    labels = np.kron(np.arange(8).reshape(2, 2, 2), np.ones((10, 10, 20), np.int16)).astype(np.int16)
    with pytest.raises(InputError, match="received labels or a mask: 8 different numbers in 16000 voxels"):
        from_nifti(nifti_bytes(labels, np.eye(4)))
    with pytest.raises(InputError, match=r"^0\.dcm: should be a scan, received labels or a mask"):
        from_dicom(enumerated(dicom_series(labels, np.eye(4))))
    scan = from_nifti(nifti_bytes(np.random.default_rng(0).integers(0, 900, labels.shape, np.int16), np.eye(4)))
    assert read_mask(scan, nifti_bytes(labels, np.eye(4))).any()  # as a mask they are welcome


def test_a_scout_in_two_planes_is_two_volumes():
    pixels = np.eye(2, dtype=np.uint16)
    files = [dicom_bytes(pixels), dicom_bytes(pixels, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])]
    assert sorted(volume.plane for volume in from_dicom(enumerated(files))) == ["axial", "coronal"]


@pytest.mark.parametrize(
    ("stored", "levels", "scale", "offset"),
    [
        (np.array([0, 65535]), [0, 65535], 2, 7),
        (np.array([7, 9], np.uint8), [7, 9], 2, 7),
        (np.array([-3, 4], np.int16), [0, 7], 2, 1),
        (np.array([100000, 100005], np.int32), [0, 5], 2, 200007),
        (np.array([3.0, 5.0]), [3, 5], 2, 7),
        (np.array([0.5, 0.5]), [0, 0], 2, 8),
        (np.array([np.nan, 2.0, 4.0]), [2, 2, 4], 2, 7),
        (np.array([0.0, 0.5, 65535 / 2]), [0, 1, 65535], 1, 7),
        (np.array([0, 2 * 65535], np.int64), [0, 65535], 4, 7),
    ],
)
def test_levels_by_rule(stored, levels, scale, offset):
    found = to_levels(stored, 2.0, 7.0)
    assert found[0].dtype == np.uint16
    assert (found[0].tolist(), *found[1:]) == (levels, scale, offset)


def test_a_falling_scale_is_turned_so_that_larger_is_brighter():
    levels, scale, offset = to_levels(np.array([1, 4]), -1.0, 0.0)
    assert (levels.tolist(), scale, offset) == ([3, 0], 1, -4)


@settings(max_examples=200)
@given(
    stored=st.sampled_from([np.int16, np.uint16, np.int32, np.float32]).flatmap(lambda kind: hnp.arrays(kind, 6)),
    slope=st.floats(1e-3, 1e3),
    intercept=st.floats(-1e4, 1e4),
)
def test_values_come_back_within_the_stated_rounding(stored, slope, intercept):
    if not np.isfinite(stored).all():
        return
    levels, scale, offset = to_levels(stored, slope, intercept)
    values = stored.astype(float) * slope + intercept
    exact = stored.dtype.kind in "iu" and int(stored.max()) - int(stored.min()) < 65536
    allowed = (0 if exact else scale / 2) + 1e-9 * np.abs(values).max() + 1e-9
    assert np.abs(levels * scale + offset - values).max() <= allowed * (1 + 1e-6)


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinite_values_are_refused(bad):
    with pytest.raises(InputError, match="values should be finite"):
        to_levels(np.array([1.0, bad]), 1.0, 0.0)
    with pytest.raises(InputError, match="no number at all"):
        to_levels(np.array([np.nan]), 1.0, 0.0)


@pytest.mark.parametrize(("order", "flips"), ORDERS)
def test_a_mask_may_order_its_axes_as_it_likes(order, flips):
    affine = np.diag([3.0, 1, 1, 1])
    volume = from_nifti(nifti_bytes(marked(), affine))
    labels = (marked() // 10).astype(np.uint8)  # 1, 2 and 3: tumour parts
    mask = read_mask(volume, nifti_bytes(*reordered(labels, affine, order, flips)))
    np.testing.assert_array_equal(mask, volume.levels > 0)


def test_a_mask_on_another_grid_is_refused():
    volume = from_nifti(nifti_bytes(marked(), np.eye(4)))
    moved = np.eye(4)
    moved[0, 3] = 0.2
    for stored, affine in ((marked()[:4], np.eye(4)), (marked(), moved), (marked(), np.diag([1.0, 1, 1.1, 1]))):
        with pytest.raises(InputError, match=r"mask should lie on its scan's grid of \(7, 6, 5\) voxels"):
            read_mask(volume, nifti_bytes(stored, affine))
    moved[0, 3] = 0.05
    assert read_mask(volume, nifti_bytes(marked(), moved)).any()
