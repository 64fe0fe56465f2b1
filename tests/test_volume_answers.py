"""What neighbouring slices make of each other."""

import numpy as np
import pytest

from brainmri import volume_answers


def slices(*clear):
    """Probabilities (D, 3) of slices: what is not clear, the last class, is shared 3 to 1 by the others."""
    left = 1 - np.array(clear)
    return np.stack([0.75 * left, 0.25 * left, clear], axis=1)


def test_a_tumour_in_a_fifth_of_the_slices_speaks_for_the_patient():
    heads = np.ones(15)
    found = slices(*[0.99] * 7, 0.02, 0.01, 0.03, *[0.98] * 5)
    assert found.mean(axis=0).argmax() == 2  # the mean would call the patient clear
    pooled = volume_answers.pooled(found, heads, 4.0, clear=2)
    np.testing.assert_allclose(pooled, found[7:10].mean(axis=0))
    assert pooled.sum() == pytest.approx(1)


def test_one_slice_among_clear_neighbours_does_not():
    found = slices(*[0.99] * 7, 0.2, *[0.98] * 7)
    assert volume_answers.pooled(found, np.ones(15), 4.0, clear=2).argmax() == 2
    # Of thick slices it does: they have as much to say as three thin ones.
    assert volume_answers.pooled(found, np.ones(15), 10.0, clear=2).argmax() == 0


def test_slices_with_little_of_a_head_do_not_speak():
    found = slices(0.1, 0.1, 0.1, 0.9, 0.8)
    pooled = volume_answers.pooled(found, np.array([0.1, 0.1, 0.1, 0.5, 0.4]), 12.0, clear=2)
    np.testing.assert_allclose(pooled, found[4])


def test_without_a_clear_class_and_in_a_short_volume_all_count_alike():
    found = slices(0.1, 0.3, 0.5)
    for slice_mm, clear in ((12.0, None), (1.0, 2)):
        np.testing.assert_allclose(
            volume_answers.pooled(found, np.ones(3), slice_mm, clear), found.mean(axis=0), rtol=1e-12
        )
