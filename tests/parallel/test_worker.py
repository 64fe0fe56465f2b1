"""A worker refuses what would give other bytes."""

import os
import re
import tomllib

import numpy as np
import pytest
import small_pieces
from tiny_project import ROOT

from brainmri.core.errors import InputError
from brainmri.parallel import worker


def test_a_worker_writes_arrays_to_the_shared_folder_and_returns_the_rest(tmp_path):
    found = [worker.work(small_pieces.squares, (0, 3), {}, tmp_path, worker.software()) for _ in range(2)]
    assert [result for result, _ in found] == [3, 3]
    assert found[0][1] != found[1][1]  # a second attempt does not touch what the first one wrote
    with np.load(tmp_path / found[0][1]) as file:
        assert file["squares"].tolist() == [0, 1, 4]


def test_software_names_code_python_and_packages():
    own = worker.software()
    assert own["numpy"] == np.__version__
    assert len(own["brainmri's code"]) == 12


def test_no_package_that_the_project_needs_is_left_out():
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert set(worker.PACKAGES) == {re.match(r"[\w.-]+", line)[0] for line in needed} | {"distributed", "keras"}


def test_other_software_is_refused():
    expected = worker.software()
    worker.refuse_other_software(expected, expected)
    with pytest.raises(InputError, match=r"received a worker with numpy 1.0 for \S+; install the same commit"):
        worker.refuse_other_software(expected | {"numpy": "1.0"}, expected)


def test_another_file_under_the_same_path_is_refused(tmp_path):
    path = tmp_path / "images-000.zip"
    path.write_bytes(b"here")
    known = worker.stamps([path, tmp_path / "none.zip"])
    assert list(known) == [path]
    worker.refuse_other_files(known)
    os.utime(path, (0, 0))
    with pytest.raises(
        InputError, match=r"received at a worker .*images-000.zip: another file, of 4 bytes for 4 or of"
    ):
        worker.refuse_other_files(known)
    path.unlink()
    with pytest.raises(InputError, match=r"images-000.zip: No such file or directory; mount the shared folder there"):
        worker.refuse_other_files(known)


def test_a_folder_that_a_worker_cannot_see_or_write_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"under the same paths .*none.*: No such file or directory; mount"):
        worker.work(small_pieces.squares, (0, 3), {}, tmp_path / "none", worker.software())
    with pytest.raises(InputError, match="received at a worker /shared/place: Permission denied"):
        worker.work(small_pieces.unwritable, (0, 3), {}, tmp_path, worker.software())
