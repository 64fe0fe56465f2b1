import numpy as np
import pytest

from brainmri.phantom import scanner
from brainmri.phantom.scanner import View


@pytest.mark.parametrize(
    ("plane", "corner"), [("axial", (-3, -13, 7)), ("coronal", (-3, 7, 5)), ("sagittal", (7, -19, 5))]
)
def test_view_points_start_at_the_left_and_the_front_or_top(plane, corner):
    points = scanner.view_points(View(plane, 7.0, 4, 2.0, (0.0, 0.0), 0.0))
    assert points[0, 0].tolist() == list(corner)


@pytest.mark.parametrize("plane", scanner.PLANES)
def test_view_points_are_spaced_as_stated_and_stay_in_their_plane(plane):
    points = scanner.view_points(View(plane, 7.0, 16, 0.9, (5.0, -3.0), 30.0))
    assert np.allclose(np.linalg.norm(np.diff(points, axis=0), axis=-1), 0.9, atol=1e-4)
    assert np.allclose(np.linalg.norm(np.diff(points, axis=1), axis=-1), 0.9, atol=1e-4)
    assert np.all(points[..., scanner.AXES[plane][2]] == 7)


def test_acquire_keeps_the_order_of_brightness_and_adds_noise_everywhere():
    truth = np.zeros((60, 60), np.float32)
    truth[:, 20:40], truth[:, 40:] = 0.5, 1.5
    stored = scanner.acquire(np.random.default_rng(3), truth, 1.0)
    means = [stored[:, left : left + 12].mean() for left in (4, 24, 44)]
    assert stored.dtype == np.uint8
    assert means[0] < means[1] < means[2]
    assert stored[:, 4:16].std() > 0
    assert means[0] > 0, "a magnitude image is never zero on average, not even in air"


def test_drawn_views_vary():
    rng = np.random.default_rng(0)
    views = [scanner.draw_view(rng, "axial", 0.0, 224) for _ in range(20)]
    assert len({view.spacing_mm for view in views}) > 15
    assert all(195 <= view.spacing_mm * 224 <= 245.2 for view in views)
