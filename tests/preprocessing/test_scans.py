"""From stored files to arrays."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from brainmri.core.errors import InputError
from brainmri.preprocessing.image_params import ImageParams
from brainmri.preprocessing.images import eight_bit
from brainmri.preprocessing.scans import read_scan, read_scans

PARAMS = ImageParams(size=16, fit="pad", window_source="percentile", windows=[[0.0, 100.0]])


def png(array):
    return cv2.imencode(".png", array)[1].tobytes()


def row(**changes):
    base = {"image_id": "a", "set": "s", "path": "a.png", "label": "glioma", "split": "train", "patient": "",
            "number": -1, "plane": "", "file_bytes": 9, "sha256": "0", "voxel_row_mm": 1.0, "voxel_col_mm": 0.5,
            "frame": -1, "slice_mm": np.nan, "modality": "", "field_t": np.nan,
            "window_low": np.nan, "window_high": np.nan}  # fmt: skip
    return SimpleNamespace(**base | changes)


IMAGE = np.pad(np.full((16, 16), 100, np.uint8), 8)
MASK = np.where(IMAGE, 255, 0).astype(np.uint8)


def test_a_scan_has_mask_and_voxel_size_on_the_square_grid(tmp_path):
    scans = read_scans([(row(), png(IMAGE), png(MASK))], 1, PARAMS, tmp_path)
    assert scans.masks[0].sum() == 8 * 8
    assert scans.table.loc[0, ["voxel_row_mm", "voxel_col_mm"]].tolist() == [2.0, 1.0]  # 32 px became 16
    assert scans.table.loc[0, "has_mask"]


def test_histograms_add_up_to_one_by_label_and_stage(tmp_path):
    stored = [(row(label=label), png(IMAGE + at), None) for at, label in enumerate("aab")]
    table = read_scans(stored, 3, PARAMS, tmp_path).histograms
    assert set(table["stage"]) == {"before", "window 1"}
    np.testing.assert_allclose(table.groupby(["label", "stage"])["share"].sum(), 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_histograms_count_the_levels_of_file_and_windows(dtype):
    image = np.random.default_rng(0).integers(0, 200, (16, 16)).astype(dtype)
    scan = read_scan(png(image), None, PARAMS)
    inside = scan.inside if scan.inside.any() else np.ones((16, 16), bool)
    for counted, picture in zip(scan.counts, [eight_bit(image), scan.channels[..., 0]], strict=True):
        np.testing.assert_array_equal(counted, np.bincount(picture[inside], minlength=256))


def test_every_row_of_the_arrays_is_its_own_image(tmp_path):
    turned = [np.rot90(IMAGE + np.tri(32, dtype=np.uint8), at) for at in range(3)]
    stored = [(row(), png(image), mask) for image, mask in zip(turned, [png(MASK), None, png(MASK)], strict=True)]
    scans = read_scans(stored, 4, PARAMS, tmp_path)
    for at, image in enumerate(turned):
        np.testing.assert_array_equal(scans.images[at], read_scan(png(image), None, PARAMS).channels)
    assert [mask.any() for mask in scans.masks] == [True, False, True, False]
    assert scans.images.shape == (4, 16, 16, 1)


def test_bad_images_are_kept_aside_and_rows_close_up(tmp_path):
    stored = [(row(image_id="x"), b"", None), (row(image_id="y"), png(IMAGE), None)]
    scans = read_scans(stored, 2, PARAMS, tmp_path)
    assert scans.table["image_id"].tolist() == ["y"]
    assert scans.bad["image_id"].tolist() == ["x"]
    assert scans.images[0].any()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (png(255 - MASK), "mask should be 0 outside of the tumour, received values 0, 255 with all four corners set"),
        (png(MASK[:20]), r"mask should have the image's size \(32, 32\), received \(20, 32\)"),
        (b"x", "mask cannot be"),
    ],
)
def test_a_mask_that_does_not_fit_makes_the_image_bad(mask, message):
    with pytest.raises(InputError, match=message):
        read_scan(png(IMAGE), mask, PARAMS)


def test_a_scans_own_window_is_used_where_it_is_asked_for(tmp_path):
    levels = (np.pad(np.arange(256, dtype=np.uint16).reshape(16, 16), 8) * 100).astype(np.uint16)
    rows = [(row(window_low=5000.0, window_high=10000.0), png(levels), None), (row(image_id="b"), png(levels), None)]
    asked = PARAMS.model_copy(update={"window_source": "dicom", "windows": [[0.0, 100.0], [0.0, 50.0]]})
    own, without = read_scans(rows, 2, asked, tmp_path).images
    percentiles = read_scan(png(levels), None, asked.model_copy(update={"window_source": "percentile"})).channels
    expected = np.clip(np.rint((read_scan(png(levels), None, asked).square - 5000.0) * 255 / 5000), 0, 255)
    np.testing.assert_array_equal(own[..., 0], expected)
    np.testing.assert_array_equal(own[..., 1], percentiles[..., 1])  # only the first window is replaced
    np.testing.assert_array_equal(without, percentiles)


def test_what_is_known_of_each_mask_stands_in_a_table(tmp_path):
    stored = [
        (row(image_id="all"), png(IMAGE), png(MASK // 255)),  # the whole head
        (row(image_id="none", frame=3, path="a/b.nii/0003.png"), png(IMAGE), png(MASK * 0)),
        (row(image_id="without"), png(IMAGE), None),
        (row(image_id="beside"), png(IMAGE), png(np.roll(MASK, 12))),
    ]
    known = read_scans(stored, 4, PARAMS, tmp_path).mask_facts
    assert known["image_id"].tolist() == ["all", "none", "beside"]
    assert known["values"].tolist() == ["0, 1", "0", "0, 255"]
    assert known["volume"].tolist() == ["", "s/a/b.nii", ""]
    assert known["most_of_head"].tolist() == [True, False, False]
    assert known["outside_head"].tolist() == [False, False, True]
    assert known["empty"].tolist() == [False, True, False]
