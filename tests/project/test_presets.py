"""Presets: what they may say, how they get into params.yaml, and which run is which preset's."""

import json
import subprocess
import sys

import pytest
import yaml
from revision_files import commit, sh, write
from tiny_project import ROOT

from brainmri.commands.arguments import models as every_model
from brainmri.comparison.experiments import require_committed
from brainmri.comparison.param_values import flat, merged
from brainmri.core.errors import InputError, ParamsError
from brainmri.core.params import Section, read_yaml
from brainmri.project import presets

PARAMS = """\
# Every choice.
fetch:
  local:              # yours
    classes: null
    masks: null
  external: {}        # further sets
preprocess:
  split: source       # or patient
  folds: 3
  fold: 0
train:
  dropout: 0.2        # before the last layer
  widths: [4, 8]
"""
PRESET = """\
# The best of all.
fetch:
  local:
    classes: set.zip
preprocess:
  split: patient
train:
  widths: [16, 32]
"""


class Fetch(Section):
    """A section with places of the user's own."""

    local: dict[str, str | None]
    external: dict[str, str]


class Preprocess(Section):
    """A section with folds."""

    split: str
    folds: int
    fold: int


class Train(Section):
    """A section with rules."""

    dropout: float
    widths: list[int]


MODELS = {"fetch": Fetch, "preprocess": Preprocess, "train": Train}


@pytest.fixture
def project(tmp_path):
    """A repository with params and a preset, and a folder `sets` that holds the preset's file."""
    place = tmp_path / "project"
    write(place, "params.yaml", PARAMS)
    write(place, "presets/best.yaml", PRESET)
    write(tmp_path, "sets/set.zip", "")
    sh(place, "git", "init", "--quiet")
    commit(place, "base")
    return place


def settings(project, more=(), name="best", data="sets"):
    base = read_yaml(project / "params.yaml")
    return presets.settings(project, base, name, data and project.parent / data, more, MODELS)


def test_a_preset_is_what_it_changes_with_its_files_in_the_users_folder(project):
    assert settings(project, ["train.dropout=0.5"]) == {
        "fetch.local.classes": str(project.parent / "sets/set.zip"),
        "preprocess.split": "patient",
        "train.widths": [16, 32],
        "train.dropout": 0.5,
    }


def test_every_problem_is_named_at_once(project):
    write(project, "presets/bad.yaml", "train: {droput: 0.1, widths: 3}\nfetch: {local: {masks: m.zip}}\nsegment: 1\n")
    with pytest.raises(ParamsError) as caught:
        settings(project, ["train.dropout=a", "train.epochs=2", "fold"], "bad")
    said = str(caught.value)
    for problem in (
        "presets/bad.yaml: train.droput is no param of params.yaml (did you mean train.dropout?)",
        "presets/bad.yaml: segment is no param of params.yaml",
        "presets/bad.yaml: fetch.local.masks should be in the folder that --data (DATA=) names, received no ",
        "-S: train.epochs is no param of params.yaml",
        "-S: should be a param and its value, such as train.epochs=2, received fold",
        "section `train`: dropout should be a valid number, received 'a'; widths should be a valid list, received 3",
    ):
        assert problem in said, said


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("bets", "sets", "should be one of best, received bets; did you mean best?"),
        ("best", None, r"fetch.local.classes is set.zip; name the folder that holds it \(DATA=FOLDER"),
        ("best", "elsewhere", r"fetch.local.classes should be in the folder .* received no .*elsewhere/set.zip"),
    ],
)
def test_a_preset_that_cannot_be_used_is_refused(project, name, data, said):
    with pytest.raises((InputError, ParamsError), match=said):
        settings(project, name=name, data=data)


def test_a_path_of_somebodys_own_in_a_preset_is_refused(project):
    write(project, "presets/best.yaml", "fetch: {local: {classes: /home/me/set.zip}}\n")
    with pytest.raises(
        ParamsError, match="should be a name, without the folder that is everyone's own, received /home"
    ):
        settings(project)


