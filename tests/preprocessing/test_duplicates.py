"""Copies and neighbours by thumbnail."""

from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainmri.core.params import check
from brainmri.phantom import simulated_set
from brainmri.preprocessing import duplicates
from brainmri.preprocessing.image_params import ImageParams
from brainmri.preprocessing.scans import scan_of

PARAMS = ImageParams(size=128, fit="pad", window_source="percentile", windows=[[1, 99]])
SECTION = {"seed": 5, "patients": {"train": 8, "test": 4}, "slices": 3, "size": [160, 200], "jpeg_quality": [80, 95]}


@cache
def slices():
    """Simulated slices without planted twins, and the patient of each."""
    section = check(SECTION | {"twins": 0}, simulated_set.PhantomParams, "test")
    images = list(simulated_set.simulate(section))
    pictures = [cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_GRAYSCALE) for image in images]
    return pictures, np.array([image.patient for image in images]), np.array([image.plane for image in images])


def thumbnails(pictures):
    """Both thumbnails of pictures as they come from a file, each (N, 1024)."""
    scans = [scan_of(picture, "L", PARAMS) for picture in pictures]
    plain = np.stack([duplicates.thumbnail(scan.square) for scan in scans])
    return plain, np.stack([duplicates.centred_thumbnail(scan.channels[..., 0]) for scan in scans])


@cache
def originals():
    return thumbnails(slices()[0])


def jpeg(picture, quality):
    encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)


def resized(picture, factor):
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=method)


def cropped(picture, share):
    """Cut a share of the side off, half of it at each end."""
    edge = round(len(picture) * share / 2)
    return picture[edge:-edge, edge:-edge]


CHANGES = {
    "JPEG of quality 50": lambda picture: jpeg(picture, 50),
    "half as large": lambda picture: resized(picture, 0.5),
    "twice as large": lambda picture: resized(picture, 2),
    "mirrored": lambda picture: picture[:, ::-1].copy(),
    "darker": lambda picture: (picture * 0.7).astype(np.uint8),
    "all of it": lambda picture: jpeg(resized(picture[:, ::-1], 0.7), 60),
    "2 % cropped": lambda picture: cropped(picture, 0.02),
}


@pytest.mark.slow  # simulates its slices
@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_changed_copy_of_a_slice_is_found(change):
    pictures, _, _ = slices()
    plain, centred = thumbnails([CHANGES[change](picture) for picture in pictures])
    found = set()
    for before, after in zip(originals(), (plain, centred), strict=True):
        first, second, _ = duplicates.similar_pairs(np.concatenate([before, after]), 0.98, mirror=True)
        found |= set(zip(first.tolist(), second.tolist(), strict=True))
    between = {(a, b) for a, b in found if a < len(pictures) <= b}
    hits = {(a, b) for a, b in between if b == a + len(pictures)}
    assert between == hits  # nothing else looks like them
    # Of crops a few escape, see docs/twins.md; of the other changes none does.
    assert len(hits) >= (0.9 if "cropped" in change else 1) * len(pictures)


@pytest.mark.slow
def test_the_plain_thumbnail_alone_misses_crops():
    pictures, _, _ = slices()
    plain, _ = thumbnails([cropped(picture, 0.02) for picture in pictures])
    similarity = (originals()[0] * plain).sum(1)
    assert (similarity > 0.98).mean() < 0.8


@pytest.mark.slow
def test_slices_of_different_patients_at_the_same_level_are_neither_twins_nor_neighbours():
    _, patients, planes = slices()
    for vectors, threshold in zip(originals(), (0.98, 0.94), strict=True):
        first, second, _ = duplicates.similar_pairs(vectors, 0.5, mirror=True)
        strangers = (patients[first] != patients[second]) & (planes[first] == planes[second])
        assert strangers.sum() > 100  # they are compared
        first, second, _ = duplicates.similar_pairs(vectors, threshold, mirror=True)
        assert (patients[first] == patients[second]).all()


@pytest.mark.slow
def test_without_mirror_a_mirrored_copy_is_another_picture():
    picture = slices()[0][0]
    vectors = thumbnails([picture, picture[:, ::-1].copy()])[0]
    assert len(duplicates.similar_pairs(vectors, 0.98, mirror=False)[0]) == 0
    assert len(duplicates.similar_pairs(vectors, 0.98, mirror=True)[0]) == 1


