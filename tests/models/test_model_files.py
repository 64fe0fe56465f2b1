"""Saved models: equal bytes, equal predictions, safe mode; and what images they are for."""

import io
import json
import pickle
import zipfile

import h5py
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
    np.testing.assert_array_equal(load_model(tmp_path / "a.keras", [(4,)], (3,))(x), made(x))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.keras", "b.keras"]


def test_the_optimiser_is_left_out(tmp_path):
    save_model(model(), tmp_path / "a.keras")
    assert not load_model(tmp_path / "a.keras", [(4,)], (3,)).compiled


def test_the_same_model_built_twice_saves_the_same_bytes(tmp_path):
    for name in ("a.keras", "b.keras"):
        save_model(model(), tmp_path / name)
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


def test_a_model_that_carries_code_is_refused(tmp_path):
    inputs = keras.Input((4,))
    save_model(keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs)), tmp_path / "a.keras")
    with pytest.raises(ArtifactError, match=r"a\.keras: its layers should be Keras's own .*, received 'Lambda'"):
        load_model(tmp_path / "a.keras", [(4,)], (3,))


def test_a_missing_model_says_what_to_do(tmp_path):
    with pytest.raises(ArtifactError, match=r"no such file; run the stage that writes it with `dvc repro`"):
        load_model(tmp_path / "a.keras", [(4,)], (3,))


PARAMS = {"size": 16, "fit": "pad", "window_source": "frame", "windows": [[1, 99]]}


def test_images_made_otherwise_than_the_models_are_refused(tmp_path):
    path = tmp_path / "preprocess.json"
    path.write_text(json.dumps({"classes": ["a"], "params": PARAMS}))
    require_same_images(tmp_path, PARAMS)
    require_same_images(tmp_path, PARAMS, ["a"])
    with pytest.raises(
        ArtifactError, match=r"trained with \(\{'classes': \['b'\]\}\), received \{'classes': \['a'\]\}"
    ):
        require_same_images(tmp_path, PARAMS, ["b"])
    path.write_text(json.dumps({"classes": ["a"], "params": PARAMS | {"size": 32}}))
    with pytest.raises(ArtifactError, match=r"received \{'params': \{.*'size': 32.*\}\}; run `dvc repro`"):
        require_same_images(tmp_path, PARAMS)


def test_a_model_of_other_inputs_or_outputs_is_refused(tmp_path):
    save_model(model(), tmp_path / "a.keras")
    with pytest.raises(ArtifactError, match=r"a\.keras: should take \[\(5,\)\], .*, received one that would take"):
        load_model(tmp_path / "a.keras", [(5,)], (3,))
    with pytest.raises(
        ArtifactError, match=r"should take \[\(4,\), \(2,\)\], .*, received one that would take \[\(4,\)\]"
    ):
        load_model(tmp_path / "a.keras", [(4,), (2,)], (3,))
    with pytest.raises(ArtifactError, match=r"should give \[\(2,\)\], .*, received one that would give \[\(3,\)\]"):
        load_model(tmp_path / "a.keras", [(4,)], (2,))


def packed(path, **changes):
    """Write a model into `path` with members of its archive changed: a function of the bytes, or None to leave out."""
    save_model(model(), path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**members, **{name: b"" for name in changes if name not in members}}.items():
            change = changes.get(name, lambda data: data)
            if change is not None:
                archive.writestr(name, change(data))
    return path


def with_layer(**changes):
    """Return a change of a config: the keys of its first Dense layer."""

    def change(data):
        config = json.loads(data)
        dense = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Dense")
        for key, value in changes.items():
            (dense["config"] if key == "units" else dense)[key] = value
        return json.dumps(config).encode()

    return change


def weights(**arrays):
    """Return an HDF5 file with these arrays: a function of the file that writes one."""
    place = io.BytesIO()
    with h5py.File(place, "w") as file:
        for name, write in arrays.items():
            write(file, name)
    return place.getvalue()


def bomb(file, name):
    file.create_dataset(name, (2**26,), "f4", fillvalue=0.0, compression="gzip", chunks=(2**20,))


def link(file, name):
    file[name] = h5py.ExternalLink("/etc/hostname", "/")


def text(file, name):
    file.create_dataset(name, data=["a", "b"], dtype=h5py.string_dtype())


CHANGED = {
    "a layer of the user's": (
        {"config.json": with_layer(module="os", class_name="system")},
        "received 'system' of 'os'",
    ),
    "a layer that runs code": ({"config.json": with_layer(class_name="Lambda")}, "received 'Lambda' of 'keras.layers'"),
    "a custom object": (
        {"config.json": with_layer(registered_name="Mine>Dense")},
        "Keras's own, received the custom object 'Mine>Dense'",
    ),
    "no class": ({"config.json": with_layer(class_name=["Dense"])}, r"received \['Dense'\] of 'keras.layers'"),
    "layers larger than the weights": ({"config.json": with_layer(units=10**9)}, "layers should have the 15 weights"),
    "a config that unpacks": (
        {"config.json": lambda data: b" " * 2**25},
        "config.json should unpack to at most 16,777,216",
    ),
    "no config": ({"config.json": lambda data: b"{"}, "not a loadable Keras model"),
    "a config of NaN": ({"config.json": lambda data: b'{"a": NaN}'}, "numbers should be finite"),
    "no weights": ({"model.weights.h5": None}, "a model should hold config.json, metadata.json, model.weights.h5"),
    "a file more": ({"code.py": lambda data: b"import os"}, r"received \['code.py', 'config.json'"),
    "weights that are none": ({"model.weights.h5": lambda data: b"text"}, "not a loadable Keras model"),
    "weights that unpack": ({"model.weights.h5": lambda data: weights(a=bomb)}, "no more than their file's"),
    "weights elsewhere": ({"model.weights.h5": lambda data: weights(a=link)}, "received a link at '/'"),
    "weights of text": (
        {"model.weights.h5": lambda data: weights(a=text)},
        "numbers in the file, received another at 'a'",
    ),
}


@pytest.mark.parametrize("kind", CHANGED)
def test_a_model_that_came_back_changed_is_refused(tmp_path, kind):
    changes, said = CHANGED[kind]
    path = packed(tmp_path / "a.keras", **changes)
    with pytest.raises(ArtifactError, match=rf"a\.keras: .*{said}"):
        load_model(path, [(4,)], (3,))
    assert not keras.src.backend.common.global_state.get_global_attribute("uninitialized_variables")


@pytest.mark.parametrize("data", [b"", pickle.dumps(print), weights(), b"PK\x03\x04", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_archive_is_refused(tmp_path, data):
    (tmp_path / "a.keras").write_bytes(data)
    with pytest.raises(ArtifactError, match=r"a\.keras: (should be a `\.keras` archive|a model should hold)"):
        load_model(tmp_path / "a.keras")
