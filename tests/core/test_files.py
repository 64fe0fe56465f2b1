"""Whole or not at all, and the same bytes every time."""

import json

import numpy as np
import pandas as pd
import pytest

from brainmri.core import files
from brainmri.core.errors import ArtifactError, InputError


def test_a_new_directory_replaces_the_old_one(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a").write_text("old")
    with files.new_directory(out) as folder:
        (folder / "a").write_text("new")
        (folder / "b").touch()
    assert (out / "a").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_directory_with_other_things_is_not_replaced(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").touch()

    def write():
        with files.new_directory(out) as folder:
            (folder / "new").touch()

    with pytest.raises(
        InputError, match=r"out: should hold nothing but what is written anew, received \['thesis.txt'\]"
    ):
        write()
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failure_leaves_the_old_directory_whole(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").touch()

    def fail():
        with files.new_directory(out) as folder:
            (folder / "new").touch()
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail()
    assert [path.name for path in out.iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_json_is_sorted_and_has_null_for_nan(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": np.float32(0.5), "a": [float("nan"), np.int64(3)]})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": [\n    null,\n    3\n  ],\n  "b": 0.5\n}\n'
    assert json.loads((tmp_path / "a.json").read_text()) == files.read_json(tmp_path / "a.json", dict)


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(ArtifactError, match=r"a\.json: no such file; run the stage that writes it with `dvc repro`"):
        files.read_json(tmp_path / "a.json", dict)


@pytest.mark.parametrize("shape", [(3, 2, 2), (0, 2, 2)])
def test_arrays_come_back(tmp_path, shape):
    array = files.create_array(tmp_path / "a.npy", shape)
    array[:] = 7
    del array
    read = files.open_array(tmp_path / "a.npy", (None, 2, 2))
    assert read.shape == shape
    assert read.dtype == np.uint8
    assert (read == 7).all()


def test_a_file_that_is_no_array_is_refused(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"not an array")
    with pytest.raises(ArtifactError, match=r"a\.npy: not a readable \.npy file"):
        files.open_array(tmp_path / "a.npy", (None, 2, 2))


def test_tables_are_the_same_bytes_twice(tmp_path):
    table = pd.DataFrame({"x": [0.1, np.nan], "y": ["a", "b"]})
    files.write_table(tmp_path / "a.csv", table)
    assert (tmp_path / "a.csv").read_bytes() == b"x,y\n0.1,a\n,b\n"
