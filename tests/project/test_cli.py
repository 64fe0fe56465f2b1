"""The command line: where its paths are taken from, whatever folder it is called in."""

import argparse
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from conftest import PARAMS, tiny_params

from brainmri.project import cli
from brainmri.project.source_changes import changed

# Each command with what it cannot do without; a command that is not listed here fails the test below.
WORDS = {
    "check-params": [],
    "verify-lock": [],
    "verify-bits": [],
    "summary": [],
    "record": ["name", "command", "typed/out.json"],
    "readme": [],
    "compare": ["a"],
    "push": [],
    "pull": [],
    "remote-check": [],
    "sweep": ["train.epochs=1"],
    "preset": ["a"],
    "run": ["a"],
    "pool": ["a"],
    "suspects": ["typed/processed", "typed/out"],
    "predict": ["typed/scan.png"],
    "check": ["typed/set"],
}


def paths(args):
    """Return the paths among the arguments, the root left out."""
    given = {name: value if isinstance(value, list) else [value] for name, value in vars(args).items()}
    return {name: path for name, own in given.items() for path in own if isinstance(path, Path) and name != "root"}


def commands():
    (action,) = (one for one in cli.parser()._actions if isinstance(one, argparse._SubParsersAction))
    return action.choices


def test_every_command_is_looked_at():
    assert set(commands()) == set(WORDS)


@pytest.mark.parametrize("command", WORDS)
def test_a_path_that_is_not_typed_is_the_projects_and_one_that_is_typed_is_here(command):
    found = paths(cli.parsed(["--root", "/project", command, *WORDS[command]]))
    for name, path in found.items():
        assert path.parts[0] == "typed" or path.is_relative_to("/project"), name
    options = [one for one in commands()[command]._actions if one.type is Path and one.option_strings]
    for option in options:
        typed = cli.parsed(["--root", "/project", command, *WORDS[command], option.option_strings[0], "typed/here"])
        assert paths(typed)[option.dest] == Path("typed/here")


def test_without_a_root_the_paths_are_those_of_the_folder_it_is_called_in():
    args = cli.parsed(["predict", "x.png"])
    assert (args.params, args.classifier, args.unet) == (
        Path("params.yaml"), Path("models/classifier"), Path("models/unet")
    )  # fmt: skip


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A project's folder, called from another one."""
    (tmp_path / "project").mkdir()
    (tmp_path / "here").mkdir()
    shutil.copy(PARAMS, tmp_path / "project/params.yaml")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "project"


@pytest.mark.slow
def test_a_project_is_checked_from_elsewhere(elsewhere, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["brainmri", "--root", str(elsewhere), "check-params"])
    cli.main()
    (elsewhere / "params.yaml").write_text(PARAMS.read_text().replace("max_bad: ", "max_bad: 9"))
    with pytest.raises(SystemExit, match=r"project/params\.yaml: section `preprocess`: max_bad should be"):
        cli.main()


@pytest.mark.slow
def test_a_local_source_is_looked_for_in_the_project(elsewhere, set_manifest, raw):
    shutil.copytree(set_manifest.parent, elsewhere / "set")
    shutil.copytree(raw, elsewhere / "data/raw")
    local = {"classes": None, "masks": None, "manifest": f"set/{set_manifest.name}", "patients": None}
    params = tiny_params(fetch={"source": "local", "local": local})
    (elsewhere / "params.yaml").write_text(yaml.safe_dump(params))
    assert changed(elsewhere) == ""
