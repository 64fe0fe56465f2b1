"""Presets: named sets of params in `presets/<name>.yaml`, which hold what differs from params.yaml and nothing else.

The files that `fetch.local` and `fetch.external` name stand in a preset without their folder, which is everyone's own
and is given when the preset is used. Params are written `section.key` here, as after `-S`.
"""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from brainmri.comparison import experiments
from brainmri.comparison.experiments import Wanted
from brainmri.comparison.grid import value_of
from brainmri.comparison.param_values import flat, merged, with_values
from brainmri.core.errors import InputError, ParamsError
from brainmri.core.files import write_text
from brainmri.core.git import git
from brainmri.core.params import Section, check, parse_yaml, read_sections, sections

FILES, EXTERNAL = "fetch.local", "fetch.external"  # where the keys stand whose values are places of the user's own
FOLD, FOLDS, SPLIT = "preprocess.fold", "preprocess.folds", "preprocess.split"


def names(root: Path) -> dict[str, str]:
    """Return the presets there are, each with the first line of its comment."""
    paths = sorted((root / "presets").glob("*.yaml"))
    return {path.stem: path.read_text(errors="replace").partition("\n")[0].removeprefix("# ") for path in paths}


def settings(
    root: Path,
    base: Mapping[str, Any],
    name: str,
    data: Path | None,
    more: Sequence[str],
    models: Mapping[str, type[Section]],
) -> dict[str, Any]:
    """Return what a preset changes, and `more` behind it, as values by param; all of it checked.

    Parameters
    ----------
    root : Path
        The project's folder.
    base : mapping
        The content of the params.yaml that is changed.
    name : str
        Of the preset.
    data : Path or None
        The folder that holds the files which the preset names.
    more : sequence of str
        Further changes as `param=value`, as `dvc exp run -S` takes them.
    models : mapping
        The typed model of each section.

    Raises
    ------
    InputError
        If there is no such preset.
    ParamsError
        With every problem at once: a key that params.yaml has not, a value against its rule, a file that is not there.
    """
    wanted = read(root, name)
    found = _key_problems(wanted, base, f"presets/{name}.yaml")
    wanted, missing = _in_folder(wanted, data)
    found += [f"presets/{name}.yaml: {problem}" for problem in missing]
    for word in more:
        try:
            key, value = _typed(word)
        except ParamsError as error:
            found.append(str(error))
            continue
        found += _key_problems({key: value}, base, "-S")
        wanted[key] = value
    changed = merged(base, {key: value for key, value in wanted.items() if not _key_problems({key: value}, base, "")})
    for section in dict.fromkeys(key.partition(".")[0] for key in wanted if key.partition(".")[0] in models):
        try:
            check(changed[section], models[section], where=f"presets/{name}.yaml: section `{section}`")
        except ParamsError as error:
            found.append(str(error))
    if found:
        raise ParamsError("\n".join(found))
    return wanted


def read(root: Path, name: str) -> dict[str, Any]:
    """Return what a preset's file says, as values by param; raise `InputError` where there is no such file."""
    known = names(root)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise InputError(
            f"preset: should be one of {', '.join(known) or '(there are none in presets/)'}, received {name}"
            + (f"; did you mean {near[0]}?" if near else "")
        )
    path = root / "presets" / f"{name}.yaml"
    return flat(read_sections(path))


def apply(root: Path, name: str, data: Path | None, more: Sequence[str], models: Mapping[str, type[Section]]) -> None:
    """Make params.yaml that of the commit with a preset's changes; comments stay.

    Raises
    ------
    InputError
        If params.yaml has changes that the preset does not make: they would get lost, or mix with it.
    """
    committed = git(root, "show", "HEAD:./params.yaml") + "\n"
    base = _committed(committed, "HEAD")
    wanted = settings(root, base, name, data, more, models)
    before, now = flat(base), flat(read_sections(root / "params.yaml"))
    others = sorted(key for key in {*before, *now} - set(wanted) if before.get(key) != now.get(key))
    if others:
        raise InputError(
            f"params.yaml: should be that of the commit before preset {name} is applied, received changes of "
            f"{', '.join(others[:5])}; commit them, or undo them with `git checkout params.yaml`"
        )
    write_text(root / "params.yaml", with_values(committed, wanted))


def as_text(wanted: Mapping[str, Any]) -> dict[str, str]:
    """Return values by param as `dvc exp run -S` takes them: behind a `+` where params.yaml has the param not yet.

    Raises
    ------
    ParamsError
        If a value cannot be said in the grammar that DVC reads.
    """
    said = {key: _said(value) for key, value in wanted.items()}
    for key, text in said.items():
        if value_of(key, text) != wanted[key]:
            raise ParamsError(f"{key}: should be a value that `dvc exp run -S` can be given, received {wanted[key]!r}")
    return {f"+{key}" if _is_external(key) else key: text for key, text in said.items()}


