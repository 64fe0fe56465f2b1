"""Two runs that should write the same bits: equality is seen, and a difference is named by its place."""

import shutil
import zipfile

import numpy as np
import pytest
import yaml
from tiny_project import commit, sh

from brainmri.core.errors import ArtifactError, InputError, ParamsError
from brainmri.core.params import parse_yaml, read_yaml
from brainmri.project import reproducibility


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def place(tmp_path, old, new):
    return reproducibility.first_difference(write(tmp_path / "old", old), write(tmp_path / "new", new))


def test_equal_folders_have_no_difference(tmp_path):
    assert place(tmp_path, {"a/b": b"xy", "c": b""}, {"a/b": b"xy", "c": b""}) == ""


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ({"a": b"same", "b": b"01234"}, {"a": b"same", "b": b"01x34"}, "b, byte 2"),
        ({"a/b": b"1"}, {"a/b": b"2"}, "a/b, byte 0"),
        ({"a": b"01"}, {"a": b"01234"}, "a, byte 2"),
        ({"a": b"1"}, {"a": b"1", "b": b""}, "b, in one of the two alone"),
        ({"a": b"1"}, {"a/b": b"1"}, "a, in one of the two alone"),
        ({"b": b"1", "a": b"1"}, {"b": b"2", "a": b"2"}, "a, byte 0"),
    ],
)
def test_the_first_difference_in_a_folder_is_named(tmp_path, old, new, where):
    assert place(tmp_path, old, new) == where


def test_a_difference_far_into_a_large_file_is_found(tmp_path):
    content = bytearray(3 * reproducibility.BLOCK)
    (tmp_path / "a").write_bytes(content)
    content[2 * reproducibility.BLOCK + 5] = 1
    (tmp_path / "b").write_bytes(content)
    assert reproducibility.first_difference(tmp_path / "a", tmp_path / "b") == f"byte {2 * reproducibility.BLOCK + 5}"


def archive(path, members, year=2000):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), content)
    return path


@pytest.mark.parametrize(
    ("members", "year", "where"),
    [
        ({"config.json": "{}", "weights": "0123"}, 2000, ""),
        ({"config.json": "{}", "weights": "01x3"}, 2000, "member weights, byte 2"),
        ({"config.json": "{}", "other": "0123"}, 2000, "member other, in one of the two alone"),
        ({"config.json": "{}", "weights": "0123"}, 2001, "whose members are equal (their times or their order)"),
    ],
)
def test_a_difference_in_an_archive_is_named_by_its_member(tmp_path, members, year, where):
    first = archive(tmp_path / "a.keras", {"config.json": "{}", "weights": "0123"})
    found = reproducibility.first_difference(first, archive(tmp_path / "b.keras", members, year))
    assert found.endswith(where)
    assert bool(found) == bool(where)


def test_a_difference_in_an_npz_is_named_by_its_array(tmp_path):
    for name, value in (("a", 1), ("b", 2)):
        np.savez(tmp_path / f"{name}.npz", same=np.arange(3), other=np.array([0, value], np.uint8))
    assert reproducibility.first_difference(tmp_path / "a.npz", tmp_path / "b.npz") == "member other.npy, byte 129"


def test_params_are_changed_by_their_keys(tmp_path):
    (tmp_path / "params.yaml").write_text("a: {b: 1, c: [2]}  # comment\nd: x\n")
    reproducibility.change_params(tmp_path / "params.yaml", ["a.b=0.5", "a.c=[3, 4]", "d=null"])
    assert read_yaml(tmp_path / "params.yaml") == {"a": {"b": 0.5, "c": [3, 4]}, "d": None}


@pytest.mark.parametrize("text", ["1e-3", "1E5", ".5", "1_000", "0o17", "yes", "'1e-3'", "'null'", "[1e-3, 'yes']"])
def test_a_value_set_is_the_one_that_params_yaml_would_hold(tmp_path, text):
    (tmp_path / "params.yaml").write_text("x: 1\n")
    reproducibility.change_params(tmp_path / "params.yaml", [f"x={text}"])
    assert read_yaml(tmp_path / "params.yaml") == {"x": parse_yaml(text)}


@pytest.mark.parametrize("setting", ["a.x=1", "x=1", "a.b.c=1", "a.b", "=1"])
def test_a_param_that_does_not_exist_is_refused(tmp_path, setting):
    (tmp_path / "params.yaml").write_text("a: {b: 1}\n")
    with pytest.raises(ParamsError, match=r"should be a key of params.yaml and its value, .* received"):
        reproducibility.change_params(tmp_path / "params.yaml", [setting])


