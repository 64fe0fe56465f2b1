"""Write and read `.keras` files: the same bytes for the same model, safe mode only; and what images a model is for."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

from brainmri.core.errors import ArtifactError
from brainmri.core.files import read_json
from brainmri.core.missing import missing
from brainmri.core.quiet_keras import keras

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


def load_model(path: Path) -> keras.Model:
    """Load a `.keras` file in safe mode (no code from the file is run).

    Raises
    ------
    ArtifactError
        If there is no such file or it is not a Keras model.
    """
    try:
        return keras.models.load_model(path, safe_mode=True)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        if not path.exists():
            raise missing(path) from None
        reason = " ".join(str(error).split())[:200]
        raise ArtifactError(f"{path}: not a loadable Keras model: {reason}; run `dvc repro train`") from None


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
    received = read_json(folder / "preprocess.json")
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
