"""Run fetch and preprocess with params of one's own, and read what they say."""

import json
from pathlib import Path

import yaml
from conftest import PARAMS, tiny_params

from brainmri.core.params import check
from stages import fetch, preprocess

PHANTOM = yaml.safe_load(PARAMS.read_text())["fetch"]["phantom"]


def section(source: str, **named: str) -> fetch.Params:
    names = {"kaggle": ("classes", "masks"), "local": ("classes", "masks", "manifest", "patients")}
    values = {
        "source": source,
        "phantom": PHANTOM,
        "channel": named.get("channel"),
        "external": named.get("external", {}),
    }
    values |= {key: {name: named.get(name) if key == source else None for name in own} for key, own in names.items()}
    return check(values, fetch.Params, where="section `fetch`")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fetched(tmp_path: Path, source: str, **named: object) -> Path:
    places = {name: path if name == "external" else str(path) for name, path in named.items()}
    fetch.run(section(source, **places), tmp_path / "raw")
    return tmp_path / "raw"


def params(**changes):
    return check(tiny_params(preprocess=changes)["preprocess"], preprocess.Params, "preprocess")


def summary(out):
    return json.loads((out / "summary/summary.json").read_text())
