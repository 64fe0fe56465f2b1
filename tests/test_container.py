"""The container's description names files that there are, by what it may copy, and the lock that the Makefile installs.

No engine that builds it is needed here; `docs/running.md` says what has been run of it.
"""

import fnmatch
import json
import re

import yaml
from tiny_project import ROOT

DOCKERFILE = re.sub(r"\\\n", "", (ROOT / "Dockerfile").read_text())
STEPS = re.findall(r"^(ARG|COPY|ENV|FROM|RUN|USER|WORKDIR) (.*)$", DOCKERFILE, re.MULTILINE)
LET_IN = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
DEVCONTAINER = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())


def steps(word):
    return [rest for name, rest in STEPS if name == word]


def copied(lock):
    names = " ".join(rest.rpartition(" ")[0] for rest in steps("COPY")).replace("${LOCK}", lock)
    return names.split()


def test_what_is_copied_exists_is_let_in_and_is_all_that_is_let_in():
    (default,) = [rest.partition("=")[2] for rest in steps("ARG")]
    for lock in (default, DEVCONTAINER["build"]["args"]["LOCK"]):
        names = copied(lock)
        assert [name for name in names if not (ROOT / name).exists()] == []
        assert [name for name in names if not any(fnmatch.fnmatch(name, own) for own in LET_IN)] == []
    assert [own for own in LET_IN if not fnmatch.filter(names, own)] == []
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"  # all else stays outside, scans among it


def test_every_package_comes_by_its_hash_and_nothing_from_a_named_place():
    installs = [part for rest in steps("RUN") for part in rest.split("&&") if "pip install" in part]
    assert len(installs) == 2
    assert all("--require-hashes" in part or "--no-deps --no-build-isolation" in part for part in installs)
    assert "://" not in DOCKERFILE + json.dumps(DEVCONTAINER)


def test_it_runs_as_a_user_without_rights_where_the_clone_is_mounted():
    (user,), (place,) = steps("USER"), steps("WORKDIR")
    assert any(f"useradd --create-home --uid 1000 {user}" in rest for rest in steps("RUN"))
    assert DEVCONTAINER["remoteUser"] == user
    assert DEVCONTAINER["workspaceFolder"] == place
    assert f"target={place}," in DEVCONTAINER["workspaceMount"]
    assert (ROOT / ".devcontainer" / DEVCONTAINER["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert f":{place}" in (ROOT / "docs/running.md").read_text()


def test_its_python_is_that_of_the_check():
    (base,) = steps("FROM")
    check = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["check"]["steps"]
    (version,) = [step["with"]["python-version"] for step in check if "python-version" in step.get("with", {})]
    assert base == f"python:{version}-slim-bookworm"
