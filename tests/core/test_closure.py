"""Which files a script reaches through imports."""

import subprocess
import sys
from pathlib import Path

import pytest

from brainmri.core import closure

ROOT = Path(__file__).parents[2]


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("line", "reached"),
    [
        ("import brainmri.a", ["brainmri/__init__.py", "brainmri/a.py"]),
        ("import brainmri.a as x, os", ["brainmri/__init__.py", "brainmri/a.py"]),
        ("from brainmri import a", ["brainmri/__init__.py", "brainmri/a.py"]),
        ("from brainmri.a import f", ["brainmri/__init__.py", "brainmri/a.py"]),
        ("def g():\n    from brainmri import a", ["brainmri/__init__.py", "brainmri/a.py"]),
        ("if False:\n    import brainmri.a", ["brainmri/__init__.py", "brainmri/a.py"]),
        ("from brainmri import b", ["brainmri/__init__.py", "brainmri/a.py", "brainmri/b.py"]),
        ("from brainmri.deep import c", ["brainmri/__init__.py", "brainmri/deep/__init__.py", "brainmri/deep/c.py"]),
        ("import numpy", []),
        ("from brainmri import missing", ["brainmri/__init__.py"]),
    ],
)
def test_every_form_of_import_is_followed(tmp_path, line, reached):
    write(
        tmp_path,
        {
            "stages/__init__.py": "",
            "stages/s.py": line,
            "brainmri/__init__.py": "",
            "brainmri/a.py": "",
            "brainmri/b.py": "from . import a",
            "brainmri/deep/__init__.py": "",
            "brainmri/deep/c.py": "",
        },
    )
    found = closure.reached(tmp_path, Path("stages/s.py"))
    assert found == sorted([*reached, "stages/__init__.py", "stages/s.py"])


def test_circles_end(tmp_path):
    write(
        tmp_path,
        {
            "stages/s.py": "import brainmri.a",
            "brainmri/a.py": "import brainmri.b",
            "brainmri/b.py": "import brainmri.a",
        },
    )
    assert closure.reached(tmp_path, Path("stages/s.py")) == ["brainmri/a.py", "brainmri/b.py", "stages/s.py"]


def test_a_table_that_bears_a_modules_name_is_reached_with_it(tmp_path):
    write(
        tmp_path, {"stages/s.py": "import brainmri.a", "brainmri/a.py": "", "brainmri/a.csv": "", "brainmri/b.csv": ""}
    )
    assert closure.reached(tmp_path, Path("stages/s.py")) == ["brainmri/a.csv", "brainmri/a.py", "stages/s.py"]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["fetch", "preprocess", "augment", "train", "evaluate", "segment", "report"])
def test_python_itself_loads_no_file_that_was_not_found(stage):
    # The second implementation: import the stage and look at what Python loaded.
    code = (
        f"import sys, stages.{stage}\n"
        "files = [m.__file__ for name, m in sys.modules.items() if name.split('.')[0] in ('brainmri', 'stages')]\n"
        "print(*files)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    files = {str(Path(name).relative_to(ROOT)) for name in result.stdout.split()}
    assert files <= set(closure.reached(ROOT, Path(f"stages/{stage}.py")))


def test_no_stage_imports_another_and_train_reaches_no_pictures():
    for stage in ("fetch", "preprocess", "augment", "train", "evaluate", "segment", "report"):
        found = closure.reached(ROOT, Path(f"stages/{stage}.py"))
        assert [path for path in found if path.startswith("stages/")] == ["stages/__init__.py", f"stages/{stage}.py"]
    assert not {"brainmri/reporting/figures.py", "brainmri/reporting/galleries.py"} & set(
        closure.reached(ROOT, Path("stages/train.py"))
    )


def test_nothing_is_imported_by_name_at_run_time():
    for path in [*ROOT.glob("brainmri/**/*.py"), *ROOT.glob("stages/*.py")]:
        assert "import_module" not in path.read_text()
        assert "__import__" not in path.read_text()