def apply(project, name="best", more=()):
    presets.apply(project, name, project.parent / "sets", more, MODELS)
    return (project / "params.yaml").read_text()


def test_applying_a_preset_changes_its_values_alone(project):
    text = apply(project)
    place = project.parent / "sets/set.zip"
    assert text == PARAMS.replace("classes: null", f"classes: {place}").replace("source ", "patient").replace(
        "widths: [4, 8]", "widths: [16, 32]"
    )
    assert apply(project) == text  # once more is the same


def test_a_preset_takes_the_place_of_another_and_does_not_mix_with_it(project):
    write(project, "presets/other.yaml", "# Other.\ntrain: {dropout: 0.5}\n")
    apply(project)
    with pytest.raises(InputError, match=r"received changes of fetch.local.classes, preprocess.split, train.widths; "):
        apply(project, "other")
    sh(project, "git", "checkout", "params.yaml")
    assert apply(project, "other") == PARAMS.replace("dropout: 0.2", "dropout: 0.5")


def test_the_folds_of_a_preset(project):
    base = read_yaml(project / "params.yaml")
    parts = presets.folds(base, settings(project))
    assert [part["preprocess.fold"] for part in parts] == [0, 1, 2]
    assert all(part["train.widths"] == [16, 32] for part in parts)
    with pytest.raises(ParamsError, match=r"preprocess.split should be patient, received source"):
        presets.folds(base, {"train.dropout": 0.1})


@pytest.mark.parametrize("value", [None, True, 3, 0.001, 1e-05, "a", "it's, a=b [c]", "1", "null", [1, [2.5, "x"]], []])
def test_a_value_reaches_dvc_as_it_is(value):
    (text,) = presets.as_text({"train.x": value}).values()
    assert presets.value_of("train.x", text) == value


@pytest.mark.parametrize("value", ["a\\'", "a\\", (1,)])
def test_a_value_that_dvc_would_read_as_another_is_refused(value):
    with pytest.raises(ParamsError, match=r"train.x.* should be "):
        presets.as_text({"train.x": value})


def of_run(project, **changes):
    params = merged(yaml.safe_load(PARAMS), {key.replace("__", "."): value for key, value in changes.items()})
    return presets.of_run(project, params)


def test_a_run_is_known_by_its_params_whatever_the_folder_and_the_fold(project):
    best = {"fetch__local__classes": "set.zip", "preprocess__split": "patient", "train__widths": [16, 32]}
    assert of_run(project, **best) == "best"
    assert of_run(project, **{**best, "fetch__local__classes": "/other/set.zip"}, preprocess__fold=2) == "best"
    assert of_run(project, **best, train__dropout=0.3) is None
    assert of_run(project) is None
    apply(project)
    commit(project, "run")  # as `dvc exp branch` makes one
    assert of_run(project, **{**best, "fetch__local__classes": "/other/set.zip"}) == "best"


def test_uncommitted_code_is_refused_before_anything_runs(project):
    write(project, "params.yaml", PARAMS + "# more\n")
    with pytest.raises(
        InputError, match=r"run: what git tracks should be committed, .* received changes of params.yaml"
    ):
        require_committed(project, "run")


# The presets of the project.

NAMES = sorted(presets.names(ROOT))


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_keeps_the_rules_and_says_what_it_is(name, tmp_path):
    text = (ROOT / f"presets/{name}.yaml").read_text()
    wanted = presets.read(ROOT, name)
    for key, value in wanted.items():
        if presets._is_file(key):
            (tmp_path / value).touch()
    checked = presets.settings(ROOT, read_yaml(ROOT / "params.yaml"), name, tmp_path, [], every_model())
    assert list(checked) == list(wanted)
    assert presets.as_text(checked)
    head = text.partition("\n\n")[0]
    assert all(line.startswith("# ") for line in head.splitlines())
    assert all(f"\n# {word}: " in head for word in ("Data", "Cost"))
    assert "\n# Row" in head


def results():
    return [json.loads(path.read_text()) for path in sorted((ROOT / "results").glob("*.json"))]


