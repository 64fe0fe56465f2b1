"""The fused kernel has to do what Keras's own batch normalisation does, and leave no trace in the model."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from brainmri.learning.layers import fused


def small(**options: bool) -> keras.Model:
    """Return a network with a batch normalisation in it and one in a model of its own inside it."""
    keras.utils.set_random_seed(3)
    inner_inputs = keras.Input((4, 4, 5))
    inner = keras.Model(inner_inputs, layers.BatchNormalization(momentum=0.9, **options)(inner_inputs), name="inner")
    inputs = keras.Input((4, 4, 2))
    x = layers.BatchNormalization(epsilon=0.01)(layers.Conv2D(5, 3, padding="same")(inputs))
    x = layers.GlobalAveragePooling2D()(inner(layers.ReLU()(x)))
    x = layers.BatchNormalization()(layers.Dense(3)(x))  # of vectors: not for the kernel
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(x))
    model.compile(keras.optimizers.SGD(0.5), "categorical_crossentropy")
    return model


def batch() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(2, 3, (6, 4, 4, 2)).astype(np.float32), np.eye(2, dtype=np.float32)[[0, 1, 1, 0, 1, 0]]


def learnt(model: keras.Model, *, lend: bool) -> list[np.ndarray]:
    """Return all weights, running means and variances among them, after three steps."""
    for _ in range(3):
        if lend:
            with fused(model):
                model.train_on_batch(*batch())
        else:
            model.train_on_batch(*batch())
    return model.get_weights()


def operations(model: keras.Model) -> list[str]:
    """Return the kinds of operation in a training step's forward pass."""
    traced = tf.function(lambda images: model(images, training=True)).get_concrete_function(
        tf.TensorSpec((6, 4, 4, 2), tf.float32)
    )
    return [operation.type for operation in traced.graph.get_operations()]


def test_it_learns_what_keras_would_learn() -> None:
    for ours, kerass in zip(learnt(small(), lend=True), learnt(small(), lend=False), strict=True):
        np.testing.assert_allclose(ours, kerass, rtol=1e-4, atol=1e-5)


def test_maps_use_the_kernel_and_vectors_do_not() -> None:
    model = small()
    with fused(model):
        assert operations(model).count("FusedBatchNormV3") == 2
    assert operations(model).count("FusedBatchNormV3") == 0


@pytest.mark.parametrize("options", [{"scale": False}, {"center": False}, {"renorm": True}])
def test_a_layer_with_other_options_is_left_alone(options: dict[str, bool]) -> None:
    model = small(**options)
    with fused(model):
        assert operations(model).count("FusedBatchNormV3") == 1


def test_a_frozen_layer_keeps_its_statistics() -> None:
    model = small()
    model.get_layer("inner").trainable = False
    model.compile(keras.optimizers.SGD(0.5), "categorical_crossentropy")
    before = model.get_layer("inner").get_weights()
    learnt(model, lend=True)
    for then, now in zip(before, model.get_layer("inner").get_weights(), strict=True):
        np.testing.assert_array_equal(then, now)


def test_the_model_is_saved_with_kerass_own_layers(tmp_path: Path) -> None:
    model = small()
    with fused(model):
        model.train_on_batch(*batch())
        model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    kinds = {type(layer) for layer in [*again.layers, *again.get_layer("inner").layers]}
    assert layers.BatchNormalization in kinds
    assert all(kind.__module__.startswith("keras.") for kind in kinds)
    np.testing.assert_allclose(again.predict(batch()[0], verbose=0), model(batch()[0]).numpy(), rtol=1e-5)
