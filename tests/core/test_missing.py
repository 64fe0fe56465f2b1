"""What brings a stage's file back."""

import shutil

import pytest
import yaml
from revision_files import sh, write

from brainmri.core.missing import damaged, missing


@pytest.fixture
def project(small_repository, tmp_path):
    """A repository with a run and a default remote, of which a file is asked for that is not in the folder."""
    return shutil.copytree(small_repository, tmp_path / "project")


def outs(project):
    stages = yaml.safe_load((project / "dvc.lock").read_text())["stages"].values()
    return [out for stage in stages for out in stage.get("outs", [])]


def cached_out(project):
    """Return the first output that DVC's cache keeps."""
    place = project / ".dvc/cache/files/md5"
    return next(out for out in outs(project) if (place / out["md5"][:2] / out["md5"][2:]).exists())


def test_what_the_cache_holds_is_checked_out(project):
    out = cached_out(project)
    said = str(missing(project / out["path"] / "x.json"))
    assert said.endswith(f"x.json: no such file; `dvc checkout {out['path']}` brings it back")


def test_what_was_changed_is_checked_out_by_force(project):
    out = cached_out(project)
    said = str(damaged(project / out["path"] / "x.json", "not valid JSON: none"))
    assert said.endswith(f"x.json: not valid JSON: none; `dvc checkout --force {out['path']}` brings it back")


def test_what_the_cache_has_lost_is_pulled_where_there_is_a_remote(project):
    out = cached_out(project)
    shutil.rmtree(project / ".dvc/cache")
    assert f"no such file; `dvc pull {out['path']}` brings it back, if it was pushed" in str(
        missing(project / out["path"])
    )
    write(project, ".dvc/config", "")
    assert str(missing(project / out["path"])).endswith("no such file; run the stage that writes it with `dvc repro`")


def test_what_git_keeps_comes_from_git(project):
    out = outs(project)[0]["path"]
    write(project, f"{out}/x.json", "")
    sh(project, "git", "add", "--force", out)
    assert f"no such file; `git checkout {out}` brings it back" in str(missing(project / out))


def test_what_no_run_wrote_has_to_be_made(project, tmp_path):
    for path in (project / "nowhere/x.json", tmp_path / "x.json"):
        assert str(missing(path)) == f"{path}: no such file; run the stage that writes it with `dvc repro`"
