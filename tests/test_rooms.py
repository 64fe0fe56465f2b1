"""Who may import whom: the rooms of the library, in pipeline order, and the scripts around them."""

import pytest
from tiny_project import ROOT

from brainmri.core import closure

MAY_IMPORT = {
    "core": set(),
    "parallel": {"core"},
    "sources": {"core"},
    "phantom": {"core"},
    "preprocessing": {"core", "parallel"},
    "scoring": {"core", "preprocessing"},
    "models": {"core", "preprocessing", "scoring"},
    "learning": {"core", "scoring"},
    "segmentation": {"core", "parallel", "preprocessing", "models"},
    "reporting": {"core", "scoring"},
    "comparison": {"core", "scoring", "reporting"},
    "prediction": {"core", "sources", "preprocessing", "models", "segmentation"},
}
ALL = {*MAY_IMPORT, "project", "commands"}
LARGEST = 14  # files that one still finds one's way in


def rooms(root, path):
    """Return the rooms, and the packages beside the library, that a file imports from; its own is left out."""
    parts = [file.parts for file in closure.imported(root, path)]
    names = {part[1] if part[0] == "brainmri" and len(part) > 2 else part[0] for part in parts}
    return names - {"brainmri", path.parts[1] if len(path.parts) > 2 else path.parts[0]}


def broken(root):
    """Return a sentence for every import that the rules do not allow."""
    allowed = {f"brainmri/{room}": own for room, own in MAY_IMPORT.items()}
    library = ALL - {"project", "commands"}
    allowed |= {"brainmri/project": library | {"stages"}, "brainmri/commands": ALL | {"stages"}}
    allowed |= {"stages": library, "app": library, "brainmri": {"commands"}}
    found = []
    for folder, own in allowed.items():
        for path in sorted((root / folder).glob("*.py")):
            file = path.relative_to(root)
            found += [f"{file} imports {room}" for room in sorted(rooms(root, file) - own)]
    return found


def test_no_room_imports_what_it_may_not():
    assert broken(ROOT) == []


@pytest.mark.parametrize(
    ("file", "line", "named"),
    [
        ("brainmri/core/index.py", "from brainmri.preprocessing import head", "preprocessing"),
        ("brainmri/scoring/paired.py", "import brainmri.comparison.tables", "comparison"),
        ("brainmri/models/unet.py", "def f():\n    from stages import train", "stages"),
        ("stages/train.py", "from brainmri.project.lock import problems", "project"),
        ("brainmri/project/check.py", "from brainmri.commands import cli", "commands"),
        ("app/api.py", "from stages import train", "stages"),
    ],
)
def test_an_import_that_breaks_the_rule_is_found(tmp_path, file, line, named):
    for path in (
        "brainmri/preprocessing/head.py",
        "brainmri/comparison/tables.py",
        "brainmri/project/lock.py",
        "brainmri/commands/cli.py",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    for path in ("stages/train.py", file):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    (tmp_path / file).write_text(line)
    assert broken(tmp_path) == [f"{file} imports {named}"]


def test_every_file_of_the_library_stands_in_a_room_that_is_not_too_large():
    folders = {path.parent for path in (ROOT / "brainmri").rglob("*.py")} - {ROOT / "brainmri"}
    assert {folder.relative_to(ROOT / "brainmri").as_posix() for folder in folders} == ALL
    assert {path.name for path in (ROOT / "brainmri").glob("*.py")} == {"__init__.py", "__main__.py"}
    for folder in folders:
        assert len(list(folder.glob("*.py"))) - 1 <= LARGEST, folder


def test_the_faces_of_the_rooms_hold_a_docstring_alone():
    for path in ROOT.glob("brainmri/**/__init__.py"):
        assert len(path.read_text().splitlines()) == 1, path
