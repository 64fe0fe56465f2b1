"""The tour, `docs/architecture.md`, is true: its graphs, and every file, function and param that it names."""

import ast
import re
import subprocess
import sys

import pytest
import yaml
from test_rooms import ALL, rooms
from tiny_project import ROOT

PAGE = (ROOT / "docs/architecture.md").read_text()
CODE = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL))
MADE = ("data/", "models/", "train/", "val/", "test/", "external/")  # by a run; the last four in data/processed


def section(title):
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def real_arrows():
    """Return who imports from which room, as pairs of names."""
    folders = {name: f"brainmri/{name}" for name in ALL} | {"stages": "stages", "app": "app"}
    files = {name: sorted((ROOT / folder).glob("*.py")) for name, folder in folders.items()}
    return {(name, room) for name, own in files.items() for file in own for room in rooms(ROOT, file.relative_to(ROOT))}


def defined(path):
    """Return the names of the functions, methods, classes and values that a file defines."""
    nodes = list(ast.walk(ast.parse((ROOT / path).read_text())))
    named = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    values = [target for node in nodes if isinstance(node, ast.Assign) for target in node.targets]
    values += [node.target for node in nodes if isinstance(node, ast.AnnAssign)]
    return named | {target.id for target in values if isinstance(target, ast.Name)}


def files_in(text):
    return re.findall(r"`([\w./]+\.py)`", text)


def test_the_graph_is_that_of_the_pipeline():
    graph = subprocess.run(
        [sys.executable, "-m", "dvc", "dag", "--mermaid"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert graph.strip() in section("The pipeline")


@pytest.mark.parametrize("stage", ["augment", "train", "train_unet"])
def test_no_stage_that_learns_reads_the_test_split(stage):
    deps = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]["deps"]
    assert "data/processed/train" in deps
    never = {"data/processed", "data/processed/test", "data/processed/external", "data/evaluation", "data/raw"}
    assert not never & set(deps)


def test_the_arrows_between_the_rooms_are_those_of_the_imports():
    text = section("The rooms")
    drawn = set(re.findall(r"^\s+(\w+) --> (\w+)$", text, re.MULTILINE))
    above = re.findall(r"^\| `(stages|app|project|commands)` \| (`\w+`(?:, `\w+`)*) \|$", text, re.MULTILINE)
    listed = {(name, room) for name, line in above for room in re.findall(r"\w+", line)}
    real = real_arrows()
    assert {name for name, room in real if room == "core"} == (ALL | {"stages", "app"}) - {"core"}  # as the text says
    assert drawn | listed == {(name, room) for name, room in real if room != "core"}


def test_every_room_has_a_line():
    assert set(re.findall(r"^\| `(\w+)` \| ", section("The rooms"), re.MULTILINE)) == ALL | {"stages", "app"}


def test_every_file_that_is_named_exists():
    paths = [name for name in CODE if re.fullmatch(r"[\w.-]+/[\w./-]*|[\w-]+\.(py|yaml|lock)", name)]
    assert len(paths) > 40
    named = [name for name in paths if not name.startswith(MADE)]
    assert [name for name in named if not (ROOT / name).exists()] == []


def paragraphs():
    """Yield each row of a table and each paragraph: what names a function names its file too."""
    for block in re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL).split("\n\n"):
        yield from block.splitlines() if block.startswith("|") else [block]


NAMED = [
    (name.removesuffix("()"), tuple(files_in(text)))
    for text in paragraphs()
    for name in re.findall(r"`(\w+\(\)|[A-Z]\w*[A-Z_a-z])`", text)
]


@pytest.mark.parametrize(("name", "files"), NAMED, ids=[name for name, _ in NAMED])
def test_every_function_that_is_named_is_defined_in_a_file_named_beside_it(name, files):
    assert any(name in defined(path) for path in files), files


def test_functions_are_named():
    assert len(NAMED) > 40


def test_every_section_of_params_that_is_named_exists():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name in re.findall(r"section `(\w+)`", PAGE):
        assert name in params
