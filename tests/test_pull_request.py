"""The report of a pull request, as CI makes it: `.ci/compare` on branches of the tiny project."""

import json
import shutil

import cv2
import pytest
import yaml
from tiny_project import commit, sh, stages_run

from brainmri.comparison.compare_report import CHARTS

pytestmark = [pytest.mark.slow, pytest.mark.pipeline]


@pytest.fixture(scope="module")
def project(finished_project, tmp_path_factory):
    """A copy of the tiny project with branches that were committed and never run, as in a pull request."""
    place = shutil.copytree(finished_project, tmp_path_factory.mktemp("clone") / "project")
    params = yaml.safe_load((place / "params.yaml").read_text())
    for branch, change in (("less-dropout", {"dropout": 0.1}), ("no-learning", {"learning_rate": 1e-7})):
        sh(place, "git", "checkout", "--quiet", "-b", branch, "main")
        content = params | {"train": params["train"] | change}
        (place / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        commit(place, branch)
    sh(place, "git", "checkout", "--quiet", "-b", "words", "main")
    (place / "README.md").write_text("Other words.\n")
    commit(place, "words")
    return place


def compare(project, base, head, out, *bound, ok=True):
    """Run the script as the workflow does, in an environment that is there; return what it printed."""
    return sh(project, "env", "ENVIRONMENT_READY=1", ".ci/compare", base, head, str(out), *bound, ok=ok)


def test_a_branch_that_changes_dropout_is_run_and_reported(project, tmp_path):
    out = tmp_path / "report"
    printed = compare(project, "main", "less-dropout", out, "0.1")
    assert sorted(stages_run(printed)) == ["check_params", "evaluate", "report", "segment", "train"]
    text = (out / "summary.md").read_text()
    assert text.startswith("**Simulated data: accuracy ")
    assert "| `train.dropout` | `0.2` | `0.1` |" in text
    assert "### Params changed: 1\n" in text
    assert "Bound kept: no score should surely get worse by more than 0.1" in text
    assert "### Images: 0 added, 0 removed, 0 relabelled, 0 moved" in text
    assert "### Missing" not in text
    result = json.loads((out / "compare.json").read_text())
    assert result["whole"]["scores"]["accuracy"]["low"] is not None
    assert set(result["segmentation"]["methods"]) == {"kmeans", "kmeans_brain", "unet"}
    for name in CHARTS:
        assert cv2.imread(str(out / name)) is not None, name


def test_a_branch_that_lowers_accuracy_is_reported_and_fails(project, tmp_path):
    out = tmp_path / "report"
    printed = compare(project, "main", "no-learning", out, ok=False)
    assert "no score should fall by more than 0.02 beyond its interval, received accuracy (" in printed
    text = (out / "summary.md").read_text()
    assert ": lower beyond chance**" in text.splitlines()[0]
    assert "**Bound broken: no score should surely get worse by more than 0.02, but accuracy (" in text


def test_a_branch_that_changes_no_result_is_said_to_in_words(project, tmp_path):
    printed = compare(project, "main", "words", tmp_path / "report")
    assert set(stages_run(printed)) <= {"report"}  # the rest comes out of the cache
    assert (tmp_path / "report/summary.md").read_text().startswith("**Simulated data: nothing changed: params, images,")


def test_results_that_a_remote_has_are_restored_and_not_run(project, tmp_path):
    """The author ran the branch, committed dvc.lock, and pushed; CI begins with an empty clone."""
    author, clone = tmp_path / "author", tmp_path / "ci"
    shutil.copytree(project, author)
    sh(author, "git", "checkout", "--quiet", "--force", "-B", "main", "main")
    sh(author, "dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    commit(author, "a remote")
    sh(author, "dvc", "repro")
    sh(author, "dvc", "push", "--run-cache")
    # The run of this branch is in the run-cache, and no commit has its dvc.lock.
    sh(author, "git", "checkout", "--quiet", "-b", "restored")
    params = (author / "params.yaml").read_text()
    (author / "params.yaml").write_text(params.replace("dropout: 0.2", "dropout: 0.1"))
    commit(author, "less dropout")
    sh(author, "dvc", "repro")
    sh(author, "dvc", "push", "--run-cache")
    sh(tmp_path, "git", "clone", "--quiet", str(author), str(clone))
    printed = compare(clone, "origin/main", "origin/restored", tmp_path / "report")
    assert set(stages_run(printed)) <= {"report"}
    text = (tmp_path / "report/summary.md").read_text()
    assert "### Missing" not in text
    assert "| kmeans | " in text
