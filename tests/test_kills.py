"""A run that was killed ends in the bytes of one that was not; `make verify-kills` kills more often, in every stage."""

import os
import shutil
import signal
import time

import pytest

pytest.importorskip("fcntl")  # Windows knows neither these signals nor sessions

from benchmarks import kills

pytestmark = [pytest.mark.slow, pytest.mark.pipeline]


@pytest.fixture(scope="module")
def project(finished_project, tmp_path_factory):
    return shutil.copytree(finished_project, tmp_path_factory.mktemp("killed") / "project")


def test_a_killed_run_ends_in_the_bytes_of_another(project):
    done = list(kills.run(project, 5, 4, ["fetch", "preprocess", "augment", "report", "train_unet"]))
    assert [kill.differences for kill in done] == [[]] * 5
    assert {kill.victim for kill in done} == set(kills.VICTIMS)


@pytest.mark.parametrize("stage", ["preprocess", "train"])
@pytest.mark.parametrize(("number", "to_all"), [(signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGTERM, False)])
def test_a_signal_ends_stage_and_dvc_within_seconds(project, stage, number, to_all):
    """Ctrl-C reaches all that a terminal started, `kill` DVC alone."""
    expected = kills.state(project)
    kills.forget(project, stage)
    process = kills.dvc(project, "repro", "--single-item", stage)
    while not kills.children(process.pid):
        time.sleep(0.05)
    time.sleep(2)  # while it imports, or writes
    (os.killpg if to_all else os.kill)(process.pid, number)
    started = time.monotonic()
    assert process.wait(30) != 0
    while kills.left_over(process.pid):
        assert time.monotonic() - started < 30
        time.sleep(0.1)
    kills.require_success(project)
    assert kills.difference(expected, kills.state(project)) == []


def test_what_is_not_as_it_was_is_named(project):
    expected = kills.state(project)
    (project / "data/raw/.manifest.csv.partial").write_text("half")
    (project / "plots/roc.csv").write_text("other")
    (project / "data/probes/scores.json").unlink()
    (object_, *_) = sorted((project / kills.CACHE / "files/md5").glob("*/*"))
    object_.chmod(0o644)
    object_.write_bytes(b"cut short")
    damaged = object_.relative_to(project).as_posix()
    assert kills.difference(expected, kills.state(project)) == sorted(
        [
            f"{damaged}: new",
            "data/probes/scores.json: missing",
            "data/raw/.manifest.csv.partial: new",
            "plots/roc.csv: other",
        ]
    )


def test_the_stages_that_were_killed_are_counted():
    done = [kills.Kill("fetch", "DVC", 1.0, []), kills.Kill("fetch", "both", 2.0, ["a: other"])]
    assert "| fetch | 0 | 1 | 1 | 1 of 2 |" in kills.counts(done)
