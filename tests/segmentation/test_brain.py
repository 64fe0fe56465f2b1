"""Finding the brain, on drawn heads and on slices of the phantom."""

import cv2
import numpy as np
import pytest
import yaml
from conftest import PARAMS
from scipy import ndimage, spatial

from brainmri.core.errors import ParamsError
from brainmri.core.params import check
from brainmri.preprocessing.head import head
from brainmri.segmentation import brain


@pytest.fixture(scope="module")
def params():
    return check(
        yaml.safe_load(PARAMS.read_text())["segment"]["kmeans_brain"]["brain"], brain.BrainParams, "segment.brain"
    )


def draw_head(side=128, neck=True):
    """Scalp, skull, brain and an uneven neck; return image, (side, side) uint8, and the brain."""
    rng = np.random.default_rng(0)
    unit, centre = side / 128, (side // 2, round(side * 0.45))
    axes = lambda a, b: (round(a * unit), round(b * unit))  # noqa: E731
    image = np.zeros((side, side), np.uint8)
    if neck:
        image[round(95 * unit) :, round(40 * unit) : round(88 * unit)] = 90
        patches = cv2.resize(rng.uniform(0, 255, (24, 24)), (side, side), interpolation=cv2.INTER_NEAREST)
        image = np.where(image > 0, patches, 0).astype(np.uint8)
    for size, level in (((44, 52), 220), ((40, 48), 15), ((36, 44), 100)):
        cv2.ellipse(image, centre, axes(*size), 0, 0, 360, level, -1)
    inside = np.zeros_like(image)
    cv2.ellipse(inside, centre, axes(36, 44), 0, 0, 360, 1, -1)
    return np.clip(image + rng.normal(0, 4, image.shape) * (image > 0), 0, 255).astype(np.uint8), inside > 0


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize(("side", "neck"), [(128, True), (128, False), (256, True)])
def test_brain_of_a_drawn_head(params, side, neck):
    image, inside = draw_head(side, neck)
    found = brain.find_brain(image, params)
    assert found.level == pytest.approx(100, abs=3)
    assert dice(found.hull, inside) > 0.95
    assert found.weight[inside].mean() > 0.9
    scalp = image > 190
    assert not (found.hull & scalp).any()


def test_a_tumour_at_the_border_stays_in(params):
    image, inside = draw_head()
    tumour = np.zeros_like(image)
    cv2.circle(tumour, (92, 58), 9, 1, -1)
    tumour = (tumour > 0) & inside
    image[tumour] = 230
    found = brain.find_brain(image, params)
    assert (found.weight > 0.25)[tumour].mean() > 0.95


def test_commonest_level_is_not_that_of_a_large_bright_tumour():
    smooth = np.full((64, 64), 80, np.float32)
    smooth[20:40, 20:44] = 250
    outside = cv2.distanceTransform(np.pad(np.ones((62, 62), np.uint8), 1), cv2.DIST_L2, 5)
    assert brain.brain_level(smooth, outside) == pytest.approx(80, abs=1)


def test_commonest_level_is_not_that_of_much_water():
    smooth = np.full((60, 60), 30, np.float32)
    smooth[:, 27:] = np.linspace(90, 150, 33)  # spread out, so that no level of it is as common
    assert brain.brain_level(smooth, np.ones((60, 60), np.float32)) > 60


def test_the_rim_is_no_brain(params):
    image, _ = draw_head(neck=False)
    depth = ndimage.distance_transform_edt(head(image))
    inside = brain.find_brain(image, params).inside
    assert not inside[depth < params.rim - 1].any()
    assert inside[depth > params.rim + 1].all()


def test_of_two_alike_the_upper_is_the_brain(params):
    image = np.zeros((128, 128), np.uint8)
    cv2.rectangle(image, (20, 4), (108, 124), 210, -1)
    for row in (34, 94):
        cv2.circle(image, (64, row), 27, 10, -1)
        cv2.circle(image, (64, row), 23, 90, -1)
    found = brain.find_brain(image, params)
    assert np.nonzero(found.hull)[0].mean() == pytest.approx(34, abs=3)
    assert found.weight[34, 64] > 0.9
    assert found.weight[94, 64] < 0.1


def test_parts_are_joined_over_tissue_alone(params):
    hull, part = np.zeros((2, 40, 40), np.uint8)
    hull[5:25, 5:15] = 1
    part[24:29, 5:35] = 1
    everywhere, nowhere = np.ones((40, 40), bool), (hull | part) > 0
    both = brain.convex_hull(hull | part)
    np.testing.assert_array_equal(brain._joined(hull, part, everywhere, 1, params), both)
    np.testing.assert_array_equal(brain._joined(hull, part, nowhere, 1, params), hull)
    far = np.roll(part, 10, axis=0)
    np.testing.assert_array_equal(brain._joined(hull, far, everywhere, 1, params), hull)


@pytest.mark.parametrize("level", [0, 10, 255])
def test_no_head_no_brain(params, level):
    assert brain.find_brain(np.full((64, 64), level, np.uint8), params) is None


def test_a_head_without_even_tissue_has_no_brain(params):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    assert brain.find_brain(noise, params) is None


def test_disc_is_round_and_at_least_one_pixel():
    assert brain.disc(0.2).tolist() == [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    assert brain.disc(4.4).shape == (9, 9)


@pytest.mark.parametrize("seed", range(3))
def test_convex_hull_is_scipys(seed):
    mask = ndimage.binary_dilation(np.random.default_rng(seed).random((30, 30)) > 0.99, iterations=2)
    points = np.argwhere(mask)
    triangles = spatial.Delaunay(points)
    theirs = (triangles.find_simplex(np.argwhere(np.ones_like(mask))) >= 0).reshape(mask.shape)
    ours = brain.convex_hull(mask.astype(np.uint8)) > 0
    assert not (theirs & ~ours).any()
    assert not (ours & ~ndimage.binary_dilation(theirs)).any()  # OpenCV draws the pixels that the edge cuts too


def test_params_out_of_range(params):
    with pytest.raises(ParamsError, match=r"joined should be less than or equal to 1, received 1\.5"):
        check({**params.model_dump(), "joined": 1.5}, brain.BrainParams, "brain")
