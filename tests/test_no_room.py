"""A disk that is full, a folder or a memory that may not be used, no home: a sentence, and what stood there stands."""

import os
import re
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
import released_files
from conftest import PARAMS, draw_scan, tiny_params
from handmade import handmade
from servers import as_root, require, small_disk

from brainmri.core.errors import InputError
from brainmri.core.params import check
from brainmri.prediction import scan_batch
from brainmri.prediction.trained_models import load_models
from brainmri.project import release
from brainmri.reporting import galleries
from stages import augment, evaluate, fetch, preprocess, probe, report, segment, train, train_unet

pytestmark = pytest.mark.slow
FULL = "should be readable and writable, received: No space left on device; free some space"
EARLIER = {"index.csv": "earlier"}


@pytest.fixture(scope="module")
def stages(raw, processed, augmented, classifier, trained_unet, tmp_path_factory):
    """Each stage that writes a folder, as a function of the folder; the cheap ones before those that learn."""
    params = {name: tiny_params()[name] for name in ("preprocess", "probe", "augment", "train", "train_unet")}
    params |= {name: tiny_params()[name] for name in ("evaluate", "segment")}
    phantom = {"seed": 7, "patients": {"train": 8, "test": 4}, "slices": 3, "size": [64, 80], "twins": 0}
    params["fetch"] = tiny_params(fetch={"source": "phantom", "phantom": {**phantom, "jpeg_quality": [80, 90]}})[
        "fetch"
    ]
    given = {
        name: check(params[name], module.Params, name)
        for name, module in {
            "fetch": fetch, "preprocess": preprocess, "probe": probe, "augment": augment, "train": train,
            "train_unet": train_unet, "evaluate": evaluate, "segment": segment,
        }.items()
    }  # fmt: skip
    splits = [processed / name for name in ("train", "val", "test")]
    ends = (processed / "test", processed / "external")
    place = tmp_path_factory.mktemp("found")
    evaluate.run(given["evaluate"], classifier, *ends, place / "evaluation")
    segment.run(given["segment"], raw, *ends, trained_unet, classifier, place / "segmentation")
    probe.run(given["probe"], *splits, place / "probes")
    galleries.grid(place / "preview.png", [np.zeros((8, 8), np.uint8)], [""], "variants", 1)
    found = [raw, processed, place / "probes", place / "preview.png", classifier]
    found += [place / "evaluation", place / "segmentation"]
    exclude = PARAMS.with_name("exclude.csv")
    return {
        "fetch": lambda out: fetch.run(given["fetch"], out),
        "preprocess": lambda out: preprocess.run(given["preprocess"], raw, exclude, out),
        "probe": lambda out: probe.run(given["probe"], *splits, out),
        "augment": lambda out: augment.run(given["augment"], splits[0], out),
        "report": lambda out: report.run(*found, out / "metrics", out / "plots", out / "page"),
        "evaluate": lambda out: evaluate.run(given["evaluate"], classifier, *ends, out),
        "segment": lambda out: segment.run(given["segment"], raw, *ends, trained_unet, classifier, out),
        "train": lambda out: train.run(given["train"], *splits[:2], augmented, out, place),
        "train_unet": lambda out: train_unet.run(given["train_unet"], *splits[:2], out, place),
    }


STAGES = ("fetch", "preprocess", "probe", "augment", "report", "evaluate", "segment", "train", "train_unet")


@contextmanager
def full_disk(folder, left):
    """Mount a disk on a folder, with an earlier output in `out`, and so many bytes that are free."""
    with small_disk(folder, 4):
        earlier(folder / "out")
        free = shutil.disk_usage(folder).free
        with (folder / "filling").open("wb") as file:
            file.write(bytes(max(free - left, 0)))
        yield


def earlier(out):
    out.mkdir()
    for name, text in EARLIER.items():
        (out / name).write_text(text)


def require_untouched(folder, *others):
    """Require that the earlier output is there, and nothing beside it but `others`."""
    assert {path.name: path.read_text() for path in (folder / "out").iterdir() if path.is_file()} == EARLIER
    assert {path.name for path in folder.iterdir()} == {"out", *others}


@pytest.mark.parametrize(
    ("name", "left"),
    [*((name, 12_000) for name in STAGES), *((name, 0) for name in ("fetch", "preprocess", "augment", "report"))],
)
def test_a_stage_on_a_full_disk_is_a_sentence(stages, tmp_path, name, left):
    disk = tmp_path / "disk"
    with full_disk(disk, left):
        with pytest.raises(InputError, match=rf"{re.escape(str(disk))}/.*{FULL}") as error:
            stages[name](disk / "out")
        assert len(str(error.value).splitlines()) == 1
        require_untouched(disk, "filling")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    place = handmade(tmp_path_factory.mktemp("handmade"))
    return load_models(place / "classifier", place / "unet", PARAMS)


