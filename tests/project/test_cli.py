"""The command line: where its paths are taken from, whatever folder it is called in."""

import argparse
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from conftest import PARAMS, tiny_params
from released_files import files, write

from brainmri.core.errors import InputError
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
    "release": [],
    "completion": ["bash"],
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
    assert cli.parsed(["release"]).out == Path("release/brainmri-model.zip")


def given(*words):
    with cli._model_folders(cli.parsed([*words])) as folders:
        return folders


def test_the_models_that_answer_are_the_projects_or_the_typed_ones_and_never_some_of_each(tmp_path):
    own = tmp_path / "models/classifier", tmp_path / "models/unet"
    assert given("--root", str(tmp_path), "predict", "x.png") == (own[0], None, None)
    own[1].mkdir(parents=True)
    (tmp_path / "params.yaml").write_text("")
    typed = given("--root", str(tmp_path), "predict", "x.png", "--classifier", "c")
    assert given("--root", str(tmp_path), "predict", "x.png") == (*own, tmp_path / "params.yaml")
    assert typed == (Path("c"), None, tmp_path / "params.yaml")
    typed = given("--root", str(tmp_path), "predict", "x.png", "--classifier", "c", "--unet", "u", "--params", "p")
    assert typed == (Path("c"), Path("u"), Path("p"))


def test_a_released_model_holds_both_and_its_checksum_is_of_it(tmp_path):
    with pytest.raises(InputError, match="--model: should stand without --classifier and --unet, received both"):
        given("predict", "x.png", "--model", "m.zip", "--unet", "u")
    with pytest.raises(InputError, match="--sha256: should stand with --model"):
        given("predict", "x.png", "--sha256", "0" * 64)
    write(tmp_path / "m.zip", files())
    with cli._model_folders(cli.parsed(["predict", "x", "--model", str(tmp_path / "m.zip")])) as (_, unet, params):
        assert unet.is_dir()
        assert params.read_text() == "segment: {}\n"


@pytest.mark.parametrize("command", WORDS)
def test_every_argument_is_explained(command):
    for action in commands()[command]._actions:
        assert action.help, action.dest
    assert "(default" in " ".join(commands()["release"].format_help().split())


def test_what_there_is_to_choose_from_is_named(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.parsed(["predict", "x.png", "--method", "magic"])
    said = capsys.readouterr().err
    assert "--method" in said
    assert "auto" in said
    assert "kmeans_brain" in said


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.parsed(["--version"])
    assert capsys.readouterr().out == f"brainmri {version('brainmri')}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_commands_and_methods(shell, capsys):
    args = cli.parsed(["completion", shell])
    args.run(args)
    said = capsys.readouterr().out
    for word in ("predict", "kmeans_brain", "--sha256"):
        assert word in said


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
