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

from brainmri.core import kinds
from brainmri.sources import archives

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

## The bound

Reading any one file, and bringing it to the square grid, takes at most 1.5 GiB of memory beside what the program has
anyhow (0.2 GiB before TensorFlow). The numbers that hold it stand in `brainmri/core/kinds.py`; what is beyond them is
refused by what its header announces, before it is decoded.

| of | at most |
| --- | --- |
| a file as it lies there, or in an archive | {file} MiB |
| a picture, a volume, a DICOM file | {pixels} pixels, such as 8192 x 8192 or 512 x 512 x 256, and {side} along a side |
| these once unpacked and decoded | 8 bytes a pixel: {decoded} MiB; also of all files of a DICOM series together |
| a volume | {slices} slices |
| a DICOM file | {frames} frames |
| a table (manifest, patients, `exclude.csv`) | {rows} rows, {table} MiB |
| a compressed tar | unpacks to 1 GiB, or to 100 times its size |
| a name in an archive or folder, with its folders | {name} letters |

Measured in a process of its own each (`ru_maxrss`, less what the imports had), at the largest size that is let in: MiB
after reading, and after the square grid.

| file | reading | with the square grid |
| --- | --- | --- |
| PNG 8192 x 8192, 8 bits; 16 bits | 194; 386 | 717; 915 |
| PNG 8192 x 8192 in colours; JPEG; progressive JPEG | 322; 173; 271 | 846; 696; 665 |
| PNG 8192 x 8192 with transparency, 8 bits; 16 bits | 1345; 1284 | 1419; 1422 |
| NIfTI 512 x 512 x 256 of int16; of float64 with NaN, packed | 387; 1282 | 387; 1282 |
| DICOM 8192 x 8192: inverted int16; RGB; palette | 1282; 898; 962 | 1282; 898; 962 |
| zip whose member has 256 MiB | 515 | - |

## Fuzzing

`make fuzz SECONDS=60` changes whole files of each kind at random (pictures, masks, DICOM, NIfTI, archives, manifests,
`params.yaml`), for so many seconds of the processor a kind, and reads them: only our own errors may leave, in one line,
within 10 seconds and a bounded memory. `tests/fuzz/` says what is changed and how. With `pip install atheris`, which is
no dependency, `PYTHONPATH=tests python -m fuzz led 60 pictures` lets atheris choose the changes by the code that they
reach.
{fuzzed}

"""


FUZZED = """@@@"""


def page() -> str:
    """Return docs/hostile.md."""
    numbers = {
        "file": kinds.MAX_FILE_BYTES // 2**20,
        "pixels": f"{kinds.MAX_PIXELS:,}",
        "side": f"{kinds.MAX_SIDE:,}",
        "decoded": kinds.MAX_PIXEL_BYTES // 2**20,
        "slices": f"{kinds.MAX_SLICES:,}",
        "frames": f"{kinds.MAX_FRAMES:,}",
        "rows": f"{kinds.MAX_ROWS:,}",
        "table": kinds.MAX_TABLE_BYTES // 2**20,
        "name": f"{archives.MAX_NAME:,}",
        "fuzzed": FUZZED,
    }
    return HEAD.format(**numbers) + "\n".join(rows.section(part.TITLE, part.INTRO, part.ROWS) for part in PARTS)


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
