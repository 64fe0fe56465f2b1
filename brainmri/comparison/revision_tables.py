"""The files of a revision as values: tables, JSON and YAML from bytes, each checked, none read from disk here."""

from io import BytesIO
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import pandas as pd

from brainmri.core.errors import ArtifactError, ParamsError, one_line, shown
from brainmri.core.files import parse_json
from brainmri.core.missing import locked
from brainmri.core.params import parse_yaml
from brainmri.scoring.probabilities import class_names

PREDICTIONS = "plots/predictions.csv"
CURVES = "plots/curves.csv"
CURVE_COLUMNS = ("epoch", "loss", "val_loss", "accuracy", "val_accuracy")
SEGMENTATION = "data/segmentation/rows.csv"
OUTLINE_NAMES = ("image_id", "label", "set", "method")
MANIFEST = "data/raw/manifest.csv"


def flat(content: Any, above: str = "") -> dict[str, Any]:
    """Return nested mappings as one, keys joined with dots; lists and other values are leaves, absolute paths names.

    A path may name a person or a machine, and comparisons get published: of an absolute one only the last part is
    kept, so that the same file in another folder is no change.
    """
    if not isinstance(content, dict) or not content:
        return {above: _leaf(content)}
    pairs = [flat(value, f"{above}.{key}" if above else str(key)) for key, value in content.items()]
    return {key: value for pair in pairs for key, value in pair.items()}


def flat_used(lock: dict[str, Any]) -> dict[str, Any]:
    """Return the params in the stages of a dvc.lock, under `stage: key`."""
    result: dict[str, Any] = {}
    for stage, entry in sorted(lock.items()):
        for values in (entry.get("params") or {}).values():
            result |= {f"{stage}: {key}": value for key, value in flat(values).items()}
    return result


def predictions(data: bytes, path: str) -> pd.DataFrame:
    """Return the rows of predictions.csv: text, but for the probabilities `p_<class>`, which are floats.

    Raises
    ------
    ArtifactError
        If columns are missing, an image occurs twice, a label is none of the classes, or `predicted` is not the class
        of the largest probability.
    """
    table = _table(data, path, ("image_id", "label", "predicted", "unit"))
    columns = class_names(table)
    if not columns or table.empty:
        raise ArtifactError(f"{path}: should hold images and a column p_<class> each class, received neither")
    chances = _numbers(table[[f"p_{name}" for name in columns]], path)
    # 1e-3 as in `brainmri.scoring.scores`; NaN fails both comparisons.
    if not (abs(chances.sum(axis=1, skipna=False) - 1).max() <= 1e-3 and chances.min(axis=None, skipna=False) >= 0):
        raise ArtifactError(f"{path}: probabilities should be at least 0 and sum to 1 in each row, received others")
    likeliest = [columns[at] for at in chances.to_numpy().argmax(axis=1)]
    if likeliest != list(table["predicted"]):
        raise ArtifactError(f"{path}: predicted should be the likeliest class, received another; run `dvc repro`")
    if not set(table["label"]) <= set(columns):
        raise ArtifactError(f"{path}: labels should be classes of the model, received others; run `dvc repro`")
    return table.assign(**chances)


def curves(data: bytes, path: str) -> pd.DataFrame:
    """Return the columns `CURVE_COLUMNS` of curves.csv as numbers, one row an epoch."""
    table = _numbers(_table(data, path, CURVE_COLUMNS, key=("epoch",))[list(CURVE_COLUMNS)], path)
    if table.empty or table.isna().any(axis=None):
        raise ArtifactError(f"{path}: should hold a number in each column, received none or gaps; run `dvc repro`")
    return table.astype({"epoch": int})


def index(data: bytes, path: str) -> pd.DataFrame:
    """Return image_id, label and split of an index.csv; the split is the name of its folder."""
    table = _table(data, path, ("image_id", "label"))[["image_id", "label"]]
    return table.assign(split=path.split("/")[-2])


def content(data: bytes, path: str) -> dict[str, str]:
    """Return the set and SHA-256 of each image in manifest.csv, by image_id."""
    table = _table(data, path, ("image_id", "set", "sha256"))
    return dict(zip(table["image_id"], table["set"] + " " + table["sha256"], strict=True))


def segmentation(data: bytes, path: str) -> pd.DataFrame:
    """Return rows.csv of the segmentation: text, but for `dice` and `truth_px`, NaN where they are empty."""
    needed = ("image_id", "unit", "method", "dice", "truth_px")
    table = _table(data, path, needed, key=("image_id", "method"))
    return table.assign(**_numbers(table[["dice", "truth_px"]], path))


