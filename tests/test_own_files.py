"""Files that our own software wrote and that came back changed: each reader ends in one sentence that names the file.

For each file that a finished run has every change below is made, and at every key each of `VALUES` put and the key
taken away; then the file is used as its readers use it. That ends in an error of ours, on one line, or, where a key may
be absent or a value null, in an answer.
"""

import copy
import io
import json
import shutil
from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_project import ROOT

from brainmri.comparison import revision_tables
from brainmri.comparison.headline import headline
from brainmri.core import files, index, manifest
from brainmri.core.errors import BrainMRIError, ParamsError
from brainmri.core.missing import missing, read_lock
from brainmri.preprocessing.augmentation import VARIANTS, VariationParams
from brainmri.preprocessing.columns import ENCODED
from brainmri.preprocessing.image_params import ImageParams, MadeWith
from brainmri.project import lock, presets, published, results
from brainmri.reporting import model_card
from brainmri.reporting.documents import as_markdown
from brainmri.reporting.scan_facts import FACTS
from brainmri.reporting.score_table import score_table
from brainmri.reporting.summary import METRICS, Preprocessed, headline_numbers
from brainmri.scoring import curves, predictions_table, records, training_scores
from brainmri.scoring.calibration import Calibration
from stages import check_params

NINES = "9" * 5000
# In place of a whole JSON or YAML file, and what is left of it.
WHOLE = {
    "empty": lambda data: b"",
    "cut short": lambda data: data[: len(data) // 2],
    "null": lambda data: b"null",
    "a list": lambda data: b"[1, 2]",
    "a text": lambda data: b'"text"',
    "a number of 5,000 digits": lambda data: NINES.encode(),
    "invalid UTF-8": lambda data: data[: len(data) // 2] + b"\xff\xfe" + data[len(data) // 2 :],
    "nested deep": lambda data: b'{"a": ' * 3000 + b"1" + b"}" * 3000,
    "nested deeper than the reader": lambda data: b"[" * 9000,
    "conflict markers": lambda data: b"<<<<<<< HEAD\n" + data + b"=======\n" + data + b">>>>>>> other\n",
    "bytes of no text": lambda data: bytes(range(256)),
}
# In place of a value, as they are written in JSON.
VALUES = {
    "a text": '"text"',
    "a list": "[]",
    "a mapping": "{}",
    "null": "null",
    "true": "true",
    "NaN": "NaN",
    "infinity": "1e999",
    "5,000 digits": NINES,
    "minus one": "-1",
    "a long label": json.dumps("x" * 10_000),
    "half a letter": '"\\ud800"',
}
# Of these no reader may take any, wherever it stands.
BROKEN = ("NaN", "infinity", "5,000 digits")
MOST = 30  # keys of one file that get every value, taken evenly from all of it: each reads the file anew


def said(use, name):
    """Use a file; return the sentence that it ends in, or nothing."""
    try:
        use()
    except BrainMRIError as error:
        text = str(error)
        assert "\n" not in text, text
        assert len(text) < 3000, text[:200]
        # What does not fit together is said of either file.
        assert name in text or text.startswith("labels: "), text
        return text
    return ""


def paths(content, above=()):
    """Yield the place of every value in nested JSON, one for those that differ in a class's or a fold's name alone."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield (*above, key)
            yield from paths(value, (*above, key))
    elif isinstance(content, list) and content:
        yield (*above, 0)
        yield from paths(content[0], (*above, 0))


def alike(path):
    """Return a place without the names of classes, methods and folds, so that of those alike one is changed."""
    names = ("glioma", "meningioma", "notumor", "pituitary", "kmeans", "kmeans_brain", "unet", *map(str, range(20)))
    return tuple("*" if part in names else part for part in path)


def changed(content, path, text):
    """Return nested JSON as bytes with the value at a place replaced by a text of JSON, or left out for None."""
    result = copy.deepcopy(content)
    place = result
    for part in path[:-1]:
        place = place[part]
    if text is None:
        del place[path[-1]]
        return json.dumps(result).encode()
    place[path[-1]] = "@@@"
    return json.dumps(result).replace('"@@@"', text).encode()


def load(path):
    return json.loads((ROOT / path).read_text())


@cache
def others():
    """Return the four metrics as they are, the table of metadata and that of predictions."""
    found = {name: files.read_json(ROOT / f"metrics/{name}.json", shape) for name, shape in METRICS.items()}
    facts = index.read_table(ROOT / "plots/metadata.csv", FACTS)
    return found, facts, predictions_table.read_predictions(ROOT / "plots/predictions.csv")


def metrics_used(folder, _, kind):
    """Read one of the metrics in `folder`, and write the card, the chart's table and the headline of it."""
    own = files.read_json(folder / f"{kind}.json", METRICS[kind])
    found, facts, predictions = others()
    found = found | {kind: own}
    as_markdown(model_card.card(found, facts, predictions, ROOT / "plots"), "../plots")
    score_table(found["classify"], found["probe"])
    files.write_json(folder / "summary.json", headline_numbers(found))


def summary_used(folder):
    shutil.copytree(ROOT / "metrics", folder / "metrics", dirs_exist_ok=True)
    shutil.copy(folder / "summary.json", folder / "metrics/summary.json")
    headline(folder)


def result_used(folder, name):
    (folder / "results/external").mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / name, folder / "results" / name)
    runs, others = published.published(folder)
    results.all_tables(list(runs.values()), others)


def external_result_used(folder, name):
    (folder / "results/external").mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / name, folder / "results/external" / name)
    _, others = published.published(folder)
    results.all_tables([load("results/phantom.json")], others)


