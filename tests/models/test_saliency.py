"""Evidence lies where a network looks, on networks whose answer is known."""

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from scipy import ndimage

from brainmri.models import classifier_networks, saliency
from brainmri.models.classifier import Classifier
from brainmri.scoring import pointing

pytestmark = pytest.mark.slow


def looking_at(row, col, activation="softmax"):
    """A network of two classes whose first score is the one pixel, and whose second is another, (20, 4)."""
    inputs = keras.Input((32, 32, 1))
    places = np.zeros((1024, 2), np.float32)
    places[row * 32 + col, 0] = places[20 * 32 + 4, 1] = 3
    dense = layers.Dense(2, activation=activation)
    model = keras.Model(inputs, dense(layers.Flatten()(inputs)))
    dense.set_weights([places, np.zeros(2, np.float32)])
    return model


def spots(count, dtype=np.float32):
    """Grey images with a brighter pixel at each of the two places, and at the mirror place of the first."""
    images = np.full((count, 32, 32, 1), 128, np.uint8)
    images[:, 5, [7, 24]] = images[:, 20, 4] = 255
    return images if dtype == np.uint8 else images.astype(dtype) / 255


def peak(found):
    return [tuple(int(at) for at in np.unravel_index(each.argmax(), each.shape)) for each in found]


def test_evidence_peaks_at_the_pixel_that_decides_and_each_class_has_its_own():
    found = saliency.evidence(looking_at(5, 7), [spots(2)], np.array([0, 1]))
    assert found.shape == (2, 32, 32)
    assert found.dtype == np.float32
    assert peak(found) == [(5, 7), (20, 4)]
    assert found.max(axis=(1, 2)).tolist() == [1, 1]
    assert found.min() >= 0


def test_contributions_add_up_to_what_the_image_adds_to_the_score():
    model, images = looking_at(5, 7), spots(1)
    start = ndimage.gaussian_filter(images, (0, 2, 2, 0))
    rise = 3 * float(images[0, 5, 7, 0] - start[0, 5, 7, 0])
    found = saliency.contributions(model, [images], np.array([0]))
    assert found.sum() == pytest.approx(rise, rel=1e-5)
    assert np.count_nonzero(found) == 1


def test_what_lowers_a_score_is_no_evidence():
    images = 1 - spots(1)  # darker where the network would have it brighter
    assert not saliency.evidence(looking_at(5, 7), [images], np.array([0])).any()


def test_a_sure_answer_has_evidence_too():
    images = np.zeros((1, 32, 32, 1), np.float32)
    images[0, 5, 7] = 1e4
    assert peak(saliency.evidence(looking_at(5, 7), [images], np.array([0]))) == [(5, 7)]


def test_a_network_that_ends_otherwise_is_read_by_its_probabilities():
    inner = looking_at(5, 7)
    model = keras.Model(inner.input, layers.Activation("linear")(inner.output))
    found = saliency.evidence(model, [spots(1)], np.array([0]))
    assert found[0, 5, 7] == pytest.approx(1, abs=1e-6)


def test_a_network_that_looks_nowhere_has_no_evidence():
    model = looking_at(5, 7)
    model.layers[-1].set_weights([np.zeros((1024, 2), np.float32), np.zeros(2, np.float32)])
    assert not saliency.evidence(model, [spots(1)], np.array([0])).any()


@pytest.mark.parametrize("columns", [0, 3])
def test_networks_of_the_project_are_read_the_same_twice(columns):
    keras.utils.set_random_seed(0)
    model = classifier_networks.residual((32, 32, 3), 4, widths=[4, 8], depth=1, patch=4, dropout=0.2, columns=columns)
    rng = np.random.default_rng(0)
    inputs = [rng.random((5, 32, 32, 3), np.float32)] + [rng.random((5, columns), np.float32)] * (columns > 0)
    one, other = (saliency.evidence(model, inputs, np.arange(5) % 4) for _ in "12")
    assert one.tobytes() == other.tobytes()
    assert one.max() == 1


@pytest.mark.parametrize("mirror", [False, True])
def test_a_classifier_that_answers_from_both_sides_sees_both(mirror):
    classifier = Classifier(looking_at(5, 7), ["a", "b"], {}, [], mirror, 1.0, 0.0)
    images = spots(1, np.uint8)
    found = saliency.classifier_evidence(classifier, images, pd.DataFrame(index=[0]), np.array([0]))
    assert found[0, 5, 7] == pytest.approx(1)
    assert found[0, 5, 31 - 7] == pytest.approx(float(mirror), abs=1e-6)


def test_more_images_than_a_batch_and_none(monkeypatch):
    monkeypatch.setattr(saliency, "BATCH", 2)
    classifier = Classifier(looking_at(5, 7), ["a", "b"], {}, [], False, 1.0, 0.0)
    images = spots(5, np.uint8)
    found = saliency.classifier_evidence(classifier, images, pd.DataFrame(index=range(5)), np.array([0, 1, 0, 1, 0]))
    assert peak(found) == [(5, 7), (20, 4), (5, 7), (20, 4), (5, 7)]
    none = saliency.classifier_evidence(classifier, images[:0], pd.DataFrame(), np.empty(0, int))
    assert pointing.hits(none, none).shape == (0,)
