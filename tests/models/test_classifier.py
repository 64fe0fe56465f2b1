"""A classifier's answer for images on disk."""

import dataclasses

import numpy as np
import pytest

from brainmri.core.index import read_split
from brainmri.models import classifier as classifiers
from brainmri.models.classifier import class_probabilities, load_classifier

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
