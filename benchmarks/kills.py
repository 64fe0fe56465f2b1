"""Whether a run that was killed ends in the bytes of one that was not: `make verify-kills`.

The pipeline runs once in a clean clone, on a tiny set. Then, for each kill, all that DVC keeps of one stage is taken
away, `dvc repro` begins it anew, and at a random moment SIGKILL ends the stage, DVC, or both. After the next
`dvc repro`, every file of the clone, `dvc.lock` and DVC's cache have to be what they were, and no process may be left.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psutil
from ruamel.yaml import YAML

from benchmarks.common import table
from brainmri.core.errors import ArtifactError, exit_on_error
from brainmri.core.git import git
from brainmri.core.params import read_yaml
from brainmri.project import reproducibility

VICTIMS = ("stage", "DVC", "both")
GUESS_S = 20.0  # how long a stage takes, until it has been seen
CACHE = Path(".dvc/cache")
NO_RESULT = (".git/", ".dvc/tmp/", ".dvc/cache/runs/")  # what differs between equal runs: logs, states, times


class Kill(NamedTuple):
    """What was killed, and what the next run left otherwise than an undisturbed one."""

    stage: str
    victim: str
    moment_s: float
    differences: list[str]


def prepare(root: Path, clone: Path) -> None:
    """Run the pipeline of the commit of `root` in a new clone, on a tiny set."""
    git(root, "clone", "--quiet", str(root.absolute()), str(clone))
    reproducibility.change_params(clone / "params.yaml", reproducibility.SMALL)
    reproducibility.run(clone)


def run(project: Path, kills: int, seed: int, stages: Sequence[str] = ()) -> Iterator[Kill]:
    """Yield what became of each kill in a project that has been run; stop at the first that left something else.

    Stages come in turns, in a new random order each turn, victims in turns of their own; moments are uniform over the
    time that `dvc repro` of the stage takes, for the stage itself over the time that it lives.
    """
    rng = random.Random(seed)  # noqa: S311 -- no secret
    names = list(stages or read_yaml(project / "dvc.yaml")["stages"])
    expected = state(project)
    took: dict[tuple[str, bool], float] = {}
    for number in range(kills):
        if number % len(names) == 0:
            order = rng.sample(names, len(names))
        stage, victim = order[number % len(names)], VICTIMS[(number + number // len(names)) % len(VICTIMS)]
        lives = (stage, victim == "stage")  # a stage lives for a part of the time that DVC takes for it
        while True:
            forget(project, stage)
            moment = rng.uniform(0, took.get(lives, GUESS_S))
            session, ended_s = killed(project, stage, victim, moment)
            if ended_s is None:
                break
            took[lives] = ended_s  # it had ended before: again
            require_success(project)
        seconds = require_success(project)
        took.setdefault(lives, seconds)
        found = [*difference(expected, state(project)), *left_over(session)]
        yield Kill(stage, victim, moment, found)
        if found:
            return


def state(project: Path) -> dict[str, str]:
    """Return the SHA-256 of every file that a run leaves, by path; of DVC's cache, what is not what its name says."""
    found = {}
    for path in sorted(path for path in project.rglob("*") if path.is_file()):
        name = path.relative_to(project).as_posix()
        if name.startswith(f"{CACHE.as_posix()}/files/md5/"):
            md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            if not (path.parent.name + path.name).startswith(md5):
                found[name] = "damaged"
        elif not name.startswith(NO_RESULT) and "__pycache__" not in name:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def difference(expected: dict[str, str], received: dict[str, str]) -> list[str]:
    """Return the files that are not as expected, with a word on each."""
    names = sorted({*expected, *received})
    said = {name: "missing" if name not in received else "new" if name not in expected else "other" for name in names}
    return [f"{name}: {said[name]}" for name in names if expected.get(name) != received.get(name)]


