"""Several workers and several replicas learn what one process would, and a worker that is lost ends the others."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import tiny_params
from servers import free_port

from brainmri.core.errors import InputError, TrainingError
from brainmri.core.params import check
from brainmri.learning import workers
from stages import train

ROOT = Path(__file__).parents[2]
CHANGES = {"metadata": ["snr"], "epochs": 4, "batch_size": 13}  # 6 and 7 rows; dropout, averages and metadata too
# Sums in another order: after the 12 steps, of weights and losses about 1.
TOLERANCE = {"rtol": 0, "atol": 2e-5}


def config(monkeypatch, content):
    monkeypatch.setenv("TF_CONFIG", content if isinstance(content, str) else json.dumps(content))


def test_the_team_is_that_of_tf_config(monkeypatch):
    two = ["one:2222", "two:2222"]
    config(monkeypatch, {"cluster": {"worker": two}, "task": {"type": "worker", "index": 1}})
    assert workers.team() == ({"worker": two}, two, 1)
    config(monkeypatch, {"cluster": {"chief": two[:1], "worker": two[1:]}, "task": {"type": "worker", "index": 0}})
    assert workers.team().place == 1
    config(monkeypatch, {"cluster": {"worker": two[:1]}, "task": {"type": "worker", "index": 0}})
    assert workers.team() is None
    monkeypatch.delenv("TF_CONFIG")
    assert workers.team() is None


@pytest.mark.parametrize(
    "content",
    [
        "one:2222",
        "[]",
        {"cluster": {"worker": ["one:2222"]}},
        {"cluster": {"worker": ["one:2222", "two:2222"]}, "task": {"type": "worker", "index": 2}},
        {"cluster": {"worker": ["one:2222"], "ps": ["two:2222"]}, "task": {"type": "worker", "index": 0}},
        {"cluster": {"chief": ["one:2222", "two:2222"]}, "task": {"type": "chief", "index": 0}},
    ],
)
def test_a_tf_config_of_another_form_is_refused(monkeypatch, content):
    config(monkeypatch, content)
    with pytest.raises(InputError, match=r"TF_CONFIG: should be JSON such as .* received .*; see docs/workers.md"):
        workers.team()


def test_a_wait_that_is_no_number_of_seconds_is_refused(monkeypatch):
    monkeypatch.setenv(workers.WAIT, "soon")
    with pytest.raises(InputError, match=r"BRAINMRI_WORKERS_WAIT_S: should be a whole number .* received soon"):
        workers._seconds(workers.WAIT, 600)


def test_a_chief_does_not_wait_for_ever_and_says_for_whom(monkeypatch):
    monkeypatch.setenv(workers.WAIT, "1")
    absent = f"127.0.0.1:{free_port()}"
    mine = workers.Team({"worker": ["127.0.0.1:1", absent]}, ["127.0.0.1:1", absent], 0)
    with pytest.raises(TrainingError, match=f"all should come within 1 s .* received nothing from {absent}"):
        workers._wait_for_others(mine)
    workers._wait_for_others(mine._replace(place=1))  # who is not the chief has TensorFlow's own wait


def test_the_one_who_was_lost_is_named():
    mine = workers.Team({"chief": ["one:1"], "worker": ["two:2", "three:3"]}, ["one:1", "two:2", "three:3"], 0)
    error = "Aborted: Error reported from /job:worker/task:1: The following tasks are unhealthy"
    assert workers._reason(mine, error) == "no sign of life from worker 2 (three:3)"
    assert workers._reason(mine, "Socket\nclosed") == "Socket closed"


def start(place, index, port, patch=""):
    """Start a worker of the train stage; `patch` is code that it runs first."""
    addresses = [f"127.0.0.1:{port}", f"127.0.0.1:{port + 10000}"]
    env = {
        **os.environ,
        "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}),
        workers.WAIT: "120",
        workers.LOST: "20",
        "PYTHONPATH": str(ROOT),
    }
    words = [place.parent / "processed/train", place.parent / "processed/val", place.parent / "augmented"]
    words += [place / "classifier", "--params", place / "params.yaml"]
    code = f"import sys\nfrom stages import train\n{patch}\nfrom brainmri.core.errors import exit_on_error\n"
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", sys.executable, "-c", f"{code}exit_on_error(train.main)", *map(str, words)],
        cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def run_two(place, patch=""):
    """Run two workers to their end; the second runs `patch` first. Return exit statuses and what they printed."""
    port = free_port()
    started = [start(place, 1, port, patch), start(place, 0, port)]
    printed = [process.communicate(timeout=1000)[0] for process in started]
    return [process.returncode for process in started][::-1], printed[::-1]


def run_alone(place, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    params = check(yaml.safe_load((place / "params.yaml").read_text())["train"], train.Params, "train")
    parts = [place.parent / "processed/train", place.parent / "processed/val", place.parent / "augmented"]
    train.run(params, *parts, place / "classifier", place)
    return place / "classifier"


def weights(folder):
    content = zipfile.ZipFile(folder / "model.keras").read("model.weights.h5")
    found = {}
    with h5py.File(BytesIO(content)) as file:
        file.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    return found


def require_alike(one, other):
    for name, value in weights(one).items():
        np.testing.assert_allclose(value, weights(other)[name], **TOLERANCE, err_msg=name)
    curves = [pd.read_csv(folder / "curves.csv") for folder in (one, other)]
    np.testing.assert_allclose(*curves, **TOLERANCE)


@pytest.fixture
def places(tmp_path, processed, augmented):
    """Give folders with params for runs, beside the data."""
    (tmp_path / "processed").symlink_to(processed)
    (tmp_path / "augmented").symlink_to(augmented)

    def place(name):
        (tmp_path / name).mkdir()
        (tmp_path / name / "params.yaml").write_text(yaml.safe_dump(tiny_params(train=CHANGES)))
        return tmp_path / name

    return place


@pytest.mark.slow
def test_one_replica_by_the_way_of_several_learns_the_same(places, monkeypatch):
    """The quick one: no other process, but every step of `Together` and of the layers lent to it."""
    from brainmri.core.quiet_keras import tf

    alone = run_alone(places("alone"), monkeypatch)
    token = workers._strategy.set(tf.distribute.MirroredStrategy(["CPU:0"]))
    try:
        one = run_alone(places("one"), monkeypatch)
    finally:
        workers._strategy.reset(token)
    require_alike(alone, one)
    assert json.loads((one / "versions.json").read_text())["replicas"] == 1


DIE_AFTER_TWO = """
import os, signal
from brainmri.learning import training
keep = training._keep_state
def die(model, rows, kept, resume):
    keep(model, rows, kept, resume)
    if len(rows) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
