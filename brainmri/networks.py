"""The classifiers: each a plain function that returns an untrained `keras.Model`.

Input: (N, S, S, C) float32 in [0, 1]. Output: (N, K) float32 probabilities in the order of the data set's classes.
"""

from collections.abc import Sequence

import keras
from keras import layers


def cnn(
    input_shape: tuple[int, int, int],
    classes: int,
    filters: Sequence[int],
    pools: Sequence[int],
    kernel: int,
    stride: int,
    dense: int,
    dropout: float,
) -> keras.Model:
    """Build the plain network: convolution and max pooling for each of `filters`, a dense layer, dropout, softmax.

    `stride` is that of the first convolution: at 2 it sees every pixel but costs a quarter, and so does all behind it.
    """
    inputs = keras.Input(input_shape)
    x = inputs
    for at, (count, pool) in enumerate(zip(filters, pools, strict=True)):
        x = layers.Conv2D(count, kernel, strides=stride if at == 0 else 1, activation="relu")(x)
        x = layers.MaxPooling2D(pool)(x)
    x = layers.Dense(dense, activation="relu")(layers.Flatten()(x))
    x = layers.Dropout(dropout)(x)
    # Probabilities in float32 whatever the precision of the rest: bfloat16 has three digits only.
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", dtype="float32")(x), name="cnn")