def written_by_stages():
    """Return the content of each JSON file that a stage hands to another, and what it is read as."""
    data, classify = load("metrics/data.json"), load("metrics/classify.json")
    del classify["validation"]
    data |= {"unreadable": [{"image_id": "a", "reason": "no image"}], "without_head": ["b"]}
    one_set = {"images": 2, "masks": 1, "volumes": 0, "patients": 1, "patients_in_several_splits": 0}
    one_set |= {"ignored": {"txt": 1}, "counts": {"train": {"glioma": 2}}}
    one_set |= {"differences": {"train": {"expected": 3, "found": 2}}}
    fetched = {"source": "phantom", "simulated": True, "kaggle": None, "sets": {"phantom": one_set}}
    counts = dict.fromkeys(manifest.ExternalCounts.model_fields, 1)
    by_label = ("training_twins", "training_patients", "left", "unknown_classes", "scored", "training_neighbours")
    params = ImageParams(size=128, fit="pad", window_source="frame", windows=[[1.0, 99.0]]).model_dump()
    encoding = [{"column": "mode", "values": ["L"]}, {"column": "snr", "mean": 20.5, "sd": 2.5}]
    ranges = dict.fromkeys(VariationParams.model_fields, 0.0) | {"horizontal_flip": True, "vertical_flip": False}
    return {
        "evaluation/scores.json": (classify, records.Evaluated),
        "probes/scores.json": (load("metrics/probe.json"), METRICS["probe"]),
        "segmentation/scores.json": (load("metrics/segment.json"), records.Segment),
        "summary/summary.json": (data, Preprocessed),
        "raw/summary.json": (fetched, manifest.FetchSummary),
        "counts.json": (
            {"far": counts | {name: {"glioma": 1} for name in by_label}},
            dict[str, manifest.ExternalCounts],
        ),
        "preprocess.json": ({"classes": ["glioma", "notumor"], "params": params}, MadeWith),
        "calibration.json": ({"mirror": True, "temperature": 1.5, "abstain_below": 0.5}, Calibration),
        "metadata.json": (encoding, ENCODED),
        "ranges.json": (ranges, VariationParams),
        "versions.json": ({"python": "3.11", "keras": "3.15"}, dict[str, str]),
    }


def json_files():
    """Return the content of every JSON file of a run, and a function that uses the file of that name in a folder."""
    every = {
        path: (content, lambda folder, name, shape=shape: files.read_json(folder / name, shape))
        for path, (content, shape) in written_by_stages().items()
    }
    for name in METRICS:
        every[f"metrics/{name}.json"] = (
            load(f"metrics/{name}.json"),
            partial(metrics_used, kind=name),
        )
    every["metrics/summary.json"] = load("metrics/summary.json"), lambda folder, _: summary_used(folder)
    for name in ("phantom", "cheng-folds", "nickparvar-cnn"):
        every[f"results/{name}.json"] = load(f"results/{name}.json"), result_used
    external = "results/external/simulated-on-nickparvar.json"
    every[external] = load(external), external_result_used
    return every