def all_pairs(vectors, threshold, mirror):
    """What is searched, by computing everything."""
    flipped = vectors.reshape(-1, 32, 32)[:, :, ::-1].reshape(vectors.shape)
    similarity = vectors @ vectors.T
    if mirror:
        similarity = np.maximum(similarity, vectors @ flipped.T)
    return np.argwhere(np.triu(similarity > threshold, 1))


@pytest.mark.slow
@pytest.mark.parametrize("mirror", [True, False])
@pytest.mark.parametrize("frequencies", [2, 16, 32])
@pytest.mark.parametrize("threshold", [0.6, 0.75])
def test_the_bound_and_the_blocks_lose_no_pair(monkeypatch, mirror, frequencies, threshold):
    monkeypatch.setattr(duplicates, "BLOCK", 7)
    monkeypatch.setattr(duplicates, "EXACT_AT_ONCE", 5)
    monkeypatch.setattr(duplicates, "FREQUENCIES", frequencies)
    vectors = originals()[0]
    first, second, _ = duplicates.similar_pairs(vectors, threshold, mirror)
    expected = all_pairs(vectors, threshold, mirror)
    assert len(expected) > 10
    np.testing.assert_array_equal(np.stack([first, second], 1), expected)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.6), st.booleans(), st.sampled_from([4, 8, 32]))
def test_pictures_of_noise_lose_no_pair_either(seed, threshold, mirror, grains):
    rng = np.random.default_rng(seed)
    pictures = (
        rng.integers(0, 256, (12, grains, grains), dtype=np.uint8).repeat(32 // grains, 1).repeat(32 // grains, 2)
    )
    pictures[6:] = (pictures[:6] * rng.uniform(0.2, 1, (6, 32, 32))).astype(np.uint8)
    pictures[9:] = pictures[9:, :, ::-1].copy()
    vectors = np.stack([duplicates.thumbnail(picture) for picture in pictures])
    first, second, _ = duplicates.similar_pairs(vectors, threshold, mirror)
    np.testing.assert_array_equal(np.stack([first, second], 1), all_pairs(vectors, threshold, mirror))


def test_the_centred_thumbnail_does_not_see_where_the_head_is_nor_how_large():
    small, large = np.zeros((128, 128), np.uint8), np.zeros((128, 128), np.uint8)
    small[20:40, 30:60] = 90
    small[25:35, 35:45] = 200
    large[50:90, 60:120] = 90
    large[60:80, 70:90] = 200
    one, other = duplicates.centred_thumbnail(small), duplicates.centred_thumbnail(large)
    assert one @ other > 0.99
    assert duplicates.thumbnail(small) @ duplicates.thumbnail(large) < 0.1
    assert np.linalg.norm(one) == pytest.approx(1)


def test_constant_images_are_no_twins_of_anything_by_their_pixels():
    flat = np.full((32, 32), 9, np.uint8)
    dark = np.zeros((32, 32), np.uint8)
    assert not duplicates.thumbnail(flat).any()
    assert not duplicates.centred_thumbnail(flat).any()
    assert not duplicates.centred_thumbnail(dark).any()
    both = np.stack([duplicates.thumbnail(flat), duplicates.thumbnail(flat)])
    assert len(duplicates.similar_pairs(both, 0.98, mirror=True)[0]) == 0


def test_a_single_bright_pixel_has_a_thumbnail():
    dot = np.zeros((64, 64), np.uint8)
    dot[0, 0] = 255
    assert np.linalg.norm(duplicates.centred_thumbnail(dot)) == pytest.approx(1)


def test_equal_values_are_paired_with_the_first_of_their_kind():
    first, second = duplicates.equal_pairs(np.array(["b", "a", "b", "c", "b"]))
    assert (first.tolist(), second.tolist()) == ([0, 0], [2, 4])


def test_digests_tell_pixels():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert duplicates.digest(pixels) == duplicates.digest(pixels.copy())
    assert duplicates.digest(pixels[:, ::-1]) == duplicates.digest(pixels[:, ::-1].copy())
    assert duplicates.digest(pixels) != duplicates.digest(pixels[:, ::-1])


def test_groups_are_chains_of_pairs():
    groups = duplicates.groups(6, np.array([0, 1, 4]), np.array([1, 3, 5]))
    assert groups[0] == groups[1] == groups[3]
    assert groups[4] == groups[5]
    assert len(set(groups)) == 3
