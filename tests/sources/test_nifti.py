"""NIfTI files give voxels and place; damage is one sentence."""

import gzip
import pathlib
import warnings

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scan_files import nifti_bytes

from brainmri.core.errors import InputError
from brainmri.sources import nifti
from brainmri.sources.nifti import read_nifti, refuse_labels

STORED = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
AFFINE = np.array([[0, 0, -3, 9], [2, 0, 0, 8], [0, 1.5, 0, 7], [0, 0, 0, 1.0]])
SHIPPED = pathlib.Path(nibabel.__file__).parent / "tests/data"


def changed(**fields):
    image = nibabel.Nifti1Image(STORED, AFFINE)
    for name, value in fields.items():
        image.header[name] = value
    return nibabel.Nifti1Image(STORED, None, image.header).to_bytes()


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("packed", [False, True])
def test_voxels_and_affine(kind, packed):
    data = nifti_bytes(STORED, AFFINE, kind)
    grid = read_nifti(gzip.compress(data) if packed else data)
    np.testing.assert_array_equal(grid.stored, STORED)
    np.testing.assert_array_equal(grid.affine, AFFINE)
    assert (grid.slope, grid.intercept) == (1, 0)


def test_big_endian_with_scaling():
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    header.set_slope_inter(0.5, -3)
    header.set_data_shape(STORED.shape)
    header.set_sform(AFFINE, "scanner")
    header["magic"], header["vox_offset"] = b"n+1", 352
    grid = read_nifti(header.binaryblock + b"\0" * 4 + STORED.astype(">i2").tobytes(order="F"))
    assert grid.stored.dtype.byteorder == ">"
    np.testing.assert_array_equal(grid.stored, STORED)
    assert (grid.slope, grid.intercept) == (0.5, -3)


def test_other_units_become_millimetres():
    grid = read_nifti(changed(xyzt_units=1))  # metres
    np.testing.assert_array_equal(grid.affine[:3], AFFINE[:3] * 1000)


def test_the_window_is_that_of_the_header():
    assert read_nifti(changed(cal_min=5, cal_max=50)).window == (5, 50)
    assert np.isnan(read_nifti(changed()).window).all()


def test_a_single_volume_in_four_dimensions_is_one_in_three():
    assert read_nifti(nifti_bytes(STORED[..., None], AFFINE)).stored.shape == (2, 3, 4)


def test_texts_of_the_header_are_not_kept():
    grid = read_nifti(changed(descrip=b"Jane Doe", aux_file=b"Doe.txt", db_name=b"Jane", intent_name=b"Doe"))
    assert not any(name in grid.header.binaryblock for name in (b"Jane", b"Doe"))
    np.testing.assert_array_equal(grid.header.get_best_affine(), AFFINE)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.float32])
@pytest.mark.parametrize("packed", [False, True])
def test_a_volume_of_freesurfer_is_read(kind, packed):
    data = nibabel.MGHImage(STORED.astype(kind), AFFINE).to_bytes()
    grid = read_nifti(gzip.compress(data) if packed else data)
    np.testing.assert_array_equal(grid.stored, STORED)
    np.testing.assert_allclose(grid.affine, AFFINE, atol=1e-5)
    np.testing.assert_allclose(grid.header.get_best_affine(), AFFINE, atol=1e-5)
    assert (grid.slope, grid.intercept) == (1, 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data[:28] + b"\0\0" + data[30:], "an MGH file without orientation"),
        (lambda data: data[:-120], "damaged or cut off"),
        (
            lambda data: data[:4] + b"\x7f\xff\xff\xff" + data[8:],
            "67108864 pixels, .*, received 2147483647x3x4",
        ),
        (
            lambda data: data[:16] + b"\0\0\0\2" + data[20:] + data[284:],
            r"one volume, received the shape \(2, 3, 4, 2\)",
        ),
    ],
)
def test_a_volume_of_freesurfer_that_cannot_be_used_is_refused(change, reason):
    with pytest.raises(InputError, match=reason):
        read_nifti(change(nibabel.MGHImage(STORED, AFFINE).to_bytes()))


