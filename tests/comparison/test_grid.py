import pytest
from dvc.utils.hydra import apply_overrides

from brainmri.comparison.grid import combinations, require_valid, value_of
from brainmri.core.errors import InputError, ParamsError
from brainmri.core.params import Section, read_yaml


class Train(Section):
    """As small as a section can be."""

    dropout: float
    widths: list[int]
    weights: str | None


class Segment(Section):
    """A section that only test images know."""

    gate: bool


MODELS = {"train": Train, "segment": Segment}
PARAMS = {"train": {"dropout": 0.2, "widths": [4, 8], "weights": None}, "segment": {"gate": True}}


def test_every_combination_stands_once_and_the_last_param_varies_fastest():
    found = combinations("train.dropout=0,0.2  train.epochs=10,20")
    assert [tuple(values.items()) for values in found] == [
        (("train.dropout", "0"), ("train.epochs", "10")),
        (("train.dropout", "0"), ("train.epochs", "20")),
        (("train.dropout", "0.2"), ("train.epochs", "10")),
        (("train.dropout", "0.2"), ("train.epochs", "20")),
    ]


def test_commas_in_brackets_and_quotes_belong_to_a_value():
    (first, second) = combinations("train.widths=[4,8],[8,16]")
    assert (first["train.widths"], second["train.widths"]) == ("[4,8]", "[8,16]")
    assert combinations("train.weights='a,b'") == [{"train.weights": "'a,b'"}]


@pytest.mark.parametrize(
    "grid", ["", "train.dropout", "=1", "train.dropout=", "train.dropout=1,,2", "train.dropout=1,"]
)
def test_what_is_no_grid_is_refused(grid):
    with pytest.raises(InputError, match="should be params with values such as"):
        combinations(grid)


@pytest.mark.parametrize("grid", ["train.dropout=1,1", "train.dropout=1 train.dropout=2"])
def test_what_stands_twice_is_refused(grid):
    with pytest.raises(InputError, match="should stand once"):
        combinations(grid)


def test_a_grid_within_the_rules_passes():
    require_valid(combinations("train.dropout=0.1,0.5 train.widths=[4],[4,8] train.weights=null,x"), PARAMS, MODELS)


# As in tests/core/test_params.py, without what the shell's words or the grid's commas would split.
WRITTEN = (
    *("1e-3", "1E5", "-1e-3", "+1.5", "1.e3", ".5", "1.", "0.2", "0", "1_000", "1_0.5", "10", "0o17", "0x1F", "0017"),
    *("08", "1:30", "true", "True", "false", "yes", "on", "null", "nan", "inf", "'1e-3'", '"1"', "a", "x:y"),
    *("[1e-3,.5,1_000]", "['1',yes,null]", "[[1],[2e5]]", "{a:1e-3}"),
)


@pytest.mark.parametrize("text", WRITTEN)
def test_a_value_of_a_grid_is_what_the_run_will_read_in_its_params(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text("train: {x: 0}\n")
    apply_overrides(path, [f"train.x={text}"])
    written, found = read_yaml(path)["train"]["x"], value_of("train.x", text)
    assert (repr(found), type(found)) == (repr(written), type(written))


@pytest.mark.parametrize("text", ["1e-3,2e-3", "1E-3", ".5", "1_0e-3"])
def test_numbers_of_a_grid_are_numbers(text):
    require_valid(combinations(f"train.dropout={text}"), PARAMS, MODELS)


@pytest.mark.parametrize("text", ["range(3)", "glob(*)", "${train.widths}x{", "[1", "~"])
def test_what_dvc_cannot_set_is_refused_before_anything_runs(text):
    with pytest.raises(ParamsError, match=r"grid: train\.dropout=.* should be one value"):
        require_valid(combinations(f"train.dropout={text}"), PARAMS, MODELS)


def test_every_problem_is_named_before_anything_runs():
    with pytest.raises(ParamsError) as caught:
        require_valid(combinations("train.dropout=0.1,much,true"), PARAMS, MODELS)
    first, second = str(caught.value).splitlines()
    assert first.startswith("grid: train.dropout=much: dropout should be a valid number")
    assert second.startswith("grid: train.dropout=true: dropout should be a valid number")


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ("train.dropot=1", "grid: train.dropot should be a param of params.yaml"),
        ("nothing=1", "grid: nothing should be a param of params.yaml"),
        ("train=1", "grid: train should be one param, received the section of dropout, widths, weights"),
        ("segment.gate=true", "validation images cannot choose it, and test images must not"),
    ],
)
def test_params_that_a_sweep_cannot_choose_are_refused(grid, said):
    with pytest.raises(ParamsError, match=said):
        require_valid(combinations(grid), PARAMS, MODELS)
