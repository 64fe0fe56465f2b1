"""How a script ends: a sentence, the status of a signal, nothing half written, no secret."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from brainmri.core import errors, files
from brainmri.core.errors import InputError, exit_on_error, without_secrets

ROOT = Path(__file__).parents[2]


def started(code, *words, **env):
    """Start a script in a process of its own, whose output is text."""
    return subprocess.Popen(
        [sys.executable, *(words or ("-c", code))],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InputError("a.png: should be a picture"), "error: a.png: should be a picture$"),
        (OSError(errno.ENOSPC, "", "a.npy"), "error: a.npy: should be readable and writable, received: No space left"),
        (
            OSError(errno.EROFS, "", "a.npy"),
            "error: a.npy: .* received: Read-only file system; give this user the right",
        ),
        (PermissionError(errno.EACCES, "", "a"), "error: a: .* received: Permission denied; give this user the right"),
        (OSError(errno.EMFILE, "", "a"), "error: a: .* received: Too many open files; close what is not needed"),
        (
            MemoryError("Unable to allocate 9 GiB"),
            "error: this step: should fit into memory, received: Unable to alloc",
        ),
        (ImportError("a.so: failed to map segment from shared object"), "error: this step: should fit into memory"),
    ],
)
def test_what_is_no_defect_is_one_line(error, said):
    def fail():
        raise error

    with pytest.raises(SystemExit, match=f"^{said}") as stopped:
        exit_on_error(fail)
    assert len(str(stopped.value).splitlines()) == 1


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), FileNotFoundError(errno.ENOENT, "", "a"), ImportError("b")])
def test_a_defect_keeps_its_traceback(error):
    def fail():
        raise error

    with pytest.raises(type(error)):
        exit_on_error(fail)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pa@ss@host/a.zip?token=x: no such file", "https://host/a.zip: no such file"),
        ("https:/user:pass@host/a.zip: no such file", "https:/host/a.zip: no such file"),  # as a path has it
        ("received 's3://key:secret@bucket/a'", "received 's3://bucket/a'"),
        ("C:/me@home/a.png, at 10:30, a@b.org", "C:/me@home/a.png, at 10:30, a@b.org"),
        ("/data/set?/a@b.png", "/data/set?/a@b.png"),
    ],
)
def test_addresses_are_shown_without_what_may_be_secret(text, shown):
    assert without_secrets(text) == shown


SLEEPER = """
import sys, time
from pathlib import Path
from brainmri.core.errors import exit_on_error
from brainmri.core.files import new_directory

def main():
    with new_directory(Path(sys.argv[1])) as folder:
        (folder / "half").touch()
        print("begun", flush=True)
        time.sleep(60)

exit_on_error(main)
"""


@pytest.mark.parametrize(("number", "said"), [(signal.SIGINT, "by Ctrl-C"), (signal.SIGTERM, "by SIGTERM")])
def test_a_signal_ends_a_script_at_once_and_leaves_nothing_half_written(tmp_path, number, said):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/half").write_text("whole")
    process = started("", "-c", SLEEPER, str(tmp_path / "out"))
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    _, printed = process.communicate(timeout=20)
    assert printed == f"error: stopped {said}\n"
    assert process.returncode == 128 + number
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out/half").read_text() == "whole"


def test_sigterm_is_as_before_when_the_script_has_ended():
    before = signal.getsignal(signal.SIGTERM)
    exit_on_error(lambda: None)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_writer_waits_for_the_first_and_for_a_killed_one_not(tmp_path):
    out = tmp_path / "out"
    first = started("", "-c", SLEEPER, str(out))
    assert first.stdout.readline() == "begun\n"
    second = started("", "-c", SLEEPER.replace("time.sleep(60)", "pass"), str(out))
    assert "waiting: another process writes into" in second.stderr.readline()
    time.sleep(0.5)
    assert second.poll() is None
    first.kill()  # and nobody cleans up
    first.communicate()
    printed, _ = second.communicate(timeout=20)
    assert (printed, second.returncode) == ("begun\n", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_second_writer_makes_a_folder_of_its_own_when_the_first_is_done(tmp_path):
    out = tmp_path / "out"
    with files.new_directory(out) as folder:
        (folder / "half").write_text("of the first")
        second = started("", "-c", SLEEPER.replace("time.sleep(60)", "pass"), str(out))
        assert "waiting" in second.stderr.readline()
    assert second.communicate(timeout=20)[0] == "begun\n"
    assert (out / "half").read_text() == ""


ORPHAN = """
import os, subprocess, sys
words = [sys.executable, "-m", "stages.augment", *sys.argv[1:]]
child = subprocess.Popen(words, env={**os.environ, "DVC_STAGE": "x"})
print(child.pid, flush=True)
child.wait()
"""


def alive(pid):
    return Path(f"/proc/{pid}/cmdline").exists() and b"augment" in Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="Linux alone")
def test_a_stage_ends_with_the_dvc_that_started_it(tmp_path):
    fifo = tmp_path / "index.csv"
    os.mkfifo(fifo)  # a stage that reads it waits for ever
    parent = started("", "-c", ORPHAN, str(tmp_path), str(tmp_path / "out"))
    pid = int(parent.stdout.readline())
    time.sleep(1)
    assert alive(pid)
    parent.kill()
    parent.wait()
    for _ in range(100):
        if not alive(pid):
            break
        time.sleep(0.1)
    assert not alive(pid)
    assert "the DVC that started this stage is gone" in parent.stderr.read()
    parent.stdout.close()
    parent.stderr.close()


def test_importing_the_stages_changes_nothing():
    import stages  # noqa: F401

    assert sys.excepthook is not errors._hook
