"""Every hostile input of docs/hostile.md is read right or refused in one sentence, and writes nothing beside itself.

`python tests/test_hostile.py` writes the page anew from the rows in tests/hostile/.
"""

import importlib
import resource
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from hostile import rows

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/hostile.md"
PARTS = [
    importlib.import_module(f"hostile.{path.stem}")
    for path in sorted(Path(__file__).parent.glob("hostile/*.py"))
    if path.stem != "rows"
]
ROWS = [(part, row) for part in PARTS for row in part.ROWS]
SECONDS, BYTES = 10, 3 * 2**29  # of the processor and of memory, that reading one input may take

HEAD = """# What happens to hostile files

Files that come from outside are cut off, misnamed, packed twice or made to do harm. This page says what becomes of each
kind that we tried: it is **read right**, **refused** in one sentence (`FILE` stands for its path, `...` for a library's
words), or **counted by name**. It is written from the rows in `tests/hostile/`, which make every one of these inputs
and read it as `fetch`, `preprocess` or `predict` does. A test holds the page equal to them, and sees that reading wrote
nothing, took less than 10 seconds of the processor and no more memory than 1.5 GiB.

"""


def page() -> str:
    """Return docs/hostile.md."""
    return HEAD + "\n".join(rows.section(part.TITLE, part.INTRO, part.ROWS) for part in PARTS)


def tree(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_size for path in folder.rglob("*") if ".dvc" not in path.parts}  # its own place


@contextmanager
def bounded_memory():
    """Let what is taken beyond BYTES fail, where the system tells how much this process has."""
    usual, told = resource.getrlimit(resource.RLIMIT_AS), Path("/proc/self/statm")
    if told.exists():
        now = int(told.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + BYTES, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, usual)


@pytest.mark.parametrize(("part", "row"), ROWS, ids=[f"{part.TITLE}: {row.kind}" for part, row in ROWS])
def test_hostile(tmp_path, monkeypatch, part, row):
    for name in ("given", "scratch", "here"):
        (tmp_path / name).mkdir()
    path = row.make(tmp_path / "given")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    monkeypatch.chdir(tmp_path / "here")
    before, started = tree(tmp_path), time.process_time()
    with bounded_memory():
        assert rows.wrong(row, path) == ""
    assert time.process_time() - started < SECONDS
    assert tree(tmp_path) == before


def test_the_page_is_that_of_the_rows():
    assert PAGE.read_text() == page(), "python tests/test_hostile.py"


if __name__ == "__main__":
    PAGE.write_text(page())
