"""The classifiers: each a plain function that returns an untrained `keras.Model`, and the one list of them.

To add one: its function and an entry in `ARCHITECTURES`, both here; a model of its params and an entry in
`ArchitectureParams` (`classifier_params.py`); and its section in `train` of params.yaml.

Input: (N, S, S, C) float32 in [0, 1]; with `columns` above 0 a second input, (N, columns) float32, for metadata.
Output: (N, K) float32 probabilities in the order of the data set's classes.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from brainmri.core.errors import InputError
from brainmri.core.quiet_keras import keras, layers
from brainmri.models import pretrained
from brainmri.models.classifier_params import ArchitectureParams


def cnn(
    input_shape: tuple[int, int, int],
    classes: int,
    filters: Sequence[int],
    pools: Sequence[int],
    kernel: int,
    stride: int,
    dense: int,
    dropout: float,
    columns: int = 0,
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
    return _classifier(inputs, x, classes, dropout, columns, "cnn")


def residual(
    input_shape: tuple[int, int, int],
    classes: int,
    widths: Sequence[int],
    depth: int,
    patch: int,
    dropout: float,
    columns: int = 0,
) -> keras.Model:
    """Build a residual network [1]_: a patch stem, `depth` blocks for each of `widths`, the mean over the image.

    The stem reads patches of `patch` x `patch` px once, so that all work is done on small grids with many channels,
    which keeps a processor's matrix units busy; every further stage halves the grid.

    References
    ----------
    .. [1] He et al. 2016, doi:10.1109/CVPR.2016.90
    """
    inputs = keras.Input(input_shape)
    x = _convolution(inputs, widths[0], patch, strides=patch)
    for at, width in enumerate(widths):
        if at:
            x = _convolution(x, width, 2, strides=2)
        for _ in range(depth):
            inner = _convolution(_convolution(x, width, 3), width, 3, activation=None)
            x = layers.ReLU()(layers.add([x, inner]))
    return _classifier(inputs, layers.GlobalAveragePooling2D()(x), classes, dropout, columns, "residual")


def application(
    input_shape: tuple[int, int, int],
    classes: int,
    name: str,
    weights: str | None,
    dropout: float,
    columns: int = 0,
) -> keras.Model:
    """Build a classifier on a backbone of `keras.applications`.

    Parameters
    ----------
    name : str
        One of `APPLICATIONS`.
    weights : str or None
        `imagenet` (Keras downloads them once), the path of a `.weights.h5` file of the same backbone, or None for a
        random start.

    Raises
    ------
    InputError
        If the weights cannot be had or do not fit.
    """
    inputs = keras.Input(input_shape)
    x = layers.Rescaling(255.0)(inputs)
    if input_shape[2] != 3:
        x = layers.Conv2D(3, 1)(x)
    make = getattr(keras.applications, name)
    shape = (*input_shape[:2], 3)
    from_file = weights not in (None, "imagenet")
    if from_file and not Path(str(weights)).is_file():
        raise InputError(
            f"train.application.weights: should be imagenet, null or an existing .weights.h5 file, received {weights}"
        )
    try:
        backbone = make(include_top=False, weights=None if from_file else weights, input_shape=shape)
        if from_file:
            backbone.load_weights(weights)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"train.application: weights {weights!r} of {name} should load for images of {shape}, received: {reason}"
        ) from None
    x = layers.GlobalAveragePooling2D()(backbone(x))
    return _classifier(inputs, x, classes, dropout, columns, name)


def lite0(
    input_shape: tuple[int, int, int],
    classes: int,
    weights: str | None,
    side: int | None,
    dropout: float,
    columns: int = 0,
) -> keras.Model:
    """Build a classifier on EfficientNet-Lite0.

    Parameters
    ----------
    weights : str or None
        `imagenet`, of the extra `pretrained`, or None for a random start.
    side : int or None
        Grid that the network itself brings the images to before the backbone, px; None leaves them as they are.
    """
    inputs = keras.Input(input_shape)
    x = inputs if input_shape[2] == 3 else layers.Conv2D(3, 1)(inputs)
    x = pretrained.enlarged(x, side)
    backbone = pretrained.lite0(x.shape[1:], pretrained.imagenet_weights("train.lite0.weights") if weights else None)
    return _classifier(inputs, layers.GlobalAveragePooling2D()(backbone(x)), classes, dropout, columns, "lite0")


ARCHITECTURES: dict[str, Callable[..., keras.Model]] = {
    "residual": residual,
    "cnn": cnn,
    "lite0": lite0,
    "application": application,
}


def build(
    name: str, params: ArchitectureParams, input_shape: tuple[int, int, int], classes: int, dropout: float, columns: int
) -> keras.Model:
    """Build one of `ARCHITECTURES` with its own params.

    Raises
    ------
    InputError
        If no pixel of the image is left after its steps; see also the architecture.
    """
    own: dict[str, Any] = params.model_dump()[name]
    try:
        return ARCHITECTURES[name](input_shape, classes, **own, dropout=dropout, columns=columns)
    except ValueError as error:
        message = str(error)  # where a layer's call fails, Keras puts a line before its reason, which it prints bold
        reason = (message.partition("\x1b[1m")[2] or message).partition("\n")[0].removesuffix("\x1b[0m")
        raise InputError(
            f"train: the network should leave at least a pixel of an image of {input_shape[:2]} px, received "
            f"{name} with {own} ({reason}); use fewer or smaller steps or a larger preprocess.size"
        ) from None


def _convolution(
    x: keras.KerasTensor, width: int, kernel: int, strides: int = 1, activation: str | None = "relu"
) -> keras.KerasTensor:
    padding = "same" if strides == 1 else "valid"
    x = layers.Conv2D(width, kernel, strides=strides, padding=padding, use_bias=False)(x)
    # A batch counts a tenth: at Keras's hundredth the statistics of a short run would still be those of its start.
    x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.Activation(activation)(x) if activation else x


def _classifier(
    inputs: keras.KerasTensor, x: keras.KerasTensor, classes: int, dropout: float, columns: int, name: str
) -> keras.Model:
    """End a network: metadata joins the features, dropout, and probabilities in float32 whatever the precision."""
    every = inputs
    if columns:
        metadata = keras.Input((columns,))
        x = layers.concatenate([x, layers.Dense(16, activation="relu")(metadata)])
        every = [inputs, metadata]
    x = layers.Dropout(dropout)(x)
    # bfloat16 has three digits only.
    return keras.Model(every, layers.Dense(classes, activation="softmax", dtype="float32")(x), name=name)
