"""A classifier's answer for images on disk."""

import dataclasses
import math
import shutil

import numpy as np
import pytest

from brainmri.core.errors import ArtifactError
from brainmri.core.index import read_split
from brainmri.models import classifier as classifiers
from brainmri.models.classifier import (
    Likeness,
    class_probabilities,
    distances,
    learnt_likeness,
    load_classifier,
    looked_at,
    read_likeness,
    unlikeness,
    usual_distances,
    write_likeness,
)

pytestmark = pytest.mark.slow
# About (10, 0), four each to the left, right, top and bottom: a variance of 8 along x, of 1/2 along y.
CROSS = np.repeat([[6.0, 0], [14, 0], [10, 1], [10, -1]], 4, axis=0)


def test_probabilities_do_not_depend_on_the_size_of_a_batch(classifier, processed, monkeypatch):
    loaded = load_classifier(classifier)
    images = read_split(processed / "test").images
    whole = class_probabilities(loaded, images)
    monkeypatch.setattr(classifiers, "BATCH", 3)
    np.testing.assert_allclose(class_probabilities(loaded, images), whole, atol=1e-6)
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-6)


def test_the_answer_is_the_mean_of_both_sides_at_the_temperature(classifier, processed):
    loaded = dataclasses.replace(load_classifier(classifier), temperature=2.0)
    images = read_split(processed / "test").images[:2]
    pictures = images.astype(np.float32) / 255
    one, other = (np.asarray(loaded.model(view)) for view in (pictures, pictures[:, :, ::-1]))
    assert np.abs(one - other).max() > 1e-4
    mean = (one + other) / 2
    np.testing.assert_allclose(class_probabilities(loaded, images, calibrated=False), mean, atol=1e-6)
    roots = np.sqrt(mean)
    expected = roots / roots.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(class_probabilities(loaded, images), expected, atol=1e-6)
    one_sided = dataclasses.replace(loaded, mirror=False, temperature=1.0)
    np.testing.assert_allclose(class_probabilities(one_sided, images), one, atol=1e-6)


def test_no_images_give_no_rows(classifier):
    loaded = load_classifier(classifier)
    assert class_probabilities(loaded, np.zeros((0, 32, 32, 3), np.uint8)).shape == (0, 4)


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


def test_a_measure_of_another_network_is_refused(classifier, tmp_path):
    shutil.copytree(classifier, tmp_path / "other")
    write_likeness(tmp_path / "other/likeness.npz", learnt_likeness(CROSS, np.zeros(16, int)))
    with pytest.raises(ArtifactError, match=r"should be of the model beside it, of 8 features, received 2"):
        load_classifier(tmp_path / "other")


def test_one_look_gives_the_same_probabilities_and_how_unlike_both_sides_are(classifier, processed):
    loaded, images = load_classifier(classifier), read_split(processed / "test").images[:5]
    given, unlike = looked_at(loaded, images)
    without = dataclasses.replace(loaded, likeness=None)
    np.testing.assert_array_equal(given, class_probabilities(without, images))
    assert np.isnan(looked_at(without, images)[1]).all()
    np.testing.assert_allclose(looked_at(loaded, images[:, :, ::-1])[1], unlike, rtol=1e-4)
    assert looked_at(loaded, 255 - images)[1].min() > unlike.max()
