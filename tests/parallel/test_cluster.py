"""A scheduler and workers as processes of their own: equal bytes, and what becomes of a run when one of them ends."""

import os
import shutil
import signal
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
import small_pieces
from first_stages import params
from servers import dask_scheduler, dask_worker
from tiny_project import ROOT

from brainmri.core.errors import InputError
from brainmri.preprocessing import scans
from stages import preprocess

pytestmark = [pytest.mark.servers, pytest.mark.slow]


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Processes of a scheduler and two workers by name, what the scheduler's dashboard is called, and more workers."""
    monkeypatch.setenv("PYTHONPATH", str(Path(small_pieces.__file__).parent))
    with ExitStack() as stack:
        scheduler, address, dashboard = stack.enter_context(dask_scheduler(tmp_path / "dask"))
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
        workers = [stack.enter_context(dask_worker(address, tmp_path / "dask", name, ROOT)) for name in "ab"]
        yield scheduler, workers, dashboard


def run(raw, out, monkeypatch, after_second=lambda: None):
    """Preprocess in pieces of 8 images, and do something when the second of them has come."""
    real = scans.each_piece

    def watched(_, *words):
        for at, found in enumerate(real(small_pieces.read_slowly, *words)):
            if at == 1:
                after_second()
            yield found

    monkeypatch.setattr(scans, "_at_once", lambda _: 8)
    monkeypatch.setattr(scans, "each_piece", watched)
    preprocess.run(params(), raw, ROOT / "exclude.csv", out)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_cluster_gives_the_same_bytes_after_a_killed_worker_too(
    raw, processed, tmp_path, monkeypatch, cluster, capsys
):
    _, (first, _), dashboard = cluster
    run(raw, tmp_path / "whole", monkeypatch)
    assert contents(tmp_path / "whole") == contents(processed)
    assert "preprocess: on 2 workers of tcp://127.0.0.1:" in capsys.readouterr().out
    with urllib.request.urlopen(f"{dashboard}/status") as page:
        assert page.status == 200
    run(raw, tmp_path / "after", monkeypatch, lambda: os.kill(first.pid, signal.SIGKILL))
    assert first.wait() == -signal.SIGKILL
    assert contents(tmp_path / "after") == contents(processed)


def test_a_scheduler_that_goes_away_is_one_sentence_and_leaves_nothing(raw, tmp_path, monkeypatch, cluster, capfd):
    scheduler, _, _ = cluster
    with pytest.raises(InputError, match="Dask scheduler that DASK_SCHEDULER_ADDRESS names should answer, received"):
        run(raw, tmp_path / "out/set", monkeypatch, scheduler.kill)
    assert not list((tmp_path / "out").iterdir())
    assert "Traceback" not in capfd.readouterr().err


def test_a_worker_of_another_version_is_refused(raw, tmp_path, monkeypatch, cluster):
    _, workers, _ = cluster
    other = tmp_path / "other"
    shutil.copytree(ROOT / "brainmri", other / "brainmri", ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "brainmri/preprocessing/images.py").open("a") as file:
        file.write("# changed\n")
    with dask_worker(os.environ["DASK_SCHEDULER_ADDRESS"], tmp_path / "dask", "other", other):
        for worker in workers:
            worker.kill()
        with pytest.raises(InputError, match=r"received a worker with brainmri's code .* for .*; install the same"):
            run(raw, tmp_path / "out/set", monkeypatch)
    assert not list((tmp_path / "out").iterdir())
