"""Sections of params.yaml."""

from pathlib import Path

import pytest
import yaml
from dvc.utils.serialize import parse_yaml

from brainmri.commands.arguments import models
from brainmri.core.errors import ParamsError
from brainmri.core.params import Section, load, read_yaml

PARAMS = Path(__file__).parents[2] / "params.yaml"


class Example(Section):
    epochs: int
    dropout: float


def write(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    return path


def test_a_section_is_read(tmp_path):
    path = write(tmp_path, "train: {epochs: 3, dropout: 0}\nother: {x: 1}\n")
    assert load(path, "train", Example) == Example(epochs=3, dropout=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "train: {epochs: 3, drpout: 0.5}",
            r"dropout is missing; drpout is not a known key \(did you mean dropout",
        ),
        ("train: {epochs: '3', dropout: 0.5}", r"epochs should be a valid integer, received '3'"),
        ("train: {epochs: true, dropout: 0.5}", r"epochs should be a valid integer, received True"),
        ("other: {}", r"section `train` is missing"),
        ("train: 3", r"section `train` is missing or is not a mapping"),
        ("train: {", r"not a readable YAML file"),
        ("", r"section `train` is missing"),
    ],
)
def test_a_problem_is_named(tmp_path, text, message):
    with pytest.raises(ParamsError, match=message):
        load(write(tmp_path, text), "train", Example)


def test_numbers_as_dvc_writes_them_are_numbers(tmp_path):
    path = write(tmp_path, "train: {epochs: 3, dropout: 1e-05}\n")
    assert load(path, "train", Example).dropout == 1e-5
    assert read_yaml(write(tmp_path, "md5: 27149337e2385386c4b9e8516ede5aa2")) == {
        "md5": "27149337e2385386c4b9e8516ede5aa2"
    }


# As people write values in params.yaml, in a grid of a sweep and behind `--set`.
WRITTEN = (
    *("1e-3", "1E5", "1e5", "-1e-3", "+1.5", "1.e3", "12e03", ".5", "1.", "0.2", "0", "-0", "1_000", "1_0.5", "10"),
    *("0o17", "0x1F", "0b11", "0017", "08", "1:30", "1.5.2", "_1", "1__0"),
    *("true", "True", "TRUE", "false", "yes", "no", "on", "Off", "y", "null", "Null", "~", "nan", ".inf", "-.inf"),
    *("'1e-3'", '"1"', "'true'", "a", "x:y", "[1e-3, .5, 1_000]", "['1', yes, null]", "{a: 1e-3, b: [08]}"),
)


@pytest.mark.parametrize("text", WRITTEN)
def test_a_value_is_what_dvc_takes_it_for(tmp_path, text):
    path = write(tmp_path, f"train: {{x: {text}}}\n" if "{" not in text else f"train:\n  x: {text}\n")
    ours, dvcs = read_yaml(path)["train"]["x"], parse_yaml(path.read_text(), str(path))["train"]["x"]
    assert (ours, type(ours)) == (dvcs, type(dvcs))


def test_a_key_that_stands_twice_is_refused_as_dvc_does(tmp_path):
    with pytest.raises(ParamsError, match=r"not a readable YAML file: .*duplicate key"):
        read_yaml(write(tmp_path, "train: {x: 1, x: 2}\n"))


def test_a_folder_in_place_of_the_file_is_named(tmp_path):
    with pytest.raises(ParamsError, match=r"not a readable YAML file: .*Is a directory"):
        load(tmp_path, "train", Example)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ParamsError, match=r"params\.yaml: no such file"):
        load(tmp_path / "params.yaml", "train", Example)


@pytest.mark.slow
def test_every_section_of_the_projects_own_file_fits_its_model():
    sections = yaml.safe_load(PARAMS.read_text())
    assert set(sections) == set(models())
    for name, model in models().items():
        load(PARAMS, name, model)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("train", "dropout", 1.0, "dropout should be less than 1, received 1.0"),
        ("train", "seed", -1, "seed should be greater than or equal to 0, received -1"),
        ("augment", "seed", 2**32, "seed should be less than 4294967296"),
        ("train", "epochs", 0, "epochs should be greater than or equal to 1, received 0"),
        (
            *("train", "architecture", "vgg"),
            "architecture should be one of residual, cnn, lite0, application, received 'vgg'",
        ),
        ("train_unet", "encoder", "vgg", "encoder should be one of plain, lite0, received 'vgg'"),
        ("preprocess", "windows", [], "windows should have at least 1 item"),
        ("preprocess", "max_bad", -0.1, "max_bad should be greater than or equal to 0"),
        ("augment", "zoom", 1.5, "zoom should be less than 1"),
        ("segment", "methods", ["otsu"], "methods.0 should be one of kmeans, kmeans_brain, unet, received 'otsu'"),
        ("segment", "kmeans", {"k": 1, "kernel": 4, "erosions": 0, "dilations": 0}, "kmeans.k should be greater"),
        ("fetch", "source", "ftp", "source should be"),
    ],
)
def test_a_value_out_of_range_is_named(tmp_path, section, key, value, message):
    values = yaml.safe_load(PARAMS.read_text())
    values[section][key] = value
    with pytest.raises(ParamsError, match=message):
        load(write(tmp_path, yaml.safe_dump(values)), section, models()[section])
