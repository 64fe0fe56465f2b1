"""Twins by thumbnail."""

import cv2
import numpy as np
import pytest

from brainmri import duplicates


def head_like(seed, side=96):
    """A smooth random picture with structure at the scale of a brain's."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((9, 9)).astype(np.float32)
    return (cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 1) * 255).astype(np.uint8)


def thumbnails(pictures):
    return np.stack([duplicates.thumbnail(picture) for picture in pictures])


def changed(picture):
    noisy = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    return {
        "re-encoded": cv2.imdecode(noisy, cv2.IMREAD_GRAYSCALE),
        "rescaled": cv2.resize(picture, (70, 70), interpolation=cv2.INTER_AREA),
        "brighter": np.clip(picture * 0.7 + 20, 0, 255).astype(np.uint8),
        "cropped": picture[1:-1, 1:-1],
        "mirrored": picture[:, ::-1].copy(),
    }


@pytest.mark.parametrize("change", ["re-encoded", "rescaled", "brighter", "cropped", "mirrored"])
def test_a_changed_copy_is_found_among_others(change):
    pictures = [head_like(seed) for seed in range(20)]
    pictures.append(changed(pictures[7])[change])
    first, second, similarity = duplicates.twin_pairs(thumbnails(pictures), 0.98, mirror=True)
    assert (first.tolist(), second.tolist()) == ([7], [20])
    assert similarity[0] > 0.98


def test_without_mirror_a_mirrored_copy_is_another_picture():
    picture = head_like(0)
    first, _, _ = duplicates.twin_pairs(thumbnails([picture, changed(picture)["mirrored"]]), 0.98, mirror=False)
    assert len(first) == 0


def test_blocks_give_what_all_pairs_give(monkeypatch):
    monkeypatch.setattr(duplicates, "BLOCK", 7)
    vectors = thumbnails([head_like(seed % 9) for seed in range(30)])
    first, second, _ = duplicates.twin_pairs(vectors, 0.98, mirror=True)
    flipped = vectors.reshape(30, 32, 32)[:, :, ::-1].reshape(30, -1)
    expected = np.argwhere(np.triu(np.maximum(vectors @ vectors.T, vectors @ flipped.T) > 0.98, 1))
    np.testing.assert_array_equal(np.stack([first, second], 1), expected)


def test_constant_images_are_no_twins_of_anything():
    flat = np.full((32, 32), 9, np.uint8)
    assert not duplicates.thumbnail(flat).any()
    assert len(duplicates.twin_pairs(thumbnails([flat, flat]), 0.98, mirror=True)[0]) == 0


def test_groups_are_chains_of_pairs():
    groups = duplicates.groups(6, np.array([0, 1, 4]), np.array([1, 3, 5]))
    assert groups[0] == groups[1] == groups[3]
    assert groups[4] == groups[5]
    assert len(set(groups)) == 3
