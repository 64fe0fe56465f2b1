"""Write and read `.keras` files: the same bytes for the same model, safe mode only; and what images a model is for."""

import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py

from brainmri.core.errors import ArtifactError, one_line, shown
from brainmri.core.files import parse_json, read_record
from brainmri.core.missing import damaged, missing
from brainmri.core.quiet_keras import keras
from brainmri.preprocessing.image_params import MadeWith

# What a `.keras` file holds, and the most that each unpacks to; the largest of ours have 0.2 and 18 MB.
BOUNDS = {"config.json": 2**24, "metadata.json": 2**16, "model.weights.h5": 2**30}
# Keras's own classes, by module, that the networks here are made of; no other is made from a file.
LAYERS: dict[str | None, frozenset[str]] = {
    None: frozenset({"__keras_tensor__"}),
    "keras": frozenset({"DTypePolicy", "Sequential"}),
    "keras.initializers": frozenset(
        {"GlorotUniform", "GlorotNormal", "HeNormal", "HeUniform", "Ones", "Zeros", "Constant", "RandomNormal",
         "RandomUniform", "TruncatedNormal", "VarianceScaling", "LecunNormal"}
    ),
    "keras.layers": frozenset(
        {"Activation", "Add", "Average", "AveragePooling2D", "BatchNormalization", "Concatenate", "Conv2D",
         "Conv2DTranspose", "Dense", "DepthwiseConv2D", "Dropout", "Flatten", "GlobalAveragePooling2D",
         "GlobalMaxPooling2D", "InputLayer", "LayerNormalization", "MaxPooling2D", "Multiply", "Normalization", "ReLU",
         "Rescaling", "Reshape", "Resizing", "Softmax", "SpatialDropout2D", "UpSampling2D", "ZeroPadding2D"}
    ),
    "keras.src.models.functional": frozenset({"Functional"}),
    # Of backbones of keras.applications.
    "keras.src.applications.convnext": frozenset({"LayerScale"}),
    "keras.src.ops.numpy": frozenset({"Add", "Multiply"}),
    "keras.src.ops.image": frozenset({"Resize"}),  # a network that enlarges its images
}  # fmt: skip

_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


def save_model(model: keras.Model, path: Path) -> None:
    """Save a model without what Keras adds from the moment: the date, the zip's times, and object addresses.

    `shared_object_id` in config.json is the address of a Python object; it is renumbered in order of appearance. The
    optimiser is left out: its moments are twice the weights and of no use to prediction.
    """
    original = path.with_name(f".{path.stem}.original.keras")
    keras.Model(model.input, model.output, name=model.name).save(original)
    with zipfile.ZipFile(original) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name == "metadata.json":
                content = json.dumps({k: v for k, v in json.loads(content).items() if k != "date_saved"}).encode()
            if name == "config.json":
                content = _renumbered(content.decode()).encode()
            target.writestr(zipfile.ZipInfo(name, _FIXED_TIME), content)
    original.unlink()


def load_model(
    path: Path, takes: Sequence[tuple[int, ...]] | None = None, gives: tuple[int, ...] | None = None
) -> keras.Model:
    """Load a `.keras` file whose layers are Keras's own (`LAYERS`), in safe mode: no code from the file is run.

    Everything is looked at before Keras sees it: the sizes that the archive tells, which Python's reader holds it to;
    the config; what the weights unpack to; and, without making a weight, how many the layers would have.

    Parameters
    ----------
    takes : sequence of tuple, optional
        The shape that each input should have, without the batch; without, any will do.
    gives : tuple, optional
        The shape of the output, likewise.

    Raises
    ------
    ArtifactError
        If there is no such file, it is not such a model, or takes and gives something else.
    """
    if not path.exists():
        raise missing(path)
    try:
        config, weights = _unpacked(path)
        _require_own_layers(config, path)
        _require_fitting(config, _stored_weights(weights, path), path)
        model = keras.models.load_model(path, safe_mode=True)
    except ArtifactError:
        raise
    except Exception as error:  # Keras and HDF5 raise whatever a damaged part of the file leads them to
        raise damaged(path, f"not a loadable Keras model: {one_line(error, 200)}") from None
    for word, wanted, tensors in (("take", takes, model.inputs), ("give", gives and [gives], model.outputs)):
        received = [tuple(one.shape[1:]) for one in tensors]
        if wanted is not None and received != list(wanted):
            said = f"should {word} {shown(list(wanted))}, as the files beside it say, received one that would {word}"
            raise damaged(path, f"{said} {shown(received)}")
    return model


