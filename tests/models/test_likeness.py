"""How far a picture's features lie from those of the training images."""

import dataclasses
import math

import numpy as np
import pytest

from brainmri.core.errors import ArtifactError
from brainmri.models.likeness import (
    Likeness,
    distances,
    learnt_likeness,
    read_likeness,
    unlikeness,
    usual_distances,
    write_likeness,
)

# About (10, 0), four each to the left, right, top and bottom: a variance of 8 along x, of 1/2 along y.
CROSS = np.repeat([[6.0, 0], [14, 0], [10, 1], [10, -1]], 4, axis=0)


def test_a_distance_is_counted_in_standard_deviations_of_its_direction():
    likeness = learnt_likeness(CROSS, np.zeros(16, int))
    np.testing.assert_allclose(likeness.centres[0], [[10, 0]], atol=1e-6)
    np.testing.assert_allclose(likeness.variances[0], [8, 0.5], rtol=1e-6)
    found, _ = distances(np.array([[10.0, 0], [14, 0], [10, 1], [10, -3], [14, 1]]), likeness)
    np.testing.assert_allclose(found, [0, 2**0.5, 2**0.5, 18**0.5, 2], rtol=1e-5)


def test_the_nearest_class_counts_and_its_spread_is_that_within_classes():
    likeness = learnt_likeness(np.concatenate([CROSS, CROSS + np.array([100, 0])]), np.repeat([0, 3], 16))
    np.testing.assert_allclose(likeness.variances[0], [8, 0.5], rtol=1e-6)
    found, _ = distances(np.array([[10.0, 0], [110, 0], [60, 0]]), likeness)
    np.testing.assert_allclose(found, [0, 0, 50 / 8**0.5], rtol=1e-5, atol=1e-6)


def test_the_second_distance_sees_proportions_alone():
    likeness = learnt_likeness(CROSS, np.zeros(16, int))
    (near, far), (one, other) = distances(np.array([[10.0, 1], [100, 10]]), likeness)
    assert far > 20 * near
    assert one == pytest.approx(other)
    assert np.isfinite(distances(np.zeros((1, 2)), likeness)).all()


def test_what_never_varied_is_far_but_not_endless():
    likeness = learnt_likeness(np.tile([1.0, 2, 0], (16, 1)), np.zeros(16, int))
    near, far = distances(np.array([[1.0, 2, 0], [1, 2, 1]]), likeness)[0]
    assert near == pytest.approx(0, abs=1e-3)
    assert 1e3 < far < math.inf


def test_the_larger_of_both_distances_counts_each_beside_what_is_usual():
    usual = dataclasses.replace(learnt_likeness(CROSS, np.zeros(16, int)), typical=np.array([2.0, 4]))
    np.testing.assert_array_equal(unlikeness(np.array([[2.0, 8, 1], [2, 2, 12]]), usual), [1, 4, 3])


def test_what_is_usual_is_the_middling_distance_and_never_nothing():
    np.testing.assert_allclose(usual_distances(np.array([[1.0, 5, 3], [0, 0, 9]])), [3, 1e-6], rtol=1e-6)


def test_what_is_known_of_training_images_is_written_alike_and_read_back(tmp_path):
    likeness = learnt_likeness(CROSS, np.zeros(16, int))
    for name in ("one.npz", "two.npz"):
        write_likeness(tmp_path / name, likeness)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    found = read_likeness(tmp_path / "one.npz")
    for part in dataclasses.fields(Likeness):
        np.testing.assert_array_equal(getattr(found, part.name), getattr(likeness, part.name))
    (tmp_path / "two.npz").write_bytes(b"PK no arrays")
    with pytest.raises(ArtifactError, match=r"two\.npz: should be what train wrote"):
        read_likeness(tmp_path / "two.npz")
    with pytest.raises(ArtifactError, match=r"none\.npz: no such file"):
        read_likeness(tmp_path / "none.npz")
