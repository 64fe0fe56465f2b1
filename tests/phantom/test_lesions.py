from dataclasses import replace

import numpy as np
import pytest

from brainmri.phantom import anatomy, atlas, lesions


@pytest.fixture(scope="module")
def head():
    return anatomy.draw_anatomy(np.random.default_rng(5))


def inside(lesion, head):
    points = lesions.inner_places(lesion, head)
    return points, atlas.shells(anatomy.to_template(head, points))[:, 0]


@pytest.mark.parametrize("kind", lesions.KINDS)
def test_volume_is_near_that_of_the_ellipsoid(head, kind):
    drawn = lesions.draw_lesion(np.random.default_rng(2), kind, head)
    ball = replace(drawn, axes=np.eye(3), rough=0.0, centre_mm=anatomy.to_patient(head, np.array([35.0, -25, 25])))
    ball = replace(ball, template_mm=np.array([35.0, -25, 25]), radius_mm=12.0)
    voxel = (3.2 * ball.radius_mm / 24) ** 3
    expected = 4 / 3 * np.pi * ball.radius_mm**3
    assert len(lesions.inner_places(ball, head)) * voxel == pytest.approx(expected, rel=0.04)


def test_every_kind_grows_where_it_should(head):
    rng = np.random.default_rng(0)
    for _ in range(10):
        _, hull = inside(lesions.draw_lesion(rng, "glioma", head), head)
        assert hull.max() < 0, "a glioma stays inside the brain"
        _, hull = inside(lesions.draw_lesion(rng, "meningioma", head), head)
        assert hull.max() < 2, "a meningioma does not cross the skull"
        points, _ = inside(lesions.draw_lesion(rng, "pituitary", head), head)
        sella = anatomy.to_patient(head, atlas.SELLA_MM)
        assert np.linalg.norm(points.mean(axis=0) - sella) < 8


@pytest.mark.parametrize(("kind", "low", "high"), [("glioma", 20, 75), ("meningioma", 18, 65), ("pituitary", 10, 25)])
def test_sizes_are_those_of_real_tumours(head, kind, low, high):
    for seed in range(8):
        points = lesions.inner_places(lesions.draw_lesion(np.random.default_rng(seed), kind, head), head)
        assert low < np.ptp(points, axis=0).max() < high


def test_glioma_has_a_bright_ring_a_dark_core_and_oedema_outside_its_mask(head):
    glioma = lesions.draw_lesion(np.random.default_rng(3), "glioma", head)
    share = np.array([0.2, 0.95, 1.2, 2.5], np.float32)
    seen = lesions.paint(glioma, head, np.ones(4, np.float32), share, np.zeros((4, 3), np.float32))
    assert seen[1] > 1.3 > 1 > seen[0]
    assert seen[2] < 1
    assert seen[3] == 1


def test_meningioma_is_bright_and_even(head):
    tumour = lesions.draw_lesion(np.random.default_rng(3), "meningioma", head)
    points = lesions.inner_places(tumour, head)
    seen = lesions.paint(tumour, head, np.ones(len(points), np.float32), np.full(len(points), 0.5, np.float32), points)
    assert seen.mean() == pytest.approx(tumour.level, rel=0.02)
    assert seen.std() / seen.mean() < 0.05


def test_push_aside_keeps_volume_and_direction(head):
    tumour = replace(lesions.draw_lesion(np.random.default_rng(3), "glioma", head), radius_mm=10.0, push=0.5)
    out = tumour.template_mm + np.array([[20.0, 0, 0]])
    moved = lesions.push_aside(tumour, out.astype(np.float32)) - tumour.template_mm
    # 20³ mm³ of room less the 500 mm³ (over 4π/3) that the tumour has pushed away.
    assert np.allclose(moved, [[(20**3 - 0.5 * 10**3) ** (1 / 3), 0, 0]], atol=1e-3)


def test_draws_are_seeded(head):
    first, again, other = (lesions.draw_lesion(np.random.default_rng(s), "glioma", head) for s in (4, 4, 5))
    assert np.array_equal(first.centre_mm, again.centre_mm)
    assert not np.array_equal(first.centre_mm, other.centre_mm)