training._keep_state = die
"""


@pytest.mark.slow
def test_two_workers_learn_what_one_would_and_go_on_after_one_was_killed(places, monkeypatch, capsys):
    alone = run_alone(places("alone"), monkeypatch)
    killed = places("killed")
    statuses, printed = run_two(killed, DIE_AFTER_TWO)
    assert statuses == [1, -9], printed
    assert "error: training on 2 workers" in printed[0]
    assert "no sign of life from worker 1 (127.0.0.1:" in printed[0]
    assert not (killed / "classifier").exists()
    single = places("single")  # goes on alone from the chief's checkpoint
    shutil.copytree(killed / ".resume", single / ".resume")
    require_alike(alone, run_alone(single, monkeypatch))
    assert "resuming after epoch 2" in capsys.readouterr().out
    whole = places("whole")
    for place, resumes in ((killed, True), (whole, False)):
        statuses, printed = run_two(place)
        assert statuses == [0, 0], printed
        assert [("resuming after epoch 2" in text) for text in printed] == [resumes, resumes]
    require_alike(alone, whole / "classifier")
    for path in (whole / "classifier").iterdir():
        assert path.read_bytes() == (killed / "classifier" / path.name).read_bytes(), path.name
    assert json.loads((whole / "classifier/versions.json").read_text())["replicas"] == 2
    assert sorted(path.name for path in whole.iterdir()) == [".resume", "classifier", "params.yaml"]
