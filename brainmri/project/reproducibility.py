"""Whether runs write the same bits: two clean clones, or the run here and its commit's; and on what processor."""

import os
import platform
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from brainmri.comparison import param_values
from brainmri.core.errors import ArtifactError, InputError, ParamsError
from brainmri.core.files import write_text
from brainmri.core.git import git
from brainmri.core.missing import locked, read_lock
from brainmri.core.params import parse_yaml, read_sections

# A set and networks so small that both runs are done in minutes; every stage still does all that it does.
SMALL = (
    "fetch.phantom.patients={train: 12, test: 4}",
    "fetch.phantom.slices=3",
    "fetch.phantom.size=[64, 80]",
    "fetch.phantom.twins=4",
    "preprocess.size=32",
    "train.residual={widths: [4, 8], depth: 1, patch: 4}",
    "train.epochs=2",
    "train.warmup_epochs=1",
    "train_unet.widths=[4, 8]",
    "train_unet.epochs=2",
    "evaluate.bootstrap=100",
    "segment.bootstrap=100",
    "probe.bootstrap=100",
)
# Vector instructions on which the order of additions, and so the bits, may depend.
FEATURES = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16")
BLOCK = 2**20  # bytes compared at once


class Origin(NamedTuple):
    """A stage that read the same in both runs and wrote something else."""

    stage: str
    outs: list[str]


def verify(root: Path, settings: Sequence[str], place: Path) -> str:
    """Run the pipeline in two clean clones of the commit of `root`, one after the other, and compare what they wrote.

    Each clone has a cache of its own, which is empty, and this interpreter. What is not committed is not in them.

    Parameters
    ----------
    root : Path
        The project's folder.
    settings : sequence of str
        Params to change in both, such as `train.epochs=2`; the value is YAML.
    place : Path
        An empty folder, for the clones.

    Returns
    -------
    str
        A sentence that says that the bits are the same.

    Raises
    ------
    ArtifactError
        If the bits differ: each output that differs first, its stage, and the first place in it.
    InputError
        If a clone cannot be made, or its run fails.
    """
    commit = git(root, "rev-parse", "HEAD")
    clones = [place / "first", place / "second"]
    for clone in clones:
        git(root, "clone", "--quiet", str(root.absolute()), str(clone))
        change_params(clone / "params.yaml", settings)
        run(clone)
    if found := differences(*clones):
        raise ArtifactError("\n".join(found))
    count = sum(len(entry.get("outs", [])) for entry in read_lock(clones[0] / "dvc.lock").values())
    return f"two clean clones of {commit[:10]} wrote the same bits: dvc.lock and the {count} outputs that it names"


def change_params(path: Path, settings: Sequence[str]) -> None:
    """Change values of a params file; the keys must be there.

    Raises
    ------
    ParamsError
        If a setting is no `key=value`, or the file has no such key.
    """
    known = param_values.flat(read_sections(path))
    wanted = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not any(one == key or one.startswith(f"{key}.") for one in known):
            raise ParamsError(f"--set: should be a key of {path.name} and its value, key=value, received `{setting}`")
        wanted[key] = parse_yaml(value, f"--set {key}")
    write_text(path, param_values.with_values(path.read_text(), wanted))


def run(clone: Path) -> None:
    """Run the whole pipeline in a clone: its own code, this interpreter, nothing from any cache."""
    (clone / "dvc.lock").unlink(missing_ok=True)
    (clone / ".dvc/config.local").write_text("[cache]\n    dir = cache\n")  # whatever cache the project shares
    nowhere = {name: str(clone / ".dvc/tmp/no-settings") for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    site = {"DVC_SITE_CACHE_DIR": str(clone / ".dvc/tmp/site")}
    env = {**os.environ, **nowhere, **site, "PATH": path, "PYTHONPATH": str(clone), "DVC_NO_ANALYTICS": "1"}
    if subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=clone, env=env, check=False).returncode:
        raise InputError(f"{clone}: the pipeline should run in a clean clone, received the error above")


def differences(first: Path, second: Path) -> list[str]:
    """Return one sentence for each output in which two runs of the pipeline began to differ, and one on what follows.

    Parameters
    ----------
    first, second : Path
        Folders of the project, with their `dvc.lock` and their outputs.
    """
    if (first / "dvc.lock").read_bytes() == (second / "dvc.lock").read_bytes():
        return []
    old, new = (read_lock(clone / "dvc.lock") for clone in (first, second))
    found = [
        f"{out}: stage {origin.stage} should write the same bits from the same input, received others: "
        f"{first_difference(first / out, second / out)}"
        for origin in origins(old, new)
        for out in origin.outs
    ]
    began = {origin.stage for origin in origins(old, new)}
    if after := sorted(name for name in {*old, *new} - began if old.get(name) != new.get(name)):
        found.append(f"dvc.lock: {', '.join(after)} read or wrote other bits too, since they read what differs")
    return found or ["dvc.lock: should be equal byte for byte, received other bytes with the same content"]