STAGES = {
    "one": {"cmd": "python one.py", "deps": ["one.py"], "params": ["x"], "outs": ["folder"]},
    "two": {"cmd": "python two.py", "deps": ["two.py", "folder"], "outs": [{"two.txt": {"cache": False}}]},
}
ONE = """
import pathlib, os
folder = pathlib.Path("folder")
folder.mkdir()
(folder / "a").write_bytes(b"same")
(folder / "b").write_bytes(b"0123" + {value})
"""
TWO = "import pathlib; pathlib.Path('two.txt').write_bytes(pathlib.Path('folder/b').read_bytes())"


@pytest.fixture
def project(tmp_path):
    """A project of two stages, the first of which writes the same whenever it runs, until a test changes that."""
    place = tmp_path / "project"
    write(place, {"one.py": ONE.format(value="b'4'").encode(), "two.py": TWO.encode(), "params.yaml": b"x: 1\n"})
    (place / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
    (place / ".gitignore").write_text("/folder\n")
    sh(place, "git", "init", "--quiet")
    sh(place, "dvc", "init", "--quiet")
    commit(place, "start")
    return place


@pytest.mark.slow
def test_two_clones_that_write_the_same_are_equal(project, tmp_path):
    said = reproducibility.verify(project, ["x=2"], tmp_path)
    assert "wrote the same bits: dvc.lock and the 2 outputs" in said
    assert yaml.safe_load((tmp_path / "first/params.yaml").read_text()) == {"x": 2}
    assert list((tmp_path / "second/.dvc/cache/files").rglob("*.dir"))  # a cache of its own


@pytest.mark.slow
def test_a_stage_that_draws_without_a_seed_is_named_with_the_first_byte(project, tmp_path):
    (project / "one.py").write_text(ONE.format(value="os.urandom(8)"))
    commit(project, "no seed")
    with pytest.raises(ArtifactError) as raised:
        reproducibility.verify(project, [], tmp_path)
    began, after = str(raised.value).splitlines()
    rule = "folder: stage one should write the same bits from the same input, received others: b, byte 4"
    assert began == rule
    assert after == "dvc.lock: two read or wrote other bits too, since they read what differs"


@pytest.mark.slow
def test_a_shared_cache_cannot_hide_a_difference(project, tmp_path):
    sh(project, "dvc", "cache", "dir", str(tmp_path / "shared"))
    (project / "one.py").write_text(ONE.format(value="os.urandom(8)"))
    commit(project, "a cache for all, and no seed")
    with pytest.raises(ArtifactError, match="stage one should write the same bits"):
        reproducibility.verify(project, [], tmp_path)
    assert not (tmp_path / "shared").exists()


@pytest.mark.slow
def test_a_run_that_fails_in_a_clean_clone_says_so(project, tmp_path):
    (project / "one.py").write_text("import missing\n")
    commit(project, "broken")
    with pytest.raises(InputError, match="the pipeline should run in a clean clone"):
        reproducibility.verify(project, [], tmp_path)


@pytest.mark.slow
def test_what_is_no_repository_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"`git rev-parse HEAD` should work here"):
        reproducibility.verify(tmp_path, [], tmp_path)


def brainmri(project, *words):
    return sh(project, "python", "-m", "brainmri.commands.cli", *words)


@pytest.mark.slow
@pytest.mark.pipeline
def test_the_whole_pipeline_writes_the_same_bits_in_two_clean_clones(finished_project):
    printed = brainmri(finished_project, "verify-bits", "--small")
    assert "wrote the same bits" in printed
    assert sh(finished_project, "git", "status", "--porcelain") == ""


@pytest.mark.slow
@pytest.mark.pipeline
def test_a_run_with_other_bits_than_the_commits_is_compared_by_its_metrics(finished_project, tmp_path):
    project = shutil.copytree(finished_project, tmp_path / "project")
    printed = brainmri(project, "summary")
    assert "Simulated data, 51 test images: accuracy " in printed
    assert "\nBits: those of the commit, whose dvc.lock this is\nOpen data/report/index.html (with scans" in printed
    # The commit's run, as another processor would have written it: other weights, and so on from there.
    own = (project / "dvc.lock").read_text()
    weights = next(out for out in yaml.safe_load(own)["stages"]["train"]["outs"])["md5"]
    (project / "dvc.lock").write_text(own.replace(weights, f"{'0' * 32}.dir"))
    commit(project, "elsewhere")
    (project / "dvc.lock").write_text(own)
    printed = brainmri(project, "summary")
    assert "as the commit's run, train wrote other bytes" in printed
    assert "| accuracy | " in printed  # beside the commit's, with the interval of the difference
    (project / "params.yaml").write_text((project / "params.yaml").read_text().replace("epochs: 25", "epochs: 24"))
    other = own.replace("epochs: 25", "epochs: 24").replace(weights, f"{'1' * 32}.dir")
    (project / "dvc.lock").write_text(other)
    assert "Bits: not comparable, since params" in brainmri(project, "summary")  # reason enough
