"""Batch normalisation by TensorFlow's fused kernel, while a network learns.

Keras builds the layer from about seven operations each way, and every one of them reads and writes whole feature maps:
40 % of the time of an EfficientNet-Lite0 step on a processor. The kernel does it in one operation each way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from brainmri.core.quiet_keras import keras, tf


@contextmanager
def fused(model: keras.Model) -> Iterator[None]:
    """Lend the batch normalisations of `model` and of the models in it the fused kernel for training steps.

    Only what learns is changed, not the model: it is saved, and answers, with Keras's own layers. Batch normalisations
    of vectors, of another axis than the last, or without scale or offset are left as they are.
    """
    lent = [layer for layer in _normalizations(model) if _fits(layer)]
    for layer in lent:
        layer.call = partial(_call, layer)
    try:
        yield
    finally:
        for layer in lent:
            del layer.call  # the class's own shows again


def _normalizations(model: keras.Model) -> Iterator[keras.layers.BatchNormalization]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _normalizations(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            yield layer


def _fits(layer: keras.layers.BatchNormalization) -> bool:
    on_maps = len(layer.input.shape) == 4 and layer.axis in (-1, 3)
    return on_maps and layer.scale and layer.center and not layer.renorm and not layer.synchronized


def _call(
    layer: keras.layers.BatchNormalization, inputs: tf.Tensor, training: bool | None = None, mask: Any = None
) -> tf.Tensor:
    """Do what Keras's own `call` does: normalise by the batch, and move the running mean and variance."""
    if not training or not layer.trainable or mask is not None:
        return type(layer).call(layer, inputs, training=training, mask=mask)
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=layer.gamma,
        offset=layer.beta,
        mean=tf.zeros([0]),
        variance=tf.zeros([0]),
        epsilon=layer.epsilon,
        is_training=True,
    )
    count = tf.cast(tf.size(inputs) // tf.shape(inputs)[-1], tf.float32)
    variance *= (count - 1) / count  # the kernel's is that of a sample, Keras keeps the batch's own
    for kept, new in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        kept.assign(kept * layer.momentum + new * (1 - layer.momentum))
    return outputs