def choices(data: bytes, path: str) -> pd.DataFrame:
    """Return the Dice of each way of cleaning that a U-Net's was chosen from."""
    table = _numbers(_table(data, path, ("dice",), key=())[["dice"]], path)
    if table["dice"].isna().all():
        raise ArtifactError(f"{path}: dice should hold numbers, received none; run `dvc repro`")
    return table


def outline_rows(data: bytes, path: str) -> pd.DataFrame:
    """Return rows.csv of the segmentation whole: names as text, True and False too, all else numbers."""
    table = _table(data, path, ("image_id", "unit", "method", "dice", "truth_px"), key=("image_id", "method"))
    names = [name for name in table if name in OUTLINE_NAMES or table[name].isin(["True", "False"]).any()]
    return table.assign(**_numbers(table.drop(columns=names), path))


def _table(
    data: bytes, path: str, needed: tuple[str, ...] = ("image_id",), key: tuple[str, ...] = ("image_id",)
) -> Any:
    try:
        # All text: an image id such as 12e4567 is no number, a class may be called NA.
        table = pd.read_csv(BytesIO(data), dtype=str, keep_default_na=False)
    except (ValueError, OverflowError) as error:  # pandas' own errors are ValueErrors
        raise ArtifactError(f"{path}: should be a CSV table, received: {one_line(error)}") from None
    lacking = sorted(set(needed) - set(table.columns))
    if lacking:
        raise ArtifactError(f"{path}: should have the columns {list(needed)}, received none called {lacking}")
    if key and table.duplicated(list(key)).any():
        raise ArtifactError(f"{path}: each {' and '.join(key)} should occur once, received some twice; run `dvc repro`")
    return table


def _numbers(table: pd.DataFrame, path: str) -> pd.DataFrame:
    try:
        numbers = table.replace("", "nan").astype(float)
        if np.isinf(numbers).any(axis=None):
            raise ValueError("infinity")
        return numbers
    except ValueError as error:
        raise ArtifactError(f"{path}: {list(table.columns)} should be numbers, received: {one_line(error)}") from None


def from_json(data: bytes, path: str) -> Any:
    """Return the content of a JSON file."""
    try:
        return parse_json(data)
    except ValueError as error:
        raise ArtifactError(f"{path}: should be JSON, received: {one_line(error)}") from None


def from_yaml(data: bytes, path: str) -> dict[str, Any]:
    """Return the mapping in a YAML file, read as DVC reads it."""
    try:
        content = parse_yaml(data.decode(), path)
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{path}: should be YAML, received: {one_line(error)}") from None
    except ParamsError as error:
        raise ArtifactError(str(error)) from None
    if not isinstance(content, dict):
        raise ArtifactError(f"{path}: should be a mapping, received {shown(content)}")
    return content


def listing(data: bytes, path: str) -> list[dict[str, str]]:
    """Return what DVC's cache says that a folder holds: `relpath` and `md5` of each file."""
    found = from_json(data, path)
    whole = isinstance(found, list) and all(
        isinstance(entry, dict) and {"relpath", "md5"} <= {*entry} for entry in found
    )
    if not whole:
        raise ArtifactError(f"{path}: should list files, received {shown(found)}; `dvc pull` or `dvc repro` mends it")
    return list(found)


def flat_json(data: bytes, path: str) -> dict[str, Any]:
    """Return a JSON file as `flat` gives it."""
    content = from_json(data, path)
    if not isinstance(content, dict):
        raise ArtifactError(f"{path}: should be a mapping, received {shown(content)}; run `dvc repro report`")
    return flat(content)


def flat_yaml(data: bytes, path: str) -> dict[str, Any]:
    """Return a YAML file as `flat` gives it."""
    return flat(from_yaml(data, path))


def stages(data: bytes, path: str) -> dict[str, Any]:
    """Return the stages of a dvc.lock, which in the middle of a conflict may be anything."""
    try:
        return locked(from_yaml(data, path), path)
    except ParamsError as error:
        raise ArtifactError(str(error)) from None


def _leaf(value: Any) -> Any:
    if isinstance(value, list):
        return [_leaf(part) for part in value]
    if isinstance(value, dict):
        return {str(key): _leaf(part) for key, part in value.items()}
    if isinstance(value, str):
        private = value.startswith("~") or PurePosixPath(value).is_absolute() or PureWindowsPath(value).is_absolute()
        return PureWindowsPath(value).name if private else value
    if isinstance(value, float) and value - value != 0:  # NaN and infinities, which JSON lacks
        return str(value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)
