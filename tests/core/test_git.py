import subprocess

import pytest

from brainmri.core.errors import InputError
from brainmri.core.git import git


def test_what_git_says_comes_back_without_white_space_around_it(tmp_path):
    subprocess.run(["git", "init", "--quiet", "--initial-branch=here"], cwd=tmp_path, check=True)
    assert git(tmp_path, "symbolic-ref", "--short", "HEAD") == "here"


def test_what_git_refuses_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"`git rev-parse HEAD` should work here, .*received: fatal: not a git"):
        git(tmp_path, "rev-parse", "HEAD")


def test_a_missing_folder_or_git_is_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"should work here, .* received: .*No such file"):
        git(tmp_path / "gone", "status")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"should work here, .* received: .*No such file.*git"):
        git(tmp_path, "status")
