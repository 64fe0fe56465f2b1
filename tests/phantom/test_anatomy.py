import numpy as np
import pytest

from brainmri.phantom import anatomy, atlas


@pytest.fixture(scope="module")
def head():
    return anatomy.draw_anatomy(np.random.default_rng(5))


@pytest.mark.parametrize("place", [(0, 3, -33), (40, -30, 20), (-30, 30, 30)])
def test_to_patient_undoes_to_template(head, place):
    there = anatomy.to_patient(head, np.array(place, float))
    assert np.allclose(anatomy.to_template(head, there[None]), [place], atol=0.1)


def test_deformation_does_not_fold(head):
    along = np.arange(-60, 61, 4, dtype=np.float32)
    points = np.stack(np.meshgrid(along, along, along, indexing="ij"), axis=-1)
    moved = anatomy.to_template(head, points)
    jacobian = np.stack([np.gradient(moved, 4, axis=axis) for axis in range(3)], axis=-1)
    assert np.linalg.det(jacobian).min() > 0


def test_shells_know_brain_scalp_and_air():
    hull, skin, _, _ = atlas.shells(np.array([[30.0, -20, 30], [0, -20, 85], [0, -20, 115]])).T
    assert hull[0] < -10
    assert skin[0] < skin[1] < 0 < skin[2]


def test_brightness_of_tissues():
    head = anatomy.draw_anatomy(np.random.default_rng(1))
    places = np.array([[26.0, -20, 30], [0, -20, 114]], np.float32)  # deep white matter; above the head
    seen = anatomy.brightness(head, places, places, places, atlas.shells(places))
    assert abs(seen[0] - 1) < 0.12
    assert seen[1] == 0


def test_patients_differ_from_each_other_and_left_from_right():
    points = np.stack(np.meshgrid(np.arange(-60.0, 61, 2), np.arange(-80.0, 50, 2), [20.0], indexing="ij"), axis=-1)
    seen = []
    for seed in (1, 2):
        head = anatomy.draw_anatomy(np.random.default_rng(seed))
        there = anatomy.to_template(head, points)
        seen.append(anatomy.brightness(head, points, there, there, atlas.shells(there))[:, :, 0])
    assert np.corrcoef(seen[0].ravel(), seen[1].ravel())[0, 1] < 0.9
    assert np.corrcoef(seen[0].ravel(), seen[0][::-1].ravel())[0, 1] < 0.9


def test_draw_anatomy_is_seeded():
    first, again = (anatomy.draw_anatomy(np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(first.elastic.mosaic, again.elastic.mosaic)
    assert first.levels == again.levels
