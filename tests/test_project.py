"""The papers of the project are true: the README's tree, commands and tables, the Makefile, the workflow, the lock."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from brainmri.project import results

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def targets():
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_readme_says_first_that_this_is_not_for_clinical_use():
    assert README.splitlines()[2].startswith("**Not for clinical use.**")


def test_the_tables_are_those_of_the_results():
    assert list((ROOT / "results").glob("*.json"))
    assert all(page.read_text() == text for page, text in results.pages(ROOT).items())


def test_every_place_in_the_tree_exists():
    tree = README.split("## What stands where")[1].split("```")[1]
    names = re.findall(r"^([\w./]+)(?:  ([\w./]+))?", tree, re.MULTILINE)
    named = [name for pair in names for name in pair if name]
    made = {"data/", "models/"}
    assert len(named) >= 10
    assert [name for name in named if name not in made and not (ROOT / name).exists()] == []


def test_links_and_pictures_exist():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_every_make_target_that_is_named_exists():
    pages = [ROOT / "README.md", ROOT / ".ci/run", *sorted((ROOT / "docs").glob("*.md"))]
    text = "\n".join(page.read_text() for page in pages)
    named = set(re.findall(r"(?:`|\$ |^)make ([a-z-]+)", text, re.MULTILINE))
    assert {"repro", "test-all", "push", "pull"} <= named <= targets()


def test_every_parameter_that_is_named_exists():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    docs = README + (ROOT / "docs/your-own-images.md").read_text()
    named = re.findall(r"-S ([\w.]+)=", docs)
    assert named
    for key in named:
        place = params
        for part in key.split("."):
            assert part in place, key
            place = place[part]


def test_the_graph_in_the_readme_is_that_of_the_pipeline():
    import sys

    graph = subprocess.run(
        [sys.executable, "-m", "dvc", "dag", "--mermaid"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert graph.strip() in README


def pins(name):
    return dict(re.findall(r"^([a-z0-9][^=\s]*)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


def test_both_lock_files_pin_what_they_share_alike():
    few, all_of_them = pins("requirements.lock"), pins("requirements-all.lock")
    assert few.items() < all_of_them.items()


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-all.lock"])
def test_a_lock_file_names_no_index_and_pins_every_package_with_hashes(name):
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "--index" not in text
    packages = re.findall(r"^[a-z0-9].*$", text, re.MULTILINE)
    assert len(packages) > 100
    assert all("==" in line for line in packages)
    assert all("--hash=sha256:" in part for part in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:])


# Jobs that may do more than read the code, by workflow: they run nothing of a pull request.
MORE_RIGHTS = {"compare-comment.yml": {"comment": {"actions": "read", "pull-requests": "write"}}}
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.name for path in WORKFLOWS])
def test_actions_are_pinned_and_have_few_rights(path):
    text = path.read_text()
    workflow = yaml.safe_load(text)
    more = MORE_RIGHTS.get(path.name, {})
    assert workflow["permissions"] == ({} if more else {"contents": "read"})
    assert {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job} == more
    assert "pull_request_target" not in text
    assert "secrets." not in text
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"]
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")  # what a branch is called would be run
            if "uses" in step:
                assert not more
                assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
                assert re.search(rf"{step['uses']} # v\d+\.\d+\.\d+$", text, re.MULTILINE)
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"fetch-depth": 0, "persist-credentials": False}


def test_one_action_has_one_version():
    used = set(re.findall(r"uses: (.*)", "\n".join(path.read_text() for path in WORKFLOWS)))
    assert len(used) == len({line.partition("@")[0] for line in used})


def test_git_tracks_no_data_and_no_private_path():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in tracked if name.startswith(("data/", "models/"))]
    for name in tracked:
        if Path(name).suffix in {".py", ".md", ".yaml", ".json", ".lock", ".toml", ".csv"}:
            assert not re.search(r"(?<![\w.])/(home/(?!me/)|Users/|root/)", (ROOT / name).read_text()), name


@pytest.mark.parametrize(
    "stage", ["fetch", "preprocess", "probe", "augment", "train", "train_unet", "evaluate", "segment", "report"]
)
def test_every_stage_has_its_tests(stage):
    assert (ROOT / f"tests/stages/test_{stage}.py").exists()
