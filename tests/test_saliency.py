"""Evidence lies where a network looks, on networks whose answer is known."""

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from brainmri import networks, pointing, saliency
from brainmri.predict import Classifier

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


def peak(found):
    return [tuple(int(at) for at in np.unravel_index(each.argmax(), each.shape)) for each in found]


def test_evidence_peaks_at_the_pixel_that_decides_and_each_class_has_its_own():
    images = np.full((2, 32, 32, 1), 0.5, np.float32)
    found = saliency.evidence(looking_at(5, 7), [images], np.array([0, 1]))
    assert found.shape == (2, 32, 32)
    assert found.dtype == np.float32
    assert peak(found) == [(5, 7), (20, 4)]
    assert found.max(axis=(1, 2)).tolist() == [1, 1]
    assert found.min() >= 0


def test_a_sure_answer_has_evidence_too():
    images = np.zeros((1, 32, 32, 1), np.float32)
    images[0, 5, 7] = 1e4
    assert peak(saliency.evidence(looking_at(5, 7), [images], np.array([0]))) == [(5, 7)]


def test_a_network_that_ends_otherwise_is_read_by_its_probabilities():
    inner = looking_at(5, 7)
    model = keras.Model(inner.input, layers.Activation("linear")(inner.output))
    found = saliency.evidence(model, [np.full((1, 32, 32, 1), 0.5, np.float32)], np.array([0]))
    assert found[0, 5, 7] == pytest.approx(1, abs=1e-6)


def test_a_network_that_looks_nowhere_has_no_evidence():
    model = looking_at(5, 7)
    model.layers[-1].set_weights([np.zeros((1024, 2), np.float32), np.zeros(2, np.float32)])
    assert not saliency.evidence(model, [np.ones((1, 32, 32, 1), np.float32)], np.array([0])).any()


@pytest.mark.parametrize("columns", [0, 3])
def test_networks_of_the_project_are_read_the_same_twice(columns):
    keras.utils.set_random_seed(0)
    model = networks.residual((32, 32, 3), 4, widths=[4, 8], depth=1, patch=4, dropout=0.2, columns=columns)
    rng = np.random.default_rng(0)
    inputs = [rng.random((5, 32, 32, 3), np.float32)] + [rng.random((5, columns), np.float32)] * (columns > 0)
    one, other = (saliency.evidence(model, inputs, np.arange(5) % 4) for _ in "12")
    assert one.tobytes() == other.tobytes()
    assert one.max() == 1


@pytest.mark.parametrize("mirror", [False, True])
def test_a_classifier_that_answers_from_both_sides_sees_both(mirror):
    classifier = Classifier(looking_at(5, 7), ["a", "b"], {}, [], mirror, 1.0, 0.0)
    images = np.full((1, 32, 32, 1), 128, np.uint8)
    found = saliency.classifier_evidence(classifier, images, pd.DataFrame(index=[0]), np.array([0]))
    assert found[0, 5, 7] == pytest.approx(1)
    assert found[0, 5, 31 - 7] == pytest.approx(float(mirror), abs=1e-6)


def test_more_images_than_a_batch_and_none(monkeypatch):
    monkeypatch.setattr(saliency, "BATCH", 2)
    classifier = Classifier(looking_at(5, 7), ["a", "b"], {}, [], False, 1.0, 0.0)
    images = np.full((5, 32, 32, 1), 128, np.uint8)
    found = saliency.classifier_evidence(classifier, images, pd.DataFrame(index=range(5)), np.array([0, 1, 0, 1, 0]))
    assert peak(found) == [(5, 7), (20, 4), (5, 7), (20, 4), (5, 7)]
    none = saliency.classifier_evidence(classifier, images[:0], pd.DataFrame(), np.empty(0, int))
    assert pointing.hits(none, none).shape == (0,)
