"""Files of our own that come back changed: models, and params."""

import io
import json
import pickle
import zipfile
from functools import lru_cache

import h5py
from hostile.rows import Refused, Row

from brainmri.core.files import read_record
from brainmri.models.model_files import load_model
from brainmri.preprocessing.image_params import MadeWith
from brainmri.scoring.calibration import Calibration
from stages.check_params import require_valid

TITLE = "Models and params"
INTRO = (
    "A model's config is held against a list of Keras's own layers, and its sizes against bounds, before Keras sees it."
)
MENDS = "run the stage that writes it with `dvc repro`"
BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{at + 1}: &a{at + 1} [{', '.join([f'*a{at}'] * 10)}]\n" for at in range(9)
)


@lru_cache
def model() -> dict[str, bytes]:
    """Return the members of the archive of a small model."""
    from brainmri.core.quiet_keras import keras

    place = io.BytesIO()
    inputs = keras.Input((4,))
    with h5py.File(place, "w") as file:
        file["a"] = [0.0] * 15
    dense = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    config = json.dumps(keras.saving.serialize_keras_object(dense))
    return {"config.json": config.encode(), "metadata.json": b"{}", "model.weights.h5": place.getvalue()}


def archive(**changes):
    """Return a `make` that writes a model with members changed; each change is a function of the bytes."""

    def make(folder):
        with zipfile.ZipFile(folder / "model.keras", "w", zipfile.ZIP_DEFLATED) as file:
            for name, data in model().items():
                file.writestr(name, changes.get(name, lambda same: same)(data))
        return folder / "model.keras"

    return make


def layer(**changes):
    def change(data):
        config = json.loads(data)
        dense = next(one for one in config["config"]["layers"] if one["class_name"] == "Dense")
        dense |= {key: value for key, value in changes.items() if key in dense}
        dense["config"] |= {key: value for key, value in changes.items() if key not in dense}
        return json.dumps(config).encode()

    return change


def hdf5(*_):
    place = io.BytesIO()
    with h5py.File(place, "w") as file:
        file.create_dataset("a", (2**28,), "f4", fillvalue=0.0, compression="gzip", chunks=(2**20,))
    return place.getvalue()


def named(name, data):
    def make(folder):
        (folder / name).write_bytes(data() if callable(data) else data)
        return folder / name

    return make


def foreign(name, module):
    return (
        "FILE: its layers should be Keras's own that the networks here are made of, received "
        f"'{name}' of '{module}', which was not opened; {MENDS}"
    )


NO_ARCHIVE = f"FILE: should be a `.keras` archive, received another file: ...; {MENDS}"
NO_YAML = "FILE: not a readable YAML file: ..."
TOO_MUCH = (
    "FILE: not a readable YAML file: it should come to at most 20,000 values, nested at most 32 deep, aliases "
    "included, received more"
)


def calibration(text):
    return named("calibration.json", f'{{"mirror": false, "temperature": {text}, "abstain_below": 0.5}}'.encode())


def reads(record):
    return lambda path: read_record(path, record)


ROWS = [
    Row(
        "model with a Lambda layer",
        archive(**{"config.json": layer(class_name="Lambda")}),
        load_model,
        Refused(foreign("Lambda", "keras.layers")),
    ),
    Row(
        "model with a layer of another module",
        archive(**{"config.json": layer(module="os", class_name="system")}),
        load_model,
        Refused(foreign("system", "os")),
    ),
    Row(
        "model with a registered custom object",
        archive(**{"config.json": layer(registered_name="Mine>Dense")}),
        load_model,
        Refused(f"FILE: its layers should be Keras's own, received the custom object 'Mine>Dense'; {MENDS}"),
    ),
    Row(
        "model whose layers are larger than its weights, 16 GB",
        archive(**{"config.json": layer(units=10**9)}),
        load_model,
        Refused(f"FILE: layers should have the 15 weights that it holds, received layers of 5,000,000,000; {MENDS}"),
    ),
    Row(
        "model whose config unpacks to 64 MB",
        archive(**{"config.json": lambda data: b" " * 2**26}),
        load_model,
        Refused(f"FILE: config.json should unpack to at most 16,777,216 bytes, received 67,108,864; {MENDS}"),
    ),
    Row(
        "model whose weights unpack to 1 GB",
        archive(**{"model.weights.h5": hdf5}),
        load_model,
        Refused(f"FILE: weights should take no more than their file's ... bytes, received 1,073,741,824; {MENDS}"),
    ),
    Row("HDF5 file named .keras", named("model.keras", hdf5), load_model, Refused(NO_ARCHIVE)),
    Row("pickled code named .keras", named("model.keras", pickle.dumps(print)), load_model, Refused(NO_ARCHIVE)),
    Row(
        "calibration of NaN",
        calibration("NaN"),
        reads(Calibration),
        Refused(f"FILE: not valid JSON: numbers should be finite, received NaN; {MENDS}"),
    ),
    Row(
        "calibration of a number with 5,000 digits",
        calibration("9" * 5000),
        reads(Calibration),
        Refused(f"FILE: not valid JSON: whole numbers should have at most 18 digits, received 5000; {MENDS}"),
    ),
    Row(
        "preprocess.json that is nested deep",
        named("preprocess.json", b'{"a": ' * 100_000),
        reads(MadeWith),
        Refused(f"FILE: not valid JSON: it should be nested at most 32 deep, received more; {MENDS}"),
    ),
    Row(
        "params with an object tag",
        named("params.yaml", b"train: !!python/object/apply:os.system [ls]\n"),
        require_valid,
        Refused(NO_YAML),
    ),
    Row(
        "params with a section twice", named("params.yaml", b"train: {}\ntrain: {}\n"), require_valid, Refused(NO_YAML)
    ),
    Row("params of aliases of aliases, 4 GB", named("params.yaml", BOMB.encode()), require_valid, Refused(TOO_MUCH)),
    Row(
        "params of 100,000 keys",
        named("params.yaml", "".join(f"k{at}: {at}\n" for at in range(100_000)).encode()),
        require_valid,
        Refused("FILE: not a readable YAML file: it should have at most 262,144 letters, received a file of ... bytes"),
    ),
    Row("params with no date", named("params.yaml", b"train: 2024-13-45\n"), require_valid, Refused(NO_YAML)),
    Row(
        "params with a number of 5,000 digits",
        named("params.yaml", b"train: " + b"9" * 5000 + b"\n"),
        require_valid,
        Refused(NO_YAML),
    ),
]
