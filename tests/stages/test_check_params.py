"""Every section of params.yaml, before anything runs."""

import subprocess
import sys

import pytest
import yaml
from conftest import PARAMS
from tiny_project import ROOT

from brainmri.core.errors import ParamsError
from stages import check_params, evaluate, segment, train, train_unet


def changed(tmp_path, **sections):
    params = yaml.safe_load(PARAMS.read_text())
    for name, values in sections.items():
        params[name] |= values
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params))
    return path


def test_the_committed_params_keep_their_rules_and_the_file_is_always_the_same(tmp_path):
    check_params.run(PARAMS, tmp_path / "a.txt")
    check_params.run(changed(tmp_path, train={"dropout": 0.5}), tmp_path / "b.txt")
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "b.txt").read_bytes() != b""


def test_all_problems_of_all_sections_are_named_and_nothing_is_written(tmp_path):
    path = changed(tmp_path, train={"dropout": 2}, segment={"gates": True}, fetch={"source": "moon"})
    with pytest.raises(ParamsError) as caught:
        check_params.run(path, tmp_path / "out.txt")
    said = str(caught.value)
    assert "section `train`: dropout should be less than 1, received 2" in said
    assert "section `segment`: gates is not a known key (did you mean gate?)" in said
    assert "section `fetch`: source should be" in said
    assert not (tmp_path / "out.txt").exists()


def test_a_section_that_is_missing_or_unknown_is_named(tmp_path):
    params = yaml.safe_load(PARAMS.read_text())
    params["trian"] = params.pop("train")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(ParamsError, match=r"`trian` is not known\n.*`train` is missing or is not a mapping"):
        check_params.require_valid(tmp_path / "params.yaml")


@pytest.mark.parametrize("text", ["train: {a: 1\n", "- a\n", ""])
def test_a_file_that_is_no_params_is_reported_once(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError, match=r"^[^\n]*params\.yaml: (not a readable|should hold)[^\n]*$"):
        check_params.require_valid(tmp_path / "params.yaml")


@pytest.mark.slow
def test_each_stage_reads_its_section_by_the_same_rules():
    for stage in (train, train_unet, evaluate, segment):
        model = check_params.MODELS[stage.__name__.removeprefix("stages.")]
        assert issubclass(stage.Params, model)
        assert list(stage.Params.model_fields) == list(model.model_fields)


def test_every_stage_comes_after_it():
    """A stage that did not would have its outputs removed before the check."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    made = {
        str(out if isinstance(out, str) else next(iter(out))): name for name in stages for out in stages[name]["outs"]
    }
    after = {"check_params"}
    for name, stage in stages.items():  # they stand in their order
        if {made[dep] for dep in stage["deps"] if dep in made} & after:
            after.add(name)
    assert after == set(stages)


@pytest.mark.slow
def test_the_script_ends_with_the_problems(tmp_path):
    path = changed(tmp_path, train={"dropout": 2})
    words = [sys.executable, "-m", "stages.check_params", str(tmp_path / "out.txt"), "--params", str(path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"error: {path}: section `train`: dropout should be less than 1, received 2"]
