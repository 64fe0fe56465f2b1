"""What the page draws is where it should be: outlines, evidence, planes turned as radiologists see them."""

import numpy as np
import pytest
from scan_files import nifti_bytes

from brainmri.prediction import overlays
from brainmri.sources.slicing import from_nifti

WINDOW = (0.0, 100.0)


def test_a_picture_is_in_proportion_and_in_the_window():
    levels = np.array([[0, 50, 100, 150]] * 2, np.uint16)
    drawn = overlays.picture(levels, overlays.Look(WINDOW), spacing_mm=(2.0, 1.0))
    assert drawn.shape == (overlays.SIDE_PX, overlays.SIDE_PX, 3)
    assert drawn[5, [0, -1], 0].tolist() == [0, 255]
    assert abs(int(drawn[5, 240, 0]) - 128) <= 1
    assert overlays.picture(levels, overlays.Look(WINDOW)).shape == (overlays.SIDE_PX // 2, overlays.SIDE_PX, 3)


@pytest.mark.parametrize("opacity", [0.0, 0.5, 1.0])
def test_the_outline_lies_on_the_rim_of_the_mask_alone(opacity):
    mask = np.zeros((16, 16), bool)
    mask[4:12, 4:12] = True
    drawn = overlays.picture(np.zeros((16, 16), np.uint8), overlays.Look(WINDOW, outline=opacity), mask)
    rows, cols = np.nonzero(drawn.any(axis=2))
    if opacity == 0:
        assert not len(rows)
        return
    assert drawn[rows[0], cols[0]].tolist() == [round(opacity * part) for part in overlays.ORANGE]
    scale = overlays.SIDE_PX / 16
    assert (rows.min(), rows.max()) == (pytest.approx(4 * scale, abs=2), pytest.approx(12 * scale, abs=2))
    assert not drawn[overlays.SIDE_PX // 2, overlays.SIDE_PX // 2].any()


def test_an_unsure_outline_is_broken_and_lies_on_the_same_rim():
    mask = np.zeros((16, 16), bool)
    mask[4:12, 4:12] = True
    whole, broken = (
        overlays.picture(np.zeros((16, 16), np.uint8), overlays.Look(WINDOW), mask, unsure=unsure).any(axis=2)
        for unsure in (None, mask)
    )
    assert not (broken & ~whole).any()
    assert 0.4 < broken.sum() / whole.sum() < 0.6
    rows = whole.any(axis=1)
    assert (broken.any(axis=1) | ~rows).mean() > 0.9


def test_evidence_colours_where_it_is_and_nowhere_else():
    heat = np.zeros((16, 16), np.float32)
    heat[2:5, 2:5] = 1
    grey = np.full((16, 16), 50, np.uint8)
    plain = overlays.picture(grey, overlays.Look(WINDOW))
    drawn = overlays.picture(grey, overlays.Look(WINDOW, evidence=1.0), None, heat)
    changed = np.nonzero((drawn != plain).any(axis=2))
    scale = overlays.SIDE_PX // 16
    assert changed[0].min() >= scale
    assert changed[0].max() <= 6 * scale
    assert drawn[3 * scale + scale // 2, 3 * scale + scale // 2, 0] > 250


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_planes_are_turned_as_a_volume_acquired_in_them_would_be(plane):
    """A head acquired in one plane and looked at in another is what it would be, had it been acquired in that."""
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 1000, (5, 6, 7)).astype(np.int16)
    across = {"sagittal": 0, "coronal": 1, "axial": 2}
    seen = {}
    for name, axis in across.items():
        spacing = [1.0, 1.0, 1.0]
        spacing[axis] = 4.0  # the largest spacing tells the plane
        seen[name] = from_nifti(nifti_bytes(stored, np.diag([*spacing, 1.0])))
        assert seen[name].plane == name
    for own in across:
        turned = overlays.in_plane(seen[own].levels, own, plane)
        np.testing.assert_array_equal(turned, seen[plane].levels)
        spacing = overlays.spacing_in_plane(seen[own].spacing_mm, own, plane)
        back = overlays.spacing_in_plane(spacing, plane, own)
        assert back == seen[own].spacing_mm
        assert (spacing[0] == 4.0) == (own == plane)
