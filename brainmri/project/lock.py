"""Check that the pipeline is described truly: deps as imported, params as typed, the lock as committed."""

import hashlib
import re
from pathlib import Path
from typing import Any

from brainmri.core import closure
from brainmri.core.errors import ParamsError
from brainmri.core.files import write_text
from brainmri.core.missing import read_lock
from brainmri.core.params import OPTIONAL, Record, Section, check, read_sections, read_yaml

CODE = "      # code, by `brainmri verify-lock --write`"  # what stands below it in a stage's deps is written, not typed


def problems(root: Path, models: dict[str, type[Section]]) -> list[str]:
    """Return one sentence for each place where `dvc.yaml`, `params.yaml`, the code and `dvc.lock` disagree.

    Parameters
    ----------
    root : Path
        The project's folder.
    models : dict
        The typed model of each section of `params.yaml`, under the section's name.
    """
    stages, params = read_stages(root), read_sections(root / "params.yaml")
    for stage in stages.values():
        stage["deps"] = [_filled_in(dep, params) for dep in stage["deps"]]
    return [
        *_deps_problems(root, stages),
        *_cmd_problems(stages),
        *_params_problems(root, stages, models),
        *_lock_problems(root, stages),
        *out_problems(root),
    ]


def out_problems(root: Path) -> list[str]:
    """Compare the outs that git keeps (`cache: false`: metrics and plots) with what `dvc.lock` says was written."""
    stages, lock = read_stages(root), read_lock(root / "dvc.lock")
    found, kept = [], set()
    for name in sorted(set(stages) & set(lock)):
        written = {out["path"]: out.get("md5") for out in lock[name].get("outs", [])}
        for path, options in _outs(stages[name]).items():
            if options.get("cache") is False:
                kept.add(path)
                if _md5(root / path) != written.get(path):
                    found.append(f"{path}: should be what stage {name} wrote, received another; run `dvc repro`")
    # What a stage no longer writes would go on being believed.
    beside = {
        file for folder in {str(Path(path).parent) for path in kept} - {"."} for file in (root / folder).iterdir()
    }
    left = sorted(file.relative_to(root).as_posix() for file in beside if file.relative_to(root).as_posix() not in kept)
    return found + [
        f"{path}: should be written by a stage, received a file that none writes; remove it" for path in left
    ]


def write_deps(root: Path) -> list[str]:
    """Write the code that each stage reaches into its deps in `dvc.yaml`, below the line that marks it.

    All else stands as it was written, comments too.

    Returns
    -------
    list of str
        The stages whose deps were others before.
    """
    path = root / "dvc.yaml"
    before = path.read_text()
    lines, marked, stage = [], {}, ""
    in_block = False
    for line in before.splitlines(keepends=True):
        if found := re.match(r"  (\w+):", line):
            stage = found[1]
        in_block = in_block and line.startswith("      - ")
        if not in_block:
            lines.append(line)
        if line.rstrip() == CODE:
            in_block = marked[stage] = True
            lines += [f"      - {file}\n" for file in closure.reached(root, Path("stages") / f"{stage}.py")]
    stages = read_stages(root, Draft)
    if lacking := sorted(set(stages) - set(marked)):
        raise ParamsError(
            f"{path}: stage {lacking[0]}: deps should hold the line `{CODE.strip()}` where its code begins, "
            "received none"
        )
    text = "".join(lines)
    if text != before:
        write_text(path, text)
    after = read_stages(root, Draft)
    return [name for name in stages if after[name]["deps"] != stages[name]["deps"]]


class Stage(Record):
    """A stage of `dvc.yaml`."""

    cmd: str
    deps: list[str]
    params: list[str] = OPTIONAL
    outs: list[str | dict[str, dict[str, Any]]] = OPTIONAL
    metrics: list[str | dict[str, dict[str, Any]]] = OPTIONAL


class Pipeline(Record):
    """A `dvc.yaml`."""

    stages: dict[str, Stage]


class Draft(Record):
    """A `dvc.yaml` whose deps are yet to be written."""

    stages: dict[str, dict[str, Any]]


def read_stages(root: Path, shape: type[Record] = Pipeline) -> dict[str, dict[str, Any]]:
    """Return the stages of `dvc.yaml` as they stand there; raise `ParamsError` where it is no pipeline."""
    content = read_yaml(root / "dvc.yaml")
    check(content, shape, str(root / "dvc.yaml"))
    stages: dict[str, dict[str, Any]] = content["stages"]
    return stages


def _filled_in(dep: str, params: dict[str, Any]) -> str:
    """Return a dep with the params that stand in it, such as `${train.variants}`, as DVC reads it."""

    def value(found: re.Match[str]) -> str:
        section = params.get(found[1])
        return str(section[found[2]]) if isinstance(section, dict) and found[2] in section else found[0]

    return re.sub(r"\$\{(\w+)\.(\w+)\}", value, dep)


