"""Write and read `.keras` files: the same bytes for the same model, and safe mode only."""

import json
import re
import zipfile
from pathlib import Path

import keras

from brainmri.core.errors import ArtifactError

_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


def save_model(model: keras.Model, path: Path) -> None:
    """Save a model without what Keras adds from the moment: the date, the zip's times, and object addresses.

    `shared_object_id` in config.json is the address of a Python object; it is renumbered in order of appearance.
    """
    original = path.with_name(f".{path.stem}.original.keras")
    model.save(original)
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
        reason = "no such file" if not path.exists() else " ".join(str(error).split())[:200]
        raise ArtifactError(f"{path}: not a loadable Keras model: {reason}; run `dvc repro train`") from None


def _renumbered(config: str) -> str:
    numbers: dict[str, int] = {}
    return re.sub(r'("shared_object_id": )(\d+)', lambda m: m[1] + str(numbers.setdefault(m[2], len(numbers))), config)
