"""K-means in the brain, on drawn heads whose tumour is known and on the phantom."""

import cv2
import numpy as np
import pytest
import yaml
from conftest import PARAMS
from scipy import ndimage
from test_brain import dice, draw_head

from brainmri.core.errors import InputError, ParamsError
from brainmri.core.params import check
from brainmri.segmentation import kmeans_brain


@pytest.fixture(scope="module")
def params():
    section = yaml.safe_load(PARAMS.read_text())["segment"]["kmeans_brain"]
    return check(section, kmeans_brain.KMeansBrainParams, "segment.kmeans_brain")


def with_spot(column, row, radius, level=200, core=None, side=128):
    image, _ = draw_head(side)
    mask = np.zeros_like(image)
    cv2.circle(mask, (column, row), radius, 1, -1)
    image[mask > 0] = level
    if core is not None:
        cv2.circle(image, (column, row), radius - 3, core, -1)
    return image, mask > 0


@pytest.mark.parametrize(
    ("spot", "least"),
    [
        ((50, 40, 8), 0.9),  # in the brain
        ((50, 40, 8, 200, 40), 0.9),  # a bright rim about a dark core: both are tumour
        ((93, 58, 7), 0.8),  # at the brain's border
        ((64, 60, 4), 0.8),  # small, on the midline
    ],
)
def test_a_bright_spot_is_found(params, spot, least):
    image, mask = with_spot(*spot)
    assert dice(kmeans_brain.segment(image, params), mask) > least


def test_twice_the_pixels_give_the_same_answer(params):
    small, mask = with_spot(50, 40, 8)
    large, large_mask = with_spot(100, 80, 16, side=256)
    assert dice(kmeans_brain.segment(large, params), large_mask) > 0.9
    assert dice(kmeans_brain.segment(small, params), mask) > 0.9


def test_scalp_is_no_candidate(params):
    image, mask = with_spot(50, 40, 8)
    assert all(not (each.mask & (image > 210) & ~mask).any() for each in kmeans_brain.candidates(image, params))


def test_the_odd_one_out_wins_over_a_pair(params):
    """Of three equal spots the two that mirror each other are likely anatomy."""
    image, mask = with_spot(46, 34, 6)
    for column in (46, 82):
        cv2.circle(image, (column, 66), 6, 200, -1)
    found = kmeans_brain.candidates(image, params)
    assert dice(found[0].mask, mask) > 0.8
    flat = params.model_copy(update={"weights": params.weights.model_copy(update={"symmetry": 0.0})})
    gap = [_best(kmeans_brain.candidates(image, each), mask) for each in (params, flat)]
    assert gap[0] > gap[1]


def _best(found, mask):
    """Score of the best candidate on the mask above that of the best elsewhere."""
    here = [each.score for each in found if dice(each.mask, mask) > 0.5]
    there = [each.score for each in found if not (each.mask & mask).any()]
    return max(here) - max(there)


def test_evidence_guides_the_choice(params):
    image, first = with_spot(46, 34, 6)
    second = np.zeros_like(image)
    cv2.circle(second, (80, 70), 6, 1, -1)
    image[second > 0] = 200
    for wanted in (first, second > 0):
        evidence = cv2.GaussianBlur(wanted.astype(np.float32), (0, 0), 2)
        assert dice(kmeans_brain.segment(image, params, evidence), wanted) > 0.8


def test_candidates_are_connected_without_holes_and_ranked(params):
    image, _ = with_spot(50, 40, 8, 200, 40)
    found = kmeans_brain.candidates(image, params)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    for each in found:
        assert ndimage.label(each.mask)[1] == 1
        assert each.mask.sum() >= params.smallest_px
    np.testing.assert_array_equal(ndimage.binary_fill_holes(found[0].mask), found[0].mask)


def test_an_even_brain_has_no_tumour(params):
    image, _ = draw_head()
    assert not kmeans_brain.segment(image, params).any()


def test_lowest_score_empties_the_mask(params):
    image, _ = with_spot(50, 40, 8)
    best = kmeans_brain.candidates(image, params)[0].score
    strict, loose = (params.model_copy(update={"lowest_score": best + step}) for step in (0.01, -0.01))
    assert not kmeans_brain.segment(image, strict).any()
    assert kmeans_brain.segment(image, loose).any()


@pytest.mark.parametrize("level", [0, 7, 255])
def test_constant_image(params, level):
    image = np.full((32, 32), level, np.uint8)
    assert kmeans_brain.candidates(image, params) == []
    assert kmeans_brain.segment(image, params).shape == (32, 32)


def test_thresholds_by_eye(params):
    counts = np.zeros(256, int)
    counts[[50, 100, 101, 180, 230]] = [100, 900, 100, 40, 30]
    found = kmeans_brain.thresholds(counts, 112.0, params)
    assert found == [180, 230]  # where a cluster begins; 181, a level without pixels, is never one
    assert kmeans_brain.thresholds(counts, 240.0, params) == []


@pytest.mark.slow
def test_finds_most_tumours_of_the_phantom(params):
    from brainmri.phantom.simulated_set import PhantomParams, simulate
    from brainmri.preprocessing.image_params import ImageParams
    from brainmri.preprocessing.scans import read_scan

    section = yaml.safe_load(PARAMS.read_text())
    drawn = {"seed": 3, "patients": {"train": 12, "test": 4}, "slices": 3, "twins": 0}
    phantom = check({**section["fetch"]["phantom"], **drawn}, PhantomParams, "phantom")
    images = check({key: section["preprocess"][key] for key in ImageParams.model_fields}, ImageParams, "preprocess")
    scores = []
    for image in simulate(phantom):
        scan = read_scan(image.data, image.mask_data, images)
        if scan.mask is not None and scan.mask.any():
            scores.append(dice(kmeans_brain.segment(np.ascontiguousarray(scan.channels[..., 0]), params), scan.mask))
    assert len(scores) > 20
    assert np.mean(scores) > 0.6


def test_refuses_other_images(params):
    with pytest.raises(InputError, match=r"square and 8-bit grey, \(S, S\) uint8, received uint8 \(4, 5\)"):
        kmeans_brain.segment(np.zeros((4, 5), np.uint8), params)
    with pytest.raises(InputError, match=r"received float64 \(4, 4\)"):
        kmeans_brain.segment(np.zeros((4, 4)), params)
    with pytest.raises(InputError, match=r"image's shape \(32, 32\), received \(16, 16\)"):
        kmeans_brain.segment(np.zeros((32, 32), np.uint8), params, np.zeros((16, 16)))


def test_unknown_weight_is_refused(params):
    values = params.model_dump()
    values["weights"]["colour"] = 1.0
    with pytest.raises(ParamsError, match=r"weights\.colour is not a known key"):
        check(values, kmeans_brain.KMeansBrainParams, "segment.kmeans_brain")