def _outs(stage: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the outs and metrics of a stage of dvc.yaml, and the options of each."""
    listed = [*stage.get("outs", []), *stage.get("metrics", [])]
    return dict(next(iter(out.items())) if isinstance(out, dict) else (out, {}) for out in listed)


def _deps_problems(root: Path, stages: dict[str, Any]) -> list[str]:
    """Compare the code that each stage lists with the code that it reaches."""
    found = []
    for name, stage in stages.items():
        listed = [dep for dep in stage["deps"] if _is_code(dep)]
        needed = closure.reached(root, Path("stages") / f"{name}.py")
        if listed != needed:
            found.append(
                f"dvc.yaml: stage {name}: deps should list the code it imports, sorted; missing "
                f"{sorted(set(needed) - set(listed))}, too many {sorted(set(listed) - set(needed))}; "
                "run `brainmri verify-lock --write`"
            )
    return found


def _is_code(dep: str) -> bool:
    return Path(dep).parts[0] in closure.PACKAGES  # a module's table too


def _cmd_problems(stages: dict[str, Any]) -> list[str]:
    """Compare the paths that each command names with the deps and outs: it reads and writes what it names, only."""
    found = []
    for name, stage in stages.items():
        named = stage["cmd"].split()[3:]  # after `python -m stages.<name>`
        listed = [*(dep for dep in stage["deps"] if not _is_code(dep)), *_outs(stage)]
        wrong = [path for path in listed if not any(Path(path).is_relative_to(word) for word in named)]
        wrong += [word for word in named if not any(Path(path).is_relative_to(word) for path in listed)]
        if wrong:
            found.append(
                f"dvc.yaml: stage {name}: cmd should name every dep and out that is no code, differs in {wrong}"
            )
    return found


def _params_problems(root: Path, stages: dict[str, Any], models: dict[str, type[Section]]) -> list[str]:
    """Compare the sections of `params.yaml` with the typed models and with what the stages depend on."""
    params = read_sections(root / "params.yaml")
    found = []
    if set(params) != set(models):
        found.append(f"params.yaml: sections should be {sorted(models)}, received {sorted(params)}")
    for name in sorted(set(params) & set(models)):
        try:
            check(params[name], models[name], where=f"params.yaml: section `{name}`")
        except ParamsError as error:
            found.append(str(error))
    for name, stage in stages.items():
        # One stage checks all sections before the others run; each of these reads its own.
        expected = sorted(models) if name == "check_params" else [name] if name in models else []
        if stage.get("params", []) != expected:
            found.append(f"dvc.yaml: stage {name}: params should be {expected}, received {stage.get('params', [])}")
    return found


def _lock_problems(root: Path, stages: dict[str, Any]) -> list[str]:
    """Compare `dvc.lock` with the commands, params and code of the commit, and its hashes along the chain."""
    lock, params = read_lock(root / "dvc.lock"), read_sections(root / "params.yaml")
    found = [f"dvc.lock: stage {name} is not in dvc.yaml; run `dvc repro`" for name in sorted(set(lock) - set(stages))]
    outs = {out["path"]: out.get("md5") for entry in lock.values() for out in entry.get("outs", [])}
    for name, stage in stages.items():
        entry = lock.get(name)
        if entry is None:
            found.append(f"dvc.lock: stage {name} is missing; run `dvc repro`")
            continue
        found += _entry_problems(root, name, stage, entry, params, outs)
    return found


def _entry_problems(
    root: Path,
    name: str,
    stage: dict[str, Any],
    entry: dict[str, Any],
    params: dict[str, Any],
    outs: dict[str, str | None],
) -> list[str]:
    where, mend = f"dvc.lock: stage {name}", "run `dvc repro` and commit dvc.lock"
    found = []
    if entry.get("cmd") != stage["cmd"]:
        found.append(f"{where}: the command should be `{stage['cmd']}`, received `{entry.get('cmd')}`; {mend}")
    used = entry.get("params", {}).get("params.yaml", {})
    found += [
        f"{where}: params should be those of params.yaml, received others in section {section}; {mend}"
        for section in stage.get("params", [])
        if section not in params or used.get(section) != params[section]
    ]
    written = {out["path"] for out in entry.get("outs", [])}
    if written != set(_outs(stage)):
        found.append(f"{where}: outs should be those of dvc.yaml, received {sorted(written)}; {mend}")
    deps = {dep["path"]: dep.get("md5") for dep in entry.get("deps", [])}
    if sorted(deps) != sorted(stage["deps"]):
        differ = sorted({*deps} ^ {*stage["deps"]})
        received = f"{len(deps)} of which {', '.join(differ[:5])}{' ...' if len(differ) > 5 else ''} differ"
        return [*found, f"{where}: deps should be those of dvc.yaml, received {received}; {mend}"]
    for path, md5 in deps.items():
        actual = outs.get(path) or _md5(root / path)
        if actual != md5:
            found.append(f"{where}: {path} has changed since the run (md5 {md5}, now {actual}); {mend}")
    return found


def _md5(path: Path) -> str:
    if not path.is_file():
        return "no such file"
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()  # what DVC stores
