"""The networks of the U-Net: for each encoder a plain function that returns an untrained `keras.Model`.

To add one: its function, an entry in `ENCODERS` and its name in `unet_params.py`, there also its params if it has any.

Input: (N, S, S, C) float32 in [0, 1]. Output: (N, S, S, 1) float32, the probability that a pixel is tumour.

Both [1]_ halve the grid in their first step; one transposed convolution takes the last grid back to the image's. The
decoder adds what the encoder had on the same grid, where the original concatenates, and so halves the cost of its
convolutions. Blocks are residual [2]_.

References
----------
.. [1] Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28
.. [2] He et al. 2016, doi:10.1109/CVPR.2016.90
"""

from collections.abc import Callable, Sequence

from brainmri.core.errors import InputError
from brainmri.core.quiet_keras import keras, layers, ops
from brainmri.models import pretrained
from brainmri.models.unet_params import EncoderParams

LITE0_SKIPS = 4  # grids of EfficientNet-Lite0 above its last, from half the side of the image on


def plain(input_shape: tuple[int, int, int], widths: Sequence[int], dropout: float) -> keras.Model:
    """Build a U-Net that is learnt from random weights.

    Parameters
    ----------
    input_shape : tuple of int
        S, S, C.
    widths : sequence of int
        Channels on each grid, from the finest, S / 2, on.
    dropout : float
        Share of the channels of the coarsest grid that are left out in a training step.

    Raises
    ------
    InputError
        If S cannot be halved as often as there are widths.
    """
    _require_side(input_shape[0], len(widths), f"{len(widths)} widths; use fewer widths")
    x = inputs = keras.Input(input_shape)
    skips = []
    for width in widths:
        x = _block(_convolution(x, width, strides=2), width)
        skips.append(x)
    return keras.Model(inputs, _decoder(x, skips[:-1], dropout), name="unet")


def lite0(
    input_shape: tuple[int, int, int], widths: Sequence[int], dropout: float, weights: str | None, side: int | None
) -> keras.Model:
    """Build a U-Net whose encoder is EfficientNet-Lite0 and whose decoder is small.

    A skip takes the last that the encoder has on a grid, which is the widened input of the block that halves it.

    Parameters
    ----------
    input_shape : tuple of int
        S, S, C.
    widths : sequence of int
        Channels of the decoder on each grid, from the finest, half the encoder's, on: four of them.
    dropout : float
        Share of the channels of the coarsest grid that are left out in a training step.
    weights : str or None
        `imagenet`, of the extra `pretrained`, or None for a random start.
    side : int or None
        Grid that the network itself brings the images to before the encoder, and its answer back from, px; None
        leaves them as they are.

    Raises
    ------
    InputError
        If the encoder's side is no multiple of 32, there are not four widths, or the extra is not installed.
    """
    if len(widths) != LITE0_SKIPS:
        raise InputError(
            f"train_unet.widths: should be {LITE0_SKIPS} for the encoder lite0, one for each of its grids, "
            f"received {list(widths)}"
        )
    _require_side(side or input_shape[0], LITE0_SKIPS + 1, "the encoder lite0; use plain")
    inputs = keras.Input(input_shape)
    x = inputs if input_shape[2] == 3 else layers.Conv2D(3, 1)(inputs)
    x = pretrained.enlarged(x, side)
    given = pretrained.imagenet_weights("train_unet.lite0.weights") if weights else None
    encoder = pretrained.lite0(x.shape[1:], given)
    last = {layer.output.shape[1]: layer.output for layer in encoder.layers}  # on each grid, by its side
    sides = [x.shape[1] // 2**halvings for halvings in range(1, LITE0_SKIPS + 2)]
    *finer, x = keras.Model(encoder.input, [last[side] for side in sides], name="encoder")(x)
    skips = [_convolution(skip, width, kernel=1) for skip, width in zip(finer, widths, strict=True)]
    answer = _decoder(x, skips, dropout)
    if side is not None:
        answer = ops.image.resize(answer, input_shape[:2])
    return keras.Model(inputs, answer, name="unet_lite0")


ENCODERS: dict[str, Callable[..., keras.Model]] = {"plain": plain, "lite0": lite0}


def build(
    encoder: str, params: EncoderParams, input_shape: tuple[int, int, int], widths: Sequence[int], dropout: float
) -> keras.Model:
    """Build the U-Net with one of `ENCODERS` and its own params; the errors are the encoder's."""
    return ENCODERS[encoder](input_shape, widths, dropout, **params.model_dump().get(encoder, {}))


def mean(unets: Sequence[keras.Model]) -> keras.Model:
    """Build the network whose answer is the mean of those of several; of one it is that one."""
    if len(unets) == 1:
        return unets[0]
    inputs = keras.Input(unets[0].input_shape[1:])
    # Names of their own: those that the builders gave are equal.
    parts = [keras.Model(unet.input, unet.output, name=f"unet_{at}") for at, unet in enumerate(unets)]
    return keras.Model(inputs, layers.Average(dtype="float32")([part(inputs) for part in parts]), name="unets")


def _require_side(side: int, halvings: int, by: str) -> None:
    if side % 2**halvings:
        raise InputError(
            f"train_unet: the side of an image should be a multiple of {2**halvings} px for {by} or another "
            f"preprocess.size, received {side} px"
        )


def _decoder(x: keras.KerasTensor, skips: Sequence[keras.KerasTensor], dropout: float) -> keras.KerasTensor:
    """Return the probabilities that come of the coarsest grid `x` and of the finer ones, finest first."""
    x = layers.SpatialDropout2D(dropout)(x) if dropout else x
    for skip in reversed(skips):
        width = skip.shape[-1]
        x = layers.UpSampling2D(2)(layers.Conv2D(width, 1, use_bias=False)(x))
        x = _block(layers.add([x, skip]), width)
    # Probabilities in float32 whatever the precision of the rest: bfloat16 has three digits only.
    return layers.Conv2DTranspose(1, 2, 2, activation="sigmoid", dtype="float32")(x)


def _block(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    inner = _convolution(_convolution(x, width), width, activation=None)
    return layers.ReLU()(layers.add([x, inner]))


def _convolution(
    x: keras.KerasTensor, width: int, kernel: int = 3, strides: int = 1, activation: str | None = "relu"
) -> keras.KerasTensor:
    x = layers.Conv2D(width, kernel, strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    # A batch counts a tenth: at Keras's hundredth the statistics of a short run would still be those of its start.
    x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.Activation(activation)(x) if activation else x