def run(
    root: Path,
    name: str,
    data: Path | None,
    more: Sequence[str],
    by_fold: bool,
    models: Mapping[str, type[Section]],
    logs: Path,
) -> dict[str, str]:
    """Run a preset as an experiment, or as one a fold; return by the experiment's name why it failed, or nothing.

    Raises
    ------
    InputError, ParamsError
        Before anything runs, if the preset or the state of the repository will not do.
    """
    head = experiments.require_committed(root, "run")
    base = read_sections(root / "params.yaml")
    wanted = settings(root, base, name, data, more, models)
    parts = folds(base, wanted) if by_fold else [wanted]
    return experiments.run_each(root, head, [_experiment(name, head, part, by_fold) for part in parts], logs)


def _experiment(name: str, head: str, wanted: Mapping[str, Any], by_fold: bool) -> Wanted:
    title = f"{name}-{wanted[FOLD]}" if by_fold else name
    values = as_text(wanted)
    return Wanted(experiments.name_of(title, head, values), title, values)


def folds(base: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the changes of each fold of a cross-validation.

    Raises
    ------
    ParamsError
        If the patients are not dealt to folds.
    """
    params = flat(merged(base, wanted))
    if params[SPLIT] != "patient":
        raise ParamsError(f"--folds: {SPLIT} should be patient, received {params[SPLIT]}: folds are of patients alone")
    return [{**wanted, FOLD: fold} for fold in range(params[FOLDS])]


def of_run(root: Path, params: Mapping[str, Any]) -> str | None:
    """Return the preset that a run's params are, given those of the commit; None where there is none.

    Folders of files do not count, and neither does which fold it was.
    """
    # After `dvc exp branch` the commit has the preset's params itself, and its parent those that it changed.
    for commit in ("HEAD", "HEAD~1"):
        try:
            base = _committed(git(root, "show", f"{commit}:./params.yaml"), commit)
        except InputError:
            return None
        if _comparable(base) != _comparable(params):
            return next((name for name in names(root) if _is(root, base, name, params)), None)
    return None


def _committed(text: str, commit: str) -> dict[str, Any]:
    where = f"params.yaml of {commit}"
    return sections(parse_yaml(text, where), where)


def _is(root: Path, base: Mapping[str, Any], name: str, params: Mapping[str, Any]) -> bool:
    wanted = read(root, name)
    if _key_problems(wanted, base, ""):
        return False
    return _comparable(merged(base, wanted)) == _comparable(params)


def _comparable(params: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in flat(params).items() if key != FOLD}
    return found | {key: PurePath(value).name for key, value in found.items() if _is_file(key) and value}


def _is_file(key: str) -> bool:
    return key.rpartition(".")[0] in (FILES, EXTERNAL)


def _is_external(key: str) -> bool:
    return key.rpartition(".")[0] == EXTERNAL


def _in_folder(wanted: Mapping[str, Any], data: Path | None) -> tuple[dict[str, Any], list[str]]:
    """Return the changes with the files in folder `data`, and what is wrong with them."""
    found, placed = [], dict(wanted)
    for key, value in wanted.items():
        if not _is_file(key) or not isinstance(value, str):
            continue
        path = None if data is None else (data / value).absolute()
        if PurePath(value).is_absolute():
            found.append(f"{key} should be a name, without the folder that is everyone's own, received {value}")
        elif path is None:
            found.append(f"{key} is {value}; name the folder that holds it (DATA=FOLDER of make, --data of brainmri)")
        elif not path.exists():
            found.append(f"{key} should be in the folder that --data (DATA=) names, received no {path}")
        else:
            placed[key] = str(path)
    return placed, found


def _typed(word: str) -> tuple[str, Any]:
    key, equals, text = word.partition("=")
    if not equals:
        raise ParamsError(f"-S: should be a param and its value, such as train.epochs=2, received {word}")
    return key, value_of(key, text)


def _key_problems(wanted: Mapping[str, Any], base: Mapping[str, Any], where: str) -> list[str]:
    found = []
    known = flat(base)
    for key in wanted:
        if key in known or _is_external(key):  # whose names are the user's own
            continue
        near = difflib.get_close_matches(key, known, n=1)
        parts = f"{key} is a section; name params of it" if any(one.startswith(f"{key}.") for one in known) else ""
        said = parts or f"{key} is no param of params.yaml" + (f" (did you mean {near[0]}?)" if near else "")
        found.append(f"{where}: {said}")
    return found


def _said(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(_said(each) for each in value)}]"
    if isinstance(value, str):
        return "'" + value.replace("'", "\\'") + "'"
    return repr(value)
