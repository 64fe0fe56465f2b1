"""The command line: where its paths are taken from, whatever folder it is called in."""

import argparse
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from conftest import PARAMS, tiny_params
from released_files import files, write

from brainmri.commands import cli, scans
from brainmri.commands.arguments import InProject
from brainmri.commands.completion import commands_of
from brainmri.core.errors import InputError
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
    return commands_of(cli.parser())


def test_every_command_is_looked_at():
    assert set(commands()) == set(WORDS)


def test_the_tour_says_in_which_file_each_command_is():
    page = (PARAMS.parent / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| (`[^|]+`) \| `(brainmri/commands/\w+\.py)` \|$", page, re.MULTILINE)
    told = {name: file for names, file in rows for name in re.findall(r"`([a-z-]+)`", names)}
    real = {name: cli.parsed([name, *words]).run.__module__ for name, words in WORDS.items()}
    assert told == {name: f"{module.replace('.', '/')}.py" for name, module in real.items()}


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
    with scans.model_folders(cli.parsed([*words])) as folders:
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
    with scans.model_folders(cli.parsed(["predict", "x", "--model", str(tmp_path / "m.zip")])) as (_, unet, params):
        assert unet.is_dir()
        assert params.read_text() == "segment: {}\n"


@pytest.mark.parametrize("command", WORDS)
def test_every_argument_is_explained(command):
    own = commands()[command]
    assert len(own.description.split()) > 5
    for action in own._actions:
        assert len(action.help.split()) > 2, action.dest
        assert action.metavar or not action.option_strings or action.nargs == 0 or action.choices, action.dest
        if isinstance(action.default, (int, str)) and action.nargs != 0 and action.default != argparse.SUPPRESS:
            assert "default" in action.help, action.dest
        if isinstance(action.default, InProject) and "/" in action.default.place:
            assert action.default.place in action.help


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


BASH = """
source completion.bash
typed() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=(); _shtab_brainmri; echo "${COMPREPLY[*]}"; }
typed brainmri verify-l
typed brainmri predict sca
typed brainmri predict scans --model rel
typed brainmri predict scans --method kmeans_
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_options_and_paths(tmp_path, capsys):
    args = cli.parsed(["completion", "bash"])
    args.run(args)
    (tmp_path / "completion.bash").write_text(capsys.readouterr().out)
    for name in ("scans", "release.zip"):
        (tmp_path / name).mkdir()
    given = subprocess.run(["bash", "-c", BASH], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert given.split() == ["verify-lock", "scans", "release.zip", "kmeans_brain"]


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
