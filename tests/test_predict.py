"""A classifier's answer for images on disk."""

import numpy as np
import pytest

from brainmri import predict
from brainmri.index import read_split

pytestmark = pytest.mark.slow


def test_probabilities_do_not_depend_on_the_size_of_a_batch(classifier, processed, monkeypatch):
    loaded = predict.load_classifier(classifier)
    images = read_split(processed / "test").images
    whole = predict.class_probabilities(loaded, images)
    monkeypatch.setattr(predict, "BATCH", 3)
    np.testing.assert_allclose(predict.class_probabilities(loaded, images), whole, atol=1e-6)
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(loaded.model(images[:2].astype(np.float32) / 255), whole[:2], atol=1e-6)


def test_no_images_give_no_rows(classifier):
    loaded = predict.load_classifier(classifier)
    assert predict.class_probabilities(loaded, np.zeros((0, 32, 32, 3), np.uint8)).shape == (0, 4)
