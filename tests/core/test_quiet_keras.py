"""Keras and TensorFlow without what they print."""

import ast
import os
import subprocess
import sys

import pytest
from tiny_project import ROOT

from brainmri.core.quiet_keras import without_noise

STEP = """
import numpy
from brainmri.core.quiet_keras import keras
model = keras.Sequential([keras.layers.Dense(2)])
model.compile("adam", "mse")
model.train_on_batch(numpy.ones((4, 3), "float32"), numpy.ones((4, 2), "float32"))
"""


def run(*words):
    env = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=env, capture_output=True, text=True, check=True)


@pytest.mark.slow
def test_a_step_of_a_network_prints_nothing():
    assert run("-c", STEP).stderr == ""


@pytest.mark.slow
def test_params_are_checked_without_tensorflow():
    words = ["-X", "importtime", "-m", "brainmri", "check-params"]
    imported = {line.rpartition("|")[2].strip() for line in run(*words).stderr.splitlines()}
    assert "brainmri.models.classifier_params" in imported
    assert not {"tensorflow", "keras", "brainmri.core.quiet_keras"} & imported


def test_known_lines_are_held_back_and_all_others_are_passed_on(capfd):
    with without_noise():
        os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n")
        os.write(2, b"I0000 00:00:1795621398.030430   31567 port.cc:153] oneDNN custom operations are on.\n")
        os.write(2, b"E0000 00:00:1795621408.189415 31567 cuda_platform.cc:52] failed call to cuInit: INTERNAL\n")
        os.write(2, b"E0000 00:00:1795621408.189415 31567 gpu.cc:1] out of memory\n")
        os.write(2, b"a warning of ours\n")
    assert capfd.readouterr().err == (
        "E0000 00:00:1795621408.189415 31567 gpu.cc:1] out of memory\na warning of ours\n"
    )


def fail():
    os.write(2, b"a reason\n")
    raise ImportError("no TensorFlow")


def test_what_was_written_before_an_error_is_passed_on(capfd):
    with pytest.raises(ImportError, match="no TensorFlow"), without_noise():
        fail()
    assert capfd.readouterr().err == "a reason\n"


def imported(path):
    """Return the packages that a file imports; what it imports inside of functions only where it begins quietly."""
    text = path.read_text()
    quiet = "from brainmri.core.quiet_keras import" in text
    nodes = list(ast.parse(text).body if quiet else ast.walk(ast.parse(text)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


def test_no_other_file_imports_them_itself():
    files = [path for folder in ("brainmri", "stages", "app") for path in (ROOT / folder).rglob("*.py")]
    found = [path.relative_to(ROOT).as_posix() for path in files if {"keras", "tensorflow"} & imported(path)]
    assert found == ["brainmri/core/quiet_keras.py"]