def forget(project: Path, stage: str) -> None:
    """Take away all that lets DVC restore a stage without running it; of `dvc.lock` only the hashes of its outputs."""
    yaml = YAML()
    lock = yaml.load(project / "dvc.lock")
    cache = project / CACHE
    # Several stages may have the same file: without it the others would run again as well.
    outs = [out for name, entry in lock["stages"].items() if name != stage for out in entry["outs"]]
    others = {md5 for out in outs for md5 in objects(cache, out["md5"])}
    for out in lock["stages"][stage]["outs"]:
        path = project / out["path"]
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        for md5 in set(objects(cache, out["md5"])) - others:
            (cache / "files/md5" / md5[:2] / md5[2:]).unlink(missing_ok=True)
        out["md5"] = "0" * 32 + out["md5"][32:]
    yaml.dump(lock, project / "dvc.lock")
    shutil.rmtree(cache / "runs", ignore_errors=True)


def objects(cache: Path, md5: str) -> list[str]:
    """Return the objects that an output is of: its own, and of a folder those of its files."""
    path = cache / "files/md5" / md5[:2] / md5[2:]
    inside = json.loads(path.read_text()) if md5.endswith(".dir") and path.exists() else []
    return [md5, *(entry["md5"] for entry in inside)]


def dvc(project: Path, *words: str) -> "subprocess.Popen[bytes]":
    """Start DVC in a session of its own."""
    command = [sys.executable, "-m", "dvc", *words]
    with (project / ".dvc/tmp/kills.log").open("wb") as log:
        env = reproducibility.environment(project)
        return subprocess.Popen(command, cwd=project, env=env, stdout=log, stderr=log, start_new_session=True)


def killed(project: Path, stage: str, victim: str, moment: float) -> tuple[int, float | None]:
    """Begin a stage and kill the victim at its moment; return the session, and how long it took if it ended before."""
    process = dvc(project, "repro", "--single-item", stage)
    started = time.monotonic()
    while victim == "stage" and process.poll() is None and not children(process.pid):
        time.sleep(0.01)
        started = time.monotonic()
    while process.poll() is None and time.monotonic() - started < moment:
        time.sleep(0.01)
    targets = children(process.pid) if victim == "stage" else [process.pid]
    if process.poll() is not None or not targets:
        process.wait()
        return process.pid, time.monotonic() - started
    if victim == "both":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        for pid in targets:
            os.kill(pid, signal.SIGKILL)
    process.wait()
    return process.pid, None


def children(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def require_success(project: Path) -> float:
    """Run the pipeline to its end, as a user would after a failure; return the seconds, or raise `ArtifactError`."""
    started = time.monotonic()
    process = dvc(project, "repro")
    if process.wait():
        said = (project / ".dvc/tmp/kills.log").read_text()
        raise ArtifactError(f"{project}: `dvc repro` should succeed after a kill, received:\n{said}")
    return time.monotonic() - started


def left_over(session: int) -> list[str]:
    """Return the processes of a killed run that are still there."""
    return [
        f"process {process.pid} is still there: {' '.join(process.info['cmdline'] or [])}"
        for process in psutil.process_iter(["cmdline"])
        if _session(process.pid) == session
    ]


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1


def counts(done: Sequence[Kill]) -> str:
    """Return a row a stage: how many kills of each victim, and how many of all left the same bytes."""
    rows = []
    for stage in dict.fromkeys(kill.stage for kill in done):
        own = [kill for kill in done if kill.stage == stage]
        victims = [str(sum(kill.victim == victim for kill in own)) for victim in VICTIMS]
        rows.append([stage, *victims, f"{sum(not kill.differences for kill in own)} of {len(own)}"])
    return table(["stage", *(f"{victim} killed" for victim in VICTIMS), "same bytes"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--project", type=Path, help="a tiny project that has been run (default: a clone made for it)")
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        project = args.project or Path(folder) / "clone"
        if args.project is None:
            prepare(Path(), project)
        print(f"seed {args.seed}, {args.kills} kills", flush=True)
        done = []
        for kill in run(project, args.kills, args.seed):
            done.append(kill)
            said = "; ".join(kill.differences) or "the same bytes"
            print(f"{len(done)}: {kill.stage}, {kill.victim} killed after {kill.moment_s:.2f} s: {said}", flush=True)
        print(counts(done))
        if done[-1].differences:
            raise ArtifactError(f"{project}: a killed run should end in the bytes of another, received the above")


if __name__ == "__main__":
    exit_on_error(main)
