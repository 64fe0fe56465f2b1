"""Layers as they are while a network learns, on one replica of it or on several.

Layers are lent another `call`: only what learns is changed, not the model, which is saved, and answers, with Keras's
own layers. On one replica batch normalisation runs as one fused kernel. On several, layers that look at a whole batch
look at that of all replicas: batch normalisation uses the statistics of all their images, and dropout draws for all of
them and takes its own rows. That makes the steps those of one process, but for the order of sums.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from brainmri.core.quiet_keras import keras, tf


class Parts:
    """Where the rows of each replica begin in the batch of a step, while the step is traced."""

    def __init__(self) -> None:
        self.bounds: Any = None  # (replicas + 1,) int32; the last is the length of the batch

    def own(self) -> tuple[Any, Any]:
        """Return where this replica's rows begin and end."""
        at = tf.distribute.get_replica_context().replica_id_in_sync_group
        return self.bounds[at], self.bounds[at + 1]

    def weight(self) -> Any:
        """Return the share of this replica's rows in the batch: 0 where it got another's, because none was left."""
        start, end = self.own()
        return tf.cast(end - start, tf.float32) / tf.cast(self.bounds[-1], tf.float32)


def total(values: Any) -> Any:
    """Return the sum of what each replica has."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def fused(model: keras.Model) -> AbstractContextManager[None]:
    """Lend the batch normalisations of `model` and of the models in it TensorFlow's fused kernel for training steps.

    Keras builds the layer from about seven operations each way, and every one of them reads and writes whole feature
    maps: 40 % of the time of an EfficientNet-Lite0 step on a processor. The kernel does it in one operation each way.
    Batch normalisations of vectors, of another axis than the last, or without scale or offset are left as they are.
    """
    return _lent({layer: partial(_fused, layer) for layer in _layers(model) if _fits(layer)})


def together(model: keras.Model, parts: Parts) -> AbstractContextManager[None]:
    """Lend the layers of `model` and of the models in it what makes one batch of the parts of several replicas."""
    calls: dict[keras.layers.Layer, Callable[..., Any]] = {}
    for layer in _layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            calls[layer] = partial(_normalised, parts, layer)
        if isinstance(layer, keras.layers.Dropout | keras.layers.SpatialDropout2D):
            calls[layer] = partial(_dropped, parts, layer)
    return _lent(calls)


@contextmanager
def _lent(calls: dict[keras.layers.Layer, Callable[..., Any]]) -> Iterator[None]:
    for layer, call in calls.items():
        layer.call = call
    try:
        yield
    finally:
        for layer in calls:
            del layer.call  # the class's own shows again


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def _fits(layer: keras.layers.Layer) -> bool:
    if not isinstance(layer, keras.layers.BatchNormalization):
        return False
    on_maps = len(layer.input.shape) == 4 and layer.axis in (-1, 3)
    return on_maps and layer.scale and layer.center and not layer.renorm and not layer.synchronized


def _fused(
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


def _normalised(
    parts: Parts,
    layer: keras.layers.BatchNormalization,
    inputs: tf.Tensor,
    training: bool | None = None,
    mask: Any = None,
) -> tf.Tensor:
    """Do what Keras's own `call` does, with the mean and variance of all replicas' images."""
    if not training or not layer.trainable:
        return type(layer).call(layer, inputs, training=training, mask=mask)
    values = tf.cast(inputs, tf.float32)
    axes = [axis for axis in range(len(inputs.shape)) if axis != layer.axis % len(inputs.shape)]
    near = tf.stop_gradient(tf.convert_to_tensor(layer.moving_mean))  # subtracted, squares lose fewer digits
    away = values - near
    count = tf.cast(tf.size(inputs) // inputs.shape[layer.axis], tf.float32)
    sums = tf.concat([tf.reduce_sum(away, axes), tf.reduce_sum(tf.square(away), axes), [count]], 0)
    real = tf.cast(parts.weight() > 0, tf.float32)
    channels = inputs.shape[layer.axis]
    first, second, count = tf.split(total(sums * real), [channels, channels, 1])
    mean, variance = near + first / count, second / count - tf.square(first / count)
    for kept, new in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        kept.assign(kept * layer.momentum + new * (1 - layer.momentum))
    outputs = tf.nn.batch_normalization(values, mean, variance, layer.beta, layer.gamma, layer.epsilon)
    return tf.cast(outputs, layer.compute_dtype)


def _dropped(parts: Parts, layer: keras.layers.Layer, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    """Drop what one process would drop of the whole batch, as far as its rows are this replica's."""
    if not training:
        return inputs
    start, end = parts.own()
    every = tf.ones(tf.concat([parts.bounds[-1:], tf.shape(inputs)[1:]], 0), inputs.dtype)
    kept = type(layer).call(layer, tf.ensure_shape(every, inputs.shape), training=True)
    return inputs * kept[start : tf.maximum(end, start + 1)]