@pytest.fixture
def scan(tmp_path):
    cv2.imwrite(str(tmp_path / "scan.png"), draw_scan(np.random.default_rng(0), "glioma")[0])
    return tmp_path / "scan.png"


@pytest.mark.parametrize("left", [0, 8_000])
def test_predict_on_a_full_disk_is_a_sentence(models, scan, tmp_path, left):
    disk = tmp_path / "disk"
    with full_disk(disk, left):
        (disk / "out/index.csv").rename(disk / "out/results.jsonl")
        with pytest.raises(InputError, match=rf"disk/.*{FULL}"):
            scan_batch.run([scan], models, "unet", gate=False, as_json=True, out=disk / "out")
        assert (disk / "out/results.jsonl").read_text() == "earlier"
        assert {path.name for path in disk.iterdir()} == {"out", "filling"}


def test_a_release_on_a_full_disk_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(release, "_members", lambda root: released_files.files())
    disk = tmp_path / "disk"
    with full_disk(disk, 0):
        (disk / "model.zip").touch()
        with pytest.raises(InputError, match=r"model.zip: cannot be written: No space left on device; name another"):
            release.write(tmp_path, disk / "model.zip")
        require_untouched(disk, "filling", "model.zip")
        assert (disk / "model.zip").read_bytes() == b""


@contextmanager
def read_only(folder):
    """Make a folder read-only for root too, by a mount of itself."""
    options = (["--bind", str(folder), str(folder)], ["-o", "remount,ro,bind", str(folder)])
    done = [subprocess.run(as_root("mount", *words), capture_output=True, text=True, check=False) for words in options]
    require(not any(each.returncode for each in done), f"mounting read-only ({done[0].stderr} {done[1].stderr})")
    try:
        yield
    finally:
        subprocess.run(as_root("umount", "--lazy", str(folder)), check=True)


@pytest.mark.parametrize("name", ["fetch", "preprocess", "augment", "report", "train", "train_unet"])
def test_a_stage_in_a_read_only_folder_is_a_sentence(stages, tmp_path, name):
    place = tmp_path / "place"
    place.mkdir()
    earlier(place / "out")
    with read_only(place):
        with pytest.raises(InputError, match="received: Read-only file system; give this user the right"):
            stages[name](place / "out")
        require_untouched(place)


def test_predict_and_release_in_a_read_only_folder_are_a_sentence(models, scan, tmp_path, monkeypatch):
    monkeypatch.setattr(release, "_members", lambda root: released_files.files())
    place = tmp_path / "place"
    place.mkdir()
    with read_only(place):
        with pytest.raises(InputError, match=r"place/.*received: Read-only file system"):
            scan_batch.run([scan], models, "unet", gate=False, as_json=True, out=place / "out")
        with pytest.raises(InputError, match=r"model\.zip: cannot be written: Read-only file system"):
            release.write(tmp_path, place / "model.zip")
        assert list(place.iterdir()) == []


def stage(name, *words, limits=(), **env):
    """Run a stage in a process of its own; return its status and what it said on standard error."""

    def limit():
        for what, most in limits:
            resource.setrlimit(what, (most, most))

    given = {name: value for name, value in {**os.environ, **env}.items() if value is not None}
    command = [sys.executable, "-m", f"stages.{name}", *map(str, words)]
    done = subprocess.run(command, cwd=PARAMS.parent, env=given, capture_output=True, text=True, preexec_fn=limit)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ([(resource.RLIMIT_FSIZE, 2**12)], "received: File too large; close what is not needed or raise the limit"),
        ([(resource.RLIMIT_AS, 3 * 2**27)], "should fit into memory, received: "),  # not even the libraries do
    ],
)
def test_a_limit_of_the_system_is_a_sentence(processed, tmp_path, limits, said):
    earlier(tmp_path / "out")
    status, printed = stage("augment", processed / "train", tmp_path / "out", limits=limits)
    assert status == 1
    assert said in printed.splitlines()[-1]
    assert "Traceback" not in printed
    require_untouched(tmp_path)


def test_a_stage_needs_no_home_and_no_shared_memory(processed, augmented, tmp_path):
    """Of an account without a home, in a container without /dev/shm."""
    out = tmp_path / "out"
    words = [sys.executable, "-m", "stages.augment", str(processed / "train"), str(out)]
    script = f"mount -t tmpfs -o ro,size=4k tmpfs /dev/shm && exec {' '.join(words)}"
    env = {**os.environ, "PYTHONPATH": str(PARAMS.parent)}
    del env["HOME"]
    done = subprocess.run(
        as_root("unshare", "--mount", "sh", "-c", script), cwd=PARAMS.parent, env=env, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for path in (augmented / "stored").iterdir():
        assert (out / "stored" / path.name).read_bytes() == path.read_bytes()
