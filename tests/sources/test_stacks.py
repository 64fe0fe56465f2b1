"""A series falls into volumes by what differs, and not by how its numbers are rounded."""

import numpy as np
import pytest
from scan_files import CORONAL, SAGITTAL, dicom_bytes

from brainmri.core.errors import InputError
from brainmri.sources import stacks
from brainmri.sources.slicing import from_dicom

PIXELS = np.arange(6, dtype=np.uint16).reshape(2, 3)


def volumes(elements, step_mm=3):
    """The volumes of a series, a slice for each of `elements`, by default at even places."""
    files = []
    for at, own in enumerate(elements):
        place = {"ImagePositionPatient": [0, 0, step_mm * at]}
        files.append((f"{at}.dcm", dicom_bytes(PIXELS + np.uint16(at), **(place | own))))
    return from_dicom(files)


def tilt(cosine):
    return {"ImageOrientationPatient": ["1", cosine, "0", "0", "1", "0"]}


@pytest.mark.parametrize(
    "jitter",
    [
        [tilt("0.0004996" if at < 6 else "0.0005004") for at in range(12)],
        [tilt("0.0005004" if at % 3 else "0.0004996") for at in range(12)],
        [tilt(f"{at * 3e-4:.7f}") for at in range(12)],
        [{"EchoTime": "2.46" if at % 2 else "2.4600001"} for at in range(12)],
        [{"EchoTime": "30" if at % 2 else "30.0"} for at in range(12)],
        [{"PixelSpacing": ["0.46875", "0.46875"] if at % 2 else ["0.4688", "0.4688"]} for at in range(12)],
        [{"DiffusionBValue": 1000.0 + at % 2 * 1e-3} for at in range(12)],
        [{"TemporalPositionIdentifier": "1" if at % 2 else "01"} for at in range(12)],
        [{"TemporalPositionIdentifier": at} for at in range(12)],
        [{"ImageType": ["ORIGINAL", "PRIMARY", "M"] if at % 2 else ["ORIGINAL ", "PRIMARY", "M"]} for at in range(12)],
    ],
)
def test_rounding_leaves_a_series_whole(jitter):
    (volume,) = volumes(jitter)
    assert volume.levels.shape == (12, 2, 3)
    assert volume.spacing_mm[0] == pytest.approx(3)
    assert np.isfinite(volume.affine).all()


@pytest.mark.parametrize(
    "other",
    [
        {"EchoTime": "30"},
        {"TemporalPositionIdentifier": 2},
        {"DiffusionBValue": 1000.0},
        {"ImageType": ["ORIGINAL", "PRIMARY", "P"]},
        {"ImageOrientationPatient": list(SAGITTAL)},
        {"ImageOrientationPatient": list(CORONAL)},
        {"ImageOrientationPatient": None},
    ],
)
def test_what_differs_is_of_another_volume(other):
    assert [len(volume.levels) for volume in volumes([{}, other], step_mm=0)] == [1, 1]


def test_echoes_at_the_same_places_are_two_volumes():
    echoes = [{"EchoTime": ("5", "7.5")[at % 2], "ImagePositionPatient": [0, 0, 3 * (at // 2)]} for at in range(8)]
    assert [(len(volume.levels), volume.spacing_mm[0]) for volume in volumes(echoes)] == [(4, 3), (4, 3)]


def test_two_spacings_are_told_apart_where_they_lie_apart():
    spacings = [{"PixelSpacing": ["0.9", "0.9"] if at < 4 else ["0.8", "0.8"]} for at in range(8)]
    assert sorted(volume.spacing_mm for volume in volumes(spacings)) == [(3, 0.8, 0.8), (3, 0.9, 0.9)]


@pytest.mark.parametrize(
    "other",
    [
        {"PixelSpacing": ["0.8", "0.8"]},
        {"EchoTime": "30"},
        {"DiffusionBValue": 1000.0},
        {"ImageType": ["DERIVED", "PRIMARY", "M"]},
        {"Rows": 1, "PixelData": PIXELS[:1].tobytes()},
    ],
)
def test_volumes_that_lie_between_one_another_are_refused(other):
    with pytest.raises(InputError, match=r"^0\.dcm: slices of one series .* other values between one another"):
        volumes([other if at % 2 else {} for at in range(8)])


def test_a_single_picture_between_the_slices_is_a_volume_of_its_own():
    projection = {"ImageType": ["DERIVED", "SECONDARY", "MIP"], "ImagePositionPatient": [0, 0, 7]}
    assert sorted(len(volume.levels) for volume in volumes([*[{}] * 5, projection])) == [1, 5]


def test_times_at_one_place_are_volumes_and_may_move_with_the_head():
    scans = [
        {"TemporalPositionIdentifier": 1 + at // 4, "ImagePositionPatient": [0, 0, 3 * (at % 4) + 0.3 * (at // 4)]}
        for at in range(8)
    ]
    scans += [{"TemporalPositionIdentifier": 3, "ImagePositionPatient": [0, 0, 3 * at]} for at in range(4)]
    assert [(len(volume.levels), volume.spacing_mm[0]) for volume in volumes(scans)] == [(4, pytest.approx(3))] * 3


def test_more_volumes_than_any_scanner_measures_are_refused(monkeypatch):
    monkeypatch.setattr(stacks, "MAX_VOLUMES", 3)
    echoes = [{"EchoTime": f"{10 * at}", "ImagePositionPatient": [0, 0, 0]} for at in range(4)]
    assert len(volumes(echoes[:3])) == 3
    with pytest.raises(InputError, match="at most 3 volumes beside its times, received 4"):
        volumes(echoes)


def test_an_orientation_that_turns_little_by_little_is_refused():
    turned = np.radians(np.arange(40) * 0.25)
    fan = [{"ImageOrientationPatient": [f"{np.cos(a):.6f}", f"{np.sin(a):.6f}", "0", "0", "0", "-1"]} for a in turned]
    with pytest.raises(InputError, match="changes little by little from slice to slice"):
        volumes(fan)


def test_slices_without_orientation_stay_one_volume_without_a_grid():
    (volume,) = volumes([{"ImageOrientationPatient": None}] * 4)
    assert volume.levels.shape == (4, 2, 3)
    assert volume.plane == ""
    assert np.isnan(volume.affine).all()
    assert np.isnan(volume.spacing_mm[0])