def anatomy(labels, side=40):
    """A map of `labels` in boxes, at least 1,000 voxels for each."""
    coarse = np.resize(np.arange(labels), (side // 10, side // 10, -(-labels * 100 // side) * 10 // 10))
    return np.kron(coarse, np.ones((10, 10, 10), int))


@pytest.mark.parametrize("labels", [2, 4, 16, 46, 113, 400])
@pytest.mark.parametrize("scale", [1, 0.5, 17])
def test_labels_are_no_scan(labels, scale):
    with pytest.raises(InputError, match=f"received labels or a mask: {labels} different numbers"):
        refuse_labels(anatomy(labels) * scale)


def test_a_scan_is_a_scan_in_few_levels_too():
    rng = np.random.default_rng(0)
    smooth = np.add.outer(np.sin(np.arange(60) / 9), np.cos(np.arange(60) / 7))[:, :, None] + np.zeros(60)
    for levels in (32, 64, 256, 4096):
        scan = np.rint((smooth + 2) / 4 * levels + rng.normal(0, 0.02 * levels, smooth.shape)).clip(0)
        scan[:, :, :20] = 0  # padding around the head
        refuse_labels(scan)
        refuse_labels(scan[:, :, 30:31])
    refuse_labels(np.zeros((60, 60, 60)))  # nothing at all is for others to refuse
    refuse_labels(np.resize([0, 1], (4, 4, 4)))  # too small to tell


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no NIfTI file"),
        (b"\x1f\x8b", "damaged or cut off"),
        (gzip.compress(nifti_bytes(STORED, AFFINE))[:-9], "damaged or cut off"),
        (nifti_bytes(STORED, AFFINE)[:-1], "damaged or cut off"),
        (nifti_bytes(np.zeros((2, 3, 4, 2), np.int16), AFFINE), r"one volume, received the shape \(2, 3, 4, 2\)"),
        (nifti_bytes(np.zeros((2, 3, 4), np.complex64), AFFINE), "complex numbers"),
        (nifti_bytes(np.zeros((2, 3, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]), AFFINE), "a NIfTI file of colours"),
        (changed(qform_code=0, sform_code=0), "without orientation"),
        (changed(srow_x=[0, 0, 0, 9]), "spans no volume"),
    ],
)
def test_what_cannot_be_used_is_refused(data, reason):
    with pytest.raises(InputError, match=reason):
        read_nifti(data)


def test_a_file_that_grows_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(nifti, "MAX_BYTES", 400)
    with pytest.raises(InputError, match="at most 400 bytes once unpacked"):
        read_nifti(gzip.compress(nifti_bytes(np.zeros((9, 9, 9), np.int16), AFFINE)))


@settings(max_examples=200)
@given(changes=st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), min_size=1, max_size=4), cut=st.booleans())
def test_any_damage_is_one_input_error(changes, cut):
    data = bytearray(nifti_bytes(STORED, AFFINE))
    for at, value in changes:
        data[at] = value
    sentence = ""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            read_nifti(bytes(data[:380] if cut else data))
        except InputError as error:
            sentence = str(error)
    assert "\n" not in sentence


def test_every_shipped_file_is_read_or_refused_in_one_sentence(capfd):
    found = {}
    for path in sorted(SHIPPED.glob("*.nii*")):
        try:
            found[path.name] = read_nifti(path.read_bytes()).stored.shape
        except InputError as error:
            found[path.name] = str(error).partition(", received")[0]
    assert found == {
        "anatomical.nii": (33, 41, 25),
        "example4d.nii.gz": "a NIfTI file should hold one volume",
        "example_nifti2.nii.gz": "a NIfTI file should hold one volume",
        "functional.nii": "a NIfTI file should hold one volume",
        "reoriented_anat_moved.nii": (21, 26, 22),
        "resampled_anat_moved.nii": (17, 21, 3),
        "row_major.dconn.nii": "a NIfTI file should hold one volume",
        "standard.nii.gz": (4, 5, 7),
    }
    assert capfd.readouterr().err == ""