def origins(old: dict[str, Any], new: dict[str, Any]) -> list[Origin]:
    """Return the stages of two `dvc.lock` that ran the same command on the same input and wrote something else."""
    found = []
    for name in sorted(set(old) & set(new)):
        read = [{key: value for key, value in lock[name].items() if key != "outs"} for lock in (old, new)]
        wrote = [{out["path"]: out.get("md5") for out in lock[name].get("outs", [])} for lock in (old, new)]
        outs = [path for path in sorted({*wrote[0], *wrote[1]}) if wrote[0].get(path) != wrote[1].get(path)]
        if read[0] == read[1] and outs:
            found.append(Origin(name, outs))
    return found


def first_difference(a: Path, b: Path) -> str:
    """Return the first place in which two files or folders differ; empty where they do not.

    A place is a file in a folder, then a member in an archive (`.keras`, `.npz`, `.zip`), then a byte, counted from 0.
    """
    if a.is_dir() and b.is_dir():
        for name in sorted({path.relative_to(folder).as_posix() for folder in (a, b) for path in _files(folder)}):
            if place := first_difference(a / name, b / name):
                return f"{name}, {place}"
        return ""
    if not (a.is_file() and b.is_file()):
        return "" if a.exists() == b.exists() is False else "in one of the two alone"
    place = _first_byte(a, b)
    if place and zipfile.is_zipfile(a) and zipfile.is_zipfile(b):
        return _first_member(a, b) or f"{place} of the archive, whose members are equal (their times or their order)"
    return place


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _first_byte(a: Path, b: Path) -> str:
    at = 0
    with a.open("rb") as old, b.open("rb") as new:
        while True:
            blocks = old.read(BLOCK), new.read(BLOCK)
            if blocks[0] != blocks[1]:
                return f"byte {at + _first_unequal(*blocks)}"
            if not blocks[0]:
                return ""
            at += BLOCK


def _first_unequal(a: bytes, b: bytes) -> int:
    """Return the first place in which two strings of bytes differ; the length of the shorter if it begins the other."""
    return next((at for at, (old, new) in enumerate(zip(a, b, strict=False)) if old != new), min(len(a), len(b)))


def _first_member(a: Path, b: Path) -> str:
    with zipfile.ZipFile(a) as old, zipfile.ZipFile(b) as new:
        for name in sorted({*old.namelist(), *new.namelist()}):
            if name not in old.namelist() or name not in new.namelist():
                return f"member {name}, in one of the two alone"
            contents = old.read(name), new.read(name)
            if contents[0] != contents[1]:
                return f"member {name}, byte {_first_unequal(*contents)}"
    return ""


def changed_since_commit(root: Path) -> list[Origin]:
    """Return the stages whose run in this folder wrote other bits than the commit's, from the same code and input.

    None where the commit has no `dvc.lock`, or this folder.
    """
    try:
        committed = git(root, "show", "HEAD:./dvc.lock")
    except InputError:
        return []
    if not (root / "dvc.lock").exists():
        return []
    there = "dvc.lock of the commit"
    return origins(locked(parse_yaml(committed, there), there), read_lock(root / "dvc.lock"))


def state(root: Path) -> str:
    """Return in a word what `dvc.lock` in this folder is beside the commit's."""
    try:
        committed = git(root, "show", "HEAD:./dvc.lock")
    except InputError:
        return "the commit has no dvc.lock to compare with"
    if (root / "dvc.lock").read_text().strip() == committed:
        return "those of the commit, whose dvc.lock this is"
    return "not comparable, since params, code or data are not those of the commit's run"


def processor() -> str:
    """Return the processor's kind and model, how many cores this machine has, and the vector instructions it knows."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    facts = dict(reversed([[word.strip() for word in line.split(":", 1)] for line in lines if ":" in line]))
    flags = facts.get("flags", "").split()
    model = facts.get("model name") or platform.processor()
    parts = [platform.machine(), model, f"{os.cpu_count()} cores", " ".join(name for name in FEATURES if name in flags)]
    return ", ".join(filter(None, parts))
