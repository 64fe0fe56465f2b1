"""Figures of scan quality."""

import cv2
import numpy as np
import pytest
from scipy import ndimage, stats

from brainmri.core.index import QUALITY
from brainmri.preprocessing import head as module
from brainmri.preprocessing.images import eight_bit, level_counts

EVERYWHERE = np.ones((64, 64), bool)


def quality(image, inside):
    return module.quality(image, inside, level_counts(image, inside), level_counts(eight_bit(image), inside))


def test_noise_estimate_finds_the_noise_that_was_put_in():
    noisy = 120 + np.random.default_rng(0).normal(0, 5, (64, 64))
    assert quality(noisy.astype(np.uint8), EVERYWHERE)["snr"] == pytest.approx(120 / 5, rel=0.05)


def test_contrast_and_entropy_of_two_levels():
    image = np.full((64, 64), 50, np.uint8)
    image[:32] = 150
    figures = quality(image, EVERYWHERE)
    assert figures["contrast"] == pytest.approx((150 - 50) / (150 + 50))
    assert figures["entropy_bits"] == pytest.approx(1)


def test_blur_lowers_sharpness():
    sharp = np.kron(np.indices((16, 16)).sum(0) % 2, np.ones((4, 4))).astype(np.uint8) * 200
    blurred = cv2.GaussianBlur(sharp, (5, 5), 0)
    assert quality(blurred, EVERYWHERE)["sharpness"] < 0.7 * quality(sharp, EVERYWHERE)["sharpness"]


def test_shares_of_the_head_and_of_clipped_pixels():
    image = np.full((4, 4), 10, np.uint8)
    image[0, 0] = 255
    inside = np.zeros((4, 4), bool)
    inside[:2, :2] = True
    figures = quality(image, inside)
    assert figures["head_fraction"] == 0.25
    assert figures["clipped_fraction"] == 0.25


def test_an_empty_head_has_no_figures():
    figures = quality(np.zeros((4, 4), np.uint8), np.zeros((4, 4), bool))
    assert set(figures) == set(QUALITY)
    assert figures.pop("head_fraction") == 0
    assert np.isnan(list(figures.values())).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_figures_agree_with_numpy_and_scipy(dtype):
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, np.iinfo(dtype).max, (40, 40)).astype(dtype), (5, 5), 0)
    inside = np.zeros((40, 40), bool)
    inside[5:30, 8:35] = True
    values, levels = image[inside].astype(float), eight_bit(image)[inside]
    second = np.array([1, -2, 1])
    noise = np.abs(ndimage.convolve(image.astype(float), np.outer(second, second), mode="mirror"))[inside].mean()
    edges = ndimage.laplace(image.astype(float), mode="mirror")[inside]
    low, high = (np.sort(levels)[int(np.ceil(share * levels.size)) - 1].astype(int) for share in (0.05, 0.95))
    figures = quality(image, inside)
    assert figures["snr"] == pytest.approx(values.mean() / (np.sqrt(np.pi / 2) / 6 * noise), rel=1e-4)
    assert figures["sharpness"] == pytest.approx(edges.var() / values.var(), rel=1e-4)
    assert figures["entropy_bits"] == pytest.approx(stats.entropy(np.bincount(levels), base=2))
    assert figures["contrast"] == pytest.approx((high - low) / (high + low))
