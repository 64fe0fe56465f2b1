"""A classifier's answer for images on disk."""

import dataclasses
import shutil

import numpy as np
import pytest

from brainmri.core.errors import ArtifactError
from brainmri.core.index import read_split
from brainmri.models import classifier as classifiers
from brainmri.models.classifier import class_probabilities, load_classifier, looked_at
from brainmri.models.likeness import learnt_likeness, write_likeness

pytestmark = pytest.mark.slow


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


def test_a_measure_of_another_network_is_refused(classifier, tmp_path):
    shutil.copytree(classifier, tmp_path / "other")
    write_likeness(tmp_path / "other/likeness.npz", learnt_likeness(np.eye(2), np.zeros(2, int)))
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