def test_a_recorded_run_has_the_params_of_its_preset_as_far_as_both_know_them():
    base = read_yaml(ROOT / "params.yaml")
    named = [run for run in results() if run["preset"]]
    assert len(named) >= 6
    for run in named:
        today = presets._comparable(merged(base, presets.read(ROOT, run["preset"])))
        then = flat(run["params"])
        differ = {key: (then[key], today[key]) for key in set(then) & set(today) if then[key] != today[key]}
        assert differ == {}, run["name"]
        assert f'"{run["name"]}"' in (ROOT / f"presets/{run['preset']}.yaml").read_text()


@pytest.mark.slow
def test_the_command_lists_presets():
    words = [sys.executable, "-m", "brainmri", "preset"]
    printed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [line.partition(":")[0] for line in printed.splitlines()] == NAMES


STAGE = """
import sys, yaml
from pathlib import Path
params = yaml.safe_load(open("params.yaml"))
if params["preprocess"]["fold"] == 1 and not Path(params["fetch"]["local"]["classes"]).read_text():
    sys.exit("error: fetch: the set should hold images, received none")
Path("out.txt").write_text(str(params))
"""


@pytest.mark.slow
@pytest.mark.pipeline
def test_the_folds_of_a_preset_run_as_experiments_and_the_failed_one_runs_again(project, tmp_path, capsys):
    sh(project, sys.executable, "-m", "dvc", "init", "--quiet")
    write(project, "writer.py", STAGE)
    stage = {"cmd": "python writer.py", "params": ["fetch", "preprocess", "train"], "deps": ["writer.py"],
             "outs": [{"out.txt": {"cache": False}}]}  # fmt: skip
    write(project, "dvc.yaml", yaml.safe_dump({"stages": {"made": stage}}))
    commit(project, "staged")
    data, logs = tmp_path / "sets", tmp_path / "runs"

    def run(by_fold=True):
        return presets.run(project, "best", data, ["train.dropout=0.5"], by_fold, MODELS, logs)

    first = run()
    assert [name.rpartition("-")[0] for name in first] == ["best-0", "best-1", "best-2"]
    assert list(first.values()) == ["", "fetch: the set should hold images, received none", ""]
    assert sh(project, "git", "status", "--porcelain") == ""  # this folder is left alone
    (data / "set.zip").write_text("images")
    capsys.readouterr()
    again = run()
    assert list(again) == list(first)
    assert set(again.values()) == {""}
    assert capsys.readouterr().out.count("ran before") == 2
    refs = sh(project, "git", "for-each-ref", "--format", "%(refname)", "refs/exps").splitlines()
    (made,) = [ref for ref in refs if ref.endswith(list(again)[1])]
    params = yaml.safe_load(sh(project, "git", "show", f"{made}:params.yaml"))
    assert (params["preprocess"]["fold"], params["train"]["dropout"]) == (1, 0.5)
    assert presets.of_run(project, {**params, "train": {**params["train"], "dropout": 0.2}}) == "best"
    (single,) = run(by_fold=False)
    assert single.startswith("best-")
    assert single not in again


def test_sets_from_elsewhere_stand_in_the_same_folder(project, tmp_path):
    write(project, "presets/away.yaml", "fetch:\n  external:\n    other: set.zip\n")
    commit(project, "away")
    place = str(tmp_path / "sets/set.zip")
    base = read_yaml(project / "params.yaml")
    wanted = presets.settings(project, base, "away", tmp_path / "sets", [], MODELS)
    assert wanted == {"fetch.external.other": place}
    # As a key that params.yaml has not, DVC wants it behind a plus.
    assert presets.as_text(wanted) == {"+fetch.external.other": f"'{place}'"}
    presets.apply(project, "away", tmp_path / "sets", [], MODELS)
    params = read_yaml(project / "params.yaml")
    assert params["fetch"]["external"] == {"other": place}
    assert presets.of_run(project, params) == "away"
    with pytest.raises(ParamsError, match=r"fetch\.external\.other should be in the folder"):
        presets.settings(project, base, "away", tmp_path, [], MODELS)