JSON = json_files()


@pytest.mark.parametrize("path", JSON)
def test_a_json_file_that_came_back_as_something_else(tmp_path, path):
    content, use = JSON[path]
    file = tmp_path / path.rpartition("/")[2]
    whole = json.dumps(content).encode()
    file.write_bytes(whole)
    assert said(lambda: use(tmp_path, file.name), file.name) == ""
    for kind, change in WHOLE.items():
        file.write_bytes(change(whole))
        assert said(lambda: use(tmp_path, file.name), file.name), kind


@pytest.mark.slow
@pytest.mark.parametrize("path", JSON)
def test_a_json_file_with_a_value_that_is_none_or_of_another_kind(tmp_path, path):
    content, use = JSON[path]
    file = tmp_path / path.rpartition("/")[2]
    places = {alike(place): place for place in paths(content)}
    # What no reader of the project looks at.
    unread = {"params", "versions", "runs", "data"}
    read = [place for place in places.values() if unread.isdisjoint(place[:2])]
    for place in read:
        file.write_bytes(changed(content, place, None))
        said(lambda: use(tmp_path, file.name), file.name)  # refused, or used to the end
    for place in read[:: 1 + len(read) // MOST]:
        for kind, text in VALUES.items():
            file.write_bytes(changed(content, place, text))
            found = said(lambda: use(tmp_path, file.name), file.name)
            assert found or kind not in BROKEN, (place, kind)


TABLE = {"image_id": ["a", "b"], "label": ["glioma", "notumor"]}


def table(kinds, **columns):
    """Return a table of two rows with the columns of `kinds`."""
    values = {str: ["x", ""], int: [0, 1], float: [0.5, 1.0], index.MAYBE: [0.5, np.nan], bool: [True, False]}
    return pd.DataFrame({name: values[kind] for name, kind in kinds.items()} | columns)


def predictions():
    answers = {"predicted": ["glioma", "glioma"], "p_glioma": [0.75, 0.5], "p_notumor": [0.25, 0.5]}
    return table(predictions_table.COLUMNS, **TABLE, **answers)


TABLES = {
    "index.csv": (table(index.COLUMNS, **TABLE), index.COLUMNS, lambda path: index.read_index(path.parent)),
    "manifest.csv": (
        *(table(manifest.COLUMNS, **TABLE), manifest.COLUMNS),
        lambda path: manifest.read_manifest(path.parent),
    ),
    "predictions.csv": (predictions(), predictions_table.COLUMNS, predictions_table.read_predictions),
    **{
        name: (table(kinds), kinds, lambda path, kinds=kinds: index.read_table(path, kinds))
        for name, kinds in {
            "rows.csv": records.ROWS,
            "curves.csv": training_scores.CURVES,
            "metadata.csv": FACTS,
            "variants.csv": VARIANTS,
            **{f"{name}.csv": kinds for name, kinds in curves.POINTS.items()},
        }.items()
    },
}
WHOLE_TABLE = {
    "empty": lambda data: b"",
    "cut short": lambda data: data[:-3],
    "invalid UTF-8": lambda data: data[:-3] + b"\xff\xfe\n",
    "bytes of no text": lambda data: bytes(range(256)),
    "a number alone": lambda data: NINES.encode() + b"\n",
    "cells too many": lambda data: data.replace(b"\n", b",9,9\n").replace(b",9,9\n", b"\n", 1),
    "cells too few": lambda data: data[: data.rindex(b"\n", 0, -1) + 1] + b"a\n",
    "conflict markers": lambda data: b"<<<<<<< HEAD\n" + data + b"=======\n",
}
CELLS = {
    int: ("", "x", "0.5", "nan", "inf", "NaN", NINES, "True", "x" * 10_000),
    float: ("", "x", "nan", "inf", "-inf", "1e999", NINES + "e9", "True"),
    index.MAYBE: ("x", "inf", "-inf", "1e999", "True", "x" * 10_000),
    bool: ("", "x", "2", "nan", "yes"),
    str: (),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_came_back_changed(tmp_path, name):
    content, kinds, use = TABLES[name]
    file = tmp_path / name
    files.write_table(file, content)
    whole = file.read_bytes()
    assert said(lambda: use(file), name) == ""
    for kind, change in WHOLE_TABLE.items():
        file.write_bytes(change(whole))
        assert said(lambda: use(file), name), kind
    for column, kind in kinds.items():
        files.write_table(file, content.drop(columns=column))
        assert said(lambda: use(file), name), column
        for cell in CELLS[kind]:
            files.write_table(
                file, content.assign(**{column: pd.Series([cell, content[column].iloc[1]], dtype=object)})
            )
            assert said(lambda: use(file), name), (column, cell)


def npz(array):
    place = io.BytesIO()
    np.savez(place, array)
    return place.getvalue()


def npy(array):
    place = io.BytesIO()
    np.save(place, array, allow_pickle=True)
    return place.getvalue()


def header(text, body=b"abc"):
    return b"\x93NUMPY\x01\x00" + (len(text) + 1).to_bytes(2, "little") + text.encode() + b"\n" + body


def shaped(shape, kind="|u1"):
    return header(f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}")


ARRAYS = {
    "empty": b"",
    "cut short": npy(np.zeros((2, 4, 4, 3), np.uint8))[:-1],
    "no array": b"text",
    "an archive of arrays": npz(np.zeros((2, 4, 4, 3), np.uint8)),
    "objects": npy(np.array([{}, {}], object)),
    "of floats": npy(np.zeros((2, 4, 4, 3), np.float32)),
    "a row more": npy(np.zeros((3, 4, 4, 3), np.uint8)),
    "a side less": npy(np.zeros((2, 4, 3), np.uint8)),
    "a single number": npy(np.uint8(3)),
    "larger than memory": shaped("(2, 100000, 100000, 3)"),
    "of negative length": shaped("(2, -4, 4, 3)"),
    "of a length of 5,000 digits": shaped(f"({NINES},)"),
    "of a length that no machine has": shaped("(0, 99999999999999999999)"),
    "of a type that is none": shaped("(2,)", "zz"),
    "a header that does not end": header("(" * 3000),
    "a header of code": header("__import__('os')"),
}


@pytest.mark.parametrize("name", ["images.npy", "masks.npy"])
@pytest.mark.parametrize("kind", ARRAYS)
def test_an_array_that_came_back_changed(tmp_path, name, kind):
    files.write_table(tmp_path / "index.csv", table(index.COLUMNS, **TABLE, mask_row=[0, -1]))
    (tmp_path / "images.npy").write_bytes(npy(np.zeros((2, 4, 4, 3), np.uint8)))
    (tmp_path / "masks.npy").write_bytes(npy(np.zeros((1, 4, 4), np.uint8)))
    assert len(index.read_split(tmp_path).images) == 2
    (tmp_path / name).write_bytes(ARRAYS[kind])
    assert said(lambda: index.read_split(tmp_path), name)


@pytest.mark.parametrize("row", [1, 5, -2])
def test_a_row_of_the_masks_that_is_not_there(tmp_path, row):
    files.write_table(tmp_path / "index.csv", table(index.COLUMNS, **TABLE, mask_row=[0, row]))
    (tmp_path / "images.npy").write_bytes(npy(np.zeros((2, 4, 4, 3), np.uint8)))
    (tmp_path / "masks.npy").write_bytes(npy(np.zeros((1, 4, 4), np.uint8)))
    assert "mask_row should hold -1 or a row of masks.npy, which has 1" in said(
        lambda: index.read_split(tmp_path), "index.csv"
    )


BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{at + 1}: &a{at + 1} [{', '.join([f'*a{at}'] * 10)}]\n" for at in range(9)
)
MERGES = "a0: &a0 {x: 1, y: 2}\n" + "".join(f"a{at + 1}: &a{at + 1} {{<<: [*a{at}, *a{at}]}}\n" for at in range(40))
CHAIN = "a0: &a0 [1]\n" + "".join(f"a{at + 1}: &a{at + 1} [*a{at}]\n" for at in range(60))
YAML = WHOLE | {
    "aliases of aliases": lambda data: BOMB.encode(),
    "merges of merges": lambda data: MERGES.encode(),
    "an alias of itself": lambda data: b"train: &a [*a]\n",
    "aliases one in another": lambda data: CHAIN.encode(),
    "100,000 keys": lambda data: "".join(f"k{at}: {at}\n" for at in range(100_000)).encode(),
    "100,000 brackets": lambda data: b"[" * 100_000,
    "a key twice": lambda data: data + data,
    "an object": lambda data: b"train: !!python/object/apply:os.system [ls]\n",
    "no date": lambda data: b"train: 2024-13-45\n",
    "no number": lambda data: b"train: !!int x\n",
    "an empty number": lambda data: b"train: !!float ''\n",
    "no truth": lambda data: b"train: !!bool x\n",
    "keys that are no text": lambda data: b"1: {2: 3}\n",
}  # fmt: skip


def lock_used(path):
    read_lock(path)
    revision_tables.stages(path.read_bytes(), str(path))


YAML_FILES = {
    "params.yaml": check_params.require_valid,
    "dvc.lock": lock_used,
    "dvc.yaml": lambda path: lock.read_stages(path.parent),
    "presets/cheng-folds.yaml": lambda path: presets.read(path.parents[1], "cheng-folds"),
}


@pytest.mark.parametrize("kind", YAML)
@pytest.mark.parametrize("name", YAML_FILES)
def test_a_yaml_file_that_came_back_as_something_else(tmp_path, name, kind):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    # A short one: the reader takes a good part of a millisecond for each value.
    data = {"dvc.lock": b"schema: '2.0'\nstages: {}\n", "dvc.yaml": b"stages: {}\n"}.get(name, b"train: {epochs: 2}\n")
    path.write_bytes(YAML[kind](data))
    if name.startswith("presets") and kind == "keys that are no text":
        pytest.skip("a preset's keys are held against those of params.yaml")
    assert said(lambda: YAML_FILES[name](path), path.name)


@pytest.mark.parametrize("text", [*VALUES.values(), ".nan", ".inf", "2024-13-45", "!!python/name:os.system ''"])
@pytest.mark.parametrize("key", ["train.learning_rate", "evaluate.bootstrap", "preprocess.windows", "fetch.source"])
def test_a_param_that_is_none_of_its_kind(tmp_path, key, text):
    section, name = key.split(".")
    lines = (ROOT / "params.yaml").read_text().splitlines()
    start = lines.index(f"{section}:")
    at = next(n for n in range(start, len(lines)) if lines[n].startswith(f"  {name}:"))
    lines[at] = f"  {name}: {text}"
    (tmp_path / "params.yaml").write_text("\n".join(lines), "utf-8")
    assert said(lambda: check_params.require_valid(tmp_path / "params.yaml"), "params.yaml")


LOCK = {"schema": "2.0", "stages": {"train": {"cmd": "x", "deps": [{"path": "a", "md5": "b"}],
        "params": {"params.yaml": {"train": {"epochs": 1}}}, "outs": [{"path": "c", "md5": "d"}]}}}  # fmt: skip


@pytest.mark.parametrize("text", ["[]", '"text"', "null", "3", '[{"md5": "x"}]', '["a"]', '{"a": 1}', NINES])
@pytest.mark.parametrize(
    "place",
    [("schema",), ("stages",), ("stages", "train"), *(("stages", "train", key) for key in ("deps", "params", "outs"))],
)
def test_a_lock_that_is_none(tmp_path, place, text):
    path = tmp_path / "dvc.lock"
    path.write_bytes(changed(LOCK, place, text))
    found = said(lambda: lock_used(path), "dvc.lock")
    assert found or (place[-1] in ("deps", "outs") and text == "[]") or (place[-1] == "train" and text == '{"a": 1}')
    # What is missing beside a damaged lock is said to be missing, and nothing else.
    assert str(missing(tmp_path / "c")).startswith(f"{tmp_path / 'c'}: no such file")


@given(st.binary(max_size=200))
def test_no_bytes_make_a_reader_fall(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    for name, (_, shape) in {"preprocess.json": (None, MadeWith), "counts.json": (None, dict[str, int])}.items():
        (folder / name).write_bytes(data)
        said(lambda name=name, shape=shape: files.read_json(folder / name, shape), name)
    (folder / "index.csv").write_bytes(data)
    assert said(lambda: index.read_index(folder), "index.csv")
    (folder / "images.npy").write_bytes(data)
    assert said(lambda: files.open_array(folder / "images.npy", (None,)), "images.npy")
    (folder / "params.yaml").write_bytes(data)
    with pytest.raises(ParamsError) as problems:
        check_params.require_valid(folder / "params.yaml")
    assert all("params.yaml" in line for line in str(problems.value).splitlines())  # a line for each of them