def _unpacked(path: Path) -> tuple[Any, bytes]:
    """Return the config and the weights in a `.keras` file; neither is unpacked past its bound."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {member.filename: member.file_size for member in archive.infolist()}
            if len(archive.infolist()) != len(sizes) or set(sizes) != set(BOUNDS):
                raise damaged(path, f"a model should hold {', '.join(BOUNDS)}, received {shown(sorted(sizes))}")
            for name, most in BOUNDS.items():
                if sizes[name] > most:
                    raise damaged(path, f"{name} should unpack to at most {most:,} bytes, received {sizes[name]:,}")
            read = [archive.read(name) for name in BOUNDS]  # which stops at the size that was told
        return parse_json(read[0]), read[2]
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError) as error:
        # A renamed HDF5 file or a pickle is no archive.
        raise damaged(path, f"should be a `.keras` archive, received another file: {one_line(error, 200)}") from None


def _require_own_layers(config: Any, path: Path) -> None:
    """Refuse a config that names anything but the layers and their parts that `LAYERS` lists."""
    for found in _objects(config):
        module, name = found.get("module"), found["class_name"]
        registered = found.get("registered_name")
        if not isinstance(name, str) or name not in LAYERS.get(module if isinstance(module, str) else None, ()):
            raise damaged(
                path,
                f"its layers should be Keras's own that the networks here are made of, received {shown(name)} of "
                f"{shown(module)}, which was not opened",
            )
        if registered not in (None, name):
            raise damaged(path, f"its layers should be Keras's own, received the custom object {shown(registered)}")


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every part of a config that Keras would make an object of."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        yield from (found for value in config.values() for found in _objects(value))
    elif isinstance(config, list):
        yield from (found for value in config for found in _objects(value))


def _stored_weights(data: bytes, path: Path) -> int:
    """Return how many numbers an HDF5 file of weights holds; refuse one that unpacks, or that points to other files."""
    counts: list[int] = []
    size = 0

    def visit(name: str, found: Any) -> None:
        nonlocal size
        if isinstance(found, h5py.Group):
            others = [key for key in found if not isinstance(found.get(key, getlink=True), h5py.HardLink)]
            if others:
                raise damaged(path, f"weights should stand in the file, received a link at {shown(name)}")
            return
        if found.dtype.kind not in "fiuV" or found.dtype.hasobject or found.external or found.is_virtual:
            raise damaged(path, f"weights should be numbers in the file, received another at {shown(name)}")
        counts.append(found.size)
        size += found.nbytes

    with h5py.File(io.BytesIO(data), "r") as file:
        visit("/", file)
        file.visititems(visit)
    if size > len(data):
        raise damaged(path, f"weights should take no more than their file's {len(data):,} bytes, received {size:,}")
    return sum(counts)


def _require_fitting(config: Any, stored: int, path: Path) -> None:
    """Refuse a config whose layers would have more weights than the file holds, before any of them is made."""
    try:
        with keras.StatelessScope(initialize_variables=False):
            needed = keras.saving.deserialize_keras_object(config, safe_mode=True).count_params()
    finally:
        # Else the next scope of Keras's own that ends would make them. There is no public way to forget them.
        keras.src.backend.common.global_state.set_global_attribute("uninitialized_variables", [])
    if needed > stored:
        raise damaged(path, f"layers should have the {stored:,} weights that it holds, received layers of {needed:,}")


def require_same_images(folder: Path, image_params: dict[str, Any], classes: list[str] | None = None) -> None:
    """Refuse the images of a folder that were not made as those a model was trained on.

    Parameters
    ----------
    image_params : dict
        The model's.
    classes : list of str, optional
        The model's, where it tells classes apart.

    Raises
    ------
    ArtifactError
        If the image params of `folder`, or its classes, differ from the model's.
    """
    received = read_record(folder / "preprocess.json", MadeWith).model_dump()
    expected = {"params": image_params} | ({} if classes is None else {"classes": classes})
    differing = {key: received.get(key) for key, value in expected.items() if received.get(key) != value}
    if differing:
        raise ArtifactError(
            f"{folder}: images should be made with the params the model was trained with "
            f"({ {key: expected[key] for key in differing} }), received {differing}; run `dvc repro`"
        )


def _renumbered(config: str) -> str:
    numbers: dict[str, int] = {}
    return re.sub(r'("shared_object_id": )(\d+)', lambda m: m[1] + str(numbers.setdefault(m[2], len(numbers))), config)
