"""What colleagues share through a remote: all of it arrives, nothing heavy runs again, and what fails says so."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import servers
import yaml
from tiny_project import ROOT, commit, sh, stages_run

from brainmri.core.errors import InputError
from brainmri.project import sharing

pytestmark = [pytest.mark.slow, pytest.mark.pipeline]
BIG = 3_000_000  # bytes of the largest object of the small project
MAKE = f"""
import pathlib, random
random.seed(1)
folder = pathlib.Path("made")
folder.mkdir()
(folder / "big").write_bytes(random.randbytes({BIG}))
(folder / "small").write_bytes(b"small")
"""
USE = """
import pathlib
text = pathlib.Path("params.yaml").read_text()
pathlib.Path("used.txt").write_text(text + str(len(pathlib.Path("made/big").read_bytes())))
"""
REPORT = """
import pathlib
for name in ("notes.txt", "page.txt"):
    pathlib.Path(name).write_text(name + pathlib.Path("used.txt").read_text())
"""
STAGES = {
    "make": {"cmd": "python make.py", "deps": ["make.py"], "outs": ["made"]},
    "use": {"cmd": "python use.py", "params": ["factor"], "deps": ["use.py", "made"], "outs": ["used.txt"]},
    "report": {
        "cmd": "python report.py",
        "deps": ["report.py", "used.txt"],
        "outs": ["page.txt", {"notes.txt": {"cache": False}}],
    },
}


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(tmp_path, monkeypatch):
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def three_stages(tmp_path_factory):
    """A project of three quick stages, the last not cached, run and committed; to be copied, not changed."""
    place = tmp_path_factory.mktemp("three_stages") / "project"
    place.mkdir()
    (place / "make.py").write_text(MAKE)
    (place / "use.py").write_text(USE)
    (place / "report.py").write_text(REPORT)
    (place / ".gitignore").write_text("made\nused.txt\npage.txt\n")
    (place / "params.yaml").write_text("factor: 1\n")
    (place / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
    sh(place, "git", "init", "--quiet", "--initial-branch", "main")
    sh(place, "dvc", "init", "--quiet")
    sh(place, "dvc", "repro", "--quiet")
    commit(place, "first run")
    return place


@pytest.fixture
def project(three_stages, tmp_path):
    """A copy of it."""
    return shutil.copytree(three_stages, tmp_path / "project")


def brainmri(project, *words, ok=True):
    """Run the command of this project in another; return what it printed."""
    return sh(project, "env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "brainmri.commands.cli", *words, ok=ok)


def configure(project, settings):
    """Make a remote of these settings the default one, for this clone alone; return the project."""
    lines = "".join(f"    {name} = {value}\n" for name, value in settings.items())
    (project / ".dvc/config.local").write_text(f"[core]\n    remote = shared\n['remote \"shared\"']\n{lines}")
    return project


def clone(project, place, settings):
    """Clone what git has of a project, and give the clone the same remote."""
    sh(project, "git", "clone", "--quiet", str(project), str(place))
    return configure(place, settings)


def set_param(project, old, new):
    text = (project / "params.yaml").read_text()
    assert old in text
    (project / "params.yaml").write_text(text.replace(old, new, 1))


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# --- the story: an experiment that no commit holds, shared through each kind of server -----------------------------


@pytest.fixture(scope="module")
def experiment(finished_project, tmp_path_factory):
    """A clone in which an experiment ran that no commit holds."""
    place = shutil.copytree(finished_project, tmp_path_factory.mktemp("experiment") / "project")
    sh(place, "dvc", "exp", "run", "--set-param", "train.dropout=0.1")
    return place


@pytest.fixture
def no_heavy_python(tmp_path):
    """A folder with a `python` that runs the report stage and nothing else."""
    shim = tmp_path / "bin/python"
    shim.parent.mkdir()
    only = f'case "$*" in "-m stages.report "*) exec {sys.executable} "$@";; esac'
    shim.write_text(f'#!/bin/sh\n{only}\necho "ran: $*" >&2\nexit 97\n')
    shim.chmod(0o755)
    return shim.parent


def light(no_heavy_python, *words):
    """Return the command that runs `words` where no heavy stage can run."""
    path = os.pathsep.join([str(no_heavy_python), str(Path(sys.executable).parent), os.environ["PATH"]])
    return ["env", f"PATH={path}", f"PYTHONPATH={ROOT}", *words]


@pytest.fixture(params=["ssh", "s3", "webdav", "directory"])
def server(request, tmp_path):
    """The settings of a remote on each kind of server."""
    if request.param == "directory":
        yield {"url": str(tmp_path / "store")}
        return
    start = {
        "ssh": lambda: servers.sshd(tmp_path / "sshd", tmp_path / "store"),
        "s3": lambda: servers.seaweed(tmp_path / "seaweed"),
        "webdav": lambda: servers.nginx_dav(tmp_path / "nginx"),
    }[request.param]
    with start() as settings:
        yield settings


@pytest.mark.servers
def test_a_colleague_gets_the_results_of_an_experiment_that_no_commit_holds(
    experiment, server, no_heavy_python, tmp_path
):
    configure(experiment, server)
    assert "can be read and written" in brainmri(experiment, "remote-check")
    assert "holds the" in brainmri(experiment, "push")
    second = clone(experiment, tmp_path / "second", server)
    set_param(second, "dropout: 0.2", "dropout: 0.1")
    assert (second / "dvc.lock").read_bytes() != (experiment / "dvc.lock").read_bytes()
    printed = sh(second, *light(no_heavy_python, "dvc", "repro", "--pull"))
    assert stages_run(printed) == ["report"]
    assert (second / "dvc.lock").read_bytes() == (experiment / "dvc.lock").read_bytes()
    assert files(second / "models") == files(experiment / "models")
    assert "are in sync" in sh(second, "dvc", "status", "--cloud")
    assert "up to date" in sh(second, "dvc", "status")


def test_brainmri_pull_gets_them_as_well(experiment, no_heavy_python, tmp_path):
    settings = {"url": str(tmp_path / "store")}
    brainmri(configure(experiment, settings), "push")
    second = clone(experiment, tmp_path / "second", settings)
    set_param(second, "dropout: 0.2", "dropout: 0.1")
    printed = sh(second, *light(no_heavy_python, sys.executable, "-m", "brainmri.commands.cli", "pull"))
    assert stages_run(printed) == ["report"]
    assert (second / "dvc.lock").read_bytes() == (experiment / "dvc.lock").read_bytes()
    assert "up to date" in sh(second, "dvc", "status")


# --- two users of one cache ---------------------------------------------------------------------------------------

GROUP, ONE, TWO = 61000, 61001, 61002  # numbers that belong to nobody


@pytest.fixture
def open_place():
    """A folder that every user can enter, unlike pytest's own."""
    place = Path(tempfile.mkdtemp(prefix="brainmri-"))
    place.chmod(0o755)
    yield place
    subprocess.run(servers.as_root("rm", "-r", str(place)), check=True)


