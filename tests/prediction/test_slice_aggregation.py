"""Slices agree with their neighbours, and the patient's answer is that of the slices in which a tumour is likeliest."""

import numpy as np
import pytest

from brainmri.prediction.slice_aggregation import consistent, smoothed, spoken_for, tissue


def slices(*tumours):
    """Return probabilities (D, 3): glioma, notumor, pituitary."""
    return np.array([[share, 1 - share, 0] for share in tumours], np.float32)


def pooled(by_slice, *given, **named):
    return by_slice[spoken_for(by_slice, *given, **named)].astype(float).mean(axis=0)


def test_a_few_slices_with_a_tumour_speak_for_the_patient():
    by_slice = slices(*[0.02] * 20, 0.9, 1.0, 0.8, *[0.02] * 20)
    found = pooled(by_slice, np.ones(43), slice_mm=3.4, no_tumour=1)
    assert found == pytest.approx([0.9, 0.1, 0])
    assert by_slice.mean(axis=0).argmax() == 1  # which is what the mean over all slices would say


def test_one_slice_in_ten_millimetres_does_not():
    found = pooled(slices(*[0.02] * 20, 1.0, *[0.02] * 20), np.ones(41), slice_mm=1, no_tumour=1)
    assert found == pytest.approx([0.118, 0.882, 0])


def test_slices_of_air_do_not_speak():
    shares = np.array([0.01, 0.2, 0.5, 0.4, 0.3, 0.02])
    found = pooled(slices(1, 1, 0.1, 0.1, 0.1, 1), shares, slice_mm=10, no_tumour=1)
    assert found == pytest.approx([0.1, 0.9, 0])


def test_without_a_class_for_no_tumour_it_is_the_mean():
    assert pooled(slices(0.2, 0.4, 0.6), np.ones(3), slice_mm=5, no_tumour=None) == pytest.approx([0.4, 0.6, 0])


def test_tissue_is_measured_on_the_whole_volume():
    rng = np.random.default_rng(0)
    volume = rng.integers(0, 20, (4, 32, 32)).astype(np.uint8)
    volume[1:3, 8:24, 8:24] = rng.integers(100, 200, (2, 16, 16))
    assert tissue(volume) == pytest.approx([0, 0.25, 0.25, 0])


def test_smoothing_goes_by_millimetres_and_keeps_the_sum():
    values = np.zeros((41, 2))
    values[20] = 1
    thin, thick = smoothed(values, 1.0), smoothed(values, 6.0)
    np.testing.assert_allclose(thin.sum(axis=0), 1)
    assert np.sqrt((thin[:, 0] * (np.arange(41) - 20) ** 2).sum()) == pytest.approx(2, rel=0.02)  # mm
    assert thick[20, 0] > 0.97
    assert smoothed(values[:3], 1e-6).shape == (3, 2)  # a spacing that cannot be true


def test_what_neighbours_or_the_classifier_speak_against_is_dropped():
    masks = np.zeros((6, 9, 9), bool)
    masks[0:3, 1, 1] = True  # seen in slice 2
    masks[3:6, 7, 7] = True  # in clear slices alone
    masks[2, 5, 5] = True  # in a single slice
    masks[1, 3, 3] = masks[2, 4, 4] = True  # corners touch, and (5, 5) with them
    clear = np.array([True, True, False, True, True, True])
    kept = consistent(masks, clear)
    expected = masks.copy()
    expected[3:6, 7, 7] = False
    np.testing.assert_array_equal(kept, expected)
    masks[1, 3, 3] = False
    expected[1, 3, 3] = expected[2, 4, 4] = expected[2, 5, 5] = False
    np.testing.assert_array_equal(consistent(masks, clear), expected)
    assert not consistent(masks, np.ones(6, bool)).any()
    one = masks[2:3]
    np.testing.assert_array_equal(consistent(one, np.array([False])), one)
    assert not consistent(np.zeros((4, 5, 5), bool), clear[:4]).any()
