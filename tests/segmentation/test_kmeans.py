import itertools
import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from brainmri.core.errors import InputError, ParamsError
from brainmri.segmentation import kmeans


def histogram(levels):
    return np.bincount(np.asarray(levels).ravel(), minlength=256)


def spread(levels, k):
    """Summed squared distance of each pixel to the centre of its cluster."""
    centers, labels = kmeans.kmeans_levels(histogram(levels), k)
    return float(((np.asarray(levels, float) - centers[labels[levels]]) ** 2).sum())


def head(seed=0, size=128):
    """A noisy bright ring around a grey disc on black, 8-bit, as a slice of a head has them."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:size, :size] / size - 0.5
    radius = np.hypot(rows, cols)
    image = np.select([radius < 0.33, radius < 0.38, radius < 0.42], [110.0, 20, 210], 5) + rng.normal(
        0, 12, (size, size)
    )
    return image.clip(0, 255).astype(np.uint8)


def test_two_clusters_by_eye():
    centers, labels = kmeans.kmeans_levels(histogram([0, 0, 1, 10, 12, 12]), 2)
    assert centers == pytest.approx([1 / 3, 34 / 3])
    assert labels[[0, 1, 10, 12]].tolist() == [0, 0, 1, 1]
    assert labels[[5, 255]].tolist() == [0, 1]  # levels without pixels go with the next lower one


@settings(max_examples=60)
@given(st.lists(st.integers(0, 255), min_size=1, max_size=9), st.integers(1, 4))
def test_no_partition_is_better(levels, k):
    ranked = np.sort(np.array(levels, float))
    ways = itertools.combinations(range(1, len(ranked)), min(k, len(ranked)) - 1)
    best = min(sum(((run - run.mean()) ** 2).sum() for run in np.split(ranked, way)) for way in ways)
    assert spread(levels, k) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_spread_is_at_most_scikit_learns(k):
    image = head()
    with threadpool_limits(1):
        theirs = KMeans(k, n_init=3, random_state=0).fit(image.reshape(-1, 1).astype(float)).inertia_
    assert spread(image, k) <= theirs * (1 + 1e-9)


def test_labels_are_scikit_learns_for_two_clusters():
    image = head()
    with threadpool_limits(1):
        model = KMeans(2, n_init=10, tol=0, random_state=0).fit(image.reshape(-1, 1).astype(float))
    theirs = (model.labels_ == model.cluster_centers_.argmax()).reshape(image.shape)
    _, labels = kmeans.kmeans_levels(histogram(image), 2)
    np.testing.assert_array_equal(labels[image] == 1, theirs)


def test_twenty_times_faster_than_scikit_learn_on_pixels():
    images = [head(seed) for seed in range(8)]
    with threadpool_limits(1):
        start = time.process_time()
        for image in images:
            KMeans(2, n_init=10, random_state=0).fit(image.reshape(-1, 1).astype(np.float32))
        middle = time.process_time()
        for image in images * 10:
            kmeans.kmeans_levels(histogram(image), 2)
    theirs, ours = middle - start, (time.process_time() - middle) / 10
    assert theirs > 20 * ours


@pytest.mark.parametrize(("levels", "k", "expected"), [([7, 7], 3, [7]), ([3, 9, 9], 5, [3, 9]), ([3, 9], 1, [6])])
def test_fewer_levels_than_clusters(levels, k, expected):
    centers, labels = kmeans.kmeans_levels(histogram(levels), k)
    assert centers.tolist() == expected
    assert labels.max() == len(expected) - 1


def test_counts_of_a_large_volume_do_not_overflow():
    counts = np.zeros(256, np.int64)
    counts[[10, 200, 210]] = [2**40, 2**39, 2**39]
    centers, _ = kmeans.kmeans_levels(counts, 2)
    assert centers == pytest.approx([10, 205])


def test_bright_square_survives_and_specks_do_not():
    image = np.full((12, 12), 20, np.uint8)
    image[2:7, 3:8] = 200
    image[10, 10] = 255
    expected = np.zeros((12, 12), bool)
    expected[2:7, 3:8] = True
    np.testing.assert_array_equal(kmeans.segment(image, k=2, kernel=3, erosions=1, dilations=1), expected)


def test_steps_of_erosion_and_dilation():
    image = np.zeros((15, 15), np.uint8)
    image[3:12, 3:12] = 200
    size = lambda erosions, dilations: int(kmeans.segment(image, 2, 3, erosions, dilations).sum())  # noqa: E731
    assert [size(0, 0), size(1, 0), size(2, 0), size(2, 1), size(0, 1)] == [81, 49, 25, 49, 121]


def test_the_edge_of_the_frame_does_not_erode():
    image = np.zeros((9, 9), np.uint8)
    image[:5] = 200
    assert kmeans.segment(image, 2, 3, 1, 0).sum() == 4 * 9


def test_brightest_of_three_clusters():
    image = np.repeat(np.array([[10, 100, 200]], np.uint8), 3, axis=1).repeat(4, axis=0)
    np.testing.assert_array_equal(kmeans.segment(image, 3, 1, 0, 0), image == 200)
    np.testing.assert_array_equal(kmeans.segment(image, 7, 1, 0, 0), image == 200)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_constant_image_has_no_foreground(level):
    mask = kmeans.segment(np.full((5, 6), level, np.uint8), 2, 3, 1, 1)
    assert (mask.shape, mask.dtype, mask.any()) == ((5, 6), bool, False)


def test_agrees_with_the_long_way_round():
    image = head(3)
    _, labels = kmeans.kmeans_levels(histogram(image), 2)
    square = np.ones((5, 5), np.uint8)
    long_way = cv2.dilate(cv2.erode((labels[image] == 1).astype(np.uint8), square, iterations=2), square)
    np.testing.assert_array_equal(kmeans.segment(image, 2, 5, 2, 1), long_way.astype(bool))


def test_a_view_that_is_not_contiguous():
    image = head(4)
    np.testing.assert_array_equal(kmeans.segment(image.T, 2, 3, 1, 1).T, kmeans.segment(image, 2, 3, 1, 1))


@pytest.mark.parametrize(
    "wrong", [{"k": 1}, {"kernel": 4}, {"kernel": 0}, {"kernel": -1}, {"erosions": -1}, {"dilations": -1}]
)
def test_parameters_out_of_range(wrong):
    with pytest.raises(ParamsError, match="{}={}".format(*next(iter(wrong.items())))):
        kmeans.segment(head(), **({"k": 2, "kernel": 3, "erosions": 1, "dilations": 1} | wrong))


def test_images_and_histograms_of_another_kind():
    with pytest.raises(InputError, match=r"received float64 \(4, 4\)"):
        kmeans.segment(np.zeros((4, 4)), 2, 3, 1, 1)
    with pytest.raises(InputError, match=r"received uint8 \(4, 4, 3\)"):
        kmeans.segment(np.zeros((4, 4, 3), np.uint8), 2, 3, 1, 1)
    with pytest.raises(InputError, match="at least one pixel"):
        kmeans.kmeans_levels(np.zeros(256, int), 2)
    with pytest.raises(InputError, match=r"received \(255,\)"):
        kmeans.kmeans_levels(np.ones(255, int), 2)
    with pytest.raises(ParamsError, match="k should be at least 1, received 0"):
        kmeans.kmeans_levels(np.ones(256, int), 0)