def as_user(uid, project, python, *words):
    """Return the command that runs `words` in a project as a user of the group that shares the cache."""
    home = project.parent / f"home-{uid}"
    path = os.pathsep.join([*python, str(Path(sys.executable).parent), os.environ["PATH"]])
    who = {f"GIT_{who}_{what}": uid for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    settings = {"HOME": home, "USER": uid, "PATH": path, "PYTHONPATH": project, "DVC_NO_ANALYTICS": 1,
                "DVC_SITE_CACHE_DIR": home / "site", "DVC_GLOBAL_CONFIG_DIR": home, **who}  # fmt: skip
    # It may read everything, since this Python may lie where only its owner can; it writes as this user alone.
    reads = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={GROUP}", *reads]
    # DVC makes what it pulls of the run-cache with this mask alone, whatever `cache.shared` says.
    masked = ["sh", "-c", 'umask 002; exec "$@"', "sh"]
    return servers.as_root(*user, "env", *(f"{name}={value}" for name, value in settings.items()), *masked, *words)


def shared_project(experiment, place, uid):
    """Make a clone that belongs to a user and keeps its data in the cache of the group."""
    (place / f"home-{uid}").mkdir()
    project = clone(experiment, place / str(uid), {"url": str(place / "store")})
    set_param(project, "dropout: 0.2", "dropout: 0.1")
    sh(project, "dvc", "cache", "dir", "--local", str(place / "cache"))
    sh(project, "dvc", "config", "--local", "cache.shared", "group")
    sh(project, "dvc", "config", "--local", "cache.type", "symlink")
    for folder in (project, place / f"home-{uid}"):
        subprocess.run(servers.as_root("chown", "-R", f"{uid}:{uid}", str(folder)), check=True)
    return project


@pytest.mark.servers
def test_two_users_share_a_cache_in_a_folder_of_their_group(experiment, no_heavy_python, open_place):
    brainmri(configure(experiment, {"url": str(open_place / "store")}), "push")
    cache = open_place / "cache"
    cache.mkdir()
    subprocess.run(servers.as_root("chown", f"{ONE}:{GROUP}", str(cache)), check=True)
    subprocess.run(servers.as_root("chmod", "2775", str(cache)), check=True)
    one, two = (shared_project(experiment, open_place, uid) for uid in (ONE, TWO))
    only_report = [str(no_heavy_python)]
    sh(one, *as_user(ONE, one, only_report, "dvc", "repro", "--pull"))
    assert all(path.stat().st_gid == GROUP and path.stat().st_mode & 0o040 for path in cache.rglob("*"))
    assert stages_run(sh(two, *as_user(TWO, two, only_report, "dvc", "repro"))) == ["report"]
    assert (two / "dvc.lock").read_bytes() == (experiment / "dvc.lock").read_bytes()
    assert (two / "models/classifier/model.keras").resolve().is_relative_to(cache)
    # What the other user adds comes back the same way.
    changed = ["dvc", "exp", "run", "--set-param", "probe.bootstrap=110"]
    assert stages_run(sh(two, *as_user(TWO, two, [], *changed))) == ["check_params", "probe", "report"]
    assert stages_run(sh(one, *as_user(ONE, one, only_report, *changed))) == ["report"]
    assert (one / "dvc.lock").read_bytes() == (two / "dvc.lock").read_bytes()


# --- what goes wrong, in a small project --------------------------------------------------------------------


@pytest.fixture
def store(tmp_path):
    """The settings of a remote that is a folder."""
    return {"url": str(tmp_path / "store")}


def used(project):
    return (project / "used.txt").read_text()


def test_a_push_counts_what_arrived_and_a_clone_pulls_it(project, store, tmp_path):
    printed = brainmri(configure(project, store), "push")
    assert f"remote `shared` ({tmp_path}/store) holds the 5 objects of this folder and 2 runs" in printed
    second = clone(project, tmp_path / "second", store)
    assert stages_run(brainmri(second, "pull")) == []
    assert files(second / "made") == files(project / "made")
    assert used(second) == used(project)
    assert (second / "page.txt").exists()
    assert "up to date" in sh(second, "dvc", "status")


def test_a_pull_of_what_nobody_has_run_runs_nothing(project, store, tmp_path):
    brainmri(configure(project, store), "push")
    second = clone(project, tmp_path / "second", store)
    set_param(second, "factor: 1", "factor: 2")
    printed = brainmri(second, "pull", ok=False)
    assert "should hold a run of use with this code, these params and data" in printed
    assert not (second / "used.txt").exists()
    assert files(second / "made") == files(project / "made")  # what could be had
    set_param(project, "factor: 1", "factor: 2")
    sh(project, "dvc", "repro")
    brainmri(project, "push")
    assert stages_run(brainmri(second, "pull")) == ["report"]  # it has an out that is not cached, so it has no entry
    assert used(second) == used(project)


def test_a_pull_over_older_results_runs_nothing_either(project, store, tmp_path):
    brainmri(configure(project, store), "push")
    set_param(project, "factor: 1", "factor: 2")
    assert "should hold a run of use" in brainmri(project, "pull", ok=False)
    assert used(project).startswith("factor: 1")


def test_an_out_that_is_kept_local_stays_here_and_the_rest_can_be_had(project, store, tmp_path):
    stages = {**STAGES, "make": {**STAGES["make"], "outs": [{"made": {"push": False}}]}}
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    commit(project, "keep the large files here")
    assert "holds the 2 objects" in brainmri(configure(project, store), "push")
    second = clone(project, tmp_path / "second", store)
    assert stages_run(brainmri(second, "pull")) == []
    assert used(second) == used(project)
    assert not (second / "made").exists()
    set_param(second, "factor: 1", "factor: 2")
    assert "or none of the data that it reads" in brainmri(second, "pull", ok=False)


def test_an_out_can_go_to_a_remote_of_its_own(project, store, tmp_path):
    stages = {**STAGES, "make": {**STAGES["make"], "outs": [{"made": {"remote": "closed"}}]}}
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    sh(project, "dvc", "remote", "add", "closed", str(tmp_path / "closed"))
    commit(project, "scans go elsewhere")
    assert "holds the 5 objects" in brainmri(configure(project, store), "push")
    sizes = {
        name: [path.stat().st_size for path in (tmp_path / name).rglob("*") if path.is_file()]
        for name in ("store", "closed")
    }
    assert BIG in sizes["closed"]
    assert BIG not in sizes["store"]
    second = clone(project, tmp_path / "second", store)
    assert stages_run(brainmri(second, "pull")) == []
    assert files(second / "made") == files(project / "made")


def test_a_push_sends_what_is_here_and_names_what_nobody_has(project, store, tmp_path):
    second = clone(project, tmp_path / "second", store)  # made, by the commit, but nothing of it is here
    printed = brainmri(second, "push", ok=False)
    assert "received nothing for made, page.txt, used.txt; run `dvc repro` and push again" in printed
    sh(second, "dvc", "repro", "make")
    assert "received nothing for page.txt, used.txt; run" in brainmri(second, "push", ok=False)
    assert BIG in [path.stat().st_size for path in (tmp_path / "store").rglob("*")]
    brainmri(configure(project, store), "push")
    assert "holds the 5 objects" in brainmri(second, "push")  # what someone else has pushed is there as well


def test_what_is_gone_from_the_remote_is_pushed_again(project, store, tmp_path):
    brainmri(configure(project, store), "push")
    stored = {path.stat().st_size: path for path in (tmp_path / "store/files").rglob("*") if path.is_file()}
    stored[BIG].chmod(0o644)
    stored[BIG].write_bytes(b"cut short")
    stored[len("small")].unlink()
    assert "are in sync" in sh(project, "dvc", "status", "--cloud")  # what DVC believes
    brainmri(project, "push")
    second = clone(project, tmp_path / "second", store)
    brainmri(second, "pull")
    assert files(second / "made") == files(project / "made")


def test_a_project_without_a_remote_is_told_so(project):
    for command in ("push", "pull", "remote-check"):
        assert "should be a DVC project with a remote" in brainmri(project, command, ok=False)
    with pytest.raises(InputError, match="no remote specified"):
        sharing.check(project)


def test_another_remote_can_be_named(project, store, tmp_path):
    configure(project, {"url": str(tmp_path / "nowhere")})
    sh(project, "dvc", "remote", "add", "--local", "second", str(tmp_path / "second"))
    brainmri(project, "push", "--remote", "second")
    assert (tmp_path / "second/files").is_dir()
    assert not (tmp_path / "nowhere").exists()
    assert "remote `second`" in brainmri(project, "remote-check", "--remote", "second")
    assert "'third' doesn't exist" in brainmri(project, "push", "--remote", "third", ok=False)


def test_the_probe_leaves_nothing_behind(project, store, tmp_path):
    assert "can be read and written" in brainmri(configure(project, store), "remote-check")
    assert files(tmp_path / "store") == {}


@pytest.mark.servers
def test_ssh_keys_that_may_not_and_a_server_that_is_gone(project, tmp_path):
    with servers.sshd(tmp_path / "sshd", tmp_path / "store") as settings:
        configure(project, {**settings, "keyfile": tmp_path / "sshd/stranger"})
        for command in ("remote-check", "push", "pull"):
            assert "Permission denied for user" in brainmri(project, command, ok=False)
        configure(project, {**settings, "keyfile": tmp_path / "sshd/reader"})
        assert "can be read, and should be writable, received: Permission denied" in brainmri(
            project, "remote-check", ok=False
        )
        assert "should be writable and have room, received: " in brainmri(project, "push", ok=False)
        brainmri(configure(project, settings), "push")
        second = clone(project, tmp_path / "second", {**settings, "keyfile": tmp_path / "sshd/reader"})
        brainmri(second, "pull")
        assert files(second / "made") == files(project / "made")
    assert "should be readable, received: " in brainmri(project, "remote-check", ok=False)
    assert "Connect call failed" in brainmri(project, "push", ok=False)


@pytest.mark.servers
def test_s3_keys_that_may_not(project, tmp_path):
    with servers.seaweed(tmp_path / "seaweed") as settings:
        configure(project, {**settings, "secret_access_key": "wrong"})
        assert "signature we calculated does not match" in brainmri(project, "remote-check", ok=False)
        for command in ("push", "pull"):
            brainmri(project, command, ok=False)
        reader = {**settings, "access_key_id": "reader", "secret_access_key": servers.S3_KEYS["reader"]}
        configure(project, reader)
        assert "should be writable, received: Access Denied" in brainmri(project, "remote-check", ok=False)
        assert "Access Denied" in brainmri(project, "push", ok=False)
        brainmri(configure(project, settings), "push")
        second = clone(project, tmp_path / "second", reader)
        brainmri(second, "pull")
        assert files(second / "made") == files(project / "made")


@pytest.mark.servers
def test_a_wrong_password_for_webdav(project, tmp_path):
    with servers.nginx_dav(tmp_path / "nginx") as settings:
        configure(project, {**settings, "password": "wrong"})
        for command in ("remote-check", "push", "pull"):
            printed = brainmri(project, command, ok=False)
            assert "401 (Unauthorized)" in printed
            assert "wrong" not in printed


@pytest.mark.servers
def test_a_full_disk_fails_the_push_and_the_next_one_completes(project, tmp_path):
    with (
        servers.small_disk(tmp_path / "disk", 2) as grow,
        servers.sshd(tmp_path / "sshd", tmp_path / "disk/store") as settings,
    ):
        before = files(project / "made")
        assert "should be writable and have room, received: " in brainmri(
            configure(project, settings), "push", ok=False
        )
        assert files(project / "made") == before
        subprocess.run(grow, check=True)
        brainmri(project, "push")
        second = clone(project, tmp_path / "second", settings)
        brainmri(second, "pull")
        assert files(second / "made") == before


@pytest.mark.servers
def test_a_server_that_dies_half_way_fails_the_push_and_the_next_one_completes(project, tmp_path):
    # The kernel kills the server's process once it has written a third of the largest object.
    with servers.sshd(tmp_path / "sshd", tmp_path / "store", [f"--fsize={BIG // 3}"]) as settings:
        printed = brainmri(configure(project, settings), "push", ok=False)
    assert "should be writable and have room, received: " in printed
    assert BIG // 3 in [path.stat().st_size for path in (tmp_path / "store").rglob("*")]
    with servers.sshd(tmp_path / "sshd", tmp_path / "store") as settings:
        second = clone(project, tmp_path / "second", settings)
        assert "should hold a run of make" in brainmri(second, "pull", ok=False)  # half of it misleads nobody
        brainmri(configure(project, settings), "push")
        brainmri(second, "pull")
        assert files(second / "made") == files(project / "made")
