"""Saved models: equal bytes, equal predictions, safe mode; and what images they are for."""

import json

import keras
import numpy as np
import pytest

from brainmri.core.errors import ArtifactError
from brainmri.models.model_files import load_model, require_same_images, save_model

pytestmark = pytest.mark.slow


def model(seed=0):
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    made = keras.Model(inputs, keras.layers.Dropout(0.5)(keras.layers.Dense(3)(inputs)))
    made.compile("adam", "mse")
    made.optimizer.build(made.trainable_variables)
    return made


def test_two_saves_of_one_model_are_the_same_bytes_and_load_alike(tmp_path):
    made = model()
    for name in ("a.keras", "b.keras"):
        save_model(made, tmp_path / name)
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    x = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(load_model(tmp_path / "a.keras")(x), made(x))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.keras", "b.keras"]


def test_the_optimiser_is_left_out(tmp_path):
    save_model(model(), tmp_path / "a.keras")
    assert not load_model(tmp_path / "a.keras").compiled


def test_the_same_model_built_twice_saves_the_same_bytes(tmp_path):
    for name in ("a.keras", "b.keras"):
        save_model(model(), tmp_path / name)
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


def test_a_model_that_carries_code_is_refused(tmp_path):
    inputs = keras.Input((4,))
    save_model(keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs)), tmp_path / "a.keras")
    with pytest.raises(ArtifactError, match=r"a\.keras: not a loadable Keras model"):
        load_model(tmp_path / "a.keras")


def test_a_missing_model_says_what_to_do(tmp_path):
    with pytest.raises(ArtifactError, match=r"no such file; run the stage that writes it with `dvc repro`"):
        load_model(tmp_path / "a.keras")


def test_images_made_otherwise_than_the_models_are_refused(tmp_path):
    path = tmp_path / "preprocess.json"
    path.write_text(json.dumps({"classes": ["a"], "params": {"size": 4}}))
    require_same_images(tmp_path, {"size": 4})
    require_same_images(tmp_path, {"size": 4}, ["a"])
    with pytest.raises(
        ArtifactError, match=r"trained with \(\{'classes': \['b'\]\}\), received \{'classes': \['a'\]\}"
    ):
        require_same_images(tmp_path, {"size": 4}, ["b"])
    path.write_text(json.dumps({"classes": ["a"], "params": {"size": 8}}))
    with pytest.raises(ArtifactError, match=r"received \{'params': \{'size': 8\}\}; run `dvc repro`"):
        require_same_images(tmp_path, {"size": 4})
