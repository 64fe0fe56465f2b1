"""The networks: shapes, sizes, and what a backbone of keras.applications does with its weights."""

import cv2
import keras
import numpy as np
import pytest
import yaml
from conftest import PARAMS

from brainmri.core.errors import InputError
from brainmri.core.params import check
from brainmri.models import classifier_networks
from brainmri.models.classifier_params import ClassifierParams

pytestmark = pytest.mark.slow


def test_the_residual_network_by_hand():
    model = classifier_networks.residual((8, 8, 1), 3, widths=[2, 4], depth=1, patch=2, dropout=0.0)
    shapes = [tuple(layer.output.shape) for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert shapes == [(None, 4, 4, 2)] * 3 + [(None, 2, 2, 4)] * 3
    stem, first = 2 * 2 * 2, 2 * (3 * 3 * 2 * 2)
    down, second = 2 * 2 * 2 * 4, 2 * (3 * 3 * 4 * 4)
    normalisation = 4 * (3 * 2 + 3 * 4)
    assert model.count_params() == stem + first + down + second + normalisation + 4 * 3 + 3
    np.testing.assert_allclose(model(np.ones((2, 8, 8, 1), np.float32)).numpy().sum(1), 1, rtol=1e-6)


def test_a_block_whose_convolutions_give_nothing_passes_its_input_on():
    model = classifier_networks.residual((8, 8, 1), 3, widths=[2], depth=1, patch=2, dropout=0.0)
    last = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)][-1]
    last.gamma.assign([0, 0])
    block_in = model.layers[[layer.name for layer in model.layers].index(last.name) - 5]
    assert isinstance(block_in, keras.layers.Activation)
    before, after = keras.Model(model.input, [block_in.output, model.layers[-4].output])(np.ones((1, 8, 8, 1)))
    np.testing.assert_allclose(before, after)


@pytest.mark.parametrize("channels", [3, 2])
def test_a_backbone_starts_from_the_weights_of_a_file(tmp_path, channels):
    keras.utils.set_random_seed(1)
    backbone = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(64, 64, 3))
    backbone.save_weights(tmp_path / "small.weights.h5")
    keras.utils.set_random_seed(2)
    shape = (64, 64, channels)
    model = classifier_networks.application(
        shape, 4, "MobileNetV3Small", str(tmp_path / "small.weights.h5"), dropout=0.0
    )
    inner = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    for mine, theirs in zip(inner.weights, backbone.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_allclose(model(np.zeros((1, *shape), np.float32)).numpy().sum(), 1, rtol=1e-6)


def test_a_backbone_is_fed_0_to_255():
    model = classifier_networks.application((32, 32, 3), 4, "MobileNetV3Small", None, dropout=0.0)
    inner = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    fed = keras.Model(model.input, inner.input if inner.input is model.input else model.layers[1].output)
    assert float(fed(np.ones((1, 32, 32, 3), np.float32)).numpy().max()) == 255


def test_weights_that_are_not_there_or_do_not_fit_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"imagenet, null or an existing .weights.h5 file, received nowhere.h5"):
        classifier_networks.application((32, 32, 3), 4, "MobileNetV3Small", "nowhere.h5", dropout=0.0)
    (tmp_path / "broken.weights.h5").write_bytes(b"not weights")
    with pytest.raises(InputError, match=r"of MobileNetV3Small should load for images of \(32, 32, 3\)"):
        classifier_networks.application(
            (32, 32, 3), 4, "MobileNetV3Small", str(tmp_path / "broken.weights.h5"), dropout=0.0
        )


@pytest.mark.parametrize(("kernel", "pool"), [(11, 2), (3, 8)])
def test_a_network_too_deep_for_the_image_is_refused_with_the_reason(kernel, pool):
    section = yaml.safe_load(PARAMS.read_text())["train"]
    section["cnn"] = {"filters": [4], "pools": [pool], "kernel": kernel, "stride": 1, "dense": 8}
    params = check(section, ClassifierParams, "train")
    rule = (
        r"should leave at least a pixel of an image of \(8, 8\) px, .* \(Computed output size would be zero or negative"
    )
    with pytest.raises(InputError, match=rule):
        classifier_networks.build("cnn", params, (8, 8, 3), 4, 0.0, 0)


def test_every_architecture_has_its_section():
    assert set(classifier_networks.ARCHITECTURES) == set(classifier_networks.ArchitectureParams.model_fields)


@pytest.mark.parametrize(("side", "channels"), [(None, 3), (64, 3), (64, 1)])
def test_the_pretrained_network_sees_images_on_the_grid_it_is_told(side, channels):
    keras.utils.set_random_seed(1)
    model = classifier_networks.lite0((32, 32, channels), 4, weights=None, side=side, dropout=0.0)
    inner = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    seen = 32 if side is None else side
    assert inner.input_shape == (None, seen, seen, 3)
    images = np.random.default_rng(0).random((2, 32, 32, channels), np.float32)
    np.testing.assert_allclose(model(images).numpy().sum(axis=1), 1, rtol=1e-6)
    if side is not None and channels == 3:
        same = classifier_networks.lite0((64, 64, 3), 4, weights=None, side=None, dropout=0.0)
        same.set_weights(model.get_weights())
        larger = np.stack([cv2.resize(image, (64, 64), interpolation=cv2.INTER_LINEAR) for image in images])
        np.testing.assert_allclose(model(images), same(larger), atol=1e-5)
